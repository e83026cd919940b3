//! Which revision and which images the sidecars of a workload have.

use super::workload_set::{PlannedWorkload, WorkloadSet};
use crate::model::ledger::{Ledger, LedgerEntry, RevisionName, revision_text};
use serde_json::{Map, Value, json};
use std::fmt;
use std::sync::Arc;

/// What one workload has of one SidecarSet, by its ledger and manifest.
#[derive(Debug, Clone)]
pub(crate) struct WorkloadSidecars {
    /// The SidecarSet.
    pub(crate) set: Arc<str>,
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub(crate) workload: Arc<str>,
    /// The revision.
    pub(crate) revision: Arc<str>,
    /// Its place in the rollout.
    pub(crate) standing: RevisionStanding,
    /// The containers of the SidecarSet with their images, in the order of the pod template.
    pub(crate) images: Vec<(String, String)>,
    /// Pods that a partition keeps on another revision.
    pub(crate) kept: Option<KeptPods>,
    /// Why no rollout changes it.
    pub(crate) hold_reason: Option<Arc<str>>,
}

/// What the revision of a workload is to the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RevisionStanding {
    /// The released one.
    Released,
    /// The target of the rollout in progress.
    Target,
    /// Another one, which a hold keeps or an earlier target left.
    Other,
}

/// Pods that a partition keeps.
#[derive(Debug, Clone)]
pub(crate) struct KeptPods {
    /// How many.
    pub(crate) count: KeptCount,
    /// Their revision.
    pub(crate) revision: RevisionName,
}

/// How many pods a partition keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeptCount {
    /// The workload's own partition keeps so many of its pods.
    Pods(u32),
    /// The partition of the SidecarSet keeps this percentage of all pods that Kruise injected; git does not say which.
    PercentOfAll(u32),
}

impl WorkloadSidecars {
    /// Returns what a workload with an entry has of a SidecarSet. None: nothing.
    pub(crate) fn of(
        workloads: &WorkloadSet<'_>,
        ledger: &Ledger,
        workload: &PlannedWorkload,
        entry: &LedgerEntry,
    ) -> Option<Self> {
        let revision = entry.revision.clone()?;
        let images = workloads.sidecar_images(workload, entry);
        let standing = match &ledger.target {
            Some(target) if *target == entry.revision => RevisionStanding::Target,
            _ if ledger.released == entry.revision => RevisionStanding::Released,
            _ => RevisionStanding::Other,
        };
        let by_percent = entry.partition_percent.filter(|percent| *percent > 0).map(KeptCount::PercentOfAll);
        let kept = entry.partition.map(KeptCount::Pods).or(by_percent);
        (!images.is_empty()).then(|| Self {
            set: Arc::clone(&ledger.name),
            workload: Arc::clone(workload.key()),
            revision,
            standing,
            images,
            kept: kept.map(|count| KeptPods { count, revision: ledger.released.clone() }),
            hold_reason: entry.hold_reason.clone(),
        })
    }

    /// Returns it as data.
    pub(crate) fn to_json(&self) -> Value {
        let images: Map<String, Value> =
            self.images.iter().map(|(name, image)| (name.clone(), json!(image))).collect();
        json!({
            "workload": &*self.workload,
            "sidecarSet": &*self.set,
            "revision": &*self.revision,
            "state": self.standing.name(),
            "images": images,
            "kept": self.kept.as_ref().map(KeptPods::to_json),
            "hold": self.hold_reason.as_deref(),
        })
    }
}

impl RevisionStanding {
    /// Returns its name in text and data.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Released => "Released",
            Self::Target => "Target",
            Self::Other => "Other",
        }
    }
}

impl KeptPods {
    fn to_json(&self) -> Value {
        let (pods, percent) = match self.count {
            KeptCount::Pods(pods) => (Some(pods), None),
            KeptCount::PercentOfAll(percent) => (None, Some(percent)),
        };
        json!({"pods": pods, "percentOfAll": percent, "revision": revision_text(&self.revision)})
    }
}

impl fmt::Display for KeptPods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revision = revision_text(&self.revision);
        match self.count {
            KeptCount::Pods(1) => write!(f, "1 pod keeps {revision}"),
            KeptCount::Pods(pods) => write!(f, "{pods} pods keep {revision}"),
            KeptCount::PercentOfAll(percent) => {
                write!(f, "{percent}% of all pods of the SidecarSet keep {revision}")
            }
        }
    }
}
