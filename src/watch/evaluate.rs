//! One evaluation: every rollout of every cluster is looked at, and each takes at most one step.
//!
//! Everything is derived from the live head, a snapshot of each cluster and the API server's time. The only things
//! remembered are what would be reckoned again ([`Standing`], for one head) and since when a batch is not applied.

use super::check::{Answer, Carrier, Question};
use super::decide::{Decided, Decision, Seen, Situation, Stop, decide};
use super::judge::{Health, Judgement, Limits, Verdict, judge};
use super::released::{Released, carried, released};
use super::report::{Item, Report};
use super::snapshot::Snapshot;
use super::standing::{Standing, Watched};
use super::world::{Proposal, Released as Landed, Stopped, Unseen, World};
use crate::diag::plain;
use crate::git::{Id, Signing, Time, trailer};
use crate::model::duration;
use crate::model::timestamp::day_of;
use crate::plan::{Circumstances, Step, newer};
use crate::stage::{Change, Live, Opened, Put, Rollout, commit, stack, verbs};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long a batch may not be applied, where pillion.yaml does not say.
const NOT_APPLIED_AFTER: u64 = 600;

/// Who has paused a rollout, where no person has.
const PILLION: &str = "pillion";

/// Pods whose evidence a commit holds.
const MOST_EVIDENCE: usize = 20;

/// Since when batches are not applied, by cluster, SidecarSet and batch: the one thing that no server's time tells.
pub type NotApplied = BTreeMap<(Option<String>, String, u32), Timestamp>;

/// What an evaluation may do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Nothing is written; the report says what would be done.
    pub dry_run: bool,
    /// The patience of the judge, for what pillion.yaml does not say.
    pub limits: Limits,
    /// There is a check of the user.
    pub has_check: bool,
}

/// Looks at every rollout of a live head, and takes what steps may be taken. As soon as one is taken, the head is
/// another one, and the report says so: the next evaluation reads it.
///
/// # Errors
/// When git fails, or the watcher is killed.
pub fn evaluate(
    opened: &Opened,
    standing: &mut Standing<'_, '_>,
    world: &mut dyn World,
    options: &Options,
    not_applied: &mut NotApplied,
) -> Result<Report, Stopped> {
    let mut report = Report::new(standing.live.head.id);
    let clusters: BTreeSet<Option<String>> = standing.watched.iter().map(|w| w.cluster.clone()).collect();
    let snapshots: BTreeMap<_, _> =
        clusters.into_iter().map(|c| (c.clone(), world.look(c.as_deref()))).collect();
    report.now = snapshots.values().filter_map(|s| Some(s.as_ref().ok()?.now)).max();
    let looked: Vec<Looked<'_>> = standing
        .watched
        .iter()
        .map(|w| Looked::at(w, snapshots.get(&w.cluster).expect("one was taken of each cluster"), options))
        .collect();
    let busy: Vec<BTreeMap<Arc<str>, String>> = (0..looked.len()).map(|i| busy(&looked, i)).collect();
    let mut acting = Vec::new();
    for ((watched, looked), waiting) in standing.watched.iter_mut().zip(looked).zip(busy) {
        watched.plan_with(circumstances(watched, &looked, waiting));
        let mut decided = watched.decide(&looked);
        alarm(watched, &looked, &mut decided, not_applied);
        if options.has_check && !options.dry_run && decided.decision == Decision::Advance {
            ask(watched, &looked, world, &mut decided);
        }
        report.items.push(Item::new(watched, &looked, &decided));
        acting.push(decided);
    }
    if options.dry_run {
        return Ok(report);
    }
    for (at, decided) in acting.iter().enumerate() {
        let item = &report.items[at];
        if matches!(decided.decision, Decision::Wait | Decision::Rest) {
            let why = item.reasons.first().map_or("nothing is to be released now", String::as_str);
            world.withdraw(opened, item.cluster.as_deref(), &item.sidecar_set, why)?;
        } else if !report.moved {
            act(opened, standing, world, &mut report, (at, decided))?;
        }
    }
    Ok(report)
}

/// What was seen of one rollout.
pub(super) struct Looked<'a> {
    pub(super) snapshot: Result<&'a Snapshot, &'a Unseen>,
    pub(super) judgement: Option<Judgement>,
    pub(super) began: Option<Timestamp>,
    /// Workloads that carry what the rollout leaves behind, and are not well with it.
    pub(super) broken: BTreeSet<Arc<str>>,
}

impl<'a> Looked<'a> {
    fn at(watched: &Watched<'_>, snapshot: &'a Result<Snapshot, Unseen>, options: &Options) -> Self {
        let snapshot = snapshot.as_ref();
        let Ok(seen) = snapshot else {
            return Self { snapshot, judgement: None, began: None, broken: BTreeSet::new() };
        };
        let limits = limits(watched, options);
        let (course, ledger) = (&watched.rollout.course, &watched.rollout.ledger);
        let out = released(course, ledger);
        let left = carried(course, ledger);
        let broken = unwell(&judge(&left, seen, &limits));
        let began = began(&out, seen);
        Self { snapshot, judgement: Some(judge(&out, seen, &limits)), began, broken }
    }
}

fn limits(watched: &Watched<'_>, options: &Options) -> Limits {
    let written = |text: &Option<String>| text.as_deref().and_then(duration::parse);
    let settings = &watched.settings;
    Limits {
        soak: written(&settings.soak).unwrap_or(options.limits.soak),
        progress_deadline: written(&settings.progress_deadline).unwrap_or(options.limits.progress_deadline),
        ..options.limits
    }
}

/// Workloads that are not well: a rollback begins with them.
fn unwell(judgement: &Judgement) -> BTreeSet<Arc<str>> {
    let mut found = judgement.broken();
    let unready = judgement.workloads.iter().filter(|w| w.ready < w.carrying);
    found.extend(unready.map(|w| Arc::clone(&w.key)));
    found
}

/// When the batch that is out began to move pods, as far as its workloads tell.
fn began(out: &Released, snapshot: &Snapshot) -> Option<Timestamp> {
    let last = out.workloads.iter().filter(|w| w.batch == out.batch);
    let found = last.filter_map(|w| snapshot.workloads.get(&w.key));
    let times = found.flat_map(|w| {
        let pods = w.pods.values().filter_map(|p| p.created.max(p.ready.since));
        pods.chain(w.revision_created)
    });
    times.max()
}

/// Workloads of other rollouts' last batches that are not healthy: they are passed over.
fn busy(all: &[Looked<'_>], own: usize) -> BTreeMap<Arc<str>, String> {
    let others = all.iter().enumerate().filter(|(i, _)| *i != own).filter_map(|(_, l)| l.judgement.as_ref());
    let judged = others.flat_map(|judgement| {
        let last = judgement.workloads.iter().map(|w| w.batch).max().unwrap_or(0);
        judgement.workloads.iter().filter(move |w| w.batch == last)
    });
    judged
        .filter(|w| !matches!(w.health, Health::Healthy | Health::NoEvidence))
        .map(|w| {
            (Arc::clone(&w.key), "it is in the last batch of another rollout, and not healthy".to_owned())
        })
        .collect()
}

fn circumstances(
    watched: &Watched<'_>,
    looked: &Looked<'_>,
    waiting: BTreeMap<Arc<str>, String>,
) -> Circumstances {
    let ledger = &watched.rollout.ledger;
    // Only Open writes numbers of pods down; a plan of other steps is not made anew when they change.
    let course = &watched.rollout.course;
    let may_move = course.settings.starts_by_itself && newer(course, ledger).is_some();
    let may_open = ledger.target.is_none() || may_move;
    let observed = looked.snapshot.iter().filter(|_| may_open).flat_map(|s| &s.workloads);
    Circumstances {
        not_before: watched.not_before.clone(),
        waiting,
        unhealthy: looked.broken.clone(),
        observed: observed.filter_map(|(key, w)| Some((Arc::clone(key), w.desired?))).collect(),
        today: looked.snapshot.ok().map(|s| day_of(s.now.as_second())),
        ..Circumstances::default()
    }
}

impl Watched<'_> {
    fn decide(&self, looked: &Looked<'_>) -> Decided {
        let rest = Step::Rest(crate::plan::Rest::Done);
        let words = looked.snapshot.err().map(ToString::to_string).unwrap_or_default();
        let seen = match (looked.snapshot, &looked.judgement) {
            (Ok(snapshot), Some(judgement)) => Ok(Seen { now: snapshot.now, judgement, began: looked.began }),
            _ => Err(words.as_str()),
        };
        decide(&Situation {
            course: &self.rollout.course,
            ledger: &self.rollout.ledger,
            next: self.rollout.steps.first().unwrap_or(&rest),
            settings: &self.settings,
            windows: &self.windows,
            seen,
            refused: self.refused.as_deref(),
        })
    }
}

/// A batch that nobody applies is no failure of the batch; after a while a person should know.
fn alarm(watched: &Watched<'_>, looked: &Looked<'_>, decided: &mut Decided, since: &mut NotApplied) {
    let ledger = &watched.rollout.ledger;
    let key = (watched.cluster.clone(), watched.name().to_owned(), ledger.last_batch());
    let (Ok(snapshot), Some(judgement)) = (looked.snapshot, &looked.judgement) else { return };
    let missing: Vec<_> = judgement.workloads.iter().filter(|w| w.health == Health::NotApplied).collect();
    if missing.is_empty() || decided.decision != Decision::Wait {
        since.remove(&key);
        return;
    }
    let first = *since.entry(key).or_insert(snapshot.now);
    let after = watched.settings.not_applied_after.as_deref().and_then(duration::parse);
    let after = after.unwrap_or(NOT_APPLIED_AFTER);
    let passed = snapshot.now.duration_since(first).as_secs().max(0).unsigned_abs();
    let is_open = judgement.verdict == Verdict::Waiting && ledger.paused.is_none();
    if passed < after || !is_open {
        let at = jiff::SignedDuration::from_secs(i64::try_from(after).unwrap_or(i64::MAX));
        let at = first.saturating_add(at).unwrap_or(Timestamp::MAX);
        decided.changes_at = decided.changes_at.into_iter().chain([at]).min();
        return;
    }
    let reason = format!("not applied after {}", duration::words(after));
    let lines = missing.iter().flat_map(|w| w.reasons.iter().map(|r| format!("{}: {r}", w.key))).collect();
    decided.reasons.insert(0, reason.clone());
    decided.decision = Decision::Pause(Stop { reason, lines, evidence: Vec::new() });
}

/// Asks the check of the user about a batch that would be released.
fn ask(watched: &Watched<'_>, looked: &Looked<'_>, world: &mut dyn World, decided: &mut Decided) {
    let Some(Step::Batch(next)) = watched.rollout.steps.first() else { return };
    let ledger = &watched.rollout.ledger;
    if ledger.last_batch() == 0 || ledger.target.as_ref() == Some(&ledger.released) {
        return;
    }
    let judged =
        looked.judgement.iter().flat_map(|j| &j.workloads).filter(|w| w.batch == ledger.last_batch());
    let question = Question {
        sidecar_set: watched.name().to_owned(),
        cluster: watched.cluster.clone(),
        batch: ledger.last_batch(),
        batches: watched.rollout.last_batch(),
        from: ledger.released.as_deref().map(str::to_owned),
        to: ledger.target.as_ref().and_then(|t| t.as_deref()).map(str::to_owned),
        head: watched.head.to_string(),
        workloads: judged.map(|w| Carrier { workload: w.key.to_string(), pods: w.ready }).collect(),
        since: looked.began,
    };
    let number = next.number;
    match world.ask(&question) {
        Answer::Pass(_) => {}
        Answer::Wait(why) => {
            decided.decision = Decision::Wait;
            decided.reasons.insert(0, format!("the check before batch {number} says wait: {why}"));
        }
        Answer::Again(why) => {
            decided.decision = Decision::Wait;
            decided.reasons.insert(0, format!("the check before batch {number} gave no answer: {why}"));
        }
        Answer::Fail(why) => {
            let reason = format!("the check after batch {} failed", ledger.last_batch());
            decided.reasons.insert(0, format!("{reason}: {why}"));
            let stop = Stop { reason, lines: vec![why], evidence: Vec::new() };
            let goes_back =
                watched.settings.on_failure == Some(crate::model::repository::OnFailure::RollBack);
            decided.decision = if goes_back { Decision::RollBack(stop) } else { Decision::Pause(stop) };
        }
    }
}

/// Makes the commit of a decision, and puts it onto the live branch.
fn act(
    opened: &Opened,
    standing: &Standing<'_, '_>,
    world: &mut dyn World,
    report: &mut Report,
    (at, decided): (usize, &Decided),
) -> Result<(), Stopped> {
    let watched = &standing.watched[at];
    let live = standing.live;
    let made = match &decided.decision {
        Decision::Advance => step(live, &watched.rollout, &opened.signing()?)?,
        Decision::Pause(stop) => change(live, watched, stop, false, &opened.signing()?)?,
        Decision::RollBack(stop) => change(live, watched, stop, true, &opened.signing()?)?,
        Decision::Wait | Decision::Rest => return Ok(()),
    };
    let now = report.now;
    let item = &mut report.items[at];
    let Some((commit, message)) =
        made.map_err(|wrong| Stopped::Service { text: wrong, is_retryable: false })?
    else {
        return Ok(());
    };
    let proposal = Proposal {
        commit,
        message: &message,
        at: now.map(|now| Time { seconds: now.as_second(), offset_minutes: 0 }),
        sidecar_set: watched.name(),
        cluster: watched.cluster.as_deref(),
    };
    match world.release(opened, live, &proposal)? {
        Landed::Put(Put::At(commit, place)) => {
            item.released = Some((commit, message.lines().next().unwrap_or_default().to_owned()));
            item.place = Some(place);
            report.moved = true;
        }
        Landed::Put(late) => {
            let what = match late {
                Put::Moved(_) => "moved the live branch",
                _ => "has pushed the same commit",
            };
            item.reasons.insert(0, format!("somebody else {what}: decided anew from its head"));
            item.is_late = true;
            report.moved = true;
        }
        Landed::Proposed(words) => {
            item.reasons.insert(0, words);
            item.is_proposed = true;
        }
        Landed::Blocked(words) => {
            item.reasons.insert(0, words);
            item.decision = "Wait";
        }
    }
    Ok(())
}

type Made = Result<Option<(Id, String)>, String>;

/// The commit of the next step.
fn step(live: &Live<'_>, rollout: &Rollout<'_>, signing: &Signing<'_>) -> Result<Made, Stopped> {
    let (stack, wrong) = stack(live, rollout, 1, signing, &[])?;
    Ok(match stack {
        Some(stack) => Ok(stack.commits.into_iter().next().map(|c| (c.id, c.message))),
        None => Err(messages(&wrong)),
    })
}

/// The commit of a pause or a rollback, with the evidence.
fn change(
    live: &Live<'_>,
    watched: &Watched<'_>,
    stop: &Stop,
    goes_back: bool,
    signing: &Signing<'_>,
) -> Result<Made, Stopped> {
    let before = &watched.rollout.ledger;
    let released = crate::model::ledger::name_text(&before.released);
    let (after, action, subject) = if goes_back {
        (verbs::roll_back(before), "RollBack", format!("roll back to {released}, {}", stop.reason))
    } else {
        let subject = format!("pause at batch {}, {}", before.last_batch(), stop.reason);
        (verbs::pause(before, &stop.reason, Some(PILLION)), "Pause", subject)
    };
    let after = match after {
        Ok(after) => after,
        Err(refused) => return Ok(Err(refused.to_string())),
    };
    // They name what a server calls its pods and workloads.
    let lines = stop.lines.iter().take(MOST_EVIDENCE).map(|l| plain::line(l).into_owned());
    let mut lines: Vec<String> = lines.collect();
    let more = stop.evidence.len().saturating_sub(MOST_EVIDENCE);
    if more > 0 {
        lines.push(format!("and {more} more pods or containers"));
    }
    lines.push(String::new());
    lines.push(if goes_back {
        "No rendered file changes with this commit: the batches that follow take the workloads back."
            .to_owned()
    } else {
        let name = watched.rollout.course.in_commands();
        format!(
            "Nothing more is released until `pillion resume {name}`; `pillion rollback {name}` goes back."
        )
    });
    let mut trailers: Vec<(&'static str, String)> = Vec::new();
    if goes_back {
        trailers.push((trailer::BATCH, format!("{}/{}", before.last_batch(), watched.rollout.last_batch())));
    }
    let evidence = stop.evidence.iter().take(MOST_EVIDENCE);
    trailers.extend(evidence.map(|e| (trailer::EVIDENCE, e.json().to_string())));
    let change = Change { after: &after, action, subject, body: lines.join("\n"), trailers };
    let (made, wrong) = commit(live, watched.rollout.site, &change, signing)?;
    Ok(match made {
        Some(made) => Ok(Some((made.id, made.message))),
        None => Err(messages(&wrong)),
    })
}

fn messages(wrong: &[crate::diag::Diagnostic]) -> String {
    let told: Vec<String> = wrong.iter().map(|d| d.message.clone()).collect();
    format!("the commit cannot be made: {}", told.join("; "))
}
