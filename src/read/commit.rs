//! Lists the files in the tree of a commit.

use super::listing::{CommitListing, ListingEntry};
use crate::git::{Error, ObjectId, Repository, TreeEntryKind};
use std::io;

/// Bytes of the target of a link that Linux accepts.
const MAX_LINK_BYTES: usize = 4_096;

/// Lists the files of a tree. Texts are read when they are asked for, on any thread; the targets of links at once.
///
/// # Errors
/// When a tree or the blob of a link is missing.
pub fn list_tree(repository: &Repository, tree: ObjectId) -> Result<CommitListing<'_, ObjectId>, Error> {
    let reader = repository.blob_reader()?;
    let mut entries = Vec::new();
    for entry in repository.list_files(tree, &[""])? {
        let listed = match entry.kind {
            TreeEntryKind::File | TreeEntryKind::Executable => ListingEntry::File(entry.id),
            TreeEntryKind::Symlink => {
                // A longer target than a path leads nowhere.
                let target = reader.read_within(entry.id, MAX_LINK_BYTES)?.unwrap_or_default();
                ListingEntry::Symlink(String::from_utf8_lossy(&target).into_owned())
            }
            TreeEntryKind::Gitlink => ListingEntry::Submodule,
            TreeEntryKind::Folder => continue,
        };
        entries.push((entry.path.into(), listed));
    }
    Ok(CommitListing::new(entries, move |id| reader.read(*id).map_err(io::Error::other)))
}
