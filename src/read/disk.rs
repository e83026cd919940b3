//! The disk as a place of files: .gitignore counts, and links are asked where they lead.

use super::file::{MAX_FILE, read_file, text_of, unreadable};
use super::files::{Entry, Files, Kind, Unresolved};
use super::walk::{Judge, Skips, Walk};
use crate::confine::{Place, Refusal, Top, shown};
use crate::diag::{Code, Diagnostic, Label};
use ignore::WalkBuilder;
use std::ffi::OsStr;
use std::fs::FileType;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The disk.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl Files for Disk {
    fn kind(&self, path: &Path) -> Option<Kind> {
        let metadata = path.metadata().ok()?;
        Some(match entry(metadata.file_type()) {
            Some(Entry::File) => Kind::File,
            Some(Entry::Folder) => Kind::Folder,
            _ => Kind::Other,
        })
    }

    fn resolve(&self, path: &Path) -> Result<PathBuf, Unresolved> {
        path.canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound => Unresolved::Missing,
            _ => Unresolved::Other(error.to_string()),
        })
    }

    fn written(&self, link: &Path) -> String {
        std::fs::read_link(link).unwrap_or_default().to_string_lossy().into_owned()
    }

    fn below(&self, folder: &Path, skips: &Skips) -> Walk {
        let judge = Arc::new(Judge::new(&Self, folder, skips));
        let filter = Arc::clone(&judge);
        let entries = WalkBuilder::new(folder)
            .hidden(false)
            .ignore(false)
            .git_global(false)
            // Without a repository no ignore file counts, and those above are not read.
            .parents(Top::of_git(folder).is_some())
            .follow_links(false)
            .sort_by_file_name(OsStr::cmp)
            .filter_entry(move |e| {
                e.file_type().and_then(entry).is_some_and(|what| filter.admits(e.path(), what))
            })
            .build();
        let mut walk = Walk::default();
        for entry in entries {
            match entry {
                Ok(entry) if entry.file_type().is_some_and(|t| t.is_file()) => {
                    walk.files.push(judge.found(entry.path()));
                }
                Ok(_) => {}
                Err(error) => walk.diagnostics.push(unwalkable(&error)),
            }
        }
        judge.finish(walk)
    }

    fn everything(&self, folder: &Path) -> Vec<PathBuf> {
        // The working folder has no name.
        let is_here = folder.as_os_str().is_empty();
        let entries = WalkBuilder::new(if is_here { Path::new(".") } else { folder })
            .standard_filters(false)
            .follow_links(false)
            .sort_by_file_name(OsStr::cmp)
            .filter_entry(|e| e.file_name() != ".git")
            .build();
        let files = entries.flatten().filter(|e| e.file_type().is_some_and(|t| t.is_file()));
        files.map(|e| super::plain(e.path())).collect()
    }

    fn entries(&self, folder: &Path) -> Result<Vec<(PathBuf, Entry)>, Diagnostic> {
        let name: Arc<str> = folder.to_string_lossy().into();
        let listed = match std::fs::read_dir(folder) {
            Ok(listed) => listed,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(&name, &error)),
        };
        let mut found = Vec::new();
        for listed in listed {
            let entry_of = |e: std::fs::DirEntry| Ok((e.path(), entry(e.file_type()?)));
            let (path, what) = listed.and_then(entry_of).map_err(|error| unreadable(&name, &error))?;
            found.extend(what.filter(|what| *what != Entry::Folder).map(|what| (path, what)));
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    fn text(&self, path: &Path, name: &Arc<str>) -> Result<String, Diagnostic> {
        read_file(path, name)
    }

    fn text_at(&self, place: &Place, path: &Path, name: &Arc<str>) -> Result<String, Diagnostic> {
        if place.inner.as_os_str().is_empty() {
            return self.text(path, name);
        }
        place.read(MAX_FILE).map_err(|refused| unreadable_at(&refused, name)).and_then(|b| text_of(b, name))
    }

    fn top(&self, folder: &Path, known: Option<&Path>) -> Option<Top> {
        Top::of(folder, known)
    }

    fn link(&self, top: Option<&Top>, path: &Path) -> Option<PathBuf> {
        top?.place(path)?.link()
    }

    fn wrong_ignore_file(&self, folder: &Path, is_first: bool) -> Option<Diagnostic> {
        let top = if is_first { Top::of_git(folder) } else { None };
        let Some(top) = top else { return wrong_ignore_file(folder) };
        let real = folder.canonicalize().ok()?;
        let above = real.ancestors().take_while(|above| above.starts_with(top.root()));
        above.map(Path::to_owned).find_map(|folder| wrong_ignore_file(&folder))
    }
}

/// The most bytes of a `.gitignore`: 16 MiB.
const MAX_IGNORE_FILE: u64 = 16 << 20;

fn wrong_ignore_file(folder: &Path) -> Option<Diagnostic> {
    let file = folder.join(".gitignore");
    let found = file.symlink_metadata().ok()?;
    if found.is_file() && found.len() <= MAX_IGNORE_FILE {
        return None;
    }
    let name = shown(&super::plain(&file));
    let message = format!("`{name}` is not a regular file of at most {} MiB", MAX_IGNORE_FILE >> 20);
    Some(
        Diagnostic::error(Code::UnreadableFile, message)
            .at(Label::whole_file(name))
            .help("replace it with a regular file, or remove it: git does not follow a link there either"),
    )
}

/// What cannot be read is told in the words of other readers where it is no matter of links.
fn unreadable_at(refused: &Refusal, name: &Arc<str>) -> Diagnostic {
    match refused {
        Refusal::Io(error) => unreadable(name, error),
        other => other.diagnostic(name),
    }
}

/// What is no file, folder or link is no entry.
fn entry(of: FileType) -> Option<Entry> {
    match of {
        t if t.is_symlink() => Some(Entry::Link),
        t if t.is_dir() => Some(Entry::Folder),
        t if t.is_file() => Some(Entry::File),
        _ => None,
    }
}

fn unwalkable(error: &ignore::Error) -> Diagnostic {
    Diagnostic::error(Code::UnreadableFile, format!("a folder cannot be read: {error}"))
        .help("make it readable, or leave it out with `ignore:` in pillion.yaml")
}
