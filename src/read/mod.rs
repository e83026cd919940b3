//! Files, commits' trees and standard input become texts with a name. What they mean is found out elsewhere.

mod commit;
mod disk;
mod file;
mod file_source;
mod inputs;
mod layout;
mod listing;
mod parallel;
mod path_bounds;
mod unread_ledgers;
mod walk;

pub use commit::list_commit_files;
pub use disk::Disk;
pub use file::{MAX_FILE_BYTES, decode_text, read_file, read_stream};
pub use file_source::{EntryKind, FileKind, FileSource, ResolveError, normalize_path};
pub use inputs::{
    Input, InputOptions, InputSource, NamespaceRules, PatchLister, SelectedInputs, UNSPECIFIED_NAMESPACE,
    input_from_build, inputs_from_paths, read_input, select_inputs,
};
pub use layout::{ClusterLayout, Layout, LedgerFile};
pub use listing::{CommitListing, ListingEntry};
pub use parallel::map_in_order;
pub use path_bounds::{PathBounds, resolve_within};
pub use walk::{IgnoreRules, ManifestFile, WalkResult, walk_manifests};
