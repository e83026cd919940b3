//! The difference between two trees, as `git diff` prints it.

use super::{Error, ObjectId, Repository};
use git2::{DiffFormat, DiffOptions};

/// The difference between two trees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TreeDiff {
    /// Unified, with three lines of context.
    pub(crate) text: String,
    /// How many files differ.
    pub(crate) files: usize,
}

impl Repository {
    /// Returns the difference between two trees; of a longer one the first lines, about `max_bytes`. Every file is
    /// shown as text, whatever .gitattributes say.
    ///
    /// # Errors
    /// When a tree or a blob is missing.
    pub(crate) fn diff_trees(
        &self,
        old: ObjectId,
        new: ObjectId,
        max_bytes: usize,
    ) -> Result<TreeDiff, Error> {
        let (old, new) = (self.find_tree(old)?, self.find_tree(new)?);
        let failed = || Error::from_git("comparing two trees");
        let mut options = DiffOptions::new();
        options.force_text(true);
        let diff =
            self.inner.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options)).map_err(failed())?;
        let mut bytes: Vec<u8> = Vec::new();
        let mut is_cut = false;
        let printed = diff.print(DiffFormat::Patch, |_, _, line| {
            is_cut = bytes.len() >= max_bytes;
            if is_cut {
                return false;
            }
            if matches!(line.origin(), '+' | '-' | ' ') {
                bytes.extend(line.origin().to_string().bytes());
            }
            bytes.extend(line.content());
            true
        });
        if !is_cut {
            printed.map_err(failed())?;
        }
        Ok(TreeDiff { text: String::from_utf8_lossy(&bytes).into_owned(), files: diff.deltas().len() })
    }
}
