//! Tests of workspaces: builds, unreadable inputs, and the keys of workloads.

mod allowed_builds;
pub(crate) mod builds;
mod unreadable_inputs;
mod workload_keys;
