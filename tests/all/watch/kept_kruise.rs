//! Compares what the watcher counts of the pods of a SidecarSet with the recorded counters of Kruise's controller.

use crate::support::conformance::{documents, entries};
use jiff::Timestamp;
use pillion::model::sidecar_set::{DecodeMode, decode_for};
use pillion::rollout::update_method::UpdateMethod;
use pillion::watch::expected_state::{ExpectedSet, ExpectedState, ExpectedWorkload};
use pillion::watch::health::{HealthLimits, WorkloadHealth, assess_health};
use pillion::watch::observe::read_list_page;
use pillion::yaml::FieldPath;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// A recorded state: what the watcher says of it, and Kruise's counters. None: the webhook refuses the SidecarSet.
fn compared(case: &Path) -> Option<(WorkloadHealth, Value)> {
    let read = |file: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(case.join(file)).unwrap()).unwrap()
    };
    let (recorded, pods) = (read("expected.json"), read("pods.json"));
    if !recorded["refusedByWebhook"].is_null() {
        return None;
    }
    let document = documents(case, "sidecarset.yaml").remove(0);
    let set = decode_for(DecodeMode::Validate, &document, &FieldPath::root()).0.unwrap();
    let key: Arc<str> = format!("SidecarSet.apps.kruise.io/-/{}", set.name).into();
    let mut live = document.value().clone();
    live["metadata"]["annotations"] = json!({
        "kruise.io/sidecarset-hash": set.hash,
        "kruise.io/sidecarset-hash-without-image": set.hash_without_image,
    });
    live["status"] = recorded["status"].clone();
    let items: Vec<&Value> = std::iter::once(&live).chain(pods["items"].as_array().unwrap()).collect();
    let now: Timestamp = "2024-06-01T00:00:00Z".parse().unwrap();
    let snapshot = read_list_page(json!({"items": items}).to_string().as_bytes(), now).unwrap();
    let expected = ExpectedWorkload {
        key,
        batch: 1,
        update_method: UpdateMethod::InPlace,
        template: document.value().clone(),
        // As `ExpectedState` has it: a pair of a hot upgrade has other names in pods.
        sidecars: set
            .containers
            .iter()
            .filter(|container| container.hot_upgrade_empty_image.is_none())
            .map(|container| container.name.as_str().into())
            .collect(),
        removed_sidecars: [].into(),
        is_ordered: false,
        partition: None,
        native_partition: None,
        kept_pods: 0,
        request_increase: None,
        memory_limits: Vec::new(),
        set: Some(ExpectedSet { hash: set.hash.as_str().into(), kept_percent: 0, is_canary: false }),
    };
    let state =
        ExpectedState { batch: 1, is_rollback: false, workloads: vec![expected], pending: Vec::new() };
    let report = assess_health(&state, &snapshot, &HealthLimits::default());
    Some((report.workloads.into_iter().next().unwrap(), recorded["status"].clone()))
}

/// Random states are left out: they have pods without the labels of the SidecarSet, and pods between the halves of a hot
/// upgrade, which the watcher counts and Kruise does not.
fn is_random(case: &Path) -> bool {
    case.file_name().is_some_and(|name| name.to_string_lossy().starts_with("x-z-fuzz"))
}

#[test]
fn updated_pods_are_those_of_kruise() {
    let cases = entries("rollout-steps", |path| path.join("expected.json").exists() && !is_random(path));
    let (mut wrong, mut all, mut some_updated) = (Vec::new(), 0, 0);
    for case in &cases {
        let Some((health, status)) = compared(case) else { continue };
        all += 1;
        let updated = status["updatedPods"].as_u64().unwrap();
        some_updated += usize::from(updated > 0);
        let ready = status["updatedReadyPods"].as_u64().unwrap();
        // A pod that is ready and does not run the new image yet is not ready for the watcher.
        if u64::from(health.updated) != updated || u64::from(health.ready) > ready {
            let name = case.file_name().unwrap().to_string_lossy().into_owned();
            wrong.push(format!("{name}: {health:?}, not {status}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {all} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(all >= 200 && some_updated >= 100, "{all} recorded states, {some_updated} with updated pods");
}
