//! How a pod stands to a set: updated, ready, consistent, upgradable.

use super::pod::{PodContainerStatus, SidecarPod};
use crate::model::image::split_digest;
use crate::model::pod_annotations::{
    IN_PLACE_UPDATE_STATE, SIDECARSET_HASH, SIDECARSET_HASH_WITHOUT_IMAGE, WORKING_CONTAINERS, parse_hashes,
    parse_working_containers,
};
use crate::model::sidecar_set::{SidecarContainer, SidecarSet};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Tells whether a pod has the set's current revision, as far as its annotation says.
pub(super) fn is_updated(set: &SidecarSet, pod: &SidecarPod) -> bool {
    recorded_hash(pod, SIDECARSET_HASH, &set.name) == set.hash
}

/// Tells whether nothing but images differs between what a pod has and the set.
pub(super) fn differs_by_images(set: &SidecarSet, pod: &SidecarPod) -> bool {
    recorded_hash(pod, SIDECARSET_HASH_WITHOUT_IMAGE, &set.name) == set.hash_without_image
}

/// Returns the hash that an annotation records for a set; empty where there is none.
fn recorded_hash(pod: &SidecarPod, annotation: &str, set: &str) -> String {
    let entries = parse_hashes(pod.annotation(annotation)).unwrap_or_default();
    entries.get(set).and_then(|e| e["hash"].as_str()).unwrap_or_default().to_owned()
}

/// Tells whether a pod is ready: it runs, its condition says so, and no hot upgrade is between its two steps.
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

/// Returns the container of each pair that does not work, with the empty image that it has or will get.
///
/// Kruise v1.9.0 util_hotupgrade.go GetPodHotUpgradeContainers: where the annotation does not name the first
/// container, the second one works.
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

/// Returns the names that the set's containers have in pods.
pub(super) fn container_names(set: &SidecarSet) -> BTreeSet<String> {
    let names = |c: &SidecarContainer| match c.hot_upgrade_empty_image {
        Some(_) => c.hot_upgrade_names().to_vec(),
        None => vec![c.name.clone()],
    };
    set.containers.iter().flat_map(names).collect()
}

/// Tells whether the given containers run the images that the pod asks for.
///
/// Kruise v1.9.0 sidecarset_control.go IsPodStateConsistent. Containers are compared by digest up to the first that
/// is not named by one; then it is enough that no update is seen to be under way.
pub(super) fn is_consistent(set: &SidecarSet, pod: &SidecarPod, containers: &BTreeSet<String>) -> bool {
    if pod.containers.len() != pod.statuses.len() {
        return false;
    }
    for container in pod.containers.iter().filter(|c| containers.contains(&c.name)) {
        let Some(wanted) = split_digest(&container.image) else {
            return !is_image_change_pending(set, pod, containers);
        };
        // Of several statuses with one name Go's map keeps the last.
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

/// Tells whether a container was given another image and still runs what it ran before.
///
/// Kruise v1.9.0 IsSidecarContainerUpdateCompleted. The annotation keeps what was there before the last update; a
/// runtime that calls the image as the pod does is done, even if the two images are the same.
fn is_image_change_pending(set: &SidecarSet, pod: &SidecarPod, containers: &BTreeSet<String>) -> bool {
    let Some(state) = pod.annotations.get(IN_PLACE_UPDATE_STATE) else { return false };
    let Some(before) = image_ids_before(state, &set.name) else { return true };
    let is_old = |status: &PodContainerStatus| before.get(&status.name) == Some(&status.image_id);
    let has_other_name =
        |status: &PodContainerStatus| pod.image(&status.name).unwrap_or_default() != status.image;
    let mut statuses = pod.statuses.iter().filter(|s| containers.contains(&s.name));
    statuses.any(|status| is_old(status) && has_other_name(status))
}

/// Reads the image ids that containers had before the last update for this set; None where the text is not what
/// Kruise writes.
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

/// Tells whether an earlier update of a pod is still under way: a container is ready though it does not run what the
/// pod asks for.
///
/// Kruise v1.9.0 sidecarset_control.go IsSidecarSetUpgradable.
pub(super) fn is_update_in_flight(set: &SidecarSet, pod: &SidecarPod) -> bool {
    container_names(set).into_iter().any(|name| {
        let status = pod.statuses.iter().rfind(|s| s.name == name);
        status.is_some_and(|s| s.is_ready) && !is_consistent(set, pod, &[name].into())
    })
}
