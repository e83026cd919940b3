//! Messages of rollout commits: a subject for people, a body that lists the updates, trailers for machines.

use super::summary::RolloutSummary;
use super::{CommitAction, DeployBranch};
use crate::diagnostics::pluralize;
use crate::git::{Commit, ObjectId, trailer};
use crate::model::ledger::{Ledger, RevisionName, revision_text};
use crate::rollout::removal::SidecarRemoval;
use crate::rollout::report::workload_title;
use crate::rollout::update_method::UpdateMethod;
use crate::rollout::{
    Batch, RolloutContext, RolloutPlan, RolloutStep, WorkloadUpdate, approval_digest, is_hold_release,
    piggybacked_text, waiting_workloads,
};

/// How many workloads a message lists; the diff of the commit has all of them.
const MAX_LISTED: usize = 100;

/// What a commit says that changes the ledger alone.
const UNCHANGED: &str = "No rendered file changes with this commit.";

/// Trailers: keys and values.
pub(super) type TrailerList = Vec<(&'static str, String)>;

/// Returns the message of a step; None for Idle and Blocked, which are not commits. `before` is the ledger that it
/// follows.
pub(super) fn step_message(
    deploy_branch: &DeployBranch<'_>,
    rollout: &RolloutPlan<'_>,
    before: &Ledger,
    step: &RolloutStep,
) -> Option<String> {
    match step {
        RolloutStep::Start(after) => Some(start_message(deploy_branch, rollout, before, after)),
        RolloutStep::Batch(batch) => Some(batch_message(deploy_branch, rollout, before, batch)),
        RolloutStep::Complete(after) => Some(complete_message(deploy_branch, rollout, before, after)),
        RolloutStep::Resume(after) => Some(resume_message(deploy_branch, rollout, before, after)),
        RolloutStep::Idle | RolloutStep::Blocked(_) => None,
    }
}

fn start_message(
    deploy_branch: &DeployBranch<'_>,
    rollout: &RolloutPlan<'_>,
    before: &Ledger,
    after: &Ledger,
) -> String {
    let wording = RolloutSummary::from_ledger(after);
    let first = rollout.batches().next();
    let selected = rollout.context.kruise.as_ref().map(|selection| selection.workloads.len());
    let replicas = first.map(|b| {
        let workloads = selected.unwrap_or(b.matched_workloads);
        let (pods, workloads) =
            (pluralize(b.matched_pods.into(), "pod"), pluralize(workloads as u64, "workload"));
        format!("{pods} of {workloads} in {}.", pluralize(rollout.batch_count() as u64, "batch"))
    });
    let removed = SidecarRemoval::of(&rollout.context, after).map_or_else(String::new, |removal| {
        format!("The sidecar is removed from {} ({}). ", removal.share(), removal.cause)
    });
    let mut body = vec![format!(
        "{removed}{} {}",
        replicas.unwrap_or_else(|| "No workload needs an update.".to_owned()),
        match &rollout.context.kruise {
            Some(_) =>
                "Kruise keeps the running pods as they are, and gives it to pods that are created from now on.",
            None => UNCHANGED,
        }
    )];
    body.extend(piggyback_note(&rollout.context, after, &wording));
    body.extend(superseded_note(before));
    let digest = approval_digest(&rollout.context, after, 0, &[]);
    let mut trailers = ledger_trailers(deploy_branch, CommitAction::Start, after);
    trailers.push((trailer::PLAN, digest));
    let what = if is_hold_release(before, after) { "holds have expired".to_owned() } else { wording.change };
    trailer::format_message(&format!("{}: start, {what}", rollout.name()), &body.join("\n"), &trailers)
}

/// Says which workloads take the target with their own next change: no batch names them.
fn piggyback_note(context: &RolloutContext<'_>, after: &Ledger, wording: &RolloutSummary) -> Option<String> {
    let waiting = waiting_workloads(context, after);
    let window = context.settings.piggyback.as_ref().filter(|_| waiting.workloads > 0)?;
    let (take, own) = if waiting.workloads == 1 { ("takes", "its") } else { ("take", "their") };
    Some(format!(
        "{waiting} {take} {} with {own} own next change; the batches wait until {} after this commit.",
        wording.target, window.until
    ))
}

/// Describes the rollout that a new target ends.
fn superseded_note(before: &Ledger) -> Option<String> {
    let target = revision_text(before.target.as_ref()?);
    let paused = before.paused.as_ref();
    let paused = paused.map_or_else(String::new, |p| format!(", which was paused: {}", p.reason));
    Some(format!("It replaces the rollout to {target} at batch {}{paused}.", before.last_batch()))
}

fn resume_message(
    deploy_branch: &DeployBranch<'_>,
    rollout: &RolloutPlan<'_>,
    before: &Ledger,
    after: &Ledger,
) -> String {
    let (batch, reason) = before.paused.as_ref().map_or((0, ""), |p| (p.batch, p.reason.as_str()));
    let body = match &rollout.context.kruise {
        Some(_) => {
            format!("It was paused: {reason}\nKruise updates pods again, as far as the partition allows.")
        }
        None => format!("It was paused: {reason}\n{UNCHANGED}"),
    };
    trailer::format_message(
        &format!("{}: resume at batch {batch}", rollout.name()),
        &body,
        &ledger_trailers(deploy_branch, CommitAction::Resume, after),
    )
}

fn batch_message(
    deploy_branch: &DeployBranch<'_>,
    rollout: &RolloutPlan<'_>,
    before: &Ledger,
    batch: &Batch,
) -> String {
    let wording = RolloutSummary::from_ledger(before);
    let number = format!("{}/{}", batch.number, rollout.last_batch());
    let workloads = match &batch.updates[..] {
        [only] => workload_title(&only.key),
        several => pluralize(several.len() as u64, "workload"),
    };
    let whom = match batch.changed_pods() {
        0 => workloads,
        pods => format!("{} of {workloads}", pluralize(pods.into(), "pod")),
    };
    let half = batch.half().map_or_else(String::new, |half| format!(", half {}", half.fraction()));
    let subject = format!("{}: batch {number}{half}, {} for {whom}", rollout.name(), wording.target);
    let mut trailers = ledger_trailers(deploy_branch, CommitAction::Batch, before);
    trailers.push((trailer::BATCH, number));
    trailers.extend(batch.half().map(|half| (trailer::HALF, half.fraction().to_owned())));
    trailers.push((trailer::PODS, batch.changed_pods().to_string()));
    trailers.push((trailer::PLAN, approval_digest(&rollout.context, before, batch.number, &batch.updates)));
    trailer::format_message(&subject, &update_lines(&wording, &before.released, batch), &trailers)
}

fn complete_message(
    deploy_branch: &DeployBranch<'_>,
    rollout: &RolloutPlan<'_>,
    before: &Ledger,
    after: &Ledger,
) -> String {
    let wording = RolloutSummary::from_ledger(before);
    let held: Vec<String> = after
        .entries
        .iter()
        .filter_map(|(key, entry)| {
            let by = entry.held_by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            Some(format!("{}: held{by}, {}", workload_title(key), entry.hold_reason.as_deref()?))
        })
        .collect();
    let mut body = truncate_lines(held);
    body.extend(piggybacked_text(&rollout.context, before).map(|text| format!("{text}.")));
    body.push(match &rollout.context.kruise {
        Some(_) => "The SidecarSet has the `updateStrategy` of its file again; no pod changes.".to_owned(),
        None => UNCHANGED.to_owned(),
    });
    let number = before.last_batch().saturating_add(1);
    let mut trailers = ledger_trailers(deploy_branch, CommitAction::Complete, before);
    trailers.push((trailer::PLAN, approval_digest(&rollout.context, before, number, &[])));
    let by: Vec<&str> = rollout.context.replaced_by.iter().map(|by| &*by.name).collect();
    let subject = match &after.released {
        None if !by.is_empty() => format!("{}: complete, replaced by {}", rollout.name(), by.join(", ")),
        None => format!("{}: complete, nothing is released", rollout.name()),
        Some(_) => format!("{}: complete, {} is released", rollout.name(), wording.target),
    };
    trailer::format_message(&subject, &body.join("\n"), &trailers)
}

/// Returns one line for each workload, and the number of updated pods.
fn update_lines(wording: &RolloutSummary, released: &RevisionName, batch: &Batch) -> String {
    let mut lines =
        truncate_lines(batch.updates.iter().map(|update| update_line(update, released)).collect());
    let down = batch.max_unavailable_pods();
    let unavailable = match batch
        .updates
        .iter()
        .any(|m| m.replicas.is_none() && m.behavior.method != UpdateMethod::NextRun)
    {
        true => "how many are unavailable at once is unknown".to_owned(),
        false => format!("at most {down} {} unavailable at once", if down == 1 { "is" } else { "are" }),
    };
    let pods = pluralize(batch.matched_pods.into(), "pod");
    lines.push(format!(
        "{} of {pods} {} after this commit; {unavailable}.",
        batch.updated_pods, wording.pod_state
    ));
    lines.join("\n")
}

fn update_line(update: &WorkloadUpdate, released: &RevisionName) -> String {
    let how = update.behavior.method;
    let what = match (how, update.replicas) {
        (UpdateMethod::NextRun, _) | (_, Some(0)) => "with the pods that it creates next".to_owned(),
        (_, Some(of)) => {
            format!("{} of {}, {}", update.updated_after, pluralize(of.into(), "pod"), how.description())
        }
        (_, None) => format!("its pods (number unknown), {}", how.description()),
    };
    let mark = update.effect_note(released).map_or_else(String::new, |mark| format!(", {mark}"));
    let half = update.half.map_or_else(String::new, |half| format!(", {}", half.description()));
    let ended = update.ended_hold.as_ref().map_or_else(String::new, |ended| format!("; {ended}"));
    format!("{}: {what}{half}{mark}{ended}", workload_title(&update.key))
}

fn truncate_lines(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(MAX_LISTED);
    lines.truncate(MAX_LISTED);
    if more > 0 {
        lines.push(format!("and {}", pluralize(more as u64, "more workload")));
    }
    lines
}

/// Returns the message of a render of a source commit.
pub(super) fn render_message(source: &Commit) -> String {
    let subject = format!("render {}: {}", source.id.short(), source.subject());
    let mut trailers = source_trailers(source.id);
    trailers.push(CommitAction::Render.to_trailer());
    trailer::format_message(&subject, "", &trailers)
}

/// Returns the trailers of a ledger commit; without an open rollout the released revision is the target.
pub(super) fn ledger_trailers(
    deploy_branch: &DeployBranch<'_>,
    action: CommitAction,
    ledger: &Ledger,
) -> TrailerList {
    let target = ledger.target.as_ref().unwrap_or(&ledger.released);
    let mut trailers = vec![
        action.to_trailer(),
        (trailer::SIDECAR_SET, ledger.name.to_string()),
        (trailer::REVISION, revision_text(target).to_owned()),
        (trailer::FROM, revision_text(&ledger.released).to_owned()),
    ];
    trailers.extend(source_trailers_of(deploy_branch));
    trailers
}

/// Returns the trailers that name the source of the rendered files. With one branch that is the commit's own history,
/// and its id must not depend on the commit that it was staged on.
pub(crate) fn source_trailers_of(deploy_branch: &DeployBranch<'_>) -> TrailerList {
    match &deploy_branch.branches.source {
        Some(_) => source_trailers(deploy_branch.source.id),
        None => Vec::new(),
    }
}

fn source_trailers(source: ObjectId) -> TrailerList {
    [trailer::REFERENCE_COMMIT, trailer::SOURCE].map(|key| (key, source.to_string())).into()
}
