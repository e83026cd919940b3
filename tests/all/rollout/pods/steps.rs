//! Compares single steps of rollouts with those of Kruise's SidecarSet controller for the same pods.

use crate::support::conformance::{documents, entries};
use pillion::diagnostics::Diagnostic;
use pillion::model::sidecar_set::{DecodeMode, SidecarSet, ValidationContext, decode_for, validate};
use pillion::rollout::pods::{NamespaceLabelMap, PodStep, PodStepKind, next_pod_step, read_pods};
use pillion::yaml::{Document, FieldPath};
use serde_json::Value;
use std::path::Path as File;
use std::sync::Arc;

#[test]
fn steps_are_those_of_kruise() {
    let cases = entries("rollout-steps", |path| path.join("expected.json").exists());
    let failures: Vec<String> = cases.iter().flat_map(|case| differences(case)).collect();
    assert!(
        failures.is_empty(),
        "{} wrong of {} steps:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
    assert!(cases.len() >= 258, "the recorded steps are there");
}

fn differences(case: &File) -> Vec<String> {
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    let expected = std::fs::read_to_string(case.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let (set, found) = set_of(&documents(case, "sidecarset.yaml")[0]);
    let is_refused = found.iter().any(Diagnostic::is_error);
    let Some(set) = set.filter(|_| !is_refused || !expected["refusedByWebhook"].is_null()) else {
        return if expected["refusedByWebhook"].is_null() {
            vec![format!("{name}: {found:?}")]
        } else {
            Vec::new()
        };
    };
    let (pods, found) = read_pods(&pods_of(case));
    assert!(found.is_empty(), "{name}: {found:?}");
    let (step, found) = next_pod_step(&set, &pods, &namespaces_of(case));
    assert!(!found.iter().any(Diagnostic::is_error), "{name}: {found:?}");
    compare(&name, &step, &expected)
}

fn set_of(document: &Arc<Document>) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    let (set, mut found) = decode_for(DecodeMode::Validate, document, &FieldPath::root());
    found.extend(set.iter().flat_map(|set| validate(set, ValidationContext::default())));
    (set, found)
}

fn pods_of(case: &File) -> Vec<Document> {
    let text = std::fs::read_to_string(case.join("pods.json")).unwrap();
    vec![Document::read(&"pods.json".into(), 0, 1, &text).unwrap()]
}

fn namespaces_of(case: &File) -> NamespaceLabelMap {
    let namespace = |document: Arc<Document>| {
        let metadata = &document.value()["metadata"];
        let labels = serde_json::from_value(metadata["labels"].clone()).unwrap_or_default();
        (metadata["name"].as_str().unwrap().to_owned(), labels)
    };
    documents(case, "namespaces.yaml").into_iter().map(namespace).collect()
}

fn compare(name: &str, step: &PodStep, expected: &Value) -> Vec<String> {
    let mut failures = Vec::new();
    let status = &expected["status"];
    let counters = [
        ("matchedPods", step.status.matched_pods),
        ("updatedPods", step.status.updated_pods),
        ("readyPods", step.status.ready_pods),
        ("updatedReadyPods", step.status.updated_ready_pods),
    ];
    for (counter, count) in counters.into_iter().filter(|(key, count)| status[*key] != *count) {
        failures.push(format!("{name}: {counter} {count}, not {}", status[counter]));
    }
    let texts = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    let batch = if step.kind == PodStepKind::Batch { step.pods.clone() } else { Vec::new() };
    let patched = texts(&expected["patched"]);
    let is_same = match expected["listOrderSensitive"].as_str() {
        Some("no") => batch == patched,
        Some("order") => sorted(batch.clone()) == sorted(patched.clone()),
        // The choice depends on the order of the controller's cache.
        _ => true,
    };
    if !is_same {
        failures.push(format!("{name}: {:?} {batch:?}, not {patched:?}", step.kind));
    }
    if sorted(step.not_upgradable.clone()) != sorted(texts(&expected["notUpgradable"])) {
        failures.push(format!(
            "{name}: not upgradable {:?}, not {}",
            step.not_upgradable, expected["notUpgradable"]
        ));
    }
    failures
}
