//! The next step of a rollout, from what git contains: [`next_step`]. Plan, stage and watch use it alike.

use super::batch_selection::{BatchSelection, select_batch};
use super::blocked::BlockedReason;
use super::hot_upgrade::HotUpgradeHalf;
use super::kruise::ALL_KEPT;
use super::piggyback::{piggyback_refusal, settle_piggyback, with_piggyback};
use super::progress::RolloutProgress;
use super::saturating_sum;
use super::scope::{CountedWorkloads, affects_any_workload};
use super::types::{Batch, ExternalState, RolloutContext, RolloutStep, WorkloadUpdate};
use super::update_method::UpdateMethod;
use super::workload_set::{PlannedWorkload, SidecarEffect};
use crate::model::ledger::{HotUpgrades, Ledger, LedgerEntry, RevisionName, RolloutScope, revision_text};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Returns the next step of a ledger.
pub fn next_step(context: &RolloutContext<'_>, ledger: &Ledger, external: &ExternalState) -> RolloutStep {
    next_step_after(context, ledger, external, &mut None)
}

/// As [`next_step`]. `known` is the progress of a rollout that the step before was a batch of, and becomes the one
/// after this step if it is a batch.
fn next_step_after<'c>(
    context: &'c RolloutContext<'_>,
    ledger: &Ledger,
    external: &ExternalState,
    known: &mut Option<RolloutProgress<'c>>,
) -> RolloutStep {
    let before = known.take();
    let source = context.source_revision();
    let is_newer = newer_source(context, ledger).is_some();
    if let Some(paused) = &ledger.paused {
        if external.is_start_requested && external.replaces_paused && can_start(context, ledger) {
            let resumed = Ledger { paused: None, ..ledger.clone() };
            return start_or_block(context, &resumed, source, external);
        }
        return RolloutStep::Blocked(BlockedReason::Paused(paused.clone()));
    }
    if let Some(step) = step_of_replaced(context, ledger, &source, external) {
        return step;
    }
    let is_stopped = reason_of_strategy(context);
    match &ledger.target {
        None if (source == ledger.released || ledger.rejects(&source))
            && has_expired_hold(context, ledger, external) =>
        {
            let released = ledger.released.clone();
            match is_stopped {
                Some(reason) => RolloutStep::Blocked(reason),
                None => RolloutStep::Start(started_ledger(context, ledger, released, external)),
            }
        }
        None if source == ledger.released => RolloutStep::Idle,
        None if ledger.rejects(&source) => RolloutStep::Blocked(BlockedReason::Rejected(source)),
        None => match is_stopped.or_else(|| external.wave_reason.clone().map(BlockedReason::EarlierWave)) {
            Some(reason) => RolloutStep::Blocked(reason),
            None => start_or_block(context, ledger, source, external),
        },
        Some(_) if external.is_start_requested && is_newer => {
            start_or_block(context, ledger, source, external)
        }
        Some(_)
            if is_newer
                && context.settings.starts_automatically
                && !would_remove_sidecar(context, ledger, external) =>
        {
            start_or_block(context, ledger, source, external)
        }
        // A rollback never waits for the strategy of the failed rollout.
        Some(target) if *target == ledger.released => {
            next_batch(context, ledger, target, external, (before, known))
        }
        // What the rollout replaces or may remove has changed since its start.
        Some(target) if *target == source && must_restart(context, ledger, external) => {
            start_or_block(context, ledger, source, external)
        }
        Some(target) => match is_stopped {
            Some(reason) => RolloutStep::Blocked(reason),
            None => next_batch(context, ledger, target, external, (before, known)),
        },
    }
}

/// Returns why the `updateStrategy` of the SidecarSet lets no batch follow.
fn reason_of_strategy(context: &RolloutContext<'_>) -> Option<BlockedReason> {
    let strategy = &context.settings.strategy;
    match strategy.kind.as_str() {
        // Kruise demands `NotUpdate` of native sidecars because it could only update them in place. A rollout recreates
        // their pods, so it stops only sets that Kruise could update.
        "NotUpdate" if !context.has_native_sidecars() => Some(BlockedReason::NotUpdate),
        _ if strategy.is_paused => Some(BlockedReason::StrategyPaused),
        _ => None,
    }
}

/// Returns the next step for a SidecarSet that others replace: none until their rollouts are complete. Where it was
/// deleted, its ledger then completes with nothing released, which changes no rendered byte. None: workloads that no
/// other set has taken over are planned as usual.
fn step_of_replaced(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    source: &RevisionName,
    external: &ExternalState,
) -> Option<RolloutStep> {
    let is_settled = ledger.target.is_none() && *source == ledger.released;
    if is_settled || !ledger.is_in_use() {
        return None;
    }
    if let Some(by) = context.replaced_by.iter().find(|by| !by.is_released) {
        return Some(RolloutStep::Blocked(BlockedReason::ReplacedBy(Arc::clone(&by.name))));
    }
    if source.is_some() || context.replaced_by.is_empty() {
        return None;
    }
    let state = RolloutProgress::of(context, ledger, source, external.today.as_deref());
    state
        .matched
        .is_empty()
        .then(|| RolloutStep::Complete(completed_ledger(context, ledger, source, &state, external)))
}

/// Returns whether Start must be repeated for an unchanged target.
fn must_restart(context: &RolloutContext<'_>, ledger: &Ledger, external: &ExternalState) -> bool {
    let replaces_more = context.replaces.iter().any(|old| !ledger.replaces.contains(old));
    replaces_more
        || (external.allows_removal && !ledger.allows_removal() && removal_count(context, ledger) > 0)
}

/// Starts a rollout, unless it affects no workload, or none of them may be updated.
fn start_or_block(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    source: RevisionName,
    external: &ExternalState,
) -> RolloutStep {
    let started = started_ledger(context, ledger, source.clone(), external);
    let state = RolloutProgress::of(context, &started, &source, external.today.as_deref());
    let mut reasons = Vec::new();
    for matched in &state.matched {
        match matched.upgrade_refusal(context) {
            Some(reason) => reasons.push((Arc::clone(matched.workload.key()), reason)),
            None => return RolloutStep::Start(started),
        }
    }
    match reasons.is_empty() {
        false => RolloutStep::Blocked(BlockedReason::Waiting(reasons)),
        true if state.held.is_empty() && !affects_any_workload(context, ledger, &source) => {
            RolloutStep::Blocked(BlockedReason::NoWorkloads)
        }
        true => RolloutStep::Start(started),
    }
}

/// Returns whether the rollout of the sources would remove sidecars: such a rollout never starts automatically.
fn would_remove_sidecar(context: &RolloutContext<'_>, ledger: &Ledger, external: &ExternalState) -> bool {
    start_or_block(context, ledger, context.source_revision(), external).removed_workloads() > 0
}

/// Returns the revision in the sources where an open rollout has another target: it is rolled out after that, or when
/// it is started in its place. The inner None: the SidecarSet was deleted.
pub fn newer_source(context: &RolloutContext<'_>, ledger: &Ledger) -> Option<RevisionName> {
    let source = context.source_revision();
    let goes_elsewhere = ledger.target.as_ref().is_some_and(|target| *target != source);
    (goes_elsewhere && !ledger.rejects(&source)).then_some(source)
}

/// Returns whether the sources have a revision that a person may start in place of a paused rollout: not its target
/// or, where no rollout is open, not the released one.
pub fn can_start(context: &RolloutContext<'_>, ledger: &Ledger) -> bool {
    let source = context.source_revision();
    *ledger.target.as_ref().unwrap_or(&ledger.released) != source && !ledger.rejects(&source)
}

/// Returns the step that `pillion start` takes: it makes what the sources contain the target, of a paused rollout too.
pub(crate) fn requested_start(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    external: &ExternalState,
) -> RolloutStep {
    let external = ExternalState { is_start_requested: true, replaces_paused: true, ..external.clone() };
    next_step(context, ledger, &external)
}

/// Returns the command that takes a Start with this ledger; `options` are those of the command line.
pub(crate) fn start_command(context: &RolloutContext<'_>, started: &Ledger, options: &str) -> String {
    let removals = started.scope.as_ref().map_or(0, |scope| scope.removals);
    let allowed = if removals > 0 { " --allow-removal" } else { "" };
    format!("pillion start {}{allowed}{options}", context.name)
}

/// Returns whether a workload with a hold that is over has another revision than the released one.
fn has_expired_hold(context: &RolloutContext<'_>, ledger: &Ledger, external: &ExternalState) -> bool {
    let today = external.today.as_deref();
    let ended = ledger.entries.iter().filter(|(key, entry)| context.is_hold_over(key, entry, today));
    ended.filter_map(|(key, _)| context.workloads.find(key)).any(|workload| {
        let entry = workload.active_entry(ledger);
        entry.is_some_and(|entry| {
            !context.workloads.change_from_entry(workload, &entry, &ledger.released).diff.is_empty()
        })
    })
}

/// Repeats [`next_step`] on its own result until nothing is left to do, at most `limit` times.
pub fn steps(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    external: &ExternalState,
    limit: usize,
) -> Vec<RolloutStep> {
    let (mut steps, mut known): (Vec<RolloutStep>, _) = (Vec::new(), None);
    while steps.len() < limit {
        let before = match steps.last() {
            None => ledger,
            Some(step) => match step.open_ledger() {
                Some(after) => after,
                None => break,
            },
        };
        steps.push(next_step_after(context, before, external, &mut known));
    }
    steps
}

/// Returns the ledger that a step follows; `initial` is the one before all steps.
pub fn ledger_before<'l>(steps: &'l [RolloutStep], initial: &'l Ledger, step: usize) -> &'l Ledger {
    steps[..step.min(steps.len())].iter().rev().find_map(RolloutStep::ledger).unwrap_or(initial)
}

/// Returns the digest that an approval names: the set, its revisions, the batch, its workloads and their replicas.
pub fn approval_digest(
    context: &RolloutContext<'_>,
    before: &Ledger,
    number: u32,
    updates: &[WorkloadUpdate],
) -> String {
    let target = before.target.clone().unwrap_or_default();
    let workloads: Vec<_> = updates
        .iter()
        .map(|m| json!([&*m.key, m.updated_before, m.updated_after, m.replicas, m.partition()]))
        .collect();
    let sizes: BTreeMap<&str, u32> = before.replicas.iter().map(|(k, n)| (&**k, *n)).collect();
    let content = json!([
        &*context.name,
        revision_text(&before.released),
        revision_text(&target),
        number,
        workloads,
        sizes,
    ]);
    let digest = Sha256::digest(content.to_string());
    format!("sha256:{}", digest.iter().map(|b| format!("{b:02x}")).collect::<String>())
}

/// Returns the digest that the approval of a batch must name; None: the batch needs no approval.
pub fn required_approval(context: &RolloutContext<'_>, before: &Ledger, batch: &Batch) -> Option<String> {
    // A rollback never waits for an approval, and whoever starts a fix approves what it repairs. The approval of a
    // batch is for both halves of its hot upgrades.
    let goes_back = before.target.as_ref() == Some(&before.released);
    let is_second = batch.half() == Some(HotUpgradeHalf::Second);
    if !context.settings.approval_batches.contains(&batch.number)
        || goes_back
        || is_second
        || is_repair(batch)
    {
        return None;
    }
    Some(approval_digest(context, before, batch.number, &batch.updates))
}

/// Returns whether a batch only gives a fix to workloads that are unhealthy on an abandoned revision.
pub fn is_repair(batch: &Batch) -> bool {
    !batch.updates.is_empty() && batch.updates.iter().all(|m| m.is_repair)
}

/// Returns whether a Start only gives the released revision to workloads with an expired hold.
pub fn is_hold_release(before: &Ledger, started: &Ledger) -> bool {
    before.target.is_none() && started.target.as_ref() == Some(&started.released)
}

fn started_ledger(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    source: RevisionName,
    external: &ExternalState,
) -> Ledger {
    let mut ledger = context.without_stale_entries(ledger);
    if let Some(revision) = context.source.as_ref().filter(|r| source.as_ref() == Some(&r.name)) {
        ledger.revisions.insert(Arc::clone(&revision.name), revision.clone());
    }
    ledger.approvals.clear();
    for workload in context.workloads.as_slice() {
        let key = workload.key();
        let observed = external.observed_replicas.get(key).or_else(|| context.replicas_from_others.get(key));
        if let (None, false, Some(pods)) = (workload.replicas, ledger.replicas.contains_key(key), observed)
            && !context.workloads.change_to(workload, &ledger.released, &source).diff.is_empty()
        {
            ledger.replicas.insert(Arc::clone(key), *pods);
        }
    }
    hold_back_pods(context, &mut ledger, &source);
    ledger.target = Some(source);
    ledger.replaces.clone_from(&context.replaces);
    ledger.scope = rollout_scope(context, &ledger);
    let mut ledger = with_piggyback(context, ledger);
    ledger.archive_unused_revisions(context.settings.history_limit);
    ledger
}

/// Where Kruise injects the sidecars, Start deploys the target with a partition that keeps every pod as it is; a content
/// that running pods cannot get follows in the batch.
fn hold_back_pods(context: &RolloutContext<'_>, ledger: &mut Ledger, target: &RevisionName) {
    if context.kruise.is_none() || *target == ledger.released {
        return;
    }
    for workload in context.workloads.as_slice() {
        let current = ledger
            .entries
            .get(workload.key())
            .map_or_else(|| ledger.released.clone(), |l| l.revision.clone());
        let change = context.workloads.change_to(workload, &current, target);
        if change.behavior.method == UpdateMethod::InPlace {
            let kept = LedgerEntry { partition_percent: Some(ALL_KEPT), ..LedgerEntry::default() };
            let entry = LedgerEntry { revision: target.clone(), ..kept };
            ledger.entries.insert_mut(Arc::clone(workload.key()), entry);
        }
    }
}

/// Returns the scope of a rollout, and how many of its workloads lose the sidecar.
fn rollout_scope(context: &RolloutContext<'_>, ledger: &Ledger) -> Option<RolloutScope> {
    let counted =
        ledger.target.as_ref().map(|_| CountedWorkloads::of(context, ledger).to_scope(context.is_built))?;
    Some(RolloutScope { removals: removal_count(context, ledger), ..counted })
}

/// Returns how many workloads lose the sidecar in a rollout that starts.
fn removal_count(context: &RolloutContext<'_>, ledger: &Ledger) -> u32 {
    let Some(target) = &ledger.target else { return 0 };
    let loses = |workload: &&PlannedWorkload| {
        let entry = workload.active_entry(ledger);
        let current = entry.as_ref().map_or(&ledger.released, |l| &l.revision);
        if entry.as_ref().is_some_and(|l| l.hold_reason.is_some()) || current == target {
            return false;
        }
        let change = context.workloads.change_to(workload, current, target);
        change.effect == SidecarEffect::Removed && change.behavior.method != UpdateMethod::Never
    };
    // A rollback only removes sidecars that its rollout added.
    if *target == ledger.released {
        return 0;
    }
    u32::try_from(context.workloads.as_slice().iter().filter(loses).count()).unwrap_or(u32::MAX)
}

fn next_batch<'c>(
    context: &'c RolloutContext<'_>,
    ledger: &Ledger,
    target: &RevisionName,
    external: &ExternalState,
    (before, known): (Option<RolloutProgress<'c>>, &mut Option<RolloutProgress<'c>>),
) -> RolloutStep {
    let today = external.today.as_deref();
    // The ledger of a batch has no stale entry.
    let valid = match &before {
        Some(_) => ledger.clone(),
        None => without_ended_piggyback(context, context.without_stale_entries(ledger)),
    };
    let state = before.unwrap_or_else(|| RolloutProgress::of(context, ledger, target, today));
    match select_batch(context, &state, (&ledger.released, target), external) {
        BatchSelection::Updates(updates) => {
            let is_second = updates.iter().any(|update| update.half == Some(HotUpgradeHalf::Second));
            let last = ledger.last_batch();
            // Both halves of a hot upgrade are one batch.
            let number = if is_second { last } else { last.saturating_add(1) };
            let batch = build_batch(context, (number, valid), target, &state, updates);
            *known = Some(state.after_batch(context, &batch, target, today));
            RolloutStep::Batch(batch)
        }
        BatchSelection::Blocked(reason) => RolloutStep::Blocked(reason),
        BatchSelection::Done => {
            // A person has accepted that the scope has no workload.
            let is_accepted = ledger.scope.as_ref().is_some_and(|scope| scope.workloads == 0);
            // A first rollout that is rolled back before its first batch: no workload has the sidecar, and none gets it.
            let changes_nothing = target.is_none() && !ledger.is_in_use();
            let is_empty = state.matched.is_empty() && state.held.is_empty();
            if is_empty && !is_accepted && !changes_nothing && !affects_any_workload(context, ledger, target)
            {
                return RolloutStep::Blocked(BlockedReason::NoWorkloads);
            }
            RolloutStep::Complete(completed_ledger(context, ledger, target, &state, external))
        }
    }
}

/// Where `piggyback` was removed, or no longer applies, the next batch ends it.
fn without_ended_piggyback(context: &RolloutContext<'_>, ledger: Ledger) -> Ledger {
    let goes_on = context.settings.piggyback.is_some() && piggyback_refusal(context, &ledger).is_none();
    if goes_on { ledger } else { settle_piggyback(context, &ledger) }
}

fn build_batch(
    context: &RolloutContext<'_>,
    (number, mut after): (u32, Ledger),
    target: &RevisionName,
    state: &RolloutProgress<'_>,
    updates: Vec<WorkloadUpdate>,
) -> Batch {
    for update in &updates {
        let template = context.workloads.find(&update.key).filter(|_| update.kept_by_partition.is_some());
        let is_second = update.half == Some(HotUpgradeHalf::Second);
        let batch = after.entries.get(&update.key).filter(|_| is_second).and_then(|entry| entry.batch);
        after.entries.insert_mut(
            Arc::clone(&update.key),
            LedgerEntry {
                revision: target.clone(),
                batch: batch.or(Some(number)),
                hot_upgrades: update.hot_upgrades.clone(),
                partition: update.kept_by_partition,
                partition_percent: update.partition_percent,
                template_hash: template.map(PlannedWorkload::template_hash),
                ..LedgerEntry::default()
            },
        );
    }
    after.archive_unused_revisions(context.settings.history_limit);
    let moving = saturating_sum(updates.iter().map(|m| m.updated_after - m.updated_before));
    Batch {
        number,
        updates,
        matched_workloads: state.matched.len(),
        matched_pods: state.pods,
        updated_pods: state.updated_pods.saturating_add(moving),
        ledger: after,
    }
}

fn completed_ledger(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    target: &RevisionName,
    state: &RolloutProgress<'_>,
    external: &ExternalState,
) -> Ledger {
    let mut after = context.without_stale_entries(ledger);
    let is_held = |key: &str, entry: &LedgerEntry| {
        entry.hold_reason.is_some() && !context.is_hold_over(key, entry, external.today.as_deref())
    };
    let settled = after.entries.iter().filter(|(key, entry)| !is_held(key, entry));
    let settled: Vec<_> =
        settled.filter_map(|(key, entry)| Some((Arc::clone(key), entry.settled(target)?))).collect();
    after.retain_workloads(|key, entry| is_held(key, entry));
    for (key, entry) in settled {
        after.entries.insert_mut(key, entry);
    }
    for held in state.held.iter().filter(|h| !h.is_in_ledger()) {
        if let Some(entry) = held.hold_entry().filter(|_| held.override_hold.is_some()) {
            after.entries.insert_mut(Arc::clone(held.workload.key()), entry);
            continue;
        }
        let entry = LedgerEntry {
            revision: held.revision.clone(),
            template_hash: Some(held.workload.template_hash()),
            hold_reason: Some(Arc::clone(&held.reason)),
            held_by: held.replaced_entry.and_then(|entry| entry.held_by.clone()),
            held_since: held.replaced_entry.and_then(|entry| entry.held_since.clone()),
            held_until: held.replaced_entry.and_then(|entry| entry.held_until.clone()),
            images: held.entry.as_ref().map_or_else(BTreeMap::new, |l| l.images.clone()),
            hot_upgrades: held.entry.as_ref().map_or_else(HotUpgrades::default, |l| l.hot_upgrades.clone()),
            ..LedgerEntry::default()
        };
        after.entries.insert_mut(Arc::clone(held.workload.key()), entry);
    }
    after.released = target.clone();
    after.target = None;
    after.scope = None;
    if !after.is_in_use() {
        after.replaces.clear();
    }
    after.replicas.clear();
    after.approvals.clear();
    after.archive_unused_revisions(context.settings.history_limit);
    after
}
