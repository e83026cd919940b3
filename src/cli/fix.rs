//! `pillion fix`: SidecarSets of older articles that are no YAML, because keys stand too deep, as they were meant.

use super::report::Reporter;
use super::{Common, DONE, FINDINGS, to_stdout};
use crate::confine::Place;
use crate::diag::{Diagnostic, counted};
use crate::model::sidecar_set::repair;
use crate::read::read_file;
use crate::write::{Failure, replace_files, unified};
use crate::yaml::{Document, split};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `pillion fix`.
#[derive(Debug, Args)]
pub(super) struct FixArgs {
    /// Files with SidecarSets that `kubectl` and pillion cannot read
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Write nothing and show what would change; exit with 1 where something would
    #[arg(long)]
    check: bool,
}

/// A file that can be read again.
struct Fixed<'a> {
    path: &'a Path,
    old: String,
    new: String,
    /// How many lines were moved.
    moved: usize,
}

/// Runs `pillion fix`. With an error in any file nothing is written.
pub(super) fn run(args: &FixArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, Failure> {
    let mut fixed = Vec::new();
    let mut said = String::new();
    for path in &args.files {
        match fix(path) {
            Ok(Some(file)) => fixed.push(file),
            Ok(None) => said.push_str(&format!("{} needs no fix\n", path.display())),
            Err(wrong) => reporter.add(wrong),
        }
    }
    if reporter.has_errors() {
        return Ok(FINDINGS);
    }
    if args.check {
        let diff: String = fixed.iter().map(|f| unified(&f.path.to_string_lossy(), &f.old, &f.new)).collect();
        to_stdout(&diff)?;
        return Ok(if fixed.is_empty() { DONE } else { FINDINGS });
    }
    let changed: Vec<(Place, String)> = fixed.iter().map(|f| (Place::typed(f.path), f.new.clone())).collect();
    if let Err(wrong) = replace_files(&changed)? {
        reporter.add([*wrong]);
        return Ok(FINDINGS);
    }
    for file in &fixed {
        let lines = counted(u64::try_from(file.moved).unwrap_or(u64::MAX), "line");
        said.push_str(&format!("{} fixed: {lines} moved to the left\n", file.path.display()));
    }
    to_stdout(if common.quiet { "" } else { &said })?;
    Ok(DONE)
}

/// Reads a file and repairs what cannot be read of it; None where nothing is to be done.
fn fix(path: &Path) -> Result<Option<Fixed<'_>>, Vec<Diagnostic>> {
    let name: Arc<str> = path.to_string_lossy().into();
    let old = read_file(path, &name).map_err(|wrong| vec![wrong])?;
    let (pieces, mut wrong) = split(&name, &old);
    let (mut new, mut moved) = (String::with_capacity(old.len()), 0);
    for (index, piece) in pieces.into_iter().enumerate() {
        let text = &old[piece.span];
        match (Document::read(&name, index, piece.first_line, text), repair(text)) {
            (Ok(document), _) => {
                wrong.extend(document.diagnostics().iter().cloned());
                new.push_str(text);
            }
            (Err(_), Some(repaired)) => {
                new.push_str(&repaired.text);
                moved += repaired.moved.len();
            }
            (Err(error), None) => wrong.push(by_hand(error)),
        }
    }
    match wrong.is_empty() {
        true => Ok((moved > 0).then_some(Fixed { path, old, new, moved })),
        false => Err(wrong),
    }
}

/// Keys that stand too deep in a SidecarSet have one place to go to; anything else is not guessed at.
fn by_hand(error: Diagnostic) -> Diagnostic {
    error.because(
        "`pillion fix` moves keys of a SidecarSet that stand too deep, and cannot tell what is meant here",
    )
}
