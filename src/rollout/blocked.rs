//! Reasons why a rollout is blocked.

use crate::model::ledger::{PauseRecord, RevisionName, revision_text};
use std::fmt;
use std::sync::Arc;

/// Why no step is taken.
#[derive(Debug, Clone)]
pub enum BlockedReason {
    /// The revision in the sources was rolled back.
    Rejected(RevisionName),
    /// The ledger is paused.
    Paused(PauseRecord),
    /// `updateStrategy.paused`.
    StrategyPaused,
    /// `updateStrategy.type` is NotUpdate.
    NotUpdate,
    /// A cluster of an earlier wave is not complete.
    EarlierWave(String),
    /// `updateStrategy.partition` keeps the remaining pods.
    Partition {
        /// Pods that have the target.
        updated: u32,
        /// All pods that count.
        pods: u32,
        /// Workloads that do not fit into the pods that may be updated.
        workloads: Vec<Arc<str>>,
    },
    /// `updateStrategy.selector` matches none of the remaining workloads.
    CanarySelector(Vec<Arc<str>>),
    /// `maxUnavailable` is 0.
    MaxUnavailableZero,
    /// The SidecarSet was deleted, and the rollout of another one updates its workloads.
    ReplacedBy(Arc<str>),
    /// No workload has or would get the sidecar: such a rollout neither starts nor completes.
    NoWorkloads,
    /// Workloads wait, each for a reason.
    Waiting(Vec<(Arc<str>, String)>),
}

impl BlockedReason {
    /// Returns whether the next step follows without a change by a person: other rollouts end by themselves.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self, Self::Waiting(_) | Self::EarlierWave(_))
    }

    /// Returns its name in data.
    pub(crate) fn kind(&self) -> &'static str {
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
                write!(f, "`{}` was rolled back and is rejected; run `pillion resume` to allow it again", revision_text(name))
            }
            Self::Paused(paused) => write!(f, "paused at batch {}: {}", paused.batch, paused.reason),
            Self::StrategyPaused => f.write_str("`updateStrategy.paused` is set"),
            Self::NotUpdate => f.write_str("`updateStrategy.type` is `NotUpdate`"),
            Self::EarlierWave(why) => f.write_str(why),
            Self::Partition { updated, pods, workloads } => {
                match (pods, updated) {
                    (0, _) => f.write_str(
                        "`updateStrategy.partition` keeps workloads without a known number of pods",
                    )?,
                    (_, 0) => write!(f, "`updateStrategy.partition` keeps all {pods} pods")?,
                    _ => write!(f, "`updateStrategy.partition` keeps {} of {pods} pods", pods - updated)?,
                }
                write_workloads(f, workloads)
            }
            Self::CanarySelector(workloads) => {
                f.write_str("`updateStrategy.selector` matches none of the remaining workloads")?;
                write_workloads(f, workloads)
            }
            Self::MaxUnavailableZero => f.write_str("`updateStrategy.maxUnavailable` is 0"),
            Self::ReplacedBy(by) => {
                write!(f, "replaced by SidecarSet `{by}`; its rollout updates these workloads")
            }
            Self::NoWorkloads => f.write_str(
                "no workload has or would get this sidecar, so the rollout neither starts nor completes: check its selector, and `sources` or `build` in pillion.yaml",
            ),
            Self::Waiting(workloads) => {
                let shown = workloads.iter().take(MAX_SHOWN);
                let reasons: Vec<_> = shown.map(|(key, why)| format!("{key}: {why}")).collect();
                write!(f, "{}", reasons.join("; "))?;
                write_more(f, workloads.len())
            }
        }
    }
}

/// How many workloads are named; the others are counted.
const MAX_SHOWN: usize = 3;

/// Writes the names of the first workloads.
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
