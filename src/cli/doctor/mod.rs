//! `pillion doctor`: what pillion works with on this machine and in this repository, and what to mend.
//!
//! It reads and starts `kustomize version` and `git config`; it changes nothing.

mod applications;
mod files;
mod kustomizations;
mod machine;
mod repository;

use super::report::Reporter;
use super::{Common, DONE, FINDINGS, Output, to_stdout};
use crate::write::Failure;
use clap::Args;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Arguments of `pillion doctor`.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// The folder to look at
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The form of the answer
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// As it should be.
    Well,
    /// Worth knowing.
    Note,
    /// May go wrong.
    Warning,
    /// Goes wrong.
    Error,
}

/// One check.
#[derive(Debug)]
struct Check {
    state: State,
    /// What was looked at.
    about: &'static str,
    message: String,
    help: Option<String>,
}

impl Check {
    fn new(state: State, about: &'static str, message: impl Into<String>) -> Self {
        Self { state, about, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Runs `pillion doctor`.
pub(super) fn run(args: &DoctorArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, Failure> {
    let mut checks = machine::check();
    checks.extend(repository::check(&args.path));
    let found = kustomizations::documents(&args.path, common);
    checks.extend(kustomizations::check(&found));
    checks.extend(applications::check(&found, &args.path));
    let text = match args.output {
        Output::Text => text(&checks),
        Output::Json => json(&checks),
    };
    to_stdout(&text)?;
    let count = |state| checks.iter().filter(|c| c.state == state).count();
    let (errors, warnings) = (count(State::Error), count(State::Warning));
    reporter.done(&format!("{} checks, {errors} errors, {warnings} warnings", checks.len()));
    Ok(if errors > 0 { FINDINGS } else { DONE })
}

fn word(state: State) -> &'static str {
    match state {
        State::Well => "ok",
        State::Note => "note",
        State::Warning => "warning",
        State::Error => "error",
    }
}

fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let _ = writeln!(text, "{:<8}{:<16}{}", word(check.state), check.about, check.message);
        if let Some(help) = &check.help {
            let _ = writeln!(text, "{:<8}{:<16}  {help}", "", "");
        }
    }
    text
}

fn json(checks: &[Check]) -> String {
    let items: Vec<_> = checks
        .iter()
        .map(|c| json!({"state": word(c.state), "about": c.about, "message": c.message, "help": c.help}))
        .collect();
    let document = json!({"apiVersion": "pillion.dev/v1alpha1", "kind": "Doctor", "items": items});
    let mut text = serde_json::to_string_pretty(&document).expect("texts always serialize");
    text.push('\n');
    text
}
