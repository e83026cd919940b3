//! The plan of a rollout, for people: batch by batch, with the worst case of each, and warnings.
//!
//! Makes no decision: the steps come from [`next_step`](super::next_step), the numbers from the simulation.

mod batch;
mod changes;
mod held_workloads;
mod warnings;

pub(crate) use batch::{BatchReport, WorkloadReport, workload_title};
pub(crate) use changes::{SetChanges, shorten_images};
pub(crate) use held_workloads::{HeldWorkloadReport, HoldState, ledger_holds, revision_with_images};

use super::progress::RolloutProgress;
use super::removal::SidecarRemoval;
use super::step::{is_hold_release, ledger_before, newer_source, steps};
use super::types::{ExternalState, RolloutContext, RolloutEnd, RolloutStep, WorkloadUpdate};
use super::workload_set::{PlannedWorkload, SidecarEffect};
use super::{RelatedObject, patch};
use crate::diagnostics::Diagnostic;
use crate::model::duration;
use crate::model::ledger::{Ledger, LedgerEntry, PauseRecord, RevisionName};
use crate::yaml::FieldPath;
use json_patch::PatchOperation;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Evaluating a workload in a step takes about a microsecond: a plan that is far too long is only counted so far.
const MAX_EVALUATIONS: usize = 2_000_000;

/// The plan of one rollout.
#[derive(Debug)]
pub(crate) struct PlanReport {
    /// The SidecarSet.
    pub(crate) set: Arc<str>,
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
    /// The revision in the sources, where the rollout has another target.
    pub(crate) newer_source: Option<RevisionName>,
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
    /// The number of the last batch; where there are too many, as far as they were counted.
    pub(crate) last_batch: u32,
    /// Workloads that the rollout does not update.
    pub(crate) held: Vec<HeldWorkloadReport>,
    /// How it ends.
    pub(crate) end: RolloutEnd,
    /// The warnings.
    pub(crate) warnings: Vec<Diagnostic>,
    /// How many seconds the rollout takes at least; None where `soak` is not a duration.
    pub(crate) minimum_seconds: Option<u64>,
    initial_ledger: Ledger,
    steps: Vec<RolloutStep>,
}

/// The extent of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanExtent {
    /// All of it.
    Whole,
    /// Only the next step; a Start is followed by the first batch.
    NextStep,
}

/// Plans a rollout from a ledger. `related` are the objects that it is checked against.
pub(crate) fn build_report(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    external: &ExternalState,
    related: &[&RelatedObject],
    extent: PlanExtent,
) -> PlanReport {
    let most = context.settings.max_batches as usize;
    let limit = match extent {
        PlanExtent::Whole => {
            most.saturating_add(2).max(MAX_EVALUATIONS / context.workloads.as_slice().len().max(1))
        }
        PlanExtent::NextStep => 2,
    };
    let paused = ledger.paused.clone();
    let ledger = &Ledger { paused: None, ..ledger.clone() };
    let mut steps = steps(context, ledger, external, limit);
    if extent == PlanExtent::NextStep && !matches!(steps.first(), Some(RolloutStep::Start(_))) {
        steps.truncate(1);
    }
    let target = plan_target(context, ledger, &steps);
    // Start records replica counts, which apply from then on.
    let started = steps.first().and_then(RolloutStep::started_ledger).unwrap_or(ledger).clone();
    let state = RolloutProgress::of(context, &started, &target, external.today.as_deref());
    let from = source_of_rollout(ledger, &target, external.today.as_deref());
    let all: Vec<BatchReport> = batch::batch_reports(context, ledger, &steps);
    let mut report = PlanReport {
        set: Arc::clone(&context.name),
        is_rollback: started.target.as_ref() == Some(&started.released),
        is_hold_release: is_hold_release(ledger, &started),
        paused,
        newer_source: newer_source(context, &started),
        changes: SetChanges::between(context, &started, &from, &target),
        from,
        removal: SidecarRemoval::of(context, &started),
        is_image_only: is_image_only(&state),
        matched_workloads: state.matched.len(),
        matched_pods: state.pods,
        unknown_replicas: state
            .matched
            .iter()
            .filter(|m| m.replicas.is_none() && !m.counts_no_pods())
            .count(),
        last_batch: all.last().map_or_else(|| ledger.last_batch(), |b| b.number),
        held: held_workloads::held_in_plan(context, &state, ledger, external.today.as_deref()),
        end: plan_end(&steps, all.len(), most, extent),
        minimum_seconds: minimum_seconds(context, all.len()),
        warnings: Vec::new(),
        to: target,
        batches: all,
        initial_ledger: ledger.clone(),
        steps,
    };
    if !report.is_idle() {
        report.warnings = warnings::warnings(context, &report, &state, external, related);
    }
    report.batches.truncate(most);
    report
}

impl PlanReport {
    /// Returns whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.end, RolloutEnd::Idle)
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

    /// Returns the ledger before a step.
    pub(crate) fn ledger_before(&self, step: usize) -> &Ledger {
        ledger_before(&self.steps, &self.initial_ledger, step)
    }

    /// Returns whether the first step is a Start.
    pub(crate) fn starts_rollout(&self) -> bool {
        self.steps.first().is_some_and(|step| step.started_ledger().is_some())
    }

    /// Returns the ledger that the first batch follows.
    pub(crate) fn started_ledger(&self) -> &Ledger {
        self.ledger_before(usize::from(self.starts_rollout()))
    }

    /// Returns the patch of a workload between the state before a batch (by its index in `batches`) and after it;
    /// `base` is the path of its object in the rendered document.
    pub(crate) fn batch_patches(
        &self,
        context: &RolloutContext<'_>,
        batch: usize,
        workload: &PlannedWorkload,
        base: &FieldPath,
    ) -> Vec<PatchOperation> {
        let Some(at) = self.batches.get(batch).map(|b| b.step) else { return Vec::new() };
        let pair = [self.ledger_before(at), self.ledger_before(at + 1)];
        let [old, new] = pair.map(|ledger| context.workloads.object(workload, &entry_of(ledger, workload)));
        let within =
            workload.manifest.template_path.segments()[workload.manifest.path.segments().len()..].to_vec();
        patch::json_patch_between(&old, &new, base, &FieldPath::from(within))
    }
}

/// Returns the entry of a workload, or one for the released revision.
fn entry_of(ledger: &Ledger, workload: &PlannedWorkload) -> LedgerEntry {
    let entry = ledger.entry(workload.key(), workload.manifest.pod_template(&workload.document));
    entry.map_or_else(|| LedgerEntry::with_revision(ledger.released.clone()), Cow::into_owned)
}

fn plan_target(context: &RolloutContext<'_>, ledger: &Ledger, steps: &[RolloutStep]) -> RevisionName {
    let started = steps.first().and_then(RolloutStep::started_ledger).unwrap_or(ledger).target.clone();
    started.unwrap_or_else(|| context.source_revision())
}

/// Returns the revision that workloads have; in a rollback the one that most remaining workloads have.
fn source_of_rollout(ledger: &Ledger, target: &RevisionName, today: Option<&str>) -> RevisionName {
    if ledger.released != *target {
        return ledger.released.clone();
    }
    let mut away: BTreeMap<&RevisionName, usize> = BTreeMap::new();
    let updates = |entry: &&LedgerEntry| entry.hold_reason.is_none() || entry.is_hold_expired(today);
    for entry in ledger.entries.values().filter(|l| updates(l) && l.revision != *target) {
        *away.entry(&entry.revision).or_default() += 1;
    }
    let most = away.into_iter().max_by_key(|(name, count)| (*count, std::cmp::Reverse(*name)));
    most.map_or(&ledger.released, |(name, _)| name).clone()
}

fn is_image_only(state: &RolloutProgress<'_>) -> bool {
    let mut differences = state.matched.iter().map(|m| &m.change.diff).filter(|d| !d.is_empty()).peekable();
    differences.peek().is_some() && differences.all(super::template_diff::TemplateDiff::is_image_only)
}

fn plan_end(steps: &[RolloutStep], batches: usize, most: usize, extent: PlanExtent) -> RolloutEnd {
    let end = RolloutEnd::of(steps);
    let is_counted = !matches!(end, RolloutEnd::TooManyBatches { .. });
    match batches > most {
        true => RolloutEnd::TooManyBatches { is_counted },
        false if !is_counted && extent == PlanExtent::NextStep => RolloutEnd::MoreSteps,
        false => end,
    }
}

/// Returns the seconds that the batches must stay healthy, one after the other.
fn minimum_seconds(context: &RolloutContext<'_>, batches: usize) -> Option<u64> {
    duration::parse(&context.settings.soak)?.checked_mul(batches as u64)
}
