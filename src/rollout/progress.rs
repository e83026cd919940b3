//! The progress of a rollout: the revision of each workload, and the workloads that are not done.

use super::hot_upgrade::HotUpgradeHalf;
use super::kruise;
use super::types::{Batch, EndedHold, RolloutContext};
use super::update_method::{UpdateBehavior, UpdateMethod};
use super::workload_set::{PlannedWorkload, TemplateChange};
use super::workload_strategy::WorkloadStrategy;
use super::{saturating_sum, to_u32};
use crate::diagnostics::pluralize;
use crate::model::ledger::{HotUpgrades, Ledger, LedgerEntry, RevisionName};
use crate::model::sidecar_override::OverrideHold;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

/// A workload that the target renders differently from its revision or from the released one.
#[derive(Debug)]
pub(super) struct MatchedWorkload<'a> {
    /// Its position among the workloads.
    position: usize,
    /// The workload.
    pub(super) workload: &'a PlannedWorkload,
    /// Its entry in the ledger, where it has a valid one.
    pub(super) entry: Option<LedgerEntry>,
    /// How its hold ended, where the workload still has the held content.
    pub(super) ended_hold: Option<EndedHold>,
    /// Its revision.
    pub(super) revision: RevisionName,
    /// What changes for it from its revision to the target.
    pub(super) change: Arc<TemplateChange>,
    /// Its pods; None: unknown.
    pub(super) replicas: Option<u32>,
    /// Its own update strategy.
    pub(super) strategy: Arc<WorkloadStrategy>,
    /// Pods that have the target.
    pub(super) updated_pods: u32,
    /// Of a SidecarSet that Kruise injects: the percentage of its pods that keeps what it was before the target.
    pub(super) kept_percent: u32,
    /// Its template has the target, and no partition written by pillion keeps pods back.
    pub(super) is_done: bool,
    /// Its native partition may split it.
    pub(super) can_split: bool,
    /// The state of its hot-upgrade pairs after the change.
    pub(super) hot_upgrades: HotUpgrades,
    /// The change is this half of a hot upgrade.
    pub(super) half: Option<HotUpgradeHalf>,
}

/// The progress of a rollout.
#[derive(Debug, Default)]
pub(super) struct RolloutProgress<'a> {
    /// Workloads that count, by namespace, name and kind.
    pub(super) matched: Vec<MatchedWorkload<'a>>,
    /// Workloads that no rollout updates, and why: held by a person, or unable to adopt the template.
    pub(super) held: Vec<HeldWorkload<'a>>,
    /// The pods of those that count, as far as known.
    pub(super) pods: u32,
    /// Those that have the target.
    pub(super) updated_pods: u32,
    /// The rollout was started with `--allow-removal`: workloads may lose the sidecar.
    pub(super) may_remove: bool,
    /// The order of those that count, updated ones included: every batch of a plan asks for it.
    order_cache: OnceCell<Vec<usize>>,
}

/// A workload that no rollout updates.
#[derive(Debug)]
pub(super) struct HeldWorkload<'a> {
    /// Its position among the workloads.
    position: usize,
    /// The workload.
    pub(super) workload: &'a PlannedWorkload,
    /// Its revision.
    pub(super) revision: RevisionName,
    /// A code for the reason, where it is not a person's.
    pub(super) code: Option<&'static str>,
    /// The reason.
    pub(super) reason: Arc<str>,
    /// Its entry in the ledger, where it has a valid one.
    pub(super) entry: Option<LedgerEntry>,
    /// The entry in the ledger of a replaced SidecarSet, where a person holds the workload there.
    pub(super) replaced_entry: Option<&'a LedgerEntry>,
    /// The SidecarOverride that holds it, where the ledger does not have that yet.
    pub(super) override_hold: Option<&'a OverrideHold>,
}

impl HeldWorkload<'_> {
    /// Returns whether the ledger of this SidecarSet has the hold already.
    pub(super) fn is_in_ledger(&self) -> bool {
        self.code.is_none() && self.replaced_entry.is_none() && self.override_hold.is_none()
    }

    /// Returns the entry of its hold, unless that is one of the planner.
    pub(super) fn hold_entry(&self) -> Option<LedgerEntry> {
        let Some(hold) = self.override_hold else {
            return self.replaced_entry.or(self.entry.as_ref()).cloned();
        };
        Some(LedgerEntry {
            hold_reason: Some(Arc::clone(&hold.reason)),
            held_by: Some(Arc::clone(&hold.by)),
            held_until: Some(Arc::clone(&hold.until)),
            images: self.entry.as_ref().map(|entry| entry.images.clone()).unwrap_or_default(),
            hot_upgrades: self.entry.as_ref().map(|entry| entry.hot_upgrades.clone()).unwrap_or_default(),
            ..LedgerEntry::with_revision(self.revision.clone())
        })
    }
}

impl<'a> RolloutProgress<'a> {
    /// Computes the progress of the rollout to `target`. Holds with a last day before `today` have expired.
    pub(super) fn of(
        context: &'a RolloutContext<'_>,
        ledger: &Ledger,
        target: &RevisionName,
        today: Option<&str>,
    ) -> Self {
        let mut state = RolloutProgress { may_remove: ledger.allows_removal(), ..RolloutProgress::default() };
        state.matched.reserve(context.workloads.as_slice().len());
        for (position, workload) in context.workloads.as_slice().iter().enumerate() {
            match evaluate(context, ledger, (position, workload), target, today) {
                Evaluation::Uncounted => {}
                Evaluation::Held(held) => state.held.push(*held),
                Evaluation::Matched(matched) => state.matched.push(*matched),
            }
        }
        state.count_pods();
        state
    }

    /// Returns the progress after a batch of the same rollout: only the updated workloads are evaluated again.
    pub(super) fn after_batch(
        mut self,
        context: &'a RolloutContext<'_>,
        batch: &Batch,
        target: &RevisionName,
        today: Option<&str>,
    ) -> Self {
        for update in &batch.updates {
            let Some((position, workload)) = context.workloads.find_with_position(&update.key) else {
                continue;
            };
            let Ok(index) = self.matched.binary_search_by_key(&position, |m| m.position) else { continue };
            match evaluate(context, &batch.ledger, (position, workload), target, today) {
                Evaluation::Matched(matched) => {
                    if matched.count_unit() != self.matched[index].count_unit() {
                        self.order_cache.take();
                    }
                    self.matched[index] = *matched;
                }
                Evaluation::Held(held) => {
                    self.remove_matched(index);
                    let at = self.held.partition_point(|h| h.position < position);
                    self.held.insert(at, *held);
                }
                Evaluation::Uncounted => self.remove_matched(index),
            }
        }
        self.count_pods();
        self
    }

    /// Returns the order of the workloads that count, as `compute` finds it for the first batch: it depends on no
    /// revision and no number of updated pods.
    pub(super) fn order(&self, compute: impl FnOnce() -> Vec<usize>) -> &[usize] {
        self.order_cache.get_or_init(compute)
    }

    fn remove_matched(&mut self, index: usize) {
        self.matched.remove(index);
        self.order_cache.take();
    }

    /// Returns how many pods a share of `maxUnavailable` is of: the known ones, and at least one of each other workload.
    pub(super) fn least_pods(&self) -> u32 {
        let unknown = self.matched.iter().filter(|m| m.is_unknown()).count();
        self.pods.saturating_add(to_u32(unknown as u64))
    }

    fn count_pods(&mut self) {
        let counted = || self.matched.iter().filter(|m| !m.counts_no_pods());
        let pods = saturating_sum(counted().map(|m| m.replicas.unwrap_or(0)));
        (self.pods, self.updated_pods) = (pods, saturating_sum(counted().map(|m| m.updated_pods)));
    }
}

/// How a workload counts in a rollout.
enum Evaluation<'a> {
    /// The target changes nothing for it.
    Uncounted,
    /// No rollout updates it.
    Held(Box<HeldWorkload<'a>>),
    /// It counts.
    Matched(Box<MatchedWorkload<'a>>),
}

/// Why no rollout updates a workload, its own ledger aside.
struct HoldCause<'a> {
    code: Option<&'static str>,
    reason: Arc<str>,
    replaced_entry: Option<&'a LedgerEntry>,
    override_hold: Option<&'a OverrideHold>,
}

impl<'a> HoldCause<'a> {
    /// Finds the first cause: the kind of the workload, a SidecarOverride, a hold in the ledger of a replaced SidecarSet.
    fn find(
        context: &'a RolloutContext<'_>,
        workload: &'a PlannedWorkload,
        behavior: &UpdateBehavior,
        today: Option<&str>,
    ) -> Option<Self> {
        let nothing = Self { code: None, reason: "".into(), replaced_entry: None, override_hold: None };
        if behavior.method == UpdateMethod::Never {
            let reason = behavior.reason.as_deref().unwrap_or_default().into();
            return Some(Self { code: behavior.code, reason, ..nothing });
        }
        if let Some(hold) = workload.active_override_hold(today) {
            return Some(Self { reason: Arc::clone(&hold.reason), override_hold: Some(hold), ..nothing });
        }
        let there = context.held_by_replaced.get(workload.key())?;
        let reason = there.hold_reason.as_ref().filter(|_| !there.is_hold_expired(today))?;
        Some(Self { reason: Arc::clone(reason), replaced_entry: Some(there), ..nothing })
    }
}

fn evaluate<'a>(
    context: &'a RolloutContext<'_>,
    ledger: &Ledger,
    (position, workload): (usize, &'a PlannedWorkload),
    target: &RevisionName,
    today: Option<&str>,
) -> Evaluation<'a> {
    let entry = workload.active_entry(ledger);
    let current = entry.as_ref().map_or(&ledger.released, |l| &l.revision).clone();
    let has_ended =
        entry.as_ref().is_some_and(|l| l.hold_reason.is_some() && workload.is_hold_over(l, today));
    let hold = |code, reason, entry: Option<Cow<'_, LedgerEntry>>, replaced_entry| {
        let (revision, entry) = (current.clone(), entry.map(Cow::into_owned));
        let override_hold = None;
        HeldWorkload { position, workload, revision, code, reason, entry, replaced_entry, override_hold }
    };
    if let (Some(reason), false) = (entry.as_ref().and_then(|l| l.hold_reason.clone()), has_ended) {
        return Evaluation::Held(Box::new(hold(None, reason, entry, None)));
    }
    let has_images = entry.as_ref().is_some_and(|l| !l.images.is_empty());
    let is_back = has_ended && current == ledger.released && !has_images;
    let is_settled = entry.as_ref().is_some_and(|entry| entry.is_settled(&ledger.released));
    let counted = entry.as_deref().filter(|_| !is_back && !is_settled);
    if ledger.is_at_target(counted, target) {
        return Evaluation::Uncounted;
    }
    let is_at_target = entry.is_some() && current == *target && !has_images;
    let present = entry.as_deref().cloned();
    let present = present.unwrap_or_else(|| LedgerEntry::with_revision(ledger.released.clone()));
    let is_done = is_at_target && !present.hot_upgrades.is_half_done();
    let (change, hot_upgrades) = match is_done {
        true => {
            (context.workloads.change_to(workload, &ledger.released, target), present.hot_upgrades.clone())
        }
        false => next_change(context, ledger, workload, &present, target),
    };
    let half = HotUpgradeHalf::between(&present.hot_upgrades, &hot_upgrades);
    // In a rollback the released revision is the target: only the entry shows that a workload is back.
    let counts = !change.diff.is_empty()
        || (is_at_target && ledger.released == *target)
        || !context.workloads.change_to(workload, &ledger.released, target).diff.is_empty();
    if !counts {
        return Evaluation::Uncounted;
    }
    if let Some(cause) = HoldCause::find(context, workload, &change.behavior, today).filter(|_| !is_at_target)
    {
        let HoldCause { code, reason, replaced_entry, override_hold } = cause;
        let held = hold(code, reason, entry, replaced_entry);
        return Evaluation::Held(Box::new(HeldWorkload { override_hold, ..held }));
    }
    let entry = entry.map(Cow::into_owned);
    let mut matched =
        MatchedWorkload::new(context, ledger, (position, workload), entry, change, is_at_target);
    matched.is_done &= is_done;
    // The pods of one template must all take its first half before the second one.
    matched.can_split &= half.is_none() && matched.hot_upgrades.is_initial() && hot_upgrades.is_initial();
    (matched.hot_upgrades, matched.half) = (hot_upgrades, half);
    Evaluation::Matched(Box::new(matched))
}

/// Returns what changes for a workload on the way to a target, and the state of its pairs afterwards: the next half where
/// its pods are updated in place, else the whole change.
fn next_change(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    workload: &PlannedWorkload,
    entry: &LedgerEntry,
    target: &RevisionName,
) -> (Arc<TemplateChange>, HotUpgrades) {
    let change_with = |hot_upgrades: &HotUpgrades| {
        let next =
            LedgerEntry { hot_upgrades: hot_upgrades.clone(), ..LedgerEntry::with_revision(target.clone()) };
        context.workloads.change_between(workload, entry, &next)
    };
    // Before Start only the sources have the target.
    let find =
        |name: &str| ledger.revision(name).or(context.source.as_ref().filter(|source| *source.name == *name));
    // Kruise itself upgrades the pairs of the SidecarSets that it injects.
    if workload.manifest().kind.is_sidecar_set() {
        return (change_with(&HotUpgrades::default()), HotUpgrades::default());
    }
    let half = HotUpgrades::after_next_half(entry, target, find);
    let change = change_with(&half);
    if change.behavior.method == UpdateMethod::InPlace {
        return (change, half);
    }
    let plain = entry.hot_upgrades.after_plain_change(target.as_ref().and_then(|name| find(name)));
    let change = if plain == half { change } else { change_with(&plain) };
    (change, plain)
}

impl<'a> MatchedWorkload<'a> {
    fn new(
        context: &RolloutContext<'_>,
        ledger: &Ledger,
        (position, workload): (usize, &'a PlannedWorkload),
        entry: Option<LedgerEntry>,
        change: Arc<TemplateChange>,
        is_at_target: bool,
    ) -> Self {
        let replicas = context.replicas(workload, ledger);
        let strategy = workload.strategy(u64::from(replicas.unwrap_or(0)), change.behavior.method);
        let mut matched = Self {
            position,
            workload,
            revision: entry.as_ref().map_or_else(|| ledger.released.clone(), |l| l.revision.clone()),
            ended_hold: EndedHold::of(entry.as_ref(), workload),
            entry,
            can_split: context.settings.may_split && context.can_split(workload, replicas),
            change,
            replicas,
            strategy,
            updated_pods: 0,
            kept_percent: kruise::ALL_KEPT,
            is_done: false,
            hot_upgrades: HotUpgrades::default(),
            half: None,
        };
        if let (Some(kept), true) =
            (matched.entry.as_ref().and_then(|l| l.partition), ledger.target == Some(ledger.released.clone()))
        {
            // In a rollback, pods that the partition kept were never updated.
            matched.updated_pods = kept.min(matched.target_pods());
        }
        if let Some(percent) = matched.entry.as_ref().and_then(|l| l.partition_percent) {
            let pods = matched.target_pods();
            let kept = kruise::kept_by_percent(percent, pods);
            let is_rollback = ledger.target == Some(ledger.released.clone());
            matched.updated_pods = match (is_at_target, is_rollback) {
                (true, _) => pods - kept,
                (false, true) => kept,
                (false, false) => 0,
            };
            matched.kept_percent = if is_at_target { percent } else { kruise::ALL_KEPT };
        } else if let Some(partition) = matched.entry.as_ref().filter(|_| is_at_target).map(|l| l.partition) {
            let kept = partition.unwrap_or(0);
            matched.updated_pods = replicas.unwrap_or(0).saturating_sub(kept).min(matched.target_pods());
            matched.is_done = partition.is_none();
            matched.kept_percent = 0;
        }
        matched
    }

    /// Returns why no batch may upgrade its hot-upgrade pairs; None: it has none that change, or a batch may.
    pub(super) fn upgrade_refusal(&self, context: &RolloutContext<'_>) -> Option<String> {
        if let Some(name) = &self.change.hot_upgrade_container {
            return Some(context.hot_upgrade_refusal(name, self.change.behavior.method));
        }
        self.keeps_pods_from_upgrade().then(|| {
            let kept = pluralize(self.strategy.kept_old, "pod");
            format!("hot-upgrade: its own partition keeps {kept} that would skip the first half later")
        })
    }

    /// Returns whether a partition of its own keeps some of its pods from the next half of a hot upgrade.
    pub(super) fn keeps_pods_from_upgrade(&self) -> bool {
        self.half.is_some() && self.strategy.kept_old > 0
    }

    /// Returns the pods that have a revision which is neither released nor the target: its rollout was abandoned.
    pub(super) fn abandoned_pods(&self, released: &RevisionName, target: &RevisionName) -> u32 {
        let entry = self.entry.as_ref().filter(|l| l.hold_reason.is_none() && l.batch.is_some());
        let is_abandoned = self.revision != *released && self.revision != *target;
        let carrying = |kept: u32| self.replicas.unwrap_or(0).saturating_sub(kept).min(self.target_pods());
        entry.filter(|_| is_abandoned).map_or(0, |l| l.partition.map_or(self.target_pods(), carrying).max(1))
    }

    /// Returns the pods that have the target when the workload is done; its native partition may keep some.
    pub(super) fn target_pods(&self) -> u32 {
        self.replicas.unwrap_or(0).saturating_sub(u32::try_from(self.strategy.kept_old).unwrap_or(u32::MAX))
    }

    /// Returns the pods that are still to be updated.
    pub(super) fn remaining_pods(&self) -> u32 {
        self.target_pods().saturating_sub(self.updated_pods)
    }

    /// Returns how many of its pods its own strategy may make unavailable at once while some of them are updated; at
    /// least that many where their number is unknown.
    pub(super) fn max_unavailable(&self, moving: u32) -> u32 {
        if self.replicas.is_none() {
            return self.workload.max_unavailable_of_any(self.change.behavior.method).unwrap_or(1);
        }
        u32::try_from(self.strategy.max_unavailable).unwrap_or(u32::MAX).max(1).min(moving.max(1))
    }

    /// Returns what it is counted by: its next run, its pods, or itself where their number is unknown.
    pub(super) fn count_unit(&self) -> (bool, bool) {
        (self.counts_no_pods(), self.replicas.is_some())
    }

    /// Returns whether it has pods that a batch updates, but their number is unknown.
    pub(super) fn is_unknown(&self) -> bool {
        self.replicas.is_none() && !self.counts_no_pods()
    }

    /// Returns whether it adopts the template only when it creates its next pods: it counts no pods.
    pub(super) fn counts_no_pods(&self) -> bool {
        self.change.behavior.method == UpdateMethod::NextRun || self.replicas == Some(0)
    }
}
