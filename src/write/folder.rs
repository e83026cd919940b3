//! Writes a folder of rendered files: stages new files beside their places, renames them, removes old ones, and never
//! touches files that pillion did not write.

use super::Error;
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::file_list::{self, to_slash};
use crate::sandbox::{self, AccessError, FileChangeError, FileTransaction, SandboxPath, check_file_name};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most bytes of a rendered file that are read: 512 MiB, as of a manifest.
const MAX_RENDERED_BYTES: u64 = 512 << 20;
/// The most bytes of a list: 64 MiB, half a million files.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// A folder that holds rendered files, and the new state it is to have.
#[derive(Debug)]
pub(crate) struct OutputFolder {
    /// As the user names it.
    name: PathBuf,
    /// Nothing below it is reached through a symbolic link.
    root: SandboxPath,
    /// What pillion wrote earlier.
    previous_files: BTreeSet<String>,
    /// What there will be, and the input that each of these files is made from.
    input_by_file: BTreeMap<String, Arc<str>>,
    /// Those of them that are there already, and that pillion did not write.
    foreign_matches: BTreeSet<String>,
    /// The new files, and how many.
    transaction: FileTransaction,
    written_count: usize,
}

impl OutputFolder {
    /// Opens a folder, which is called `name`; it need not exist yet.
    ///
    /// # Errors
    /// When it or its list is reached through a symbolic link, or the list is not a regular file.
    pub(crate) fn open(name: &Path, place: SandboxPath) -> Result<Self, Box<Diagnostic>> {
        if let Some(link) = place.find_symlink() {
            return Err(Box::new(AccessError::Symlink(link).to_diagnostic(&name.to_string_lossy())));
        }
        let list =
            read_text(&place, name, Path::new(file_list::FILE_NAME), MAX_LIST_BYTES)?.unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            root: place,
            previous_files: file_list::parse(&list),
            input_by_file: BTreeMap::new(),
            foreign_matches: BTreeSet::new(),
            transaction: FileTransaction::default(),
            written_count: 0,
        })
    }

    /// Returns the present text of a file; None if there is none.
    ///
    /// # Errors
    /// When it is reached through a symbolic link, no regular file or too large.
    pub(crate) fn read_current(&self, relative: &Path) -> Result<Option<String>, Box<Diagnostic>> {
        read_text(&self.root, &self.name, relative, MAX_RENDERED_BYTES)
    }

    /// Returns a reader for the files that are there now.
    pub(crate) fn reader(&self) -> FolderReader {
        FolderReader(self.root.clone())
    }

    /// Takes note that a file belongs to the new state, without writing it. Returns whether pillion wrote it earlier.
    ///
    /// # Errors
    /// When another input has the same place, or its name cannot be in a list.
    pub(crate) fn register_file(
        &mut self,
        relative: &Path,
        input: &Arc<str>,
    ) -> Result<bool, Box<Diagnostic>> {
        if let Some(diagnostics) = check_file_name(relative) {
            return Err(Box::new(diagnostics));
        }
        let name = to_slash(relative);
        let is_known = self.previous_files.contains(&name);
        match self.input_by_file.insert(name, Arc::clone(input)) {
            Some(first) => Err(Box::new(output_collision(&self.name.join(relative), &first, input))),
            None => Ok(is_known),
        }
    }

    /// Takes the new text of a file, made from `input`, and what its place has now. Nothing is visible until
    /// [`OutputFolder::commit`].
    ///
    /// # Errors
    /// The outer one when the file system fails; the inner one when something is in the way.
    pub(crate) fn write_file(
        &mut self,
        relative: &Path,
        input: &Arc<str>,
        text: &str,
        present: PresentFile,
    ) -> Result<Result<(), Box<Diagnostic>>, Error> {
        let is_known = match self.register_file(relative, input) {
            Ok(is_known) => is_known,
            Err(diagnostics) => return Ok(Err(diagnostics)),
        };
        match present {
            PresentFile::Same => {
                if !is_known {
                    // It happens to be right, and stays another program's: it is not to be removed one day.
                    self.foreign_matches.insert(to_slash(relative));
                }
                return Ok(Ok(()));
            }
            PresentFile::Different if !is_known => {
                return Ok(Err(Box::new(unmanaged_file(&self.name.join(relative)))));
            }
            // A link in the place of a file that pillion wrote is replaced, and what it leads to stays.
            PresentFile::Refused(AccessError::Symlink(link))
                if is_known && link == self.root.join(relative).path() => {}
            PresentFile::Refused(refused) if !matches!(refused, AccessError::TooLarge(_)) || !is_known => {
                let shown = self.name.join(relative);
                return Ok(Err(Box::new(refused.to_diagnostic(&shown.to_string_lossy()))));
            }
            PresentFile::Different | PresentFile::Missing | PresentFile::Refused(_) => {}
        }
        self.written_count += 1;
        let put = self.transaction.put(&self.root.join(relative), &self.root, text.as_bytes());
        separate_access_error(put, &self.name.join(relative))
    }

    /// Returns whether a file is part of the new state that the list names.
    fn is_new(&self, name: &str) -> bool {
        self.input_by_file.contains_key(name) && !self.foreign_matches.contains(name)
    }

    /// Returns the files of the new state that the list names.
    fn new_files(&self) -> impl Iterator<Item = &str> {
        self.input_by_file.keys().map(String::as_str).filter(|name| !self.foreign_matches.contains(*name))
    }

    /// Returns what pillion wrote earlier and makes no longer.
    pub(crate) fn stale_files(&self) -> impl Iterator<Item = &str> {
        self.previous_files.iter().filter(|name| !self.is_new(name)).map(String::as_str)
    }

    /// Returns what is in the folder and belongs neither to the new state nor to what pillion wrote earlier; a link or a
    /// pipe has no text, and neither has what cannot be read.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) fn foreign_files(&self) -> Result<Vec<(PathBuf, Option<String>)>, Box<Diagnostic>> {
        let below = self.root.list_files();
        let below = below.map_err(|refused| Box::new(refused.to_diagnostic(&self.name.to_string_lossy())))?;
        let is_known = |path: &Path| {
            let name = to_slash(path);
            name == file_list::FILE_NAME || self.is_new(&name) || self.previous_files.contains(&name)
        };
        let foreign = below.into_iter().filter(|(path, _)| !is_known(path));
        Ok(foreign
            .map(|(path, is_regular)| {
                let text = is_regular.then(|| self.read_current(&path).ok().flatten()).flatten();
                (path, text)
            })
            .collect())
    }

    /// Returns the files of the new state that are there, and that the list does not name.
    pub(crate) fn unlisted_files(&self) -> impl Iterator<Item = &str> {
        let unlisted = self.new_files().filter(|name| !self.previous_files.contains(*name));
        unlisted.filter(|name| matches!(self.read_current(Path::new(name)), Ok(Some(_))))
    }

    /// Puts every new file in its place, and removes what is no longer made; where one of them fails, nothing is
    /// changed. Returns how many files were written and how many removed.
    ///
    /// # Errors
    /// The outer one when the file system fails; the inner one when something is in the way.
    pub(crate) fn commit(mut self) -> Result<Result<(usize, usize), Box<Diagnostic>>, Error> {
        let written = std::mem::take(&mut self.transaction);
        let stale: Vec<&str> = self.stale_files().collect();
        let mut changes = FileTransaction::default();
        let previous_files: BTreeSet<&str> = self.previous_files.iter().map(String::as_str).collect();
        let new_files: BTreeSet<&str> = self.new_files().collect();
        // A run that is killed on the way must not disown what it has written.
        let both: BTreeSet<&str> = previous_files.union(&new_files).copied().collect();
        let list = self.root.join(Path::new(file_list::FILE_NAME));
        let shown = self.name.join(file_list::FILE_NAME);
        let put_list = |changes: &mut FileTransaction, names: &BTreeSet<&str>, present: &BTreeSet<&str>| {
            if names == present {
                return Ok(Ok(()));
            }
            separate_access_error(changes.put(&list, &self.root, file_list::emit(names).as_bytes()), &shown)
        };
        if let Err(diagnostics) = put_list(&mut changes, &both, &previous_files)? {
            return Ok(Err(diagnostics));
        }
        changes.append(written);
        for name in &stale {
            let removed = changes.remove(&self.root.join(Path::new(name)), &self.root);
            if let Err(diagnostics) = separate_access_error(removed, &self.name.join(name))? {
                return Ok(Err(diagnostics));
            }
        }
        if let Err(diagnostics) = put_list(&mut changes, &new_files, &both)? {
            return Ok(Err(diagnostics));
        }
        if let Err(diagnostics) = separate_access_error(changes.commit(), &self.name)? {
            return Ok(Err(diagnostics));
        }
        for name in &stale {
            self.root.remove_empty_folders(Path::new(name));
        }
        self.root.remove_stale_files();
        SandboxPath::from_user_path(&self.root.base).remove_stale_files();
        Ok(Ok((self.written_count, stale.len())))
    }
}

/// Reads the files of a folder, on any thread.
#[derive(Debug, Clone)]
pub(crate) struct FolderReader(SandboxPath);

/// What is in the place of a file.
#[derive(Debug)]
pub(crate) enum PresentFile {
    /// A file with the same text.
    Same,
    /// A file with another text.
    Different,
    /// Nothing.
    Missing,
    /// Something that is not read.
    Refused(AccessError),
}

impl FolderReader {
    /// Compares a file with its new text.
    pub(crate) fn compare(&self, relative: &Path, text: &str) -> PresentFile {
        match self.0.join(relative).read_if_exists(MAX_RENDERED_BYTES) {
            Ok(Some(present)) if present == text.as_bytes() => PresentFile::Same,
            Ok(Some(_)) => PresentFile::Different,
            Ok(None) => PresentFile::Missing,
            Err(refused) => PresentFile::Refused(refused),
        }
    }
}

fn read_text(
    folder: &SandboxPath,
    name: &Path,
    relative: &Path,
    most: u64,
) -> Result<Option<String>, Box<Diagnostic>> {
    match folder.join(relative).read_if_exists(most) {
        Ok(bytes) => Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
        Err(refused) => Err(Box::new(refused.to_diagnostic(&name.join(relative).to_string_lossy()))),
    }
}

/// Tells what a person can fix in the repository from what the file system refuses.
fn separate_access_error(
    done: Result<(), FileChangeError>,
    shown: &Path,
) -> Result<Result<(), Box<Diagnostic>>, Error> {
    match done {
        Ok(()) => Ok(Ok(())),
        Err(FileChangeError { cause: AccessError::Io(source), path }) => {
            Err(Error::Write { path: sandbox::display_path(&path), source })
        }
        Err(FileChangeError { cause: reason, .. }) => {
            Ok(Err(Box::new(reason.to_diagnostic(&shown.to_string_lossy()))))
        }
    }
}

/// Replaces files together, keeping their permissions; where one of them fails, all stay as they are.
///
/// # Errors
/// The outer one when the file system fails; the inner one when something is in the way.
pub(crate) fn replace_files(files: &[(SandboxPath, String)]) -> Result<Result<(), Box<Diagnostic>>, Error> {
    let mut changes = FileTransaction::default();
    let mut tops = BTreeSet::new();
    for (place, text) in files {
        let place = resolve_symlink(place);
        let beside = SandboxPath::from_user_path(&place.base);
        if let Err(diagnostics) =
            separate_access_error(changes.put(&place, &beside, text.as_bytes()), &place.path())?
        {
            return Ok(Err(diagnostics));
        }
        tops.insert(place.base.to_path_buf());
    }
    if let Err(diagnostics) = separate_access_error(changes.commit(), Path::new("."))? {
        return Ok(Err(diagnostics));
    }
    for top in tops {
        SandboxPath::from_user_path(&top).remove_stale_files();
    }
    Ok(Ok(()))
}

/// Renaming over a link that a person typed would take the link away: what it leads to is replaced.
fn resolve_symlink(place: &SandboxPath) -> SandboxPath {
    if !place.relative.as_os_str().is_empty() {
        return place.clone();
    }
    let target = place.base.canonicalize().unwrap_or_else(|_| place.base.to_path_buf());
    let parent = target.parent().unwrap_or(Path::new(""));
    SandboxPath { base: parent.into(), relative: target.file_name().map(PathBuf::from).unwrap_or_default() }
}

fn unmanaged_file(path: &Path) -> Diagnostic {
    let message = format!("`{}` exists, but pillion did not write it", path.display());
    let list = file_list::FILE_NAME;
    Diagnostic::error(Code::UnmanagedFile, message)
        .at(Span::whole_file(path.to_string_lossy()))
        .help(format!("remove it, or choose another folder; `{list}` in the folder lists what pillion wrote"))
}

fn output_collision(path: &Path, first: &Arc<str>, second: &Arc<str>) -> Diagnostic {
    let message = format!("`{first}` and `{second}` would both be written to `{}`", path.display());
    Diagnostic::error(Code::OutputCollision, message)
        .at(Span::whole_file(second.clone()))
        .at(Span::whole_file(first.clone()))
        .help("render their folders one by one, or pass a folder that contains both")
}
