//! Computes a workload's progress deadline and the end of its soak, by the API server's clock where possible.

use super::super::expected_state::ExpectedWorkload;
use super::super::snapshot::{ContainerRole, ContainerState, LiveContainer, LiveWorkload};
use super::HealthLimits;
use super::expected_sidecars::expected_sidecars;
use super::format::add_seconds;
use super::image;
use super::pod;
use super::pod_set::{ClassifiedPod, PodSet};
use super::revision_match::{find_container, is_bare_pod};
use crate::rollout::update_method::UpdateMethod;
use jiff::Timestamp;

/// Returns the deadline of a workload. None: nothing says when the update began.
///
/// It counts from the newest of: the template, a pod, a container changed in place, the end of a terminating pod's
/// grace period. Readiness that comes and goes does not restart it.
pub(super) fn workload_deadline(
    expected: &ExpectedWorkload,
    is_rollback: bool,
    live: &LiveWorkload,
    pods: &PodSet<'_>,
    limits: &HealthLimits,
) -> Option<Timestamp> {
    let start = progress_start(expected, is_rollback, live, pods)?;
    let own = live.progress_deadline.map_or(0, u64::from);
    let rounds = u64::from(live.min_ready_seconds);
    // Pods that were ready before still have the soak ahead of them.
    let mut late = pods.updated.iter().filter(|m| !m.is_ready).peekable();
    let has_flapped = late.peek().is_some() && late.all(|m| pod::was_ready(m.pod));
    let soak = if has_flapped { limits.soak } else { 0 };
    let limit = limits.progress_deadline.max(own).saturating_add(rounds).saturating_add(soak);
    Some(add_seconds(start, limit))
}

fn progress_start(
    expected: &ExpectedWorkload,
    is_rollback: bool,
    live: &LiveWorkload,
    pods: &PodSet<'_>,
) -> Option<Timestamp> {
    let in_place = expected.update_method == UpdateMethod::InPlace;
    if in_place && is_bare_pod(expected) && is_update_pending(expected, pods) {
        return None;
    }
    // A revision that is reused is as old as its first use.
    let revision = live.revision_created.filter(|_| !is_rollback || live.spec_changed.is_some());
    let made = pods.updated.iter().filter_map(|m| m.pod.created);
    let touched = pods.updated.iter().filter(|_| in_place).flat_map(|m| {
        let containers =
            expected_sidecars(expected).into_iter().filter_map(|s| find_container(m.pod, s.name, s.is_init));
        let ended = |c: &LiveContainer| c.last_termination.as_ref().and_then(|end| end.finished_at);
        let times = containers.filter_map(|c| pod::started_at(&c.state).max(ended(c)));
        times.chain(m.pod.updated_in_place).collect::<Vec<_>>()
    });
    // Terminating pods may use their grace period, whatever their template.
    let leaving = live.pods.values().filter_map(|p| p.deletion_time);
    made.chain(touched).chain(leaving).chain(revision).chain(live.spec_changed).max()
}

/// A bare pod and its containers keep their times until the kubelet applies the change.
fn is_update_pending(expected: &ExpectedWorkload, pods: &PodSet<'_>) -> bool {
    let runs_before = |m: &ClassifiedPod<'_>| {
        let containers =
            expected_sidecars(expected).into_iter().filter_map(|s| find_container(m.pod, s.name, s.is_init));
        let is_other = |c: &LiveContainer| {
            let running = c.running_image.as_deref();
            c.role != ContainerRole::Init
                && matches!(c.state, ContainerState::Running { .. })
                && running.is_some_and(|image| !image::is_same_image(image, &c.image))
        };
        m.pod.updated_in_place.is_none()
            && (m.pod.is_update_unobserved || containers.into_iter().any(is_other))
    };
    pods.updated.iter().any(runs_before)
}

/// Returns when all updated pods have been healthy for the soak, counted from the latest readiness transition or
/// container start.
///
/// In a rollback only `minReadySeconds` counts.
pub(super) fn soak_until(
    pods: &PodSet<'_>,
    min_ready: u32,
    is_rollback: bool,
    limits: &HealthLimits,
    now: Timestamp,
) -> Timestamp {
    let soak = if is_rollback { 0 } else { limits.soak };
    // A pod without a time of readiness counts as ready since now.
    let youngest = pods.updated.iter().map(|m| pod::steady_since(m.pod).unwrap_or(now)).max();
    add_seconds(youngest.unwrap_or(now), soak.max(u64::from(min_ready)))
}
