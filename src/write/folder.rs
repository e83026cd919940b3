//! A folder of rendered files: written beside and renamed, without what is no longer made, and never anything
//! that pillion did not write.

use super::Failure;
use crate::diag::{Code, Diagnostic, Label};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// The file that lists what pillion wrote into a folder, one path a line, sorted.
pub const INDEX: &str = ".pillion-files";

/// A folder that holds rendered files, and the new state it is to have.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// What pillion wrote earlier.
    known: BTreeSet<String>,
    /// What there will be.
    made: BTreeSet<String>,
    /// Files with new bytes, waiting beside their place.
    staged: Vec<(TempPath, PathBuf)>,
    written: usize,
}

impl Folder {
    /// Opens a folder; it need not exist yet.
    pub fn open(root: &Path) -> Self {
        let known = fs::read_to_string(root.join(INDEX)).unwrap_or_default();
        // A line that leads out of the folder was not written by pillion.
        let known = known.lines().filter(|l| is_inside(Path::new(l))).map(str::to_owned).collect();
        Self { root: root.to_owned(), known, made: BTreeSet::new(), staged: Vec::new(), written: 0 }
    }

    /// Returns the present text of a file.
    pub fn present(&self, relative: &Path) -> Option<String> {
        fs::read_to_string(self.root.join(relative)).ok()
    }

    /// Takes note that a file belongs to the new state, without writing it.
    pub fn expect_file(&mut self, relative: &Path) {
        self.made.insert(slashes(relative));
    }

    /// Takes the new text of a file. Nothing is visible until [`Folder::commit`].
    ///
    /// # Errors
    /// The outer one when the file system fails; the inner one when another program's file is in the way.
    pub fn put(&mut self, relative: &Path, text: &str) -> Result<Result<(), Box<Diagnostic>>, Failure> {
        let name = slashes(relative);
        let target = self.root.join(relative);
        if !self.made.insert(name.clone()) {
            return Ok(Err(Box::new(collision(&target))));
        }
        match fs::read(&target) {
            Ok(present) if present == text.as_bytes() => return Ok(Ok(())),
            Ok(_) if !self.known.contains(&name) => return Ok(Err(Box::new(not_ours(&target)))),
            _ => {}
        }
        let staged = stage(&target, text).map_err(|source| failure(&target, source))?;
        self.staged.push((staged, target));
        Ok(Ok(()))
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
    pub fn commit(mut self) -> Result<(usize, usize), Failure> {
        for (staged, target) in std::mem::take(&mut self.staged) {
            staged.persist(&target).map_err(|e| failure(&target, e.error))?;
            self.written += 1;
        }
        let stale: Vec<String> = self.stale().map(str::to_owned).collect();
        for name in &stale {
            let target = self.root.join(name);
            match fs::remove_file(&target) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failure(&target, e)),
                _ => self.remove_empty_parents(&target),
            }
        }
        self.write_index()?;
        Ok((self.written, stale.len()))
    }

    fn remove_empty_parents(&self, file: &Path) {
        for folder in file.ancestors().skip(1).take_while(|f| *f != self.root) {
            // A folder that is not empty stays, and so do those above it.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }

    fn write_index(&self) -> Result<(), Failure> {
        if self.known == self.made {
            return Ok(());
        }
        let text: String = self.made.iter().map(|name| format!("{name}\n")).collect();
        replace_file(&self.root.join(INDEX), &text)
    }
}

/// Writes a file beside its place and renames it, keeping its permissions.
///
/// # Errors
/// When the file system fails; the old file is then still there.
pub fn replace_file(target: &Path, text: &str) -> Result<(), Failure> {
    // Renaming over a link would take the link away and leave the file it leads to.
    let target = &target.canonicalize().unwrap_or_else(|_| target.to_owned());
    let staged = stage(target, text).map_err(|source| failure(target, source))?;
    staged.persist(target).map_err(|e| failure(target, e.error))?;
    Ok(())
}

fn stage(target: &Path, text: &str) -> std::io::Result<TempPath> {
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".pillion-");
    let permissions = match fs::metadata(target) {
        Ok(present) => Some(present.permissions()),
        Err(_) => None,
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The mode that any other program's new file would have; the umask takes its part.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    // Thousands of files wait at once: only their names may, no open files.
    Ok(file.into_temp_path())
}

fn failure(path: &Path, source: std::io::Error) -> Failure {
    Failure::Write { path: path.display().to_string(), source }
}

fn is_inside(path: &Path) -> bool {
    path.components().all(|c| matches!(c, std::path::Component::Normal(_)))
}

/// The path with `/` on every system, as the index holds it.
fn slashes(path: &Path) -> String {
    path.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn not_ours(path: &Path) -> Diagnostic {
    let message = format!("`{}` is in the way: pillion did not write it", path.display());
    Diagnostic::error(Code::FileNotOurs, message).at(Label::whole_file(path.to_string_lossy())).help(format!(
        "remove it, or choose another folder; `{INDEX}` in the folder lists what pillion wrote"
    ))
}

fn collision(path: &Path) -> Diagnostic {
    let message = format!("two inputs would be written to `{}`", path.display());
    Diagnostic::error(Code::OutputCollision, message)
        .at(Label::whole_file(path.to_string_lossy()))
        .help("render their folders one by one, or name a folder that holds both")
}
