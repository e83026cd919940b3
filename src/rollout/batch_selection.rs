//! Selects the workloads of the next batch: order, partition, steps, `maxUnavailable`.

use super::blocked::BlockedReason;
use super::hot_upgrade::HotUpgradeHalf;
use super::partition_selection::select_partition;
use super::progress::{MatchedWorkload, RolloutProgress};
use super::settings::PlanRules;
use super::types::{ExternalState, RolloutContext, WorkloadUpdate};
use super::workload_set::SidecarEffect;
use super::{LabelMap, saturating_sum, scatter, to_u32};
use crate::model::int_or_percent::RoundingMode;
use crate::model::ledger::RevisionName;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The result of a selection.
pub(super) enum BatchSelection {
    /// The updates of a batch.
    Updates(Vec<WorkloadUpdate>),
    /// No workload may be updated now.
    Blocked(BlockedReason),
    /// All workloads are done.
    Done,
}

/// The capacity that is left in a batch.
struct BatchCapacity {
    /// Pods until the step ends.
    step_pods: u32,
    /// Pods until `partition` keeps the remaining ones.
    partition_pods: u32,
    /// Pods that may be unavailable at once; None: unbounded.
    unavailable: Option<u32>,
}

/// Selects the next batch.
pub(super) fn select_batch(
    context: &RolloutContext<'_>,
    state: &RolloutProgress<'_>,
    (released, target): (&RevisionName, &RevisionName),
    external: &ExternalState,
) -> BatchSelection {
    let is_rollback = released == target;
    let candidates = BatchCandidates::of(context, state, is_rollback, external);
    if candidates.is_empty() {
        return BatchSelection::Done;
    }
    if let (Some(selection), [only]) = (&context.kruise, &candidates.ready[..]) {
        return match select_partition(context, selection, &state.matched[*only], is_rollback) {
            Ok(update) => BatchSelection::Updates(vec![update]),
            Err(reason) => BatchSelection::Blocked(reason),
        };
    }
    let order = update_order(context, state, &candidates.ready, is_rollback);
    let urgent = select_urgent(state, &candidates, &order, is_rollback, external);
    if !urgent.is_empty() {
        return BatchSelection::Updates(urgent);
    }
    let strategy = &context.settings.strategy;
    let bound = strategy.max_unavailable_pods(state.pods.into()).map(to_u32);
    let kept = if is_rollback { 0 } else { to_u32(strategy.kept_pods(state.pods.into())) };
    let cap = state.pods.saturating_sub(kept).saturating_sub(state.updated_pods);
    let repairs = select_repairs(state, &order, (released, target), external, cap);
    if !repairs.is_empty() {
        return BatchSelection::Updates(repairs);
    }
    let step =
        if is_rollback { u32::MAX } else { remaining_step_pods(context, state.pods, state.updated_pods) };
    let mut updates = select_fitting(
        state,
        &order,
        BatchCapacity { step_pods: step, partition_pods: cap, unavailable: bound },
    );
    if updates.is_empty() && bound != Some(0) {
        let has_own_order =
            is_rollback || strategy.priority_strategy.is_some() || !strategy.scatter_strategy.is_empty();
        updates.extend(select_oversized(state, &order, cap, has_own_order));
    }
    let unknown = UnknownSelection::of(context, state, is_rollback);
    if updates.is_empty() {
        updates = unknown.select(state, &order);
    }
    let updated = state
        .updated_pods
        .saturating_add(saturating_sum(updates.iter().map(|m| m.updated_after - m.updated_before)));
    updates.extend(select_next_runs(context, state, &order, updated, is_rollback));
    if !updates.is_empty() {
        return BatchSelection::Updates(updates);
    }
    let is_free = |m: &MatchedWorkload<'_>| match m.replicas {
        Some(_) => cap > 0 && bound == Some(0) && !m.counts_no_pods(),
        None => !unknown.is_kept && unknown.unavailable == Some(0) && m.is_unknown(),
    };
    let is_held_by_bound = order.iter().any(|i| is_free(&state.matched[*i]));
    BatchSelection::Blocked(candidates.blocked_reason(state, &order, is_held_by_bound))
}

/// The workloads that are not done, by what can be done with them.
#[derive(Default)]
struct BatchCandidates {
    ready: Vec<usize>,
    /// Workloads that wait for the second half of their hot upgrade only.
    second_halves: Vec<usize>,
    outside_canary: Vec<Arc<str>>,
    blocked: Vec<(Arc<str>, String)>,
}

impl BatchCandidates {
    fn of(
        context: &RolloutContext<'_>,
        state: &RolloutProgress<'_>,
        is_rollback: bool,
        external: &ExternalState,
    ) -> Self {
        let mut found = Self::default();
        for (i, matched) in state.matched.iter().enumerate().filter(|(_, m)| !m.is_done) {
            let workload = matched.workload;
            let broken = matched.change.error.as_ref().map(|error| error.to_string());
            let split = context.split_by_others.get(workload.key());
            let split =
                || split.map(|set| format!("the rollout of `{set}` has split it and must complete first"));
            let waiting = || external.deferred.get(workload.key()).cloned();
            let refused = || if is_rollback { None } else { batch_refusal(context, state, matched) };
            if let Some(reason) = broken.or_else(split).or_else(refused).or_else(waiting) {
                found.blocked.push((Arc::clone(workload.key()), reason));
            } else if matched.half == Some(HotUpgradeHalf::Second) {
                found.second_halves.push(i);
            } else if is_rollback
                || context.kruise.is_some()
                || context.settings.strategy.is_in_canary(&workload.labels)
            {
                found.ready.push(i);
            } else {
                found.outside_canary.push(Arc::clone(workload.key()));
            }
        }
        found
    }

    fn is_empty(&self) -> bool {
        self.ready.is_empty()
            && self.second_halves.is_empty()
            && self.outside_canary.is_empty()
            && self.blocked.is_empty()
    }

    fn blocked_reason(
        self,
        state: &RolloutProgress<'_>,
        order: &[usize],
        is_held_by_bound: bool,
    ) -> BlockedReason {
        if !self.blocked.is_empty() {
            BlockedReason::Waiting(self.blocked)
        } else if is_held_by_bound {
            BlockedReason::MaxUnavailableZero
        } else if self.ready.is_empty() {
            BlockedReason::CanarySelector(self.outside_canary)
        } else {
            let workloads = order.iter().map(|i| Arc::clone(state.matched[*i].workload.key())).collect();
            BlockedReason::Partition { updated: state.updated_pods, pods: state.pods, workloads }
        }
    }
}

/// Returns why no batch may update a workload, whatever the cluster reports. A rollback is never refused.
pub(super) fn batch_refusal(
    context: &RolloutContext<'_>,
    state: &RolloutProgress<'_>,
    matched: &MatchedWorkload<'_>,
) -> Option<String> {
    let change = &matched.change;
    if let Some(reason) = matched.upgrade_refusal(context) {
        return Some(reason);
    }
    (change.effect == SidecarEffect::Removed && !state.may_remove).then(|| {
        format!(
            "the sidecar would be removed, which this rollout does not allow: `pillion start {} --allow-removal` allows it",
            context.command_arguments()
        )
    })
}

/// Returns the order of workloads: by priority, and those of one priority spread over namespaces (the first of each, then
/// the second of each), then scattered. Ties are in the order of namespace, name and kind. A rollback begins with the
/// latest batch.
fn update_order(
    context: &RolloutContext<'_>,
    state: &RolloutProgress<'_>,
    ready: &[usize],
    is_rollback: bool,
) -> Vec<usize> {
    let strategy = &context.settings.strategy;
    let labels: Vec<&LabelMap> = state.matched.iter().map(|m| &m.workload.labels).collect();
    let mut order = match context.settings.rules {
        PlanRules::Current => {
            let mut is_ready = vec![false; state.matched.len()];
            ready.iter().for_each(|i| is_ready[*i] = true);
            let all = state.order(|| namespace_order(context, state)).iter();
            all.copied().filter(|i| is_ready[*i]).collect()
        }
        PlanRules::Original => {
            let mut order = ready.to_vec();
            strategy.sort_by_priority(&labels, &mut order);
            order
        }
    };
    if is_rollback {
        order.sort_by_key(|i| std::cmp::Reverse(state.matched[*i].entry.as_ref().and_then(|l| l.batch)));
        return order;
    }
    scatter::scatter(&scatter::workload_terms(&strategy.scatter_strategy), &labels, order)
}

/// Returns the order of all workloads that count: by priority, then by their ranks in their namespaces.
fn namespace_order(context: &RolloutContext<'_>, state: &RolloutProgress<'_>) -> Vec<usize> {
    let strategy = &context.settings.strategy;
    let ranks = namespace_ranks(context, state);
    let mut order: Vec<usize> = (0..ranks.len()).collect();
    order.sort_by_cached_key(|i| (strategy.priority_level(&state.matched[*i].workload.labels), ranks[*i]));
    order
}

/// Returns the rank of each workload among those of its namespace that are selected alike. Updated workloads keep their
/// ranks, so that the order of the others stays while the rollout progresses.
fn namespace_ranks(context: &RolloutContext<'_>, state: &RolloutProgress<'_>) -> Vec<usize> {
    let strategy = &context.settings.strategy;
    let mut sizes: BTreeMap<_, usize> = BTreeMap::new();
    let mut ranks = Vec::with_capacity(state.matched.len());
    for matched in &state.matched {
        let labels = &matched.workload.labels;
        let unit = matched.count_unit();
        let namespace = &*matched.workload.manifest().namespace;
        let group = (strategy.priority_level(labels), strategy.is_in_canary(labels), unit, namespace);
        let size = sizes.entry(group).or_default();
        *size += 1;
        ranks.push(*size);
    }
    ranks
}

/// Returns the pods that are left in the step.
fn remaining_step_pods(context: &RolloutContext<'_>, pods: u32, updated: u32) -> u32 {
    let Some(steps) = &context.settings.steps else { return u32::MAX };
    let ends = steps.iter().map(|step| to_u32(step.pods(pods.into(), RoundingMode::Up).unwrap_or(0)));
    // After the last step there is no bound: steps that end below 100% keep nothing back.
    ends.filter(|end| *end > updated).min().map_or(u32::MAX, |end| end - updated)
}

/// Selects the workloads that go before all others, free of the bounds: in a rollback the unhealthy ones, then those that
/// wait for the second half of their hot upgrade. What runs in pairs of working containers comes to its end first.
fn select_urgent(
    state: &RolloutProgress<'_>,
    candidates: &BatchCandidates,
    order: &[usize],
    is_rollback: bool,
    external: &ExternalState,
) -> Vec<WorkloadUpdate> {
    let is_unhealthy = |i: &&usize| external.unhealthy.contains(state.matched[**i].workload.key());
    let unhealthy: Vec<&usize> = order.iter().filter(|_| is_rollback).filter(is_unhealthy).collect();
    let urgent = if unhealthy.is_empty() { candidates.second_halves.iter().collect() } else { unhealthy };
    urgent.into_iter().map(|i| update_all(&state.matched[*i], false)).collect()
}

/// Selects workloads that are unhealthy on an abandoned revision: they get the target first, as many of their pods as
/// have that revision, whatever `maxUnavailable` is, because they would never become healthy otherwise.
fn select_repairs(
    state: &RolloutProgress<'_>,
    order: &[usize],
    (released, target): (&RevisionName, &RevisionName),
    external: &ExternalState,
    mut cap: u32,
) -> Vec<WorkloadUpdate> {
    let mut updates = Vec::new();
    for matched in order.iter().map(|i| &state.matched[*i]).filter(|m| !m.counts_no_pods()) {
        let abandoned = matched.abandoned_pods(released, target);
        let pods = if matched.can_split {
            abandoned.min(matched.remaining_pods())
        } else {
            matched.remaining_pods()
        };
        if abandoned > 0 && pods <= cap && external.unhealthy.contains(matched.workload.key()) {
            cap -= pods;
            updates.push(WorkloadUpdate { is_repair: true, ..update_some(matched, pods, false) });
        }
    }
    updates
}

/// Selects the workloads that fit, in order, and passes over the others.
fn select_fitting(
    state: &RolloutProgress<'_>,
    order: &[usize],
    mut capacity: BatchCapacity,
) -> Vec<WorkloadUpdate> {
    let mut updates = Vec::new();
    for matched in
        order.iter().map(|i| &state.matched[*i]).filter(|m| !m.counts_no_pods() && m.replicas.is_some())
    {
        let left = matched.remaining_pods();
        let pods = capacity.step_pods.min(capacity.partition_pods);
        let taken = if matched.can_split { left.min(pods) } else { left };
        let taken = match capacity.unavailable {
            // No more pods can be unavailable than are updated.
            Some(bound) if matched.can_split && matched.max_unavailable(taken) > bound => taken.min(bound),
            _ => taken,
        };
        let down = matched.max_unavailable(taken);
        if taken > pods || (taken == 0 && left > 0) || capacity.unavailable.is_some_and(|bound| down > bound)
        {
            continue;
        }
        capacity.step_pods = capacity.step_pods.saturating_sub(taken);
        capacity.partition_pods -= taken;
        capacity.unavailable = capacity.unavailable.map(|bound| bound - down);
        updates.push(update_some(matched, taken, false));
    }
    updates
}

/// Selects one workload that exceeds the step or `maxUnavailable` as a batch of its own. Without an order of its own,
/// the smallest goes first.
fn select_oversized(
    state: &RolloutProgress<'_>,
    order: &[usize],
    cap: u32,
    has_own_order: bool,
) -> Option<WorkloadUpdate> {
    let candidates = order.iter().map(|i| &state.matched[*i]);
    let mut fitting = candidates.filter(|m| {
        let is_known = m.replicas.is_some() && !m.counts_no_pods();
        is_known && m.remaining_pods() <= cap && !(m.can_split && cap == 0)
    });
    let found = if has_own_order { fitting.next() } else { fitting.min_by_key(|m| m.remaining_pods()) };
    found.map(|m| update_all(m, true))
}

/// What a batch may have of the workloads of unknown replica count, which share batches after all others.
struct UnknownSelection {
    /// Workloads.
    most: usize,
    /// Pods that may be unavailable at once; None: unbounded.
    unavailable: Option<u32>,
    /// `partition` must keep pods, and how many of these it would keep is unknown.
    is_kept: bool,
}

impl UnknownSelection {
    fn of(context: &RolloutContext<'_>, state: &RolloutProgress<'_>, is_rollback: bool) -> Self {
        let strategy = &context.settings.strategy;
        if context.settings.rules == PlanRules::Original {
            let kept = strategy.kept_pods(state.pods.into());
            let bound = strategy.max_unavailable_pods(state.pods.into()).filter(|bound| *bound == 0);
            return Self { most: 1, unavailable: bound.map(to_u32), is_kept: !is_rollback && kept > 0 };
        }
        let all = || state.matched.iter().filter(|m| m.is_unknown());
        let (count, done) = (all().count(), all().filter(|m| m.is_done).count());
        // Where no pods are known the steps are over workloads: the first one is a canary here too.
        let step = match state.pods {
            0 if !is_rollback => remaining_step_pods(context, to_u32(count as u64), to_u32(done as u64)),
            _ => u32::MAX,
        };
        Self {
            most: context.settings.unknown_in_batch(count).min(step as usize),
            unavailable: strategy.max_unavailable_pods(state.least_pods().into()).map(to_u32),
            is_kept: !is_rollback && strategy.kept_pods(i32::MAX as u64) > 0,
        }
    }

    /// Selects workloads in order, and passes over those that would exceed `maxUnavailable`. One that exceeds it on its
    /// own, or may do so, is a batch of its own.
    fn select(&self, state: &RolloutProgress<'_>, order: &[usize]) -> Vec<WorkloadUpdate> {
        if self.is_kept || self.unavailable == Some(0) {
            return Vec::new();
        }
        let unknown = || order.iter().map(|i| &state.matched[*i]).filter(|m| m.is_unknown());
        let mut left = self.unavailable;
        let fits = |m: &&MatchedWorkload<'_>| {
            let Some(bound) = left else { return true };
            let down = m.workload.max_unavailable_of_any(m.change.behavior.method);
            let rest = down.and_then(|down| bound.checked_sub(down));
            left = rest.or(left);
            rest.is_some()
        };
        let sharing: Vec<_> = unknown().filter(fits).take(self.most).map(|m| update_all(m, false)).collect();
        match sharing.is_empty() {
            true => unknown().next().map(|m| update_all(m, false)).into_iter().collect(),
            false => sharing,
        }
    }
}

/// Selects workloads that count no pods, in proportion to the share of updated pods.
fn select_next_runs(
    context: &RolloutContext<'_>,
    state: &RolloutProgress<'_>,
    order: &[usize],
    updated: u32,
    is_rollback: bool,
) -> Vec<WorkloadUpdate> {
    let all = || state.matched.iter().filter(|m| m.counts_no_pods());
    let (count, done) = (to_u32(all().count() as u64), to_u32(all().filter(|m| m.is_done).count() as u64));
    let reachable = saturating_sum(
        state.matched.iter().filter(|m| !m.counts_no_pods()).map(MatchedWorkload::target_pods),
    );
    let allowed = if is_rollback {
        count
    } else if reachable == 0 {
        let kept = to_u32(context.settings.strategy.kept_pods(count.into()));
        done.saturating_add(remaining_step_pods(context, count, done)).min(count - kept)
    } else {
        to_u32(u64::from(count) * u64::from(updated) / u64::from(reachable))
    };
    let waiting = order.iter().map(|i| &state.matched[*i]).filter(|m| m.counts_no_pods());
    waiting.take(allowed.saturating_sub(done) as usize).map(|m| update_all(m, false)).collect()
}

fn update_all(matched: &MatchedWorkload<'_>, is_oversized: bool) -> WorkloadUpdate {
    update_some(matched, matched.remaining_pods(), is_oversized)
}

fn update_some(matched: &MatchedWorkload<'_>, taken: u32, is_oversized: bool) -> WorkloadUpdate {
    let (from, replicas) = (matched.updated_pods, matched.replicas);
    let to = from + taken;
    let counts = !matched.counts_no_pods();
    WorkloadUpdate {
        key: Arc::clone(matched.workload.key()),
        previous: matched.revision.clone(),
        updated_before: if counts { from } else { 0 },
        updated_after: if counts { to } else { 0 },
        replicas,
        behavior: matched.change.behavior.clone(),
        partition_percent: None,
        kept_by_partition: (counts && to < matched.target_pods()).then(|| replicas.unwrap_or(0) - to),
        effect: matched.change.effect,
        max_unavailable: match matched.half {
            _ if !counts => 0,
            // All its pods were moved by the first half.
            Some(HotUpgradeHalf::Second) => matched.max_unavailable(to),
            _ => matched.max_unavailable(taken),
        },
        is_oversized,
        is_repair: false,
        ended_hold: matched.ended_hold.clone(),
        hot_upgrades: matched.hot_upgrades.clone(),
        half: matched.half,
    }
}
