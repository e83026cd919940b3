//! `pillion doctor`: what pillion uses on this machine and in this repository, and what to fix.
//!
//! It reads and starts `kustomize version` and `git config`; it changes nothing.

mod applications;
mod environment;
mod kustomizations;
mod repository;
mod yaml_files;

use crate::cli::error::CommandError;
use crate::cli::paint::ReportKind;
use crate::cli::reporter::Reporter;
use crate::cli::terminal::print_report;
use crate::cli::{EXIT_FINDINGS, EXIT_SUCCESS, GlobalArgs, OutputFormat, print_text};
use crate::model::api::PILLION_API_VERSION;
use clap::Args;
use serde_json::json;
use std::fmt::Write as _;
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
    let mut checks = environment::check();
    checks.extend(repository::check(&args.path));
    let found = kustomizations::find_documents(&args.path, common);
    checks.extend(kustomizations::check(&found));
    checks.extend(applications::check(&found, &args.path));
    let text = match args.output {
        OutputFormat::Text => to_text(&checks),
        OutputFormat::Json | OutputFormat::Yaml => args.output.convert(to_json(&checks)),
    };
    match args.output {
        OutputFormat::Text => print_report(&text, ReportKind::Status, common)?,
        OutputFormat::Json | OutputFormat::Yaml => print_text(&text)?,
    }
    let count = |state| checks.iter().filter(|c| c.state == state).count();
    let (errors, warnings) = (count(CheckState::Error), count(CheckState::Warning));
    reporter.print_verbose(&format!("{} checks, {errors} errors, {warnings} warnings", checks.len()));
    Ok(if errors > 0 { EXIT_FINDINGS } else { EXIT_SUCCESS })
}

fn state_name(state: CheckState) -> &'static str {
    match state {
        CheckState::Ok => "ok",
        CheckState::Note => "note",
        CheckState::Warning => "warning",
        CheckState::Error => "error",
    }
}

fn to_text(checks: &[DoctorCheck]) -> String {
    let mut text = String::new();
    for check in checks {
        let _ = writeln!(text, "{:<8}{:<16}{}", state_name(check.state), check.about, check.message);
        if let Some(help) = &check.help {
            let _ = writeln!(text, "{:<8}{:<16}  {help}", "", "");
        }
    }
    text
}

fn to_json(checks: &[DoctorCheck]) -> String {
    let items: Vec<_> = checks
        .iter()
        .map(
            |c| json!({"state": state_name(c.state), "about": c.about, "message": c.message, "help": c.help}),
        )
        .collect();
    let document = json!({"apiVersion": PILLION_API_VERSION, "kind": "Doctor", "items": items});
    let mut text = serde_json::to_string_pretty(&document).expect("texts always serialize");
    text.push('\n');
    text
}
