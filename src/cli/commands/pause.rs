//! `pillion pause`: stops a rollout where it is.

use super::ledger_change::{LedgerArgs, LedgerChange, commit_change, find_ledger, parse_reason};
use crate::cli::GlobalArgs;
use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::model::defaults::REASON;
use crate::rollout::transitions;
use crate::stage::CommitAction;
use clap::Args;

/// Arguments of `pillion pause`.
#[derive(Debug, Args)]
pub(in crate::cli) struct PauseArgs {
    /// SidecarSet to pause
    name: String,
    /// Reason, part of the commit subject
    #[arg(long, default_value = REASON, value_parser = parse_reason)]
    reason: String,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Runs `pillion pause`.
pub(in crate::cli) fn run(
    args: &PauseArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    commit_change(&args.ledger, global, reporter, |context| {
        let before = find_ledger(context.cluster_view, &args.name)?;
        let subject = format!("pause at batch {}, {}", before.last_batch(), args.reason);
        let body = "Nothing more is released until `pillion resume`.".to_owned();
        let rollout = context.cluster_view.rollout_context(&args.name).0;
        let after = transitions::pause(&rollout, &before, &args.reason, Some(context.by))?;
        let next = context.next_after(&after);
        Ok(LedgerChange::new(after, CommitAction::Pause, subject, body).with_next(next))
    })
}
