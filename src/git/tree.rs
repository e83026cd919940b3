//! Which files does a tree hold, and what is in them?

use super::{Failure, Id, Repository};
use git2::{ErrorCode, ObjectType};
use std::path::Path;

/// Files and folders of one listing; the biggest repositories have some hundred thousand.
const MOST_ENTRIES: usize = 1_000_000;

/// Bytes of all paths of one listing.
const MOST_BYTES: usize = 256 << 20;

/// Folders in each other.
const MOST_DEPTH: usize = 1_000;

/// Bytes of a file that is read.
const LONGEST_FILE: usize = 512 << 20;

/// Bytes of a path: what Linux takes.
const LONGEST_PATH: usize = 4_096;

/// What a tree holds under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A symbolic link: its blob is the path that it leads to.
    Link,
    /// A submodule: its id is a commit of another repository.
    Gitlink,
    /// A folder: its id is a tree.
    Folder,
}

impl Kind {
    /// Returns the kind of a mode; git itself reads odd modes of old tools in this way.
    pub(super) fn of(mode: i32) -> Self {
        match mode & 0o170_000 {
            0o040_000 => Self::Folder,
            0o120_000 => Self::Link,
            0o160_000 => Self::Gitlink,
            _ if mode & 0o100 != 0 => Self::Executable,
            _ => Self::File,
        }
    }
}

/// One thing that a tree holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path from the root of the tree, with `/`.
    pub path: String,
    /// Whether `path` is the path: false where that is not UTF-8, so that this one only shows it.
    pub is_exact: bool,
    /// Its object.
    pub id: Id,
    /// What it is.
    pub kind: Kind,
}

/// One change of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The file holds these bytes. One that is there keeps its mode, a new one is not executable.
    Put(Vec<u8>),
    /// There is no such file.
    Remove,
}

/// Reads blobs, on any number of threads at once.
pub struct Reader<'r> {
    odb: git2::Odb<'r>,
    missing: &'static str,
}

impl Reader<'_> {
    /// Returns the bytes of a file, as git stores them: line ends are those of the object database.
    ///
    /// # Errors
    /// When the blob is missing.
    pub fn read(&self, blob: Id) -> Result<Vec<u8>, Failure> {
        self.read_within(blob, LONGEST_FILE)?.ok_or(Failure::Huge { id: blob })
    }

    /// Returns the bytes of a file as [`Self::read`] does; None: there are more than `most`, and none is read.
    ///
    /// # Errors
    /// When the blob is missing.
    pub fn read_within(&self, blob: Id, most: usize) -> Result<Option<Vec<u8>>, Failure> {
        // A blob that is short in the repository may be endless in memory.
        if self.odb.read_header(blob.0).is_ok_and(|(size, _)| size > most) {
            return Ok(None);
        }
        match self.odb.read(blob.0) {
            Ok(object) if object.kind() == ObjectType::Blob => Ok(Some(object.data().to_owned())),
            Ok(_) => Err(Failure::Missing { id: blob, hint: "it is no file; `git fsck` says more" }),
            Err(e) if e.code() == ErrorCode::NotFound => {
                Err(Failure::Missing { id: blob, hint: self.missing })
            }
            Err(e) => Err(Failure::git(format!("reading the blob {blob}"))(e)),
        }
    }
}

impl Repository {
    /// Returns what reads blobs; share it between the threads of a scope.
    ///
    /// # Errors
    /// When the object database cannot be opened.
    pub fn reader(&self) -> Result<Reader<'_>, Failure> {
        let odb = self.inner.odb().map_err(Failure::git("opening the object database"))?;
        Ok(Reader { odb, missing: self.missing_hint() })
    }

    /// Reads one blob; see [`Reader`] for many.
    ///
    /// # Errors
    /// When it is missing.
    pub fn read(&self, blob: Id) -> Result<Vec<u8>, Failure> {
        self.reader()?.read(blob)
    }

    /// Returns what is at a path of a tree.
    ///
    /// # Errors
    /// When a tree is missing.
    pub fn entry_at(&self, tree: Id, path: &str) -> Result<Option<Entry>, Failure> {
        let root = self.tree(tree)?;
        match root.get_path(Path::new(path)) {
            Ok(found) => {
                let kind = Kind::of(found.filemode_raw());
                Ok(Some(Entry { path: path.to_owned(), is_exact: true, id: Id(found.id()), kind }))
            }
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(Failure::git(format!("reading `{path}` of the tree {tree}"))(e)),
        }
    }

    /// Lists the files, links and gitlinks of a tree below some paths, sorted by path; `""` and `.` are the root,
    /// and what is not there has no files.
    ///
    /// # Errors
    /// When a tree is missing, or holds more than a repository can.
    pub fn files(&self, tree: Id, under: &[&str]) -> Result<Vec<Entry>, Failure> {
        let mut wanted: Vec<&str> = under.iter().map(|p| plain(p)).collect();
        wanted.sort_unstable();
        let mut files = Vec::new();
        let mut last: Option<&str> = None;
        for path in wanted {
            let is_inside = |outer: &str| {
                outer.is_empty()
                    || path.strip_prefix(outer).is_some_and(|r| r.is_empty() || r.starts_with('/'))
            };
            if last.is_some_and(is_inside) {
                continue;
            }
            last = Some(path);
            self.list(tree, path, &mut files)?;
        }
        files.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        Ok(files)
    }

    /// Adds what is at a path, or below it.
    fn list(&self, tree: Id, path: &str, files: &mut Vec<Entry>) -> Result<(), Failure> {
        if path.is_empty() {
            return self.walk(tree, Vec::new(), files);
        }
        match self.entry_at(tree, path)? {
            Some(entry) if entry.kind == Kind::Folder => {
                self.walk(entry.id, [path.as_bytes(), b"/"].concat(), files)
            }
            Some(entry) => {
                files.push(entry);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Adds everything below a folder; `prefix` is its path with a slash. What a tree holds is somebody else's: a few
    /// objects can name millions of files, or lead down without end, so the way is kept in a list and has bounds.
    fn walk(&self, tree: Id, prefix: Vec<u8>, files: &mut Vec<Entry>) -> Result<(), Failure> {
        let mut waiting = vec![(tree, prefix, 0_usize)];
        let (mut seen, mut bytes) = (files.len(), 0_usize);
        while let Some((tree, prefix, depth)) = waiting.pop() {
            let endless = |what: &'static str| {
                let path = String::from_utf8_lossy(&prefix[..prefix.len().min(80)]).into_owned();
                Failure::Endless { path, what }
            };
            if depth > MOST_DEPTH {
                return Err(endless("leads down through more than 1,000 folders"));
            }
            for found in self.tree(tree)?.iter() {
                seen += 1;
                if seen > MOST_ENTRIES {
                    return Err(endless("belongs to a tree of more than 1,000,000 files and folders"));
                }
                let mut path = [prefix.as_slice(), found.name_bytes()].concat();
                bytes += path.len();
                if bytes > MOST_BYTES {
                    return Err(endless("belongs to a tree whose paths fill more than 256 MiB"));
                }
                if path.len() > LONGEST_PATH {
                    return Err(endless("holds a path of more than 4,096 bytes"));
                }
                let (id, kind) = (Id(found.id()), Kind::of(found.filemode_raw()));
                if kind == Kind::Folder {
                    path.push(b'/');
                    waiting.push((id, path, depth + 1));
                } else {
                    let shown = String::from_utf8_lossy(&path);
                    let is_exact = matches!(shown, std::borrow::Cow::Borrowed(_));
                    files.push(Entry { path: shown.into_owned(), is_exact, id, kind });
                }
            }
        }
        Ok(())
    }

    pub(super) fn tree(&self, id: Id) -> Result<git2::Tree<'_>, Failure> {
        self.inner.find_tree(id.0).map_err(|e| self.lost(id, &format!("reading the tree {id}"), e))
    }
}

/// Returns a path as a tree has it: without `./` before it and `/` around it.
fn plain(path: &str) -> &str {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.trim_start_matches('/');
    }
    let path = path.trim_matches('/');
    if path == "." { "" } else { path }
}
