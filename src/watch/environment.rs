//! Everything outside the program that a watcher touches, as one trait: tests put a simulated world in its place.

use super::check::{CheckRequest, CheckResult};
use super::notifier::{Notification, PayloadFormat};
use super::snapshot::Snapshot;
use crate::git::{CommitTime, ObjectId, RefUpdate};
use crate::stage::{DeployBranch, Error, PushOutcome, RepoContext};
use std::fmt;
use std::time::Duration;

/// The world of a watcher.
pub trait Environment {
    /// Brings the deploy branch, that of the sources and the staged ones up to date.
    ///
    /// # Errors
    /// When the remote cannot be reached, or the watcher is killed.
    fn fetch(&mut self, opened: &RepoContext) -> Result<(), WatchError>;

    /// Looks at a cluster.
    ///
    /// # Errors
    /// When nothing certain is known of it.
    fn observe_cluster(&mut self, cluster: Option<&str>) -> Result<Snapshot, ClusterUnavailable>;

    /// Puts a commit on top of what is live, or proposes to.
    ///
    /// # Errors
    /// When the remote cannot be reached or refuses, or the watcher is killed.
    fn release(
        &mut self,
        opened: &RepoContext,
        live: &DeployBranch<'_>,
        proposal: &ReleaseProposal<'_>,
    ) -> Result<ReleaseOutcome, WatchError>;

    /// Takes back what was proposed of a rollout, where something was: its time has passed.
    ///
    /// # Errors
    /// As [`Environment::release`].
    fn withdraw_proposal(
        &mut self,
        opened: &RepoContext,
        cluster: Option<&str>,
        sidecar_set: &str,
        why: &str,
    ) -> Result<(), WatchError>;

    /// Moves a staged branch on the remote.
    ///
    /// # Errors
    /// As [`Environment::release`].
    fn push_staged(&mut self, opened: &RepoContext, update: RefUpdate) -> Result<(), WatchError>;

    /// Asks the check of the user, where there is one.
    fn run_check(&mut self, question: &CheckRequest) -> CheckResult;

    /// Who is to be told of commits.
    fn receivers(&self) -> Vec<PayloadFormat>;

    /// The newest commit of the deploy branch that a receiver was told of; None: none yet.
    ///
    /// # Errors
    /// As [`Environment::fetch`].
    fn last_notified(
        &mut self,
        opened: &RepoContext,
        receiver: PayloadFormat,
    ) -> Result<Option<ObjectId>, WatchError>;

    /// Tells a receiver of a commit.
    ///
    /// # Errors
    /// When it has not arrived.
    fn notify(&mut self, receiver: PayloadFormat, notice: &Notification) -> Result<(), WatchError>;

    /// Remembers the newest commit of the deploy branch that a receiver was told of.
    ///
    /// # Errors
    /// As [`Environment::release`].
    fn record_notified(
        &mut self,
        opened: &RepoContext,
        receiver: PayloadFormat,
        before: Option<ObjectId>,
        commit: ObjectId,
    ) -> Result<(), WatchError>;
}

/// A commit that is to become live.
#[derive(Debug, Clone, Copy)]
pub struct ReleaseProposal<'a> {
    /// The commit, on top of the head of the deploy branch.
    pub commit: ObjectId,
    /// Its message.
    pub message: &'a str,
    /// When it is released, by the API server's clock; None: no server has answered.
    pub at: Option<CommitTime>,
    /// The SidecarSet.
    pub sidecar_set: &'a str,
    /// The cluster, where pillion.yaml names some.
    pub cluster: Option<&'a str>,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// As a push.
    Push(PushOutcome),
    /// It is proposed, and a person merges it; in words.
    Proposed(String),
    /// It cannot be proposed until a person has done something; in words.
    Blocked(String),
}

/// Why a watcher could not go on.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Git or its server.
    #[error(transparent)]
    Git(#[from] Error),
    /// The forge, a webhook.
    #[error("{text}")]
    Service {
        /// What is wrong, and what to do.
        text: String,
        /// Another try may help.
        is_retryable: bool,
    },
    /// A service that asks to be left alone for a time.
    #[error("{text}")]
    RetryLater {
        /// What is wrong, and what to do.
        text: String,
        /// For how long.
        after: Duration,
    },
    /// pillion is to end.
    #[error("pillion is to end")]
    ShuttingDown,
    /// The process was killed at this point: only tests.
    #[error("killed at {0}")]
    Killed(&'static str),
}

impl WatchError {
    /// Tells whether the same may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Git(failure) => failure.is_retryable(),
            Self::Service { is_retryable, .. } => *is_retryable,
            Self::RetryLater { .. } | Self::ShuttingDown | Self::Killed(_) => true,
        }
    }

    /// Returns how long the other side asks to be left alone, at most so long.
    pub fn retry_after(&self, most: Duration) -> Duration {
        match self {
            Self::RetryLater { after, .. } => (*after).min(most),
            _ => Duration::ZERO,
        }
    }
}

impl From<crate::git::Error> for WatchError {
    fn from(failure: crate::git::Error) -> Self {
        Self::Git(failure.into())
    }
}

/// Why nothing certain is known of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterUnavailable(pub String);

impl fmt::Display for ClusterUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
