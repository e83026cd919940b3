//! `schema`, `completions`, `man`: what is made from the types of the command line and the configuration.

use super::{Cli, DONE, data_to_stdout};
use crate::model::{ledger, repository, sidecars};
use crate::write::Failure;
use clap::CommandFactory as _;

/// Which files have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Of {
    /// pillion.yaml
    Repository,
    /// Ledgers (SidecarRollout)
    Ledger,
    /// The configuration of a kustomize transformer or a KRM function (Sidecars)
    Sidecars,
}

/// Prints the JSON Schema of pillion's own files.
pub(super) fn schema(of: Of) -> Result<u8, Failure> {
    let schema = match of {
        Of::Repository => repository::json_schema(),
        Of::Ledger => ledger::json_schema(),
        Of::Sidecars => sidecars::json_schema(),
    };
    let mut text = serde_json::to_string_pretty(&schema).expect("a JSON value always serializes");
    text.push('\n');
    data_to_stdout(&text)?;
    Ok(DONE)
}

/// Prints a completion script.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pillion", &mut script);
    data_to_stdout(&String::from_utf8_lossy(&script))?;
    Ok(DONE)
}

/// Prints the manual page.
pub(super) fn man() -> Result<u8, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(Failure::Spool)?;
    data_to_stdout(&String::from_utf8_lossy(&page))?;
    Ok(DONE)
}
