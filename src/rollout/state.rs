//! The state of a rollout, for plan, status, watch, metrics and pages alike.

use super::blocked::BlockedReason;
use super::types::RolloutStep;
use crate::model::ledger::Ledger;
use std::fmt;

/// The state of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutState {
    /// The workloads have what the sources contain.
    Idle,
    /// The sources contain another revision, and its rollout has not started.
    Pending,
    /// The rollout has started and is not complete.
    Progressing,
    /// The settings, or a person, bar the next step.
    Blocked,
    /// The ledger is paused.
    Paused,
    /// The released revision is the target.
    RollingBack,
    /// The sources contain a revision that was rolled back.
    Rejected,
}

impl RolloutState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Idle,
        Self::Pending,
        Self::Progressing,
        Self::Blocked,
        Self::Paused,
        Self::RollingBack,
        Self::Rejected,
    ];

    /// Returns its name in text, data and labels of metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Pending => "Pending",
            Self::Progressing => "Progressing",
            Self::Blocked => "Blocked",
            Self::Paused => "Paused",
            Self::RollingBack => "RollingBack",
            Self::Rejected => "Rejected",
        }
    }

    /// Returns the state that follows from a ledger and its next step.
    pub(crate) fn of(ledger: &Ledger, next: &RolloutStep) -> Self {
        match (&ledger.target, next) {
            _ if ledger.paused.is_some() => Self::Paused,
            (Some(target), _) if *target == ledger.released => Self::RollingBack,
            (None, RolloutStep::Idle) => Self::Idle,
            (_, RolloutStep::Blocked(BlockedReason::Rejected(_))) => Self::Rejected,
            (_, RolloutStep::Blocked(reason)) if !reason.is_temporary() => Self::Blocked,
            (Some(_), _) => Self::Progressing,
            (None, _) => Self::Pending,
        }
    }
}

impl fmt::Display for RolloutState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
