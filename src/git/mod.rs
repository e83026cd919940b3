//! Reads and writes git repositories: trees, blobs, commits, refs and trailers. The only module that knows git2.
//!
//! Everything happens in the object database: no index, working tree or HEAD is ever touched, so a bare repository, a
//! linked worktree and a clone with uncommitted work are all the same. Fetch and push go through the `git` program,
//! because the user's credentials, proxies and ssh settings are git's business.
//!
//! A change takes these steps in order, and a kill between any two loses nothing:
//!
//! 1. [`Repository::fetch`] brings the branch up to date, [`Repository::commit`] reads its head;
//! 2. [`TreeEditor`] writes blobs and the trees above them, [`Repository::write_commit`] the commits;
//! 3. [`Repository::update_ref`] or [`Repository::push`] moves a ref, only from the value that was read.

mod attributes;
mod commit;
mod config_includes;
mod diff;
mod discovery;
mod editor;
mod error;
mod export;
mod git_command;
mod history;
mod id;
mod identity;
mod object_store;
mod pack;
mod refs;
mod remote;
mod remote_errors;
mod repository;
mod revision;
mod signing;
mod survey;
pub mod trailer;
mod tree;
mod working_tree;

pub use crate::programs::StopToken;
pub use commit::{NewCommit, ReleaseStamp, Signature};
pub(crate) use discovery::find_git_dir;
pub(crate) use editor::TreeEditor;
pub use error::Error;
pub use git_command::{GitCommand, query_git};
pub use history::{Commit, CommitLog, HistoryWalk};
pub use id::{ObjectId, ParseObjectIdError};
pub use identity::{CommitTime, Identity};
pub use refs::ExpectedRef;
pub use remote::{RefMove, RefUpdate, Upstream};
pub use remote_errors::{PushStatus, mask_credentials};
pub use repository::Repository;
pub use signing::Signing;
pub use tree::{BlobReader, FileEdit, TreeEntry, TreeEntryKind};
