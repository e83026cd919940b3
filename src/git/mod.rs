//! What git holds and how it is changed: trees, blobs, commits, refs and trailers. The only room that knows git2.
//!
//! Everything happens in the object database: no index, working tree or HEAD is ever touched, so a bare
//! repository, a linked worktree and a clone with half-done work are all the same here. What travels goes
//! through the `git` program, because the user's credentials, proxies and ssh settings are git's business.
//!
//! A change is made in this order, and a kill between any two steps loses nothing:
//!
//! 1. [`Repository::fetch`] brings the branch up to date, [`Repository::commit`] reads its head;
//! 2. [`TreeEditor`] writes blobs and the trees above them, [`Repository::write_commit`] the commits;
//! 3. [`Repository::update_ref`] or [`Repository::push`] moves a ref, only from the value that was read.

mod answer;
mod attributes;
mod commit;
mod discovery;
mod editor;
mod export;
mod failure;
mod history;
mod id;
mod identity;
mod included;
mod program;
mod refs;
mod remote;
mod repository;
mod revision;
mod signing;
mod store;
pub mod trailer;
mod tree;

pub use crate::programs::Stop;
pub use answer::{Pushed, masked};
pub use commit::{NewCommit, Release, Signature};
pub use discovery::find;
pub use editor::TreeEditor;
pub use failure::Failure;
pub use history::{Commit, Log, Walk};
pub use id::{Id, NotAnId};
pub use identity::{Identity, Time};
pub use program::{Programs, ask};
pub use refs::Expected;
pub use remote::{Move, RefUpdate, Upstream};
pub use repository::Repository;
pub use signing::Signing;
pub use tree::{Edit, Entry, Kind, Reader};
