//! Why nothing is done next.

use crate::model::ledger::{PauseRecord, RevisionName, revision_text};
use std::fmt;
use std::sync::Arc;

/// Why nothing is done next.
#[derive(Debug, Clone)]
pub enum BlockedReason {
    /// The content of the source was rolled back.
    Rejected(RevisionName),
    /// The ledger is paused.
    Paused(PauseRecord),
    /// `updateStrategy.paused`.
    StrategyPaused,
    /// `updateStrategy.type` is NotUpdate.
    NotUpdate,
    /// A cluster of an earlier wave is not done.
    EarlierWave(String),
    /// `updateStrategy.partition` keeps the rest.
    Partition {
        /// Pods that carry the target.
        updated: u32,
        /// All pods that count.
        pods: u32,
        /// Workloads that do not fit into what may be updated.
        workloads: Vec<Arc<str>>,
    },
    /// `updateStrategy.selector` selects none of the rest.
    CanarySelector(Vec<Arc<str>>),
    /// `maxUnavailable` is 0.
    MaxUnavailableZero,
    /// The set is gone from git, and the rollout of another one takes its workloads over.
    ReplacedBy(Arc<str>),
    /// No workload carries anything of the SidecarSet, or would: what begins over nothing ends over nothing.
    NoWorkloads,
    /// Workloads wait, each with the reason.
    Waiting(Vec<(Arc<str>, String)>),
}

impl BlockedReason {
    /// Returns whether the next step follows without a change by a person: other rollouts end by themselves.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Waiting(_) | Self::EarlierWave(_))
    }

    /// Returns its name in data.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Rejected(_) => "Rejected",
            Self::Paused(_) => "Paused",
            Self::StrategyPaused => "StrategyPaused",
            Self::NotUpdate => "NotUpdate",
            Self::EarlierWave(_) => "EarlierWave",
            Self::Partition { .. } => "Partition",
            Self::CanarySelector(_) => "CanarySelector",
            Self::MaxUnavailableZero => "MaxUnavailable",
            Self::ReplacedBy(_) => "Replaced",
            Self::NoWorkloads => "NoWorkloads",
            Self::Waiting(_) => "Waiting",
        }
    }
}

impl fmt::Display for BlockedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(name) => {
                write!(f, "`{}` was rolled back; `pillion resume` lets it be staged again", revision_text(name))
            }
            Self::Paused(paused) => write!(f, "paused at batch {}: {}", paused.batch, paused.reason),
            Self::StrategyPaused => f.write_str("`updateStrategy.paused` is set"),
            Self::NotUpdate => f.write_str("`updateStrategy.type` is `NotUpdate`"),
            Self::EarlierWave(why) => f.write_str(why),
            Self::Partition { updated, pods, workloads } => {
                match updated {
                    0 => write!(f, "`updateStrategy.partition` keeps all {pods} pods")?,
                    _ => write!(f, "`updateStrategy.partition` keeps {} of {pods} pods", pods - updated)?,
                }
                write_workloads(f, workloads)
            }
            Self::CanarySelector(workloads) => {
                f.write_str("`updateStrategy.selector` selects none of the rest")?;
                write_workloads(f, workloads)
            }
            Self::MaxUnavailableZero => f.write_str("`updateStrategy.maxUnavailable` is 0"),
            Self::ReplacedBy(by) => {
                write!(f, "SidecarSet `{by}` takes its place: the rollout of `{by}` takes its workloads over")
            }
            Self::NoWorkloads => f.write_str(
                "no workload carries this SidecarSet or would get it, so nothing is started or completed: check its selector, and `sources` or `build` of pillion.yaml",
            ),
            Self::Waiting(workloads) => {
                let shown = workloads.iter().take(MAX_SHOWN);
                let said: Vec<_> = shown.map(|(key, why)| format!("{key}: {why}")).collect();
                write!(f, "waiting: {}", said.join("; "))?;
                write_more(f, workloads.len())
            }
        }
    }
}

/// Workloads that are named; the others are counted.
const MAX_SHOWN: usize = 3;

/// Names a few workloads.
fn write_workloads(f: &mut fmt::Formatter<'_>, workloads: &[Arc<str>]) -> fmt::Result {
    for (i, key) in workloads.iter().take(MAX_SHOWN).enumerate() {
        write!(f, "{}{key}", if i == 0 { ": " } else { ", " })?;
    }
    write_more(f, workloads.len())
}

fn write_more(f: &mut fmt::Formatter<'_>, all: usize) -> fmt::Result {
    match all.saturating_sub(MAX_SHOWN) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}
