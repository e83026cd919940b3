//! Rollouts where Kruise injects the sidecars: the SidecarSet is the one workload, and a batch lowers the `partition` of
//! its `updateStrategy`.
//!
//! The partition is a percentage, of which Kruise's controller makes a number of pods: it holds for pods that git does
//! not know, too.

use super::update_strategy::kept_by_partition;
use super::{saturating_sum, to_u32};
use crate::model::int_or_percent::IntOrPercent;
use std::sync::Arc;

/// The partition that keeps every pod old.
pub(super) const ALL_KEPT: u32 = 100;

/// What a SidecarSet selects in git, where Kruise injects it.
#[derive(Debug, Clone, Default)]
pub(crate) struct KruiseSelection {
    /// The selected workloads.
    pub(crate) workloads: Vec<SelectedWorkload>,
}

/// A workload with pods that a SidecarSet selects.
#[derive(Debug, Clone)]
pub(crate) struct SelectedWorkload {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub(crate) key: Arc<str>,
    /// Its pods; None: unknown.
    pub(crate) pods: Option<u32>,
    /// `updateStrategy.selector` selects it, or there is none.
    pub(crate) is_canary: bool,
}

impl KruiseSelection {
    /// Returns the pods of all workloads; None where the number of some is unknown.
    pub(crate) fn pods(&self) -> Option<u32> {
        let pods: Option<Vec<u32>> = self.workloads.iter().map(|workload| workload.pods).collect();
        pods.filter(|pods| !pods.is_empty()).map(|pods| saturating_sum(pods.into_iter()))
    }

    /// Returns the keys of the workloads outside of the canary.
    pub(super) fn outside_canary(&self) -> Vec<Arc<str>> {
        let outside = self.workloads.iter().filter(|workload| !workload.is_canary);
        outside.map(|workload| Arc::clone(&workload.key)).collect()
    }
}

/// Returns the pods that a percentage keeps old.
pub(crate) fn kept_by_percent(percent: u32, pods: u32) -> u32 {
    to_u32(kept_by_partition(&IntOrPercent::Text(format!("{percent}%")), pods.into()))
}
