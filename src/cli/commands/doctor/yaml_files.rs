//! Which files of a folder does the doctor look at? YAML, not hidden, at most some thousands.

use std::path::{Path, PathBuf};

/// Files that are looked at: doctor answers soon in any repository.
const MAX_FILES: usize = 20_000;

/// Returns the YAML files of a folder, sorted by path.
pub(super) fn find_yaml_files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let Ok(kind) = entry.file_type() else { continue };
            if name.to_string_lossy().starts_with('.') || found.len() >= MAX_FILES {
                continue;
            }
            let path = crate::read::normalize_path(&entry.path());
            let is_yaml =
                path.extension().is_some_and(|e| e == "yaml" || e == "yml") || name == "Kustomization";
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && is_yaml {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
