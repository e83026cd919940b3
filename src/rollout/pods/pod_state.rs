//! The state of a pod under a SidecarSet: updated, ready, consistent, upgradable.

use super::pod::{PodContainerStatus, SidecarPod};
use crate::model::image::split_digest;
use crate::model::pod_annotations::{
    IN_PLACE_UPDATE_STATE, SIDECARSET_HASH, SIDECARSET_HASH_WITHOUT_IMAGE, WORKING_CONTAINERS, parse_hashes,
    parse_working_containers,
};
use crate::model::sidecar_set::{SidecarContainer, SidecarSet};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Returns whether a pod has the current revision of the set, by its annotation.
pub(super) fn is_updated(set: &SidecarSet, pod: &SidecarPod) -> bool {
    recorded_hash(pod, SIDECARSET_HASH, &set.name) == set.hash
}

/// Returns whether only images differ between a pod and the set.
pub(super) fn differs_by_images(set: &SidecarSet, pod: &SidecarPod) -> bool {
    recorded_hash(pod, SIDECARSET_HASH_WITHOUT_IMAGE, &set.name) == set.hash_without_image
}

/// Returns the hash that an annotation records for a set; empty where there is none.
fn recorded_hash(pod: &SidecarPod, annotation: &str, set: &str) -> String {
    let entries = parse_hashes(pod.annotation(annotation)).unwrap_or_default();
    entries.get(set).and_then(|e| e["hash"].as_str()).unwrap_or_default().to_owned()
}

/// Returns whether a pod is ready: it runs, its condition says so, and no hot upgrade is in progress.
///
/// Kruise v1.9.0 sidecarset_control.go IsPodReady.
pub(super) fn is_ready(set: &SidecarSet, pod: &SidecarPod) -> bool {
    let is_between = idle_containers(set, pod).any(|(container, empty_image)| {
        !empty_image.is_empty() && pod.image(&container).is_some_and(|image| image != empty_image)
    });
    !is_between && is_running_and_ready(pod)
}

/// Kruise v1.9.0 util.IsRunningAndReady.
pub(super) fn is_running_and_ready(pod: &SidecarPod) -> bool {
    pod.phase == "Running" && pod.is_ready && !pod.is_deleting
}

/// Returns the inactive container of each pair, with the empty image that it has or will get.
///
/// Kruise v1.9.0 util_hotupgrade.go GetPodHotUpgradeContainers: where the annotation does not name the first
/// container, the second one is active.
pub(super) fn idle_containers<'a>(
    set: &'a SidecarSet,
    pod: &SidecarPod,
) -> impl Iterator<Item = (String, &'a str)> {
    let working = parse_working_containers(pod.annotation(WORKING_CONTAINERS));
    set.containers.iter().filter_map(move |container| {
        let empty_image = container.hot_upgrade_empty_image.as_deref()?;
        let [first, second] = container.hot_upgrade_names();
        let idle = if working.get(&container.name) == Some(&first) { second } else { first };
        Some((idle, empty_image))
    })
}

/// Returns the names of the set's containers in pods.
pub(super) fn container_names(set: &SidecarSet) -> BTreeSet<String> {
    let names = |c: &SidecarContainer| match c.hot_upgrade_empty_image {
        Some(_) => c.hot_upgrade_names().to_vec(),
        None => vec![c.name.clone()],
    };
    set.containers.iter().flat_map(names).collect()
}

/// Returns whether containers run the images in the spec of the pod.
///
/// Kruise v1.9.0 sidecarset_control.go IsPodStateConsistent. Containers are compared by digest up to the first
/// without one; from there on it is enough that no update is in progress.
pub(super) fn is_consistent(set: &SidecarSet, pod: &SidecarPod, containers: &BTreeSet<String>) -> bool {
    if pod.containers.len() != pod.statuses.len() {
        return false;
    }
    for container in pod.containers.iter().filter(|c| containers.contains(&c.name)) {
        let Some(wanted) = split_digest(&container.image) else {
            return !is_image_change_pending(set, pod, containers);
        };
        // Of several statuses with one name, Go's map keeps the last.
        let status = pod.statuses.iter().rfind(|s| s.name == container.name);
        if status.and_then(|s| split_digest(without_scheme(&s.image_id))) != Some(wanted) {
            return false;
        }
    }
    true
}

/// `docker-pullable://busybox@sha256:…` -> `busybox@sha256:…`.
fn without_scheme(image_id: &str) -> &str {
    image_id.split("://").nth(1).unwrap_or(image_id)
}

/// Returns whether a container was given another image and still runs the previous one.
///
/// Kruise v1.9.0 IsSidecarContainerUpdateCompleted. The annotation records the image before the last update; where
/// the runtime names the image as the pod does, the update is complete, even if both images are the same.
fn is_image_change_pending(set: &SidecarSet, pod: &SidecarPod, containers: &BTreeSet<String>) -> bool {
    let Some(state) = pod.annotations.get(IN_PLACE_UPDATE_STATE) else { return false };
    let Some(before) = image_ids_before(state, &set.name) else { return true };
    let is_old = |status: &PodContainerStatus| before.get(&status.name) == Some(&status.image_id);
    let has_other_name =
        |status: &PodContainerStatus| pod.image(&status.name).unwrap_or_default() != status.image;
    let mut statuses = pod.statuses.iter().filter(|s| containers.contains(&s.name));
    statuses.any(|status| is_old(status) && has_other_name(status))
}

/// Reads the image ids that containers had before the last update for this set; None where Kruise did not write the
/// text.
fn image_ids_before(state: &str, set: &str) -> Option<BTreeMap<String, String>> {
    let states: Option<BTreeMap<String, Value>> = serde_json::from_str(state).ok()?;
    let states = states.unwrap_or_default();
    let statuses = match states.get(set) {
        None | Some(Value::Null) => return Some(BTreeMap::new()),
        Some(state) => state.as_object()?.get("lastContainerStatuses").unwrap_or(&Value::Null),
    };
    let image_id = |(name, status): (&String, &Value)| {
        let image_id = match status.as_object()?.get("imageID") {
            None | Some(Value::Null) => "",
            Some(image_id) => image_id.as_str()?,
        };
        Some((name.clone(), image_id.to_owned()))
    };
    match statuses {
        Value::Null => Some(BTreeMap::new()),
        statuses => statuses.as_object()?.iter().map(image_id).collect(),
    }
}

/// Returns whether an earlier update of a pod is still in progress: a container is ready although it does not run the
/// image in the spec of the pod.
///
/// Kruise v1.9.0 sidecarset_control.go IsSidecarSetUpgradable.
pub(super) fn is_update_in_flight(set: &SidecarSet, pod: &SidecarPod) -> bool {
    container_names(set).into_iter().any(|name| {
        let status = pod.statuses.iter().rfind(|s| s.name == name);
        status.is_some_and(|s| s.is_ready) && !is_consistent(set, pod, &[name].into())
    })
}
