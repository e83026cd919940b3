//! `pillion plan`: what a rollout is going to do.

mod by_pod;
mod by_workload;
mod format;
mod html;
mod json;
mod markdown;
mod plan_inputs;
mod text;
mod timeline;

use super::inputs::SourceArgs;
use super::reporter::Reporter;
use super::{EXIT_USAGE, GlobalArgs};
use crate::write::Error;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Arguments of `pillion plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// SidecarSets [default: all with a ledger]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// File or folder to read in place of the sources of pillion.yaml (repeatable)
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    sources: SourceArgs,
    /// What is counted and updated
    #[arg(long, value_enum, default_value = "workload")]
    by: PlanUnit,
    /// Only the next step
    #[arg(long)]
    next: bool,
    /// The pods of the cluster, as `kubectl get pods -A -o json` prints them; `-` for standard input
    #[arg(long, value_name = "FILE")]
    cluster_state: Option<PathBuf>,
    /// Manifests that were built by another program, in place of the sources; `-` for standard input
    #[arg(long, value_name = "FILE")]
    manifests: Option<PathBuf>,
    /// Plan from what this commit says on, in place of the ledgers of the working folder
    #[arg(long, value_name = "COMMIT")]
    from: Option<String>,
    /// Plan to what this commit says, in place of the working folder
    #[arg(long, value_name = "COMMIT", requires = "from")]
    to: Option<String>,
    /// What if a key of `updateStrategy` or of `rollout` were this (`maxUnavailable=10%`); may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    strategy: Vec<String>,
    /// How the plan is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: PlanOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PlanUnit {
    /// Workloads, released by commits
    Workload,
    /// Pods, as Kruise's own controller would update them on a live cluster
    Pod,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PlanOutput {
    /// For people
    Text,
    /// A document with `apiVersion` and `kind`
    Json,
    /// For a pull request
    Markdown,
    /// One file with a picture, to be shown
    Html,
}

/// Runs `pillion plan`.
pub(super) fn run(args: &PlanArgs, common: &GlobalArgs, reporter: &mut Reporter) -> Result<u8, Error> {
    if let Some(wrong) = usage_error(args) {
        reporter.print_error(&format!("pillion: {wrong}"));
        return Ok(EXIT_USAGE);
    }
    match args.by {
        PlanUnit::Pod => by_pod::run(args, common, reporter),
        PlanUnit::Workload => by_workload::run(args, common, reporter),
    }
}

/// Says what does not go together on the command line.
fn usage_error(args: &PlanArgs) -> Option<&'static str> {
    let is_stdin = |path: &&Path| path.as_os_str() == "-";
    let files = [&args.cluster_state, &args.manifests].into_iter().flatten().map(PathBuf::as_path);
    let readers = files.chain(args.paths.iter().map(PathBuf::as_path)).filter(is_stdin).count();
    let is_by_pod = args.by == PlanUnit::Pod;
    if args.names.iter().any(|name| name == "-") {
        return Some("give manifests on standard input with `--manifests -`");
    }
    if is_by_pod && args.names.len() > 1 {
        return Some("a plan by pod is of one SidecarSet: name one");
    }
    if readers > 1 {
        return Some("standard input can be read once: name files for the others");
    }
    if is_by_pod && (args.manifests.is_some() || args.from.is_some() || !args.strategy.is_empty()) {
        return Some("`--manifests`, `--from`, `--to` and `--strategy` are for plans by workload");
    }
    if is_by_pod && !matches!(args.output, PlanOutput::Text | PlanOutput::Json) {
        return Some("a plan by pod is printed as `text` or `json`");
    }
    if !is_by_pod && args.paths.iter().any(|p| is_stdin(&p.as_path())) {
        return Some("give manifests on standard input with `--manifests -`");
    }
    None
}
