//! A rollout as a person reviews it: batch by batch, with the worst that each may do, and what to know beforehand.
//!
//! Nothing is decided here: the steps are those of [`next_step`](super::next_step), the numbers those of the
//! simulation.

mod batch;
mod changes;
mod held;
mod totals;
mod warnings;

pub use batch::{Batch, Surge, Workload, title};
pub use changes::Changes;
pub use held::{Held, Lasts, carries, holds};

use super::fleet::{Effect, Unit};
use super::removal::Removal;
use super::rest::Rest;
use super::state::State;
use super::step::{Circumstances, Course, Move, Step, newer, steps};
use super::{Near, patch};
use crate::diag::Diagnostic;
use crate::model::ledger::{Ledger, Line, Name, Paused};
use crate::yaml::Path;
use json_patch::PatchOperation;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Looking at a workload in a step costs about a microsecond: a plan that is far too long is counted only so far.
const MOST_LOOKS: usize = 2_000_000;

/// One rollout, from where it stands to its end.
#[derive(Debug)]
pub struct Report {
    /// The SidecarSet.
    pub set: Arc<str>,
    /// Where the workloads come from: the released revision; on the way back the one that failed.
    pub from: Name,
    /// Where they go.
    pub to: Name,
    /// The rollout goes back to the released revision.
    pub is_back: bool,
    /// No content is rolled out: workloads whose hold is over get the released revision.
    pub is_return: bool,
    /// The rollout is paused: the batches are those that `pillion resume` lets follow.
    pub paused: Option<Paused>,
    /// What the source holds, where the rollout goes somewhere else: it waits.
    pub newer: Option<Name>,
    /// What changes, for people.
    pub changes: Changes,
    /// The workloads that lose the sidecar.
    pub removal: Option<Removal>,
    /// Nothing but images differ in every workload that counts.
    pub is_image_only: bool,
    /// Workloads that count.
    pub matched_workloads: usize,
    /// Their pods, as far as known.
    pub matched_pods: u32,
    /// Workloads that count and of which nobody says how many pods they have.
    pub unknown_sizes: usize,
    /// The batches, as far as a plan may have them.
    pub batches: Vec<Batch>,
    /// The number of the last batch; where there are too many, as far as they were counted.
    pub last_batch: u32,
    /// Workloads that the rollout does not move.
    pub held: Vec<Held>,
    /// How it ends.
    pub end: End,
    /// What a reviewer has to know.
    pub warnings: Vec<Diagnostic>,
    /// The seconds that it takes at least; None where `soak` is no length of time.
    pub shortest: Option<u64>,
    start: Ledger,
    steps: Vec<Step>,
}

/// How a plan ends.
#[derive(Debug, Clone)]
pub enum End {
    /// The target is released.
    Close,
    /// Nothing more is done, for now or for good.
    Rest(Rest),
    /// There are more batches than a plan may have; `is_counted`: `last_batch` is how many.
    TooMany {
        /// All batches were counted.
        is_counted: bool,
    },
    /// Only one step was asked for, and more follow.
    More,
}

/// How much of a rollout is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Only the next step; an Open is followed by the batch behind it.
    Next,
}

/// Plans a rollout from a ledger on. `near` are the objects that it is checked against.
pub fn report(
    course: &Course<'_>,
    ledger: &Ledger,
    given: &Circumstances,
    near: &[&Near],
    extent: Extent,
) -> Report {
    let most = course.settings.max_batches as usize;
    let limit = match extent {
        Extent::Whole => most.saturating_add(2).max(MOST_LOOKS / course.fleet.units().len().max(1)),
        Extent::Next => 2,
    };
    let paused = ledger.paused.clone();
    let ledger = &Ledger { paused: None, ..ledger.clone() };
    let mut taken = steps(course, ledger, given, limit);
    if extent == Extent::Next && !matches!(taken.first(), Some(Step::Open(_))) {
        taken.truncate(1);
    }
    let target = target(course, ledger, &taken);
    // Open writes sizes down, which count from then on.
    let opened = match taken.first() {
        Some(Step::Open(opened)) => opened.clone(),
        _ => ledger.clone(),
    };
    let state = State::of(course, &opened, &target, given.today.as_deref());
    let from = from(ledger, &target, given.today.as_deref());
    let all: Vec<Batch> = batch::batches(course, ledger, &taken);
    let mut report = Report {
        set: Arc::clone(&course.name),
        is_back: opened.target.as_ref() == Some(&opened.released),
        is_return: ledger.target.is_none() && opened.target.as_ref() == Some(&opened.released),
        paused,
        newer: newer(course, &opened),
        changes: Changes::between(course, &opened, &from, &target),
        from,
        removal: Removal::of(course, &opened),
        is_image_only: is_image_only(&state),
        matched_workloads: state.matched.len(),
        matched_pods: state.pods,
        unknown_sizes: state.matched.iter().filter(|m| m.size.is_none() && !m.is_next_run()).count(),
        last_batch: all.last().map_or_else(|| ledger.last_batch(), |b| b.number),
        held: held::of_plan(course, &state, ledger, given.today.as_deref()),
        end: end(&taken, all.len(), most, extent),
        shortest: totals::shortest(course, all.len()),
        warnings: Vec::new(),
        to: target,
        batches: all,
        start: ledger.clone(),
        steps: taken,
    };
    if !report.is_idle() {
        report.warnings = warnings::warnings(course, &report, &state, given, near);
    }
    report.batches.truncate(most);
    report
}

impl Report {
    /// Tells whether there is anything to be done.
    pub fn is_idle(&self) -> bool {
        matches!(self.end, End::Rest(Rest::Done)) && self.batches.is_empty()
    }

    /// Returns how many workloads the batches add the sidecar to, update, and remove it from.
    pub fn effects(&self) -> BTreeMap<Effect, usize> {
        let moves = self.batches.iter().flat_map(|b| &b.workloads).map(|w| &w.moved);
        let by_key: BTreeMap<&str, Effect> = moves.map(|moved| (&*moved.key, moved.effect)).collect();
        let mut counts = BTreeMap::new();
        by_key.into_values().for_each(|effect| *counts.entry(effect).or_default() += 1);
        counts
    }

    /// Tells whether a workload of a batch has to be marked: it loses the sidecar, or gets it while others change.
    pub fn mark(&self, moved: &Move) -> Option<&'static str> {
        moved.mark(&self.from)
    }

    /// Returns the ledger before a step, which is that behind the step before.
    pub fn ledger(&self, step: usize) -> &Ledger {
        let before = self.steps[..step.min(self.steps.len())].iter().rev();
        let after = before.filter_map(|step| match step {
            Step::Open(ledger) | Step::Close(ledger) | Step::Resume(ledger) => Some(ledger),
            Step::Batch(batch) => Some(&batch.ledger),
            Step::Rest(_) => None,
        });
        after.into_iter().next().unwrap_or(&self.start)
    }

    /// Tells whether the first step gives the rollout its target.
    pub fn opens(&self) -> bool {
        matches!(self.steps.first(), Some(Step::Open(_)))
    }

    /// Returns the ledger that the first batch follows.
    pub fn opened(&self) -> &Ledger {
        self.ledger(usize::from(self.opens()))
    }

    /// Returns the steps from what a workload is rendered as before a batch (by its place in `batches`) to what it
    /// is afterwards; `base` is where its object stands in the rendered document.
    pub fn patches(
        &self,
        course: &Course<'_>,
        batch: usize,
        unit: &Unit,
        base: &Path,
    ) -> Vec<PatchOperation> {
        let Some(at) = self.batches.get(batch).map(|b| b.step) else { return Vec::new() };
        let pair = [self.ledger(at), self.ledger(at + 1)];
        let [old, new] = pair.map(|ledger| course.fleet.object(unit, &line(ledger, unit)));
        let within = unit.located.template.steps()[unit.located.base.steps().len()..].to_vec();
        patch::patches(&old, &new, base, &Path::from(within))
    }
}

/// What a ledger says of a workload.
fn line(ledger: &Ledger, unit: &Unit) -> Line {
    let line = ledger.line(unit.key(), unit.located.pod_template(&unit.document));
    line.map_or_else(|| Line::carrying(ledger.released.clone()), Cow::into_owned)
}

fn target(course: &Course<'_>, ledger: &Ledger, taken: &[Step]) -> Name {
    let opened = match taken.first() {
        Some(Step::Open(ledger)) => ledger.target.clone(),
        _ => ledger.target.clone(),
    };
    opened.unwrap_or_else(|| course.source.as_ref().map(|r| Arc::clone(&r.name)))
}

/// On the way back workloads come from what most of those that are still away carry.
fn from(ledger: &Ledger, target: &Name, today: Option<&str>) -> Name {
    if ledger.released != *target {
        return ledger.released.clone();
    }
    let mut away: BTreeMap<&Name, usize> = BTreeMap::new();
    let moves = |line: &&Line| line.held.is_none() || line.has_ended(today);
    for line in ledger.lines.values().filter(|l| moves(l) && l.revision != *target) {
        *away.entry(&line.revision).or_default() += 1;
    }
    let most = away.into_iter().max_by_key(|(name, count)| (*count, std::cmp::Reverse(*name)));
    most.map_or(&ledger.released, |(name, _)| name).clone()
}

fn is_image_only(state: &State<'_>) -> bool {
    let mut differences =
        state.matched.iter().map(|m| &m.change.difference).filter(|d| !d.is_empty()).peekable();
    differences.peek().is_some() && differences.all(super::difference::Difference::is_image_only)
}

fn end(taken: &[Step], batches: usize, most: usize, extent: Extent) -> End {
    match taken.last() {
        _ if batches > most => {
            End::TooMany { is_counted: matches!(taken.last(), Some(Step::Close(_) | Step::Rest(_))) }
        }
        Some(Step::Close(_)) => End::Close,
        Some(Step::Rest(rest)) => End::Rest(rest.clone()),
        _ if extent == Extent::Next => End::More,
        Some(Step::Open(_) | Step::Batch(_) | Step::Resume(_)) | None => End::TooMany { is_counted: false },
    }
}
