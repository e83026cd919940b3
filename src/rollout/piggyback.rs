//! `piggyback`: workloads take the target of a rollout with their own next change, so that their pods are recreated once.
//! Pure: the deadline, after which batches follow, is a gate.

use super::progress::{MatchedWorkload, RolloutProgress};
use super::saturating_sum;
use super::types::RolloutContext;
use super::update_method::UpdateMethod;
use super::workload_set::{PlannedWorkload, SidecarEffect};
use crate::diagnostics::pluralize;
use crate::model::ledger::{Ledger, LedgerEntry, PIGGYBACK_BATCH};
use std::fmt;
use std::sync::Arc;

/// A number of workloads, and of their pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WorkloadCount {
    /// The workloads.
    pub(crate) workloads: u32,
    /// Their pods, as far as known.
    pub(crate) pods: u32,
    /// The number of pods of some is unknown.
    has_unknown: bool,
}

impl fmt::Display for WorkloadCount {
    /// Writes `3 workloads (12 pods)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", pluralize(self.workloads.into(), "workload"), self.pods_text())
    }
}

impl WorkloadCount {
    fn of(
        context: &RolloutContext<'_>,
        ledger: &Ledger,
        is_in: impl Fn(&PlannedWorkload, &LedgerEntry) -> bool,
    ) -> Self {
        let workloads = context.workloads.as_slice().iter();
        let found = workloads
            .filter(|workload| workload.active_entry(ledger).is_some_and(|entry| is_in(workload, &entry)));
        let replicas: Vec<Option<u32>> = found.map(|workload| context.replicas(workload, ledger)).collect();
        Self {
            workloads: u32::try_from(replicas.len()).unwrap_or(u32::MAX),
            pods: saturating_sum(replicas.iter().flatten().copied()),
            has_unknown: replicas.iter().any(Option::is_none),
        }
    }

    /// Returns the pods in words: `12 pods`, `at least 12 pods`.
    pub(crate) fn pods_text(&self) -> String {
        match (self.has_unknown, self.pods) {
            (false, pods) => pluralize(pods.into(), "pod"),
            (true, 0) => "number of pods unknown".to_owned(),
            (true, pods) => format!("at least {}", pluralize(pods.into(), "pod")),
        }
    }

    /// Returns how many restarts of pods are saved if they take the target with their own changes.
    pub(crate) fn saved_restarts(&self) -> String {
        match (self.has_unknown, self.pods) {
            (false, pods) => pluralize(pods.into(), "restart"),
            (true, 0) => "an unknown number of restarts".to_owned(),
            (true, pods) => format!("at least {}", pluralize(pods.into(), "restart")),
        }
    }
}

/// Returns the workloads that take the target with their own next change.
pub(crate) fn waiting_workloads(context: &RolloutContext<'_>, ledger: &Ledger) -> WorkloadCount {
    WorkloadCount::of(context, ledger, |workload, entry| {
        entry.piggyback.is_some() && workload.override_hold.is_none()
    })
}

/// Returns the workloads that took the target with their own change.
pub(crate) fn piggybacked_workloads(context: &RolloutContext<'_>, ledger: &Ledger) -> WorkloadCount {
    let Some(target) = &ledger.target else { return WorkloadCount::default() };
    WorkloadCount::of(context, ledger, |_, entry| is_piggybacked(entry) && entry.revision == *target)
}

/// Returns whether the workload of an entry took its revision with its own change.
fn is_piggybacked(entry: &LedgerEntry) -> bool {
    entry.hold_reason.is_none() && entry.batch == Some(PIGGYBACK_BATCH)
}

/// Returns how many workloads took the target with their own change, in a sentence; None: none did.
pub(crate) fn piggybacked_text(context: &RolloutContext<'_>, ledger: &Ledger) -> Option<String> {
    let count = piggybacked_workloads(context, ledger);
    let all = ledger.scope.as_ref().map_or(count.workloads, |scope| scope.workloads.max(count.workloads));
    (count.workloads > 0).then(|| {
        let workloads = pluralize(all.into(), "workload");
        let own = if count.workloads == 1 { "its" } else { "their" };
        format!(
            "{} of {workloads} ({}) took it with {own} own change: {} saved",
            count.workloads,
            count.pods_text(),
            count.saved_restarts()
        )
    })
}

/// Returns why no workload of an open rollout takes its target with its own change, although `piggyback` is set.
pub(crate) fn piggyback_refusal(context: &RolloutContext<'_>, ledger: &Ledger) -> Option<&'static str> {
    let strategy = &context.settings.strategy;
    let target = ledger.target.as_ref()?;
    // A rollback, and the end of holds, are no new content.
    if context.settings.piggyback.is_none() || *target == ledger.released {
        return None;
    }
    match () {
        () if context.kruise.is_some() => Some("Kruise updates the sidecars of running pods"),
        () if !context.has_rendered_files => Some("no rendered files show what a workload takes"),
        () if target.is_none() || ledger.allows_removal() => {
            Some("the rollout removes the sidecar from workloads")
        }
        () if !context.replaces.is_empty() || !context.replaced_by.is_empty() => {
            Some("one SidecarSet replaces another")
        }
        () if strategy.is_paused || strategy.kind == "NotUpdate" => {
            Some("`updateStrategy` stops the rollout")
        }
        () if strategy.kept_pods(u64::from(u32::MAX)) > 0 => Some("`updateStrategy.partition` keeps pods"),
        () if strategy.selector.is_some() => Some("`updateStrategy.selector` chooses canaries"),
        () => None,
    }
}

/// Returns the ledger of an open rollout in which every workload that may takes the target with its own next change.
/// Changes no rendered byte: each has the revision that it has, and the hash of its present source.
pub(crate) fn with_piggyback(context: &RolloutContext<'_>, ledger: Ledger) -> Ledger {
    let mut after = settle_piggyback(context, &ledger);
    let Some(target) = ledger.target.clone().filter(|target| *target != ledger.released) else {
        return after;
    };
    if context.settings.piggyback.is_none() || piggyback_refusal(context, &after).is_some() {
        return after;
    }
    // No hold has expired: the entries do not depend on the day.
    let state = RolloutProgress::of(context, &after, &target, None);
    for matched in state.matched.iter().filter(|matched| takes_with_own_change(matched)) {
        let workload = matched.workload;
        let entry = LedgerEntry {
            revision: matched.revision.clone(),
            batch: matched.entry.as_ref().and_then(|entry| entry.batch),
            template_hash: Some(workload.template_hash()),
            piggyback: target.clone(),
            ..LedgerEntry::default()
        };
        after.entries.insert_mut(Arc::clone(workload.key()), entry);
    }
    after
}

/// Returns whether a workload may take the target with its own next change: that recreates its pods, and so would the
/// target. A sidecar enters or leaves a workload in a batch only.
fn takes_with_own_change(matched: &MatchedWorkload<'_>) -> bool {
    let change = &matched.change;
    let is_plain = |entry: &LedgerEntry| {
        entry.partition.is_none() && entry.images.is_empty() && entry.hot_upgrades.is_initial()
    };
    !matched.is_done
        && matched.entry.as_ref().is_none_or(is_plain)
        && matched.hot_upgrades.is_initial()
        && matched.half.is_none()
        && change.hot_upgrade_container.is_none()
        && change.behavior.method == UpdateMethod::Recreate
        && change.effect == SidecarEffect::Updated
        && change.error.is_none()
}

/// Returns the ledger in which no workload takes the target with its own next change: those that did have an entry
/// with the target, the others keep what they have. Changes no rendered byte.
pub(crate) fn settle_piggyback(context: &RolloutContext<'_>, ledger: &Ledger) -> Ledger {
    let mut after = ledger.clone();
    for (key, entry) in ledger.entries.iter().filter(|(_, entry)| entry.piggyback.is_some()) {
        let active = context.workloads.find(key).and_then(|workload| workload.active_entry(ledger));
        let settled = active.as_deref().unwrap_or(entry).without_piggyback();
        match settled.is_redundant(&ledger.released) {
            true => after.entries.remove_mut(key),
            false => {
                after.entries.insert_mut(Arc::clone(key), settled);
                true
            }
        };
    }
    after
}

/// Returns a ledger of the past without the revisions that workloads would have taken with their own next change.
pub(crate) fn without_piggyback(ledger: &Ledger) -> Ledger {
    let mut after = ledger.clone();
    for (key, entry) in ledger.entries.iter().filter(|(_, entry)| entry.piggyback.is_some()) {
        after.entries.insert_mut(Arc::clone(key), entry.without_piggyback());
    }
    after
}

/// Returns whether a workload took its revision with its own change.
pub(crate) fn has_piggybacked(workload: &PlannedWorkload, ledger: &Ledger) -> bool {
    workload.active_entry(ledger).is_some_and(|entry| is_piggybacked(&entry))
}
