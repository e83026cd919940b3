//! The scope of a rollout: Start records it in the ledger, and later steps are checked against it. Pure.

use super::progress::RolloutProgress;
use super::types::RolloutContext;
use crate::model::ledger::{Ledger, RevisionName, RolloutScope};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The workloads that a rollout counts.
#[derive(Debug, Default)]
pub(crate) struct CountedWorkloads {
    /// Workloads that the target renders differently, done or not.
    pub(crate) keys: BTreeSet<Arc<str>>,
    /// Workloads that a person holds: a later hold does not remove them from the scope.
    pub(crate) held: BTreeSet<Arc<str>>,
    /// The pods of those that count, as far as known.
    pub(crate) pods: u32,
}

impl CountedWorkloads {
    /// Counts the workloads of the rollout of a ledger; none where no rollout is open.
    pub(crate) fn of(context: &RolloutContext<'_>, ledger: &Ledger) -> Self {
        let Some(target) = &ledger.target else { return Self::default() };
        // Expired holds count too: the scope does not depend on the date.
        let state = RolloutProgress::of(context, ledger, target, None);
        // Nor does it depend on SidecarOverrides, which come and go with their applications.
        let by_overrides = state.held.iter().filter(|h| h.override_hold.is_some()).map(|h| h.workload.key());
        Self {
            keys: state.matched.iter().map(|m| m.workload.key()).chain(by_overrides).cloned().collect(),
            held: state
                .held
                .iter()
                .filter(|h| h.is_in_ledger())
                .map(|h| Arc::clone(h.workload.key()))
                .collect(),
            pods: state.pods,
        }
    }

    /// Returns the scope that Start records.
    pub(crate) fn to_scope(&self, is_built: bool) -> RolloutScope {
        RolloutScope {
            workloads: u32::try_from(self.keys.len()).unwrap_or(u32::MAX),
            pods: self.pods,
            digest: self.digest(),
            is_from_build: is_built,
            removals: 0,
        }
    }

    /// Returns the digest of their keys.
    pub(crate) fn digest(&self) -> String {
        RolloutScope::digest_of(self.keys.iter().map(|key| &**key))
    }
}

/// Returns an open ledger with the present workloads as its scope, without the entries of missing ones:
/// `--accept-missing`.
pub(crate) fn with_current_scope(context: &RolloutContext<'_>, ledger: &Ledger) -> Ledger {
    let mut after = context.without_stale_entries(ledger);
    after.archive_unused_revisions(context.settings.history_limit);
    // Removals that a person allowed stay allowed.
    let removed = ledger.scope.as_ref().map_or(0, |scope| scope.removals);
    let counted =
        after.target.is_some().then(|| CountedWorkloads::of(context, &after).to_scope(context.is_built));
    after.scope = counted.map(|scope| RolloutScope { removals: removed, ..scope });
    after
}

/// Returns whether a rollout to `target` affects any workload: one that has a revision of the SidecarSet, or would
/// get one.
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
