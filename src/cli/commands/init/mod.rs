//! `pillion init`: looks at the repository and writes pillion.yaml and what belongs to it; and its subcommands, which
//! write the first ledgers or the files of an integration.

mod answers;
mod codeowners;
mod example_set;
mod files;
mod git_state;
mod next_commands;
mod preview;
pub(super) mod rollout;
mod setup;
pub(super) mod template_values;

use super::integration;
use crate::cli::GlobalArgs;
use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use clap::{Args, Subcommand};

/// Arguments of `pillion init`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct InitArgs {
    #[command(flatten)]
    setup: answers::SetupArgs,
    #[command(subcommand)]
    command: Option<InitCommand>,
}

#[derive(Debug, Subcommand)]
enum InitCommand {
    /// Write a ledger for every SidecarSet without one: released is the revision that every workload has, else nothing
    Rollout(rollout::InitRolloutArgs),
    #[command(flatten)]
    Integration(integration::InitIntegration),
}

/// Runs `pillion init`.
pub(in crate::cli) fn run(
    args: &InitArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    match &args.command {
        Some(InitCommand::Rollout(args)) => rollout::run(args, global, reporter),
        Some(InitCommand::Integration(integration)) => integration::init_integration(integration, reporter),
        None => setup::run(&args.setup, global, reporter),
    }
}
