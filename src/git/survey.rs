//! The facts about a repository and its remote that `init` and `doctor` need. Nothing is changed.

use super::{Error, ObjectId, Repository, remote_errors};
use git2::{StatusOptions, StatusShow};
use std::collections::BTreeMap;
use std::path::Path;

impl Repository {
    /// Returns the remote that a repository without configuration means: the one of this name, else the only one.
    ///
    /// # Errors
    /// When the remotes cannot be listed.
    pub(crate) fn default_remote(&self, name: &str) -> Result<Option<String>, Error> {
        let found = self.inner.remotes().map_err(Error::from_git("listing the remotes"))?;
        let names: Vec<String> = found.iter().filter_map(Result::ok).flatten().map(str::to_owned).collect();
        let named = names.iter().find(|known| *known == name).cloned();
        Ok(named.or_else(|| names.first().cloned()))
    }

    /// Returns whether the index differs from HEAD.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub(crate) fn has_staged_files(&self) -> Result<bool, Error> {
        if self.is_bare() {
            return Ok(false);
        }
        let mut options = StatusOptions::new();
        options.show(StatusShow::Index).include_untracked(false).exclude_submodules(true);
        let statuses = self.inner.statuses(Some(&mut options));
        Ok(!statuses.map_err(Error::from_git("comparing the index with HEAD"))?.is_empty())
    }

    /// Returns whether the commit of a revision has a file or folder.
    pub(crate) fn has_path(&self, revision: &str, path: &Path) -> bool {
        let tree = self.inner.revparse_single(revision).and_then(|object| object.peel_to_tree());
        tree.is_ok_and(|tree| tree.get_path(path).is_ok())
    }

    /// Returns the branches of a remote as they are now.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub(crate) fn remote_heads(&self, remote: &str) -> Result<BTreeMap<String, ObjectId>, Error> {
        let output = self.git(&["ls-remote", "--heads", "--", remote])?;
        if output.code != Some(0) {
            return Err(remote_errors::remote_error("read from", remote, &output.stderr));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let branch = |line: &str| {
            let (id, name) = line.split_once('\t')?;
            Some((name.strip_prefix("refs/heads/")?.to_owned(), id.parse().ok()?))
        };
        Ok(text.lines().filter_map(branch).collect())
    }

    /// Tries whether a push would be accepted, without sending anything.
    ///
    /// # Errors
    /// When the remote cannot be reached or refuses.
    pub(crate) fn try_push(&self, remote: &str, commit: ObjectId) -> Result<(), Error> {
        let update = format!("{commit}:refs/heads/pillion/doctor");
        let output = self.git(&["push", "--dry-run", "--quiet", "--", remote, &update])?;
        match output.code {
            Some(0) => Ok(()),
            _ => Err(remote_errors::remote_error("pushed to", remote, &output.stderr)),
        }
    }
}
