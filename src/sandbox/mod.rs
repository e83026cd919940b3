//! Accesses files of untrusted trees: through no symbolic link below a folder, regular and of limited size.
//!
//! A pull request may contain any tree, and so may a clone. This module is the only way to the files of one. It opens
//! each step of a path from the folder above, so that a swapped path element cannot redirect it.

mod repository_root;
mod transaction;

pub(crate) use repository_root::RepositoryRoot;
pub use transaction::{FileChangeError, FileTransaction};

use crate::diagnostics::{Code, Diagnostic, Span};
use cap_fs_ext::{DirExt as _, FollowSymlinks, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Files below a folder that are listed; the biggest repositories have some hundred thousand.
const MAX_LISTED_FILES: usize = 1_000_000;

#[cfg(target_os = "linux")]
thread_local! {
    /// The base folder that this thread opened last: most files that it reads have the same.
    static LAST_BASE: std::cell::RefCell<Option<(Arc<Path>, std::os::fd::OwnedFd)>> = const { std::cell::RefCell::new(None) };
}

/// A file or folder: where the way to it begins, and the way from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxPath {
    /// Opened as it is named, links and all: a person chose it.
    pub(crate) base: Arc<Path>,
    /// Plain names below it, none of which may be a symbolic link. Empty: `top` itself.
    pub(crate) relative: PathBuf,
}

impl Default for SandboxPath {
    fn default() -> Self {
        Self::from_user_path(Path::new(""))
    }
}

impl SandboxPath {
    /// Returns what a person named, whatever it is.
    pub fn from_user_path(path: &Path) -> Self {
        Self { base: path.into(), relative: PathBuf::new() }
    }

    /// Returns a place below this one.
    pub fn join(&self, relative: &Path) -> Self {
        Self { base: Arc::clone(&self.base), relative: self.relative.join(relative) }
    }

    /// Returns the path for messages and for the file system.
    pub(crate) fn path(&self) -> PathBuf {
        self.base.join(&self.relative)
    }

    /// Returns the first symbolic link on the way to it, where there is one.
    pub(crate) fn find_symlink(&self) -> Option<PathBuf> {
        let mut at = self.base.to_path_buf();
        self.relative.components().find_map(|step| {
            at.push(step);
            fs::symlink_metadata(&at).is_ok_and(|m| m.is_symlink()).then(|| at.clone())
        })
    }

    /// Reads a file of at most `most` bytes.
    ///
    /// # Errors
    /// When a link is on the way, or it is not a regular file, too large or not readable.
    pub(crate) fn read(&self, most: u64) -> Result<Vec<u8>, AccessError> {
        if self.relative.as_os_str().is_empty() {
            // What a person typed may be a pipe: `<(kustomize build …)`.
            return read_bounded(fs::File::open(&*self.base)?, most);
        }
        if let Some(file) = self.open_at_once() {
            let metadata = file.metadata()?;
            if metadata.is_file() {
                return read_opened(file, metadata.len(), most);
            }
        }
        let (folder, name) = self.parent()?;
        let is_regular = folder.symlink_metadata(&name)?.is_file();
        if !is_regular {
            return Err(self.irregular_file_error(&folder, &name));
        }
        let mut options = OpenOptions::new();
        // A pipe that takes the file's place in between must not be waited for.
        options.read(true).follow(FollowSymlinks::No).nonblock(true);
        let file = folder.open_with(&name, &options)?.into_std();
        match file.metadata()?.is_file() {
            true => read_bounded(file, most),
            false => Err(AccessError::NotRegularFile),
        }
    }

    /// Opens a file by one call of Linux, which refuses symbolic links on the whole way. None: the portable way opens it
    /// step by step, or says what is wrong with it.
    #[cfg(target_os = "linux")]
    fn open_at_once(&self) -> Option<fs::File> {
        use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
        if !self.relative.components().all(|step| matches!(step, Component::Normal(_))) {
            return None;
        }
        LAST_BASE.with_borrow_mut(|last| {
            if !last.as_ref().is_some_and(|(base, _)| Arc::ptr_eq(base, &self.base)) {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let folder = openat(CWD, or_current_dir(&self.base), flags, Mode::empty()).ok()?;
                *last = Some((Arc::clone(&self.base), folder));
            }
            let (_, folder) = last.as_ref()?;
            // A pipe must not be waited for, and a terminal must not become that of the process.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            openat2(folder, &self.relative, flags, Mode::empty(), resolve).ok().map(fs::File::from)
        })
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "as on Linux")]
    fn open_at_once(&self) -> Option<fs::File> {
        None
    }

    /// As [`SandboxPath::read`], but None if nothing is there.
    ///
    /// # Errors
    /// As [`SandboxPath::read`].
    pub(crate) fn read_if_exists(&self, most: u64) -> Result<Option<Vec<u8>>, AccessError> {
        match self.read(most) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(AccessError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// Returns what is below a folder and is not a folder, in order, and whether it is a regular file; `.git` is omitted. A
    /// folder that is not there holds nothing.
    ///
    /// # Errors
    /// When it is reached through a symbolic link, cannot be read, or holds more than a million files.
    pub(crate) fn list_files(&self) -> Result<Vec<(PathBuf, bool)>, AccessError> {
        let mut top = match open_base(&self.base) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let mut at = self.base.to_path_buf();
        for step in path_steps(&self.relative)? {
            at.push(&step);
            top = match open_subfolder(&top, &step, &at) {
                Err(AccessError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Vec::new());
                }
                opened => opened?,
            };
        }
        let (mut found, mut folders) = (Vec::new(), vec![(top, PathBuf::new())]);
        while let Some((folder, relative)) = folders.pop() {
            for entry in folder.entries()? {
                let entry = entry?;
                let (name, kind) = (entry.file_name(), entry.file_type()?);
                let path = relative.join(&name);
                if !kind.is_dir() {
                    found.push((path, kind.is_file()));
                } else if !name.eq_ignore_ascii_case(".git") {
                    folders.push((open_subfolder(&folder, &name, &self.path().join(&path))?, path));
                }
                if found.len() + folders.len() > MAX_LISTED_FILES {
                    let error = io::Error::other(format!("it holds more than {MAX_LISTED_FILES} files"));
                    return Err(AccessError::Io(error));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Opens the folder of a file, step by step, and returns it with the file's name there.
    fn parent(&self) -> Result<(Dir, OsString), AccessError> {
        let mut steps = path_steps(&self.relative)?;
        let Some(name) = steps.pop() else { return Err(AccessError::NotRegularFile) };
        let mut folder = open_base(&self.base)?;
        let mut at = self.base.to_path_buf();
        for step in steps {
            at.push(&step);
            folder = open_subfolder(&folder, &step, &at)?;
        }
        Ok((folder, name))
    }

    /// Returns the error for what is in the place of a regular file.
    fn irregular_file_error(&self, folder: &Dir, name: &OsString) -> AccessError {
        match folder.symlink_metadata(name) {
            Ok(found) if found.is_symlink() => AccessError::Symlink(self.path()),
            Ok(_) => AccessError::NotRegularFile,
            Err(error) => error.into(),
        }
    }
}

/// Returns a folder, `.` in place of the empty path.
pub(crate) fn or_current_dir(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// Opens the folder that a path begins at; the empty path is the working folder.
fn open_base(top: &Path) -> io::Result<Dir> {
    Dir::open_ambient_dir(or_current_dir(top), ambient_authority())
}

/// Opens a folder in a folder; `at` is its path for messages.
fn open_subfolder(folder: &Dir, name: &OsString, at: &Path) -> Result<Dir, AccessError> {
    folder.open_dir_nofollow(name).map_err(|error| match folder.symlink_metadata(name) {
        Ok(found) if found.is_symlink() => AccessError::Symlink(at.to_owned()),
        _ => AccessError::Io(error),
    })
}

/// Splits a path into its names; `..` and roots are errors.
fn path_steps(inner: &Path) -> Result<Vec<OsString>, AccessError> {
    let step = |component| match component {
        Component::Normal(name) => Ok(name.to_owned()),
        _ => Err(AccessError::Io(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path points outside of the folder",
        ))),
    };
    inner.components().map(step).collect()
}

fn read_bounded(file: fs::File, most: u64) -> Result<Vec<u8>, AccessError> {
    let expected = file.metadata()?.len();
    read_opened(file, expected, most)
}

/// Reads a file that has some number of bytes; 0 is also said of those that are made when they are read.
fn read_opened(file: fs::File, expected: u64, most: u64) -> Result<Vec<u8>, AccessError> {
    if expected > most {
        return Err(AccessError::TooLarge(most));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    // What is appended meanwhile belongs to the next run, so nothing looks for the end.
    let limit = if expected == 0 { most + 1 } else { expected };
    file.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(AccessError::TooLarge(most)) } else { Ok(bytes) }
}

/// Why a file is not touched.
#[derive(Debug)]
pub(crate) enum AccessError {
    /// This symbolic link is on the way to it, or is it.
    Symlink(PathBuf),
    /// It is a folder, a pipe, a device or a socket.
    NotRegularFile,
    /// It has more bytes than this.
    TooLarge(u64),
    /// Anything else, in the words of the system.
    Io(io::Error),
}

impl From<io::Error> for AccessError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl AccessError {
    /// Returns the finding about a file that is called `name`.
    pub(crate) fn to_diagnostic(&self, name: &str) -> Diagnostic {
        let at = |d: Diagnostic| d.at(Span::whole_file(name));
        match self {
            Self::Symlink(link) => {
                let link = display_path(link);
                let message = match link == name {
                    true => format!("`{name}` is a symbolic link, which pillion does not follow here"),
                    false => format!(
                        "`{name}` is reached through the symbolic link `{link}`, which pillion does not follow here"
                    ),
                };
                at(Diagnostic::error(Code::SymlinkOutside, message))
                    .help("replace the link with the file or folder itself; commit a regular file")
            }
            Self::NotRegularFile => {
                at(Diagnostic::error(Code::UnreadableFile, format!("`{name}` is not a regular file")))
                    .help("remove it, or replace it with a regular file")
            }
            Self::TooLarge(most) => at(Diagnostic::error(
                Code::FileTooLarge,
                format!("`{name}` has more than {} MiB", most >> 20),
            ))
            .help("split it, or exclude it with `ignore:` in pillion.yaml"),
            Self::Io(error) => {
                at(Diagnostic::error(Code::UnreadableFile, format!("`{name}` cannot be read: {error}")))
                    .help("check the name and the permissions of the file")
            }
        }
    }
}

/// Returns a path for messages: relative to the working folder where it is below.
pub(crate) fn display_path(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).to_string_lossy().into_owned()
}

/// Returns whether a path leads into the folder that git keeps for itself, with its configuration, hooks and credentials.
pub(crate) fn is_git_internal(path: &Path) -> bool {
    path.components().any(|step| step.as_os_str().eq_ignore_ascii_case(".git"))
}

/// Returns the finding about a name that holds a control character, where there is one: such a name would write
/// lines of its own into lists, logs and commit messages.
pub(crate) fn check_file_name(path: &Path) -> Option<Diagnostic> {
    let name = path.to_string_lossy();
    let found = name.chars().find(|c| c.is_control())?;
    let shown: String = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let message = format!("the name of `{shown}` holds the control character U+{:04X}", u32::from(found));
    Some(
        Diagnostic::error(Code::UnusableName, message)
            .at(Span::whole_file(shown.as_str()))
            .because("names appear in lists, logs and commit messages")
            .help("rename the file, or exclude it with `ignore:` in pillion.yaml"),
    )
}
