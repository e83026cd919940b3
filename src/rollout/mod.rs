//! Rollouts: what is updated next, and what stays as it is. Pure.
//!
//! The rules that workloads and pods share are one file each, named for their field of `updateStrategy`. They know
//! units only by their labels, and an order of units as a list of places in the list of all units.

mod approval;
mod batch_selection;
mod blocked;
mod controller;
mod hot_upgrade;
mod pod_count;
mod progress;
mod related_objects;
mod scope;
mod state;
mod step;
mod types;
mod unavailability;

/// Does a workload take a new template in place, by new pods, later or never?
pub mod update_method;

/// What differs between two pod templates.
pub mod template_diff;

/// A workload's own rolling behaviour, and its native partition.
pub mod workload_strategy;

/// The worst course that a workload's own controller can take.
pub mod simulation;

/// What a pod asks of the scheduler.
pub mod pod_resources;

/// What a reviewer of a rollout should know beforehand.
pub mod advice;

/// A change of an object as an RFC 6902 patch.
pub mod patch;

/// A rollout as a person reviews it.
pub mod report;

/// What a cluster says about its pods.
pub mod cluster_state;

/// The workloads that a rollout may concern.
pub mod workload_set;

/// Sidecars that a rollout takes away.
pub mod removal;

/// A selector that selects nothing.
pub mod unmatched_selector;

/// What a rollout may do.
pub mod settings;

/// `updateStrategy.selector`.
pub mod canary;

/// `updateStrategy.partition`.
pub mod partition;

/// The step that Kruise's own controller would take, pod by pod.
pub mod pods;

/// `updateStrategy.priorityStrategy`.
pub mod priority;

/// `updateStrategy.scatterStrategy`.
pub mod scatter;

/// `updateStrategy.maxUnavailable`.
pub mod max_unavailable;

pub use approval::{is_repair, required_approval};
pub use blocked::BlockedReason;
pub use related_objects::{
    RelatedObject, RelatedObjects, from_object, may_contain_related_objects, related_objects_in,
};
pub use scope::{CountedWorkloads, with_current_scope};
pub use state::RolloutState;
pub use step::{approval_digest, can_start, ledger_before, newer_source, next_step, steps};
pub use types::{
    Batch, ExternalState, RolloutContext, RolloutEnd, RolloutStep, Successor, WorkloadUpdate, cluster_option,
};
pub use unavailability::{Unavailability, unavailability};

use crate::model::sidecar_set::IntOrPercent;
use std::collections::BTreeMap;

/// The labels of a unit that is rolled out: a pod, or a workload's pod template.
pub type LabelMap = BTreeMap<String, String>;

/// Adds up numbers of pods; there is no more than can be counted.
fn saturating_sum(pods: impl Iterator<Item = u32>) -> u32 {
    pods.fold(0, u32::saturating_add)
}

/// Returns the number that is meant for `n` units, percentages rounded up. A text that is no percentage means 0;
/// Kruise's webhook refuses it.
fn resolve_rounded_up(amount: &IntOrPercent, n: usize) -> usize {
    match amount {
        IntOrPercent::Int(number) => usize::try_from(*number).unwrap_or(0),
        IntOrPercent::Text(text) => {
            let percent = text.strip_suffix('%').and_then(|p| p.parse::<u64>().ok()).unwrap_or(0);
            let hundredths = u128::from(percent) * n as u128;
            usize::try_from(hundredths.div_ceil(100)).unwrap_or(usize::MAX)
        }
    }
}
