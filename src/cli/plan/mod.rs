//! `pillion plan`: what a rollout is going to do.

mod by_pod;

use super::inputs::InputArgs;
use super::report::Reporter;
use super::{Common, USAGE};
use crate::write::Failure;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Arguments of `pillion plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    inputs: InputArgs,
    /// What is counted and updated
    #[arg(long, value_enum, default_value = "workload")]
    by: By,
    /// Only the next step
    #[arg(long)]
    next: bool,
    /// The pods of the cluster, as `kubectl get pods -A -o json` prints them; `-` for standard input
    #[arg(long, value_name = "FILE")]
    observed: Option<PathBuf>,
    /// How the plan is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Workloads, released by commits
    Workload,
    /// Pods, as Kruise's own controller would update them on a live cluster
    Pod,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// A document with `apiVersion` and `kind`
    Json,
}

/// Runs `pillion plan`.
pub(super) fn run(args: &PlanArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, Failure> {
    match args.by {
        By::Pod => by_pod::run(args, common, reporter),
        By::Workload => {
            reporter.say("pillion: plans by workload come with a later version: add `--by pod --next`");
            Ok(USAGE)
        }
    }
}
