//! Reads the files of a folder for a survey.

use super::RepositorySurvey;
use crate::read::{MAX_FILE_BYTES, decode_text, list_visible_files, map_in_order};
use crate::sandbox::SandboxPath;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most files that are surveyed: the biggest repositories have some ten thousand manifests.
pub(crate) const MAX_SURVEYED_FILES: usize = 50_000;

/// Surveys the files of a folder that git does not ignore, up to [`MAX_SURVEYED_FILES`]. Files that cannot be opened are left
/// out: `render` reports those of the chosen folders.
pub(crate) fn survey_folder(folder: &Path) -> RepositorySurvey {
    let top = SandboxPath::from_user_path(folder);
    let mut files = list_visible_files(folder, MAX_SURVEYED_FILES + 1, is_of_interest);
    let is_cut = files.len() > MAX_SURVEYED_FILES;
    files.truncate(MAX_SURVEYED_FILES);
    let read = |path: &PathBuf| {
        let name: Arc<str> = path.to_string_lossy().into();
        let bytes = top.join(path).read(MAX_FILE_BYTES).ok()?;
        Some((path.clone(), decode_text(bytes, &name)))
    };
    let (mut texts, mut unreadable) = (Vec::new(), BTreeMap::new());
    map_in_order(&files, read, |text| match text {
        Some((path, Ok(text))) => texts.push((path, text)),
        Some((path, Err(error))) => drop(unreadable.insert(path, error)),
        None => {}
    });
    let mut survey = RepositorySurvey::from_files(texts);
    survey.unreadable.append(&mut unreadable);
    survey.is_cut = is_cut;
    survey
}

/// Returns whether a file may be a manifest or belong to a chart.
fn is_of_interest(path: &Path) -> bool {
    let is_manifest = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
    is_manifest || super::is_kustomization(path) || path.extension().is_some_and(|e| e == "tgz" || e == "tpl")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_is_not_text_is_unreadable() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")
            .unwrap();
        fs::write(folder.path().join("b.yaml"), b"\xff\xfekind").unwrap();
        let survey = survey_folder(folder.path());
        assert_eq!(survey.unreadable.keys().collect::<Vec<_>>(), [Path::new("b.yaml")]);
        assert!(!survey.is_cut);
    }
}
