//! A watcher that is killed repeatedly, and two watchers at once, reach the same end as one without disturbance.

use super::fleet::Fleet;
use super::listener::Listener;
use super::story::Story;
use super::watcher::Watcher;
use crate::harness::namespace::Namespace;
use crate::harness::wait::{SOON, wait_for};
use std::os::unix::process::ExitStatusExt as _;

/// Where debug builds end as if they were killed, in an order in which each round pushes one commit.
const POINTS: &[&str] = &["fetch", "before-push", "after-push", "before-notify", "after-notify"];

const ROLLOUT: &str = "start: Auto, soak: 1s, steps: [2, 4]";

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn killed_at_every_point_it_ends_as_ever_and_everybody_is_told() {
    let story = Story::begin(Namespace::new("watched-killed"), Fleet::of_deployments(2, ROLLOUT));
    let listener = Listener::start();
    let url = listener.url();
    // The first watcher of a repository sends no notification of earlier commits.
    let at_rest = story.server.clone("at-rest");
    let once = story.watch(&at_rest).args(["--once"]).env("PILLION_NOTIFY_URL", &url).output().unwrap();
    assert!(once.status.success(), "{once:?}");

    story.change("log", "log:2");
    let expected = story.staged("log");
    assert_eq!(expected.len(), 4, "open, two batches, close");
    for round in 0..expected.len() {
        for point in POINTS {
            let environment = [("PILLION_KILL_AT", *point), ("PILLION_NOTIFY_URL", &url)];
            let mut watcher = Watcher::start_with(&story, &format!("{point}-{round}"), &environment);
            let status = watcher.wait(&format!("it is killed: {point}, round {round}"));
            assert_eq!(status.signal(), Some(6), "{point}, round {round}: {status}\n{}", watcher.log());
        }
        assert_eq!(story.commits("log"), expected[..=round]);
    }
    // The last one has only to be told of what was pushed.
    let _watcher = Watcher::start_with(&story, "watcher", &[("PILLION_NOTIFY_URL", &url)]);
    wait_for("it remembers that all were told", SOON, || {
        let notified =
            story.server.bare.git(&["for-each-ref", "--format=%(objectname)", "refs/pillion/notified"]);
        if notified == story.head().to_string() { Ok(()) } else { Err(notified) }
    });
    assert_eq!(story.commits("log"), expected);
    let mut notified = listener.notifications();
    for (key, body) in &notified {
        assert_eq!((body["kind"].as_str(), body["id"].as_str()), (Some("Notification"), Some(key.as_str())));
    }
    assert!(
        notified.len() > expected.len(),
        "notifications from before the kill are sent again, with the same key"
    );
    notified.dedup_by(|a, b| a.0 == b.0);
    let notified: Vec<String> = notified.into_iter().map(|(key, _)| key).collect();
    assert_eq!(notified, story.ids("log"));
    story.wait_carried("log", "log:2");
    story.verify();
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn two_at_once_double_nothing() {
    let story =
        Story::begin(Namespace::new("watched-two"), Fleet::of_deployments(4, "start: Auto, soak: 1s"));
    story.change("log", "log:2");
    let expected = story.staged("log");
    let mut watchers = ["one", "two"].map(|name| Watcher::start(&story, name));
    story.wait_act("log", "Complete");
    assert_eq!(story.commits("log"), expected);
    story.wait_carried("log", "log:2");
    for watcher in &mut watchers {
        assert!(watcher.stop().success(), "{}", watcher.log());
    }
    // Both make commits that hold the same of the same head: who comes second finds it moved, and says so.
    let mut expected = story.ids("log");
    let released = watchers.iter().flat_map(|watcher| watcher.log_entries("released"));
    let mut released: Vec<String> =
        released.map(|line| line["commit"].as_str().unwrap().to_owned()).collect();
    released.sort();
    expected.sort();
    assert_eq!(released, expected, "each of them once");
    story.verify();
}
