//! The real Argo CD is the agent: it follows rendered files, or renders by the ledgers with our plugin.

use super::fleet::{Fleet, Layout, RENDERED};
use super::story::Story;
use super::watcher::Watcher;
use crate::harness::argocd::{Application, Manifest, history};
use crate::harness::namespace::Namespace;

const ROLLOUT: &str = "start: Auto, soak: 2s, steps: [2, 4, 6]";

/// A whole rollout: the commits are those that `pillion stage` foretells, and each batch is a sync of its own.
fn roll_out(story: &Story) {
    let application = &story.namespace.name;
    assert_eq!(history(application), [story.start.to_string()]);
    story.change("log", "log:2");
    let expected = story.staged("log");
    let _watcher = Watcher::start(story, "watcher");
    story.wait_act("log", "Complete");
    assert_eq!(story.actions("log"), ["Start", "Batch 1/3", "Batch 2/3", "Batch 3/3", "Complete"]);
    assert_eq!(story.commits("log"), expected);
    story.wait_carried("log", "log:2");
    // What the commits of a rollout change before the first batch and after the last one is in no manifest.
    let released: Vec<String> = story.acts("log").iter().map(|act| act.commit.to_string()).collect();
    assert_eq!(history(application)[1..], released[1..=3]);
    story.verify();
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_rollout_by_a_rendered_folder() {
    let fleet = Fleet::of_deployments(3, ROLLOUT);
    roll_out(&Story::begin_beside(Namespace::new("watched-folder"), fleet, |server, namespace| {
        let manifest = Manifest::of_rendered(&namespace.name, &server.url(), RENDERED, &namespace.name);
        Box::new(Application::new(manifest))
    }));
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_rollout_by_a_rendered_branch() {
    let fleet = Fleet::of_deployments(3, ROLLOUT).with_layout(Layout::Branch);
    roll_out(&Story::begin_beside(Namespace::new("watched-branch"), fleet, |server, namespace| {
        let manifest = Manifest::of_rendered(&namespace.name, &server.url(), ".", &namespace.name).with(
            "targetRevision: \"main\"",
            &format!("targetRevision: \"{}\"", Layout::Branch.deploy_branch()),
        );
        Box::new(Application::new(manifest))
    }));
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_rollout_by_ledgers_alone() {
    let fleet = Fleet::of_deployments(3, ROLLOUT).with_layout(Layout::Nowhere);
    roll_out(&Story::begin_beside(Namespace::new("watched-ledgers"), fleet, |server, namespace| {
        let manifest = Manifest::of_plugin(&namespace.name, &server.url(), "apps", &namespace.name);
        Box::new(Application::new(manifest))
    }));
}
