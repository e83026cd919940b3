//! The steps of one rollout up to its end. Stage, watch and the verbs act on them; a report describes them.

use super::advice;
use super::hot_upgrade::HotUpgradeHalf;
use super::piggyback::with_piggyback;
use super::state::RolloutState;
use super::step::{ledger_before, newer_source, requested_start, start_command, steps};
use super::types::{Batch, ExternalState, RolloutContext, RolloutEnd, RolloutStep};
use crate::diagnostics::Diagnostic;
use crate::model::ledger::{Ledger, RevisionName};
use crate::model::timestamp::end_of_day;

/// Evaluating a workload in a step takes about a microsecond: a rollout that is far too long is only counted so far.
const MAX_EVALUATIONS: usize = 2_000_000;

/// The steps of one rollout.
#[derive(Debug)]
pub struct RolloutPlan<'s> {
    /// Its context, which does not change while it progresses.
    pub(crate) context: RolloutContext<'s>,
    /// The present ledger.
    pub(crate) ledger: Ledger,
    /// The next steps.
    pub(crate) steps: Vec<RolloutStep>,
    /// What comes from outside git.
    pub(crate) external: ExternalState,
}

/// The extent of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanExtent {
    /// Up to `maxBatches`: what may be staged.
    Staged,
    /// All steps, to count those that are too many.
    Whole,
    /// The next step; a Start is followed by the first batch.
    NextStep,
}

impl<'s> RolloutPlan<'s> {
    /// Plans the next steps of a ledger.
    pub(crate) fn new(
        context: RolloutContext<'s>,
        ledger: Ledger,
        external: ExternalState,
        extent: PlanExtent,
    ) -> Self {
        let mut plan = Self { context, ledger, steps: Vec::new(), external };
        plan.steps = plan.steps_from(&plan.ledger, extent);
        plan
    }

    /// As [`RolloutPlan::new`]; where the rollout is paused, what follows `pillion resume`, with that commit first.
    pub(crate) fn resumed(context: RolloutContext<'s>, ledger: Ledger, external: ExternalState) -> Self {
        let mut plan = Self::new(context, ledger, external, PlanExtent::Staged);
        if plan.ledger.paused.is_some() && matches!(plan.steps.first(), Some(RolloutStep::Blocked(_))) {
            let resumed = with_piggyback(&plan.context, Ledger { paused: None, ..plan.ledger.clone() });
            let follow = plan.steps_from(&resumed, PlanExtent::Staged);
            if follow.first().is_some_and(|step| step.ledger().is_some()) {
                plan.steps = std::iter::once(RolloutStep::Resume(resumed)).chain(follow).collect();
            }
        }
        plan
    }

    /// Plans again with what comes from outside git now.
    pub(crate) fn replan(&mut self, external: ExternalState) {
        self.external = external;
        self.steps = self.steps_from(&self.ledger, PlanExtent::Staged);
    }

    fn steps_from(&self, ledger: &Ledger, extent: PlanExtent) -> Vec<RolloutStep> {
        let mut taken = steps(&self.context, ledger, &self.external, self.step_limit(extent));
        taken.truncate(steps_within(&taken, extent).len());
        taken
    }

    /// Returns the steps as far as an extent goes.
    pub(crate) fn steps_within(&self, extent: PlanExtent) -> &[RolloutStep] {
        steps_within(&self.steps, extent)
    }

    fn step_limit(&self, extent: PlanExtent) -> usize {
        // Start, the batches, and the step after the last one.
        let staged = (self.context.settings.max_batches as usize).saturating_add(2);
        match extent {
            PlanExtent::Staged => staged,
            PlanExtent::Whole => staged.max(MAX_EVALUATIONS / self.context.workloads.as_slice().len().max(1)),
            PlanExtent::NextStep => 2,
        }
    }

    /// Reports a rollout that needs more batches than a plan may have: it is not staged.
    pub(crate) fn too_many_batches(&self) -> Option<Diagnostic> {
        let is_cut = matches!(self.end(), RolloutEnd::TooManyBatches { .. });
        let more = (is_cut && self.steps.len() < self.step_limit(PlanExtent::Whole))
            .then(|| self.steps_from(&self.ledger, PlanExtent::Whole));
        let all = more.as_deref().unwrap_or(&self.steps);
        let batches = all.iter().filter_map(RolloutStep::batch).count();
        let is_counted = !matches!(RolloutEnd::of(all), RolloutEnd::TooManyBatches { .. });
        (batches > self.context.settings.max_batches as usize)
            .then(|| advice::too_many_batches(&self.context, batches, is_counted))
    }

    /// Returns the ledger before a step.
    pub(crate) fn ledger_before(&self, step: usize) -> &Ledger {
        ledger_before(&self.steps, &self.ledger, step)
    }

    /// Returns the revision in the sources where the rollout has another target.
    pub(crate) fn newer_source(&self) -> Option<RevisionName> {
        let opened = self.steps.iter().find_map(RolloutStep::started_ledger);
        newer_source(&self.context, opened.unwrap_or(&self.ledger))
    }

    /// Returns the moment when the last of today's expired holds expired, seconds since 1970: commits that depend on
    /// it are no older, and the same on every machine.
    pub(crate) fn last_hold_expiry(&self) -> Option<i64> {
        let today = self.external.today.as_deref();
        let expired = self.ledger.entries.values().filter(|entry| entry.is_hold_expired(today));
        let by_ledger = expired.filter(|entry| !entry.is_held_by_override()).map(|entry| &entry.held_until);
        let workloads = self.context.workloads.as_slice().iter();
        let over = workloads.filter(|workload| workload.active_override_hold(today).is_none());
        let by_overrides =
            over.filter_map(|workload| workload.override_hold.as_ref()).map(|hold| &hold.until);
        by_ledger.flatten().chain(by_overrides).filter_map(|until| end_of_day(until)).max()
    }

    /// Says what becomes of the revision in the sources that is not the target: the command that makes it the target, or
    /// why it cannot be started now. `options` are those of the command line.
    pub(crate) fn newer_source_hint(&self, options: &str) -> String {
        match requested_start(&self.context, &self.ledger, &self.external) {
            RolloutStep::Start(started) => {
                format!("`{}` makes it the target", start_command(&self.context, &started, options))
            }
            step => step.reason().unwrap_or_else(|| "it cannot be started now".to_owned()),
        }
    }

    /// Returns the name of the SidecarSet.
    pub(crate) fn name(&self) -> &str {
        &self.context.name
    }

    /// Returns the next batches.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.steps.iter().filter_map(RolloutStep::batch)
    }

    /// Returns how many batches follow; both halves of a hot upgrade are one.
    pub(crate) fn batch_count(&self) -> usize {
        self.batches().filter(|batch| batch.half() != Some(HotUpgradeHalf::Second)).count()
    }

    /// Returns the number of the last batch.
    pub(crate) fn last_batch(&self) -> u32 {
        self.batches().last().map_or_else(|| self.ledger.last_batch(), |b| b.number)
    }

    /// Returns how the steps end.
    pub(crate) fn end(&self) -> RolloutEnd {
        RolloutEnd::of(&self.steps)
    }

    /// Returns the state of the rollout.
    pub(crate) fn state(&self) -> RolloutState {
        self.steps.first().map_or(RolloutState::Idle, |next| RolloutState::of(&self.ledger, next))
    }

    /// Returns whether the rollout has started: its target is in the ledger.
    pub(crate) fn has_started(&self) -> bool {
        self.ledger.target.is_some()
    }

    /// Returns whether the next step is a Start.
    pub(crate) fn starts_rollout(&self) -> bool {
        let mut steps = self.steps.iter().skip_while(|step| matches!(step, RolloutStep::Resume(_)));
        steps.next().is_some_and(|step| step.started_ledger().is_some())
    }

    /// Returns the ledger that the first batch follows.
    pub(crate) fn started_ledger(&self) -> &Ledger {
        self.ledger_before(usize::from(self.starts_rollout()))
    }
}

fn steps_within(steps: &[RolloutStep], extent: PlanExtent) -> &[RolloutStep] {
    match (extent, steps) {
        (PlanExtent::NextStep, [RolloutStep::Start(_), _, _, ..]) => &steps[..2],
        (PlanExtent::NextStep, [first, _, ..]) if !matches!(first, RolloutStep::Start(_)) => &steps[..1],
        _ => steps,
    }
}
