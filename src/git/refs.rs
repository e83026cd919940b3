//! Moves refs: only from the value that was read, and never a branch that is checked out.

use super::{Error, ObjectId, Repository};
use git2::ErrorCode;
use std::fs;
use std::path::Path;

/// The required state of a ref before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedRef {
    /// Exactly this commit.
    At(ObjectId),
    /// Not there yet.
    Absent,
    /// Any state; for refs that only pillion writes.
    Any,
}

impl ExpectedRef {
    /// Returns the expectation for a ref that was read.
    pub(crate) fn from_found(found: Option<ObjectId>) -> Self {
        found.map_or(Self::Absent, Self::At)
    }
}

impl Repository {
    /// Returns the commit of a ref by its full name (`refs/heads/main`); none if there is no such ref.
    pub fn find_ref(&self, name: &str) -> Option<ObjectId> {
        let commit = self.inner.find_reference(name).ok()?.peel_to_commit().ok()?;
        Some(ObjectId(commit.id()))
    }

    /// Returns the refs below a prefix (`refs/heads/pillion/`) with their commits, sorted.
    ///
    /// # Errors
    /// When the refs cannot be read.
    pub fn refs(&self, prefix: &str) -> Result<Vec<(String, ObjectId)>, Error> {
        let what = || format!("listing the refs below `{prefix}`");
        let mut found = self.inner.references_glob(&format!("{prefix}*")).map_err(Error::from_git(what()))?;
        let mut names = Vec::new();
        for name in found.names() {
            names.push(name.map_err(Error::from_git(what()))?.to_owned());
        }
        names.sort_unstable();
        Ok(names.into_iter().filter_map(|n| self.find_ref(&n).map(|id| (n, id))).collect())
    }

    /// Moves or creates a ref. `note` goes into its reflog.
    ///
    /// # Errors
    /// When it is not what was expected any more, or a working tree has it checked out.
    pub fn update_ref(
        &self,
        name: &str,
        to: ObjectId,
        expected: ExpectedRef,
        note: &str,
    ) -> Result<(), Error> {
        self.check_ref_change(name)?;
        let moved = match expected {
            ExpectedRef::At(old) => self.inner.reference_matching(name, to.0, true, old.0, note),
            ExpectedRef::Absent => self.inner.reference(name, to.0, false, note),
            ExpectedRef::Any => self.inner.reference(name, to.0, true, note),
        };
        moved.map(drop).map_err(|e| self.ref_update_error(name, expected, e))
    }

    /// Deletes a ref.
    ///
    /// # Errors
    /// When it is not what was expected any more, or a working tree has it checked out.
    pub fn delete_ref(&self, name: &str, expected: ExpectedRef) -> Result<(), Error> {
        self.check_ref_change(name)?;
        let found = self.inner.find_reference(name);
        let mut found = match found {
            Ok(found) => found,
            Err(e) if e.code() == ErrorCode::NotFound && !matches!(expected, ExpectedRef::At(_)) => {
                return Ok(());
            }
            Err(e) => return Err(self.ref_update_error(name, expected, e)),
        };
        let is_expected = match expected {
            ExpectedRef::At(old) => found.target() == Some(old.0),
            ExpectedRef::Absent => false,
            ExpectedRef::Any => true,
        };
        if !is_expected {
            return Err(self.ref_moved_error(name, expected));
        }
        // libgit2 compares with the value that was just read, under the lock.
        found.delete().map_err(|e| self.ref_update_error(name, expected, e))
    }

    /// Returns the working tree that has a branch checked out or is rebasing it.
    pub(crate) fn checked_out_at(&self, name: &str) -> Option<String> {
        let common = self.inner.commondir();
        let is_bare = git2::Repository::open(common).is_ok_and(|r| r.is_bare());
        if !is_bare && is_checked_out_at(common, name) {
            let place = common.parent().filter(|_| common.ends_with(".git")).unwrap_or(common);
            return Some(place.display().to_string());
        }
        let mut linked: Vec<_> =
            fs::read_dir(common.join("worktrees")).ok()?.filter_map(|e| Some(e.ok()?.path())).collect();
        linked.sort();
        let at = linked.into_iter().find(|w| is_checked_out_at(w, name))?;
        let place = fs::read_to_string(at.join("gitdir")).unwrap_or_default();
        Some(place.trim_end().trim_end_matches(".git").trim_end_matches('/').to_owned())
    }

    /// Refuses an invalid name, and a branch that is checked out.
    fn check_ref_change(&self, name: &str) -> Result<(), Error> {
        check_ref_name(name)?;
        match self.checked_out_at(name) {
            Some(place) => Err(Error::CheckedOut { name: name.to_owned(), place }),
            None => Ok(()),
        }
    }

    /// Returns whether another ref is a prefix of the name, or the name a prefix of another ref.
    fn has_ref_conflict(&self, name: &str) -> bool {
        let above = name.match_indices('/').map(|(at, _)| &name[..at]);
        above.into_iter().any(|n| self.inner.find_reference(n).is_ok())
            || self.refs(&format!("{name}/")).is_ok_and(|below| !below.is_empty())
    }

    /// Returns the error for a ref that was updated concurrently.
    pub(super) fn ref_moved_error(&self, name: &str, expected: ExpectedRef) -> Error {
        let text = |id: Option<ObjectId>| id.map_or_else(|| "no such ref".to_owned(), ObjectId::short);
        let expected = match expected {
            ExpectedRef::At(id) => id.short(),
            ExpectedRef::Absent => "no such ref".to_owned(),
            ExpectedRef::Any => "any commit".to_owned(),
        };
        Error::RefMoved { name: name.to_owned(), expected, found: text(self.find_ref(name)) }
    }

    /// Explains why a ref could not be moved.
    fn ref_update_error(&self, name: &str, expected: ExpectedRef, e: git2::Error) -> Error {
        match e.code() {
            ErrorCode::Modified | ErrorCode::NotFound => self.ref_moved_error(name, expected),
            ErrorCode::Locked => {
                let common = self.inner.commondir();
                let files = [common.join(format!("{name}.lock")), common.join("packed-refs.lock")];
                let found = files.iter().find(|file| file.exists()).unwrap_or(&files[0]);
                Error::Locked { name: name.to_owned(), path: found.display().to_string(), source: e }
            }
            _ if self.has_ref_conflict(name) => Error::InvalidRefName {
                name: name.to_owned(),
                reason: "another ref conflicts, because a name cannot also be a folder of names: rename it, or change `git.staged` in pillion.yaml".to_owned(),
            },
            ErrorCode::Exists => self.ref_moved_error(name, expected),
            _ => Error::from_git(format!("moving `{name}`"))(e),
        }
    }
}

/// Refuses an invalid full name of a ref.
pub(super) fn check_ref_name(name: &str) -> Result<(), Error> {
    if name.starts_with("refs/") && git2::Reference::is_valid_name(name) {
        return Ok(());
    }
    let reason = "a part of it is empty, begins with `.` or `-`, or ends with `.lock`, or it has `..`, a space or one of `~^:?*[\\`".to_owned();
    Err(Error::InvalidRefName { name: name.to_owned(), reason })
}

/// Returns whether the HEAD of a working tree is on a branch, or returns to it after a rebase.
fn is_checked_out_at(git_dir: &Path, name: &str) -> bool {
    let names = |file: &str, prefix: &str| {
        fs::read_to_string(git_dir.join(file)).is_ok_and(|t| t.trim_end().strip_prefix(prefix) == Some(name))
    };
    names("HEAD", "ref: ") || names("rebase-merge/head-name", "") || names("rebase-apply/head-name", "")
}
