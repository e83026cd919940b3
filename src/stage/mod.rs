//! A rollout in git: what a commit (or a folder) holds, and the commits that follow from it.

mod branches;
mod builds;
mod change;
mod failure;
mod history;
mod init;
mod land;
mod live;
mod manifests;
mod message;
mod opened;
mod own_render;
mod places;
mod present;
mod refusal;
mod renamed;
mod rollout;
mod scope;
mod selected;
mod site;
mod source;
mod stack;
mod staged;
mod staged_names;
mod stray;
mod supposed;
mod surplus;
mod twice;
mod waves;
mod wording;

/// Is what git holds what pillion makes?
pub mod verify;

/// What people do to a ledger.
pub mod verbs;

pub use branches::Branches;
pub use builds::{Builds, NoBuild};
pub use change::{Change, commit};
pub use failure::Failure;
pub use history::{Reverted, after_batch, before_close, reverted};
pub use init::{Evidence, Initial, Released, edits_of, init};
pub use land::{Landed, Landing, land};
pub use live::{Live, configuration_of, listing, no_live_branch};
pub use manifests::{BUILD_LIMIT, Built, Manifests};
pub use message::of_source as trailers_of_source;
pub use opened::{Opened, Put};
pub use own_render::check_own_render;
pub use places::{RenderedPlace, RenderedPlaces, shared_files};
pub use present::Tree;
pub use refusal::{foreign_commits, removal, reverted_batch, rewritten, too_many_batches};
pub use rollout::{End, Rollout};
pub use scope::{Past, missing, missing_then};
pub use selected::selects_nothing;
pub use site::{Configuration, Site, Sources, gather_ledgers, layout};
pub use source::{Renders, SourceBranch};
pub use stack::{Stack, Staged, stack};
pub use staged::{Examined, Side, StagedBranch, Written, examine};
pub use staged_names::StagedNames;
pub use stray::stray_paths;
pub use supposed::Supposed;
pub use surplus::manifest_not_made;
pub use waves::not_before;
