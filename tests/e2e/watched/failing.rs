//! An unhealthy batch stops a rollout, which is then rolled back or left, as pillion.yaml says.

use super::fleet::{Application, Fleet, Kind};
use super::story::Story;
use super::watcher::Watcher;
use crate::harness::api::{PODS, patch};
use crate::harness::namespace::Namespace;
use crate::harness::pods::{container, is_ready};
use crate::harness::wait::{SOON, wait_for};
use jiff::{SignedDuration, Timestamp};
use pillion::git::trailer;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Pods of other workloads than one: UID, and how often the sidecar has started again.
fn others(story: &Story, than: &str) -> BTreeMap<String, u64> {
    let pods = story.pods();
    let of = |pod: &&Value| pod["metadata"]["labels"]["app"] != than;
    let restarts = |pod: &Value| container(pod, "log")["restartCount"].as_u64().unwrap();
    let uid = |pod: &Value| pod["metadata"]["uid"].as_str().unwrap().to_owned();
    pods.iter().filter(of).map(|pod| (uid(pod), restarts(pod))).collect()
}

/// The evidence of a commit, one JSON object a trailer.
fn evidence(story: &Story, commit: pillion::git::ObjectId) -> Vec<Value> {
    let message = story.server.bare.git(&["log", "-1", "--format=%B", &commit.to_string()]);
    let trailers = trailer::parse_trailers(&message).into_iter().filter(|t| t.key == trailer::EVIDENCE);
    trailers.map(|t| serde_json::from_str(&t.value).unwrap()).collect()
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_bad_image_is_rolled_back_at_batch_1() {
    let fleet = Fleet::of_deployments(3, "start: Auto, soak: 2s, steps: [2, 4, 6], onFailure: RollBack");
    let story = Story::begin(Namespace::new("watched-bad-image"), fleet);
    let before = others(&story, "app-1");
    story.change("log", "log:bad");
    let _watcher = Watcher::start(&story, "watcher");
    let rolled_back = story.wait_act("log", "RollBack");
    story.wait_act("log", "Complete");
    assert_eq!(story.actions("log"), ["Start", "Batch 1/3", "RollBack", "Batch 1/1", "Complete"]);
    let evidence = evidence(&story, rolled_back);
    assert!(!evidence.is_empty() && evidence.iter().all(|e| e.to_string().contains("app-1")), "{evidence:?}");
    story.wait_carried("log", "log:1");
    assert_eq!(others(&story, "app-1"), before, "the other pods were never touched");
    story.verify();
    let status = story.run_pillion(&["status"]);
    assert!(status.contains("was rolled back"), "{status}");
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_bad_image_pauses_until_a_person_rolls_back() {
    let fleet = Fleet::of_deployments(3, "start: Auto, soak: 2s, steps: [2, 4, 6]");
    let story = Story::begin(Namespace::new("watched-pause"), fleet);
    let before = others(&story, "app-1");
    story.change("log", "log:bad");
    let _watcher = Watcher::start(&story, "watcher");
    let paused = story.wait_act("log", "Pause");
    let evidence = evidence(&story, paused);
    assert!(!evidence.is_empty() && evidence.iter().all(|e| e.to_string().contains("app-1")), "{evidence:?}");
    let message = story.server.bare.git(&["log", "-1", "--format=%B", &paused.to_string()]);
    assert!(message.contains("ImagePullBackOff"), "{message}");

    story.run_pillion(&["rollback", "log", "--reason=a bad image"]);
    story.wait_act("log", "Complete");
    assert_eq!(story.actions("log"), ["Start", "Batch 1/3", "Pause", "RollBack", "Batch 1/1", "Complete"]);
    story.wait_carried("log", "log:1");
    assert_eq!(others(&story, "app-1"), before, "the other pods were never touched");
    story.verify();
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_crash_loop_pauses_at_batch_3() {
    let rollout = "start: Auto, soak: 2s, steps: [2, 4, 6, 8]";
    let mut fleet = Fleet::of_deployments(4, rollout);
    fleet.applications[2] = Application::new(Kind::Deployment, "app-3", 2).faring("crash");
    let story = Story::begin(Namespace::new("watched-crash"), fleet);
    story.change("log", "log:depends");
    let _watcher = Watcher::start(&story, "watcher");
    let paused = story.wait_act("log", "Pause");
    assert_eq!(story.actions("log"), ["Start", "Batch 1/4", "Batch 2/4", "Batch 3/4", "Pause"]);
    let evidence = evidence(&story, paused);
    assert!(!evidence.is_empty() && evidence.iter().all(|e| e.to_string().contains("app-3")), "{evidence:?}");
    let message = story.server.bare.git(&["log", "-1", "--format=%B", &paused.to_string()]);
    assert!(message.contains("CrashLoopBackOff"), "{message}");
    story.verify();
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_flap_begins_the_soak_anew() {
    let soak = SignedDuration::from_secs(8);
    // However busy the machine is, the second batch does not come before the flap: it waits for a person.
    let fleet = Fleet::of_deployments(2, "start: Auto, soak: 8s, steps: [2, 4], approve: [2]");
    let story = Story::begin(Namespace::new("watched-flap"), fleet);
    story.change("log", "log:2");
    let watcher = Watcher::start(&story, "watcher");
    let has_image = |pod: &Value| container(pod, "log")["image"] == "log:2";
    story.wait_until("the pods of the batch are ready", |pods| {
        pods.iter().filter(|pod| has_image(pod) && is_ready(pod)).count() == 2
    });
    // The kubelet is held back, the pod is not ready for a moment, and ready again.
    let pod = story.pods().into_iter().find(has_image).unwrap();
    let name = pod["metadata"]["name"].as_str().unwrap();
    let path = PODS.path(Some(&story.namespace.name), name);
    let frozen = |how: Value| patch(&path, &json!({ "metadata": { "annotations": { "e2e/frozen": how } } }));
    frozen("yes".into());
    let not_ready = json!({ "type": "Ready", "status": "False", "reason": "Flap" });
    patch(&format!("{path}/status"), &json!({ "status": { "conditions": [not_ready] } }));
    frozen(Value::Null);
    let since = wait_for("the pod is ready again", SOON, || {
        let pods = story.pods();
        let pod = pods.iter().find(|pod| pod["metadata"]["name"] == name).unwrap();
        let conditions = pod["status"]["conditions"].as_array().unwrap();
        let ready =
            conditions.iter().find(|c| c["type"] == "Ready" && c["status"] == "True").ok_or("not yet")?;
        Ok::<Timestamp, &str>(ready["lastTransitionTime"].as_str().unwrap().parse().unwrap())
    });
    assert_eq!(story.actions("log"), ["Start", "Batch 1/2"], "the second one waits");
    story.run_pillion(&["approve", "log", "2"]);
    let second = story.wait_act("log", "Batch 2/2");
    let released: Timestamp = wait_for("the watcher says so", SOON, || {
        let entries = watcher.log_entries("released");
        let line = entries.iter().find(|line| line["commit"] == second.to_string().as_str());
        line.map(|line| line["timestamp"].as_str().unwrap().parse().unwrap())
            .ok_or_else(|| format!("{entries:?}"))
    });
    assert!(released >= since.saturating_add(soak).unwrap(), "ready {since}, released {released}");
    story.wait_act("log", "Complete");
    story.verify();
}
