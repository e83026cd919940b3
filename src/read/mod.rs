//! Reads files, the trees of commits and standard input as texts with a name, without a look at their meaning.

mod commit;
mod disk;
mod file;
mod file_source;
mod listing;
mod parallel;
mod types;
mod walk;

pub use commit::list_tree;
pub use disk::Disk;
pub(crate) use disk::list_visible_files;
pub(crate) use file::{MAX_FILE_BYTES, decode_text, read_file, read_stream};
pub use file_source::{FileSource, normalize_path};
pub use listing::{CommitListing, ListingEntry};
pub(crate) use parallel::map_in_order;
pub use types::{EntryKind, FileKind, IgnoreRules, ManifestFile, ResolveError, WalkResult};
pub use walk::walk_manifests;
pub(crate) use walk::{KUSTOMIZATION_NAMES, WalkFilter, is_manifest_name};
