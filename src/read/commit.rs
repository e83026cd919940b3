//! From the tree of a commit to its listing.

use super::listing::{Listed, Listing};
use crate::git::{Failure, Id, Kind, Reader, Repository};
use std::io;

/// Bytes of what a link says: what Linux takes.
const LONGEST_LINK: usize = 4_096;

/// Lists what a tree holds; texts are read when they are asked for, what links say is read at once.
///
/// # Errors
/// When a tree or the blob of a link is missing.
pub fn commit_files<'r>(
    repository: &Repository,
    reader: &'r Reader<'_>,
    tree: Id,
) -> Result<Listing<'r, Id>, Failure> {
    let mut listed = Vec::new();
    for entry in repository.files(tree, &[""])? {
        let what = match entry.kind {
            Kind::File | Kind::Executable => Listed::File(entry.id),
            Kind::Link => {
                // What is longer than a path leads nowhere.
                let target = reader.read_within(entry.id, LONGEST_LINK)?.unwrap_or_default();
                Listed::Link(String::from_utf8_lossy(&target).into_owned())
            }
            Kind::Gitlink => Listed::Submodule,
            Kind::Folder => continue,
        };
        listed.push((entry.path.into(), what));
    }
    Ok(Listing::new(listed, |id| reader.read(*id).map_err(io::Error::other)))
}
