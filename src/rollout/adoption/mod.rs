//! Adoption: compares what runs in a cluster with what render would write, and chooses the first ledgers with which no
//! pod changes. Pure.

mod foreign_containers;
mod ledger_choice;
mod live_container;
mod pod_comparison;
mod snapshot;
mod workload_comparison;

pub(crate) use foreign_containers::without_foreign_containers;
pub(crate) use ledger_choice::{LedgerChoice, LedgerObstacle, choose_ledger};
pub(crate) use pod_comparison::SidecarOrigin;
pub(crate) use snapshot::AdoptionSnapshot;
pub(crate) use workload_comparison::{ExpectedInjection, compare_workload, unmanaged_pods};

use super::live_fields::FieldDifference;
use std::sync::Arc;

/// Which way the sidecars go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdoptionDirection {
    /// Git takes over: pillion renders the sidecars, or stages the SidecarSet for Kruise.
    ToGit,
    /// Kruise takes over: the sidecars leave the manifests.
    ToKruise,
}

/// How the pods of a workload compare with what render writes, the worst of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AdoptionVerdict {
    /// The cluster has no pod of it: there is nothing to compare.
    NoPods,
    /// They have what render writes.
    Same,
    /// They have what render writes, but for its marks: a person or another program wrote it.
    Adoptable,
    /// They do not have the sidecar.
    Missing,
    /// Kruise has recorded another content, and the cluster's SidecarSet has the one in git: they were injected before it.
    Outdated,
    /// They differ.
    Differs,
}

impl AdoptionVerdict {
    /// Returns the word in reports.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::NoPods => "no pods",
            Self::Same => "same",
            Self::Adoptable => "adoptable",
            Self::Missing => "missing",
            Self::Outdated => "outdated",
            Self::Differs => "differs",
        }
    }

    /// Returns whether the pods do not have what render writes.
    pub(crate) fn is_difference(self) -> bool {
        self >= Self::Missing
    }
}

/// A workload, compared.
#[derive(Debug)]
pub(crate) struct WorkloadAdoption {
    /// Its key.
    pub(crate) key: Arc<str>,
    /// The cluster has it, or a pod of it.
    pub(crate) is_in_cluster: bool,
    /// Its pods that have not ended.
    pub(crate) pods: usize,
    /// The pods with the verdict of the workload.
    pub(crate) affected_pods: usize,
    /// One of them, for people to look at.
    pub(crate) example: Option<Arc<str>>,
    pub(crate) verdict: AdoptionVerdict,
    /// What put the sidecars into its pod template in the cluster, as far as is known.
    pub(crate) template: Option<SidecarOrigin>,
    /// The template in the cluster has what render writes.
    pub(crate) is_template_same: bool,
    /// Its manifest in git has the containers without a mark.
    pub(crate) is_foreign_in_git: bool,
    /// The differences of the first of the affected pods.
    pub(crate) differences: Vec<FieldDifference>,
}

/// How the SidecarSet in the cluster compares with the one in git.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ClusterSetState {
    /// The cluster state has no SidecarSets at all.
    Unknown,
    /// It has others, and not this one.
    Absent,
    /// It is the same; with the same strategies too, if so.
    Same { has_same_strategy: bool },
    /// It has another content.
    Differs(Vec<FieldDifference>),
}

/// A SidecarSet, compared.
#[derive(Debug)]
pub(crate) struct SetAdoption {
    pub(crate) name: Arc<str>,
    /// The compared revision.
    pub(crate) revision: Arc<str>,
    /// Kruise's hash of it.
    pub(crate) hash: Arc<str>,
    /// It has a ledger already.
    pub(crate) has_ledger: bool,
    pub(crate) cluster_set: ClusterSetState,
    /// The selected workloads, in the order of git.
    pub(crate) workloads: Vec<WorkloadAdoption>,
    /// Pods in the cluster with the SidecarSet, of workloads that it does not select in git: keys and numbers.
    pub(crate) unmanaged: Vec<(Arc<str>, usize)>,
}

impl SetAdoption {
    /// Returns whether something in the cluster is not as in git.
    pub(crate) fn has_differences(&self) -> bool {
        self.workloads.iter().any(|workload| workload.verdict.is_difference())
            || matches!(self.cluster_set, ClusterSetState::Differs(_))
            || !self.unmanaged.is_empty()
    }
}
