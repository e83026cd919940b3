//! Releases batches automatically while pods stay healthy. The only module that depends on kube and tokio;
//! `snapshot`, `expected_state` and `health` are pure.

/// The state of a cluster at one moment.
pub mod snapshot;

/// What the latest batch released, and what its pods must look like.
pub mod expected_state;

/// Health of released workloads.
pub mod health;

/// The decision for one rollout.
pub mod decision;

/// One evaluation of all rollouts.
pub mod evaluation;

/// Results of an evaluation.
pub mod report;

/// Receivers of what the loop and the service do.
pub mod events;

/// The watch loop.
pub mod watch_loop;

/// The long-running service.
pub(crate) mod service;

/// Shutdown on signals.
pub(crate) mod signals;

/// The rollouts of one deploy head.
pub(crate) mod rollout_set;

/// The environment outside of tests.
pub mod real_environment;

/// Everything outside the program, as a trait.
pub mod environment;

/// HTTP client of webhooks, checks and providers.
pub mod http_client;

/// The user's check before a batch.
pub mod check;

/// Receivers of notifications.
pub mod notifier;

/// The limit of pods per minute.
pub(crate) mod rate;

/// Notifications of rollout commits.
pub mod notifications;

/// States that people are notified of, although no commit says them.
pub(crate) mod state_notifications;

/// Metrics of all rollouts.
pub mod metrics;

/// Health and metrics over HTTP.
pub mod serve;

/// Structured logs.
pub(crate) mod log;

/// Commits that are proposed as pull requests.
pub(crate) mod proposal;

/// Providers of pull requests.
pub mod providers;

/// Observation of a cluster.
pub mod observe;
