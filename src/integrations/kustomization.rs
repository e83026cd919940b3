//! Finds kustomizations, and the name references that the one of the working folder configures, for a warning.

use crate::read::{KUSTOMIZATION_NAMES, MAX_FILE_BYTES, decode_text};
use crate::sandbox::SandboxPath;
use crate::yaml::Document;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Returns the kustomization of a folder.
pub(crate) fn find_in_folder(folder: &Path) -> Option<PathBuf> {
    KUSTOMIZATION_NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// Returns the pairs of kinds (ConfigMap, CloneSet) for which a file of `configurations:` changes names.
pub(super) fn name_reference_kinds() -> BTreeSet<(String, String)> {
    let mut followed = BTreeSet::new();
    let Some(kustomization) = find_in_folder(Path::new("")).and_then(|path| read_document(&path)) else {
        return followed;
    };
    let listed = kustomization.value()["configurations"].as_array().into_iter().flatten();
    for path in listed.filter_map(Value::as_str).map(Path::new).filter(|p| p.is_relative()) {
        let Some(configuration) = read_document(path) else { continue };
        for reference in configuration.value()["nameReference"].as_array().into_iter().flatten() {
            let Some(referred) = reference["kind"].as_str() else { continue };
            for field in reference["fieldSpecs"].as_array().into_iter().flatten() {
                followed.extend(field["kind"].as_str().map(|kind| (referred.to_owned(), kind.to_owned())));
            }
        }
    }
    followed
}

/// Reads a file, if that is possible.
fn read_document(path: &Path) -> Option<Document> {
    let name: Arc<str> = path.to_string_lossy().into();
    // Only below the working folder and without symbolic links: another person may have chosen the path.
    let bytes = SandboxPath::from_user_path(Path::new("")).join(path).read(MAX_FILE_BYTES).ok()?;
    let text = decode_text(bytes, &name).ok()?;
    Document::read(&name, 0, 1, &text).ok()
}
