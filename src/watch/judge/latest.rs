//! How does a workload of the batch that was released last do?

use super::super::released::Expected;
use super::super::snapshot::Workload;
use super::applied::{Applied, applied};
use super::failure::failures;
use super::ground::{self, Ground};
use super::pod;
use super::roster::{self, Roster};
use super::words::{after, clock, counts, list, seconds};
use super::{Blame, Evidence, Health, Judged, Limits, deadline, disturbance, soak};
use crate::plan::how::How;
use jiff::Timestamp;
use std::sync::Arc;

/// Seconds that a pod may be there beyond its last moment before it is named.
const OVERSTAYED: u64 = 60;

/// What is the same for all workloads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    /// The rollout goes back.
    pub goes_back: bool,
    /// How patient the judge is.
    pub limits: &'a Limits,
    /// The API server's clock.
    pub now: Timestamp,
    /// Pods without the target that find no node.
    pub shortage: &'a [String],
}

/// What is said of a workload.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// For everybody.
    pub judged: Judged,
    /// Its part of `maxUnavailable`.
    pub unavailable: u32,
    /// When time alone makes it fail.
    pub fails_at: Option<Timestamp>,
}

/// Judges a workload of the last batch.
pub(super) fn judge(expected: &Expected, live: Option<&Workload>, around: &Around<'_>) -> Told {
    let Some(live) = live else {
        return bare(expected, Health::NotApplied, "not applied: the cluster does not have it");
    };
    if expected.how == How::Never {
        return bare(expected, Health::NoEvidence, "it cannot take the template");
    }
    let unobserved = match applied(expected, live) {
        Applied::No(reason) => return bare(expected, Health::NotApplied, &reason),
        Applied::Unobserved(reason) => Some(reason),
        Applied::Yes => None,
    };
    let roster = roster::roster(expected, live);
    let wanted = roster::wanted(expected, live, &roster);
    let case = Case { expected, live, roster, wanted, around };
    match unobserved {
        Some(reason) => case.told(Health::NotApplied, vec![reason], Vec::new(), None),
        None => case.judge(),
    }
}

/// A workload that shows no pods.
pub(super) fn bare(expected: &Expected, health: Health, reason: &str) -> Told {
    let judged = Judged {
        key: Arc::clone(&expected.key),
        batch: expected.batch,
        health,
        wanted: 0,
        carrying: 0,
        ready: 0,
        reasons: vec![reason.to_owned()],
        evidence: Vec::new(),
    };
    Told { judged, unavailable: 0, fails_at: None }
}

struct Case<'a> {
    expected: &'a Expected,
    live: &'a Workload,
    roster: Roster<'a>,
    wanted: u32,
    around: &'a Around<'a>,
}

impl Case<'_> {
    fn judge(&self) -> Told {
        let now = self.around.now;
        if let Some(reason) = self.shows_nothing() {
            return self.told(Health::NoEvidence, vec![reason.to_owned()], Vec::new(), None);
        }
        let disturbed = disturbance::disturbances(&self.roster, self.wanted, self.around);
        let grounds = self.grounds();
        let comes_at = grounds.iter().filter_map(|g| g.comes_at(now)).min();
        let notes = || grounds.iter().map(|g| g.words(now));
        let fails = grounds.iter().any(|g| g.counts(now).is_some());
        if !disturbed.is_empty() && !fails {
            let reasons = disturbed.into_iter().chain(notes()).collect();
            return self.told(Health::Disturbed, reasons, Vec::new(), comes_at);
        }
        if self.is_complete() && !fails {
            return self.soaking(notes().collect(), comes_at);
        }
        if self.live.waits_for_person && !fails {
            let paused = "it is paused or OnDelete in the cluster: its pods follow when a person resumes it or deletes them";
            let paused = paused.to_owned();
            let reasons = std::iter::once(paused).chain(notes()).collect();
            return self.told(Health::OnHold, reasons, Vec::new(), comes_at);
        }
        let is_timed = disturbed.is_empty() && !self.is_complete() && !self.live.waits_for_person;
        self.progressing(&grounds, comes_at, is_timed)
    }

    fn shows_nothing(&self) -> Option<&'static str> {
        match () {
            () if self.expected.how == How::NextRun => {
                Some("the pods that it makes next take the template: it shows nothing before")
            }
            () if self.roster.is_over => Some("the pod has run to its end: it shows nothing"),
            () if self.wanted == 0 => Some("no pods are to carry the template: it shows nothing"),
            () => None,
        }
    }

    fn is_complete(&self) -> bool {
        self.roster.carrying() >= self.wanted && self.roster.carrying.iter().all(|m| m.is_ready)
    }

    /// What counts or may count as a failure, the most important first.
    fn grounds(&self) -> Vec<Ground> {
        let (expected, roster, around) = (self.expected, &self.roster, self.around);
        let mut grounds = ground::of_containers(expected, roster, around, false);
        grounds.extend(ground::of_refusals(expected, self.live, around, self.is_complete()));
        grounds.extend(ground::of_room(expected, roster, around).filter(|_| around.shortage.is_empty()));
        grounds.sort_by_key(|g| std::cmp::Reverse(g.counts(around.now)));
        grounds
    }

    fn soaking(&self, notes: Vec<String>, comes_at: Option<Timestamp>) -> Told {
        let Around { goes_back, limits, now, .. } = *self.around;
        let until = soak::until(&self.roster, self.live.min_ready, goes_back, limits, now);
        if until <= now {
            return self.told(Health::Healthy, notes, Vec::new(), comes_at);
        }
        let left = format!("soaking until {}, {} s left", clock(until, now), seconds(now, until));
        let reasons = std::iter::once(left).chain(self.ready_too_early()).chain(notes).collect();
        self.told(Health::Soaking { until }, reasons, Vec::new(), comes_at)
    }

    /// Pods that say they were ready before they existed do not soak.
    fn ready_too_early(&self) -> Option<String> {
        let early = self.roster.carrying.iter().filter(|m| pod::is_ready_too_early(m.pod));
        let names: Vec<&str> = early.map(|m| m.name).collect();
        (!names.is_empty()).then(|| {
            let names = list(&names);
            format!("the soak does not begin for {names}, ready since before its creation: check the clock of its node")
        })
    }

    /// A workload that is on its way, or fails on it. What counts by itself and what the deadline has brought are
    /// taken together, so that nothing that comes later makes it look better.
    fn progressing(&self, grounds: &[Ground], comes_at: Option<Timestamp>, is_timed: bool) -> Told {
        let Around { goes_back, limits, now, .. } = *self.around;
        let deadline = deadline::deadline(self.expected, goes_back, self.live, &self.roster, limits);
        let deadline = deadline.filter(|_| is_timed);
        let waits = ground::of_waits(self.expected, &self.roster, self.around);
        let all: Vec<&Ground> = grounds.iter().chain(&waits).collect();
        let is_ours = all.iter().any(|g| g.late == Blame::Batch);
        let counted = grounds.iter().filter_map(|g| g.counts(now)).max();
        // Where something counts already, the deadline matters only if it brings another blame.
        let matters = deadline.filter(|_| counted.is_none() || is_ours);
        let fails_at = comes_at.into_iter().chain(matters).filter(|at| *at > now).min();
        if let Some(passed) = deadline.filter(|at| *at <= now) {
            let blame = counted.max(is_ours.then_some(Blame::Batch));
            let passed = format!("not ready by its deadline, {}", clock(passed, now));
            return self.failing(
                blame.map_or(Health::Stalled, Health::Failing),
                Some(passed),
                &all,
                fails_at,
            );
        }
        if let Some(blame) = counted {
            let counting: Vec<&Ground> = grounds.iter().filter(|g| g.counts(now).is_some()).collect();
            return self.failing(Health::Failing(blame), None, &counting, fails_at);
        }
        let mut reasons: Vec<String> = all.iter().map(|g| g.words(now)).collect();
        reasons.extend(self.stuck_before());
        let mut told = self.told(Health::Progressing, reasons, Vec::new(), fails_at);
        let until = deadline.map(|at| format!("its deadline is {}", clock(at, now)));
        told.judged.reasons.extend(until);
        told
    }

    fn failing(
        &self,
        health: Health,
        passed: Option<String>,
        grounds: &[&Ground],
        comes_at: Option<Timestamp>,
    ) -> Told {
        let mut reasons: Vec<String> = grounds.iter().map(|g| g.words(self.around.now)).collect();
        reasons.extend(passed);
        reasons.extend(self.roster.changed.clone());
        reasons.extend(self.stuck());
        reasons.extend(self.stuck_before());
        let mut evidence: Vec<Evidence> = Vec::new();
        for seen in grounds.iter().flat_map(|g| &g.evidence) {
            let is_known = |e: &Evidence| e.subject == seen.subject && e.container == seen.container;
            if !evidence.iter().any(is_known) {
                evidence.push(seen.clone());
            }
        }
        self.told(health, reasons, evidence, comes_at)
    }

    /// A StatefulSet waits for its broken pod even when git has another template again.
    fn stuck(&self) -> Option<String> {
        let broken: Vec<&str> = self.roster.carrying.iter().filter(|m| !m.is_ready).map(|m| m.name).collect();
        (self.expected.is_ordered && !broken.is_empty()).then(|| {
            let names = list(&broken);
            format!("git alone does not mend it: a person must delete {names} once git has another template")
        })
    }

    fn stuck_before(&self) -> Option<String> {
        let limits = self.around.limits;
        let is_broken = |m: &&roster::Member<'_>| !failures(m.name, m.pod, false, limits).is_empty();
        let broken: Vec<&str> = self.roster.before.iter().filter(is_broken).map(|m| m.name).collect();
        (self.expected.is_ordered && !broken.is_empty()).then(|| {
            let names = list(&broken);
            format!("it waits for {names}, broken with the template before, which a person must delete")
        })
    }

    /// Pods that are there long after their last moment keep others from coming.
    fn overstayed(&self) -> Option<String> {
        let now = self.around.now;
        let is_late = |at: &Timestamp| after(*at, OVERSTAYED) <= now;
        let late = |p: &super::super::snapshot::Pod| p.deleted.as_ref().is_some_and(is_late);
        let names: Vec<&str> = self.live.pods.iter().filter(|(_, p)| late(p)).map(|(n, _)| &**n).collect();
        (!names.is_empty()).then(|| format!("{} should be gone, and something holds on to it", list(&names)))
    }

    fn told(
        &self,
        health: Health,
        mut reasons: Vec<String>,
        evidence: Vec<Evidence>,
        fails_at: Option<Timestamp>,
    ) -> Told {
        let (carrying, ready) = (self.roster.carrying(), self.roster.ready());
        if health != Health::NoEvidence {
            reasons.push(counts(self.expected, self.wanted, carrying, ready));
        }
        // Before its controller has looked, the newest revision is that of another template.
        if !matches!(health, Health::Failing(_) | Health::Stalled | Health::NotApplied) {
            reasons.extend(self.roster.changed.clone());
        }
        reasons.extend(self.overstayed());
        let judged = Judged {
            key: Arc::clone(&self.expected.key),
            batch: self.expected.batch,
            health,
            wanted: self.wanted,
            carrying,
            ready,
            reasons,
            evidence,
        };
        Told { judged, unavailable: self.roster.unavailable(self.expected, self.live), fails_at }
    }
}

/// Judges a workload of an earlier batch: its sidecars alone.
pub(super) fn judge_earlier(expected: &Expected, live: Option<&Workload>, around: &Around<'_>) -> Told {
    let Some(live) = live else {
        return bare(expected, Health::NotApplied, "the cluster does not have it");
    };
    if let Applied::No(reason) = applied(expected, live) {
        return bare(expected, Health::NotApplied, &reason);
    }
    let roster = roster::roster(expected, live);
    let wanted = roster::wanted(expected, live, &roster);
    let grounds = ground::of_containers(expected, &roster, around, true);
    let case = Case { expected, live, roster, wanted, around };
    if let Some(reason) = case.shows_nothing() {
        return case.told(Health::NoEvidence, vec![reason.to_owned()], Vec::new(), None);
    }
    let comes_at = grounds.iter().filter_map(|g| g.comes_at(around.now)).min();
    let counting: Vec<&Ground> = grounds.iter().filter(|g| g.counts(around.now).is_some()).collect();
    if let Some(blame) = counting.iter().filter_map(|g| g.counts(around.now)).max() {
        return case.failing(Health::Failing(blame), None, &counting, comes_at);
    }
    let health = if case.is_complete() { Health::Healthy } else { Health::Progressing };
    case.told(health, grounds.iter().map(|g| g.words(around.now)).collect(), Vec::new(), comes_at)
}
