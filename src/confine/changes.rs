//! Changes of files that become visible together: staged beside, tested, renamed, and taken back where one fails.

use super::{Place, Refusal, open_below, open_top, steps};
use cap_fs_ext::DirExt as _;
use cap_std::fs::Dir;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// How the folder is called in which new files wait. One whose program is gone is removed by the next run.
const WAITING: &str = ".pillion-tmp-";
/// The file in it that is locked as long as its program runs.
const LOCK: &str = "lock";

/// A file could not be changed, and why.
#[derive(Debug)]
pub struct Failed {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: Refusal,
}

/// Changes that are not visible yet.
#[derive(Debug, Default)]
pub struct Changes {
    waiting: Vec<Waiting>,
    list: Vec<Change>,
    /// Folders that were tested.
    tested: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct Change {
    place: Place,
    /// The folder that its new file waits in, and the number there; None: it is removed.
    new: Option<(usize, usize)>,
}

/// What was done, to be taken back.
enum Done {
    Folder(Dir, OsString),
    /// A file that was not there.
    Made(Dir, OsString),
    /// A file whose earlier state waits under a name.
    Replaced(Dir, OsString, usize, String),
}

impl Changes {
    /// Takes the new text of a file; `beside` is a folder, or will be one, on whose file system it waits.
    ///
    /// # Errors
    /// When a link is on the way, something else than a file is in its place, or it cannot be written.
    pub fn put(&mut self, place: &Place, beside: &Place, text: &[u8]) -> Result<(), Failed> {
        let failed = |why| Failed { path: place.path(), why };
        self.test(place).map_err(failed)?;
        let waiting = self.waiting_at(beside).map_err(failed)?;
        let number = self.list.len();
        let mode = present_mode(place);
        self.waiting[waiting].write(number, text, mode).map_err(|e| failed(e.into()))?;
        self.list.push(Change { place: place.clone(), new: Some((waiting, number)) });
        Ok(())
    }

    /// Removes a file; one that is not there is no change.
    ///
    /// # Errors
    /// As [`Changes::put`].
    pub fn remove(&mut self, place: &Place, beside: &Place) -> Result<(), Failed> {
        let failed = |why| Failed { path: place.path(), why };
        self.test(place).map_err(failed)?;
        // Where its earlier state waits, should a later change fail.
        self.waiting_at(beside).map_err(failed)?;
        self.list.push(Change { place: place.clone(), new: None });
        Ok(())
    }

    /// Makes the changes of another list after these.
    pub fn append(&mut self, other: Self) {
        let before = self.waiting.len();
        self.waiting.extend(other.waiting);
        self.list.extend(other.list.into_iter().map(|change| Change {
            new: change.new.map(|(waiting, number)| (waiting + before, number)),
            ..change
        }));
    }

    /// Tests that a file may be made or replaced: nobody has to take back what is known to fail.
    fn test(&mut self, place: &Place) -> Result<(), Refusal> {
        let mut steps = steps(&place.inner)?;
        let Some(name) = steps.pop() else { return Err(Refusal::NotRegular) };
        let mut folder = open_top(&place.top)?;
        let mut at = place.top.to_path_buf();
        for step in steps {
            match open_below(&folder, &step, &at.join(&step)) {
                Ok(next) => folder = next,
                Err(Refusal::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                    return self.test_folder(&folder, at);
                }
                Err(refused) => return Err(refused),
            }
            at.push(step);
        }
        // A link is replaced and never written through; a folder or a device is in the way.
        if folder.symlink_metadata(&name).is_ok_and(|m| !m.is_file() && !m.is_symlink()) {
            return Err(Refusal::NotRegular);
        }
        self.test_folder(&folder, at)
    }

    fn test_folder(&mut self, folder: &Dir, at: PathBuf) -> Result<(), Refusal> {
        if self.tested.contains(&at) {
            return Ok(());
        }
        clean(folder);
        // A folder that is made tells more than permissions do: of file systems that are read-only, too.
        let probe = format!("{WAITING}{}-test", std::process::id());
        match folder.create_dir(&probe) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => drop(folder.remove_dir(&probe)),
        }
        self.tested.insert(at);
        Ok(())
    }

    /// Finds or makes the folder in which new files wait: in `beside`, else in the last folder on the way to it.
    fn waiting_at(&mut self, beside: &Place) -> Result<usize, Refusal> {
        let path = beside.path();
        if let Some(found) = self.waiting.iter().position(|w| w.beside == path) {
            return Ok(found);
        }
        let mut folder = open_top(&beside.top)?;
        let mut at = beside.top.to_path_buf();
        for step in steps(&beside.inner)? {
            at.push(&step);
            match open_below(&folder, &step, &at) {
                Ok(next) => folder = next,
                Err(Refusal::Io(error)) if error.kind() == io::ErrorKind::NotFound => break,
                Err(refused) => return Err(refused),
            }
        }
        clean(&folder);
        self.waiting.push(Waiting::make(path, folder)?);
        Ok(self.waiting.len() - 1)
    }

    /// Makes all changes, in order; where one fails, those before it are taken back.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn commit(self) -> Result<(), Failed> {
        let mut done = Vec::new();
        for change in &self.list {
            if let Err(why) = self.make(change, &mut done) {
                self.take_back(done);
                return Err(Failed { path: change.place.path(), why });
            }
        }
        Ok(())
    }

    fn make(&self, change: &Change, done: &mut Vec<Done>) -> Result<(), Refusal> {
        let mut steps = steps(&change.place.inner)?;
        let Some(name) = steps.pop() else { return Err(Refusal::NotRegular) };
        let mut folder = open_top(&change.place.top)?;
        let mut at = change.place.top.to_path_buf();
        for step in steps {
            at.push(&step);
            if change.new.is_some() && folder.symlink_metadata(&step).is_err() {
                folder.create_dir(&step)?;
                done.push(Done::Folder(folder.try_clone()?, step.clone()));
            }
            folder = match open_below(&folder, &step, &at) {
                Err(Refusal::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                opened => opened?,
            };
        }
        let Some((waiting, number)) = change.new else {
            return self.take_away(&folder, name, done);
        };
        let waiting_files = &self.waiting[waiting];
        match folder.symlink_metadata(&name) {
            Ok(found) if !found.is_file() && !found.is_symlink() => return Err(Refusal::NotRegular),
            Ok(_) => {
                let kept = format!("old-{}", done.len());
                keep(&folder, &name, &waiting_files.dir, &kept)?;
                done.push(Done::Replaced(folder.try_clone()?, name.clone(), waiting, kept));
            }
            Err(_) => done.push(Done::Made(folder.try_clone()?, name.clone())),
        }
        Ok(waiting_files.dir.rename(number.to_string(), &folder, &name)?)
    }

    fn take_away(&self, folder: &Dir, name: OsString, done: &mut Vec<Done>) -> Result<(), Refusal> {
        let Some(last) = self.waiting.len().checked_sub(1) else { return Ok(()) };
        if folder.symlink_metadata(&name).is_ok_and(|found| !found.is_file() && !found.is_symlink()) {
            return Err(Refusal::NotRegular);
        }
        let kept = format!("old-{}", done.len());
        match folder.rename(&name, &self.waiting[last].dir, &kept) {
            Ok(()) => done.push(Done::Replaced(folder.try_clone()?, name, last, kept)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Takes back what was done, last first. What cannot be taken back stays: there is nothing else to be done.
    fn take_back(&self, done: Vec<Done>) {
        for done in done.into_iter().rev() {
            drop(match done {
                Done::Folder(folder, name) => folder.remove_dir(name),
                Done::Made(folder, name) => folder.remove_file(name),
                Done::Replaced(folder, name, waiting, kept) => {
                    self.waiting[waiting].dir.rename(kept, &folder, name)
                }
            });
        }
    }
}

/// Keeps the present state of a file under another name. It stays where it is, but on file systems without hard links.
fn keep(folder: &Dir, name: &OsStr, to: &Dir, kept: &str) -> io::Result<()> {
    folder.hard_link(name, to, kept).or_else(|_| folder.rename(name, to, kept))
}

/// The permissions of a file that is replaced.
fn present_mode(place: &Place) -> Option<fs::Permissions> {
    let found = fs::symlink_metadata(place.path()).ok()?;
    found.is_file().then(|| found.permissions())
}

/// A folder in which new files wait; it goes away with this value.
#[derive(Debug)]
struct Waiting {
    /// Where it was asked for.
    beside: PathBuf,
    parent: Dir,
    name: String,
    dir: Dir,
    lock: Option<fs::File>,
}

impl Waiting {
    fn make(beside: PathBuf, parent: Dir) -> io::Result<Self> {
        let own = std::process::id();
        for number in 0..1000 {
            let name = format!("{WAITING}{own}-{number}");
            match parent.create_dir(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            let dir = parent.open_dir_nofollow(&name)?;
            let Ok(lock) = dir.create(LOCK) else { continue };
            let lock = lock.into_std();
            // Where files cannot be locked, leftovers are not removed either.
            if !matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)) {
                return Ok(Self { beside, parent, name, dir, lock: Some(lock) });
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "there are too many folders of temporary files"))
    }

    /// Writes a file to where it waits. Thousands wait at once: they are no open files.
    fn write(&self, number: usize, text: &[u8], mode: Option<fs::Permissions>) -> io::Result<()> {
        let mut file = self.dir.create(number.to_string())?.into_std();
        file.write_all(text)?;
        mode.map_or(Ok(()), |mode| file.set_permissions(mode))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.lock.take());
        drop(self.parent.remove_dir_all(&self.name));
    }
}

/// Removes what killed runs left in a folder.
fn clean(folder: &Dir) {
    for entry in folder.entries().into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(WAITING) {
            continue;
        }
        let Ok(left) = folder.open_dir_nofollow(&name) else { continue };
        let lock = left.symlink_metadata(LOCK).ok().filter(cap_std::fs::Metadata::is_file);
        let is_dead = lock.is_some() && left.open(LOCK).is_ok_and(|lock| lock.into_std().try_lock().is_ok());
        drop(match is_dead {
            true => folder.remove_dir_all(&name),
            // Killed before it had a lock, or just about to take one: only an empty folder goes.
            false => folder.remove_dir(&name),
        });
    }
}

impl Place {
    /// Removes the folders above a file below this one that are empty.
    pub fn remove_empty_folders(&self, relative: &Path) {
        for folder in relative.ancestors().skip(1).filter(|f| !f.as_os_str().is_empty()) {
            // A folder that is not empty stays, and so do those above it.
            let above = self.join(folder).parent();
            if above.and_then(|(above, name)| Ok(above.remove_dir(name)?)).is_err() {
                break;
            }
        }
    }

    /// Removes the folders of temporary files that killed runs left in this folder.
    pub fn remove_leftovers(&self) {
        let folder = match self.inner.as_os_str().is_empty() {
            true => open_top(&self.top).ok(),
            false => self.parent().ok().and_then(|(above, name)| above.open_dir_nofollow(name).ok()),
        };
        if let Some(folder) = folder {
            clean(&folder);
        }
    }
}
