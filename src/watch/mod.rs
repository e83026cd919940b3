//! A rollout that goes on by itself: batches are released while pods stay healthy. The only room that knows kube and
//! tokio; `snapshot`, `released` and `judge` are pure.

/// What a cluster looks like at one moment.
pub mod snapshot;

/// What is out, and what its pods must look like.
pub mod released;

/// Are the pods of what is out healthy?
pub mod judge;

/// What follows for one rollout, now?
pub mod decide;

/// One evaluation of all rollouts.
pub mod evaluate;

/// What an evaluation found and did.
pub mod report;

/// The loop.
pub mod run;

/// The long run.
pub mod service;

/// How a long run ends.
pub mod signals;

/// What one live head holds, read once.
pub mod standing;

/// The world as it is.
pub mod outside;

/// Everything outside the program.
pub mod world;

pub use crate::model::freeze;

/// Servers asked over HTTP.
pub mod request;

/// A check before the next batch.
pub mod check;

/// Who is told, and how.
pub mod notify;

/// Not too many pods a minute.
pub mod rate;

/// People hear of commits, beside the loop.
pub mod tell;

/// Numbers of all rollouts.
pub mod metrics;

/// Health and metrics over HTTP.
pub mod serve;

/// Structured logs.
pub mod log;

/// Pull requests.
pub mod forge;

/// A cluster, seen as it is now.
pub mod observe;
