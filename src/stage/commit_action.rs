//! The trailer `Pillion-Action`: what a commit does to a rollout.

use crate::git::{Commit, trailer};
use std::fmt;

/// What a commit does to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitAction {
    /// Starts a rollout, or gives an open one another target.
    Start,
    /// Updates workloads.
    Batch,
    /// Completes a rollout.
    Complete,
    /// Pauses a rollout.
    Pause,
    /// Resumes a rollout.
    Resume,
    /// Rolls a rollout back.
    RollBack,
    /// Approves a batch.
    Approve,
    /// Holds a workload, or ends its hold.
    Hold,
    /// Renders a commit of the sources.
    Render,
    /// Creates the first ledgers.
    Init,
    /// Accepts a rewritten deploy branch.
    Accept,
}

impl CommitAction {
    const ALL: [Self; 11] = [
        Self::Start,
        Self::Batch,
        Self::Complete,
        Self::Pause,
        Self::Resume,
        Self::RollBack,
        Self::Approve,
        Self::Hold,
        Self::Render,
        Self::Init,
        Self::Accept,
    ];

    /// Returns the action of a commit; None where it names none, or an unknown one.
    pub(crate) fn of(commit: &Commit) -> Option<Self> {
        let value = commit.trailer(trailer::ACTION)?;
        Self::ALL.into_iter().find(|action| action.name() == value)
    }

    /// Returns the value of the trailer.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Batch => "Batch",
            Self::Complete => "Complete",
            Self::Pause => "Pause",
            Self::Resume => "Resume",
            Self::RollBack => "RollBack",
            Self::Approve => "Approve",
            Self::Hold => "Hold",
            Self::Render => "Render",
            Self::Init => "Init",
            Self::Accept => "Accept",
        }
    }

    /// Returns the trailer.
    pub(crate) fn to_trailer(self) -> (&'static str, String) {
        (trailer::ACTION, self.to_string())
    }
}

impl fmt::Display for CommitAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
