//! Reads files in the tree of a commit without a checkout: all tracked files, ignored or not.

use super::file::{decode_text, unreadable_file};
use super::file_source::{FileSource, normalize_path};
use super::types::{EntryKind, FileKind, IgnoreRules, ResolveError, WalkResult};
use super::walk::WalkFilter;
use crate::diagnostics::Diagnostic;
use crate::sandbox::{AccessError, RepositoryRoot, SandboxPath};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound::{Excluded, Unbounded};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// As many links as Linux follows before it gives up.
const MAX_LINKS: usize = 40;

/// The error of Linux then, and for a file in the place of a folder: listings report errors like a disk.
const TOO_MANY_LINKS_MESSAGE: &str = "Too many levels of symbolic links (os error 40)";
const ENOTDIR: i32 = 20;
const NOT_A_DIRECTORY_MESSAGE: &str = "Not a directory (os error 20)";

/// An entry of a listing; folders are there when something is below them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingEntry<Id> {
    /// A file, with the id of its bytes.
    File(Id),
    /// A symbolic link, with its target.
    Symlink(String),
    /// The commit of another repository.
    Submodule,
}

/// The files of a commit.
pub struct CommitListing<'a, Id> {
    /// By path from the root of the tree; the order of paths is component by component, as that of a walk.
    entries: BTreeMap<PathBuf, ListingEntry<Id>>,
    read_blob: Box<ReadBlob<'a, Id>>,
}

/// Returns the bytes of a file.
type ReadBlob<'a, Id> = dyn Fn(&Id) -> io::Result<Vec<u8>> + Sync + 'a;

impl<'a, Id> CommitListing<'a, Id> {
    /// Returns a listing of entries in any order; `bytes` reads the content of files, on any thread.
    pub fn new(
        entries: impl IntoIterator<Item = (PathBuf, ListingEntry<Id>)>,
        bytes: impl Fn(&Id) -> io::Result<Vec<u8>> + Sync + 'a,
    ) -> Self {
        // A handmade tree may contain `..`, which no checkout would create.
        let is_inside = |path: &Path| path.components().all(|c| matches!(c, Component::Normal(_)));
        let entries = entries.into_iter().filter(|(path, _)| is_inside(path)).collect();
        Self { entries, read_blob: Box::new(bytes) }
    }

    /// Returns the id of the bytes of a file; None where there is no file, or a link to one.
    pub(crate) fn file_id(&self, path: &Path) -> Option<&Id> {
        match self.entries.get(path) {
            Some(ListingEntry::File(id)) => Some(id),
            _ => None,
        }
    }

    /// Returns the paths at which two commits differ, in order.
    pub(crate) fn differing_paths(&self, other: &Self) -> Vec<PathBuf>
    where
        Id: PartialEq,
    {
        let paths: BTreeSet<&PathBuf> = self.entries.keys().chain(other.entries.keys()).collect();
        let differs = |path: &&PathBuf| self.entries.get(*path) != other.entries.get(*path);
        paths.into_iter().filter(differs).cloned().collect()
    }

    /// Returns the files, links and submodules at a path and below it, in order; links are not followed.
    pub(crate) fn entries_at_or_below(&self, path: &Path) -> Vec<(&Path, &ListingEntry<Id>)> {
        let path = normalize_path(path);
        let own = self.entries.get_key_value(&path).map(|(path, listed)| (path.as_path(), listed));
        own.into_iter().chain(self.entries_below(&path)).collect()
    }

    /// Returns the entries below a folder, in order.
    fn entries_below(&self, folder: &Path) -> impl Iterator<Item = (&Path, &ListingEntry<Id>)> {
        let behind = self.entries.range::<Path, _>((Excluded(folder), Unbounded));
        let folder = folder.to_owned();
        behind
            .map(|(path, listed)| (path.as_path(), listed))
            .take_while(move |(path, _)| path.starts_with(&folder))
    }

    /// Returns the entry at a path without links.
    fn kind_at(&self, path: &Path) -> Option<EntryKind> {
        match self.entries.get(path) {
            Some(listed) => Some(listed.entry_kind()),
            None => (path.as_os_str().is_empty() || self.entries_below(path).next().is_some())
                .then_some(EntryKind::Folder),
        }
    }
}

impl<Id> ListingEntry<Id> {
    fn entry_kind(&self) -> EntryKind {
        match self {
            Self::File(_) => EntryKind::File,
            Self::Symlink(_) => EntryKind::Symlink,
            Self::Submodule => EntryKind::Submodule,
        }
    }
}

impl<Id: Sync> FileSource for CommitListing<'_, Id> {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        match self.kind_at(&self.resolve(path).ok()?)? {
            EntryKind::File => Some(FileKind::File),
            EntryKind::Folder | EntryKind::Submodule => Some(FileKind::Folder),
            EntryKind::Symlink => None,
        }
    }

    /// Resolves a path component by component, as realpath(3) does.
    fn resolve(&self, path: &Path) -> Result<PathBuf, ResolveError> {
        let mut ahead = Vec::new();
        for component in path.components().rev() {
            ahead.push(match component {
                Component::Normal(name) => name.to_string_lossy().into_owned(),
                Component::ParentDir => "..".to_owned(),
                Component::CurDir => ".".to_owned(),
                Component::RootDir | Component::Prefix(_) => return Err(ResolveError::Outside),
            });
        }
        let mut at = PathBuf::new();
        let mut links = 0;
        while let Some(step) = ahead.pop() {
            match step.as_str() {
                "" | "." => continue,
                ".." if !at.pop() => return Err(ResolveError::Outside),
                ".." => continue,
                name => at.push(name),
            }
            match (self.entries.get(&at), self.kind_at(&at)) {
                (Some(ListingEntry::Symlink(target)), _) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(ResolveError::Other(TOO_MANY_LINKS_MESSAGE.to_owned()));
                    }
                    at.pop();
                    if target.starts_with('/') {
                        return Err(ResolveError::Outside);
                    }
                    // The slash at the end of `a/` asks for a folder, so the nothing behind it is a step too.
                    ahead.extend(target.split('/').rev().map(str::to_owned));
                }
                (_, Some(EntryKind::File)) if !ahead.is_empty() => {
                    return Err(ResolveError::Other(NOT_A_DIRECTORY_MESSAGE.to_owned()));
                }
                (_, Some(_)) => {}
                (_, None) => return Err(ResolveError::Missing),
            }
        }
        Ok(at)
    }

    fn link_target(&self, link: &Path) -> String {
        let folder = link.parent().and_then(|f| self.resolve(f).ok()).unwrap_or_default();
        match self.entries.get(&folder.join(link.file_name().unwrap_or_default())) {
            Some(ListingEntry::Symlink(target)) => target.clone(),
            _ => String::new(),
        }
    }

    fn find_manifests(&self, folder: &Path, place: &SandboxPath, ignore_rules: &IgnoreRules) -> WalkResult {
        let filter = WalkFilter::new(self, folder, place, ignore_rules);
        let mut walk = WalkResult::default();
        let Ok(real) = self.resolve(folder) else { return walk };
        // The folder that was admitted last, and the one that was not; both without the way to `folder`.
        let mut open = PathBuf::new();
        let mut closed: Option<PathBuf> = None;
        for (path, listed) in self.entries_below(&real) {
            let relative = path.strip_prefix(&real).unwrap_or(path);
            if closed.as_ref().is_some_and(|c| relative.starts_with(c)) {
                continue;
            }
            let parent = relative.parent().unwrap_or(Path::new(""));
            let mut above: Vec<&Path> = parent.ancestors().take_while(|a| !open.starts_with(a)).collect();
            above.reverse();
            closed = above
                .into_iter()
                .find(|a| !filter.admits(&folder.join(a), EntryKind::Folder))
                .map(Path::to_owned);
            open = closed.as_ref().map_or(parent, |c| c.parent().unwrap_or(parent)).to_owned();
            if closed.is_some() {
                continue;
            }
            if filter.admits(&folder.join(relative), listed.entry_kind()) {
                walk.files.push(filter.manifest_file(&folder.join(relative)));
            }
        }
        filter.finish(walk)
    }

    fn list_all_files(&self, folder: &Path) -> Vec<PathBuf> {
        let all = self.entries_at_or_below(folder).into_iter();
        all.filter(|(_, listed)| matches!(listed, ListingEntry::File(_)))
            .map(|(path, _)| path.to_owned())
            .collect()
    }

    fn list_folder(&self, folder: &Path) -> Result<Vec<(PathBuf, EntryKind)>, Diagnostic> {
        let Ok(real) = self.resolve(folder) else { return Ok(Vec::new()) };
        if !matches!(self.kind_at(&real), None | Some(EntryKind::Folder)) {
            let name = folder.to_string_lossy().into();
            return Err(unreadable_file(&name, &io::Error::from_raw_os_error(ENOTDIR)));
        }
        let direct = self.entries_below(&real).filter(|(path, _)| path.parent() == Some(&real));
        Ok(direct
            .filter_map(|(path, listed)| Some((folder.join(path.file_name()?), listed.entry_kind())))
            .collect())
    }

    fn find_symlink(&self, _top: Option<&RepositoryRoot>, path: &Path) -> Option<PathBuf> {
        let path = normalize_path(path);
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.reverse();
        let is_link = |at: &&Path| matches!(self.entries.get(*at), Some(ListingEntry::Symlink(_)));
        above.into_iter().find(is_link).map(Path::to_owned)
    }

    fn read_confined_text(
        &self,
        place: &SandboxPath,
        path: &Path,
        name: &Arc<str>,
    ) -> Result<String, Diagnostic> {
        let Ok(mut at) = self.resolve(&place.base) else { return self.read_text(path, name) };
        for (count, step) in place.relative.components().enumerate() {
            at.push(step);
            if let Some(ListingEntry::Symlink(_)) = self.entries.get(&at) {
                let way: PathBuf = place.relative.components().take(count + 1).collect();
                return Err(AccessError::Symlink(place.base.join(way)).to_diagnostic(name));
            }
        }
        self.read_text(path, name)
    }

    fn read_text(&self, path: &Path, name: &Arc<str>) -> Result<String, Diagnostic> {
        let not_found = || unreadable_file(name, &io::ErrorKind::NotFound.into());
        let real = self.resolve(path).map_err(|_| not_found())?;
        match self.entries.get(&real) {
            Some(ListingEntry::File(id)) => {
                decode_text((self.read_blob)(id).map_err(|e| unreadable_file(name, &e))?, name)
            }
            _ => Err(not_found()),
        }
    }
}
