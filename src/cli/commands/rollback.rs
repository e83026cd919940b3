//! `pillion rollback`: rolls back to the released revision, to an earlier batch, or to the revision before.

use super::ledger_change::{
    LedgerArgs, LedgerChange, LedgerCommandContext, commit_change, find_ledger, parse_reason,
};
use crate::cli::GlobalArgs;
use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::git::trailer;
use crate::model::defaults::REASON;
use crate::model::ledger::{Ledger, revision_text};
use crate::rollout::transitions::{self, BatchRollback, TransitionError};
use crate::stage::{CommitAction, ledger_after_batch, ledger_before_completion, missing_after_change};
use clap::Args;

/// Arguments of `pillion rollback`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RollbackArgs {
    /// SidecarSet; a rollout that is complete is started again to go back
    name: String,
    /// Batch to go back to in one commit, and pause there; 0 takes back all batches
    #[arg(long = "to", value_name = "BATCH")]
    batch: Option<u32>,
    /// Reason, part of the commit subject
    #[arg(long, default_value = REASON, value_parser = parse_reason)]
    reason: String,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Runs `pillion rollback`.
pub(in crate::cli) fn run(
    args: &RollbackArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    commit_change(&args.ledger, common, reporter, |context| {
        let before = find_ledger(context.cluster_view, &args.name)?;
        let open = match before.target {
            Some(_) => before.clone(),
            None => reopen_last_rollout(context, &before)?,
        };
        match args.batch {
            Some(batch) => roll_back_to_batch(args, context, &open, batch),
            None => roll_back_to_released(args, context, &before, &open),
        }
        .map(|change| note_missing_workloads(args, context, change))
    })
}

/// Workloads of a reopened rollout may have left git since: a person must say that it continues without them.
fn note_missing_workloads(
    args: &RollbackArgs,
    context: &LedgerCommandContext<'_>,
    change: LedgerChange,
) -> LedgerChange {
    let Some(missing) = missing_after_change(context.deploy_branch, context.cluster_view, &change.ledger)
    else {
        return change;
    };
    let next = format!(
        "`pillion start {} --accept-missing{}` continues without those that are missing on purpose",
        args.name, context.options
    );
    let notes = [change.notes.clone(), vec![missing.message]].concat();
    LedgerChange { notes, ..change }.with_next(next)
}

/// The last rollout as it was before it was complete.
fn reopen_last_rollout(context: &LedgerCommandContext<'_>, closed: &Ledger) -> Result<Ledger, CommandError> {
    let (rollout, _) = context.cluster_view.rollout_context(&closed.name);
    let before =
        ledger_before_completion(context.deploy_branch, context.cluster_view.cluster.as_deref(), closed)?;
    let before = before.ok_or_else(|| {
        TransitionError(format!(
            "no rollout of `{0}` is in progress, and none released `{1}`: to roll out another revision, change the file of the SidecarSet",
            closed.name,
            revision_text(&closed.released)
        ))
    })?;
    Ok(transitions::reopen_completed(&rollout, closed, &before)?)
}

fn roll_back_to_released(
    args: &RollbackArgs,
    context: &LedgerCommandContext<'_>,
    before: &Ledger,
    open: &Ledger,
) -> Result<LedgerChange, CommandError> {
    let (rollout, _) = context.cluster_view.rollout_context(&args.name);
    let after = transitions::roll_back(&rollout, open)?;
    let target = open.target.as_ref().map_or("-", revision_text);
    let subject = format!("roll back to {}, {}", revision_text(&open.released), args.reason);
    let again = match before.target {
        Some(_) => String::new(),
        None => format!("The rollout to {target} was complete, and is reopened to roll back.\n"),
    };
    let unchanged = match context.cluster_view.prepared.renderer.is_kruise_runtime() {
        true => "Kruise updates no further pod until the next batch, which rolls them back.",
        false => "No rendered file changes with this commit: the next batches roll the workloads back.",
    };
    let body = format!(
        "{again}{target} is not staged again until `pillion resume {}` or a change of its content.\n\
         {unchanged}",
        args.name
    );
    let next = context.next_after(&after);
    Ok(LedgerChange::new(after, CommitAction::RollBack, subject, body).with_next(next))
}

fn roll_back_to_batch(
    args: &RollbackArgs,
    context: &LedgerCommandContext<'_>,
    open: &Ledger,
    batch: u32,
) -> Result<LedgerChange, CommandError> {
    let (rollout, _) = context.cluster_view.rollout_context(&args.name);
    let last = open.last_batch();
    let past = match batch <= last {
        true => {
            ledger_after_batch(context.deploy_branch, context.cluster_view.cluster.as_deref(), open, batch)?
        }
        false => None,
    };
    let past = past.ok_or_else(|| {
        TransitionError(format!(
            "the rollout of `{}` had no batch {batch}: {last} is the last released batch",
            args.name
        ))
    })?;
    let back = BatchRollback { batch, ledger_at_batch: &past, reason: &args.reason, by: Some(context.by) };
    let after = transitions::roll_back_to_batch(&rollout, open, &back)?;
    let subject = format!("roll back to batch {batch}, {}", args.reason);
    let what = match last.saturating_sub(batch) {
        0 => format!("Batch {batch} is the last released batch."),
        1 => format!("Batch {last} is rolled back."),
        _ => format!("Batches {} to {last} are rolled back.", batch.saturating_add(1)),
    };
    let body =
        format!("{what}\nNothing more is released until `pillion resume {}`.", rollout.command_arguments());
    let trailers = vec![(trailer::BATCH, format!("{batch}/{last}"))];
    let next = context.next_after(&after);
    let change = LedgerChange { trailers, ..LedgerChange::new(after, CommitAction::RollBack, subject, body) };
    Ok(change.with_next(next))
}
