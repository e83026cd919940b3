//! What does a commit of a rollout say? A subject for people, a body that lists what moves, trailers for machines.

use super::wording::Wording;
use super::{Live, Rollout};
use crate::diag::counted;
use crate::git::{Commit, Id, trailer};
use crate::model::ledger::{Ledger, Name, name_text};
use crate::plan::how::How;
use crate::plan::removal::Removal;
use crate::plan::report::title;
use crate::plan::{Batch, Move, Step, digest};

/// Workloads that a message lists; the commit's own diff has all of them.
const LISTED: usize = 100;

/// The keys of trailers and their values.
pub(super) type Trailers = Vec<(&'static str, String)>;

/// Returns the message of a step; None for a rest, which is no commit. `before` is the ledger that it follows.
pub(super) fn message(
    live: &Live<'_>,
    rollout: &Rollout<'_>,
    before: &Ledger,
    step: &Step,
) -> Option<String> {
    match step {
        Step::Open(after) => Some(open(live, rollout, before, after)),
        Step::Batch(batch) => Some(of_batch(live, rollout, before, batch)),
        Step::Close(after) => Some(close(live, rollout, before, after)),
        Step::Resume(after) => Some(resume(live, rollout, before, after)),
        Step::Rest(_) => None,
    }
}

fn open(live: &Live<'_>, rollout: &Rollout<'_>, before: &Ledger, after: &Ledger) -> String {
    let wording = Wording::of(after);
    let first = rollout.batches().next();
    let size = first.map(|b| {
        let (pods, workloads) =
            (counted(b.matched_pods.into(), "pod"), counted(b.matched_workloads as u64, "workload"));
        format!("{pods} of {workloads} in {}.", counted(rollout.batches().count() as u64, "batch"))
    });
    let removed = Removal::of(&rollout.course, after).map_or_else(String::new, |removal| {
        format!("The sidecar is removed from {} ({}). ", removal.share(), removal.why)
    });
    let mut body = vec![format!(
        "{removed}{} No rendered file changes with this commit.",
        size.unwrap_or_else(|| "No workload has to move.".to_owned())
    )];
    body.extend(given_up(before));
    let digest = digest(&rollout.course, after, 0, &[]);
    let mut trailers = trailers(live, "Open", after);
    trailers.push((trailer::PLAN, digest));
    let is_return = before.target.is_none() && after.target.as_ref() == Some(&after.released);
    let what = if is_return { "holds have ended".to_owned() } else { wording.change };
    trailer::message(&format!("{}: open, {what}", rollout.name()), &body.join("\n"), &trailers)
}

/// The rollout that another target ends.
fn given_up(before: &Ledger) -> Option<String> {
    let target = name_text(before.target.as_ref()?);
    let paused = before.paused.as_ref();
    let paused = paused.map_or_else(String::new, |p| format!(", which was paused: {}", p.reason));
    Some(format!("It takes the place of the rollout to {target} at batch {}{paused}.", before.last_batch()))
}

fn resume(live: &Live<'_>, rollout: &Rollout<'_>, before: &Ledger, after: &Ledger) -> String {
    let (batch, reason) = before.paused.as_ref().map_or((0, ""), |p| (p.batch, p.reason.as_str()));
    let body = format!("It was paused: {reason}\nNo rendered file changes with this commit.");
    trailer::message(
        &format!("{}: resume at batch {batch}", rollout.name()),
        &body,
        &trailers(live, "Resume", after),
    )
}

fn of_batch(live: &Live<'_>, rollout: &Rollout<'_>, before: &Ledger, batch: &Batch) -> String {
    let wording = Wording::of(before);
    let number = format!("{}/{}", batch.number, rollout.last_batch());
    let workloads = counted(batch.moves.len() as u64, "workload");
    let whom = match batch.pods() {
        0 => workloads,
        pods => format!("{} of {workloads}", counted(pods.into(), "pod")),
    };
    let subject = format!("{}: batch {number}, {} for {whom}", rollout.name(), wording.target);
    let mut trailers = trailers(live, "Batch", before);
    trailers.push((trailer::BATCH, number));
    trailers.push((trailer::PODS, batch.pods().to_string()));
    trailers.push((trailer::PLAN, digest(&rollout.course, before, batch.number, &batch.moves)));
    trailer::message(&subject, &moves(&wording, &before.released, batch), &trailers)
}

fn close(live: &Live<'_>, rollout: &Rollout<'_>, before: &Ledger, after: &Ledger) -> String {
    let wording = Wording::of(before);
    let held: Vec<String> = after
        .lines
        .iter()
        .filter_map(|(key, line)| {
            let by = line.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            Some(format!("{}: held{by}, {}", title(key), line.held.as_deref()?))
        })
        .collect();
    let mut body = shortened(held);
    body.push("No rendered file changes with this commit.".to_owned());
    let number = before.last_batch().saturating_add(1);
    let mut trailers = trailers(live, "Close", before);
    trailers.push((trailer::PLAN, digest(&rollout.course, before, number, &[])));
    let by: Vec<&str> = rollout.course.replaced_by.iter().map(|by| &*by.name).collect();
    let subject = match &after.released {
        None if !by.is_empty() => format!("{}: close, replaced by {}", rollout.name(), by.join(", ")),
        _ => format!("{}: close, {} is released", rollout.name(), wording.target),
    };
    trailer::message(&subject, &body.join("\n"), &trailers)
}

/// One line a workload, and where the rollout stands afterwards.
fn moves(wording: &Wording, released: &Name, batch: &Batch) -> String {
    let mut lines = shortened(batch.moves.iter().map(|moved| one(moved, released)).collect());
    let down = batch.down();
    let unavailable = match batch.moves.iter().any(|m| m.of.is_none() && m.taking.how != How::NextRun) {
        true => "how many are unavailable at once is not known".to_owned(),
        false => format!("at most {down} {} unavailable at once", if down == 1 { "is" } else { "are" }),
    };
    let pods = counted(batch.matched_pods.into(), "pod");
    lines.push(format!("{} of {pods} {} after this commit; {unavailable}.", batch.updated, wording.state));
    lines.join("\n")
}

fn one(moved: &Move, released: &Name) -> String {
    let how = moved.taking.how;
    let what = match (how, moved.of) {
        (How::NextRun, _) | (_, Some(0)) => "with the pods that it makes next".to_owned(),
        (_, Some(of)) => format!("{} of {}, {}", moved.to, counted(of.into(), "pod"), how.words()),
        (_, None) => format!("its pods, whose number is not known, {}", how.words()),
    };
    let mark = moved.mark(released).map_or_else(String::new, |mark| format!(", {mark}"));
    let ended = moved.hold_ended.as_ref();
    let ended = ended.map_or_else(String::new, |day| format!("; its hold ended on {day}"));
    format!("{}: {what}{mark}{ended}", title(&moved.key))
}

fn shortened(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(LISTED);
    lines.truncate(LISTED);
    if more > 0 {
        lines.push(format!("and {}", counted(more as u64, "more workload")));
    }
    lines
}

/// Returns the message of a render of a commit of the sources.
pub(super) fn render(source: &Commit) -> String {
    let subject = format!("render {}: {}", source.id.short(), source.subject());
    let mut trailers = source_trailers(source.id);
    trailers.push((trailer::ACTION, "Render".to_owned()));
    trailer::message(&subject, "", &trailers)
}

/// The trailers of every commit on a ledger; without an open rollout the released revision is the target.
pub(super) fn trailers(live: &Live<'_>, action: &str, ledger: &Ledger) -> Trailers {
    let target = ledger.target.as_ref().unwrap_or(&ledger.released);
    let mut trailers = vec![
        (trailer::ACTION, action.to_owned()),
        (trailer::SIDECAR_SET, ledger.name.to_string()),
        (trailer::REVISION, name_text(target).to_owned()),
        (trailer::FROM, name_text(&ledger.released).to_owned()),
    ];
    trailers.extend(of_source(live));
    trailers
}

/// The trailers that say which commit the rendered files come from. On one branch that is the commit's own history,
/// and a commit's id must not depend on the commit that it was staged on.
pub fn of_source(live: &Live<'_>) -> Trailers {
    match &live.branches.source {
        Some(_) => source_trailers(live.source.id),
        None => Vec::new(),
    }
}

fn source_trailers(source: Id) -> Trailers {
    [trailer::REFERENCE_COMMIT, trailer::SOURCE].map(|key| (key, source.to_string())).into()
}
