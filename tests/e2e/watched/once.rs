//! Runs `watch --once` repeatedly, as a CronJob does, and checks its exit codes.

use super::fleet::Fleet;
use super::story::Story;
use crate::harness::namespace::Namespace;
use crate::harness::plane::plane;
use crate::harness::wait::{SOON, wait_for};

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_cron_job_makes_the_same_commits() {
    let fleet = Fleet::of_deployments(2, "start: Auto, soak: 2s, steps: [2, 4]");
    let story = Story::begin(Namespace::new("watched-once"), fleet);
    let clone = story.server.clone("cron");
    let once = |patience: &str| {
        let mut command = story.watch(&clone);
        command.args(["--once", "--timeout", patience]);
        command
    };
    let code = || {
        let output = once("30s").output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    };
    assert_eq!(code().0, 0, "nothing to do");

    story.change("log", "log:2");
    story.run_pillion(&["pause", "log", "--reason=not yet"]);
    assert_eq!(code().0, 5, "paused");
    story.run_pillion(&["resume", "log"]);
    let before = story.actions("log").len();

    let nowhere = plane().kubeconfig("nowhere", "unknown");
    let text = std::fs::read_to_string(&nowhere).unwrap();
    std::fs::write(&nowhere, text.replace(":6443", ":1")).unwrap();
    let unseen = once("1s").env("KUBECONFIG", &nowhere).output().unwrap();
    assert_eq!(unseen.status.code(), Some(3), "no answer: {unseen:?}");
    assert_eq!(story.actions("log").len(), before, "nothing is released without evidence");

    let expected = story.staged("log");
    // It waits for a commit that no agent applies, however long a run takes.
    story.agent.pause();
    assert_eq!(code().0, 0, "the first batch is released");
    assert_eq!(story.actions("log").last().unwrap(), "Batch 1/2");
    assert_eq!(code().0, 4, "it is not applied");
    story.agent.resume();
    let mut codes = Vec::new();
    wait_for("everything is released", SOON, || {
        let (code, message) = code();
        codes.push(code);
        if story.actions("log").last().is_some_and(|action| action == "Complete") {
            Ok(())
        } else {
            Err(message)
        }
    });
    assert_eq!(story.commits("log")[before..], expected);
    assert_eq!(codes.pop(), Some(0), "done");
    assert!(codes.iter().all(|code| [0, 4].contains(code)), "{codes:?}");
    story.wait_carried("log", "log:2");
    story.verify();
}
