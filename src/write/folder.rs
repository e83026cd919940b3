//! A folder of rendered files: written beside and renamed, without what is no longer made, and never anything
//! that pillion did not write.

use super::Failure;
use crate::diag::{Code, Diagnostic, Label};
use crate::model::file_list::{self, slashes};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A folder that holds rendered files, and the new state it is to have.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// What pillion wrote earlier.
    known: BTreeSet<String>,
    /// What there will be.
    made: BTreeSet<String>,
    /// The input that each of these files is made from.
    inputs: BTreeMap<String, Arc<str>>,
    /// Folders below which no link leads elsewhere.
    plain: BTreeSet<PathBuf>,
    /// A folder on the same file system, in which new files wait; it goes away with this value.
    waiting: Option<TempDir>,
    /// Where the waiting files go: the n-th file's place.
    staged: Vec<PathBuf>,
}

impl Folder {
    /// Opens a folder; it need not exist yet.
    pub fn open(root: &Path) -> Self {
        let list = fs::read_to_string(root.join(file_list::NAME)).unwrap_or_default();
        Self {
            root: root.to_owned(),
            known: file_list::parse(&list),
            made: BTreeSet::new(),
            inputs: BTreeMap::new(),
            plain: BTreeSet::new(),
            waiting: None,
            staged: Vec::new(),
        }
    }

    /// Returns the present text of a file.
    pub fn present(&self, relative: &Path) -> Option<String> {
        fs::read_to_string(self.root.join(relative)).ok()
    }

    /// Takes note that a file belongs to the new state, without writing it.
    ///
    /// # Errors
    /// When another input has the same place.
    pub fn expect_file(&mut self, relative: &Path, input: &Arc<str>) -> Result<(), Box<Diagnostic>> {
        let name = slashes(relative);
        if let Some(first) = self.inputs.insert(name.clone(), Arc::clone(input)) {
            return Err(Box::new(collision(&self.root.join(relative), &first, input)));
        }
        self.made.insert(name);
        Ok(())
    }

    /// Takes the new text of a file, made from `input`. Nothing is visible until [`Folder::commit`].
    ///
    /// # Errors
    /// The outer one when the file system fails; the inner one when something is in the way.
    pub fn put(
        &mut self,
        relative: &Path,
        input: &Arc<str>,
        text: &str,
    ) -> Result<Result<(), Box<Diagnostic>>, Failure> {
        if let Err(wrong) = self.expect_file(relative, input) {
            return Ok(Err(wrong));
        }
        if let Some(link) = self.link_above(relative) {
            return Ok(Err(Box::new(through_link(&link))));
        }
        let (name, target) = (slashes(relative), self.root.join(relative));
        let is_known = self.known.contains(&name);
        match fs::read(&target) {
            Ok(present) if present == text.as_bytes() => {
                if !is_known {
                    // It happens to be right, and stays another program's: it is not to be removed one day.
                    self.made.remove(&name);
                }
                return Ok(Ok(()));
            }
            Ok(_) if !is_known => return Ok(Err(Box::new(not_ours(&target)))),
            _ => {}
        }
        self.stage(&target, text).map_err(|source| failure(&target, source))?;
        self.staged.push(target);
        Ok(Ok(()))
    }

    /// Returns the symbolic link on the way to a file, if there is one: it would lead out of the folder.
    fn link_above(&mut self, relative: &Path) -> Option<PathBuf> {
        let parent = self.root.join(relative).parent()?.to_owned();
        if self.plain.contains(&parent) {
            return None;
        }
        let is_link = |f: &&Path| fs::symlink_metadata(f).is_ok_and(|m| m.is_symlink());
        let link = parent.ancestors().take_while(|a| *a != self.root).find(is_link).map(Path::to_owned);
        if link.is_none() {
            self.plain.insert(parent);
        }
        link
    }

    /// Writes a file to where it waits. Thousands wait at once: they are no open files.
    fn stage(&mut self, target: &Path, text: &str) -> std::io::Result<()> {
        let waiting = match &self.waiting {
            Some(waiting) => waiting,
            None => {
                let existing = self.root.ancestors().find(|a| a.is_dir()).unwrap_or(Path::new("."));
                self.waiting.insert(tempfile::Builder::new().prefix(".pillion-").tempdir_in(existing)?)
            }
        };
        let file = waiting.path().join(self.staged.len().to_string());
        fs::write(&file, text)?;
        match fs::metadata(target) {
            Ok(present) => fs::set_permissions(&file, present.permissions()),
            Err(_) => Ok(()),
        }
    }

    /// Returns what pillion wrote earlier and makes no longer.
    pub fn stale(&self) -> impl Iterator<Item = &str> {
        self.known.difference(&self.made).map(String::as_str)
    }

    /// Puts every new file in its place, and removes what is no longer made. Returns how many files were
    /// written and how many removed.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn commit(self) -> Result<(usize, usize), Failure> {
        // A run that is killed on the way must not disown what it has written.
        self.write_index(&self.known.union(&self.made).cloned().collect(), &self.known)?;
        if let Some(waiting) = &self.waiting {
            for (n, target) in self.staged.iter().enumerate() {
                let folder = target.parent().unwrap_or(Path::new("."));
                fs::create_dir_all(folder)
                    .and_then(|()| fs::rename(waiting.path().join(n.to_string()), target))
                    .map_err(|source| failure(target, source))?;
            }
        }
        let stale: Vec<String> = self.stale().map(str::to_owned).collect();
        for name in &stale {
            let target = self.root.join(name);
            match fs::remove_file(&target) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failure(&target, e)),
                _ => self.remove_empty_parents(&target),
            }
        }
        self.write_index(&self.made, &self.known.union(&self.made).cloned().collect())?;
        Ok((self.staged.len(), stale.len()))
    }

    fn remove_empty_parents(&self, file: &Path) {
        for folder in file.ancestors().skip(1).take_while(|f| *f != self.root) {
            // A folder that is not empty stays, and so do those above it.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }

    fn write_index(&self, names: &BTreeSet<String>, present: &BTreeSet<String>) -> Result<(), Failure> {
        if names == present {
            return Ok(());
        }
        fs::create_dir_all(&self.root).map_err(|source| failure(&self.root, source))?;
        replace_file(&self.root.join(file_list::NAME), &file_list::emit(names))
    }
}

/// Writes a file beside its place and renames it, keeping its permissions.
///
/// # Errors
/// When the file system fails; the old file is then still there.
pub fn replace_file(target: &Path, text: &str) -> Result<(), Failure> {
    // Renaming over a link would take the link away and leave the file it leads to.
    let target = &target.canonicalize().unwrap_or_else(|_| target.to_owned());
    let source = |source| failure(target, source);
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The mode that any other program's new file would have; the umask takes its part.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut staged = builder.prefix(".pillion-").tempfile_in(folder).map_err(source)?;
    staged.write_all(text.as_bytes()).map_err(source)?;
    if let Ok(present) = fs::metadata(target) {
        staged.as_file().set_permissions(present.permissions()).map_err(source)?;
    }
    staged.persist(target).map_err(|e| source(e.error))?;
    Ok(())
}

fn failure(path: &Path, source: std::io::Error) -> Failure {
    Failure::Write { path: path.display().to_string(), source }
}

fn not_ours(path: &Path) -> Diagnostic {
    let message = format!("`{}` is in the way: pillion did not write it", path.display());
    let list = file_list::NAME;
    Diagnostic::error(Code::FileNotOurs, message)
        .at(Label::whole_file(path.to_string_lossy()))
        .help(format!("remove it, or choose another folder; `{list}` in the folder lists what pillion wrote"))
}

fn through_link(link: &Path) -> Diagnostic {
    let message = format!("`{}` is a symbolic link: nothing is written through it", link.display());
    Diagnostic::error(Code::LinkOutside, message)
        .at(Label::whole_file(link.to_string_lossy()))
        .help("remove it, or choose another folder")
}

fn collision(path: &Path, first: &Arc<str>, second: &Arc<str>) -> Diagnostic {
    let message = format!("`{first}` and `{second}` would both be written to `{}`", path.display());
    Diagnostic::error(Code::OutputCollision, message)
        .at(Label::whole_file(second.clone()))
        .at(Label::whole_file(first.clone()))
        .help("render their folders one by one, or name a folder that holds both")
}
