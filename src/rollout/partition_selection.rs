//! Selects the `partition` of the next batch of a SidecarSet that Kruise injects.

use super::blocked::BlockedReason;
use super::kruise::{ALL_KEPT, KruiseSelection, kept_by_percent};
use super::progress::MatchedWorkload;
use super::types::{RolloutContext, WorkloadUpdate};
use super::{saturating_sum, to_u32};
use crate::model::int_or_percent::IntOrPercent;
use crate::model::ledger::HotUpgrades;
use std::sync::Arc;

/// The pods that percentages are compared over where their number is unknown.
const NOMINAL_PODS: u32 = 10_000;

/// Selects the next partition of a SidecarSet.
///
/// # Errors
/// Why no pod may be updated now.
pub(super) fn select_partition(
    context: &RolloutContext<'_>,
    selection: &KruiseSelection,
    matched: &MatchedWorkload<'_>,
    is_rollback: bool,
) -> Result<WorkloadUpdate, BlockedReason> {
    if is_rollback || matched.counts_no_pods() {
        return Ok(update(matched, 0));
    }
    let strategy = &context.settings.strategy;
    let pods = matched.replicas.unwrap_or(NOMINAL_PODS);
    if strategy.max_unavailable_pods(pods.into()) == Some(0) {
        return Err(BlockedReason::MaxUnavailableZero);
    }
    let current = matched.kept_percent;
    let outside = selection.outside_canary();
    let next = match &strategy.selector {
        None => next_percent(context, current, pods),
        // Kruise allows no partition beside a selector, so that all canaries are updated at once: here all pods.
        Some(_) if outside.is_empty() => 0,
        Some(_) if current < ALL_KEPT => return Err(BlockedReason::CanarySelector(outside)),
        Some(_) => canary_percent(selection, matched.replicas),
    };
    let floor = written_percent(context, matched.replicas);
    let next = next.max(floor);
    if kept_by_percent(next, pods) >= kept_by_percent(current, pods) {
        let (updated, pods) = (matched.updated_pods, matched.replicas.unwrap_or(0));
        let workloads = selection.workloads.iter().map(|workload| Arc::clone(&workload.key)).collect();
        return Err(BlockedReason::Partition { updated, pods, workloads });
    }
    Ok(update(matched, next))
}

/// Returns the percentage that the next step keeps: the largest one that updates a pod; 0 after the last step.
fn next_percent(context: &RolloutContext<'_>, current: u32, pods: u32) -> u32 {
    let kept = kept_by_percent(current, pods);
    let steps = context.settings.steps.iter().flatten().map(|step| percent_of_step(step, pods));
    steps.filter(|percent| kept_by_percent(*percent, pods) < kept).max().unwrap_or(0)
}

/// Returns the percentage that a step keeps: of pods, the largest one that updates as many.
fn percent_of_step(step: &IntOrPercent, pods: u32) -> u32 {
    match step {
        IntOrPercent::Text(text) => {
            let updated = text.strip_suffix('%').and_then(|number| number.parse().ok()).unwrap_or(ALL_KEPT);
            ALL_KEPT.saturating_sub(updated)
        }
        IntOrPercent::Int(number) => {
            let wanted = to_u32(u64::try_from(*number).unwrap_or(0)).min(pods);
            let updates = |percent: &u32| pods - kept_by_percent(*percent, pods) >= wanted;
            (0..ALL_KEPT).rev().find(updates).unwrap_or(0)
        }
    }
}

/// Returns the percentage that stands for a canary: the smallest one that keeps the pods outside of it.
fn canary_percent(selection: &KruiseSelection, pods: Option<u32>) -> u32 {
    let Some(pods) = pods else { return ALL_KEPT - 1 };
    let outside = selection.workloads.iter().filter(|workload| !workload.is_canary);
    let outside = saturating_sum(outside.filter_map(|workload| workload.pods));
    (1..ALL_KEPT).find(|percent| kept_by_percent(*percent, pods) >= outside).unwrap_or(ALL_KEPT - 1)
}

/// Returns the smallest percentage that keeps what the written `partition` keeps; a number of unknown pods keeps all.
fn written_percent(context: &RolloutContext<'_>, pods: Option<u32>) -> u32 {
    let strategy = &context.settings.strategy;
    match (&strategy.partition, pods) {
        (None, _) => 0,
        (Some(IntOrPercent::Int(number)), None) => {
            if *number > 0 {
                ALL_KEPT
            } else {
                0
            }
        }
        (Some(_), pods) => {
            let pods = pods.unwrap_or(NOMINAL_PODS);
            let kept = to_u32(strategy.kept_pods(pods.into()));
            (0..=ALL_KEPT).find(|percent| kept_by_percent(*percent, pods) >= kept).unwrap_or(ALL_KEPT)
        }
    }
}

/// Returns the update of a SidecarSet that keeps a percentage of its pods old.
fn update(matched: &MatchedWorkload<'_>, percent: u32) -> WorkloadUpdate {
    let counts = !matched.counts_no_pods();
    let (before, pods) = (matched.updated_pods, matched.replicas.unwrap_or(0));
    let after = (pods - kept_by_percent(percent, pods)).max(before);
    WorkloadUpdate {
        key: Arc::clone(matched.workload.key()),
        previous: matched.revision.clone(),
        updated_before: if counts { before } else { 0 },
        updated_after: if counts { after } else { 0 },
        replicas: matched.replicas,
        behavior: matched.change.behavior.clone(),
        kept_by_partition: None,
        partition_percent: (percent > 0).then_some(percent),
        effect: matched.change.effect,
        max_unavailable: if counts { matched.max_unavailable(after - before) } else { 0 },
        is_oversized: false,
        is_repair: false,
        ended_hold: None,
        hot_upgrades: HotUpgrades::default(),
        half: None,
    }
}
