//! The steps of one rollout, from what is live to its end.

use super::ClusterView;
use crate::diagnostics::Diagnostic;
use crate::model::ledger::Ledger;
use crate::model::ledger::RevisionName;
use crate::model::timestamp::end_of_day;
use crate::rollout::{
    Batch, ExternalState, RolloutContext, RolloutEnd, RolloutState, RolloutStep, newer_source, steps,
};

/// One rollout.
pub struct RolloutPlan<'s> {
    /// The cluster it is in.
    pub view: &'s ClusterView,
    /// What does not change while it goes on.
    pub context: RolloutContext<'s>,
    /// The ledger as it is.
    pub ledger: Ledger,
    /// What follows from it, step by step.
    pub steps: Vec<RolloutStep>,
    /// The day on which it is planned: holds whose last day is before it are over.
    pub today: Option<String>,
}

impl<'s> RolloutPlan<'s> {
    /// Plans the rollout of a SidecarSet as far as a plan may go, and says what is wrong with its settings.
    pub fn plan(view: &'s ClusterView, name: &str, external: &ExternalState) -> (Self, Vec<Diagnostic>) {
        let (context, diagnostics) = view.rollout_context(name);
        let ledger = view.ledger(name);
        // Open, the batches, and what comes behind the last one.
        let limit = context.settings.max_batches.saturating_add(2) as usize;
        let steps = steps(&context, &ledger, external, limit);
        (Self { view, context, ledger, steps, today: external.today.clone() }, diagnostics)
    }

    /// As [`RolloutPlan::plan`]; where the rollout is paused, what `pillion resume` lets follow, with its commit before it.
    pub fn plan_resumed(
        view: &'s ClusterView,
        name: &str,
        external: &ExternalState,
    ) -> (Self, Vec<Diagnostic>) {
        let (mut rollout, diagnostics) = Self::plan(view, name, external);
        if rollout.ledger.paused.is_some() && matches!(rollout.steps.first(), Some(RolloutStep::Blocked(_))) {
            let resumed = Ledger { paused: None, ..rollout.ledger.clone() };
            let limit = rollout.context.settings.max_batches.saturating_add(2) as usize;
            let follow = steps(&rollout.context, &resumed, external, limit);
            if follow.first().is_some_and(|step| step.ledger().is_some()) {
                rollout.steps = std::iter::once(RolloutStep::Resume(resumed)).chain(follow).collect();
            }
        }
        (rollout, diagnostics)
    }

    /// Returns what the source holds where the rollout goes somewhere else: it waits.
    pub fn newer_source(&self) -> Option<RevisionName> {
        let opened = self.steps.iter().find_map(RolloutStep::started_ledger);
        newer_source(&self.context, opened.unwrap_or(&self.ledger))
    }

    /// Returns the moment from which on all holds are over that are over today, seconds since 1970: commits that rest on
    /// that are no older, and are the same on every machine.
    pub(super) fn last_hold_expiry(&self) -> Option<i64> {
        let lines = self.ledger.entries.values().filter(|entry| entry.is_hold_expired(self.today.as_deref()));
        lines.filter_map(|entry| end_of_day(entry.held_until.as_deref()?)).max()
    }

    /// Returns the name of the SidecarSet.
    pub fn name(&self) -> &str {
        &self.context.name
    }

    /// Returns the batches that are still to come.
    pub fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.steps.iter().filter_map(RolloutStep::batch)
    }

    /// Returns the number of the last batch.
    pub fn last_batch(&self) -> u32 {
        self.batches().last().map_or_else(|| self.ledger.last_batch(), |b| b.number)
    }

    /// Returns how it ends.
    pub fn end(&self) -> RolloutEnd {
        RolloutEnd::of(&self.steps)
    }

    /// Returns the state of the rollout.
    pub fn state(&self) -> RolloutState {
        self.steps.first().map_or(RolloutState::Idle, |next| RolloutState::of(&self.ledger, next))
    }

    /// Tells whether the rollout has begun: its target is in the ledger.
    pub fn has_started(&self) -> bool {
        self.ledger.target.is_some()
    }

    /// Tells whether its next step opens it, or gives it another target.
    pub fn starts_rollout(&self) -> bool {
        let mut steps = self.steps.iter().skip_while(|step| matches!(step, RolloutStep::Resume(_)));
        steps.next().is_some_and(|step| step.started_ledger().is_some())
    }
}
