//! How long may a workload take? Counted from its last progress, in the API server's time where that says anything.

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

/// Returns when the time of a workload is up. None: nothing says when it began.
///
/// It runs from the newest of: its template, a pod of it, a container changed in place, the last moment of a pod on
/// its way out. Readiness that comes and goes does not start it again.
pub(super) fn workload_deadline(
    expected: &ExpectedWorkload,
    goes_back: bool,
    live: &LiveWorkload,
    roster: &PodSet<'_>,
    limits: &HealthLimits,
) -> Option<Timestamp> {
    let start = progress_start(expected, goes_back, live, roster)?;
    let own = live.progress_deadline.map_or(0, u64::from);
    let rounds = u64::from(live.min_ready_seconds);
    // Pods that have been ready had the soak still before them.
    let mut late = roster.updated.iter().filter(|m| !m.is_ready).peekable();
    let has_flapped = late.peek().is_some() && late.all(|m| pod::was_ready(m.pod));
    let soak = if has_flapped { limits.soak } else { 0 };
    let limit = limits.progress_deadline.max(own).saturating_add(rounds).saturating_add(soak);
    Some(add_seconds(start, limit))
}

fn progress_start(
    expected: &ExpectedWorkload,
    goes_back: bool,
    live: &LiveWorkload,
    roster: &PodSet<'_>,
) -> Option<Timestamp> {
    let in_place = expected.update_method == UpdateMethod::InPlace;
    if in_place && is_bare_pod(expected) && is_update_pending(expected, roster) {
        return None;
    }
    // A revision that comes back is as old as it was.
    let revision = live.revision_created.filter(|_| !goes_back || live.spec_changed.is_some());
    let made = roster.updated.iter().filter_map(|m| m.pod.created);
    let touched = roster.updated.iter().filter(|_| in_place).flat_map(|m| {
        let containers =
            expected_sidecars(expected).into_iter().filter_map(|s| find_container(m.pod, s.name, s.is_init));
        let ended = |c: &LiveContainer| c.last_termination.as_ref().and_then(|end| end.finished_at);
        let times = containers.filter_map(|c| pod::started_at(&c.state).max(ended(c)));
        times.chain(m.pod.updated_in_place).collect::<Vec<_>>()
    });
    // Pods with whatever template that are on their way out may take the time that they were given.
    let leaving = live.pods.values().filter_map(|p| p.deletion_time);
    made.chain(touched).chain(leaving).chain(revision).chain(live.spec_changed).max()
}

/// A bare pod is as old as it is, and so are its containers, until the kubelet takes up what was changed.
fn is_update_pending(expected: &ExpectedWorkload, roster: &PodSet<'_>) -> bool {
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
    roster.updated.iter().any(runs_before)
}
