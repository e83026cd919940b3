//! Computes how many pods are unavailable at once when one commit changes a ledger.

use super::progress::RolloutProgress;
use super::types::RolloutContext;
use super::workload_set::PlannedWorkload;
use super::{saturating_sum, to_u32};
use crate::model::ledger::{Ledger, LedgerEntry};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The pods that are unavailable at once when one commit changes the revisions of workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unavailability {
    /// The changed workloads.
    pub(crate) workloads: usize,
    /// The most pods that are unavailable at once; None: it depends on an unknown replica count.
    pub(crate) unavailable_pods: Option<u32>,
    /// The `maxUnavailable` of the SidecarSet; None: it is not set.
    pub(crate) max_unavailable: Option<u32>,
}

impl Unavailability {
    /// Returns whether `maxUnavailable` allows it. A single workload is always a batch of its own.
    pub(crate) fn is_allowed(&self) -> bool {
        match (self.max_unavailable, self.unavailable_pods) {
            (None, _) => true,
            _ if self.workloads <= 1 => true,
            (Some(bound), Some(down)) => down <= bound,
            (Some(_), None) => false,
        }
    }
}

/// Returns how many pods are unavailable at once when `after` replaces `before`, both of the same rollout.
pub(crate) fn unavailability(
    context: &RolloutContext<'_>,
    before: &Ledger,
    after: &Ledger,
) -> Unavailability {
    let target = before.target.clone().unwrap_or_default();
    let changed: Vec<Option<u32>> = context
        .workloads
        .as_slice()
        .iter()
        .filter_map(|workload| unavailable_pods_of(context, workload, before, after))
        .collect();
    let strategy = &context.settings.strategy;
    let pods = || RolloutProgress::of(context, before, &target, None).least_pods();
    let bound = strategy.max_unavailable.as_ref().and_then(|_| strategy.max_unavailable_pods(pods().into()));
    let down =
        changed.iter().copied().collect::<Option<Vec<u32>>>().map(|all| saturating_sum(all.into_iter()));
    Unavailability { workloads: changed.len(), unavailable_pods: down, max_unavailable: bound.map(to_u32) }
}

/// Returns the pods of a workload that its own strategy makes unavailable at once; the outer None: its pods do not
/// change.
fn unavailable_pods_of(
    context: &RolloutContext<'_>,
    workload: &PlannedWorkload,
    before: &Ledger,
    after: &Ledger,
) -> Option<Option<u32>> {
    let [old, new] = [before, after].map(|ledger| {
        let entry = workload.active_entry(ledger);
        entry.map_or_else(|| LedgerEntry::with_revision(ledger.released.clone()), Cow::into_owned)
    });
    let is_same = old.revision == new.revision && old.partition == new.partition && old.images == new.images;
    if is_same && old.hot_upgrades == new.hot_upgrades {
        return None;
    }
    let plain = LedgerEntry { images: BTreeMap::new(), ..new.clone() };
    let change = context.workloads.change_between(workload, &old, &plain);
    if !change.behavior.method.replaces_or_restarts()
        || (change.diff.is_empty() && old.partition == new.partition)
    {
        return None;
    }
    let Some(replicas) = context.replicas(workload, before) else {
        return Some(workload.max_unavailable_of_any(change.behavior.method));
    };
    let strategy = workload.strategy(u64::from(replicas), change.behavior.method);
    let at = |entry: &LedgerEntry| {
        if Some(&entry.revision) == before.target.as_ref() {
            replicas - entry.partition.unwrap_or(0).min(replicas)
        } else {
            0
        }
    };
    let moving = match at(&old).abs_diff(at(&new)) {
        0 => replicas,
        pods => pods,
    };
    Some(Some(u32::try_from(strategy.max_unavailable).unwrap_or(u32::MAX).max(1).min(moving.max(1))))
}
