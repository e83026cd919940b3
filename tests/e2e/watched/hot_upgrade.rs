//! Hot upgrades of a CloneSet by the real Kruise: in every pod a container of the pair works at every moment.

use super::fleet::{Application, Fleet, Kind};
use super::story::Story;
use super::watcher::Watcher;
use crate::harness::kruise;
use crate::harness::pods::{container, is_ready, uids};
use crate::harness::wait::wait_for;
use serde_json::Value;

/// A CloneSet of three pods with a pair, all of which are one batch.
fn story(namespace: &str, more: &str) -> Story {
    let applications = vec![Application::new(Kind::CloneSet, "web", 3)];
    let rollout = format!("start: Auto, soak: 2s, steps: [100%]{more}");
    Story::begin(kruise::namespace(namespace), Fleet::new(applications, &rollout).upgraded_hot())
}

/// Returns whether one container of the pair runs a version and is ready.
fn works(pod: &Value) -> bool {
    let runs = |name: &str| {
        let status = container(pod, name);
        let image = status["image"].as_str().unwrap_or_default();
        image.starts_with("log:") && status["ready"] == true && !status["state"]["running"].is_null()
    };
    runs("log-1") || runs("log-2")
}

/// Waits for the end of the rollout, and looks at the pair in every pod all the while.
fn wait_complete(story: &Story) {
    wait_for("the rollout is complete", story.patience() * 2, || {
        for pod in &story.pods() {
            assert!(works(pod), "{}", pod["status"]);
        }
        let actions = story.actions("log");
        if actions.last().is_some_and(|last| last == "Complete") { Ok(()) } else { Err(actions.join(", ")) }
    });
}

fn restarts(pod: &Value) -> [u64; 3] {
    ["main", "log-1", "log-2"].map(|name| container(pod, name)["restartCount"].as_u64().unwrap())
}

fn working(pod: &Value) -> &str {
    pod["metadata"]["annotations"]["kruise.io/sidecarset-working-hotupgrade-container"].as_str().unwrap()
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_clone_set_goes_through_both_halves() {
    let story = story("hot-upgrade", "");
    let before = uids(&story.pods());
    story.change("log", "log:2");
    let _watcher = Watcher::start(&story, "watcher");
    wait_complete(&story);
    assert_eq!(story.actions("log"), ["Start", "Batch 1/1", "Batch 1/1", "Complete"]);
    story.wait_until("the second half is in every pod", |pods| {
        pods.iter().all(|pod| is_ready(pod) && container(pod, "log-1")["image"] == "empty:1")
    });
    let pods = story.pods();
    assert_eq!(uids(&pods), before, "the same pods");
    for pod in &pods {
        assert_eq!((restarts(pod), working(pod)), ([0, 1, 1], "{\"log\":\"log-2\"}"), "{}", pod["status"]);
        assert_eq!(container(pod, "log-2")["image"], "log:2");
    }
    story.verify();
    // The next upgrade goes the other way.
    story.change("log", "log:3");
    wait_for("the next upgrade is complete", story.patience() * 2, || {
        let actions = story.actions("log");
        if actions.len() == 8 { Ok(()) } else { Err(actions.join(", ")) }
    });
    story.wait_until("the other container works", |pods| {
        pods.iter().all(|pod| is_ready(pod) && restarts(pod) == [0, 2, 2])
    });
    assert_eq!(uids(&story.pods()), before, "the same pods");
    for pod in &story.pods() {
        assert_eq!(container(pod, "log-1")["image"], "log:3");
        assert_eq!(working(pod), "{\"log\":\"log-1\"}");
    }
    story.verify();
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_failing_first_half_goes_back_and_the_working_container_runs_on() {
    let story = story("hot-upgrade-bad", ", onFailure: RollBack");
    let before = uids(&story.pods());
    story.change("log", "log:bad");
    let _watcher = Watcher::start(&story, "watcher");
    wait_complete(&story);
    assert_eq!(story.actions("log"), ["Start", "Batch 1/1", "RollBack", "Batch 1/1", "Complete"]);
    story.wait_until("the pairs are as before", |pods| {
        pods.iter().all(|pod| is_ready(pod) && container(pod, "log-2")["image"] == "empty:1")
    });
    let pods = story.pods();
    assert_eq!(uids(&pods), before, "the same pods");
    for pod in &pods {
        let [main, working_container, _] = restarts(pod);
        assert_eq!((main, working_container), (0, 0), "never touched: {}", pod["status"]);
        assert_eq!(container(pod, "log-1")["image"], "log:1");
        assert_eq!(working(pod), "{\"log\":\"log-1\"}");
    }
    story.verify();
}
