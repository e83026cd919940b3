//! Compares the sidecars of a pod with those that render would write.
//!
//! What the API server, admission plugins and the kubelet add to every pod does not count; all else does, on either side.

use super::live_container::{container_differences, with_defaults};
use crate::inject::{IS_INJECTED, has_injected_mark};
use crate::model::pod_annotations::{SIDECARSET_HASH, parse_hashes};
use crate::model::sidecar_set::{SidecarContainer, SidecarSet, fill_volume};
use crate::rollout::live_fields::{FieldDifference, two_way_differences};
use serde_json::Value;
use std::collections::BTreeSet;

/// The lists of containers of a pod.
const CONTAINER_LISTS: [&str; 2] = ["initContainers", "containers"];

/// The annotation in which LimitRanger names the containers that it has given resources.
const LIMIT_RANGER: &str = "kubernetes.io/limit-ranger";

/// What has put the sidecars into a pod or a pod template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SidecarOrigin {
    /// It has none of them.
    Absent,
    /// The webhook of Kruise, which has recorded its hash.
    Webhook,
    /// A rendered pod template.
    Rendered,
    /// A person, or a program such as istioctl: they have no mark of injection.
    Foreign,
}

/// The sidecars of one SidecarSet in a pod or a pod template, beside those that render writes.
#[derive(Debug)]
pub(super) struct PodComparison {
    pub(super) origin: SidecarOrigin,
    /// The hash that Kruise has recorded.
    pub(super) hash: Option<String>,
    /// `expected` is what render writes, `live` what the pod has.
    pub(super) differences: Vec<FieldDifference>,
}

/// Compares a pod, or the pod template of a workload in the cluster, with a rendered template.
pub(super) fn compare_pod(set: &SidecarSet, rendered: &Value, pod: &Value) -> PodComparison {
    let names = container_names(set);
    let (hash, recorded_names) = recorded_hash(set, pod);
    let mut found = Vec::new();
    let (mut is_there, mut is_marked) = (names.is_empty(), names.is_empty());
    for list in CONTAINER_LISTS {
        for expected in items(rendered, list).filter(|c| names.contains(name_of(c))) {
            let path = format!("{list}[{}]", name_of(expected));
            let Some(live) = items(pod, list).find(|c| name_of(c) == name_of(expected)) else {
                found.push(FieldDifference { path, expected: Some(expected.clone()), live: None });
                continue;
            };
            is_there = true;
            is_marked |= has_injected_mark(live);
            let expected = if has_injected_mark(live) { expected.clone() } else { without_mark(expected) };
            let is_limited = is_named_by_limit_ranger(pod, name_of(live));
            found.extend(container_differences(&expected, live, is_limited).into_iter().map(|difference| {
                let path = format!("{path}.{}", difference.path);
                FieldDifference { path, ..difference }
            }));
        }
        let is_left_over = |c: &&Value| recorded_names.contains(name_of(c)) && !names.contains(name_of(c));
        found.extend(items(pod, list).filter(is_left_over).map(|live| FieldDifference {
            path: format!("{list}[{}]", name_of(live)),
            expected: None,
            live: Some(live.clone()),
        }));
    }
    let origin = match (is_there, &hash) {
        (_, Some(_)) => SidecarOrigin::Webhook,
        (false, None) => SidecarOrigin::Absent,
        (true, None) if is_marked => SidecarOrigin::Rendered,
        (true, None) => SidecarOrigin::Foreign,
    };
    if origin != SidecarOrigin::Absent {
        found.extend(order_difference(&names, rendered, pod));
        found.extend(volume_differences(set, rendered, pod));
        found.extend(secret_differences(set, pod));
        found.extend(annotation_differences(set, rendered, pod));
    }
    PodComparison { origin, hash, differences: found }
}

/// Returns the names of the containers of a SidecarSet in pods.
pub(super) fn container_names(set: &SidecarSet) -> BTreeSet<String> {
    set.init_containers.iter().chain(&set.containers).flat_map(SidecarContainer::pod_names).collect()
}

/// Returns whether a pod says that Kruise or pillion has injected a SidecarSet into it.
pub(super) fn recorded_hash(set: &SidecarSet, pod: &Value) -> (Option<String>, BTreeSet<String>) {
    let text = pod["metadata"]["annotations"][SIDECARSET_HASH].as_str().unwrap_or_default();
    let hashes = parse_hashes(text).unwrap_or_default();
    let Some(entry) = hashes.get(&set.name) else { return (None, BTreeSet::new()) };
    let names = entry["sidecarList"].as_array().into_iter().flatten().filter_map(Value::as_str);
    (entry["hash"].as_str().map(str::to_owned), names.map(str::to_owned).collect())
}

fn items<'v>(pod: &'v Value, list: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    pod["spec"][list].as_array().into_iter().flatten()
}

fn name_of(item: &Value) -> &str {
    item["name"].as_str().unwrap_or_default()
}

/// Returns a container without the variable that marks injected ones.
fn without_mark(container: &Value) -> Value {
    let mut container = container.clone();
    if let Some(env) = container.get_mut("env").and_then(Value::as_array_mut) {
        env.retain(|variable| name_of(variable) != IS_INJECTED);
    }
    container
}

fn is_named_by_limit_ranger(pod: &Value, container: &str) -> bool {
    let text = pod["metadata"]["annotations"][LIMIT_RANGER].as_str().unwrap_or_default();
    text.split([';', ' ', ',']).any(|word| word == container)
}

/// Containers start in the order of their list.
fn order_difference(names: &BTreeSet<String>, rendered: &Value, pod: &Value) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    for list in CONTAINER_LISTS {
        let [ours, theirs] = [rendered, pod].map(|of| items(of, list).map(name_of).collect::<Vec<&str>>());
        let common = |of: &[&str], other: &[&str]| -> Vec<String> {
            of.iter().filter(|name| other.contains(name)).map(|name| (*name).to_owned()).collect()
        };
        let (ours, theirs) = (common(&ours, &theirs), common(&theirs, &ours));
        if ours != theirs && ours.iter().any(|name| names.contains(name)) {
            let [expected, live] = [ours, theirs].map(|names| Some(Value::from(names)));
            found.push(FieldDifference { path: format!("{list}, their order"), expected, live });
        }
    }
    found
}

/// Compares the volumes that the SidecarSet adds.
fn volume_differences(set: &SidecarSet, rendered: &Value, pod: &Value) -> Vec<FieldDifference> {
    let added = set.volumes.iter().filter_map(|volume| volume.get("name")?.as_str());
    let added: BTreeSet<&str> = added.collect();
    let mut found = Vec::new();
    for expected in items(rendered, "volumes").filter(|volume| added.contains(name_of(volume))) {
        let path = format!("volumes[{}]", name_of(expected));
        match items(pod, "volumes").find(|volume| name_of(volume) == name_of(expected)) {
            None => found.push(FieldDifference { path, expected: Some(expected.clone()), live: None }),
            Some(live) => {
                let filled = with_defaults(expected, fill_volume);
                found.extend(two_way_differences(expected, &filled, live).into_iter().map(|difference| {
                    FieldDifference { path: format!("{path}.{}", difference.path), ..difference }
                }));
            }
        }
    }
    found
}

fn secret_differences<'s>(
    set: &'s SidecarSet,
    pod: &'s Value,
) -> impl Iterator<Item = FieldDifference> + use<'s> {
    let is_there = |name: &str| items(pod, "imagePullSecrets").any(|secret| name_of(secret) == name);
    let missing = set.image_pull_secrets.iter().filter(move |name| !is_there(name));
    missing.map(|name| FieldDifference {
        path: format!("imagePullSecrets[{name}]"),
        expected: Some(name.as_str().into()),
        live: None,
    })
}

/// Compares the annotations that the SidecarSet patches.
fn annotation_differences(set: &SidecarSet, rendered: &Value, pod: &Value) -> Vec<FieldDifference> {
    let patched = set.patch_pod_metadata.iter().flat_map(|patch| &patch.annotations);
    let keys: BTreeSet<&str> = patched.map(|(key, _)| key.as_str()).collect();
    let of = |object: &Value, key: &str| object["metadata"]["annotations"].get(key).cloned();
    let difference = |key: &str| {
        let (expected, live) = (of(rendered, key), of(pod, key));
        (expected != live).then(|| FieldDifference { path: format!("annotation {key}"), expected, live })
    };
    keys.into_iter().filter_map(difference).collect()
}
