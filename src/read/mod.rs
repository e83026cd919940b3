//! Files, commits' trees and standard input become texts with a name. What they mean is found out elsewhere.

mod commit;
mod confined;
mod disk;
mod file;
mod files;
mod inputs;
mod layout;
mod listing;
mod parallel;
mod unnamed;
mod walk;

pub use commit::commit_files;
pub use confined::{Bounds, confined};
pub use disk::Disk;
pub use file::{MAX_FILE, read_file, read_stream, text_of};
pub use files::{Entry, Files, Kind, Unresolved, plain};
pub use inputs::{
    Choice, Chosen, Input, Namespaces, PatchesOf, Source, UNSPECIFIED, built, choose, named, text,
};
pub use layout::{Cluster, Layout, LedgerFile};
pub use listing::{Listed, Listing};
pub use parallel::in_order;
pub use walk::{Found, Skips, Walk, walk};
