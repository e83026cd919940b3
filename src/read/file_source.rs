//! Where files are looked for and read: a disk, or the tree of a commit. What is chosen is the same in both.

use super::walk::{IgnoreRules, WalkResult};
use crate::diagnostics::Diagnostic;
use crate::sandbox::{RepositoryRoot, SandboxPath};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place where files are.
pub trait FileSource: Sync {
    /// Returns what a path leads to when links are followed; None when it leads nowhere.
    fn kind(&self, path: &Path) -> Option<FileKind>;

    /// Returns the one name of what a path leads to when links are followed.
    ///
    /// # Errors
    /// Why it leads nowhere.
    fn resolve(&self, path: &Path) -> Result<PathBuf, ResolveError>;

    /// Returns what a link says, word for word: the same on every machine.
    fn link_target(&self, link: &Path) -> String;

    /// Finds the manifests below a folder, sorted by path, component by component.
    fn find_manifests(&self, folder: &Path, skips: &IgnoreRules) -> WalkResult;

    /// Returns every file below a folder, ignored ones too, in order; only `.git` is left out, and links are not
    /// followed.
    fn list_all_files(&self, folder: &Path) -> Vec<PathBuf>;

    /// Returns what is directly in a folder and is no folder, sorted; links are not followed. A folder that does not
    /// exist has no entries.
    ///
    /// # Errors
    /// A diagnostic when the folder cannot be read, or is none.
    fn list_folder(&self, folder: &Path) -> Result<Vec<(PathBuf, EntryKind)>, Diagnostic>;

    /// Reads a file as text; `name` is what users call it.
    ///
    /// # Errors
    /// A diagnostic when it is gone, unreadable, too large or not UTF-8.
    fn read_text(&self, path: &Path, name: &Arc<str>) -> Result<String, Diagnostic>;

    /// Reads a file of the repository as text: no link is followed below the top of its place.
    ///
    /// # Errors
    /// As [`FileSource::read_text`], and when a link is on the way or it is no regular file.
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

    /// Returns what is wrong with the ignore file of a folder that a walk is going to read, or where the walk begins
    /// there, with those above it in the repository.
    fn check_ignore_file(&self, _folder: &Path, _is_first: bool) -> Option<Diagnostic> {
        None
    }
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A pipe or a device.
    Other,
}

/// What stands in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// The commit of another repository.
    Submodule,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolveError {
    /// There is nothing.
    Missing,
    /// It leads out of the commit, to where nothing can be known.
    Outside,
    /// Anything else, in the words of the system.
    Other(String),
}

/// Takes `.` and, where names allow it, `..` out of a path.
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
