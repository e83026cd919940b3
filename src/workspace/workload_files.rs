//! Finds the files of a tree that contain the manifest of a workload, whether pillion reads them or not.

use super::{InputSource, Layout, select_inputs};
use crate::model::workload::{item_type_meta, type_meta, workload_key};
use crate::read::{FileKind, FileSource, IgnoreRules, map_in_order, normalize_path};
use crate::yaml::{Document, split_documents};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All files, and their paths in the tree of a commit.
pub(crate) struct TreeFiles<'a> {
    files: &'a dyn FileSource,
    /// The top folder, as the file source names it.
    top: PathBuf,
    /// The prefix of file names in the tree.
    prefix: PathBuf,
}

impl<'a> TreeFiles<'a> {
    /// Returns the files of the tree of a commit.
    pub(crate) fn from_commit(files: &'a dyn FileSource) -> Self {
        Self { files, top: PathBuf::new(), prefix: PathBuf::new() }
    }

    /// Returns the files of a disk; `within` is the path of the working folder in its repository.
    pub(crate) fn from_disk(files: &'a dyn FileSource, within: &Path) -> Self {
        let top = within.components().map(|_| "..").collect();
        Self { files, top, prefix: within.to_owned() }
    }

    /// Returns the path of a file in the tree.
    pub(crate) fn path_in_tree(&self, file: &Path) -> PathBuf {
        normalize_path(&self.prefix.join(file))
    }
}

/// A file with the manifest of a workload.
#[derive(Debug, Clone)]
pub(crate) struct WorkloadFile {
    /// The file.
    pub(crate) file: PathBuf,
    /// Its path in the tree.
    pub(crate) tree_path: PathBuf,
    /// Some cluster reads it as a manifest.
    pub(crate) is_source: bool,
}

/// The files with workloads.
#[derive(Debug, Default)]
pub(crate) struct WorkloadFiles(BTreeMap<Arc<str>, Vec<WorkloadFile>>);

impl WorkloadFiles {
    /// Finds workloads in all files except rendered ones and ledgers.
    pub(crate) fn find(tree: &TreeFiles<'_>, layout: &Layout, keys: &BTreeSet<Arc<str>>) -> Self {
        let read = source_files(tree, layout);
        let own = [&layout.rendered, &layout.ledgers].into_iter().flatten().filter(|folder| *folder != ".");
        let own: Vec<PathBuf> = own.map(|folder| normalize_path(&layout.root.join(folder))).collect();
        let mut files = tree.files.list_all_files(&tree.top);
        files.retain(|file| !own.iter().any(|folder| file.starts_with(folder)));
        let mut found = Self::default();
        let work = |file: &PathBuf| {
            let name: Arc<str> = file.to_string_lossy().into();
            let text = tree.files.read_text(file, &name).unwrap_or_default();
            keys.iter()
                .filter(|key| {
                    contains_workload(&text, &name, None, key) || may_contain_workload(&text, &name, key)
                })
                .map(Arc::clone)
                .collect::<Vec<_>>()
        };
        let mut names = files.iter();
        map_in_order(&files, work, |keys: Vec<Arc<str>>| {
            let Some(file) = names.next() else { return };
            for key in keys {
                let (file, place) = (file.clone(), tree.path_in_tree(file));
                let is_read = read.contains(&file);
                found.0.entry(key).or_default().push(WorkloadFile {
                    file,
                    tree_path: place,
                    is_source: is_read,
                });
            }
        });
        found
    }

    /// Returns the files with a workload.
    pub(crate) fn files_of(&self, key: &str) -> &[WorkloadFile] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }
}

/// The files that some cluster without a build reads as manifests.
fn source_files(tree: &TreeFiles<'_>, layout: &Layout) -> BTreeSet<PathBuf> {
    let sources = layout
        .source_paths()
        .into_iter()
        .filter(|path| tree.files.kind(path).is_some_and(|k| k != FileKind::Other));
    let ignore_rules = layout.ignore_rules(None).unwrap_or_else(|_| IgnoreRules::empty());
    let options = layout.input_options(ignore_rules);
    let chosen = select_inputs(tree.files, &sources.collect::<Vec<_>>(), &options);
    let is_in_one = |input: &_| {
        layout.clusters.is_empty()
            || layout.clusters.iter().any(|cluster| layout.cluster_contains(cluster, input))
    };
    let inputs = chosen.inputs.into_iter().filter(is_in_one);
    inputs
        .filter_map(|input| match input.source {
            InputSource::File(path) => Some(normalize_path(&path)),
            InputSource::Stdin | InputSource::Text(_) => None,
        })
        .collect()
}

/// Returns whether a text contains the manifest of a workload; without a namespace it is in `otherwise`, or may be in
/// any.
pub(crate) fn contains_workload(text: &str, name: &Arc<str>, otherwise: Option<&str>, wanted: &str) -> bool {
    let mut parts = wanted.splitn(3, '/');
    let (kind, namespace) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let called = parts.next().unwrap_or_default();
    let kind = kind.split('.').next().unwrap_or_default();
    if !text.contains(called) || !text.contains(kind) {
        return false;
    }
    let pieces = split_documents(name, text).0.into_iter().enumerate();
    let documents = pieces.filter_map(|(i, p)| Document::read(name, i, p.first_line, &text[p.span]).ok());
    documents.into_iter().any(|document| {
        value_contains_workload(
            document.value(),
            owned_type_of(document.value()),
            otherwise.unwrap_or(namespace),
            wanted,
        )
    })
}

/// Returns whether a document that cannot be read has the kind and the name of a workload on lines of YAML: such a
/// document does not prove that a commit removed the workload.
fn may_contain_workload(text: &str, name: &Arc<str>, wanted: &str) -> bool {
    let (Some(kind), Some(called)) = (wanted.split(['.', '/']).next(), wanted.rsplit('/').next()) else {
        return false;
    };
    let has_entry = |slice: &str, key: &str, value: &str| {
        let mut entries = slice.lines().filter_map(|line| line.trim().split_once(':'));
        entries.any(|(k, v)| k == key && v.trim().trim_matches(['"', '\'']) == value)
    };
    let is_possible = |slice: &str| has_entry(slice, "kind", kind) && has_entry(slice, "name", called);
    if !is_possible(text) {
        return false;
    }
    let (slices, _) = split_documents(name, text);
    slices.into_iter().enumerate().any(|(index, slice)| {
        let content = &text[slice.span];
        is_possible(content) && Document::read(name, index, slice.first_line, content).is_err()
    })
}

fn owned_type_of(value: &Value) -> Option<(String, String)> {
    type_meta(value).map(|(a, k)| (a.to_owned(), k.to_owned()))
}

fn value_contains_workload(
    value: &Value,
    of: Option<(String, String)>,
    otherwise: &str,
    wanted: &str,
) -> bool {
    let Some((api_version, kind)) = of else { return false };
    let text = |name: &str| value["metadata"][name].as_str().filter(|text| !text.is_empty());
    let called = text("name").or(text("generateName")).unwrap_or_default();
    if workload_key(&api_version, &kind, text("namespace").unwrap_or(otherwise), called) == wanted {
        return true;
    }
    let items = value.get("items").and_then(Value::as_array).filter(|_| kind.ends_with("List"));
    items
        .into_iter()
        .flatten()
        .any(|item| value_contains_workload(item, item_type_meta(value, item), otherwise, wanted))
}
