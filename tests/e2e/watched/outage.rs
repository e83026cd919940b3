//! Releases nothing while the API server is unreachable, and continues the rollout afterwards.

use super::fleet::Fleet;
use super::relay::Relay;
use super::story::Story;
use super::watcher::Watcher;
use crate::harness::namespace::Namespace;
use crate::harness::plane::API;
use crate::harness::pods::{is_ready, runs_image};
use crate::harness::wait::{SOON, wait_for};
use jiff::{SignedDuration, Timestamp};
use std::fs;

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_soak_that_nobody_saw_releases_nothing() {
    let fleet = Fleet::of_deployments(2, "start: Auto, soak: 8s, steps: [2, 4]");
    let story = Story::begin(Namespace::new("watched-outage"), fleet);
    let relay = Relay::start(API);
    let kubeconfig = story.server.another().path.with_file_name("relayed.kubeconfig");
    let text = fs::read_to_string(&story.kubeconfig).unwrap();
    fs::write(&kubeconfig, text.replace(&format!(":{API}"), &format!(":{}", relay.port()))).unwrap();

    story.change("log", "log:2");
    let kubeconfig = kubeconfig.display().to_string();
    // The batch is released, and its pods become ready, when the watcher no longer sees them: however busy the machine
    // is, nothing of the soak was seen.
    story.agent.pause();
    let _watcher = Watcher::start_with(&story, "watcher", &[("KUBECONFIG", &kubeconfig)]);
    let batch = story.wait_act("log", "Batch 1/2");
    relay.cut();
    story.agent.resume();
    story.agent.wait_applied(batch);
    story.wait_until("the pods of the batch are ready", |pods| {
        pods.iter().filter(|pod| runs_image(pod, "log:2") && is_ready(pod)).count() == 2
    });
    let over = Timestamp::now().saturating_add(SignedDuration::from_secs(12)).unwrap();
    wait_for("the soak would be over", SOON, || {
        let now = Timestamp::now();
        if now > over { Ok(()) } else { Err(now) }
    });
    assert_eq!(story.actions("log"), ["Start", "Batch 1/2"], "nothing was seen of the end of the soak");
    relay.repair();
    story.wait_act("log", "Complete");
    assert_eq!(story.actions("log"), ["Start", "Batch 1/2", "Batch 2/2", "Complete"]);
    story.wait_carried("log", "log:2");
    story.verify();
}
