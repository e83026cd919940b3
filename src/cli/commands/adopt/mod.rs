//! `pillion adopt`: compares what runs in a cluster with what would be rendered, and writes the first ledgers with which
//! no pod changes.

#[cfg(feature = "watch")]
mod live_state;

use crate::cli::author::current_author;
use crate::cli::commands::init::rollout::{LedgerPublication, write_first_ledgers};
use crate::cli::error::CommandError;
use crate::cli::format::adopt::AdoptionReport;
use crate::cli::paint::ReportKind;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepositoryArgs};
use crate::cli::retry::with_retry;
use crate::cli::terminal::print_report;
use crate::cli::{EXIT_FINDINGS, EXIT_SUCCESS, GlobalArgs, OutputFormat, print_text};
use crate::diagnostics::escape::shell_word;
use crate::diagnostics::{Code, Diagnostic, pluralize};
use crate::model::suggestion::closest_match;
use crate::read::Disk;
use crate::rollout::adoption::{AdoptionDirection, AdoptionSnapshot, LedgerChoice, choose_ledger};
use crate::stage::{ClusterView, InitialRevision, compare_set, unknown_sets};
use crate::workspace::{inputs_from_paths, read_input};
use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is wrong with a command line that names no cluster.
const NO_STATE: &str = "which pods run is not known: add `--cluster-state FILE` with `kubectl get pods,deployments,statefulsets,daemonsets,sidecarsets -A -o json`";

/// Arguments of `pillion adopt`.
#[derive(Debug, Args)]
pub(in crate::cli) struct AdoptArgs {
    /// SidecarSets to compare [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Pods, workloads and SidecarSets of the cluster, from `kubectl get ... -A -o json`; `-` for standard input
    #[arg(long, value_name = "FILE")]
    cluster_state: Option<PathBuf>,
    /// Context of the kubeconfig: read its cluster, with requests that only read
    #[cfg(feature = "watch")]
    #[arg(long, value_name = "NAME", conflicts_with = "cluster_state")]
    context: Option<String>,
    /// What is to have the sidecars
    #[arg(long, value_enum, default_value = "git")]
    to: AdoptTarget,
    /// Write the first ledgers to refs/pillion/outbox, if no pod changes with them
    #[arg(long)]
    write: bool,
    /// Write the first ledgers and push them to the deploy branch
    #[arg(long, conflicts_with = "write")]
    push: bool,
    /// Write the first ledgers and open a pull request with them
    #[arg(long, conflicts_with_all = ["write", "push"])]
    pull_request: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
    /// Output format
    #[arg(short, long, value_enum, default_value = "text")]
    output: OutputFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AdoptTarget {
    /// The manifests that pillion renders, or with `runtime: Kruise` the SidecarSet that it stages
    Git,
    /// The pods that Kruise injects: manifests without sidecars
    Kruise,
}

impl AdoptArgs {
    fn writes(&self) -> bool {
        self.write || self.push || self.pull_request
    }

    /// Returns the command with the cluster state.
    fn command(&self) -> String {
        match &self.cluster_state {
            Some(file) => format!("adopt --cluster-state {}", shell_word(&file.to_string_lossy())),
            None => format!("adopt --context {}", shell_word(self.context().unwrap_or_default())),
        }
    }

    /// Returns the context of the kubeconfig.
    fn context(&self) -> Option<&str> {
        #[cfg(feature = "watch")]
        return self.context.as_deref();
        #[cfg(not(feature = "watch"))]
        None
    }

    fn direction(&self) -> AdoptionDirection {
        match self.to {
            AdoptTarget::Git => AdoptionDirection::ToGit,
            AdoptTarget::Kruise => AdoptionDirection::ToKruise,
        }
    }
}

/// Runs `pillion adopt`.
pub(in crate::cli) fn run(
    args: &AdoptArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    if let Some(message) = usage_error(args) {
        return Err(CommandError::usage(message));
    }
    let context = match args.writes() {
        true => repository::open_for_commit(&args.repository, global, reporter)?,
        false => repository::open_reporting(&args.repository, global, reporter)?,
    };
    let (report, snapshot) = report_of_cluster(args, &context, reporter)?;
    match args.output {
        OutputFormat::Text => print_report(&report.to_text(), ReportKind::Status, global)?,
        OutputFormat::Json | OutputFormat::Yaml => print_text(&args.output.convert(report.to_json()))?,
    }
    if !args.writes() {
        return Ok(finish_report(args, &report, reporter));
    }
    let publication = LedgerPublication {
        owner: None,
        workflow: false,
        push: args.push,
        pull_request: args.pull_request,
        repository: &args.repository,
        command: &args.command(),
    };
    let author = current_author(&context.repository)?;
    let choose = |view: &ClusterView, reporter: &mut Reporter| -> Result<_, CommandError> {
        let report = compare_cluster(args, view, &snapshot, reporter)?;
        released_sets(&report).map(Some)
    };
    let text =
        with_retry(&context, || write_first_ledgers(&publication, &choose, &context, &author, reporter))?;
    print_text(&text)?;
    Ok(EXIT_SUCCESS)
}

/// Returns what is wrong with the command line.
fn usage_error(args: &AdoptArgs) -> Option<&'static str> {
    let is_stdin = |path: &Path| path.as_os_str() == "-";
    if args.writes() && args.to == AdoptTarget::Kruise {
        return Some(
            "`--to kruise` only compares: the ledgers of a repository stay, and docs/adopt.md has the order of the steps",
        );
    }
    if args.writes() && !args.names.is_empty() {
        return Some("first ledgers are written for all SidecarSets together: leave out the names");
    }
    if args.writes() && args.output != OutputFormat::Text {
        return Some("`-o` is for the comparison: leave it out, or write the ledgers in a second call");
    }
    if args.cluster_state.is_none() && args.context().is_none() {
        return Some(NO_STATE);
    }
    if args.cluster_state.as_deref().is_some_and(is_stdin)
        && args.repository.manifests.as_deref().is_some_and(is_stdin)
    {
        return Some("standard input can be read once: name a file for the other");
    }
    None
}

/// Reads the state of the cluster of a view.
fn read_state(args: &AdoptArgs, view: &ClusterView) -> Result<AdoptionSnapshot, CommandError> {
    if let Some(file) = &args.cluster_state {
        let input = inputs_from_paths(&[file.to_owned()]).remove(0);
        let snapshot = read_input(&input, &Disk).and_then(|text| AdoptionSnapshot::read(&input.name, &text));
        return snapshot.map_err(|diagnostic| CommandError::from_diagnostics([diagnostic]));
    }
    #[cfg(feature = "watch")]
    if let Some(context) = args.context() {
        return live_state::read_live_state(context, view);
    }
    let _ = view;
    Err(CommandError::usage(NO_STATE))
}

/// Compares the one cluster that the state is of; returns the state as well.
fn report_of_cluster(
    args: &AdoptArgs,
    context: &repository::RepoContext,
    reporter: &mut Reporter,
) -> Result<(AdoptionReport, AdoptionSnapshot), CommandError> {
    let deploy_branch = context.read_deploy_branch_reporting(reporter)?;
    let clusters = repository::select_clusters(&deploy_branch, &args.repository)?;
    let [cluster] = clusters[..] else {
        return Err(CommandError::usage(
            "the cluster state is of one cluster, and pillion.yaml names several: add `--cluster NAME`",
        ));
    };
    let (view, diagnostics) = deploy_branch.cluster_view(cluster);
    // A missing ledger is the reason to run this command.
    let counts = |d: &Diagnostic| d.code != Code::NoLedger && d.code != Code::NotStagedYet;
    reporter.add(diagnostics.into_iter().filter(counts));
    reporter.fail_on_errors()?;
    let snapshot = read_state(args, &view)?;
    Ok((compare_cluster(args, &view, &snapshot, reporter)?, snapshot))
}

/// Compares the SidecarSets of a cluster with its state.
///
/// # Errors
/// When there is nothing to compare, or the state is of another cluster.
fn compare_cluster(
    args: &AdoptArgs,
    view: &ClusterView,
    snapshot: &AdoptionSnapshot,
    reporter: &mut Reporter,
) -> Result<AdoptionReport, CommandError> {
    check_names(args, view)?;
    let is_kruise = view.prepared.renderer.is_kruise_runtime();
    let mut sets = Vec::new();
    for set in &view.prepared.sets {
        if args.names.is_empty() || args.names.contains(&set.name) {
            let (found, diagnostics) = compare_set(view, set, snapshot, args.direction());
            reporter.add(diagnostics);
            let choice = choose_ledger(&found, is_kruise);
            sets.push((found, choice));
        }
    }
    reporter.fail_on_errors()?;
    let workloads = || sets.iter().flat_map(|(set, _)| &set.workloads);
    if workloads().next().is_some() && workloads().all(|workload| !workload.is_in_cluster) {
        let all: BTreeSet<&str> = workloads().map(|workload| &*workload.key).collect();
        return Err(CommandError::usage(format!(
            "the cluster state has none of the {} that SidecarSets select in git: it is of another cluster, or of other namespaces",
            pluralize(all.len() as u64, "workload")
        )));
    }
    let unknown = if args.names.is_empty() { unknown_sets(view, snapshot) } else { Vec::new() };
    Ok(AdoptionReport {
        cluster: view.cluster.as_ref().map(ToString::to_string),
        direction: args.direction(),
        is_kruise,
        unknown_sets: unknown.into_iter().map(Arc::clone).collect(),
        sets,
    })
}

/// Fails when a SidecarSet of the command line has no file, or when there is none at all.
fn check_names(args: &AdoptArgs, view: &ClusterView) -> Result<(), CommandError> {
    let known: Vec<&str> = view.prepared.sets.iter().map(|set| set.name.as_str()).collect();
    if known.is_empty() {
        return Err(CommandError::usage(
            "git has no SidecarSet: write those of the cluster into the folder of `sidecarSets:`",
        ));
    }
    let Some(name) = args.names.iter().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
    Err(CommandError::usage(match closest_match(name, known.iter().copied()) {
        Some(near) => format!("there is no SidecarSet `{name}`: did you mean `{near}`?"),
        None => format!("there is no SidecarSet `{name}`; git has {}", known.join(", ")),
    }))
}

/// Returns what the first ledgers release.
///
/// # Errors
/// When some ledger would change a pod.
fn released_sets(report: &AdoptionReport) -> Result<InitialRevision, CommandError> {
    if let Some(set) = report.first_refused() {
        return Err(CommandError::findings(format!(
            "no ledger was written, because none of `{}` keeps every pod as it is; the comparison says why",
            set.name
        )));
    }
    let current = report.sets.iter().filter(|(_, choice)| *choice == Ok(LedgerChoice::Current));
    Ok(InitialRevision::CurrentOf(current.map(|(set, _)| Arc::clone(&set.name)).collect()))
}

/// Says what to do next; returns the exit code.
fn finish_report(args: &AdoptArgs, report: &AdoptionReport, reporter: &Reporter) -> u8 {
    let is_writable = report.direction == AdoptionDirection::ToGit
        && report.first_refused().is_none()
        && report.sets.iter().any(|(set, _)| !set.has_ledger);
    if is_writable {
        let options = repository::command_options(&args.repository, report.cluster.as_deref());
        reporter.print_note(&format!(
            "next: `pillion {} --push{options}` writes the first ledgers",
            args.command()
        ));
    }
    let has_obstacle = report.direction == AdoptionDirection::ToGit && report.first_refused().is_some();
    if report.has_differences() || has_obstacle { EXIT_FINDINGS } else { EXIT_SUCCESS }
}
