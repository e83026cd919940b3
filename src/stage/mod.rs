//! A rollout in git: what a commit (or a folder) holds, and the commits that follow from it.

mod branches;
mod failure;
mod live;
mod own_render;
mod places;
mod site;
mod supposed;

/// Is what git holds what pillion makes?
pub mod verify;

/// What people do to a ledger.
pub mod verbs;

pub use branches::Branches;
pub use failure::Failure;
pub use live::{Live, configuration_of, listing};
pub use own_render::check_own_render;
pub use places::{RenderedPlace, RenderedPlaces};
pub use site::{Configuration, Site, Sources, gather_ledgers, layout};
pub use supposed::Supposed;
