//! Reports ledgers that no key of pillion.yaml reads: without them every workload would get the content of the SidecarSet
//! files.

use super::layout::Layout;
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::read::{FileKind, FileSource, is_manifest_name, normalize_path};
use crate::sandbox::display_path;
use crate::yaml::{Document, split_documents};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of ledgers where pillion.yaml names none.
const DEFAULT_FOLDER: &str = "ledgers";

/// Finds ledgers in their folder that are not among the `known` ones.
pub(super) fn find_unread_ledgers(
    layout: &Layout,
    files: &dyn FileSource,
    known: &BTreeSet<PathBuf>,
) -> Vec<Diagnostic> {
    let folders: BTreeSet<PathBuf> = layout
        .ledgers
        .iter()
        .map(String::as_str)
        .chain([DEFAULT_FOLDER])
        .map(|f| normalize_path(&layout.root.join(f)))
        .collect();
    // The working folder itself has other files too.
    let folders =
        folders.iter().filter(|f| !f.as_os_str().is_empty() && files.kind(f) == Some(FileKind::Folder));
    let mut all: BTreeSet<PathBuf> = folders.flat_map(|folder| files.list_all_files(folder)).collect();
    all.retain(|file| is_manifest_name(file) && !known.contains(file) && may_be_ledger(files, file));
    all.iter().map(|file| unread_ledger(layout, file)).collect()
}

/// Returns whether a file has a document of the kind of ledgers, or one with its name that cannot be read.
fn may_be_ledger(files: &dyn FileSource, file: &Path) -> bool {
    let name: Arc<str> = file.to_string_lossy().into();
    let Ok(text) = files.read_text(file, &name) else { return true };
    if !text.contains("SidecarRollout") {
        return false;
    }
    let (slices, _) = split_documents(&name, &text);
    slices.into_iter().enumerate().any(|(index, slice)| {
        match Document::read(&name, index, slice.first_line, &text[slice.span]) {
            Ok(document) => document.value()["kind"] == "SidecarRollout",
            Err(_) => true,
        }
    })
}

fn unread_ledger(layout: &Layout, file: &Path) -> Diagnostic {
    let name = display_path(file);
    let (why, help) = match (&layout.ledgers, layout.clusters.is_empty()) {
        (None, _) => (
            "pillion.yaml has no `ledgers`, so every workload would get the content of the SidecarSet files at once",
            format!("write `ledgers: {DEFAULT_FOLDER}` into pillion.yaml"),
        ),
        (Some(named), _) if !file.starts_with(normalize_path(&layout.root.join(named))) => (
            "it is outside of the folder that `ledgers` of pillion.yaml names",
            format!("write `ledgers: {DEFAULT_FOLDER}` into pillion.yaml, or move it"),
        ),
        (Some(_), _) if file.extension().is_none_or(|e| e != "yaml") => (
            "the file of a ledger ends in `.yaml`",
            format!("rename it to `{}.yaml`", file.file_stem().unwrap_or_default().to_string_lossy()),
        ),
        (Some(_), true) => (
            "pillion.yaml has no `clusters`, so ledgers are directly in their folder",
            "move it there, or write `clusters` into pillion.yaml".to_owned(),
        ),
        (Some(_), false) => (
            "it is in the folder of no cluster that pillion.yaml names",
            "write its cluster into `clusters` of pillion.yaml, or move it".to_owned(),
        ),
    };
    Diagnostic::error(
        Code::LedgerNotConfigured,
        format!("`{name}` is a ledger that no key of pillion.yaml reads"),
    )
    .at(Span::whole_file(name))
    .because(why)
    .help(format!("{help}; remove the file if its rollouts are complete"))
}
