//! The one step that follows from what git holds: [`next_step`]. Everybody who plans, stages or watches takes it.

use super::batch_selection::{BatchSelection, batch_refusal, select_batch};
use super::blocked::BlockedReason;
use super::progress::RolloutProgress;
use super::saturating_sum;
use super::scope::{CountedWorkloads, affects_any_workload};
use super::types::{Batch, ExternalState, RolloutContext, RolloutStep, WorkloadUpdate};
use super::update_method::UpdateMethod;
use super::workload_set::{PlannedWorkload, SidecarEffect};
use crate::model::ledger::{Ledger, LedgerEntry, RevisionName, RolloutScope, revision_text};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Returns the step that follows from a ledger.
pub fn next_step(course: &RolloutContext<'_>, ledger: &Ledger, given: &ExternalState) -> RolloutStep {
    let source = course.source_revision();
    let is_newer = newer_source(course, ledger).is_some();
    if let Some(paused) = &ledger.paused {
        if given.is_start_requested && given.replaces_paused && can_start(course, ledger) {
            let resumed = Ledger { paused: None, ..ledger.clone() };
            return start_or_block(course, &resumed, source, given);
        }
        return RolloutStep::Blocked(BlockedReason::Paused(paused.clone()));
    }
    if let Some(step) = step_of_replaced(course, ledger, &source, given) {
        return step;
    }
    let is_rejected = is_rejected(ledger, &source);
    let strategy = &course.settings.strategy;
    let is_stopped = match strategy.kind.as_str() {
        "NotUpdate" => Some(BlockedReason::NotUpdate),
        _ if strategy.is_paused => Some(BlockedReason::StrategyPaused),
        _ => None,
    };
    match &ledger.target {
        None if source == ledger.released || is_rejected => {
            match is_stopped {
                _ if !has_expired_hold(course, ledger, given) => {}
                Some(rest) => return RolloutStep::Blocked(rest),
                None => {
                    return RolloutStep::Start(started_ledger(
                        course,
                        ledger,
                        ledger.released.clone(),
                        given,
                    ));
                }
            }
            if source == ledger.released {
                RolloutStep::Idle
            } else {
                RolloutStep::Blocked(BlockedReason::Rejected(source))
            }
        }
        None => match is_stopped.or_else(|| given.wave_reason.clone().map(BlockedReason::EarlierWave)) {
            Some(rest) => RolloutStep::Blocked(rest),
            None => start_or_block(course, ledger, source, given),
        },
        Some(_) if given.is_start_requested && is_newer => start_or_block(course, ledger, source, given),
        Some(_)
            if is_newer
                && course.settings.starts_automatically
                && !would_remove_sidecar(course, ledger, given) =>
        {
            start_or_block(course, ledger, source, given)
        }
        // Going back is never held up by the strategy of what went wrong.
        Some(target) if *target == ledger.released => next_batch(course, ledger, target, given),
        // What it replaces, or may remove, is another thing than when it was opened.
        Some(target) if *target == source && must_restart(course, ledger, given) => {
            start_or_block(course, ledger, source, given)
        }
        Some(target) => match is_stopped {
            Some(rest) => RolloutStep::Blocked(rest),
            None => next_batch(course, ledger, target, given),
        },
    }
}

/// What is done next for a SidecarSet whose place others take: nothing, until these are released; and if it is gone from
/// git, its ledger is closed at nothing then, which changes no rendered byte. None: what no other set has taken over is
/// planned like everything else.
fn step_of_replaced(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    source: &RevisionName,
    given: &ExternalState,
) -> Option<RolloutStep> {
    let is_settled = ledger.target.is_none() && *source == ledger.released;
    if is_settled || !ledger.is_in_use() {
        return None;
    }
    if let Some(by) = course.replaced_by.iter().find(|by| !by.is_released) {
        return Some(RolloutStep::Blocked(BlockedReason::ReplacedBy(Arc::clone(&by.name))));
    }
    if source.is_some() || course.replaced_by.is_empty() {
        return None;
    }
    let state = RolloutProgress::of(course, ledger, source, given.today.as_deref());
    state
        .matched
        .is_empty()
        .then(|| RolloutStep::Complete(completed_ledger(course, ledger, source, &state, given)))
}

/// Tells whether Start has to be repeated for a target that stays the same.
fn must_restart(course: &RolloutContext<'_>, ledger: &Ledger, given: &ExternalState) -> bool {
    let replaces_more = course.replaces.iter().any(|old| !ledger.replaces.contains(old));
    replaces_more || (given.allows_removal && !ledger.allows_removal() && removal_count(course, ledger) > 0)
}

/// Opens a rollout, unless it concerns no workload, or none of it may be moved.
fn start_or_block(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    source: RevisionName,
    given: &ExternalState,
) -> RolloutStep {
    let opened = started_ledger(course, ledger, source.clone(), given);
    let state = RolloutProgress::of(course, &opened, &source, given.today.as_deref());
    let mut reasons = Vec::new();
    for matched in &state.matched {
        match matched
            .change
            .hot_upgrade_container
            .as_ref()
            .and_then(|_| batch_refusal(course, &state, matched))
        {
            Some(reason) => reasons.push((Arc::clone(matched.workload.key()), reason)),
            None => return RolloutStep::Start(opened),
        }
    }
    match reasons.is_empty() {
        false => RolloutStep::Blocked(BlockedReason::Waiting(reasons)),
        true if state.held.is_empty() && !affects_any_workload(course, ledger, &source) => {
            RolloutStep::Blocked(BlockedReason::NoWorkloads)
        }
        true => RolloutStep::Start(opened),
    }
}

/// Tells whether the rollout of what the source holds would take the sidecar away: that never starts by itself.
fn would_remove_sidecar(course: &RolloutContext<'_>, ledger: &Ledger, given: &ExternalState) -> bool {
    start_or_block(course, ledger, course.source_revision(), given).removed_workloads() > 0
}

/// Returns what the source holds where an open rollout goes somewhere else: it waits until that is closed, or until it
/// is started in its place. The inner None: the SidecarSet is not there any more.
pub fn newer_source(course: &RolloutContext<'_>, ledger: &Ledger) -> Option<RevisionName> {
    let source = course.source_revision();
    let goes_elsewhere = ledger.target.as_ref().is_some_and(|target| *target != source);
    (goes_elsewhere && !is_rejected(ledger, &source)).then_some(source)
}

/// Tells whether the source holds something that a person may start in place of what is paused: another content than the
/// target's or, where no rollout is open, than the released one.
pub fn can_start(course: &RolloutContext<'_>, ledger: &Ledger) -> bool {
    let source = course.source_revision();
    *ledger.target.as_ref().unwrap_or(&ledger.released) != source && !is_rejected(ledger, &source)
}

fn is_rejected(ledger: &Ledger, source: &RevisionName) -> bool {
    ledger.rejected.iter().any(|r| **r == *revision_text(source))
}

/// Tells whether a workload whose hold is over carries something else than the released revision.
fn has_expired_hold(course: &RolloutContext<'_>, ledger: &Ledger, given: &ExternalState) -> bool {
    let today = given.today.as_deref();
    let ended = ledger.entries.iter().filter(|(_, line)| line.is_hold_expired(today));
    ended.filter_map(|(key, _)| course.workloads.find(key)).any(|unit| {
        let line = unit.active_entry(ledger);
        line.is_some_and(|line| {
            !course.workloads.change_from_entry(unit, &line, &ledger.released).diff.is_empty()
        })
    })
}

/// Repeats [`next_step`] on its own result until nothing is left to be done, at most `limit` times.
pub fn steps(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    given: &ExternalState,
    limit: usize,
) -> Vec<RolloutStep> {
    let mut steps: Vec<RolloutStep> = Vec::new();
    while steps.len() < limit {
        let before = match steps.last() {
            None => ledger,
            Some(step) => match step.open_ledger() {
                Some(after) => after,
                None => break,
            },
        };
        steps.push(next_step(course, before, given));
    }
    steps
}

/// Returns the ledger that a step follows; `initial` is the one before all steps.
pub fn ledger_before<'l>(steps: &'l [RolloutStep], initial: &'l Ledger, step: usize) -> &'l Ledger {
    steps[..step.min(steps.len())].iter().rev().find_map(RolloutStep::ledger).unwrap_or(initial)
}

/// Returns the digest that an approval is for: the set, its revisions, the batch, its workloads and their sizes.
pub fn approval_digest(
    course: &RolloutContext<'_>,
    before: &Ledger,
    number: u32,
    moves: &[WorkloadUpdate],
) -> String {
    let target = before.target.clone().unwrap_or_default();
    let workloads: Vec<_> = moves
        .iter()
        .map(|m| json!([&*m.key, m.updated_before, m.updated_after, m.replicas, m.kept_by_partition]))
        .collect();
    let sizes: BTreeMap<&str, u32> = before.replicas.iter().map(|(k, n)| (&**k, *n)).collect();
    let content = json!([
        &*course.name,
        revision_text(&before.released),
        revision_text(&target),
        number,
        workloads,
        sizes,
    ]);
    let digest = Sha256::digest(content.to_string());
    format!("sha256:{}", digest.iter().map(|b| format!("{b:02x}")).collect::<String>())
}

fn started_ledger(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    source: RevisionName,
    given: &ExternalState,
) -> Ledger {
    let mut ledger = without_stale_entries(course, ledger);
    if let Some(revision) = course.source.as_ref().filter(|r| source.as_ref() == Some(&r.name)) {
        ledger.revisions.insert(Arc::clone(&revision.name), revision.clone());
    }
    ledger.approvals.clear();
    for unit in course.workloads.as_slice() {
        let key = unit.key();
        let observed = given.observed_replicas.get(key).or_else(|| course.replicas_from_others.get(key));
        if let (None, false, Some(pods)) = (unit.replicas, ledger.replicas.contains_key(key), observed)
            && !course.workloads.change_to(unit, &ledger.released, &source).diff.is_empty()
        {
            ledger.replicas.insert(Arc::clone(key), *pods);
        }
    }
    ledger.target = Some(source);
    ledger.replaces.clone_from(&course.replaces);
    ledger.scope = rollout_scope(course, &ledger);
    ledger.archive_unused_revisions(course.settings.history_limit);
    ledger
}

/// What a rollout counts, and how many of its workloads lose the sidecar: later steps are held against it.
fn rollout_scope(course: &RolloutContext<'_>, ledger: &Ledger) -> Option<RolloutScope> {
    let counted =
        ledger.target.as_ref().map(|_| CountedWorkloads::of(course, ledger).to_scope(course.is_built))?;
    Some(RolloutScope { removals: removal_count(course, ledger), ..counted })
}

/// The workloads that a rollout which opens takes the sidecar away from.
fn removal_count(course: &RolloutContext<'_>, ledger: &Ledger) -> u32 {
    let Some(target) = &ledger.target else { return 0 };
    let loses = |unit: &&PlannedWorkload| {
        let line = unit.active_entry(ledger);
        let carries = line.as_ref().map_or(&ledger.released, |l| &l.revision);
        if line.as_ref().is_some_and(|l| l.hold_reason.is_some()) || carries == target {
            return false;
        }
        let change = course.workloads.change_to(unit, carries, target);
        change.effect == SidecarEffect::Removed && change.behavior.method != UpdateMethod::Never
    };
    // Going back takes the sidecar only from those that the rollout has brought it to.
    if *target == ledger.released {
        return 0;
    }
    u32::try_from(course.workloads.as_slice().iter().filter(loses).count()).unwrap_or(u32::MAX)
}

fn next_batch(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    target: &RevisionName,
    given: &ExternalState,
) -> RolloutStep {
    let state = RolloutProgress::of(course, ledger, target, given.today.as_deref());
    match select_batch(course, &state, (&ledger.released, target), given) {
        BatchSelection::Updates(moves) => {
            RolloutStep::Batch(build_batch(course, ledger, target, &state, moves))
        }
        BatchSelection::Empty(Some(rest)) => RolloutStep::Blocked(rest),
        BatchSelection::Empty(None) => {
            // A person has accepted a scope of no workload.
            let is_accepted = ledger.scope.as_ref().is_some_and(|scope| scope.workloads == 0);
            let is_empty = state.matched.is_empty() && state.held.is_empty();
            if is_empty && !is_accepted && !affects_any_workload(course, ledger, target) {
                return RolloutStep::Blocked(BlockedReason::NoWorkloads);
            }
            RolloutStep::Complete(completed_ledger(course, ledger, target, &state, given))
        }
    }
}

fn build_batch(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    target: &RevisionName,
    state: &RolloutProgress<'_>,
    moves: Vec<WorkloadUpdate>,
) -> Batch {
    let number = ledger.last_batch().saturating_add(1);
    let mut after = without_stale_entries(course, ledger);
    for moved in &moves {
        let template = course.workloads.find(&moved.key).filter(|_| moved.kept_by_partition.is_some());
        after.entries.insert_mut(
            Arc::clone(&moved.key),
            LedgerEntry {
                revision: target.clone(),
                batch: Some(number),
                partition: moved.kept_by_partition,
                template_hash: template.map(PlannedWorkload::template_hash),
                ..LedgerEntry::default()
            },
        );
    }
    after.archive_unused_revisions(course.settings.history_limit);
    let moving = saturating_sum(moves.iter().map(|m| m.updated_after - m.updated_before));
    Batch {
        number,
        updates: moves,
        matched_workloads: state.matched.len(),
        matched_pods: state.pods,
        updated_pods: state.updated_pods.saturating_add(moving),
        ledger: after,
    }
}

fn completed_ledger(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    target: &RevisionName,
    state: &RolloutProgress<'_>,
    given: &ExternalState,
) -> Ledger {
    let mut after = without_stale_entries(course, ledger);
    after.retain_workloads(|_, line| {
        line.hold_reason.is_some() && !line.is_hold_expired(given.today.as_deref())
    });
    for held in state.held.iter().filter(|h| !h.is_in_ledger()) {
        let line = LedgerEntry {
            revision: held.revision.clone(),
            template_hash: Some(held.workload.template_hash()),
            hold_reason: Some(Arc::clone(&held.reason)),
            held_by: held.replaced_entry.and_then(|line| line.held_by.clone()),
            held_since: held.replaced_entry.and_then(|line| line.held_since.clone()),
            held_until: held.replaced_entry.and_then(|line| line.held_until.clone()),
            images: held.entry.as_ref().map_or_else(BTreeMap::new, |l| l.images.clone()),
            ..LedgerEntry::default()
        };
        after.entries.insert_mut(Arc::clone(held.workload.key()), line);
    }
    after.released = target.clone();
    after.target = None;
    after.scope = None;
    if !after.is_in_use() {
        after.replaces.clear();
    }
    after.replicas.clear();
    after.approvals.clear();
    after.archive_unused_revisions(course.settings.history_limit);
    after
}

/// The ledger with the lines as they count: without those of workloads that are gone, or whose source has changed since.
/// A hold lasts where its workload is only not selected any more.
pub(super) fn without_stale_entries(course: &RolloutContext<'_>, ledger: &Ledger) -> Ledger {
    let mut after = ledger.clone();
    for key in ledger.entries.keys() {
        match course.workloads.find(key).and_then(|unit| unit.active_entry(ledger)) {
            None if course.unselected_holds.contains(key) => {}
            None => {
                after.entries.remove_mut(key);
            }
            Some(Cow::Owned(line)) => {
                after.entries.insert_mut(Arc::clone(key), line);
            }
            Some(Cow::Borrowed(_)) => {}
        }
    }
    after
}
