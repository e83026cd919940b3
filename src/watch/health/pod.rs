//! Health of one pod, from its conditions.

use super::super::snapshot::{ContainerRole, ContainerState, LivePod, PodPhase};
use super::format::add_seconds;
use jiff::Timestamp;

/// Returns the reason if a pod ends because of its node, an eviction or a preemption.
pub(super) fn disruption(pod: &LivePod) -> Option<&str> {
    let reason = pod.reason.as_deref().filter(|r| !r.is_empty());
    if let Some(reason) = &pod.disruption {
        return Some(reason);
    }
    match pod.phase {
        PodPhase::Unknown => Some(reason.unwrap_or("Unknown")),
        // The kubelet and the eviction manager set a reason when they end a pod; exiting containers do not.
        PodPhase::Failed => reason,
        _ if reason == Some("NodeLost") => reason,
        _ if is_node_unreachable(pod) => Some("its node is unreachable"),
        _ => None,
    }
}

/// The node controller of Kubernetes sets `Ready` to False on the pods of an unreachable node, without a reason and
/// without changing containers; a kubelet always sets a reason.
fn is_node_unreachable(pod: &LivePod) -> bool {
    let reason = pod.ready.reason.as_deref().unwrap_or_default();
    let main_containers = || pod.containers.iter().filter(|c| c.role != ContainerRole::Init);
    pod.phase == PodPhase::Running
        && !pod.ready.is_true
        && pod.ready.since.is_some()
        && (reason.is_empty() || reason.starts_with("NodeStatus"))
        && main_containers().next().is_some()
        && main_containers().all(|c| c.is_ready)
}

/// Returns whether a pod and its sidecars are ready.
pub(super) fn is_ready(pod: &LivePod) -> bool {
    pod.ready.is_true && pod.containers.iter().all(|c| c.role == ContainerRole::Init || c.is_ready)
}

/// Seconds by which the clock of a node may be behind that of the API server.
const CLOCK_SKEW_SECONDS: u64 = 30;

/// Returns whether a pod became ready before it was created: its times prove nothing.
pub(super) fn is_ready_before_creation(pod: &LivePod) -> bool {
    pod.ready.is_true
        && pod
            .ready
            .since
            .zip(pod.created)
            .is_some_and(|(since, made)| add_seconds(since, CLOCK_SKEW_SECONDS) < made)
}

/// Returns since when a pod is unchanged: no condition and no container is younger. None: it does not say.
pub(super) fn steady_since(pod: &LivePod) -> Option<Timestamp> {
    pod.ready.since.filter(|_| !is_ready_before_creation(pod))?;
    let starts =
        pod.containers.iter().filter(|c| c.role != ContainerRole::Init).filter_map(|c| started_at(&c.state));
    // `created` comes from the API server, the others from the node.
    starts.chain(pod.ready.since).chain(pod.created).max()
}

/// Returns whether an unready pod was ready before: `Ready` was lost after its containers had started.
pub(super) fn was_ready(pod: &LivePod) -> bool {
    let main_containers = pod.containers.iter().filter(|c| c.role != ContainerRole::Init);
    let starts: Option<Vec<Timestamp>> = main_containers.map(|c| started_at(&c.state)).collect();
    let last = starts.and_then(|s| s.into_iter().max());
    !pod.ready.is_true && last.zip(pod.ready.since).is_some_and(|(start, since)| since > start)
}

/// Returns when a running container was started.
pub(super) fn started_at(state: &ContainerState) -> Option<Timestamp> {
    match state {
        ContainerState::Running { since } => *since,
        _ => None,
    }
}

/// Returns since when a pod is unschedulable. None: it has a node, or the scheduler has not tried yet.
pub(super) fn unschedulable_since(pod: &LivePod) -> Option<Timestamp> {
    let is_refused = !pod.is_scheduled
        && !pod.scheduled.is_true
        && pod.scheduled.reason.as_deref() == Some("Unschedulable")
        && pod.deletion_time.is_none()
        && !pod.has_ended();
    if is_refused { pod.scheduled.since.or(pod.created) } else { None }
}
