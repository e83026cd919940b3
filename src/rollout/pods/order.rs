//! The default order in which pods are updated: the least useful ones first.

use super::pod::{PodContainerStatus, SidecarPod};
use crate::model::timestamp::Timestamp;
use std::cmp::{Ordering, Reverse};

/// Compares two pods: the smaller one is updated first.
///
/// Kubernetes v1.32 controller.ActivePods. Where it leaves two pods equal, Kruise takes them in any order; here
/// namespace and name decide.
pub(super) fn compare_pods(a: &SidecarPod, b: &SidecarPod) -> Ordering {
    a.has_node
        .cmp(&b.has_node)
        .then_with(|| phase_rank(a).cmp(&phase_rank(b)))
        .then_with(|| a.is_ready.cmp(&b.is_ready))
        .then_with(|| if a.is_ready { latest_first(a.ready_since, b.ready_since) } else { Ordering::Equal })
        .then_with(|| max_restarts(&b.statuses).cmp(&max_restarts(&a.statuses)))
        .then_with(|| b.native_restarts.cmp(&a.native_restarts))
        .then_with(|| latest_first(a.created, b.created))
        .then_with(|| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)))
}

/// Phases other than the three count as Pending.
fn phase_rank(pod: &SidecarPod) -> u8 {
    match &*pod.phase {
        "Unknown" => 1,
        "Running" => 2,
        _ => 0,
    }
}

/// Returns the most restarts of a container. Kubernetes v1.32 controller_utils.go maxContainerRestarts: native
/// sidecars are compared only where the others are equal.
fn max_restarts(statuses: &[PodContainerStatus]) -> i64 {
    statuses.iter().map(|s| s.restarts).fold(0, i64::max)
}

/// An absent time precedes all others.
fn latest_first(a: Option<Timestamp>, b: Option<Timestamp>) -> Ordering {
    let key = |time: Option<Timestamp>| time.map(Reverse);
    key(a).cmp(&key(b))
}
