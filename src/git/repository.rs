//! Opens repositories and describes the kind of clone.

use super::git_command::{GitOutput, base_command, git_subcommand, run_command};
use super::{Error, GitCommand, StopToken, find_git_dir};
use git2::{ErrorClass, ErrorCode};
use std::cell::Cell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A git repository, opened for its objects and refs.
///
/// It can be moved to another thread, but not shared: to read blobs on several, see
/// [`Repository::blob_reader`](super::Repository::blob_reader).
pub struct Repository {
    pub(super) inner: git2::Repository,
    pub(super) git_command: GitCommand,
    /// Whether git's configuration was checked for programs from files of the working tree.
    pub(super) is_config_checked: Cell<bool>,
}

impl Repository {
    /// Opens the repository of a path, looking upwards; a `.git` folder is fine, too, and a bare repository if
    /// [`find_git_dir`] accepts it.
    ///
    /// # Errors
    /// When there is none that counts, or it is of a form that libgit2 cannot read (SHA-256, reftable).
    pub fn discover(from: &Path) -> Result<Self, Error> {
        Self::open(&find_git_dir(from)?)
    }

    /// Opens a repository by its `.git` folder, as GIT_DIR names it.
    ///
    /// # Errors
    /// As [`Repository::discover`].
    pub fn open(git_dir: &Path) -> Result<Self, Error> {
        if let Some(reason) = unsupported_reason(git_dir) {
            return Err(Error::Unsupported { path: git_dir.display().to_string(), reason });
        }
        match git2::Repository::open(git_dir) {
            Ok(inner) => {
                Ok(Self { inner, git_command: GitCommand::default(), is_config_checked: Cell::new(false) })
            }
            Err(e) => Err(open_error(git_dir, e)),
        }
    }

    /// Sets how git and the signing programs are started.
    #[must_use]
    pub fn with_git_command(self, git_command: GitCommand) -> Self {
        Self { git_command, ..self }
    }

    /// Lets programs that run for this repository stop on request: each has its own process group, which is ended as
    /// a whole.
    pub(crate) fn set_stop(&mut self, stop: StopToken) {
        self.git_command.stop = Some(stop);
    }

    /// Opens the same repository again, for another thread.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub(crate) fn reopen(&self) -> Result<Self, Error> {
        Ok(Self::open(self.git_dir())?.with_git_command(self.git_command.clone()))
    }

    /// Returns the root of the working tree; none for a bare repository.
    pub fn root(&self) -> Option<&Path> {
        self.inner.workdir()
    }

    /// Returns the path of a file or folder below the root of the working tree; None: it does not exist or is elsewhere.
    pub(crate) fn path_in_working_tree(&self, path: &Path) -> Option<PathBuf> {
        let root = self.root()?.canonicalize().ok()?;
        Some(path.canonicalize().ok()?.strip_prefix(root).ok()?.to_owned())
    }

    /// Returns the path of the working folder below the root of the working tree; empty: the root, or a bare repository.
    pub(crate) fn working_folder(&self) -> PathBuf {
        self.path_in_working_tree(Path::new(".")).unwrap_or_default()
    }

    /// Returns the folder with the HEAD of this working tree, usually `.git`.
    pub(crate) fn git_dir(&self) -> &Path {
        self.inner.path()
    }

    /// Returns whether the repository has no working tree.
    pub fn is_bare(&self) -> bool {
        self.inner.is_bare()
    }

    /// Returns whether the history is cut off, as by `git clone --depth`.
    pub fn is_shallow(&self) -> bool {
        self.inner.is_shallow()
    }

    /// Returns whether blobs may be missing until they are requested, as after `git clone --filter`.
    pub fn is_partial(&self) -> bool {
        let promised = || -> Result<bool, git2::Error> {
            let config = self.inner.config()?;
            let mut entries = config.entries(Some(r"^remote\..*\.promisor$"))?;
            Ok(entries.next().is_some_and(|e| e.is_ok()))
        };
        promised().unwrap_or(false)
    }

    /// Returns whether HEAD names a commit instead of a branch, as CI systems leave it.
    pub fn is_detached(&self) -> bool {
        self.inner.head_detached().unwrap_or(false)
    }

    /// Returns the full name of the branch that HEAD names (`refs/heads/main`); none if it is detached.
    pub fn head_branch(&self) -> Option<String> {
        self.symbolic_target("HEAD")
    }

    /// Returns the full name of the ref that a symbolic ref names; none if it is not symbolic.
    pub(crate) fn symbolic_target(&self, name: &str) -> Option<String> {
        let found = self.inner.find_reference(name).ok()?;
        found.symbolic_target().ok()?.map(str::to_owned)
    }

    /// Runs git in this repository, for fetch, push or signing.
    pub(super) fn git(&self, args: &[&str]) -> Result<GitOutput, Error> {
        self.check_config_includes()?;
        self.run_git(args)
    }

    /// As [`Self::git`], without checking git's configuration.
    pub(super) fn run_git(&self, args: &[&str]) -> Result<GitOutput, Error> {
        let command = git_subcommand(Some(self.git_dir()), self.root(), args, &self.git_command);
        let action =
            args.iter().find(|a| !a.starts_with('-') && !a.contains('=')).copied().unwrap_or_default();
        run_command(command, &format!("git {action}"), Vec::new(), &self.git_command)
    }

    /// Builds a command in the working tree.
    pub(super) fn command(&self, program: &OsStr) -> Command {
        base_command(program, self.root().unwrap_or(self.git_dir()), &self.git_command)
    }

    /// Runs a command to its end.
    pub(super) fn run(&self, command: Command, name: &str, input: Vec<u8>) -> Result<GitOutput, Error> {
        run_command(command, name, input, &self.git_command)
    }

    /// Returns the hint for a missing object.
    pub(super) fn missing_hint(&self) -> &'static str {
        if self.is_partial() {
            "this is a partial clone (`git clone --filter`), which leaves out what pillion has to read: clone again without `--filter`"
        } else if self.is_shallow() {
            "this is a shallow clone: run `git fetch --unshallow` (in CI: check out with the whole history)"
        } else {
            "the repository is damaged: run `git fsck` for details, or clone it again"
        }
    }
}

/// Returns why libgit2 cannot read a repository, from its configuration.
fn unsupported_reason(git_dir: &Path) -> Option<String> {
    let common = std::fs::read_to_string(git_dir.join("commondir")).ok();
    let common = common.map_or_else(|| git_dir.to_owned(), |c| git_dir.join(c.trim_end()));
    let config = git2::Config::open(&common.join("config")).ok()?;
    let extension = |name: &str| config.get_string(&format!("extensions.{name}")).ok();
    if extension("objectFormat").is_some_and(|f| !f.eq_ignore_ascii_case("sha1")) {
        return Some(
            "uses SHA-256 object ids, which libgit2 cannot read yet: use a SHA-1 repository, or render without git (`pillion render`)"
                .to_owned(),
        );
    }
    if extension("refStorage").is_some_and(|f| !f.eq_ignore_ascii_case("files")) {
        return Some(
            "stores its refs as a reftable, which libgit2 cannot read yet: run `git refs migrate --ref-format=files`"
                .to_owned(),
        );
    }
    None
}

/// Explains why opening failed.
fn open_error(git_dir: &Path, e: git2::Error) -> Error {
    let path = git_dir.display().to_string();
    if e.code() == ErrorCode::Owner {
        let place = if git_dir.ends_with(".git") { git_dir.parent().unwrap_or(git_dir) } else { git_dir };
        let reason = format!(
            "belongs to another user: if you trust it, run `git config --global --add safe.directory {}`",
            place.display()
        );
        return Error::Unsupported { path, reason };
    }
    match e.message().strip_prefix("unsupported extension name extensions.") {
        Some("partialclone") => Error::Unsupported {
            path,
            reason: "is a partial clone (`git clone --filter`), which leaves out what pillion has to read: clone again without `--filter`".to_owned(),
        },
        Some(name) => Error::Unsupported {
            path,
            reason: format!("uses the git extension `{name}`, which libgit2 cannot read: create a clone without it"),
        },
        None if e.code() == ErrorCode::NotFound && e.class() == ErrorClass::Repository => {
            Error::RepositoryNotFound { path }
        }
        None => Error::from_git(format!("opening the repository `{path}`"))(e),
    }
}
