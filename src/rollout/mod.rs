//! Rollouts: decides which workloads are updated next, and plans the batches. Pure.
//!
//! The rules that workloads and pods share are in `update_strategy.rs` and `scatter.rs`. They see workloads and
//! pods alike as units with labels, and return an order as a list of indexes into the list of units.

mod batch_selection;
mod blocked;
mod cluster_objects;
mod gates;
mod hot_upgrade;
mod kruise;
mod partition_selection;
mod piggyback;
mod plan;
mod pod_owners;
mod pod_requirements;
mod pod_security;
mod progress;
mod related_objects;
mod scope;
mod state;
mod step;
mod template_summary;
mod types;
mod unavailability;
mod update_strategy;

/// How a workload's pods adopt a new template.
pub mod update_method;

/// Differences between two pod templates.
pub(crate) mod template_diff;

/// A workload's own update strategy, and its native partition.
pub mod workload_strategy;

/// Simulates the worst case of a controller's rolling update.
pub mod simulation;

/// CPU and memory requests of a pod template.
pub mod pod_resources;

/// Warnings for the reviewer of a rollout.
pub mod advice;

/// The change of an object as an RFC 6902 patch.
pub mod patch;

/// The plan of a rollout, for people.
pub(crate) mod report;

/// What sidecars request, summed up.
pub(crate) mod sidecar_costs;
pub(crate) mod sidecar_inventory;

/// Comparison of what runs in a cluster with what render would write.
pub(crate) mod adoption;

/// Pod counts and related objects of a cluster.
pub(crate) mod cluster_state;

/// Differences between objects in the cluster and in git.
pub(crate) mod live_fields;

/// The workloads of a cluster.
pub(crate) mod workload_set;

/// Workloads that lose their sidecar.
pub(crate) mod removal;

/// Selectors that match nothing.
pub(crate) mod unmatched_selector;

/// Changes of a ledger by people.
pub(crate) mod transitions;

/// The settings of a rollout.
pub(crate) mod settings;

/// The next step of Kruise's own controller, pod by pod.
pub mod pods;

/// `updateStrategy.scatterStrategy`.
pub mod scatter;

pub(crate) use blocked::BlockedReason;
pub use gates::{Gate, GateState, GateStatus};
pub(crate) use gates::{GateClock, approval_reason, gates_from_git, piggyback_wait, rate_text};
pub(crate) use hot_upgrade::HotUpgradeHalf;
pub(crate) use kruise::{KruiseSelection, SelectedWorkload, kept_by_percent};
pub(crate) use piggyback::{
    WorkloadCount, has_piggybacked, piggybacked_text, piggybacked_workloads, waiting_workloads,
};
pub(crate) use plan::PlanExtent;
pub use plan::RolloutPlan;
pub use pod_requirements::{NO_REQUIREMENTS, ObjectReference, PodRequirements};
pub use pod_security::{
    PodSecurityLevel, PodSecurityViolation, pod_security_violations, violations_of_level,
};
pub(crate) use related_objects::{
    RelatedObject, RelatedObjects, may_contain_related_objects, related_objects_in,
};
pub(crate) use scope::{CountedWorkloads, with_current_scope};
pub use state::RolloutState;
pub use step::{
    approval_digest, can_start, is_hold_release, is_repair, ledger_before, newer_source, next_step,
    required_approval, steps,
};
pub(crate) use step::{requested_start, start_command};
pub(crate) use template_summary::TemplateSummary;
pub use types::{
    Batch, ExternalState, RolloutContext, RolloutEnd, RolloutStep, Successor, WorkloadUpdate, cluster_option,
};
pub(crate) use unavailability::unavailability;

use serde_json::Value;
use std::collections::BTreeMap;

/// The labels of a unit: a pod, or the pod template of a workload.
pub type LabelMap = BTreeMap<String, String>;

/// Returns the labels of a pod template; a value that is not a string is empty.
pub(crate) fn template_labels(template: &Value) -> LabelMap {
    let labels = template["metadata"]["labels"].as_object().into_iter().flatten();
    labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// Returns a number of pods; one that is too large becomes the largest.
fn to_u32(pods: u64) -> u32 {
    u32::try_from(pods).unwrap_or(u32::MAX)
}

/// Adds numbers of pods, without overflow.
pub(crate) fn saturating_sum(pods: impl Iterator<Item = u32>) -> u32 {
    pods.fold(0, u32::saturating_add)
}

/// Adds an item without capacity for more: nearly every workload has one or two, and a plan has many workloads.
fn push_exact<T>(items: &mut Vec<T>, item: T) {
    items.reserve_exact(1);
    items.push(item);
}
