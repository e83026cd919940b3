//! Runs the command `watch` of action.yml repeatedly, as a scheduled workflow does.

use super::fleet::Fleet;
use super::story::Story;
use crate::action::Runner;
use crate::harness::namespace::Namespace;
use crate::harness::wait::{SOON, wait_for};

#[test]
#[ignore = "needs a real control plane and act: cargo test --test e2e -- --ignored"]
fn a_scheduled_workflow_releases_a_rollout() {
    let fleet = Fleet::of_deployments(1, "start: Auto, soak: 1s, steps: [1, 2]");
    let story = Story::begin(Namespace::new("watched-action"), fleet);
    let clone = story.server.clone("runner");
    let runner = Runner::new(&clone.path);
    let kubeconfig = format!("KUBECONFIG={}", story.namespace.kubectl.kubeconfig.display());
    let run = || runner.run("watch", ".", &["--env", &kubeconfig]);
    let log = run();
    assert!(log.contains("result=done") && log.contains("Summary - ### Watched"), "{log}");

    story.change("log", "log:2");
    story.run_pillion(&["pause", "log", "--reason=not yet"]);
    let log = run();
    assert!(log.contains("result=paused") && log.contains("Job succeeded"), "{log}");
    story.run_pillion(&["resume", "log"]);
    wait_for("everything is released", SOON, || {
        let log = run();
        assert!(["done", "waiting"].iter().any(|word| log.contains(&format!("result={word}"))), "{log}");
        assert!(log.contains("Job succeeded"), "{log}");
        if story.actions("log").last().is_some_and(|action| action == "Complete") { Ok(()) } else { Err(log) }
    });
    story.wait_carried("log", "log:2");
    story.verify();
}
