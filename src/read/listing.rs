//! The tree of a commit as a place of files, without a checkout: what is tracked is there, .gitignore or not.

use super::file::{text_of, unreadable};
use super::files::{self, Files, Kind, Unresolved};
use super::walk::{Judge, Skips, Walk};
use crate::confine::{Place, Refusal, Top};
use crate::diag::Diagnostic;
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound::{Excluded, Unbounded};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// As many links as Linux follows before it gives up.
const MAX_LINKS: usize = 40;

/// What Linux says then, and of a file in the place of a folder: a listing is read with the words of a disk.
const TOO_MANY_LINKS: &str = "Too many levels of symbolic links (os error 40)";
const NOT_A_DIRECTORY: i32 = 20;
const NO_FOLDER: &str = "Not a directory (os error 20)";

/// An entry of a listing; folders are there when something is below them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed<Id> {
    /// A file, with what its bytes are asked for by.
    File(Id),
    /// A symbolic link, with what it says.
    Link(String),
    /// The commit of another repository.
    Submodule,
}

/// The files of a commit.
pub struct Listing<'a, Id> {
    /// By path from the root of the tree; the order of paths is component by component, as that of a walk.
    entries: BTreeMap<PathBuf, Listed<Id>>,
    bytes: Box<Bytes<'a, Id>>,
}

/// Returns the bytes of a file.
type Bytes<'a, Id> = dyn Fn(&Id) -> io::Result<Vec<u8>> + Sync + 'a;

impl<'a, Id> Listing<'a, Id> {
    /// Makes a listing of entries in any order; `bytes` is asked for the content of files, from any thread.
    pub fn new(
        entries: impl IntoIterator<Item = (PathBuf, Listed<Id>)>,
        bytes: impl Fn(&Id) -> io::Result<Vec<u8>> + Sync + 'a,
    ) -> Self {
        // A tree that is made by hand may hold `..`, which no checkout would create.
        let is_inside = |path: &Path| path.components().all(|c| matches!(c, Component::Normal(_)));
        let entries = entries.into_iter().filter(|(path, _)| is_inside(path)).collect();
        Self { entries, bytes: Box::new(bytes) }
    }

    /// Returns what the bytes of a file are asked for by; None where there is no file, or a link to one.
    pub fn file(&self, path: &Path) -> Option<&Id> {
        match self.entries.get(path) {
            Some(Listed::File(id)) => Some(id),
            _ => None,
        }
    }

    /// Returns the files, links and submodules at a path and below it, in order; links are not followed.
    pub fn below_or_at(&self, path: &Path) -> Vec<(&Path, &Listed<Id>)> {
        let path = files::plain(path);
        let own = self.entries.get_key_value(&path).map(|(path, listed)| (path.as_path(), listed));
        own.into_iter().chain(self.after(&path)).collect()
    }

    /// Returns what is below a folder, in order.
    fn after(&self, folder: &Path) -> impl Iterator<Item = (&Path, &Listed<Id>)> {
        let behind = self.entries.range::<Path, _>((Excluded(folder), Unbounded));
        let folder = folder.to_owned();
        behind
            .map(|(path, listed)| (path.as_path(), listed))
            .take_while(move |(path, _)| path.starts_with(&folder))
    }

    /// Returns what is at a path without links.
    fn at(&self, path: &Path) -> Option<files::Entry> {
        match self.entries.get(path) {
            Some(listed) => Some(listed.entry()),
            None => (path.as_os_str().is_empty() || self.after(path).next().is_some())
                .then_some(files::Entry::Folder),
        }
    }
}

impl<Id> Listed<Id> {
    fn entry(&self) -> files::Entry {
        match self {
            Self::File(_) => files::Entry::File,
            Self::Link(_) => files::Entry::Link,
            Self::Submodule => files::Entry::Submodule,
        }
    }
}

impl<Id: Sync> Files for Listing<'_, Id> {
    fn kind(&self, path: &Path) -> Option<Kind> {
        match self.at(&self.resolve(path).ok()?)? {
            files::Entry::File => Some(Kind::File),
            files::Entry::Folder | files::Entry::Submodule => Some(Kind::Folder),
            files::Entry::Link => None,
        }
    }

    /// Goes step by step, as realpath(3) does.
    fn resolve(&self, path: &Path) -> Result<PathBuf, Unresolved> {
        let mut ahead = Vec::new();
        for component in path.components().rev() {
            ahead.push(match component {
                Component::Normal(name) => name.to_string_lossy().into_owned(),
                Component::ParentDir => "..".to_owned(),
                Component::CurDir => ".".to_owned(),
                Component::RootDir | Component::Prefix(_) => return Err(Unresolved::Outside),
            });
        }
        let mut at = PathBuf::new();
        let mut links = 0;
        while let Some(step) = ahead.pop() {
            match step.as_str() {
                "" | "." => continue,
                ".." if !at.pop() => return Err(Unresolved::Outside),
                ".." => continue,
                name => at.push(name),
            }
            match (self.entries.get(&at), self.at(&at)) {
                (Some(Listed::Link(target)), _) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Unresolved::Other(TOO_MANY_LINKS.to_owned()));
                    }
                    at.pop();
                    if target.starts_with('/') {
                        return Err(Unresolved::Outside);
                    }
                    // The slash at the end of `a/` asks for a folder, so the nothing behind it is a step too.
                    ahead.extend(target.split('/').rev().map(str::to_owned));
                }
                (_, Some(files::Entry::File)) if !ahead.is_empty() => {
                    return Err(Unresolved::Other(NO_FOLDER.to_owned()));
                }
                (_, Some(_)) => {}
                (_, None) => return Err(Unresolved::Missing),
            }
        }
        Ok(at)
    }

    fn written(&self, link: &Path) -> String {
        let folder = link.parent().and_then(|f| self.resolve(f).ok()).unwrap_or_default();
        match self.entries.get(&folder.join(link.file_name().unwrap_or_default())) {
            Some(Listed::Link(target)) => target.clone(),
            _ => String::new(),
        }
    }

    fn below(&self, folder: &Path, skips: &Skips) -> Walk {
        let judge = Judge::new(self, folder, skips);
        let mut walk = Walk::default();
        let Ok(real) = self.resolve(folder) else { return walk };
        // The folder that was admitted last, and the one that was not; both without the way to `folder`.
        let mut open = PathBuf::new();
        let mut closed: Option<PathBuf> = None;
        for (path, listed) in self.after(&real) {
            let relative = path.strip_prefix(&real).unwrap_or(path);
            if closed.as_ref().is_some_and(|c| relative.starts_with(c)) {
                continue;
            }
            let parent = relative.parent().unwrap_or(Path::new(""));
            let mut above: Vec<&Path> = parent.ancestors().take_while(|a| !open.starts_with(a)).collect();
            above.reverse();
            closed = above
                .into_iter()
                .find(|a| !judge.admits(&folder.join(a), files::Entry::Folder))
                .map(Path::to_owned);
            open = closed.as_ref().map_or(parent, |c| c.parent().unwrap_or(parent)).to_owned();
            if closed.is_some() {
                continue;
            }
            if judge.admits(&folder.join(relative), listed.entry()) {
                walk.files.push(judge.found(&folder.join(relative)));
            }
        }
        judge.finish(walk)
    }

    fn everything(&self, folder: &Path) -> Vec<PathBuf> {
        let all = self.below_or_at(folder).into_iter();
        all.filter(|(_, listed)| matches!(listed, Listed::File(_))).map(|(path, _)| path.to_owned()).collect()
    }

    fn entries(&self, folder: &Path) -> Result<Vec<(PathBuf, files::Entry)>, Diagnostic> {
        let Ok(real) = self.resolve(folder) else { return Ok(Vec::new()) };
        if !matches!(self.at(&real), None | Some(files::Entry::Folder)) {
            let name = folder.to_string_lossy().into();
            return Err(unreadable(&name, &io::Error::from_raw_os_error(NOT_A_DIRECTORY)));
        }
        let direct = self.after(&real).filter(|(path, _)| path.parent() == Some(&real));
        Ok(direct
            .filter_map(|(path, listed)| Some((folder.join(path.file_name()?), listed.entry())))
            .collect())
    }

    fn link(&self, _top: Option<&Top>, path: &Path) -> Option<PathBuf> {
        let path = files::plain(path);
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.reverse();
        let is_link = |at: &&Path| matches!(self.entries.get(*at), Some(Listed::Link(_)));
        above.into_iter().find(is_link).map(Path::to_owned)
    }

    fn text_at(&self, place: &Place, path: &Path, name: &Arc<str>) -> Result<String, Diagnostic> {
        let Ok(mut at) = self.resolve(&place.top) else { return self.text(path, name) };
        for (count, step) in place.inner.components().enumerate() {
            at.push(step);
            if let Some(Listed::Link(_)) = self.entries.get(&at) {
                let way: PathBuf = place.inner.components().take(count + 1).collect();
                return Err(Refusal::Link(place.top.join(way)).diagnostic(name));
            }
        }
        self.text(path, name)
    }

    fn text(&self, path: &Path, name: &Arc<str>) -> Result<String, Diagnostic> {
        let gone = || unreadable(name, &io::ErrorKind::NotFound.into());
        let real = self.resolve(path).map_err(|_| gone())?;
        match self.entries.get(&real) {
            Some(Listed::File(id)) => text_of((self.bytes)(id).map_err(|e| unreadable(name, &e))?, name),
            _ => Err(gone()),
        }
    }
}
