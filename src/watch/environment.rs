//! The environment of a watcher as one trait: git, clusters, providers and receivers. Tests simulate it.

use super::check::{CheckRequest, CheckResult};
use super::notifier::{Notification, PayloadFormat};
use super::snapshot::Snapshot;
use crate::git::{CommitTime, ObjectId, RefUpdate};
use crate::rollout::RolloutPlan;
use crate::stage::{DeployBranch, Error, PushOutcome, RepoContext};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// Everything outside the program that a watcher uses.
pub trait Environment {
    /// Fetches the deploy branch, the source branch and the staged branches.
    ///
    /// # Errors
    /// When the remote cannot be reached, or the watcher is killed.
    fn fetch(&mut self, repo: &RepoContext) -> Result<(), WatchError>;

    /// Takes a snapshot of a cluster.
    ///
    /// # Errors
    /// When there is no current view of it.
    fn observe_cluster(&mut self, cluster: Option<&str>) -> Result<Snapshot, ClusterUnavailable>;

    /// Pushes a commit to the deploy branch, or proposes it as a pull request.
    ///
    /// # Errors
    /// When the remote cannot be reached or refuses, or the watcher is killed.
    fn release(
        &mut self,
        repo: &RepoContext,
        deploy: &DeployBranch<'_>,
        proposal: &ReleaseProposal<'_>,
    ) -> Result<ReleaseOutcome, WatchError>;

    /// Withdraws the proposal of a rollout, if there is one.
    ///
    /// # Errors
    /// As [`Environment::release`].
    fn withdraw_proposal(
        &mut self,
        repo: &RepoContext,
        cluster: Option<&str>,
        sidecar_set: &str,
        reason: &str,
    ) -> Result<(), WatchError>;

    /// Pushes a staged branch to the remote.
    ///
    /// # Errors
    /// As [`Environment::release`].
    fn push_staged(&mut self, repo: &RepoContext, update: RefUpdate) -> Result<(), WatchError>;

    /// Runs the user's check, if there is one.
    fn run_check(&mut self, request: &CheckRequest) -> CheckResult;

    /// Returns the receivers of notifications.
    fn receivers(&self) -> Vec<PayloadFormat>;

    /// Returns the newest commit of the deploy branch that a receiver was notified of; None: no commit yet.
    ///
    /// # Errors
    /// As [`Environment::fetch`].
    fn last_notified(
        &mut self,
        repo: &RepoContext,
        receiver: PayloadFormat,
    ) -> Result<Option<ObjectId>, WatchError>;

    /// Notifies a receiver of a commit or a state.
    ///
    /// # Errors
    /// When the receiver did not accept the notification.
    fn notify(&mut self, receiver: PayloadFormat, notification: &Notification) -> Result<(), WatchError>;

    /// Records the newest commit of the deploy branch that a receiver was notified of.
    ///
    /// # Errors
    /// As [`Environment::release`].
    fn record_notified(
        &mut self,
        repo: &RepoContext,
        receiver: PayloadFormat,
        before: Option<ObjectId>,
        commit: ObjectId,
    ) -> Result<(), WatchError>;

    /// Returns the keys of the states that a receiver was notified of.
    ///
    /// # Errors
    /// As [`Environment::fetch`].
    fn notified_states(
        &mut self,
        repo: &RepoContext,
        receiver: PayloadFormat,
    ) -> Result<BTreeSet<String>, WatchError>;

    /// Records the keys of the states that a receiver was notified of, with the deploy head at that time.
    ///
    /// # Errors
    /// As [`Environment::release`].
    fn record_notified_states(
        &mut self,
        repo: &RepoContext,
        receiver: PayloadFormat,
        head: ObjectId,
        keys: &BTreeSet<String>,
    ) -> Result<(), WatchError>;
}

/// A commit to be released.
#[derive(Clone, Copy)]
pub struct ReleaseProposal<'a> {
    /// The commit, a child of the deploy head.
    pub commit: ObjectId,
    /// Its message.
    pub message: &'a str,
    /// Time of release, by the API server's clock; None: no server has answered.
    pub at: Option<CommitTime>,
    /// The SidecarSet.
    pub sidecar_set: &'a str,
    /// The cluster, if pillion.yaml names clusters.
    pub cluster: Option<&'a str>,
    /// The plan that it is the next step of, if it is one.
    pub rollout: Option<&'a RolloutPlan<'a>>,
}

/// The outcome of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// It was pushed, or the push was rejected.
    Push(PushOutcome),
    /// It was proposed; the text says as what.
    Proposed(String),
    /// It cannot be proposed; the text says what to do.
    Blocked(String),
}

/// An error of a watcher.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Git or its server.
    #[error(transparent)]
    Git(#[from] Error),
    /// A provider or a webhook.
    #[error("{message}")]
    Service {
        /// What is wrong, and what to do.
        message: String,
        /// Whether a retry may succeed.
        is_retryable: bool,
    },
    /// A service that asks for a pause.
    #[error("{message}")]
    RetryLater {
        /// What is wrong, and what to do.
        message: String,
        /// For how long.
        after: Duration,
    },
    /// pillion is shutting down.
    #[error("pillion is shutting down")]
    ShuttingDown,
    /// The process was killed at this point, in tests only.
    #[error("killed at {0}")]
    Killed(&'static str),
}

impl WatchError {
    /// Builds the error of a service: with a pause if it asks for one.
    pub(crate) fn service(message: String, is_retryable: bool, retry_after: Option<Duration>) -> Self {
        match retry_after {
            Some(after) => Self::RetryLater { message, after },
            None => Self::Service { message, is_retryable },
        }
    }

    /// Returns whether a retry may succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Git(error) => error.is_retryable(),
            Self::Service { is_retryable, .. } => *is_retryable,
            Self::RetryLater { .. } | Self::ShuttingDown | Self::Killed(_) => true,
        }
    }

    /// Returns the pause that the service asks for.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Self::RetryLater { after, .. } => *after,
            _ => Duration::ZERO,
        }
    }
}

impl From<crate::git::Error> for WatchError {
    fn from(error: crate::git::Error) -> Self {
        Self::Git(error.into())
    }
}

/// The reason why there is no current view of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterUnavailable(pub String);

impl fmt::Display for ClusterUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
