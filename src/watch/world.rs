//! Everything outside the program that a watcher touches, as one trait: tests put a simulated world in its place.

use super::check::{Answer, Question};
use super::notify::{Form, Notice};
use super::snapshot::Snapshot;
use crate::git::{Id, RefUpdate, Time};
use crate::stage::{Failure, Live, Opened, Put};
use std::fmt;
use std::time::Duration;

/// The world of a watcher.
pub trait World {
    /// Brings the live branch, that of the sources and the staged ones up to date.
    ///
    /// # Errors
    /// When the remote cannot be reached, or the watcher is killed.
    fn fetch(&mut self, opened: &Opened) -> Result<(), Stopped>;

    /// Looks at a cluster.
    ///
    /// # Errors
    /// When nothing certain is known of it.
    fn look(&mut self, cluster: Option<&str>) -> Result<Snapshot, Unseen>;

    /// Puts a commit on top of what is live, or proposes to.
    ///
    /// # Errors
    /// When the remote cannot be reached or refuses, or the watcher is killed.
    fn release(
        &mut self,
        opened: &Opened,
        live: &Live<'_>,
        proposal: &Proposal<'_>,
    ) -> Result<Released, Stopped>;

    /// Takes back what was proposed of a rollout, where something was: its time has passed.
    ///
    /// # Errors
    /// As [`World::release`].
    fn withdraw(
        &mut self,
        opened: &Opened,
        cluster: Option<&str>,
        sidecar_set: &str,
        why: &str,
    ) -> Result<(), Stopped>;

    /// Moves a staged branch on the remote.
    ///
    /// # Errors
    /// As [`World::release`].
    fn push_staged(&mut self, opened: &Opened, update: RefUpdate) -> Result<(), Stopped>;

    /// Asks the check of the user, where there is one.
    fn ask(&mut self, question: &Question) -> Answer;

    /// Who is to be told of commits.
    fn receivers(&self) -> Vec<Form>;

    /// The newest live commit that a receiver was told of; None: none yet.
    ///
    /// # Errors
    /// As [`World::fetch`].
    fn told(&mut self, opened: &Opened, receiver: Form) -> Result<Option<Id>, Stopped>;

    /// Tells a receiver of a commit.
    ///
    /// # Errors
    /// When it has not arrived.
    fn tell(&mut self, receiver: Form, notice: &Notice) -> Result<(), Stopped>;

    /// Remembers the newest live commit that a receiver was told of.
    ///
    /// # Errors
    /// As [`World::release`].
    fn remember_told(
        &mut self,
        opened: &Opened,
        receiver: Form,
        before: Option<Id>,
        commit: Id,
    ) -> Result<(), Stopped>;
}

/// A commit that is to become live.
#[derive(Debug, Clone, Copy)]
pub struct Proposal<'a> {
    /// The commit, on top of the live head.
    pub commit: Id,
    /// Its message.
    pub message: &'a str,
    /// When it is released, by the API server's clock; None: no server has answered.
    pub at: Option<Time>,
    /// The SidecarSet.
    pub sidecar_set: &'a str,
    /// The cluster, where pillion.yaml names some.
    pub cluster: Option<&'a str>,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// As a push.
    Put(Put),
    /// It is proposed, and a person merges it; in words.
    Proposed(String),
    /// It cannot be proposed until a person has done something; in words.
    Blocked(String),
}

/// Why a watcher could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// Git or its server.
    #[error(transparent)]
    Git(#[from] Failure),
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
    Later {
        /// What is wrong, and what to do.
        text: String,
        /// For how long.
        after: Duration,
    },
    /// pillion is to end.
    #[error("pillion is to end")]
    Ending,
    /// The process was killed at this point: only tests.
    #[error("killed at {0}")]
    Killed(&'static str),
}

impl Stopped {
    /// Tells whether the same may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Git(failure) => failure.is_retryable(),
            Self::Service { is_retryable, .. } => *is_retryable,
            Self::Later { .. } | Self::Ending | Self::Killed(_) => true,
        }
    }

    /// Returns how long the other side asks to be left alone, at most so long.
    pub fn after(&self, most: Duration) -> Duration {
        match self {
            Self::Later { after, .. } => (*after).min(most),
            _ => Duration::ZERO,
        }
    }
}

impl From<crate::git::Failure> for Stopped {
    fn from(failure: crate::git::Failure) -> Self {
        Self::Git(failure.into())
    }
}

/// Why nothing certain is known of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen(pub String);

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
