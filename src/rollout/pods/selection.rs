//! Selects the pods that are updated in one round, and explains why the others are not.

use super::pod::SidecarPod;
use super::pod_state::{
    container_names, differs_by_images, is_consistent, is_ready, is_update_in_flight, is_updated,
};
use super::{PodCounts, order};
use crate::model::sidecar_set::SidecarSet;
use crate::rollout::{LabelMap, scatter};

/// Kruise's default of `maxUnavailable`.
const MAX_UNAVAILABLE: u64 = 1;

/// A matched pod and its state under the set.
pub(super) struct PodCandidate<'a> {
    pub(super) pod: &'a SidecarPod,
    is_updated: bool,
    is_ready: bool,
    is_consistent: bool,
}

impl<'a> PodCandidate<'a> {
    pub(super) fn new(set: &SidecarSet, pod: &'a SidecarPod) -> Self {
        Self {
            pod,
            is_updated: is_updated(set, pod),
            is_ready: is_ready(set, pod),
            is_consistent: is_consistent(set, pod, &container_names(set)),
        }
    }

    fn is_available(&self) -> bool {
        self.is_consistent && self.is_ready
    }
}

/// Kruise v1.9.0 sidecarset_processor.go calculateStatus.
pub(super) fn count_pods(units: &[PodCandidate<'_>]) -> PodCounts {
    let count = |counts: &dyn Fn(&PodCandidate<'_>) -> bool| units.iter().filter(|u| counts(u)).count();
    PodCounts {
        matched_pods: units.len(),
        updated_pods: count(&|u| u.is_updated),
        ready_pods: count(&|u| u.is_available()),
        updated_ready_pods: count(&|u| u.is_updated && u.is_available()),
    }
}

/// The pods of one round, and what excludes the others. Numbers are indexes of matched pods.
#[derive(Debug, Default)]
pub(super) struct PodSelection {
    /// The pods to be updated, in order.
    pub(super) selected: Vec<usize>,
    /// Pods that differ from the set in more than images.
    pub(super) not_upgradable: Vec<usize>,
    /// How many pods that are not updated `updateStrategy.selector` excludes.
    pub(super) unselected: usize,
    /// How many pods are still completing an earlier update.
    pub(super) in_flight: usize,
    /// How many pods the partition keeps.
    pub(super) kept_by_partition: usize,
    /// The bound of unavailable pods, where it ends the round.
    pub(super) reached_max_unavailable: Option<u64>,
    /// The pod that is not upgradable and has an unreadable condition: Kruise fails before it updates any pod.
    pub(super) unreadable: Option<usize>,
}

/// Selects the pods of the next round.
///
/// Kruise v1.9.0 sidecarset_strategy.go GetNextUpgradePods.
pub(super) fn select_pods(set: &SidecarSet, units: &[PodCandidate<'_>]) -> PodSelection {
    let strategy = &set.update_strategy;
    let mut choice = PodSelection::default();
    let mut waiting = Vec::new();
    for (i, unit) in units.iter().enumerate().filter(|(_, u)| !u.is_updated) {
        if !strategy.is_in_canary(&unit.pod.labels) {
            choice.unselected += 1;
        } else if !differs_by_images(set, unit.pod) {
            choice.not_upgradable.push(i);
        } else if is_update_in_flight(set, unit.pod) {
            choice.in_flight += 1;
        } else {
            waiting.push(i);
        }
    }
    let mut waiting = sort_candidates(set, units, waiting);
    let keep = strategy.kept_pods(units.len() as u64);
    choice.kept_by_partition = usize::try_from(keep).map_or(waiting.len(), |keep| keep.min(waiting.len()));
    waiting.truncate(waiting.len() - choice.kept_by_partition);
    let bound = strategy.max_unavailable_pods(units.len() as u64).unwrap_or(MAX_UNAVAILABLE);
    select_within_bound(units, waiting, bound, &mut choice);
    stop_at_unreadable(units, &mut choice);
    choice
}

fn sort_candidates(set: &SidecarSet, units: &[PodCandidate<'_>], mut waiting: Vec<usize>) -> Vec<usize> {
    let labels: Vec<&LabelMap> = units.iter().map(|u| &u.pod.labels).collect();
    waiting.sort_by(|a, b| order::compare_pods(units[*a].pod, units[*b].pod));
    set.update_strategy.sort_by_priority(&labels, &mut waiting);
    scatter::scatter(&set.update_strategy.scatter_strategy, &labels, waiting)
}

/// Kruise v1.9.0 updatePodSidecarSetUpgradableCondition reads the condition of each pod that is not upgradable,
/// before it updates any, and of each updated pod; one that cannot be read ends the round.
fn stop_at_unreadable(units: &[PodCandidate<'_>], choice: &mut PodSelection) {
    let is_unreadable = |i: &usize| units[*i].pod.is_upgradable_unreadable;
    choice.unreadable = choice.not_upgradable.iter().copied().find(is_unreadable);
    if choice.unreadable.is_some() {
        choice.selected.clear();
    } else if let Some(at) = choice.selected.iter().position(is_unreadable) {
        choice.selected.truncate(at + 1);
    }
}

/// Selects pods in order: a pod that is not ready costs nothing, a ready one has to fit into the bound, and the first
/// that does not fit ends the round.
fn select_within_bound(
    units: &[PodCandidate<'_>],
    waiting: Vec<usize>,
    max_unavailable: u64,
    choice: &mut PodSelection,
) {
    let mut unavailable = units.iter().filter(|u| u.is_updated && !u.is_available()).count() as u64;
    for i in waiting {
        if units[i].is_ready {
            if unavailable >= max_unavailable {
                choice.reached_max_unavailable = Some(max_unavailable);
                return;
            }
            unavailable += 1;
        }
        choice.selected.push(i);
    }
}
