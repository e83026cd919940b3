//! `pillion fix`: repairs SidecarSets of old articles that are not valid YAML, because keys are indented too far.

use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::cli::{EXIT_FINDINGS, EXIT_SUCCESS, GlobalArgs, print_text};
use crate::diagnostics::{Diagnostic, pluralize};
use crate::model::sidecar_set::repair;
use crate::read::read_file;
use crate::sandbox::SandboxPath;
use crate::write::{replace_files, unified_diff};
use crate::yaml::{Document, split_documents};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `pillion fix`.
#[derive(Debug, Args)]
pub(in crate::cli) struct FixArgs {
    /// Files with SidecarSets that `kubectl` and pillion cannot read
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Write nothing, print the difference, and exit 1 where there is one
    #[arg(long)]
    check: bool,
}

/// A file that can be read again.
struct FileFix<'a> {
    path: &'a Path,
    old: String,
    new: String,
    /// How many lines were moved.
    moved_lines: usize,
}

/// Runs `pillion fix`. With an error in any file nothing is written.
pub(in crate::cli) fn run(
    args: &FixArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let mut fixed = Vec::new();
    let mut report = String::new();
    for path in &args.files {
        match fix_file(path) {
            Ok(Some(file)) => fixed.push(file),
            Ok(None) => report.push_str(&format!("{} needs no fix\n", path.display())),
            Err(diagnostic) => reporter.add(diagnostic),
        }
    }
    reporter.fail_on_errors()?;
    if args.check {
        let diff: String =
            fixed.iter().map(|f| unified_diff(&f.path.to_string_lossy(), &f.old, &f.new)).collect();
        print_text(&diff)?;
        return Ok(if fixed.is_empty() { EXIT_SUCCESS } else { EXIT_FINDINGS });
    }
    let changed: Vec<(SandboxPath, String)> =
        fixed.iter().map(|f| (SandboxPath::from_user_path(f.path), f.new.clone())).collect();
    if let Err(diagnostic) = replace_files(&changed)? {
        reporter.add([*diagnostic]);
        return Ok(EXIT_FINDINGS);
    }
    for file in &fixed {
        let lines = pluralize(u64::try_from(file.moved_lines).unwrap_or(u64::MAX), "line");
        report.push_str(&format!("{} fixed: {lines} moved to the left\n", file.path.display()));
    }
    print_text(if common.quiet { "" } else { &report })?;
    Ok(EXIT_SUCCESS)
}

/// Reads a file and repairs what cannot be read of it; None where nothing is to be done.
fn fix_file(path: &Path) -> Result<Option<FileFix<'_>>, Vec<Diagnostic>> {
    let name: Arc<str> = path.to_string_lossy().into();
    let old = read_file(path, &name).map_err(|diagnostic| vec![diagnostic])?;
    let (pieces, mut diagnostics) = split_documents(&name, &old);
    let (mut new, mut moved) = (String::with_capacity(old.len()), 0);
    for (index, piece) in pieces.into_iter().enumerate() {
        let text = &old[piece.span];
        match (Document::read(&name, index, piece.first_line, text), repair(text)) {
            (Ok(document), _) => {
                diagnostics.extend(document.diagnostics().iter().cloned());
                new.push_str(text);
            }
            (Err(_), Some(repaired)) => {
                new.push_str(&repaired.text);
                moved += repaired.moved_lines.len();
            }
            (Err(error), None) => diagnostics.push(needs_manual_fix(error)),
        }
    }
    match diagnostics.is_empty() {
        true => Ok((moved > 0).then_some(FileFix { path, old, new, moved_lines: moved })),
        false => Err(diagnostics),
    }
}

/// Keys that stand too deep in a SidecarSet have one place to go to; anything else is not guessed at.
fn needs_manual_fix(error: Diagnostic) -> Diagnostic {
    error.because(
        "`pillion fix` moves keys of a SidecarSet that stand too deep, and cannot tell what is meant here",
    )
}
