//! Which files of a tree hold the manifest of a workload, whether pillion reads them or not?

use super::site::choice;
use crate::model::workload::{key, type_of, type_of_item};
use crate::read::{Files, Kind, Layout, Source, choose, in_order, plain};
use crate::yaml::{Document, split};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files, all of them, and where they are in the tree of a commit.
pub struct Tree<'a> {
    files: &'a dyn Files,
    /// The folder that holds everything, as the files call it.
    top: PathBuf,
    /// What stands before the names of files in the tree.
    prefix: PathBuf,
}

impl<'a> Tree<'a> {
    /// Takes the tree of a commit.
    pub fn of_commit(files: &'a dyn Files) -> Self {
        Self { files, top: PathBuf::new(), prefix: PathBuf::new() }
    }

    /// Takes a disk; `within` is the place of the working folder in its repository.
    pub fn of_disk(files: &'a dyn Files, within: &Path) -> Self {
        let top = within.components().map(|_| "..").collect();
        Self { files, top, prefix: within.to_owned() }
    }

    /// Returns the place of a file in the tree.
    pub(super) fn in_tree(&self, file: &Path) -> PathBuf {
        plain(&self.prefix.join(file))
    }
}

/// A file that holds the manifest of a workload.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    /// The file.
    pub(super) file: PathBuf,
    /// Its place in the tree.
    pub(super) place: PathBuf,
    /// Some cluster reads it as a manifest.
    pub(super) is_read: bool,
}

/// The files that hold workloads.
#[derive(Debug, Default)]
pub(super) struct Presence(BTreeMap<Arc<str>, Vec<Holder>>);

impl Presence {
    /// Looks for workloads in every file but rendered ones and ledgers.
    pub(super) fn find(tree: &Tree<'_>, layout: &Layout, keys: &BTreeSet<Arc<str>>) -> Self {
        let read = read(tree, layout);
        let own = [&layout.rendered, &layout.ledgers].into_iter().flatten().filter(|folder| *folder != ".");
        let own: Vec<PathBuf> = own.map(|folder| plain(&layout.root.join(folder))).collect();
        let mut files = tree.files.everything(&tree.top);
        files.retain(|file| !own.iter().any(|folder| file.starts_with(folder)));
        let mut found = Self::default();
        let work = |file: &PathBuf| {
            let name: Arc<str> = file.to_string_lossy().into();
            let text = tree.files.text(file, &name).unwrap_or_default();
            keys.iter().filter(|key| holds(&text, &name, None, key)).map(Arc::clone).collect::<Vec<_>>()
        };
        let mut names = files.iter();
        in_order(&files, work, |keys: Vec<Arc<str>>| {
            let Some(file) = names.next() else { return };
            for key in keys {
                let (file, place) = (file.clone(), tree.in_tree(file));
                let is_read = read.contains(&file);
                found.0.entry(key).or_default().push(Holder { file, place, is_read });
            }
        });
        found
    }

    /// Returns the files that hold a workload.
    pub(super) fn of(&self, key: &str) -> &[Holder] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }
}

/// The files that some cluster without a build reads as manifests.
fn read(tree: &Tree<'_>, layout: &Layout) -> BTreeSet<PathBuf> {
    let sources =
        layout.sources().into_iter().filter(|path| tree.files.kind(path).is_some_and(|k| k != Kind::Other));
    let chosen = choose(tree.files, &sources.collect::<Vec<_>>(), &choice(layout).0);
    let is_in_one = |input: &_| {
        layout.clusters.is_empty() || layout.clusters.iter().any(|cluster| layout.is_in(cluster, input))
    };
    let inputs = chosen.inputs.into_iter().filter(is_in_one);
    inputs
        .filter_map(|input| match input.source {
            Source::File(path) => Some(plain(&path)),
            Source::Stdin | Source::Text(_) => None,
        })
        .collect()
}

/// Tells whether a text holds the manifest of a workload; one that names no namespace is of `otherwise`, or may be of
/// any.
pub(super) fn holds(text: &str, name: &Arc<str>, otherwise: Option<&str>, wanted: &str) -> bool {
    let mut parts = wanted.splitn(3, '/');
    let (kind, namespace) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let called = parts.next().unwrap_or_default();
    let kind = kind.split('.').next().unwrap_or_default();
    if !text.contains(called) || !text.contains(kind) {
        return false;
    }
    let pieces = split(name, text).0.into_iter().enumerate();
    let documents = pieces.filter_map(|(i, p)| Document::read(name, i, p.first_line, &text[p.span]).ok());
    documents.into_iter().any(|document| {
        is_or_holds(document.value(), type_of_value(document.value()), otherwise.unwrap_or(namespace), wanted)
    })
}

fn type_of_value(value: &Value) -> Option<(String, String)> {
    type_of(value).map(|(a, k)| (a.to_owned(), k.to_owned()))
}

fn is_or_holds(value: &Value, of: Option<(String, String)>, otherwise: &str, wanted: &str) -> bool {
    let Some((api_version, kind)) = of else { return false };
    let text = |name: &str| value["metadata"][name].as_str().filter(|text| !text.is_empty());
    let called = text("name").or(text("generateName")).unwrap_or_default();
    if key(&api_version, &kind, text("namespace").unwrap_or(otherwise), called) == wanted {
        return true;
    }
    let items = value.get("items").and_then(Value::as_array).filter(|_| kind.ends_with("List"));
    items.into_iter().flatten().any(|item| is_or_holds(item, type_of_item(value, item), otherwise, wanted))
}
