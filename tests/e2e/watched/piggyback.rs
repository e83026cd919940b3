//! An application that is released anyway takes the new sidecar in the same restart; the batches follow for the others.

use super::fleet::Fleet;
use super::story::{PILLION, Story};
use super::watcher::Watcher;
use crate::harness::namespace::Namespace;
use crate::harness::pods::{container, is_ready, uids};
use serde_json::Value;

/// The pods of an application.
fn pods_of(pods: &[Value], name: &str) -> Vec<Value> {
    pods.iter().filter(|pod| pod["metadata"]["labels"]["app"] == name).cloned().collect()
}

fn run(pods: &[Value], application: &str, sidecar: &str) -> bool {
    let is_of = |pod: &Value| {
        let images = ["main", "log"].map(|name| container(pod, name)["image"].clone());
        images == [application, sidecar] && is_ready(pod)
    };
    pods.len() == 2 && pods.iter().all(is_of)
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_release_of_an_application_saves_a_restart() {
    let rollout = "start: Auto, soak: 2s, steps: [2, 4], piggyback: {until: 60s}";
    let story = Story::begin(Namespace::new("watched-piggyback"), Fleet::of_deployments(2, rollout));
    let before = uids(&pods_of(&story.pods(), "app-1"));
    story.change("log", "log:2");
    let watcher = Watcher::start(&story, "watcher");
    story.wait_act("log", "Start");
    story.push("a release of app-2", |repo| {
        let released = story.fleet.find("app-2").unwrap().clone().image("app:2");
        repo.put(&released.file(), released.manifest());
        let rendered = repo.command(PILLION).args(["render", "--write"]).output().unwrap();
        assert!(rendered.status.success(), "{rendered:?}");
    });
    story
        .wait_until("the release has the new sidecar", |pods| run(&pods_of(pods, "app-2"), "app:2", "log:2"));
    let pods = story.pods();
    assert!(run(&pods_of(&pods, "app-1"), "app:1", "log:1"), "it waits");
    assert_eq!(uids(&pods_of(&pods, "app-1")), before, "never touched");
    assert_eq!(story.actions("log"), ["Start"]);
    let status = story.run_pillion(&["status"]);
    let waits = "gate piggyback waiting: 1 workload (2 pods) takes it with its own next change until ";
    assert!(status.contains(waits), "{status}");
    let released = uids(&pods_of(&pods, "app-2"));
    story.wait_act("log", "Complete");
    assert_eq!(story.actions("log"), ["Start", "Batch 1/1", "Complete"], "{}", watcher.log());
    story.wait_carried("log", "log:2");
    assert_eq!(uids(&pods_of(&story.pods(), "app-2")), released, "one restart for both");
    let message = story.server.bare.git(&["log", "-1", "--format=%B", &story.head().to_string()]);
    let saved = "1 of 2 workloads (2 pods) took it with its own change: 2 restarts saved.";
    assert!(message.contains(saved), "{message}");
    story.verify();
}
