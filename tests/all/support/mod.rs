//! Fixtures, fake servers and generators that several tests share.

pub(crate) mod cluster_view;
pub(crate) mod conformance;
#[cfg(feature = "watch")]
pub(crate) mod endless_server;
#[cfg(feature = "watch")]
pub(crate) mod fake_cluster;
#[cfg(feature = "watch")]
pub(crate) mod fleet_fixtures;
pub(crate) mod git_fixtures;
#[cfg(all(feature = "watch", target_os = "linux"))]
pub(crate) mod gitops_agent;
pub(crate) mod injection;
pub(crate) mod manifests;
pub(crate) mod pod_fixtures;
pub(crate) mod pod_normalization;
pub(crate) mod rollout_fixtures;
#[cfg(feature = "watch")]
pub(crate) mod scripted_servers;
#[cfg(feature = "watch")]
pub(crate) mod simulated_cluster;
pub(crate) mod transcript_runner;
pub(crate) mod yaml_edits;
pub(crate) mod yaml_generator;
