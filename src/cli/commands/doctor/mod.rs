//! `pillion doctor`: what pillion works with on this machine and in this repository, in groups, with a hint for each
//! problem and a verdict at the end.
//!
//! It reads, and starts `kustomize version` and git, also for the remote; it changes nothing.

mod applications;
mod ci_versions;
#[cfg(feature = "watch")]
mod cluster;
mod environment;
#[cfg(feature = "watch")]
mod kruise;
mod kustomizations;
mod remote;
mod report;
mod repository;
mod rollouts;

use crate::cli::error::CommandError;
use crate::cli::paint::ReportKind;
use crate::cli::reporter::Reporter;
use crate::cli::repository::RepositoryArgs;
use crate::cli::terminal::print_report;
use crate::cli::{EXIT_FINDINGS, EXIT_SUCCESS, GlobalArgs, OutputFormat, print_text};
use crate::read::Disk;
use crate::workspace::{Configuration, find_config, is_kustomization};
use clap::Args;
use report::DoctorReport;
use std::path::PathBuf;

/// Arguments of `pillion doctor`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DoctorArgs {
    /// Folder to check
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Output format
    #[arg(short, long, value_enum, default_value = "text")]
    output: OutputFormat,
    /// Context of the kubeconfig to check besides those of pillion.yaml
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Do not contact the remote or a cluster
    #[arg(long, conflicts_with = "context")]
    offline: bool,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CheckState {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// May go wrong.
    Warning,
    /// Goes wrong.
    Error,
}

/// One check.
#[derive(Debug)]
struct DoctorCheck {
    state: CheckState,
    /// What was looked at.
    about: &'static str,
    message: String,
    help: Option<String>,
}

impl DoctorCheck {
    fn new(state: CheckState, about: &'static str, message: impl Into<String>) -> Self {
        Self { state, about, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Runs `pillion doctor`.
pub(in crate::cli) fn run(
    args: &DoctorArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let found = kustomizations::find_documents(&args.path);
    let configuration = find_config(&args.path).and_then(|file| Configuration::read(&Disk, &file).0);
    let mut report = DoctorReport::default();
    report.add("pillion", environment::check_program());
    report.add("repository", repository::check(&args.path));
    if !args.offline {
        report.add("remote", remote::check(&args.path, configuration.as_ref()));
    }
    if configuration.as_ref().is_some_and(|c| c.repository.ledgers.is_some()) {
        report.add("rollouts", rollouts::check(&RepositoryArgs::default(), common));
    }
    // Repositories without kustomizations need none of it.
    if found.iter().any(|document| is_kustomization(&document.file)) {
        let mut checks = environment::check_kustomize_tools();
        checks.extend(kustomizations::check(&found));
        report.add("kustomize", checks);
    }
    report.add("Argo CD", applications::check(&found, &args.path));
    report.add("CI", ci_versions::check(&args.path));
    #[cfg(feature = "watch")]
    if !args.offline {
        let named = args.context.as_deref();
        report.add("cluster", cluster::check(named, configuration.as_ref()));
        let kruise = configuration.iter().flat_map(|c| cluster::check_kruise(named, c));
        report.add("Kruise", kruise.collect());
    }
    let text = match args.output {
        OutputFormat::Text => report.to_text(),
        OutputFormat::Json | OutputFormat::Yaml => args.output.convert(report.to_json()),
    };
    match args.output {
        OutputFormat::Text => print_report(&text, ReportKind::Status, common)?,
        OutputFormat::Json | OutputFormat::Yaml => print_text(&text)?,
    }
    reporter.print_verbose(&report.verdict());
    Ok(if report.count(CheckState::Error) > 0 { EXIT_FINDINGS } else { EXIT_SUCCESS })
}
