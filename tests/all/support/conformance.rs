//! Finds the recorded cases and reads their files.

use pillion::yaml::Document;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Returns the folders of the cases of a kind, sorted; see [`entries`].
pub(crate) fn cases(kind: &str) -> Vec<PathBuf> {
    entries(kind, |path| path.join("case.json").exists())
}

/// Returns the files or folders of a kind that are wanted, sorted: those of the repository, and those in the folders
/// that the environment variable `PILLION_CONFORMANCE` names, separated by colons.
pub(crate) fn entries(kind: &str, is_wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let further = std::env::var("PILLION_CONFORMANCE").unwrap_or_default();
    let folders = further.split(':').filter(|f| !f.is_empty()).map(PathBuf::from);
    let mut cases: Vec<PathBuf> = std::iter::once(own)
        .chain(folders)
        .filter_map(|f| std::fs::read_dir(f.join(kind)).ok())
        .flatten()
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|p| is_wanted(p))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "there are cases of {kind}");
    cases
}

/// Returns the documents of a file of a case; none where there is no such file.
pub(crate) fn documents(case: &Path, file: &str) -> Vec<Arc<Document>> {
    let Ok(text) = std::fs::read_to_string(case.join(file)) else { return Vec::new() };
    let name: Arc<str> = file.into();
    let mut documents = Vec::new();
    let mut first_line = 1;
    for part in text.split("\n---\n") {
        let document = Document::read(&name, documents.len(), first_line, part).expect("the file is YAML");
        first_line += part.lines().count() + 1;
        documents.push(Arc::new(document));
    }
    documents.retain(|d| !d.value().is_null());
    documents
}
