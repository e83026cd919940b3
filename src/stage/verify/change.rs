//! One change of a ledger: which command of pillion would have made it?

use super::MOST_STEPS;
use super::deed::{Deed, Released, Step as Taken};
use super::text::first_difference;
use crate::diag::{Code, Diagnostic};
use crate::git;
use crate::model::ledger::{self, Ledger, Line, Revision};
use crate::plan::{Batch, Circumstances, Course, Step, awaited_approval, can_start, next_step, recounted};
use crate::stage::history::is_taken_back;
use crate::stage::refusal::by_hand;
use crate::stage::verbs::{self, Hold, TakenBack};
use crate::stage::{Failure, Live, Site, after_batch, before_close};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One ledger, before and after a commit.
pub(super) struct Change<'a> {
    pub(super) course: &'a Course<'a>,
    pub(super) old: Option<&'a Ledger>,
    pub(super) new: &'a Ledger,
    pub(super) others: &'a [&'a Ledger],
    /// What was live before, for the states that the ledger has had.
    pub(super) history: Option<(&'a Live<'a>, &'a Ledger)>,
    pub(super) cluster: Option<&'a str>,
    /// The day of the commit.
    pub(super) today: String,
    /// Why an earlier state could not be looked at.
    pub(super) beyond: RefCell<Option<Failure>>,
}

impl Change<'_> {
    /// Returns what was done; None: nothing that pillion does.
    ///
    /// # Errors
    /// When this clone has too little of the history to tell.
    pub(super) fn deed(&self, site: &Site) -> Result<Option<Deed>, Failure> {
        let deed = match self.old {
            None => self.is_initial(site).then(|| Deed::Initial(self.new.released.clone())),
            Some(old) => self.verb(old).or_else(|| self.planned(old).map(Deed::Steps)),
        };
        match (deed, self.beyond.take()) {
            (None, Some(failure)) => Err(failure),
            (deed, _) => Ok(deed),
        }
    }

    /// Takes note that an earlier state is not in this clone.
    fn found<T>(&self, state: Result<Option<T>, Failure>) -> Option<T> {
        state.unwrap_or_else(|failure| {
            if let Failure::Git(git::Failure::Shallow { .. } | git::Failure::Missing { .. }) = failure {
                self.beyond.replace(Some(failure));
            }
            None
        })
    }

    /// `init rollout`: nothing released, or what the SidecarSet's file holds; nothing else.
    fn is_initial(&self, site: &Site) -> bool {
        let mut wanted = Ledger::new(&self.new.name);
        if self.is(&wanted) {
            return true;
        }
        let Some(set) = site.prepared.sets.iter().find(|s| *s.name == *self.new.name) else { return false };
        let revision = Revision::of(set);
        wanted.released = Some(Arc::clone(&revision.name));
        wanted.revisions.insert(Arc::clone(&revision.name), revision);
        self.is(&wanted)
    }

    fn verb(&self, old: &Ledger) -> Option<Deed> {
        let source = self.course.source.as_ref().map(|r| Arc::clone(&r.name));
        let is = |ledger: Result<Ledger, verbs::Refused>| ledger.is_ok_and(|l| self.is(&l));
        if let Some(paused) = &self.new.paused
            && is(verbs::pause(old, &paused.reason, paused.by.as_deref()))
        {
            return Some(Deed::Pause { batch: paused.batch, reason: paused.reason.clone() });
        }
        if is(verbs::resume(old, &source)) {
            return Some(Deed::Resume);
        }
        let back = || Deed::RollBack(self.new.target.clone().unwrap_or_default());
        if is(verbs::roll_back(old)) || self.is_reopened() {
            return Some(back());
        }
        if self.is_taken_back() {
            return self.new.paused.as_ref().map(|paused| Deed::TakeBack(paused.batch));
        }
        if self.is_recount(old) {
            let scope = self.new.scope.as_ref();
            return Some(Deed::Recount(scope.map_or(0, |scope| scope.workloads)));
        }
        self.approval(old).map(Deed::Approve).or_else(|| self.hold(old))
    }

    /// `rollback --to`: the rollout as it was after an earlier batch.
    fn is_taken_back(&self) -> bool {
        let Some((live, old)) = self.history else { return false };
        match old.target {
            Some(_) => self.is_back_from(live, old),
            None => self.reopened().is_some_and(|reopened| self.is_back_from(live, &reopened)),
        }
    }

    fn is_back_from(&self, live: &Live<'_>, open: &Ledger) -> bool {
        let Some(paused) = &self.new.paused else { return false };
        let past = self.found(after_batch(live, self.cluster, open, paused.batch));
        past.is_some_and(|past| {
            let (reason, by) = (paused.reason.as_str(), paused.by.as_deref());
            let back = TakenBack { batch: paused.batch, past: &past, reason, by };
            verbs::take_back(self.course, open, &back).is_ok_and(|l| self.is(&l))
        })
    }

    /// `rollback` after Close.
    fn is_reopened(&self) -> bool {
        let back = self.reopened().and_then(|reopened| verbs::roll_back(&reopened).ok());
        back.is_some_and(|l| self.is(&l))
    }

    fn reopened(&self) -> Option<Ledger> {
        let (live, old) = self.history.filter(|(_, old)| old.target.is_none())?;
        let before = self.found(before_close(live, self.cluster, old))?;
        verbs::reopen(self.course, old, &before).ok()
    }

    /// `stage --start NAME --accept-missing`: the scope is counted anew.
    fn is_recount(&self, old: &Ledger) -> bool {
        old.scope.is_some() && self.new.scope != old.scope && self.is(&recounted(self.course, old))
    }

    fn approval(&self, old: &Ledger) -> Option<u32> {
        let mut added = self.new.approved.iter().filter(|a| !old.approved.contains(a));
        added
            .next()
            .filter(|a| {
                [None, Some(self.today.clone())].into_iter().any(|today| {
                    let given = Circumstances { today, ..Circumstances::default() };
                    super::digest_of(self.course, old, a.batch, &given).is_some_and(|d| d == a.plan)
                }) && verbs::approve(old, a.batch, &a.plan).is_ok_and(|l| self.is(&l))
            })
            .map(|a| a.batch)
    }

    fn hold(&self, old: &Ledger) -> Option<Deed> {
        let keys: BTreeSet<&Arc<str>> = old.lines.keys().chain(self.new.lines.keys()).collect();
        let mut changed = keys.into_iter().filter(|key| old.lines.get(*key) != self.new.lines.get(*key));
        let (Some(key), None) = (changed.next(), changed.next()) else { return None };
        let release = || {
            let is_released = verbs::release(old, key).is_ok_and(|l| self.is(&l));
            is_released.then(|| Deed::Release(Arc::clone(key)))
        };
        let Some(unit) = self.course.fleet.find(key) else { return release() };
        let Some(line) = self.new.lines.get(key) else { return release() };
        let Line { held: Some(reason), by: Some(by), since: Some(since), images, until, .. } = line else {
            return release();
        };
        // A hold that is changed has begun earlier; a commit that was made anew is younger than its hold.
        let is_held = [&*self.today, &**since].into_iter().any(|today| {
            let (reason, until) = (Some(&**reason), until.as_deref());
            let hold = Hold { reason, images, by, today, until };
            verbs::hold(old, unit, &hold).is_ok_and(|l| self.is(&l))
        });
        is_held.then(|| Deed::Hold(Arc::clone(key), Box::new(line.clone())))
    }

    /// Returns whether it is `hold --off` of a workload that is gone.
    pub(super) fn ends_hold_of_gone(&self, old: &Ledger) -> bool {
        let mut gone = old.lines.keys().filter(|key| !self.new.lines.contains_key(*key));
        gone.next().is_some_and(|key| {
            self.course.fleet.find(key).is_none() && verbs::release(old, key).is_ok_and(|l| self.is(&l))
        })
    }

    /// The steps of the planner; those that need no approval rather than others.
    fn planned(&self, old: &Ledger) -> Option<Vec<Taken>> {
        let mut found = self.circumstances(old).into_iter().filter_map(|given| self.steps(old, &given));
        let first = found.next()?;
        let is_free = |steps: &[Taken]| steps.iter().all(Taken::is_free);
        if is_free(&first) {
            return Some(first);
        }
        found.find(|steps| is_free(steps)).or(Some(first))
    }

    fn steps(&self, old: &Ledger, given: &Circumstances) -> Option<Vec<Taken>> {
        let (mut at, mut taken) = (old.clone(), Vec::new());
        for _ in 0..MOST_STEPS {
            let (step, after) = match next_step(self.course, &at, given) {
                Step::Open(after) => (Taken::Open(after.target.clone().unwrap_or_default()), after),
                Step::Close(after) => (Taken::Close(after.released.clone()), after),
                Step::Resume(after) => (Taken::Resume, after),
                Step::Batch(batch) => {
                    let awaited = awaited_approval(self.course, &at, &batch);
                    let awaited = awaited.filter(|plan| !at.approved.iter().any(|a| a.plan == *plan));
                    let plan = crate::plan::digest(self.course, &at, batch.number, &batch.moves);
                    (Taken::Batch(Released { number: batch.number, plan, awaited }), batch.ledger)
                }
                Step::Rest(_) => return None,
            };
            taken.push(step);
            at = after;
            if self.is(&at) {
                return Some(taken);
            }
        }
        None
    }

    /// What a watcher may have seen: nothing, workloads of other rollouts that it passed over, pods that were
    /// not healthy.
    fn circumstances(&self, old: &Ledger) -> Vec<Circumstances> {
        let observed = self.new.sizes.clone();
        let moved = |key: &&Arc<str>| old.lines.get(*key) != self.new.lines.get(*key);
        let busy = self.others.iter().flat_map(|other| {
            let last = other.last_batch();
            other.lines.iter().filter(move |(_, l)| last > 0 && l.batch == Some(last)).map(|(key, _)| key)
        });
        let waiting = busy.filter(|key| !moved(key)).map(|key| (Arc::clone(key), String::new())).collect();
        let alone = Circumstances { observed, ..Circumstances::default() };
        let unhealthy = self.new.lines.keys().filter(moved).cloned().collect();
        let mut found = vec![
            Circumstances { waiting, ..alone.clone() },
            Circumstances { unhealthy, ..alone.clone() },
            Circumstances { allows_removal: true, ..alone.clone() },
            alone,
        ];
        let mut also = |change: &dyn Fn(&mut Circumstances)| {
            let mut more = found.clone();
            more.iter_mut().for_each(change);
            found.extend(more);
        };
        if old.lines.values().any(|l| l.has_ended(Some(&self.today))) {
            also(&|given| given.today = Some(self.today.clone()));
        }
        // A person has started what the source holds.
        if can_start(self.course, old) && (old.target.is_some() || old.paused.is_some()) {
            also(&|given| (given.starts, given.starts_paused) = (true, true));
        }
        found
    }

    fn is(&self, ledger: &Ledger) -> bool {
        ledger::emit(ledger) == ledger::emit(self.new)
    }

    /// Says what is wrong at the first byte that the planner would not have written.
    pub(super) fn refuse(&self, live: &Live<'_>, cluster: Option<&str>) -> Diagnostic {
        let written = ledger::emit(self.new);
        let planned = self.old.map(|old| match next_step(self.course, old, &Circumstances::default()) {
            Step::Open(after)
            | Step::Close(after)
            | Step::Resume(after)
            | Step::Batch(Batch { ledger: after, .. }) => after,
            Step::Rest(_) => old.clone(),
        });
        // Nothing might have been meant, or the next step: what is nearer tells more.
        let wanted = [self.old.cloned(), planned].map(|l| l.unwrap_or_else(|| Ledger::new(&self.new.name)));
        let alike = |text: &String| text.bytes().zip(written.bytes()).take_while(|(a, b)| a == b).count();
        let planned = wanted.iter().map(ledger::emit).max_by_key(alike).unwrap_or_default();
        let file = live.configuration.ledger_place(cluster, &self.new.name).unwrap_or_default();
        let what = format!(
            "commit {} changes the ledger of `{}` as no command of pillion does",
            live.head.id.short(),
            self.new.name
        );
        let told = first_difference(&file.into(), &written, &planned, &what)
            .unwrap_or_else(|| Diagnostic::error(Code::LedgerNotPlanned, what));
        if self.is_reverted() { by_hand(told, self.new) } else { told }
    }

    /// The ledger is what it was after an earlier batch of the same rollout: `git revert`.
    fn is_reverted(&self) -> bool {
        let Some((live, old)) = self.history.filter(|(_, old)| is_taken_back(old, self.new)) else {
            return false;
        };
        let past = after_batch(live, self.cluster, old, self.new.last_batch());
        self.found(past).is_some_and(|past| self.is(&past))
    }
}
