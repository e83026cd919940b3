//! The steps of one rollout, from what is live to its end.

use super::Site;
use crate::diag::Diagnostic;
use crate::model::ledger::Ledger;
use crate::model::ledger::Name;
use crate::model::timestamp::end_of_day;
use crate::plan::{Batch, Circumstances, Course, Rest, Step, newer, steps};

/// One rollout.
pub struct Rollout<'s> {
    /// The cluster it is in.
    pub site: &'s Site,
    /// What does not change while it goes on.
    pub course: Course<'s>,
    /// The ledger as it is.
    pub ledger: Ledger,
    /// What follows from it, step by step.
    pub steps: Vec<Step>,
    /// The day on which it is planned: holds whose last day is before it are over.
    pub today: Option<String>,
}

/// How the steps of a rollout end.
#[derive(Debug, Clone, Copy)]
pub enum End<'a> {
    /// The target is released.
    Close,
    /// Nothing more is done, for now or for good.
    Rest(&'a Rest),
    /// There are more batches than a plan may have.
    TooMany,
}

impl<'s> Rollout<'s> {
    /// Plans the rollout of a SidecarSet as far as a plan may go, and says what is wrong with its settings.
    pub fn of(site: &'s Site, name: &str, given: &Circumstances) -> (Self, Vec<Diagnostic>) {
        let (course, wrong) = site.course(name);
        let ledger = site.ledger(name);
        // Open, the batches, and what comes behind the last one.
        let limit = course.settings.max_batches.saturating_add(2) as usize;
        let steps = steps(&course, &ledger, given, limit);
        (Self { site, course, ledger, steps, today: given.today.clone() }, wrong)
    }

    /// As [`Rollout::of`]; where the rollout is paused, what `pillion resume` lets follow, with its commit before it.
    pub fn resumed(site: &'s Site, name: &str, given: &Circumstances) -> (Self, Vec<Diagnostic>) {
        let (mut rollout, wrong) = Self::of(site, name, given);
        if rollout.ledger.paused.is_some() && matches!(rollout.steps.first(), Some(Step::Rest(_))) {
            let resumed = Ledger { paused: None, ..rollout.ledger.clone() };
            let limit = rollout.course.settings.max_batches.saturating_add(2) as usize;
            let follow = steps(&rollout.course, &resumed, given, limit);
            if !matches!(follow.first(), Some(Step::Rest(_)) | None) {
                rollout.steps = std::iter::once(Step::Resume(resumed)).chain(follow).collect();
            }
        }
        (rollout, wrong)
    }

    /// Returns what the source holds where the rollout goes somewhere else: it waits.
    pub fn newer(&self) -> Option<Name> {
        let opened =
            self.steps.iter().find_map(|s| if let Step::Open(after) = s { Some(after) } else { None });
        newer(&self.course, opened.unwrap_or(&self.ledger))
    }

    /// Returns the moment from which on all holds are over that are over today, seconds since 1970: commits that rest on
    /// that are no older, and are the same on every machine.
    pub(super) fn holds_ended_at(&self) -> Option<i64> {
        let lines = self.ledger.lines.values().filter(|line| line.has_ended(self.today.as_deref()));
        lines.filter_map(|line| end_of_day(line.until.as_deref()?)).max()
    }

    /// Returns the name of the SidecarSet.
    pub fn name(&self) -> &str {
        &self.course.name
    }

    /// Returns the batches that are still to come.
    pub fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.steps.iter().filter_map(|step| match step {
            Step::Batch(batch) => Some(batch),
            _ => None,
        })
    }

    /// Returns the number of the last batch.
    pub fn last_batch(&self) -> u32 {
        self.batches().last().map_or_else(|| self.ledger.last_batch(), |b| b.number)
    }

    /// Returns how it ends.
    pub fn end(&self) -> End<'_> {
        match self.steps.last() {
            Some(Step::Close(_)) => End::Close,
            Some(Step::Rest(rest)) => End::Rest(rest),
            Some(Step::Open(_) | Step::Batch(_) | Step::Resume(_)) | None => End::TooMany,
        }
    }

    /// Tells whether the rollout has begun: its target is in the ledger.
    pub fn is_open(&self) -> bool {
        self.ledger.target.is_some()
    }

    /// Tells whether its next step opens it, or gives it another target.
    pub fn opens(&self) -> bool {
        let first = self.steps.iter().find(|step| !matches!(step, Step::Resume(_)));
        matches!(first, Some(Step::Open(_)))
    }
}

/// Returns the ledger that a step leaves behind; None where nothing is done.
pub(super) fn after(step: &Step) -> Option<&Ledger> {
    match step {
        Step::Open(ledger)
        | Step::Close(ledger)
        | Step::Resume(ledger)
        | Step::Batch(Batch { ledger, .. }) => Some(ledger),
        Step::Rest(_) => None,
    }
}
