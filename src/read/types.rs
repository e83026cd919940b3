//! The types of a walk: its rules, its result, and the kinds of files.

use crate::diagnostics::Diagnostic;
use crate::sandbox::SandboxPath;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A file to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// Its path, as the user would name it.
    pub(crate) path: PathBuf,
    /// The path as text, for messages.
    pub(crate) name: Arc<str>,
    /// Its path below the walked folder; the file name where a file was named.
    pub(crate) relative_path: PathBuf,
    /// The path to it, on which no link is followed.
    pub(crate) sandbox_path: SandboxPath,
}

/// The files and folders that a walk skips, besides `.git`.
#[derive(Debug, Clone)]
pub struct IgnoreRules {
    pub(super) patterns: Gitignore,
    /// Folders, without `.` components.
    pub(super) folders: Vec<PathBuf>,
}

impl IgnoreRules {
    /// Skips files that match `patterns` (gitignore syntax, relative to `root`), and some folders.
    ///
    /// # Errors
    /// The first invalid pattern.
    pub(crate) fn new(root: &Path, patterns: &[String], folders: Vec<PathBuf>) -> Result<Self, String> {
        let mut builder = GitignoreBuilder::new(root);
        for pattern in patterns {
            builder.add_line(None, pattern).map_err(|e| e.to_string())?;
        }
        let patterns = builder.build().map_err(|e| e.to_string())?;
        Ok(Self { patterns, folders: folders.iter().map(|f| strip_dot_components(f)).collect() })
    }

    /// Skips nothing.
    pub fn empty() -> Self {
        Self { patterns: Gitignore::empty(), folders: Vec::new() }
    }
}

/// The result of a walk.
#[derive(Debug, Default)]
pub struct WalkResult {
    /// The files, in the order they are rendered.
    pub(crate) files: Vec<ManifestFile>,
    /// Kustomization files; the patches that they list are not manifests.
    pub(crate) kustomizations: Vec<PathBuf>,
    /// Notes on skipped files, and errors.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A pipe or a device.
    Other,
}

/// The kind of an entry of a folder.
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

/// The reason why a path does not resolve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolveError {
    /// It does not exist.
    Missing,
    /// It leads out of the commit.
    Outside,
    /// Another error, as the system reports it.
    Other(String),
}

/// Removes `.` components, so that `./a` and `a` are one name.
pub(super) fn strip_dot_components(path: &Path) -> PathBuf {
    path.components().filter(|c| *c != Component::CurDir).collect()
}
