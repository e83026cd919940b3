//! Finds and reads files alike on a disk and in the tree of a commit.

use super::types::{EntryKind, FileKind, IgnoreRules, ResolveError, WalkResult};
use crate::diagnostics::Diagnostic;
use crate::sandbox::{RepositoryRoot, SandboxPath};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A source of files.
pub trait FileSource: Sync {
    /// Returns the kind of file at a path, links followed; None when it does not exist.
    fn kind(&self, path: &Path) -> Option<FileKind>;

    /// Returns the canonical path, links followed.
    ///
    /// # Errors
    /// When it does not resolve.
    fn resolve(&self, path: &Path) -> Result<PathBuf, ResolveError>;

    /// Returns the target of a link as written: the same on every machine.
    fn link_target(&self, link: &Path) -> String;

    /// Finds the manifests below a folder, which is at a place, sorted by path, component by component.
    fn find_manifests(&self, folder: &Path, place: &SandboxPath, ignore_rules: &IgnoreRules) -> WalkResult;

    /// Returns every file below a folder, ignored ones too, in order; only `.git` is left out, and links are not
    /// followed.
    fn list_all_files(&self, folder: &Path) -> Vec<PathBuf>;

    /// Returns the entries of a folder other than folders, sorted; links are not followed. A folder that does not
    /// exist has no entries.
    ///
    /// # Errors
    /// A diagnostic when it cannot be read, or is not a folder.
    fn list_folder(&self, folder: &Path) -> Result<Vec<(PathBuf, EntryKind)>, Diagnostic>;

    /// Reads a file as text; `name` is its name in messages.
    ///
    /// # Errors
    /// A diagnostic when it is missing, unreadable, too large or not UTF-8.
    fn read_text(&self, path: &Path, name: &Arc<str>) -> Result<String, Diagnostic>;

    /// Reads a file of the repository as text: no link is followed below the top of its place.
    ///
    /// # Errors
    /// As [`FileSource::read_text`], and when a link is on the way or it is not a regular file.
    fn read_confined_text(
        &self,
        place: &SandboxPath,
        path: &Path,
        name: &Arc<str>,
    ) -> Result<String, Diagnostic>;

    /// Returns the repository that a folder is in, where files may lead out of it; `known` is its root, where a
    /// caller knows it.
    fn repository_root(&self, _folder: &Path, _known: Option<&Path>) -> Option<RepositoryRoot> {
        None
    }

    /// Returns the first symbolic link of the repository on the way to a path.
    fn find_symlink(&self, top: Option<&RepositoryRoot>, path: &Path) -> Option<PathBuf>;

    /// Returns an error in the ignore file of a folder that a walk reads, or where the walk begins there, in those above it
    /// in the repository.
    fn check_ignore_file(&self, _folder: &Path, _is_first: bool) -> Option<Diagnostic> {
        None
    }
}

/// Removes `.` and, where names allow it, `..` from a path.
pub fn normalize_path(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}
