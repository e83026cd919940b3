//! The steps of one rollout, from the deploy branch to its end.

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
    /// Its cluster.
    pub(crate) view: &'s ClusterView,
    /// Its context, which does not change while it progresses.
    pub(crate) context: RolloutContext<'s>,
    /// The present ledger.
    pub(crate) ledger: Ledger,
    /// The next steps.
    pub(crate) steps: Vec<RolloutStep>,
    /// The day of the plan: holds with an earlier last day have expired.
    pub(crate) today: Option<String>,
}

impl<'s> RolloutPlan<'s> {
    /// Plans the rollout of a SidecarSet up to `maxBatches`, and reports errors in its settings.
    pub(crate) fn plan(
        view: &'s ClusterView,
        name: &str,
        external: &ExternalState,
    ) -> (Self, Vec<Diagnostic>) {
        let (context, diagnostics) = view.rollout_context(name);
        let ledger = view.ledger(name);
        // Start, the batches, and the step after the last one.
        let limit = context.settings.max_batches.saturating_add(2) as usize;
        let steps = steps(&context, &ledger, external, limit);
        (Self { view, context, ledger, steps, today: external.today.clone() }, diagnostics)
    }

    /// As [`RolloutPlan::plan`]; where the rollout is paused, what follows `pillion resume`, with that commit first.
    pub(crate) fn plan_resumed(
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

    /// Returns the revision in the sources where the rollout has another target.
    pub(crate) fn newer_source(&self) -> Option<RevisionName> {
        let opened = self.steps.iter().find_map(RolloutStep::started_ledger);
        newer_source(&self.context, opened.unwrap_or(&self.ledger))
    }

    /// Returns the moment when the last of today's expired holds expired, seconds since 1970: commits that depend on
    /// it are no older, and the same on every machine.
    pub(super) fn last_hold_expiry(&self) -> Option<i64> {
        let lines = self.ledger.entries.values().filter(|entry| entry.is_hold_expired(self.today.as_deref()));
        lines.filter_map(|entry| end_of_day(entry.held_until.as_deref()?)).max()
    }

    /// Returns the name of the SidecarSet.
    pub(crate) fn name(&self) -> &str {
        &self.context.name
    }

    /// Returns the next batches.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.steps.iter().filter_map(RolloutStep::batch)
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
}
