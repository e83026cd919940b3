//! `pillion plan`: prints the plan of rollouts.

mod by_pod;
mod by_workload;
mod deploy_state;
mod plan_inputs;

use crate::cli::GlobalArgs;
use crate::cli::error::CommandError;
use crate::cli::inputs::SourceArgs;
use crate::cli::reporter::Reporter;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Arguments of `pillion plan`.
#[derive(Debug, Args)]
pub(in crate::cli) struct PlanArgs {
    /// SidecarSets [default: all with a ledger]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// File or folder to read in place of the sources of pillion.yaml (repeatable)
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    sources: SourceArgs,
    /// Unit to count and update
    #[arg(long, value_enum, default_value = "workload")]
    by: PlanUnit,
    /// Print the next step only
    #[arg(long)]
    next: bool,
    /// Pods of the cluster, from `kubectl get pods -A -o json`; `-` for standard input
    #[arg(long, value_name = "FILE")]
    cluster_state: Option<PathBuf>,
    /// Context of the kubeconfig: count the pods of its cluster, with requests that only read
    #[cfg(feature = "watch")]
    #[arg(long, value_name = "NAME", conflicts_with = "cluster_state")]
    context: Option<String>,
    /// Built manifests to use instead of the sources; `-` for standard input
    #[arg(long, value_name = "FILE")]
    manifests: Option<PathBuf>,
    /// Commit to plan from, instead of the ledgers of the working folder
    #[arg(long, value_name = "COMMIT")]
    from: Option<String>,
    /// Commit to plan to, instead of the working folder
    #[arg(long, value_name = "COMMIT", requires = "from")]
    to: Option<String>,
    /// Key of `updateStrategy` or `rollout` to try another value of, as `maxUnavailable=10%` (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    strategy: Vec<String>,
    /// Print what the sidecars request, by SidecarSet, namespace and team; other formats than `text` always have it
    #[arg(long)]
    costs: bool,
    /// Output format
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
    /// The same document as YAML
    Yaml,
    /// For a pull request
    Markdown,
    /// One page with a timeline, for a browser
    Html,
}

/// Runs `pillion plan`.
pub(in crate::cli) fn run(
    args: &PlanArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    if let Some(message) = usage_error(args) {
        return Err(CommandError::usage(message));
    }
    match args.by {
        PlanUnit::Pod => by_pod::run(args, common, reporter),
        PlanUnit::Workload => by_workload::run(args, common, reporter),
    }
}

/// Returns what is wrong with the command line.
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
    #[cfg(feature = "watch")]
    if is_by_pod && args.context.is_some() {
        return Some("`--context` is for plans by workload: give the pods with `--cluster-state FILE`");
    }
    if is_by_pod && !matches!(args.output, PlanOutput::Text | PlanOutput::Json | PlanOutput::Yaml) {
        return Some("a plan by pod is printed as `text`, `json` or `yaml`");
    }
    if is_by_pod && args.costs {
        return Some("`--costs` is for plans by workload");
    }
    if !is_by_pod && args.paths.iter().any(|p| is_stdin(&p.as_path())) {
        return Some("give manifests on standard input with `--manifests -`");
    }
    None
}
