//! Finds and reads the files of ledgers.

use super::inputs::input_from_file;
use super::unread_ledgers::find_unread_ledgers;
use super::{Input, Layout, read_input};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::read::{EntryKind, FileSource, IgnoreRules, WalkFilter, WalkResult, normalize_path};
use crate::render::{CollectedObjects, collect_objects};
use crate::sandbox::{SandboxPath, or_current_dir};
use crate::yaml::{Document, EntryPart, FieldPath};
use std::path::Path;
use std::sync::Arc;

/// A file with a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerFile {
    /// Its cluster, where pillion.yaml names clusters.
    pub cluster: Option<Arc<str>>,
    /// The file; its output path is relative to the folder of ledgers.
    pub input: Input,
}

impl Layout {
    /// Finds the ledgers: every `*.yaml` directly in the folder of a cluster, or without clusters in that of the
    /// ledgers. Clusters are in the order of pillion.yaml, files by name. A link is reported and not followed.
    pub fn find_ledgers(&self, files: &dyn FileSource) -> (Vec<LedgerFile>, Vec<Diagnostic>) {
        let (found, mut diagnostics) = self.find_configured_ledgers(files);
        let known = found.iter().filter_map(|ledger| ledger.input.file()).map(normalize_path).collect();
        diagnostics.extend(find_unread_ledgers(self, files, &known));
        (found, diagnostics)
    }

    fn find_configured_ledgers(&self, files: &dyn FileSource) -> (Vec<LedgerFile>, Vec<Diagnostic>) {
        let Some(folder) = &self.ledgers else { return (Vec::new(), Vec::new()) };
        let root = normalize_path(&self.root.join(folder));
        let clusters = match self.clusters.is_empty() {
            true => vec![None],
            false => self.clusters.iter().map(|c| Some(c.name.clone())).collect(),
        };
        let namespaces = self.namespace_rules();
        let (mut found, mut diagnostics) = (Vec::new(), Vec::new());
        for cluster in clusters {
            let folder = cluster.as_ref().map_or_else(|| root.clone(), |c| normalize_path(&root.join(&**c)));
            let place = self.repository_root.as_ref().and_then(|top| top.resolve(&root));
            let walk = find_ledgers_in(&folder, &root, place.as_ref(), files);
            diagnostics.extend(walk.diagnostics);
            found.extend(walk.files.into_iter().map(|file| LedgerFile {
                cluster: cluster.clone(),
                input: input_from_file(file, true, &namespaces),
            }));
        }
        (found, diagnostics)
    }
}

fn find_ledgers_in(
    folder: &Path,
    root: &Path,
    place: Option<&SandboxPath>,
    files: &dyn FileSource,
) -> WalkResult {
    // The folder of pillion.yaml itself has no name.
    let root = or_current_dir(root);
    let place = place.cloned().unwrap_or_else(|| SandboxPath::from_user_path(root));
    let filter = WalkFilter::new(files, root, &place, &IgnoreRules::empty());
    let mut walk = WalkResult::default();
    let entries = files.list_folder(or_current_dir(folder)).unwrap_or_else(|diagnostic| {
        walk.diagnostics.push(diagnostic);
        Vec::new()
    });
    for (path, entry) in entries {
        let is_ledger = path.extension().is_some_and(|e| e == "yaml");
        match entry {
            EntryKind::File if is_ledger && filter.has_usable_name(&path) => {
                walk.files.push(filter.manifest_file(&path))
            }
            EntryKind::Symlink if is_ledger => filter.check_symlink(&path),
            _ => {}
        }
    }
    filter.finish(walk)
}

/// Reads the ledgers of a cluster.
pub(crate) fn read_ledgers(
    layout: &Layout,
    files: &dyn FileSource,
    cluster: Option<&str>,
) -> (CollectedObjects, Vec<Diagnostic>) {
    let (found, mut diagnostics) = layout.find_ledgers(files);
    let own = found.iter().filter(|ledger| ledger.cluster.as_deref() == cluster);
    let (collected, problems) = read_ledger_files(own.map(|ledger| &ledger.input), files);
    diagnostics.extend(problems);
    (collected, diagnostics)
}

/// Reads the files of ledgers; each must be named for its SidecarSet.
pub(crate) fn read_ledger_files<'i>(
    inputs: impl IntoIterator<Item = &'i Input>,
    files: &dyn FileSource,
) -> (CollectedObjects, Vec<Diagnostic>) {
    let (mut collected, mut diagnostics) = (CollectedObjects::default(), Vec::new());
    for input in inputs {
        match read_input(input, files) {
            Ok(text) => {
                let found = collect_objects(&input.name, &text, true);
                diagnostics.extend(
                    found
                        .ledgers
                        .iter()
                        .filter_map(|(document, path)| misplaced_ledger(document, path, input)),
                );
                if found.ledgers.is_empty() && found.unreadable.is_empty() {
                    diagnostics.push(not_a_ledger(input));
                }
                collected.merge(found);
            }
            Err(error) => diagnostics.push(error),
        }
    }
    (collected, diagnostics)
}

/// Reports a file without a ledger in their folder: a reader may take it for one.
fn not_a_ledger(input: &Input) -> Diagnostic {
    Diagnostic::error(Code::LedgerBroken, format!("`{}` contains no ledger", input.name))
        .at(Span::whole_file(Arc::clone(&input.name)))
        .because("a ledger says `apiVersion: pillion.dev/v1alpha1` and `kind: SidecarRollout`")
        .help(format!("restore the last valid version: `git log -p -- {}` lists the versions", input.name))
}

/// Reports a ledger of another SidecarSet than its file is named for.
fn misplaced_ledger(document: &Document, path: &FieldPath, input: &Input) -> Option<Diagnostic> {
    let name = path.find(document.value())?["metadata"]["name"].as_str()?;
    let stem = Path::new(&*input.name).file_stem()?.to_string_lossy().into_owned();
    let at = path.join(&FieldPath::dotted("metadata.name"));
    (stem != name).then(|| {
        Diagnostic::error(
            Code::LedgerMisplaced,
            format!("this is the ledger of SidecarSet `{name}`, not of `{stem}`"),
        )
        .at(document.label(&at, EntryPart::Value, ""))
        .help(format!("name the file `{name}.yaml`, or restore the last good state of this one from git"))
    })
}
