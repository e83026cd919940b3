//! `pillion cmp`: runs pillion as a config management plugin of Argo CD.

use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::cli::{EXIT_SUCCESS, print_data, print_text};
use crate::diagnostics::line;
use crate::integrations::cmp::{generate_manifests, parameters_json};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Arguments of `pillion cmp`.
#[derive(Debug, Args)]
pub(in crate::cli) struct CmpArgs {
    #[command(subcommand)]
    command: CmpCommand,
}

#[derive(Debug, Subcommand)]
enum CmpCommand {
    /// Print the manifests of the Application in the working folder, with their sidecars
    Generate {
        /// Folder of the Application; `-` reads manifests from standard input (`helm template . | pillion cmp generate
        /// -`)
        #[arg(default_value = ".")]
        path: PathBuf,
        /// Let kustomize fetch remote bases, as PILLION_ALLOW_REMOTE_BASES=true does
        #[arg(long)]
        allow_remote_bases: bool,
    },
    /// Print the parameters that an Application may set, as Argo CD's user interface shows them
    Parameters,
}

/// Runs `pillion cmp`.
pub(in crate::cli) fn run(args: &CmpArgs, reporter: &Reporter) -> Result<u8, CommandError> {
    let CmpCommand::Generate { path, allow_remote_bases } = &args.command else {
        print_text(&parameters_json())?;
        return Ok(EXIT_SUCCESS);
    };
    let report_slow = |message: &str| reporter.print_note(message);
    let (result, diagnostics) = generate_manifests(path, *allow_remote_bases, report_slow);
    // Argo CD shows all of standard error: one line for each diagnostic, without lines of the files.
    let text: String = diagnostics.iter().map(line::render).collect();
    if !text.is_empty() {
        reporter.print_note(text.trim_end());
    }
    print_data(&result?)?;
    Ok(EXIT_SUCCESS)
}
