//! Where a rollout stands: what each workload carries, and what is still to be done with it.

use super::fleet::{Change, Unit};
use super::how::How;
use super::step::Course;
use super::strategy::Strategy;
use crate::model::ledger::{Ledger, Line, Name};
use std::borrow::Cow;
use std::sync::Arc;

/// A workload that the target renders differently from what it carries or from the released revision.
#[derive(Debug)]
pub(super) struct Matched<'a> {
    /// The workload.
    pub(super) unit: &'a Unit,
    /// Its line, where it has one that counts.
    pub(super) line: Option<Cow<'a, Line>>,
    /// The last day of a person's hold that is over, and that it still carries the content of.
    pub(super) hold_ended: Option<Arc<str>>,
    /// What it carries.
    pub(super) carries: Name,
    /// What the way to the target means to it.
    pub(super) change: Arc<Change>,
    /// Its pods; None: nobody has said.
    pub(super) size: Option<u32>,
    /// Its own rolling behaviour.
    pub(super) strategy: Arc<Strategy>,
    /// Pods that carry the target.
    pub(super) updated: u32,
    /// Its template carries the target, and no partition of ours keeps pods back.
    pub(super) is_done: bool,
    /// Its own partition may split it.
    pub(super) can_split: bool,
}

/// Where a rollout stands.
#[derive(Debug, Default)]
pub(super) struct State<'a> {
    /// Workloads that count, by namespace, name and kind.
    pub(super) matched: Vec<Matched<'a>>,
    /// Workloads that no rollout moves, and why: held by a person, or not able to take the template.
    pub(super) held: Vec<Held<'a>>,
    /// The pods of those that count, as far as known.
    pub(super) pods: u32,
    /// Those that carry the target.
    pub(super) updated: u32,
    /// The rollout was started as a removal: workloads may lose the sidecar.
    pub(super) may_remove: bool,
}

/// A workload that no rollout moves.
#[derive(Debug)]
pub(super) struct Held<'a> {
    /// The workload.
    pub(super) unit: &'a Unit,
    /// What it carries.
    pub(super) carries: Name,
    /// A name for the reason, where it is not a person's.
    pub(super) code: Option<&'static str>,
    /// Why.
    pub(super) reason: Arc<str>,
    /// Its line, where it has one that counts.
    pub(super) line: Option<Cow<'a, Line>>,
    /// The line of a set whose place this one takes, where a person holds the workload there.
    pub(super) elsewhere: Option<&'a Line>,
}

impl Held<'_> {
    /// Returns whether a line says so already.
    pub(super) fn is_written(&self) -> bool {
        self.code.is_none() && self.elsewhere.is_none()
    }
}

impl<'a> State<'a> {
    /// Finds out where the rollout to `target` stands. Holds whose last day is before `today` are over.
    pub(super) fn of(course: &'a Course<'_>, ledger: &'a Ledger, target: &Name, today: Option<&str>) -> Self {
        let mut state = State { may_remove: ledger.may_remove(), ..State::default() };
        for unit in course.fleet.units() {
            let line = unit.line(ledger);
            let carries = line.as_ref().map_or(&ledger.released, |l| &l.revision).clone();
            let has_ended = line.as_ref().is_some_and(|l| l.has_ended(today));
            if let (Some(reason), false) = (line.as_ref().and_then(|l| l.held.clone()), has_ended) {
                state.held.push(Held { unit, carries, code: None, reason, line, elsewhere: None });
                continue;
            }
            let has_images = line.as_ref().is_some_and(|l| !l.images.is_empty());
            let is_back = has_ended && carries == ledger.released && !has_images;
            let counted = line.as_deref().filter(|_| !is_back);
            if ledger.is_settled(counted, target) {
                continue;
            }
            let is_at_target = line.is_some() && carries == *target && !has_images;
            let change = match line.as_deref() {
                Some(line) if !is_at_target => course.fleet.change_of(unit, line, target),
                _ => course.fleet.change(unit, &ledger.released, target),
            };
            // On the way back the released revision is the target: what is back is known by its line alone.
            let counts = !change.difference.is_empty()
                || (is_at_target && ledger.released == *target)
                || !course.fleet.change(unit, &ledger.released, target).difference.is_empty();
            if !counts {
                continue;
            }
            if change.taking.how == How::Never && !is_at_target {
                let reason = change.taking.reason.as_deref().unwrap_or_default().into();
                let code = change.taking.code;
                state.held.push(Held { unit, carries, code, reason, line, elsewhere: None });
                continue;
            }
            let elsewhere = course.held_elsewhere.get(unit.key());
            let elsewhere = elsewhere.filter(|there| !is_at_target && !there.has_ended(today));
            if let Some((there, reason)) = elsewhere.and_then(|l| Some((l, l.held.as_ref()?))) {
                let (reason, elsewhere) = (Arc::clone(reason), Some(there));
                state.held.push(Held { unit, carries, code: None, reason, line, elsewhere });
                continue;
            }
            state.add(Matched::new(course, ledger, unit, line, change, is_at_target));
        }
        state
    }

    fn add(&mut self, matched: Matched<'a>) {
        if !matched.is_next_run() {
            self.pods = self.pods.saturating_add(matched.size.unwrap_or(0));
            self.updated = self.updated.saturating_add(matched.updated);
        }
        self.matched.push(matched);
    }
}

impl<'a> Matched<'a> {
    fn new(
        course: &Course<'_>,
        ledger: &Ledger,
        unit: &'a Unit,
        line: Option<Cow<'a, Line>>,
        change: Arc<Change>,
        is_at_target: bool,
    ) -> Self {
        let size = course.size(unit, ledger);
        let strategy = unit.strategy(u64::from(size.unwrap_or(0)), change.taking.how);
        let mut matched = Self {
            unit,
            carries: line.as_ref().map_or_else(|| ledger.released.clone(), |l| l.revision.clone()),
            hold_ended: line.as_ref().filter(|l| l.held.is_some()).and_then(|l| l.until.clone()),
            line,
            can_split: course.settings.splits && course.can_split(unit, size),
            change,
            size,
            strategy,
            updated: 0,
            is_done: false,
        };
        if let (Some(kept), true) =
            (matched.line.as_ref().and_then(|l| l.partition), ledger.target == Some(ledger.released.clone()))
        {
            // On the way back, pods that its partition has kept never left.
            matched.updated = kept.min(matched.whole());
        }
        if let Some(partition) = matched.line.as_ref().filter(|_| is_at_target).map(|l| l.partition) {
            let kept = partition.unwrap_or(0);
            matched.updated = size.unwrap_or(0).saturating_sub(kept).min(matched.whole());
            matched.is_done = partition.is_none();
        }
        matched
    }

    /// Returns the pods that carry a revision that is neither released nor the target: the rollout to it was given up.
    pub(super) fn abandoned(&self, released: &Name, target: &Name) -> u32 {
        let line = self.line.as_ref().filter(|l| l.held.is_none() && l.batch.is_some());
        let is_abandoned = self.carries != *released && self.carries != *target;
        let carrying = |kept: u32| self.size.unwrap_or(0).saturating_sub(kept).min(self.whole());
        line.filter(|_| is_abandoned).map_or(0, |l| l.partition.map_or(self.whole(), carrying).max(1))
    }

    /// Returns the pods that carry the target when the workload is done: its own partition may keep some.
    pub(super) fn whole(&self) -> u32 {
        self.size.unwrap_or(0).saturating_sub(u32::try_from(self.strategy.kept).unwrap_or(u32::MAX))
    }

    /// Returns the pods that are still to be moved.
    pub(super) fn left(&self) -> u32 {
        self.whole().saturating_sub(self.updated)
    }

    /// Returns how many of its pods may be down at once by its own strategy while some of them move.
    pub(super) fn down(&self, moving: u32) -> u32 {
        u32::try_from(self.strategy.most_unavailable).unwrap_or(u32::MAX).max(1).min(moving.max(1))
    }

    /// Tells whether it takes the template only when its pods are next made: it counts no pod.
    pub(super) fn is_next_run(&self) -> bool {
        self.change.taking.how == How::NextRun || self.size == Some(0)
    }
}
