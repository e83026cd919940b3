//! Finds the repository of a folder: the one with the nearest `.git` above it.
//!
//! A folder without that name may have the form of a repository, too: `HEAD`, `objects` and `refs`, as a bare
//! repository has them. A commit can hold such a folder, with a `config` that names programs, and git runs them for
//! whoever is in it. So a bare repository counts as git's `safe.bareRepository` lets it, and never below a working tree,
//! unless it is named by GIT_DIR.

use super::Error;
use super::git_command::{GitCommand, query_git};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Returns the `.git` folder of the repository that a folder or file is in.
///
/// # Errors
/// When there is none, or one that does not count.
pub(crate) fn find_git_dir(from: &Path) -> Result<PathBuf, Error> {
    let none = || Error::RepositoryNotFound { path: from.display().to_string() };
    let start = from.canonicalize().map_err(|_| none())?;
    for folder in start.ancestors().skip(usize::from(!start.is_dir())) {
        if let Some(git_dir) = resolve_dot_git(folder)? {
            return Ok(git_dir);
        }
        if looks_like_repository(folder) {
            return check_bare_allowed(folder).map(|()| folder.to_owned());
        }
    }
    Err(none())
}

/// Returns the git folder for the `.git` of a folder: itself, or the folder that it names in a linked worktree or
/// submodule.
fn resolve_dot_git(folder: &Path) -> Result<Option<PathBuf>, Error> {
    let dot_git = folder.join(".git");
    if dot_git.is_dir() {
        // As git, which looks further up where `.git` is empty.
        return Ok(looks_like_repository(&dot_git).then_some(dot_git));
    }
    if !dot_git.is_file() {
        return Ok(None);
    }
    let place = || format!("looking for the repository of `{}`", folder.display());
    git2::Repository::discover_path(folder, [folder]).map(Some).map_err(|e| Error::from_git(place())(e))
}

fn looks_like_repository(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).symlink_metadata().is_ok();
    // A linked worktree has its objects and refs elsewhere.
    has("HEAD") && (has("commondir") || (has("objects") && has("refs")))
}

/// Makes sure that a folder may count as a bare repository.
fn check_bare_allowed(folder: &Path) -> Result<(), Error> {
    // No commit can hold a file below `.git`.
    let is_of_git = folder.components().any(|part| part.as_os_str() == OsStr::new(".git"));
    if is_of_git || is_named_by_git_dir(folder) {
        return Ok(());
    }
    let refuse = |reason: &str| {
        let path = folder.display().to_string();
        Err(Error::BareRepository { reason: reason.to_owned(), path })
    };
    if folder.ancestors().skip(1).any(|above| above.join(".git").symlink_metadata().is_ok()) {
        return refuse("is in the working tree of another one, where a commit may have created it");
    }
    if query_git(None, &["config", "--get", "safe.bareRepository"], &GitCommand::default()).as_deref()
        == Some("explicit")
    {
        return refuse("is bare, and `safe.bareRepository` of git is `explicit`");
    }
    Ok(())
}

/// Returns whether GIT_DIR names a folder.
fn is_named_by_git_dir(folder: &Path) -> bool {
    let named = std::env::var_os("GIT_DIR").and_then(|named| Path::new(&named).canonicalize().ok());
    named.is_some_and(|named| named == folder)
}
