//! `pillion resume`: continues a paused rollout, or allows one that was rolled back to be staged again.

use super::ledger_change::{LedgerArgs, LedgerChange, commit_change, find_ledger};
use crate::cli::GlobalArgs;
use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::model::ledger::revision_text;
use crate::rollout::transitions;
use crate::stage::CommitAction;
use clap::Args;

/// Arguments of `pillion resume`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ResumeArgs {
    /// SidecarSet to resume
    name: String,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Runs `pillion resume`.
pub(in crate::cli) fn run(
    args: &ResumeArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    commit_change(&args.ledger, global, reporter, |context| {
        let view = context.cluster_view;
        let before = find_ledger(view, &args.name)?;
        let rollout = view.rollout_context(&args.name).0;
        let source = rollout.source_revision();
        let after = transitions::resume(&rollout, &before, &source)?;
        let (subject, body) = match &before.paused {
            Some(paused) => {
                (format!("resume at batch {}", paused.batch), format!("It was paused: {}", paused.reason))
            }
            None => (
                format!("stage {} again", revision_text(&source)),
                "It was rolled back, and may be rolled out again.".to_owned(),
            ),
        };
        let next = context.next_after(&after);
        Ok(LedgerChange::new(after, CommitAction::Resume, subject, body).with_next(next))
    })
}
