//! What a commit did to a ledger, in the words of the commands.

use crate::model::ledger::{Line, Name, name_text};
use std::fmt;
use std::sync::Arc;

/// What a commit did to a ledger.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    /// `init rollout`, with what is released.
    Initial(Name),
    /// The ledger of another cluster's folder, as it was.
    Move,
    Pause {
        batch: u32,
        reason: String,
    },
    Resume,
    /// `rollback`, to a revision.
    RollBack(Name),
    /// `rollback --to`.
    TakeBack(u32),
    /// `stage --start --accept-missing`, with the workloads that count.
    Recount(u32),
    Approve(u32),
    Hold(Arc<str>, Box<Line>),
    /// `hold --off`.
    Release(Arc<str>),
    /// What the planner makes.
    Steps(Vec<Step>),
}

/// One step of the planner.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Open(Name),
    Resume,
    Batch(Released),
    Close(Name),
}

/// A batch that was released.
#[derive(Debug, Clone)]
pub(super) struct Released {
    pub(super) number: u32,
    /// The digest of its plan.
    pub(super) plan: String,
    /// The digest of the approval that it waits for, and that the ledger does not hold.
    pub(super) awaited: Option<String>,
}

impl Step {
    /// Returns whether nobody has to have approved it.
    pub(super) fn is_free(&self) -> bool {
        !matches!(self, Self::Batch(Released { awaited: Some(_), .. }))
    }

    /// Returns whether it moves pods, or ends what has moved them: one is judged before the next.
    pub(super) fn is_judged(&self) -> bool {
        matches!(self, Self::Batch(_) | Self::Close(_))
    }
}

impl Deed {
    /// Returns the steps that are judged one by one.
    pub(super) fn judged_steps(&self) -> Vec<&Step> {
        match self {
            Self::Steps(steps) => steps.iter().filter(|step| step.is_judged()).collect(),
            _ => Vec::new(),
        }
    }

    /// Returns whether one command made it that a person gives for an open rollout.
    pub(super) fn is_one_command(&self) -> bool {
        !matches!(self, Self::Initial(_) | Self::Move) && self.judged_steps().len() <= 1
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Initial(None) => f.write_str("first ledger, nothing released"),
            Self::Initial(Some(name)) => write!(f, "first ledger, {name} released"),
            Self::Move => f.write_str("the ledger is moved"),
            Self::Pause { batch, reason } => write!(f, "pause at batch {batch}, {reason}"),
            Self::Resume => f.write_str("resume"),
            Self::RollBack(name) => write!(f, "roll back to {}", name_text(name)),
            Self::TakeBack(batch) => write!(f, "roll back to batch {batch}"),
            Self::Recount(workloads) => write!(f, "count anew, {workloads} workloads"),
            Self::Approve(batch) => write!(f, "approve batch {batch}"),
            Self::Hold(key, line) => hold(f, key, line),
            Self::Release(key) => write!(f, "no longer hold {}", short(key)),
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

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(name) => write!(f, "open to {}", name_text(name)),
            Self::Resume => f.write_str("resume"),
            Self::Batch(batch) => write!(f, "batch {}", batch.number),
            Self::Close(name) => write!(f, "close, {} is released", name_text(name)),
        }
    }
}

fn hold(f: &mut fmt::Formatter<'_>, key: &str, line: &Line) -> fmt::Result {
    write!(f, "hold {}", short(key))?;
    for (n, (container, image)) in line.images.iter().enumerate() {
        let word = if n == 0 { " on " } else { ", " };
        write!(f, "{word}{container}={image}")?;
    }
    if let Some(until) = &line.until {
        write!(f, " until {until}")?;
    }
    write!(f, ", {}", line.held.as_deref().unwrap_or_default())
}

/// `Deployment/shop/web` for `Deployment.apps/shop/web`.
fn short(key: &str) -> String {
    let (kind, name) = key.split_once('/').unwrap_or((key, ""));
    format!("{}/{name}", kind.split('.').next().unwrap_or(kind))
}
