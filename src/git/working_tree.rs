//! Compares the working tree with HEAD, and branches with each other. It only reads: no filter or hook runs, and the
//! index is not refreshed.

use super::{Error, ObjectId, Repository};
use git2::{ErrorCode, Status, StatusOptions};

/// The flag of an index entry that a sparse checkout leaves out of the working tree (git's `CE_SKIP_WORKTREE`).
const SKIP_WORKTREE: u16 = 1 << 14;

impl Repository {
    /// Returns the files at or below some paths of the root that HEAD has otherwise, or not: edited, added, deleted or
    /// not tracked. Ignored files do not count. Sorted; none in a bare repository.
    ///
    /// # Errors
    /// When the index or the working tree cannot be read.
    pub(crate) fn uncommitted_files(&self, paths: &[String]) -> Result<Vec<String>, Error> {
        if self.is_bare() || paths.is_empty() {
            return Ok(Vec::new());
        }
        let what = || "comparing the working tree with HEAD".to_owned();
        let mut options = StatusOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(true).include_ignored(false);
        options.exclude_submodules(true).disable_pathspec_match(true);
        limiting_paths(paths).for_each(|path| {
            options.pathspec(path);
        });
        let statuses = self.inner.statuses(Some(&mut options)).map_err(Error::from_git(what()))?;
        let index = self.inner.index().map_err(Error::from_git(what()))?;
        let is_left_out = |entry: &git2::StatusEntry<'_>| {
            let path = std::path::PathBuf::from(String::from_utf8_lossy(entry.path_bytes()).into_owned());
            entry.status() == Status::WT_DELETED
                && index.get_path(&path, 0).is_some_and(|found| found.flags_extended & SKIP_WORKTREE != 0)
        };
        let mut files: Vec<String> = statuses
            .iter()
            .filter(|entry| !is_left_out(entry))
            .map(|entry| String::from_utf8_lossy(entry.path_bytes()).into_owned())
            .collect();
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }

    /// Returns how many commits a branch has that another one lacks, and how many it lacks itself.
    ///
    /// # Errors
    /// When a commit is missing, as in a shallow clone.
    pub(crate) fn count_ahead_behind(
        &self,
        branch: ObjectId,
        other: ObjectId,
    ) -> Result<(usize, usize), Error> {
        if branch == other {
            return Ok((0, 0));
        }
        let what = || format!("comparing {branch} with {other}");
        self.inner.graph_ahead_behind(branch.0, other.0).map_err(|e| self.object_error(branch, &what(), e))
    }

    /// Returns the newest common ancestor of two commits; None: their histories have nothing in common.
    ///
    /// # Errors
    /// When a commit is missing.
    pub(crate) fn merge_base(&self, one: ObjectId, other: ObjectId) -> Result<Option<ObjectId>, Error> {
        match self.inner.merge_base(one.0, other.0) {
            Ok(found) => Ok(Some(ObjectId(found))),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(self.object_error(one, &format!("comparing {one} with {other}"), e)),
        }
    }

    /// Returns the files at or below some paths that differ between two trees, sorted.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub(crate) fn changed_files(
        &self,
        (before, after): (ObjectId, ObjectId),
        paths: &[String],
    ) -> Result<Vec<String>, Error> {
        let what = || format!("comparing the files of {before} with those of {after}");
        let mut options = git2::DiffOptions::new();
        options.disable_pathspec_match(true).skip_binary_check(true).ignore_submodules(true);
        limiting_paths(paths).for_each(|path| {
            options.pathspec(path);
        });
        let (old, new) = (self.find_tree(before)?, self.find_tree(after)?);
        let diff = self.inner.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options));
        let diff = diff.map_err(Error::from_git(what()))?;
        let name = |delta: git2::DiffDelta<'_>| {
            let file = if delta.new_file().id().is_zero() { delta.old_file() } else { delta.new_file() };
            file.path_bytes().map(|path| String::from_utf8_lossy(path).into_owned())
        };
        let mut files: Vec<String> = diff.deltas().filter_map(name).collect();
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }
}

/// Returns the paths that limit a comparison; none where one of them is the root.
fn limiting_paths(paths: &[String]) -> impl Iterator<Item = &String> {
    let has_root = paths.iter().any(|path| matches!(path.as_str(), "" | "."));
    paths.iter().filter(move |_| !has_root)
}
