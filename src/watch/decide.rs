//! What follows for one rollout, now? Pure: what git says, what the judge says, and the server's time give the answer.

use super::freeze::Windows;
use super::judge::{Blame, Evidence, Health, Judged, Judgement, Verdict};
use super::rate;
use crate::model::ledger::Ledger;
use crate::model::repository::{OnFailure, Rollout as Settings, Start};
use crate::plan::removal::Removal;
use crate::plan::{Batch, Course, Rest, Step, awaited_approval, is_repair, newer, unavailable};
use jiff::Timestamp;

/// Everything that a decision depends on.
pub struct Situation<'a> {
    /// What does not change while the rollout goes on.
    pub course: &'a Course<'a>,
    /// Where it stands.
    pub ledger: &'a Ledger,
    /// What the planner would do next.
    pub next: &'a Step,
    /// What pillion.yaml and the SidecarSet say of rollouts.
    pub settings: &'a Settings,
    /// Times in which nothing is released.
    pub windows: &'a Windows,
    /// What the judge says; the error: why nothing is known of the cluster.
    pub seen: Result<Seen<'a>, &'a str>,
    /// Why the rollout must not be opened, whatever the settings say.
    pub refused: Option<&'a str>,
}

/// What is seen of the cluster.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The API server's clock.
    pub now: Timestamp,
    /// What the judge says of what is out.
    pub judgement: &'a Judgement,
    /// When the batch that is out began to move pods, as far as pods tell.
    pub began: Option<Timestamp>,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The next step.
    Advance,
    /// Nothing more is released, until a person says so.
    Pause(Stop),
    /// The released revision becomes the target.
    RollBack(Stop),
    /// Nothing yet.
    Wait,
    /// Nothing, for as long as git says what it says.
    Rest,
}

/// Why a rollout is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// In a few words, for a subject: `ImagePullBackOff in shop/cart`.
    pub reason: String,
    /// In lines, for the body.
    pub lines: Vec<String>,
    /// What was seen.
    pub evidence: Vec<Evidence>,
}

/// A decision, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What is done.
    pub decision: Decision,
    /// Why, for people; the most important first.
    pub reasons: Vec<String>,
    /// The moment at which it may be another one although nothing happens.
    pub changes_at: Option<Timestamp>,
}

impl Decided {
    fn new(decision: Decision, reason: impl Into<String>) -> Self {
        Self { decision, reasons: vec![reason.into()], changes_at: None }
    }

    fn until(mut self, at: Option<Timestamp>) -> Self {
        self.changes_at = at;
        self
    }
}

/// Decides what follows for one rollout.
pub fn decide(given: &Situation<'_>) -> Decided {
    let mut decided = of_rollout(given);
    decided.reasons.extend(waiting_content(given));
    decided
}

/// What the source holds, where the rollout goes somewhere else.
fn waiting_content(given: &Situation<'_>) -> Option<String> {
    let is_opening = matches!(given.next, Step::Open(_));
    let source = newer(given.course, given.ledger).filter(|_| !is_opening)?;
    let (name, source) = (given.course.in_commands(), source.as_deref().unwrap_or("nothing"));
    Some(format!(
        "its file holds {source}, which waits: `pillion stage --start {name}` rolls that out in place of this"
    ))
}

fn of_rollout(given: &Situation<'_>) -> Decided {
    let has_batch_out = given.ledger.last_batch() > 0;
    let is_paused = given.ledger.paused.is_some();
    // A newer edit repairs what is out: it need not be healthy first.
    let is_new_target = matches!(given.next, Step::Open(_)) && given.settings.start == Some(Start::Auto);
    if has_batch_out && !is_paused && !is_new_target {
        let seen = match &given.seen {
            Ok(seen) => seen,
            Err(why) => return Decided::new(Decision::Wait, format!("no evidence: {why}")),
        };
        match seen.judgement.verdict {
            Verdict::Healthy => {}
            Verdict::Waiting => return waiting(seen.judgement),
            Verdict::Failing(blame) => return failing(given, seen.judgement, blame),
        }
    }
    match given.next {
        Step::Rest(rest) => resting(rest),
        // Only a person resumes.
        Step::Resume(_) => Decided::new(Decision::Rest, "it is paused"),
        Step::Open(after) => opening(given, after),
        Step::Batch(batch) => releasing(given, batch),
        Step::Close(_) => {
            Decided::new(Decision::Advance, "every workload carries the target, and is healthy")
        }
    }
}

fn resting(rest: &Rest) -> Decided {
    let decision = match rest {
        Rest::Waiting(_) | Rest::EarlierWave(_) => Decision::Wait,
        _ => Decision::Rest,
    };
    Decided::new(decision, rest.to_string())
}

fn opening(given: &Situation<'_>, after: &Ledger) -> Decided {
    let name = given.course.in_commands();
    if let Some(why) = given.refused {
        return Decided::new(Decision::Wait, why);
    }
    if given.next.removed() > 0 {
        return Decided::new(Decision::Wait, removing(given));
    }
    // The date of a hold is the word of the person who has set it.
    let is_return = given.ledger.target.is_none() && after.target.as_ref() == Some(&after.released);
    if !is_return && given.settings.start != Some(Start::Auto) {
        let what = if given.ledger.target.is_some() { "moves the target" } else { "opens the rollout" };
        let why =
            format!("its file holds something else: `pillion stage --start {name}` {what} (`start: Manual`)");
        return Decided::new(Decision::Wait, why);
    }
    match &given.seen {
        Err(why) => Decided::new(Decision::Wait, format!("no evidence: {why}")),
        Ok(seen) => frozen(given, seen.now).unwrap_or_else(|| {
            let why = match is_return {
                true => "holds have ended by their date",
                false => "its file holds something else (`start: Auto`)",
            };
            Decided::new(Decision::Advance, why)
        }),
    }
}

/// A sidecar is taken away where a person says so, and never by itself.
fn removing(given: &Situation<'_>) -> String {
    let name = given.course.in_commands();
    let (what, share) = match given.next {
        Step::Open(opened) => (
            if given.ledger.target.is_some() { "moving the target" } else { "opening it" },
            Removal::of(given.course, opened).map(|r| format!("{} ({})", r.share(), r.reason(given.course))),
        ),
        _ => ("it", None),
    };
    let share = share.unwrap_or_else(|| "workloads".to_owned());
    format!(
        "{what} removes the sidecar from {share}, which never happens by itself: `pillion stage --start {name} --allow-removal`"
    )
}

fn releasing(given: &Situation<'_>, batch: &Batch) -> Decided {
    let seen = match &given.seen {
        Ok(seen) => seen,
        Err(why) => return Decided::new(Decision::Wait, format!("no evidence: {why}")),
    };
    let goes_back = given.ledger.target.as_ref() == Some(&given.ledger.released);
    let before = given.ledger.last_batch();
    let healthy = match before {
        0 => "the rollout is open".to_owned(),
        n => format!("batch {n} is healthy"),
    };
    // Going back is held up by nothing but pods that are down.
    let held = if goes_back {
        None
    } else {
        frozen(given, seen.now).or_else(|| unapproved(given, batch)).or_else(|| too_fast(given, seen))
    };
    held.or_else(|| crowded(given, seen.judgement, batch))
        .unwrap_or_else(|| Decided::new(Decision::Advance, healthy))
}

fn frozen(given: &Situation<'_>, now: Timestamp) -> Option<Decided> {
    let frozen = given.windows.at(now)?;
    let until = frozen.until.map_or_else(|| "somebody changes pillion.yaml".to_owned(), |at| at.to_string());
    let why = format!("frozen until {until} ({})", frozen.window);
    Some(Decided::new(Decision::Wait, why).until(frozen.until))
}

fn unapproved(given: &Situation<'_>, batch: &Batch) -> Option<Decided> {
    let plan = awaited_approval(given.course, given.ledger, batch)?;
    let written = &given.ledger.approved;
    if written.iter().any(|a| a.plan == plan) {
        return None;
    }
    let (name, number) = (given.course.in_commands(), batch.number);
    let outdated = if written.iter().any(|a| a.batch == number) {
        "; an earlier approval was for other workloads or sizes"
    } else {
        ""
    };
    let why = format!("batch {number} waits for `pillion approve {name} {number}`{outdated}");
    Some(Decided::new(Decision::Wait, why))
}

fn too_fast(given: &Situation<'_>, seen: &Seen<'_>) -> Option<Decided> {
    let per_minute = given.settings.pods_per_minute?;
    let moved: u32 = given.last_batch_pods();
    let at = rate::next_at(Some(per_minute), moved, seen.began?)?;
    (at > seen.now).then(|| {
        let why = format!("at most {per_minute} pods a minute (`podsPerMinute`): not before {at}");
        Decided::new(Decision::Wait, why).until(Some(at))
    })
}

/// Pods that are down already use up the bound.
fn crowded(given: &Situation<'_>, judgement: &Judgement, batch: &Batch) -> Option<Decided> {
    let bound = given.course.settings.strategy.max_unavailable.as_ref()?;
    let bound = unavailable::max_unavailable(bound, batch.matched_pods as usize);
    let down = judgement.unavailable as usize;
    let more: usize = batch.moves.iter().map(|m| m.down as usize).sum();
    let is_alone = batch.moves.iter().any(|m| m.is_oversized);
    if is_repair(batch) {
        return None;
    }
    let fits = if is_alone { down == 0 } else { down + more <= bound };
    (down > 0 && !fits).then(|| {
        let why = format!(
            "{down} released pods are not ready, and batch {} takes {more} more down: more than maxUnavailable {bound}",
            batch.number
        );
        Decided::new(Decision::Wait, why)
    })
}

fn waiting(judgement: &Judgement) -> Decided {
    let reasons: Vec<String> = judgement
        .workloads
        .iter()
        .filter(|w| !matches!(w.health, Health::Healthy | Health::NoEvidence))
        .map(told)
        .collect();
    Decided { decision: Decision::Wait, reasons, changes_at: judgement.changes_at }
}

fn told(judged: &Judged) -> String {
    match judged.reasons.first() {
        Some(reason) => format!("{}: {reason}", judged.key),
        None => format!("{}: {} of {} pods are ready", judged.key, judged.ready, judged.wanted),
    }
}

fn failing(given: &Situation<'_>, judgement: &Judgement, blame: Blame) -> Decided {
    let failing: Vec<&Judged> = judgement
        .workloads
        .iter()
        .filter(|w| matches!(w.health, Health::Failing(_) | Health::Stalled))
        .collect();
    let goes_back = given.ledger.target.as_ref() == Some(&given.ledger.released);
    let first = failing.iter().find_map(|w| Some((w.evidence.first()?, *w)));
    let reason = match (first, failing.first()) {
        (Some((evidence, judged)), _) => format!("{} in {}", evidence.reason, place(&judged.key)),
        (None, Some(judged)) => format!("{} is not ready in time", place(&judged.key)),
        (None, None) => "what is out is not healthy".to_owned(),
    };
    // Everything that is known of them: which pods a person must delete, too.
    let all = |w: &&Judged| -> Vec<String> {
        if w.reasons.is_empty() {
            vec![told(w)]
        } else {
            w.reasons.iter().map(|r| format!("{}: {r}", w.key)).collect()
        }
    };
    let lines: Vec<String> = failing.iter().flat_map(all).collect();
    let evidence: Vec<Evidence> = failing.iter().flat_map(|w| w.evidence.iter().cloned()).collect();
    let stop = Stop { reason: reason.clone(), lines: lines.clone(), evidence };
    let may_go_back = given.settings.on_failure == Some(OnFailure::RollBack) && blame == Blame::Batch;
    // One rollback, and a person when that fails too.
    let decision = if may_go_back && !goes_back { Decision::RollBack(stop) } else { Decision::Pause(stop) };
    Decided { decision, reasons: lines, changes_at: None }
}

/// `shop/cart` for `CloneSet.apps.kruise.io/shop/cart`.
fn place(key: &str) -> &str {
    key.split_once('/').map_or(key, |(_, name)| name)
}

impl Situation<'_> {
    /// The pods whose template the last batch moved, as far as the ledger tells.
    fn last_batch_pods(&self) -> u32 {
        let last = self.ledger.last_batch();
        let units = self.course.fleet.units().iter();
        let moved = units.filter_map(|unit| {
            let line = unit.line(self.ledger).filter(|l| l.batch == Some(last))?;
            let size = self.course.size(unit, self.ledger)?;
            Some(size.saturating_sub(line.partition.unwrap_or(0)))
        });
        moved.fold(0, u32::saturating_add)
    }
}
