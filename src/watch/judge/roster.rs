//! Which pods of a workload carry what git says, and which count for what?

use super::super::released::Expected;
use super::super::snapshot::{Pod, Workload};
use super::carries::{Carries, carries, is_bare, is_done};
use super::pod;

/// A pod with its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// The pod.
    pub pod: &'a Pod,
    /// It is ready, and runs what it is asked to run.
    pub is_ready: bool,
}

/// The pods of a workload, by what they are to a rollout. All lists are in the order of names.
#[derive(Debug, Clone, Default)]
pub(super) struct Roster<'a> {
    /// Those that carry what git says and are to stay.
    pub carrying: Vec<Member<'a>>,
    /// Those that carry it and are on their way out.
    pub leaving: Vec<Member<'a>>,
    /// Those that carry it and were ended by their node.
    pub taken: Vec<Member<'a>>,
    /// Those with another template that are to stay: what is broken there was so before.
    pub before: Vec<Member<'a>>,
    /// A bare pod that has run to its end.
    pub is_over: bool,
    /// What changes pods as they are made, where that is seen.
    pub changed: Option<String>,
}

/// Sorts the pods of a workload.
pub(super) fn roster<'a>(expected: &Expected, live: &'a Workload) -> Roster<'a> {
    let mut found = Roster::default();
    for (name, pod) in &live.pods {
        let carries = carries(expected, live, pod);
        let is_target = carries == Carries::Target;
        if let Carries::Changed(text) = carries {
            found.changed.get_or_insert(text);
        }
        let is_ready = pod::is_ready(pod) && is_done(expected, live, pod);
        let member = Member { name, pod, is_ready };
        let has_ended = pod::has_ended(pod);
        match (is_target, has_ended, pod.deleted.is_some()) {
            (true, true, _) if pod::disturbance(pod).is_some() => found.taken.push(member),
            (true, true, _) if is_bare(expected) => found.is_over = true,
            (true, false, true) => found.leaving.push(member),
            (true, false, false) => found.carrying.push(member),
            (false, false, false) => found.before.push(member),
            _ => {}
        }
    }
    found
}

impl Roster<'_> {
    /// Returns how many pods carry what git says.
    pub(super) fn carrying(&self) -> u32 {
        number(self.carrying.len())
    }

    /// Returns how many of them are ready.
    pub(super) fn ready(&self) -> u32 {
        number(self.carrying.iter().filter(|m| m.is_ready).count())
    }

    /// Returns how many pods use up `maxUnavailable`. A pod that its node has ended counts until another one is there,
    /// as far as the kind says how many there are to be.
    pub(super) fn unavailable(&self, expected: &Expected, live: &Workload) -> u32 {
        let wanted = live.desired.unwrap_or(0).saturating_sub(expected.kept);
        let missing = wanted.saturating_sub(self.carrying());
        (self.carrying() - self.ready())
            .saturating_add(number(self.leaving.len()))
            .saturating_add(number(self.taken.len()).min(missing))
    }
}

/// Returns how many pods are to carry what git says. Where a kind does not say how many it has, they are those that
/// are there.
pub(super) fn wanted(expected: &Expected, live: &Workload, roster: &Roster<'_>) -> u32 {
    let desired =
        live.desired.unwrap_or_else(|| roster.carrying().saturating_add(number(roster.before.len())));
    desired.saturating_sub(expected.kept)
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
