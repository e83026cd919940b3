//! The action of a commit on a ledger, in the words of the commands.

use crate::model::ledger::{LedgerEntry, RevisionName, revision_text};
use std::fmt;
use std::sync::Arc;

/// The action of a commit on a ledger.
#[derive(Debug, Clone)]
pub(super) enum LedgerAction {
    /// `init rollout`, with the released revision.
    Init(RevisionName),
    /// The ledger was moved from the folder of another cluster, unchanged.
    MoveLedger,
    Pause {
        batch: u32,
        reason: String,
    },
    Resume,
    /// `rollback`, to a revision.
    RollBack(RevisionName),
    /// `rollback --to`.
    RollBackToBatch(u32),
    /// `start --accept-missing`, with the workloads that count.
    Recount(u32),
    Approve(u32),
    Hold(Arc<str>, Box<LedgerEntry>),
    /// `hold --off`.
    ReleaseHold(Arc<str>),
    /// Steps of the planner.
    Steps(Vec<AuditedStep>),
}

/// One step of the planner.
#[derive(Debug, Clone)]
pub(super) enum AuditedStep {
    Start(RevisionName),
    Resume,
    Batch(AuditedBatch),
    Complete(RevisionName),
}

/// A released batch.
#[derive(Debug, Clone)]
pub(super) struct AuditedBatch {
    pub(super) number: u32,
    /// The digest of its plan.
    pub(super) plan: String,
    /// The digest of the approval that it needs and the ledger does not have.
    pub(super) missing_approval: Option<String>,
}

impl AuditedStep {
    /// Returns whether it needs no further approval.
    pub(super) fn needs_no_approval(&self) -> bool {
        !matches!(self, Self::Batch(AuditedBatch { missing_approval: Some(_), .. }))
    }

    /// Returns whether it updates pods, or completes: each such step is checked before the next.
    pub(super) fn needs_health_check(&self) -> bool {
        matches!(self, Self::Batch(_) | Self::Complete(_))
    }
}

impl LedgerAction {
    /// Returns the steps that are checked one by one.
    pub(super) fn steps_needing_health(&self) -> Vec<&AuditedStep> {
        match self {
            Self::Steps(steps) => steps.iter().filter(|step| step.needs_health_check()).collect(),
            _ => Vec::new(),
        }
    }

    /// Returns whether a person made it with one command for an open rollout.
    pub(super) fn is_one_command(&self) -> bool {
        !matches!(self, Self::Init(_) | Self::MoveLedger) && self.steps_needing_health().len() <= 1
    }
}

impl fmt::Display for LedgerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init(None) => f.write_str("first ledger, nothing released"),
            Self::Init(Some(name)) => write!(f, "first ledger, {name} released"),
            Self::MoveLedger => f.write_str("the ledger moved"),
            Self::Pause { batch, reason } => write!(f, "pause at batch {batch}, {reason}"),
            Self::Resume => f.write_str("resume"),
            Self::RollBack(name) => write!(f, "roll back to {}", revision_text(name)),
            Self::RollBackToBatch(batch) => write!(f, "roll back to batch {batch}"),
            Self::Recount(workloads) => write!(f, "recount, {workloads} workloads"),
            Self::Approve(batch) => write!(f, "approve batch {batch}"),
            Self::Hold(key, entry) => write_hold(f, key, entry),
            Self::ReleaseHold(key) => write!(f, "no longer hold {}", short_key(key)),
            Self::Steps(steps) => {
                for (n, step) in steps.iter().enumerate() {
                    let comma = if n == 0 { "" } else { ", " };
                    write!(f, "{comma}{step}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for AuditedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(name) => write!(f, "start, to {}", revision_text(name)),
            Self::Resume => f.write_str("resume"),
            Self::Batch(batch) => write!(f, "batch {}", batch.number),
            Self::Complete(name) => write!(f, "complete, {} is released", revision_text(name)),
        }
    }
}

fn write_hold(f: &mut fmt::Formatter<'_>, key: &str, entry: &LedgerEntry) -> fmt::Result {
    write!(f, "hold {}", short_key(key))?;
    for (n, (container, image)) in entry.images.iter().enumerate() {
        let word = if n == 0 { " on " } else { ", " };
        write!(f, "{word}{container}={image}")?;
    }
    if let Some(until) = &entry.held_until {
        write!(f, " until {until}")?;
    }
    write!(f, ", {}", entry.hold_reason.as_deref().unwrap_or_default())
}

/// `Deployment/shop/web` for `Deployment.apps/shop/web`.
fn short_key(key: &str) -> String {
    let (kind, name) = key.split_once('/').unwrap_or((key, ""));
    format!("{}/{name}", kind.split('.').next().unwrap_or(kind))
}
