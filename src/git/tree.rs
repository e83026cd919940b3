//! Lists trees and reads blobs.

use super::{Error, ObjectId, Repository};
use git2::{ErrorCode, ObjectType};
use std::path::Path;

/// Files and folders of one listing; the biggest repositories have some hundred thousand.
const MAX_ENTRIES: usize = 1_000_000;

/// Bytes of all paths of one listing.
const MAX_PATH_BYTES_TOTAL: usize = 256 << 20;

/// Nesting of folders.
const MAX_DEPTH: usize = 1_000;

/// Bytes of a file that is read.
const MAX_FILE_BYTES: usize = 512 << 20;

/// Bytes of a path: Linux' limit.
const MAX_PATH_BYTES: usize = 4_096;

/// The kind of an entry of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TreeEntryKind {
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A symbolic link: its blob is the target.
    Symlink,
    /// A submodule: its id is a commit of another repository.
    Gitlink,
    /// A folder: its id is a tree.
    Folder,
}

impl TreeEntryKind {
    /// Returns the kind of a mode, with the fallbacks of git for modes of old tools.
    pub(super) fn from_mode(mode: i32) -> Self {
        match mode & 0o170_000 {
            0o040_000 => Self::Folder,
            0o120_000 => Self::Symlink,
            0o160_000 => Self::Gitlink,
            _ if mode & 0o100 != 0 => Self::Executable,
            _ => Self::File,
        }
    }
}

/// An entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its path from the root of the tree, with `/`.
    pub path: String,
    /// Whether `path` is exact: false for a path that is not UTF-8, which is then only for display.
    pub is_utf8: bool,
    /// Its object.
    pub id: ObjectId,
    /// Its kind.
    pub kind: TreeEntryKind,
}

/// One change of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileEdit {
    /// The file gets these bytes. An existing file keeps its mode, a new one is not executable.
    Put(Vec<u8>),
    /// The file is removed.
    Remove,
}

/// Reads blobs, on any number of threads at once.
pub struct BlobReader<'r> {
    odb: git2::Odb<'r>,
    missing_hint: &'static str,
}

impl BlobReader<'_> {
    /// Returns the bytes of a file, as git stores them: line ends are those of the object database.
    ///
    /// # Errors
    /// When the blob is missing.
    pub fn read(&self, blob: ObjectId) -> Result<Vec<u8>, Error> {
        self.read_within(blob, MAX_FILE_BYTES)?.ok_or(Error::FileTooLarge { id: blob })
    }

    /// Returns the bytes of a file as [`Self::read`] does; None: it is longer than `max_bytes`, and is not read.
    ///
    /// # Errors
    /// When the blob is missing.
    pub(crate) fn read_within(&self, blob: ObjectId, max_bytes: usize) -> Result<Option<Vec<u8>>, Error> {
        // A small object may be huge when it is decompressed.
        if self.odb.read_header(blob.0).is_ok_and(|(size, _)| size > max_bytes) {
            return Ok(None);
        }
        match self.odb.read(blob.0) {
            Ok(object) if object.kind() == ObjectType::Blob => Ok(Some(object.data().to_owned())),
            Ok(_) => {
                Err(Error::MissingObject { id: blob, hint: "it is not a file; run `git fsck` for details" })
            }
            Err(e) if e.code() == ErrorCode::NotFound => {
                Err(Error::MissingObject { id: blob, hint: self.missing_hint })
            }
            Err(e) => Err(Error::from_git(format!("reading the blob {blob}"))(e)),
        }
    }
}

impl Repository {
    /// Returns a reader of blobs; threads of a scope may share it.
    ///
    /// # Errors
    /// When the object database cannot be opened.
    pub fn blob_reader(&self) -> Result<BlobReader<'_>, Error> {
        let odb = self.inner.odb().map_err(Error::from_git("opening the object database"))?;
        Ok(BlobReader { odb, missing_hint: self.missing_hint() })
    }

    /// Reads one blob; see [`BlobReader`] for many.
    ///
    /// # Errors
    /// When it is missing.
    pub fn read_blob(&self, blob: ObjectId) -> Result<Vec<u8>, Error> {
        self.blob_reader()?.read(blob)
    }

    /// Returns the entry at a path of a tree.
    ///
    /// # Errors
    /// When a tree is missing.
    pub fn entry_at(&self, tree: ObjectId, path: &str) -> Result<Option<TreeEntry>, Error> {
        let root = self.find_tree(tree)?;
        match root.get_path(Path::new(path)) {
            Ok(found) => {
                let kind = TreeEntryKind::from_mode(found.filemode_raw());
                Ok(Some(TreeEntry { path: path.to_owned(), is_utf8: true, id: ObjectId(found.id()), kind }))
            }
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(Error::from_git(format!("reading `{path}` of the tree {tree}"))(e)),
        }
    }

    /// Lists the files, symbolic links and gitlinks of a tree below some paths, sorted by path; `""` and `.` are the
    /// root. A missing path has no files.
    ///
    /// # Errors
    /// When a tree is missing, or holds more than a repository can.
    pub fn list_files(&self, tree: ObjectId, under: &[&str]) -> Result<Vec<TreeEntry>, Error> {
        let mut paths: Vec<&str> = under.iter().map(|p| normalize_path(p)).collect();
        paths.sort_unstable();
        let mut files = Vec::new();
        let mut last: Option<&str> = None;
        for path in paths {
            let is_inside = |outer: &str| {
                outer.is_empty()
                    || path.strip_prefix(outer).is_some_and(|r| r.is_empty() || r.starts_with('/'))
            };
            if last.is_some_and(is_inside) {
                continue;
            }
            last = Some(path);
            self.list_path(tree, path, &mut files)?;
        }
        files.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        Ok(files)
    }

    /// Adds the entry at a path, or all below it.
    fn list_path(&self, tree: ObjectId, path: &str, files: &mut Vec<TreeEntry>) -> Result<(), Error> {
        if path.is_empty() {
            return self.walk_tree(tree, Vec::new(), files);
        }
        match self.entry_at(tree, path)? {
            Some(entry) if entry.kind == TreeEntryKind::Folder => {
                self.walk_tree(entry.id, [path.as_bytes(), b"/"].concat(), files)
            }
            Some(entry) => {
                files.push(entry);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Adds all entries below a folder; `prefix` is its path with a slash. A tree may be hostile: a few objects can
    /// name millions of files or nest without end, so the walk uses an explicit stack with limits.
    fn walk_tree(&self, tree: ObjectId, prefix: Vec<u8>, files: &mut Vec<TreeEntry>) -> Result<(), Error> {
        let mut waiting = vec![(tree, prefix, 0_usize)];
        let (mut seen, mut bytes) = (files.len(), 0_usize);
        while let Some((tree, prefix, depth)) = waiting.pop() {
            let too_large = |limit: &'static str| {
                let path = String::from_utf8_lossy(&prefix[..prefix.len().min(80)]).into_owned();
                Error::TreeTooLarge { path, limit }
            };
            if depth > MAX_DEPTH {
                return Err(too_large("has more than 1,000 nested folders"));
            }
            for found in self.find_tree(tree)?.iter() {
                seen += 1;
                if seen > MAX_ENTRIES {
                    return Err(too_large("belongs to a tree of more than 1,000,000 files and folders"));
                }
                let mut path = [prefix.as_slice(), found.name_bytes()].concat();
                bytes += path.len();
                if bytes > MAX_PATH_BYTES_TOTAL {
                    return Err(too_large("belongs to a tree with more than 256 MiB of paths"));
                }
                if path.len() > MAX_PATH_BYTES {
                    return Err(too_large("has a path of more than 4,096 bytes"));
                }
                let (id, kind) = (ObjectId(found.id()), TreeEntryKind::from_mode(found.filemode_raw()));
                if kind == TreeEntryKind::Folder {
                    path.push(b'/');
                    waiting.push((id, path, depth + 1));
                } else {
                    let shown = String::from_utf8_lossy(&path);
                    let is_exact = matches!(shown, std::borrow::Cow::Borrowed(_));
                    files.push(TreeEntry { path: shown.into_owned(), is_utf8: is_exact, id, kind });
                }
            }
        }
        Ok(())
    }

    pub(super) fn find_tree(&self, id: ObjectId) -> Result<git2::Tree<'_>, Error> {
        self.inner.find_tree(id.0).map_err(|e| self.object_error(id, &format!("reading the tree {id}"), e))
    }
}

/// Normalizes a path: without a leading `./` and without surrounding slashes.
fn normalize_path(path: &str) -> &str {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.trim_start_matches('/');
    }
    let path = path.trim_matches('/');
    if path == "." { "" } else { path }
}
