//! Compares a workload in the cluster with the rendered one, and checks observedGeneration.

use super::super::expected_state::{ExpectedSet, ExpectedWorkload};
use super::super::snapshot::LiveWorkload;
use super::expected_sidecars::{CONTAINER_LISTS, expected_sidecars};
use crate::rollout::live_fields::field_differences;
use serde_json::{Map, Value};

/// The fields of `updateStrategy` that decide which pods of a SidecarSet are updated.
const STRATEGY_FIELDS: [&str; 3] = ["partition", "paused", "selector"];

/// Whether the cluster matches git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SyncStatus {
    /// It does, and the controller has observed it.
    Synced,
    /// It does, but the controller has not observed it yet.
    Unobserved(String),
    /// It does not.
    OutOfSync(String),
}

/// Compares a workload in the cluster with git.
pub(super) fn sync_status(expected: &ExpectedWorkload, live: &LiveWorkload) -> SyncStatus {
    let template = live.template.as_deref().and_then(|t| serde_json::from_str::<Value>(t.get()).ok());
    let Some(template) = template else {
        return SyncStatus::OutOfSync("not applied: its pod template cannot be read".to_owned());
    };
    let missing = match &expected.set {
        Some(set) => set_difference(expected, set, live, &template),
        None => sidecar_difference(expected, &template)
            .or_else(|| leftover_container(expected, &template))
            .or_else(|| partition_difference(expected, live)),
    };
    if let Some(missing) = missing {
        return SyncStatus::OutOfSync(format!("not applied: {missing}"));
    }
    match live.observed_generation {
        Some(seen) if seen < live.generation => SyncStatus::Unobserved(format!(
            "its controller has not observed generation {} yet (observed: {seen})",
            live.generation
        )),
        _ => SyncStatus::Synced,
    }
}

/// Compares a SidecarSet in the cluster with git: its content by Kruise's hash, and what decides which pods are updated.
fn set_difference(
    expected: &ExpectedWorkload,
    set: &ExpectedSet,
    live: &LiveWorkload,
    template: &Value,
) -> Option<String> {
    match live.update_revision.as_deref() {
        Some(hash) if *hash == *set.hash => {}
        Some(_) => return Some("the SidecarSet has other containers in the cluster than in git".to_owned()),
        None => return Some("the SidecarSet has no hash of Kruise's webhook".to_owned()),
    }
    let [in_git, live] = [&expected.template, template].map(|object| &object["spec"]["updateStrategy"]);
    let differing = STRATEGY_FIELDS.into_iter().find(|field| {
        let [a, b] = [in_git, live].map(|strategy| normal_field(&strategy[*field]));
        a != b
    })?;
    let shown = |strategy: &Value| match normal_field(&strategy[differing]) {
        Value::Null => "not set".to_owned(),
        value => value.to_string(),
    };
    let [in_git, live] = [in_git, live].map(shown);
    Some(format!("its `updateStrategy.{differing}` is {live} in the cluster, {in_git} in git"))
}

/// Returns the value of a field of a strategy; one that has no effect is null.
fn normal_field(value: &Value) -> Value {
    match value {
        Value::Bool(false) => Value::Null,
        Value::Number(number) if number.as_i64() == Some(0) => Value::Null,
        Value::String(text) if text == "0" || text == "0%" => Value::Null,
        // Kruise's type writes an empty list where there is none.
        Value::Object(fields) => {
            let kept = fields.iter().map(|(key, value)| (key.clone(), normal_field(value)));
            let kept: Map<String, Value> = kept.filter(|(_, value)| !value.is_null()).collect();
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        other => other.clone(),
    }
}

fn find_by_name<'a>(template: &'a Value, list: &str, name: &str) -> Option<&'a Value> {
    template["spec"][list].as_array()?.iter().find(|c| c["name"] == name)
}

fn sidecar_difference(expected: &ExpectedWorkload, template: &Value) -> Option<String> {
    expected_sidecars(expected).into_iter().find_map(|sidecar| {
        let list = if sidecar.is_init { "initContainers" } else { "containers" };
        let Some(live) = find_by_name(template, list, sidecar.name) else {
            return Some(format!("the cluster has no container {} in `{list}`", sidecar.name));
        };
        let path = field_differences(sidecar.container, live).into_iter().next()?.path;
        Some(match (path.as_str(), live["image"].as_str()) {
            ("image", Some(image)) => {
                format!("{} is {image} in the cluster, {} in git", sidecar.name, sidecar.image)
            }
            _ => format!("`{path}` of {} differs from git", sidecar.name),
        })
    })
}

fn leftover_container(expected: &ExpectedWorkload, template: &Value) -> Option<String> {
    let is_there =
        |name: &str| CONTAINER_LISTS.iter().any(|(list, _)| find_by_name(template, list, name).is_some());
    let name = expected.removed_sidecars.iter().find(|name| is_there(name))?;
    Some(format!("the cluster still has the container {name}"))
}

fn partition_difference(expected: &ExpectedWorkload, live: &LiveWorkload) -> Option<String> {
    let text = live.partition.as_deref().map_or("0", |p| p.get().trim());
    let text = if text == "null" { "0" } else { text };
    // The API server may hold an IntOrString in either form.
    let number = text.trim_matches('"').parse::<u32>().ok();
    let (is_gap, in_git) = match (expected.partition, expected.native_partition.as_deref()) {
        (Some(in_git), _) => (number != Some(in_git), in_git.to_string()),
        // The previous batch has split it, always by a number.
        (None, Some(own)) => {
            let is_more = |number: u32| own.parse::<u32>().map_or(true, |own| number > own);
            (number.is_some_and(is_more), own.to_owned())
        }
        (None, None) => return None,
    };
    is_gap.then(|| format!("its partition is {text} in the cluster, {in_git} in git"))
}
