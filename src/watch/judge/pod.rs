//! How does one pod do, as far as its conditions say?

use super::super::snapshot::{Phase, Pod, Role, State};
use super::words::after;
use jiff::Timestamp;

/// Tells whether a pod has come to its end: nothing of it will run again.
pub(super) fn has_ended(pod: &Pod) -> bool {
    matches!(pod.phase, Phase::Succeeded | Phase::Failed)
}

/// Returns why a pod goes for reasons that are not its own: its node, an eviction, a preemption.
pub(super) fn disturbance(pod: &Pod) -> Option<&str> {
    let said = pod.reason.as_deref().filter(|r| !r.is_empty());
    if let Some(reason) = &pod.disruption {
        return Some(reason);
    }
    match pod.phase {
        Phase::Unknown => Some(said.unwrap_or("Unknown")),
        // The kubelet and the eviction manager write a reason when they end a pod; containers that end do not.
        Phase::Failed => said,
        _ if said == Some("NodeLost") => said,
        _ if is_silent(pod) => Some("its node does not answer"),
        _ => None,
    }
}

/// The node controller of Kubernetes takes `Ready` away from the pods of a node that is not heard of, without a reason
/// and without a word about containers; a kubelet always names one.
fn is_silent(pod: &Pod) -> bool {
    let reason = pod.ready.reason.as_deref().unwrap_or_default();
    let live = || pod.containers.iter().filter(|c| c.role != Role::Init);
    pod.phase == Phase::Running
        && !pod.ready.holds
        && pod.ready.since.is_some()
        && (reason.is_empty() || reason.starts_with("NodeStatus"))
        && live().next().is_some()
        && live().all(|c| c.is_ready)
}

/// Tells whether a pod is ready, and its sidecars are.
pub(super) fn is_ready(pod: &Pod) -> bool {
    pod.ready.holds && pod.containers.iter().all(|c| c.role == Role::Init || c.is_ready)
}

/// Seconds by which the clock of a node may be behind that of the API server.
const SKEW: u64 = 30;

/// Tells whether a pod is said to have become ready before there was such a pod: that is no evidence of anything.
pub(super) fn is_ready_too_early(pod: &Pod) -> bool {
    pod.ready.holds && pod.ready.since.zip(pod.created).is_some_and(|(since, made)| after(since, SKEW) < made)
}

/// Returns since when a pod has been as it is now: no condition and no container is younger. None: it does not say.
pub(super) fn steady_since(pod: &Pod) -> Option<Timestamp> {
    pod.ready.since.filter(|_| !is_ready_too_early(pod))?;
    let starts = pod.containers.iter().filter(|c| c.role != Role::Init).filter_map(|c| started(&c.state));
    // `created` is the API server's own word, the others are those of the node.
    starts.chain(pod.ready.since).chain(pod.created).max()
}

/// Tells whether a pod that is not ready has been: `Ready` went after its containers had started.
pub(super) fn was_ready(pod: &Pod) -> bool {
    let live = pod.containers.iter().filter(|c| c.role != Role::Init);
    let starts: Option<Vec<Timestamp>> = live.map(|c| started(&c.state)).collect();
    let last = starts.and_then(|s| s.into_iter().max());
    !pod.ready.holds && last.zip(pod.ready.since).is_some_and(|(start, since)| since > start)
}

/// Returns when a container that runs has started.
pub(super) fn started(state: &State) -> Option<Timestamp> {
    match state {
        State::Running { since } => *since,
        _ => None,
    }
}

/// Returns since when a pod finds no node. None: it has one, or nobody has looked.
pub(super) fn unschedulable_since(pod: &Pod) -> Option<Timestamp> {
    let is_refused = !pod.is_scheduled
        && !pod.scheduled.holds
        && pod.scheduled.reason.as_deref() == Some("Unschedulable")
        && pod.deleted.is_none()
        && !has_ended(pod);
    if is_refused { pod.scheduled.since.or(pod.created) } else { None }
}
