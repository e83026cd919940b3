//! What follows in a rollout, and the command that does it: the last line of commands that change one.

use crate::diagnostics::pluralize;
use crate::model::ledger::{Ledger, RevisionName, revision_text};
use crate::rollout::removal::SidecarRemoval;
use crate::rollout::{
    Batch, BlockedReason, ExternalState, PlanExtent, RolloutPlan, RolloutStep, WorkloadUpdate,
    required_approval, start_command,
};
use crate::stage::{ClusterView, DeployBranch, wave_block_reason};

/// Returns what follows after the first steps of a plan, and the command for it; `options` are those of the command
/// line. The command is one that applies in this state.
pub(super) fn describe_next_step(rollout: &RolloutPlan<'_>, number: usize, options: &str) -> String {
    let name = rollout.name();
    let promote = format!("`pillion promote {name}{options}`");
    match rollout.steps.get(number) {
        Some(RolloutStep::Start(started)) => describe_start(rollout, started, options),
        Some(RolloutStep::Batch(batch)) => {
            let pods = pluralize(batch.changed_pods().into(), "pod");
            let moved = format!("{pods} of {}", pluralize(batch.updates.len() as u64, "workload"));
            let before = rollout.ledger_before(number);
            let (title, last) = (batch.title(), rollout.last_batch());
            let goes_back = before.target.as_ref() == Some(&before.released);
            let is_rejected = |update: &WorkloadUpdate| before.rejects(&update.previous);
            if goes_back && batch.updates.iter().all(is_rejected) {
                return format!("{promote} rolls back {moved} ({title} of {last})");
            }
            let approve = match is_unapproved(rollout, before, batch) {
                true => format!("`pillion approve {name} {}{options}`, then ", batch.number),
                false => String::new(),
            };
            format!("{approve}{promote} releases {title} of {last}: {moved}")
        }
        Some(RolloutStep::Complete(_)) => {
            format!("{promote} completes the rollout: every workload has the target")
        }
        Some(RolloutStep::Blocked(BlockedReason::Paused(_)) | RolloutStep::Resume(_)) => {
            format!("`pillion resume {name}{options}` resumes it")
        }
        Some(RolloutStep::Blocked(BlockedReason::Rejected(revision))) => {
            rejected_hint(name, revision, options)
        }
        Some(step @ (RolloutStep::Idle | RolloutStep::Blocked(_))) => step.reason().unwrap_or_default(),
        None => format!("`pillion status {name}{options}` shows its status"),
    }
}

/// Returns what follows when the ledger of a rollout has become this one.
pub(super) fn describe_after_change(
    (deploy_branch, view): (&DeployBranch<'_>, &ClusterView),
    after: &Ledger,
    today: &str,
    options: &str,
) -> String {
    let (context, _) = view.rollout_context_for(after);
    let source = context.source_revision();
    let wave_reason = wave_block_reason(deploy_branch, view.cluster.as_deref(), &after.name, &source);
    let external = ExternalState { wave_reason, today: Some(today.to_owned()), ..ExternalState::default() };
    let rollout = RolloutPlan::new(context, after.clone(), external, PlanExtent::Staged);
    let next = describe_next_step(&rollout, 0, options);
    match rollout.steps.first() {
        Some(RolloutStep::Batch(_) | RolloutStep::Complete(_)) => {
            format!("{next}, unless `pillion watch` does")
        }
        _ => next,
    }
}

/// Returns the command that allows a revision again that was rolled back.
pub(super) fn rejected_hint(name: &str, revision: &RevisionName, options: &str) -> String {
    let revision = revision_text(revision);
    format!("`pillion resume {name}{options}` allows `{revision}` again: it was rolled back")
}

/// Returns whether a batch waits for a person, and the ledger before it has no approval of its plan.
pub(super) fn is_unapproved(rollout: &RolloutPlan<'_>, before: &Ledger, batch: &Batch) -> bool {
    let awaited = required_approval(&rollout.context, before, batch);
    awaited.is_some_and(|plan| !before.approvals.iter().any(|a| a.plan == plan))
}

fn describe_start(rollout: &RolloutPlan<'_>, started: &Ledger, options: &str) -> String {
    let command = start_command(&rollout.context, started, options);
    let effect = match rollout.has_started() {
        true => "makes the content of its file the target",
        false => "starts its rollout",
    };
    match SidecarRemoval::of(&rollout.context, started) {
        Some(removal) => {
            format!("`{command}` {effect}, which removes the sidecar from {}", removal.share())
        }
        None => format!("`{command}` {effect}"),
    }
}
