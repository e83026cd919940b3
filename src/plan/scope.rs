//! What a rollout counts: its scope, written by Open, and what later runs hold against it. Pure.

use super::state::State;
use super::step::Course;
use crate::model::ledger::{Ledger, Name, Scope};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The workloads that a rollout counts.
#[derive(Debug, Default)]
pub struct Counted {
    /// Those that the target renders differently, done or not.
    pub keys: BTreeSet<Arc<str>>,
    /// Those that a person holds: a hold that came later does not take them out of the rollout's sight.
    pub held: BTreeSet<Arc<str>>,
    /// The pods of those that count, as far as known.
    pub pods: u32,
}

impl Counted {
    /// Counts the workloads of the rollout of a ledger; nothing where none is open.
    pub fn of(course: &Course<'_>, ledger: &Ledger) -> Self {
        let Some(target) = &ledger.target else { return Self::default() };
        // A hold that is over takes nobody out of the count: no day changes what was counted.
        let state = State::of(course, ledger, target, None);
        Self {
            keys: state.matched.iter().map(|m| Arc::clone(m.unit.key())).collect(),
            held: state.held.iter().filter(|h| h.is_written()).map(|h| Arc::clone(h.unit.key())).collect(),
            pods: state.pods,
        }
    }

    /// Returns what Open writes of them.
    pub fn scope(&self, is_built: bool) -> Scope {
        Scope {
            workloads: u32::try_from(self.keys.len()).unwrap_or(u32::MAX),
            pods: self.pods,
            digest: self.digest(),
            is_built,
            removed: 0,
        }
    }

    /// Returns the digest of their keys.
    pub fn digest(&self) -> String {
        Scope::digest_of(self.keys.iter().map(|key| &**key))
    }
}

/// Returns an open ledger with the workloads that are there now as its scope: what a person does who accepts that
/// some are gone. Lines of those go with them.
pub fn recounted(course: &Course<'_>, ledger: &Ledger) -> Ledger {
    let mut after = super::step::cleaned(course, ledger);
    after.settle_revisions(course.settings.history_limit);
    // What a person has decided of removals stays decided.
    let removed = ledger.scope.as_ref().map_or(0, |scope| scope.removed);
    let counted = after.target.is_some().then(|| Counted::of(course, &after).scope(course.is_built));
    after.scope = counted.map(|scope| Scope { removed, ..scope });
    after
}

/// Tells whether a rollout to `target` concerns any workload: one that carries something of the SidecarSet, or would.
pub(super) fn is_anyone_concerned(course: &Course<'_>, ledger: &Ledger, target: &Name) -> bool {
    let units = course.fleet.units();
    units.iter().any(|unit| {
        let gets = |revision: &Name| !course.fleet.change(unit, &None, revision).difference.is_empty();
        unit.line(ledger).is_some() || gets(target) || gets(&ledger.released)
    })
}
