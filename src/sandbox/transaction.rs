//! Changes several files together: stages them, checks them, renames them, and reverts on a failure.

use super::{AccessError, SandboxPath, open_base, open_subfolder, path_steps};
use cap_fs_ext::DirExt as _;
use cap_std::fs::Dir;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The prefix of the folder for new files. The next run removes one that an ended program left.
const SCRATCH_PREFIX: &str = ".pillion-tmp-";
/// The file in it that is locked as long as its program runs.
const LOCK_FILE: &str = "lock";

/// A file could not be changed, and why.
#[derive(Debug)]
pub struct FileChangeError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub(crate) cause: AccessError,
}

/// Changes that are not visible yet.
#[derive(Debug, Default)]
pub struct FileTransaction {
    scratch_dirs: Vec<ScratchDir>,
    changes: Vec<FileChange>,
    /// Folders that were tested.
    writable_folders: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct FileChange {
    place: SandboxPath,
    /// The folder that its new file waits in, and the number there; None: it is removed.
    new_file: Option<(usize, usize)>,
}

/// What was done, to be taken back. It holds no open folder: there may be more changes than a program may open files.
enum UndoStep {
    CreatedFolder(SandboxPath),
    /// A file that was not there.
    CreatedFile(SandboxPath),
    /// A file with its earlier state kept under another name.
    ReplacedFile(SandboxPath, usize, String),
}

impl FileTransaction {
    /// Takes the new text of a file, and keeps it on the file system of `beside`, which is a folder or will be one.
    ///
    /// # Errors
    /// When a link is on the way, something else than a file is in its place, or it cannot be written.
    pub fn put(
        &mut self,
        place: &SandboxPath,
        beside: &SandboxPath,
        text: &[u8],
    ) -> Result<(), FileChangeError> {
        let failed = |reason| FileChangeError { path: place.path(), cause: reason };
        self.check_writable(place).map_err(failed)?;
        let waiting = self.scratch_dir_for(beside).map_err(failed)?;
        let number = self.changes.len();
        let mode = current_permissions(place);
        self.scratch_dirs[waiting].write(number, text, mode).map_err(|e| failed(e.into()))?;
        self.changes.push(FileChange { place: place.clone(), new_file: Some((waiting, number)) });
        Ok(())
    }

    /// Removes a file; one that is not there is no change.
    ///
    /// # Errors
    /// As [`FileTransaction::put`].
    pub fn remove(&mut self, place: &SandboxPath, beside: &SandboxPath) -> Result<(), FileChangeError> {
        let failed = |reason| FileChangeError { path: place.path(), cause: reason };
        self.check_writable(place).map_err(failed)?;
        // Where its earlier state waits, should a later change fail.
        self.scratch_dir_for(beside).map_err(failed)?;
        self.changes.push(FileChange { place: place.clone(), new_file: None });
        Ok(())
    }

    /// Makes the changes of another list after these.
    pub(crate) fn append(&mut self, other: Self) {
        let before = self.scratch_dirs.len();
        self.scratch_dirs.extend(other.scratch_dirs);
        self.changes.extend(other.changes.into_iter().map(|change| FileChange {
            new_file: change.new_file.map(|(waiting, number)| (waiting + before, number)),
            ..change
        }));
    }

    /// Tests that a file may be created or replaced, so that nothing has to be reverted later.
    fn check_writable(&mut self, place: &SandboxPath) -> Result<(), AccessError> {
        let mut steps = path_steps(&place.relative)?;
        let Some(name) = steps.pop() else { return Err(AccessError::NotRegularFile) };
        let mut folder = open_base(&place.base)?;
        let mut at = place.base.to_path_buf();
        for step in steps {
            match open_subfolder(&folder, &step, &at.join(&step)) {
                Ok(next) => folder = next,
                Err(AccessError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                    return self.check_folder_writable(&folder, at);
                }
                Err(refused) => return Err(refused),
            }
            at.push(step);
        }
        // A link is replaced and never written through; a folder or a device is in the way.
        if folder.symlink_metadata(&name).is_ok_and(|m| !m.is_file() && !m.is_symlink()) {
            return Err(AccessError::NotRegularFile);
        }
        self.check_folder_writable(&folder, at)
    }

    fn check_folder_writable(&mut self, folder: &Dir, at: PathBuf) -> Result<(), AccessError> {
        if self.writable_folders.contains(&at) {
            return Ok(());
        }
        remove_stale_scratch_dirs(folder);
        // A folder that is made tells more than permissions do: of file systems that are read-only, too.
        let probe = format!("{SCRATCH_PREFIX}{}-test", std::process::id());
        match folder.create_dir(&probe) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => drop(folder.remove_dir(&probe)),
        }
        self.writable_folders.insert(at);
        Ok(())
    }

    /// Finds or makes the folder in which new files wait: in `beside`, else in the last folder on the way to it.
    fn scratch_dir_for(&mut self, beside: &SandboxPath) -> Result<usize, AccessError> {
        let path = beside.path();
        if let Some(found) = self.scratch_dirs.iter().position(|w| w.requested_path == path) {
            return Ok(found);
        }
        let mut folder = open_base(&beside.base)?;
        let mut at = beside.base.to_path_buf();
        for step in path_steps(&beside.relative)? {
            at.push(&step);
            match open_subfolder(&folder, &step, &at) {
                Ok(next) => folder = next,
                Err(AccessError::Io(error)) if error.kind() == io::ErrorKind::NotFound => break,
                Err(refused) => return Err(refused),
            }
        }
        remove_stale_scratch_dirs(&folder);
        self.scratch_dirs.push(ScratchDir::create(path, folder)?);
        Ok(self.scratch_dirs.len() - 1)
    }

    /// Makes all changes, in order; where one fails, those before it are taken back.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn commit(self) -> Result<(), FileChangeError> {
        let mut done = Vec::new();
        for change in &self.changes {
            if let Err(reason) = self.apply_change(change, &mut done) {
                self.undo(done);
                return Err(FileChangeError { path: change.place.path(), cause: reason });
            }
        }
        Ok(())
    }

    fn apply_change(&self, change: &FileChange, done: &mut Vec<UndoStep>) -> Result<(), AccessError> {
        let mut steps = path_steps(&change.place.relative)?;
        let Some(name) = steps.pop() else { return Err(AccessError::NotRegularFile) };
        let mut folder = open_base(&change.place.base)?;
        let mut at = SandboxPath { relative: PathBuf::new(), ..change.place.clone() };
        for step in steps {
            at.relative.push(&step);
            if change.new_file.is_some() && folder.symlink_metadata(&step).is_err() {
                folder.create_dir(&step)?;
                done.push(UndoStep::CreatedFolder(at.clone()));
            }
            folder = match open_subfolder(&folder, &step, &at.path()) {
                Err(AccessError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                opened => opened?,
            };
        }
        let Some((waiting, number)) = change.new_file else {
            return self.apply_removal(&change.place, (&folder, &name), done);
        };
        let waiting_files = &self.scratch_dirs[waiting];
        match folder.symlink_metadata(&name) {
            Ok(found) if !found.is_file() && !found.is_symlink() => return Err(AccessError::NotRegularFile),
            Ok(_) => {
                let kept = format!("old-{}", done.len());
                back_up(&folder, &name, &waiting_files.dir, &kept)?;
                done.push(UndoStep::ReplacedFile(change.place.clone(), waiting, kept));
            }
            Err(_) => done.push(UndoStep::CreatedFile(change.place.clone())),
        }
        Ok(waiting_files.dir.rename(number.to_string(), &folder, &name)?)
    }

    fn apply_removal(
        &self,
        place: &SandboxPath,
        (folder, name): (&Dir, &OsStr),
        done: &mut Vec<UndoStep>,
    ) -> Result<(), AccessError> {
        let Some(last) = self.scratch_dirs.len().checked_sub(1) else { return Ok(()) };
        if folder.symlink_metadata(name).is_ok_and(|found| !found.is_file() && !found.is_symlink()) {
            return Err(AccessError::NotRegularFile);
        }
        let kept = format!("old-{}", done.len());
        match folder.rename(name, &self.scratch_dirs[last].dir, &kept) {
            Ok(()) => done.push(UndoStep::ReplacedFile(place.clone(), last, kept)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Takes back what was done, last first. What cannot be taken back stays: there is nothing else to be done.
    fn undo(&self, done: Vec<UndoStep>) {
        for done in done.into_iter().rev() {
            let (UndoStep::CreatedFolder(place)
            | UndoStep::CreatedFile(place)
            | UndoStep::ReplacedFile(place, ..)) = &done;
            let Ok((folder, name)) = place.parent() else { continue };
            drop(match done {
                UndoStep::CreatedFolder(_) => folder.remove_dir(name),
                UndoStep::CreatedFile(_) => folder.remove_file(name),
                UndoStep::ReplacedFile(_, waiting, kept) => {
                    self.scratch_dirs[waiting].dir.rename(kept, &folder, name)
                }
            });
        }
    }
}

/// Keeps the present state of a file under another name. It stays where it is, but on file systems without hard links.
fn back_up(folder: &Dir, name: &OsStr, to: &Dir, kept: &str) -> io::Result<()> {
    folder.hard_link(name, to, kept).or_else(|_| folder.rename(name, to, kept))
}

/// The permissions of a file that is replaced.
fn current_permissions(place: &SandboxPath) -> Option<fs::Permissions> {
    let found = fs::symlink_metadata(place.path()).ok()?;
    found.is_file().then(|| found.permissions())
}

/// A folder in which new files wait; it goes away with this value.
#[derive(Debug)]
struct ScratchDir {
    /// Where it was asked for.
    requested_path: PathBuf,
    parent: Dir,
    name: String,
    dir: Dir,
    lock: Option<fs::File>,
}

impl ScratchDir {
    fn create(beside: PathBuf, parent: Dir) -> io::Result<Self> {
        let own = std::process::id();
        for number in 0..1000 {
            let name = format!("{SCRATCH_PREFIX}{own}-{number}");
            match parent.create_dir(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            let dir = parent.open_dir_nofollow(&name)?;
            let Ok(lock) = dir.create(LOCK_FILE) else { continue };
            let lock = lock.into_std();
            // Where files cannot be locked, leftovers are not removed either.
            if !matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)) {
                return Ok(Self { requested_path: beside, parent, name, dir, lock: Some(lock) });
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "there are too many folders of temporary files"))
    }

    /// Writes a file to where it waits. Thousands wait at once: they are not open files.
    fn write(&self, number: usize, text: &[u8], mode: Option<fs::Permissions>) -> io::Result<()> {
        let mut file = self.dir.create(number.to_string())?.into_std();
        file.write_all(text)?;
        mode.map_or(Ok(()), |mode| file.set_permissions(mode))
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        drop(self.lock.take());
        drop(self.parent.remove_dir_all(&self.name));
    }
}

/// Removes what killed runs left in a folder.
fn remove_stale_scratch_dirs(folder: &Dir) {
    for entry in folder.entries().into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(SCRATCH_PREFIX) {
            continue;
        }
        let Ok(left) = folder.open_dir_nofollow(&name) else { continue };
        let lock = left.symlink_metadata(LOCK_FILE).ok().filter(cap_std::fs::Metadata::is_file);
        let is_dead =
            lock.is_some() && left.open(LOCK_FILE).is_ok_and(|lock| lock.into_std().try_lock().is_ok());
        drop(match is_dead {
            true => folder.remove_dir_all(&name),
            // Killed before it had a lock, or just about to take one: only an empty folder goes.
            false => folder.remove_dir(&name),
        });
    }
}

impl SandboxPath {
    /// Removes the folders above a file below this one that are empty.
    pub(crate) fn remove_empty_folders(&self, relative: &Path) {
        for folder in relative.ancestors().skip(1).filter(|f| !f.as_os_str().is_empty()) {
            // A folder that is not empty stays, and so do those above it.
            let above = self.join(folder).parent();
            if above.and_then(|(above, name)| Ok(above.remove_dir(name)?)).is_err() {
                break;
            }
        }
    }

    /// Removes the folders of temporary files that killed runs left in this folder.
    pub(crate) fn remove_stale_files(&self) {
        let folder = match self.relative.as_os_str().is_empty() {
            true => open_base(&self.base).ok(),
            false => self.parent().ok().and_then(|(above, name)| above.open_dir_nofollow(name).ok()),
        };
        if let Some(folder) = folder {
            remove_stale_scratch_dirs(&folder);
        }
    }
}
