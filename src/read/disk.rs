//! Reads files on the disk: `.gitignore` applies, and links are resolved.

use super::file::{MAX_FILE_BYTES, decode_text, read_file, unreadable_file};
use super::file_source::FileSource;
use super::types::{EntryKind, FileKind, IgnoreRules, ResolveError, WalkResult};
use super::walk::WalkFilter;
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::sandbox::{AccessError, RepositoryRoot, SandboxPath, display_path, or_current_dir};
use ignore::{WalkBuilder, WalkState};
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs::FileType;
use std::io::ErrorKind;
use std::path::{Path, PathBuf, is_separator};
use std::sync::{Arc, Mutex, PoisonError};

/// Threads that list folders: they wait for the disk more than they work.
const WALK_THREADS: usize = 2;

/// The disk.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl FileSource for Disk {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        let metadata = path.metadata().ok()?;
        Some(match entry_kind(metadata.file_type()) {
            Some(EntryKind::File) => FileKind::File,
            Some(EntryKind::Folder) => FileKind::Folder,
            _ => FileKind::Other,
        })
    }

    fn resolve(&self, path: &Path) -> Result<PathBuf, ResolveError> {
        path.canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound => ResolveError::Missing,
            _ => ResolveError::Other(error.to_string()),
        })
    }

    fn link_target(&self, link: &Path) -> String {
        std::fs::read_link(link).unwrap_or_default().to_string_lossy().into_owned()
    }

    fn find_manifests(&self, folder: &Path, place: &SandboxPath, ignore_rules: &IgnoreRules) -> WalkResult {
        let filter = Arc::new(WalkFilter::new(&Self, folder, place, ignore_rules));
        let entry_filter = Arc::clone(&filter);
        let walker = WalkBuilder::new(folder)
            .hidden(false)
            .ignore(false)
            .git_global(false)
            // Without a repository no ignore file applies, and those above are not read.
            .parents(RepositoryRoot::of_git_repository(folder).is_some())
            .follow_links(false)
            .filter_entry(move |e| {
                e.file_type().and_then(entry_kind).is_some_and(|what| entry_filter.admits(e.path(), what))
            })
            // The parallel walk lists a folder before it asks which ignore files are in it; the other one asks the disk
            // for each of them in each folder.
            .threads(WALK_THREADS)
            .build_parallel();
        let files = Mutex::new(Vec::new());
        walker.run(|| {
            Box::new(|entry| {
                match entry {
                    Ok(entry) if entry.file_type().is_some_and(|t| t.is_file()) => {
                        let file = filter.manifest_file(entry.path());
                        files.lock().unwrap_or_else(PoisonError::into_inner).push(file);
                    }
                    Ok(entry)
                        if entry.path().parent().is_some_and(|above| filter.is_kustomization(above)) =>
                    {
                        return WalkState::Skip;
                    }
                    Ok(_) => {}
                    Err(error) => filter.report(error_path(&error), walk_error(&error)),
                }
                WalkState::Continue
            })
        });
        let files = files.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut walk = filter.finish(WalkResult { files, ..WalkResult::default() });
        walk.files.sort_unstable_by(|a, b| compare_paths(&a.relative_path, &b.relative_path));
        walk
    }

    fn list_all_files(&self, folder: &Path) -> Vec<PathBuf> {
        // The working folder has no name.
        let is_here = folder.as_os_str().is_empty();
        let entries = WalkBuilder::new(if is_here { Path::new(".") } else { folder })
            .standard_filters(false)
            .follow_links(false)
            .sort_by_file_name(OsStr::cmp)
            .filter_entry(|e| e.file_name() != ".git")
            .build();
        let files = entries.flatten().filter(|e| e.file_type().is_some_and(|t| t.is_file()));
        files.map(|e| super::normalize_path(e.path())).collect()
    }

    fn list_folder(&self, folder: &Path) -> Result<Vec<(PathBuf, EntryKind)>, Diagnostic> {
        let name: Arc<str> = folder.to_string_lossy().into();
        let listed = match std::fs::read_dir(folder) {
            Ok(listed) => listed,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable_file(&name, &error)),
        };
        let mut found = Vec::new();
        for listed in listed {
            let entry_of = |e: std::fs::DirEntry| Ok((e.path(), entry_kind(e.file_type()?)));
            let (path, what) = listed.and_then(entry_of).map_err(|error| unreadable_file(&name, &error))?;
            found.extend(what.filter(|what| *what != EntryKind::Folder).map(|what| (path, what)));
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    fn read_text(&self, path: &Path, name: &Arc<str>) -> Result<String, Diagnostic> {
        read_file(path, name)
    }

    fn read_confined_text(
        &self,
        place: &SandboxPath,
        path: &Path,
        name: &Arc<str>,
    ) -> Result<String, Diagnostic> {
        if place.relative.as_os_str().is_empty() {
            return self.read_text(path, name);
        }
        place
            .read(MAX_FILE_BYTES)
            .map_err(|refused| access_error_diagnostic(&refused, name))
            .and_then(|b| decode_text(b, name))
    }

    fn repository_root(&self, folder: &Path, known: Option<&Path>) -> Option<RepositoryRoot> {
        RepositoryRoot::containing(folder, known)
    }

    fn find_symlink(&self, top: Option<&RepositoryRoot>, path: &Path) -> Option<PathBuf> {
        top?.resolve(path)?.find_symlink()
    }

    fn check_ignore_file(&self, folder: &Path, is_first: bool) -> Option<Diagnostic> {
        let top = if is_first { RepositoryRoot::of_git_repository(folder) } else { None };
        let Some(top) = top else { return check_folder_ignore_file(folder) };
        let real = folder.canonicalize().ok()?;
        let above = real.ancestors().take_while(|above| above.starts_with(top.root()));
        above.map(Path::to_owned).find_map(|folder| check_folder_ignore_file(&folder))
    }
}

/// Returns at most `most` files below a folder that git does not ignore, relative to it and sorted; hidden files and folders
/// are left out, and links are not followed.
pub(crate) fn list_visible_files(
    folder: &Path,
    most: usize,
    is_wanted: impl Fn(&Path) -> bool,
) -> Vec<PathBuf> {
    let folder = or_current_dir(folder);
    let entries = WalkBuilder::new(folder)
        .ignore(false)
        .git_global(false)
        .parents(RepositoryRoot::of_git_repository(folder).is_some())
        .follow_links(false)
        .sort_by_file_name(OsStr::cmp)
        .build();
    let files = entries.flatten().filter(|entry| entry.file_type().is_some_and(|t| t.is_file()));
    let relative = files.filter_map(|entry| Some(entry.path().strip_prefix(folder).ok()?.to_owned()));
    relative.filter(|path| is_wanted(path)).take(most).collect()
}

/// The most bytes of a `.gitignore`: 16 MiB.
const MAX_IGNORE_FILE_BYTES: u64 = 16 << 20;

fn check_folder_ignore_file(folder: &Path) -> Option<Diagnostic> {
    let file = folder.join(".gitignore");
    let found = file.symlink_metadata().ok()?;
    if found.is_file() && found.len() <= MAX_IGNORE_FILE_BYTES {
        return None;
    }
    let name = display_path(&super::normalize_path(&file));
    let message = format!("`{name}` is not a regular file of at most {} MiB", MAX_IGNORE_FILE_BYTES >> 20);
    Some(
        Diagnostic::error(Code::UnreadableFile, message)
            .at(Span::whole_file(name))
            .help("replace it with a regular file, or remove it: git does not follow a link there either"),
    )
}

/// Errors that do not concern links read like those of other readers.
fn access_error_diagnostic(refused: &AccessError, name: &Arc<str>) -> Diagnostic {
    match refused {
        AccessError::Io(error) => unreadable_file(name, error),
        other => other.to_diagnostic(name),
    }
}

/// Only files, folders and links are entries.
fn entry_kind(of: FileType) -> Option<EntryKind> {
    match of {
        t if t.is_symlink() => Some(EntryKind::Symlink),
        t if t.is_dir() => Some(EntryKind::Folder),
        t if t.is_file() => Some(EntryKind::File),
        _ => None,
    }
}

/// Compares two paths component by component as `Path` does, without splitting them.
fn compare_paths(a: &Path, b: &Path) -> Ordering {
    // No name holds the byte 0, so a separator is before whatever a name goes on with.
    let in_order = |byte: &u8| if is_separator(char::from(*byte)) { 0 } else { *byte };
    let (a, b) = (a.as_os_str().as_encoded_bytes(), b.as_os_str().as_encoded_bytes());
    a.iter().map(in_order).cmp(b.iter().map(in_order))
}

/// Returns the file or folder that a walk could not read.
fn error_path(error: &ignore::Error) -> &Path {
    match error {
        ignore::Error::WithPath { path, .. } => path,
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => error_path(err),
        _ => Path::new(""),
    }
}

fn walk_error(error: &ignore::Error) -> Diagnostic {
    Diagnostic::error(Code::UnreadableFile, format!("a folder cannot be read: {error}"))
        .help("make it readable, or leave it out with `ignore:` in pillion.yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_in_the_order_of_their_components() {
        let paths =
            ["", "a", "a/b", "a/b/c", "a/b.yaml", "a-b", "a.b/c", "a b", "a/\u{1}", "ab", "a0/é", "é/a", "z"];
        for a in paths {
            for b in paths {
                let (a, b) = (Path::new(a), Path::new(b));
                assert_eq!(compare_paths(a, b), a.cmp(b), "{a:?} {b:?}");
            }
        }
    }
}
