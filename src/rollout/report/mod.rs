//! A rollout as a person reviews it: batch by batch, with the worst that each may do, and what to know beforehand.
//!
//! Nothing is decided here: the steps are those of [`next_step`](super::next_step), the numbers those of the
//! simulation.

mod batch;
mod changes;
mod held_workloads;
mod totals;
mod warnings;

pub use batch::{BatchReport, SurgeReport, WorkloadReport, workload_title};
pub use changes::SetChanges;
pub use held_workloads::{HeldWorkloadReport, HoldState, ledger_holds, revision_with_images};

use super::progress::RolloutProgress;
use super::removal::SidecarRemoval;
use super::step::{ledger_before, newer_source, steps};
use super::types::{ExternalState, RolloutContext, RolloutEnd, RolloutStep, WorkloadUpdate};
use super::workload_set::{PlannedWorkload, SidecarEffect};
use super::{RelatedObject, patch};
use crate::diagnostics::Diagnostic;
use crate::model::ledger::{Ledger, LedgerEntry, PauseRecord, RevisionName};
use crate::yaml::FieldPath;
use json_patch::PatchOperation;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Looking at a workload in a step costs about a microsecond: a plan that is far too long is counted only so far.
const MAX_EVALUATIONS: usize = 2_000_000;

/// One rollout, from where it stands to its end.
#[derive(Debug)]
pub struct PlanReport {
    /// The SidecarSet.
    pub set: Arc<str>,
    /// Where the workloads come from: the released revision; on the way back the one that failed.
    pub from: RevisionName,
    /// Where they go.
    pub to: RevisionName,
    /// The rollout goes back to the released revision.
    pub is_rollback: bool,
    /// No content is rolled out: workloads whose hold is over get the released revision.
    pub is_hold_release: bool,
    /// The rollout is paused: the batches are those that `pillion resume` lets follow.
    pub paused: Option<PauseRecord>,
    /// What the source holds, where the rollout goes somewhere else: it waits.
    pub newer_source: Option<RevisionName>,
    /// What changes, for people.
    pub changes: SetChanges,
    /// The workloads that lose the sidecar.
    pub removal: Option<SidecarRemoval>,
    /// Nothing but images differ in every workload that counts.
    pub is_image_only: bool,
    /// Workloads that count.
    pub matched_workloads: usize,
    /// Their pods, as far as known.
    pub matched_pods: u32,
    /// Workloads that count and of which nobody says how many pods they have.
    pub unknown_replicas: usize,
    /// The batches, as far as a plan may have them.
    pub batches: Vec<BatchReport>,
    /// The number of the last batch; where there are too many, as far as they were counted.
    pub last_batch: u32,
    /// Workloads that the rollout does not move.
    pub held: Vec<HeldWorkloadReport>,
    /// How it ends.
    pub end: RolloutEnd,
    /// What a reviewer has to know.
    pub warnings: Vec<Diagnostic>,
    /// The seconds that it takes at least; None where `soak` is no length of time.
    pub minimum_seconds: Option<u64>,
    initial_ledger: Ledger,
    steps: Vec<RolloutStep>,
}

/// How much of a rollout is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanExtent {
    /// All of it.
    Whole,
    /// Only the next step; an Open is followed by the batch behind it.
    NextStep,
}

/// Plans a rollout from a ledger on. `near` are the objects that it is checked against.
pub fn build_report(
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
    // Open writes sizes down, which count from then on.
    let started = steps.first().and_then(RolloutStep::started_ledger).unwrap_or(ledger).clone();
    let state = RolloutProgress::of(context, &started, &target, external.today.as_deref());
    let from = source_of_rollout(ledger, &target, external.today.as_deref());
    let all: Vec<BatchReport> = batch::batch_reports(context, ledger, &steps);
    let mut report = PlanReport {
        set: Arc::clone(&context.name),
        is_rollback: started.target.as_ref() == Some(&started.released),
        is_hold_release: ledger.target.is_none() && started.target.as_ref() == Some(&started.released),
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
        minimum_seconds: totals::minimum_seconds(context, all.len()),
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
    pub fn is_idle(&self) -> bool {
        matches!(self.end, RolloutEnd::Idle)
    }

    /// Returns how many workloads the batches add the sidecar to, update, and remove it from.
    pub fn effects(&self) -> BTreeMap<SidecarEffect, usize> {
        let updates = self.batches.iter().flat_map(|b| &b.workloads).map(|w| &w.update);
        let by_key: BTreeMap<&str, SidecarEffect> =
            updates.map(|update| (&*update.key, update.effect)).collect();
        let mut counts = BTreeMap::new();
        by_key.into_values().for_each(|effect| *counts.entry(effect).or_default() += 1);
        counts
    }

    /// Tells whether a workload of a batch has to be marked: it loses the sidecar, or gets it while others change.
    pub fn effect_note(&self, update: &WorkloadUpdate) -> Option<&'static str> {
        update.effect_note(&self.from)
    }

    /// Returns the ledger before a step, which is that behind the step before.
    pub fn ledger_before(&self, step: usize) -> &Ledger {
        ledger_before(&self.steps, &self.initial_ledger, step)
    }

    /// Tells whether the first step gives the rollout its target.
    pub fn starts_rollout(&self) -> bool {
        self.steps.first().is_some_and(|step| step.started_ledger().is_some())
    }

    /// Returns the ledger that the first batch follows.
    pub fn started_ledger(&self) -> &Ledger {
        self.ledger_before(usize::from(self.starts_rollout()))
    }

    /// Returns the steps from what a workload is rendered as before a batch (by its place in `batches`) to what it
    /// is afterwards; `base` is where its object stands in the rendered document.
    pub fn batch_patches(
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

/// What a ledger says of a workload.
fn entry_of(ledger: &Ledger, workload: &PlannedWorkload) -> LedgerEntry {
    let entry = ledger.entry(workload.key(), workload.manifest.pod_template(&workload.document));
    entry.map_or_else(|| LedgerEntry::with_revision(ledger.released.clone()), Cow::into_owned)
}

fn plan_target(context: &RolloutContext<'_>, ledger: &Ledger, steps: &[RolloutStep]) -> RevisionName {
    let started = steps.first().and_then(RolloutStep::started_ledger).unwrap_or(ledger).target.clone();
    started.unwrap_or_else(|| context.source_revision())
}

/// On the way back workloads come from what most of those that are still away carry.
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
