//! A rollout that goes on by itself: batches are released while pods stay healthy. The only room that knows kube and
//! tokio; `snapshot`, `released` and `judge` are pure.

/// What a cluster looks like at one moment.
pub mod snapshot;

/// What is out, and what its pods must look like.
pub mod expected_state;

/// Are the pods of what is out healthy?
pub mod health;

/// What follows for one rollout, now?
pub mod decision;

/// One evaluation of all rollouts.
pub mod evaluation;

/// What an evaluation found and did.
pub mod report;

/// The loop.
pub mod watch_loop;

/// The long run.
pub mod service;

/// How a long run ends.
pub mod signals;

/// What one deploy head holds, read once.
pub mod rollout_set;

/// The world as it is.
pub mod real_environment;

/// Everything outside the program.
pub mod environment;

pub use crate::model::freeze;

/// Servers asked over HTTP.
pub mod http_client;

/// A check before the next batch.
pub mod check;

/// Who is told, and how.
pub mod notifier;

/// Not too many pods a minute.
pub mod rate;

/// People hear of commits, beside the loop.
pub mod notifications;

/// Numbers of all rollouts.
pub mod metrics;

/// Health and metrics over HTTP.
pub mod serve;

/// Structured logs.
pub mod log;

/// Pull requests.
pub mod providers;

/// A cluster, seen as it is now.
pub mod observe;
