//! Tests of staged rollouts: commits, branches, holds, rollbacks and verification.

mod authorship;
mod chain;
mod held_workloads;
pub(crate) mod holds;
mod hostile_branches;
#[cfg(feature = "watch")]
mod hostile_sources;
mod initial_ledgers;
mod layouts;
pub(crate) mod missing_workloads;
mod overrides;
mod remote;
#[cfg(feature = "watch")]
mod renames;
mod rollbacks;
mod template_changes;
pub(crate) mod transitions;
#[cfg(feature = "watch")]
mod verify_history;
#[cfg(all(feature = "watch", unix))]
mod verify_rendered;
#[cfg(feature = "watch")]
mod watched_branches;
