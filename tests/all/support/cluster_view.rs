//! In-memory repositories, for tests that need no git.

use pillion::diagnostics::Diagnostic;
use pillion::read::{CommitListing, ListingEntry};
use pillion::stage::ClusterView;
use pillion::workspace::{ClusterSources, Configuration};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Texts by path.
pub(crate) type Texts = BTreeMap<String, String>;

/// Reads the files of a folder below the project.
pub(crate) fn folder(name: &str) -> Texts {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let mut texts = Texts::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                texts.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    texts
}

/// Loads a cluster view; pillion.yaml must be among the texts.
pub(crate) fn load(texts: &Texts) -> (ClusterView, Vec<Diagnostic>) {
    let entries = texts.iter().map(|(path, text)| (PathBuf::from(path), ListingEntry::File(text.clone())));
    let files = CommitListing::new(entries, |text: &String| Ok(text.clone().into_bytes()));
    let (configuration, diagnostics) = Configuration::read(&files, Path::new("pillion.yaml"));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let from = ClusterSources { files: &files, ledgers: &files, built: None, cluster: None };
    ClusterView::load(&configuration.unwrap(), &from)
}
