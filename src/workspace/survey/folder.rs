//! Reads the files of a folder for a survey.

use super::RepositorySurvey;
use crate::read::{MAX_FILE_BYTES, decode_text, list_visible_files, map_in_order};
use crate::sandbox::SandboxPath;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most files that are surveyed: the biggest repositories have some ten thousand manifests.
const MAX_FILES: usize = 50_000;

/// Surveys the files of a folder that git does not ignore. Files that cannot be read are left out.
pub(crate) fn survey_folder(folder: &Path) -> RepositorySurvey {
    let top = SandboxPath::from_user_path(folder);
    let files = list_visible_files(folder, MAX_FILES, is_of_interest);
    let read = |path: &PathBuf| -> Option<(PathBuf, String)> {
        let name: Arc<str> = path.to_string_lossy().into();
        let bytes = top.join(path).read(MAX_FILE_BYTES).ok()?;
        Some((path.clone(), decode_text(bytes, &name).ok()?))
    };
    let mut texts = Vec::new();
    map_in_order(&files, read, |text| texts.extend(text));
    RepositorySurvey::from_files(texts)
}

/// Returns whether a file may be a manifest or belong to a chart.
fn is_of_interest(path: &Path) -> bool {
    let is_manifest = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
    is_manifest || super::is_kustomization(path) || path.extension().is_some_and(|e| e == "tgz" || e == "tpl")
}
