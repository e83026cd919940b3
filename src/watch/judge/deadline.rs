//! How long may a workload take? Counted from its last progress, in the API server's time where that says anything.

use super::super::released::Expected;
use super::super::snapshot::{Container, Role, State, Workload};
use super::Limits;
use super::carries::{find, is_bare};
use super::image;
use super::pod;
use super::roster::{Member, Roster};
use super::target::sidecars;
use super::words::after;
use crate::plan::how::How;
use jiff::Timestamp;

/// Returns when the time of a workload is up. None: nothing says when it began.
///
/// It runs from the newest of: its template, a pod of it, a container changed in place, the last moment of a pod on
/// its way out. Readiness that comes and goes does not start it again.
pub(super) fn deadline(
    expected: &Expected,
    goes_back: bool,
    live: &Workload,
    roster: &Roster<'_>,
    limits: &Limits,
) -> Option<Timestamp> {
    let start = start(expected, goes_back, live, roster)?;
    let own = live.progress_deadline.map_or(0, u64::from);
    let rounds = u64::from(live.min_ready);
    // Pods that have been ready had the soak still before them.
    let mut late = roster.carrying.iter().filter(|m| !m.is_ready).peekable();
    let has_flapped = late.peek().is_some() && late.all(|m| pod::was_ready(m.pod));
    let soak = if has_flapped { limits.soak } else { 0 };
    let limit = limits.progress_deadline.max(own).saturating_add(rounds).saturating_add(soak);
    Some(after(start, limit))
}

fn start(expected: &Expected, goes_back: bool, live: &Workload, roster: &Roster<'_>) -> Option<Timestamp> {
    let in_place = expected.how == How::InPlace;
    if in_place && is_bare(expected) && is_untouched(expected, roster) {
        return None;
    }
    // A revision that comes back is as old as it was.
    let revision = live.revision_created.filter(|_| !goes_back || live.changed.is_some());
    let made = roster.carrying.iter().filter_map(|m| m.pod.created);
    let touched = roster.carrying.iter().filter(|_| in_place).flat_map(|m| {
        let containers = sidecars(expected).into_iter().filter_map(|s| find(m.pod, s.name, s.is_init));
        let ended = |c: &Container| c.last_end.as_ref().and_then(|end| end.finished);
        let times = containers.filter_map(|c| pod::started(&c.state).max(ended(c)));
        times.chain(m.pod.changed).collect::<Vec<_>>()
    });
    // Pods with whatever template that are on their way out may take the time that they were given.
    let leaving = live.pods.values().filter_map(|p| p.deleted);
    made.chain(touched).chain(leaving).chain(revision).chain(live.changed).max()
}

/// A bare pod is as old as it is, and so are its containers, until the kubelet takes up what was changed.
fn is_untouched(expected: &Expected, roster: &Roster<'_>) -> bool {
    let runs_before = |m: &Member<'_>| {
        let containers = sidecars(expected).into_iter().filter_map(|s| find(m.pod, s.name, s.is_init));
        let is_other = |c: &Container| {
            let running = c.running_image.as_deref();
            c.role != Role::Init
                && matches!(c.state, State::Running { .. })
                && running.is_some_and(|image| !image::is_same(image, &c.image))
        };
        m.pod.changed.is_none() && (m.pod.is_unseen || containers.into_iter().any(is_other))
    };
    roster.carrying.iter().any(runs_before)
}
