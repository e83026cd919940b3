//! The plan of a rollout, for people: batch by batch, with the worst case of each, and warnings.
//!
//! Makes no decision: the steps come from a [`RolloutPlan`], the numbers from the simulation.

mod batch;
mod changes;
mod held_workloads;
mod warnings;

pub(crate) use batch::{BatchReport, WorkloadReport, workload_title};
pub(crate) use changes::{SetChanges, describe_changes, shorten_images};
pub(crate) use held_workloads::{HeldWorkloadReport, HoldState, ledger_holds, revision_with_images};

use super::hot_upgrade::HotUpgradeHalf;
use super::piggyback::{WorkloadCount, piggybacked_workloads, waiting_workloads};
use super::plan::{PlanExtent, RolloutPlan};
use super::progress::RolloutProgress;
use super::removal::SidecarRemoval;
use super::step::is_hold_release;
use super::types::{RolloutContext, RolloutEnd, RolloutStep, WorkloadUpdate};
use super::workload_set::{PlannedWorkload, SidecarEffect};
use super::{RelatedObject, patch};
use crate::diagnostics::Diagnostic;
use crate::model::duration;
use crate::model::ledger::{Ledger, LedgerEntry, PauseRecord, RevisionName};
use crate::yaml::FieldPath;
use json_patch::PatchOperation;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What people read of a plan.
#[derive(Debug)]
pub(crate) struct PlanReport {
    /// The revision that workloads have: the released one; in a rollback the one that failed.
    pub(crate) from: RevisionName,
    /// The revision that workloads get.
    pub(crate) to: RevisionName,
    /// The rollout is a rollback to the released revision.
    pub(crate) is_rollback: bool,
    /// Nothing is rolled out but the released revision, to workloads with an expired hold.
    pub(crate) is_hold_release: bool,
    /// The rollout is paused: the batches follow after `pillion resume`.
    pub(crate) paused: Option<PauseRecord>,
    /// The changes, for people.
    pub(crate) changes: SetChanges,
    /// The workloads that lose the sidecar.
    pub(crate) removal: Option<SidecarRemoval>,
    /// Only images differ in every workload that counts.
    pub(crate) is_image_only: bool,
    /// Workloads that count.
    pub(crate) matched_workloads: usize,
    /// Their pods, as far as known.
    pub(crate) matched_pods: u32,
    /// Workloads that count and have an unknown replica count.
    pub(crate) unknown_replicas: usize,
    /// The batches, as many as a plan may have.
    pub(crate) batches: Vec<BatchReport>,
    /// Workloads that took the target with their own change, and those that take it with their next one.
    pub(crate) piggyback: [WorkloadCount; 2],
    /// Workloads that the rollout does not update.
    pub(crate) held: Vec<HeldWorkloadReport>,
    /// How it ends.
    pub(crate) end: RolloutEnd,
    /// The warnings.
    pub(crate) warnings: Vec<Diagnostic>,
    /// How many seconds the rollout takes at least; None where `soak` is not a duration.
    pub(crate) minimum_seconds: Option<u64>,
}

impl PlanReport {
    /// Reports on a plan; of a paused rollout on what follows when it is resumed. `related` are the objects that the
    /// plan is checked against.
    pub(crate) fn of(
        plan: &RolloutPlan<'_>,
        paused: Option<PauseRecord>,
        related: &[&RelatedObject],
        extent: PlanExtent,
    ) -> Self {
        let (context, today) = (&plan.context, plan.external.today.as_deref());
        // Start records replica counts, which apply from then on.
        let started = plan.started_ledger();
        let target = started.target.clone().unwrap_or_else(|| context.source_revision());
        let state = RolloutProgress::of(context, started, &target, today);
        let from = source_of_rollout(&plan.context, &plan.ledger, &target, today);
        let steps = plan.steps_within(extent);
        let batches = batch::batch_reports(plan, steps);
        let unknown = state.matched.iter().filter(|m| m.replicas.is_none() && !m.counts_no_pods());
        let mut report = Self {
            is_rollback: started.target.as_ref() == Some(&started.released),
            is_hold_release: is_hold_release(&plan.ledger, started),
            paused,
            changes: SetChanges::between(context, started, &from, &target),
            from,
            removal: SidecarRemoval::of(context, started),
            is_image_only: is_image_only(&state),
            matched_workloads: state.matched.len(),
            matched_pods: state.pods,
            unknown_replicas: unknown.count(),
            piggyback: [
                piggybacked_workloads(context, resumed_ledger(plan)),
                waiting_workloads(context, resumed_ledger(plan)),
            ],
            held: held_workloads::held_in_plan(context, &state, &plan.ledger, today),
            end: plan_end(context, steps, batches.len(), extent),
            minimum_seconds: minimum_seconds(context, batches.len()),
            warnings: Vec::new(),
            to: target,
            batches,
        };
        if !report.is_idle() {
            report.warnings = warnings::warnings(plan, &report, &state, related);
        }
        report.batches.truncate(context.settings.max_batches as usize);
        report
    }

    /// Returns whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.end, RolloutEnd::Idle)
    }

    /// Returns the number of batches; both halves of a hot upgrade are one.
    pub(crate) fn batch_count(&self) -> usize {
        self.batches.iter().filter(|batch| batch.half != Some(HotUpgradeHalf::Second)).count()
    }

    /// Returns how many workloads the batches add the sidecar to, update, and remove it from.
    pub(crate) fn effects(&self) -> BTreeMap<SidecarEffect, usize> {
        let updates = self.batches.iter().flat_map(|b| &b.workloads).map(|w| &w.update);
        let by_key: BTreeMap<&str, SidecarEffect> =
            updates.map(|update| (&*update.key, update.effect)).collect();
        let mut counts = BTreeMap::new();
        by_key.into_values().for_each(|effect| *counts.entry(effect).or_default() += 1);
        counts
    }

    /// Returns a note for a workload that loses the sidecar, or gets it while others are updated.
    pub(crate) fn effect_note(&self, update: &WorkloadUpdate) -> Option<&'static str> {
        update.effect_note(&self.from)
    }

    /// Returns the patch of a workload between the state before a batch (by its index in `batches`) and after it;
    /// `base` is the path of its object in the rendered document.
    pub(crate) fn batch_patches(
        &self,
        plan: &RolloutPlan<'_>,
        batch: usize,
        workload: &PlannedWorkload,
        base: &FieldPath,
    ) -> Vec<PatchOperation> {
        let Some(at) = self.batches.get(batch).map(|b| b.step) else { return Vec::new() };
        let pair = [plan.ledger_before(at), plan.ledger_before(at + 1)];
        let [old, new] =
            pair.map(|ledger| plan.context.workloads.object(workload, &entry_of(ledger, workload)));
        let within = workload.manifest().template_path.segments()
            [workload.manifest().path.segments().len()..]
            .to_vec();
        patch::json_patch_between(&old, &new, base, &FieldPath::from(within))
    }
}

/// Returns the ledger that the first batch follows; of a paused rollout the one after it is resumed.
fn resumed_ledger<'p>(plan: &'p RolloutPlan<'_>) -> &'p Ledger {
    match plan.steps.first() {
        Some(RolloutStep::Resume(after)) => after,
        _ => plan.started_ledger(),
    }
}

/// Returns the entry of a workload, or one for the released revision.
fn entry_of(ledger: &Ledger, workload: &PlannedWorkload) -> LedgerEntry {
    let entry = workload.active_entry(ledger);
    entry.map_or_else(|| LedgerEntry::with_revision(ledger.released.clone()), Cow::into_owned)
}

/// Returns the revision that workloads have; in a rollback the one that most remaining workloads have.
fn source_of_rollout(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    target: &RevisionName,
    today: Option<&str>,
) -> RevisionName {
    if ledger.released != *target {
        return ledger.released.clone();
    }
    let mut away: BTreeMap<&RevisionName, usize> = BTreeMap::new();
    let updates = |key: &str, entry: &LedgerEntry| {
        entry.hold_reason.is_none() || context.is_hold_over(key, entry, today)
    };
    let moving = ledger.entries.iter().filter(|(key, l)| updates(key, l) && l.revision != *target);
    for entry in moving.map(|(_, entry)| entry) {
        *away.entry(&entry.revision).or_default() += 1;
    }
    let most = away.into_iter().max_by_key(|(name, count)| (*count, std::cmp::Reverse(*name)));
    most.map_or(&ledger.released, |(name, _)| name).clone()
}

fn is_image_only(state: &RolloutProgress<'_>) -> bool {
    let mut differences = state.matched.iter().map(|m| &m.change.diff).filter(|d| !d.is_empty()).peekable();
    differences.peek().is_some() && differences.all(super::template_diff::TemplateDiff::is_image_only)
}

fn plan_end(
    context: &RolloutContext<'_>,
    steps: &[RolloutStep],
    batches: usize,
    extent: PlanExtent,
) -> RolloutEnd {
    let end = RolloutEnd::of(steps);
    let is_counted = !matches!(end, RolloutEnd::TooManyBatches { .. });
    match batches > context.settings.max_batches as usize {
        true => RolloutEnd::TooManyBatches { is_counted },
        false if !is_counted && extent == PlanExtent::NextStep => RolloutEnd::MoreSteps,
        false => end,
    }
}

/// Returns the seconds that the batches must stay healthy, one after the other.
fn minimum_seconds(context: &RolloutContext<'_>, batches: usize) -> Option<u64> {
    duration::parse(&context.settings.soak)?.checked_mul(batches as u64)
}
