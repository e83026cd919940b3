//! `pillion schema`, `completions` and `man`: generated from the types of the command line and the configuration.

use crate::cli::error::CommandError;
use crate::cli::{EXIT_SUCCESS, command, print_data};
use crate::model::{config, config::function_config, ledger};
use crate::write;

/// Files with a JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum SchemaKind {
    /// pillion.yaml
    Repository,
    /// Ledgers (SidecarRollout)
    Ledger,
    /// The configuration of a kustomize transformer or a KRM function (Sidecars)
    Sidecars,
}

/// Prints the JSON Schema of pillion's own files.
pub(in crate::cli) fn schema(of: SchemaKind) -> Result<u8, CommandError> {
    let schema = match of {
        SchemaKind::Repository => config::json_schema(),
        SchemaKind::Ledger => ledger::json_schema(),
        SchemaKind::Sidecars => function_config::json_schema(),
    };
    let mut text = serde_json::to_string_pretty(&schema).expect("a JSON value always serializes");
    text.push('\n');
    print_data(&text)?;
    Ok(EXIT_SUCCESS)
}

/// Prints a completion script.
pub(in crate::cli) fn completions(shell: clap_complete::Shell) -> Result<u8, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "pillion", &mut script);
    print_data(&String::from_utf8_lossy(&script))?;
    Ok(EXIT_SUCCESS)
}

/// Prints the manual page.
pub(in crate::cli) fn man() -> Result<u8, CommandError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command()).render(&mut page).map_err(write::Error::Spool)?;
    print_data(&String::from_utf8_lossy(&page))?;
    Ok(EXIT_SUCCESS)
}
