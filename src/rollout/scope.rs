//! What a rollout counts: its scope, written by Open, and what later runs hold against it. Pure.

use super::progress::RolloutProgress;
use super::types::RolloutContext;
use crate::model::ledger::{Ledger, RevisionName, RolloutScope};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The workloads that a rollout counts.
#[derive(Debug, Default)]
pub struct CountedWorkloads {
    /// Those that the target renders differently, done or not.
    pub keys: BTreeSet<Arc<str>>,
    /// Those that a person holds: a hold that came later does not take them out of the rollout's sight.
    pub held: BTreeSet<Arc<str>>,
    /// The pods of those that count, as far as known.
    pub pods: u32,
}

impl CountedWorkloads {
    /// Counts the workloads of the rollout of a ledger; nothing where none is open.
    pub fn of(context: &RolloutContext<'_>, ledger: &Ledger) -> Self {
        let Some(target) = &ledger.target else { return Self::default() };
        // A hold that is over takes nobody out of the count: no day changes what was counted.
        let state = RolloutProgress::of(context, ledger, target, None);
        Self {
            keys: state.matched.iter().map(|m| Arc::clone(m.workload.key())).collect(),
            held: state
                .held
                .iter()
                .filter(|h| h.is_in_ledger())
                .map(|h| Arc::clone(h.workload.key()))
                .collect(),
            pods: state.pods,
        }
    }

    /// Returns what Open writes of them.
    pub fn to_scope(&self, is_built: bool) -> RolloutScope {
        RolloutScope {
            workloads: u32::try_from(self.keys.len()).unwrap_or(u32::MAX),
            pods: self.pods,
            digest: self.digest(),
            is_from_build: is_built,
            removals: 0,
        }
    }

    /// Returns the digest of their keys.
    pub fn digest(&self) -> String {
        RolloutScope::digest_of(self.keys.iter().map(|key| &**key))
    }
}

/// Returns an open ledger with the workloads that are there now as its scope: what a person does who accepts that
/// some are gone. Lines of those go with them.
pub fn with_current_scope(context: &RolloutContext<'_>, ledger: &Ledger) -> Ledger {
    let mut after = super::step::without_stale_entries(context, ledger);
    after.archive_unused_revisions(context.settings.history_limit);
    // What a person has decided of removals stays decided.
    let removed = ledger.scope.as_ref().map_or(0, |scope| scope.removals);
    let counted =
        after.target.is_some().then(|| CountedWorkloads::of(context, &after).to_scope(context.is_built));
    after.scope = counted.map(|scope| RolloutScope { removals: removed, ..scope });
    after
}

/// Tells whether a rollout to `target` concerns any workload: one that carries something of the SidecarSet, or would.
pub(super) fn affects_any_workload(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    target: &RevisionName,
) -> bool {
    let workloads = context.workloads.as_slice();
    workloads.iter().any(|workload| {
        let gets =
            |revision: &RevisionName| !context.workloads.change_to(workload, &None, revision).diff.is_empty();
        workload.active_entry(ledger).is_some() || gets(target) || gets(&ledger.released)
    })
}
