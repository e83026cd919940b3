//! A rollout in git: what a commit (or a folder) holds, and the commits that follow from it.

mod site;

/// What people do to a ledger.
pub mod verbs;

pub use site::{Configuration, Site, Sources, layout};
