//! `pillion approve`: approves a batch that is waiting for approval.

use super::ledger_change::{LedgerArgs, LedgerChange, commit_change, find_ledger};
use crate::cli::GlobalArgs;
use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::git::trailer;
use crate::rollout::ExternalState;
use crate::rollout::transitions::{self, TransitionError};
use crate::stage::CommitAction;
use crate::stage::verify;
use clap::Args;

/// Arguments of `pillion approve`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ApproveArgs {
    /// SidecarSet of the batch
    name: String,
    /// Number of the batch, as `pillion plan` prints it
    batch: u32,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Runs `pillion approve`.
pub(in crate::cli) fn run(
    args: &ApproveArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    commit_change(&args.ledger, global, reporter, |context| {
        let before = find_ledger(context.cluster_view, &args.name)?;
        let (rollout, _) = context.cluster_view.rollout_context(&args.name);
        let external_state =
            ExternalState { today: Some(context.today.to_owned()), ..ExternalState::default() };
        let plan = verify::upcoming_batch_digest(&rollout, &before, args.batch, &external_state).ok_or_else(
            || {
                TransitionError(format!(
                    "`{}` has no upcoming batch {}: `pillion plan` lists them",
                    args.name, args.batch
                ))
            },
        )?;
        let after = transitions::approve(&before, args.batch, &plan)?;
        let subject = format!("approve batch {}", args.batch);
        let body =
            "The approval is for this plan alone: other workloads or replica counts need another.".to_owned();
        let trailers = vec![(trailer::PLAN, plan)];
        let change =
            LedgerChange { trailers, ..LedgerChange::new(after, CommitAction::Approve, subject, body) };
        let status =
            format!("`pillion status {}{}` shows what the rollout waits for", args.name, context.options);
        Ok(change.about(args.batch.to_string()).with_next(status))
    })
}
