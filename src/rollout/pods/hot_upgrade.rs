//! The second step of a hot upgrade: the previously active container gets the empty image.

use super::pod::SidecarPod;
use super::pod_state::{container_names, idle_containers, is_consistent, is_running_and_ready};
use crate::model::sidecar_set::SidecarSet;
use std::collections::BTreeSet;

/// Returns whether a pod is between the two steps of a hot upgrade and ready for the second.
///
/// Kruise v1.9.0 sidecarset_processor.go UpdateSidecarSet and sidecarset_hotupgrade.go.
pub(super) fn can_swap_images(set: &SidecarSet, pod: &SidecarPod) -> bool {
    let idle: Vec<(String, &str)> = idle_containers(set, pod).collect();
    let is_between =
        idle.iter().any(|(name, empty_image)| pod.image(name).unwrap_or_default() != *empty_image);
    if !is_between {
        return false;
    }
    let idle: BTreeSet<String> = idle.into_iter().map(|(name, _)| name).collect();
    let rest: BTreeSet<String> = container_names(set).difference(&idle).cloned().collect();
    let all_ready = || pod.statuses.iter().filter(|s| !idle.contains(&s.name)).all(|s| s.is_ready);
    is_consistent(set, pod, &rest) && (is_running_and_ready(pod) || all_ready())
}
