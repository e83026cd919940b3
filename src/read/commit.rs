//! From the tree of a commit to its listing.

use super::listing::{CommitListing, ListingEntry};
use crate::git::{BlobReader, Error, ObjectId, Repository, TreeEntryKind};
use std::io;

/// Bytes of what a link says: what Linux takes.
const MAX_LINK_BYTES: usize = 4_096;

/// Lists what a tree holds; texts are read when they are asked for, what links say is read at once.
///
/// # Errors
/// When a tree or the blob of a link is missing.
pub fn list_commit_files<'r>(
    repository: &Repository,
    reader: &'r BlobReader<'_>,
    tree: ObjectId,
) -> Result<CommitListing<'r, ObjectId>, Error> {
    let mut listed = Vec::new();
    for entry in repository.list_files(tree, &[""])? {
        let what = match entry.kind {
            TreeEntryKind::File | TreeEntryKind::Executable => ListingEntry::File(entry.id),
            TreeEntryKind::Symlink => {
                // What is longer than a path leads nowhere.
                let target = reader.read_within(entry.id, MAX_LINK_BYTES)?.unwrap_or_default();
                ListingEntry::Symlink(String::from_utf8_lossy(&target).into_owned())
            }
            TreeEntryKind::Gitlink => ListingEntry::Submodule,
            TreeEntryKind::Folder => continue,
        };
        listed.push((entry.path.into(), what));
    }
    Ok(CommitListing::new(listed, |id| reader.read(*id).map_err(io::Error::other)))
}
