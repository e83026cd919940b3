//! The next step of Kruise's controller on a live cluster: one reconcile of one SidecarSet over its pods.
//!
//! The rules are those of OpenKruise v1.9.0, quirks included. Effects of a status or an update on the cluster are not
//! simulated, and nothing depends on the time.

mod hot_upgrade;
mod matching;
mod object_fields;
mod order;
mod pod;
mod pod_reader;
mod pod_state;
mod selection;

pub use matching::NamespaceLabelMap;
pub use pod::{PodContainer, PodContainerStatus, SidecarPod};
pub use pod_reader::read_pods;

use crate::diagnostics::{Code, Diagnostic};
use crate::model::sidecar_set::SidecarSet;
use selection::{PodCandidate, PodSelection, count_pods, select_pods};

/// The next step of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodStep {
    /// The kind of the step.
    pub kind: PodStepKind,
    /// The patched pods, as `NAMESPACE/NAME`; of a batch in the order of the update.
    pub pods: Vec<String>,
    /// The reason of a step without a batch.
    pub reason: Option<String>,
    /// The status before the step.
    pub status: PodCounts,
    /// Pods that cannot be updated in place: more than images differs.
    pub not_upgradable: Vec<String>,
}

/// The kind of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodStepKind {
    /// Some pods get the new images.
    Batch,
    /// Hot upgrade: the previously active containers get the empty image.
    HotUpgradeSwap,
    /// Nothing, until pods change by themselves.
    Wait,
    /// Nothing, until a person changes something.
    Hold,
    /// Nothing: every pod is updated.
    Complete,
}

impl PodStepKind {
    /// Returns the name of the kind.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Batch => "Batch",
            Self::HotUpgradeSwap => "Swap",
            Self::Wait => "Wait",
            Self::Hold => "Hold",
            Self::Complete => "Complete",
        }
    }
}

/// The counters of a SidecarSet's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PodCounts {
    /// `matchedPods`: pods that count.
    pub matched_pods: usize,
    /// `updatedPods`: those that have the current revision.
    pub updated_pods: usize,
    /// `readyPods`: those that are ready and run what they ask for, of any revision.
    pub ready_pods: usize,
    /// `updatedReadyPods`: both.
    pub updated_ready_pods: usize,
}

/// Returns the next step of Kruise v1.9.0 for these pods, and diagnostics about namespaces. With an error among them
/// the step counts for nothing.
///
/// Kruise v1.9.0 sidecarset_processor.go UpdateSidecarSet.
pub fn next_pod_step(
    set: &SidecarSet,
    pods: &[SidecarPod],
    namespaces: &NamespaceLabelMap,
) -> (PodStep, Vec<Diagnostic>) {
    let (matched, mut found) = matching::matched_pods(set, pods, namespaces);
    found.extend(scatter_without_value(set));
    let units: Vec<PodCandidate<'_>> = matched.into_iter().map(|pod| PodCandidate::new(set, pod)).collect();
    let status = count_pods(&units);
    let without_pods = |kind, reason: String| PodStep {
        kind,
        pods: Vec::new(),
        reason: Some(reason),
        status,
        not_upgradable: Vec::new(),
    };
    let swapped: Vec<String> =
        units.iter().filter(|u| hot_upgrade::can_swap_images(set, u.pod)).map(|u| u.pod.key()).collect();
    let step = if set.update_strategy.kind == "NotUpdate" {
        without_pods(PodStepKind::Hold, "`updateStrategy.type` is `NotUpdate`".to_owned())
    } else if set.update_strategy.is_paused {
        without_pods(PodStepKind::Hold, "`updateStrategy.paused` is set".to_owned())
    } else if !swapped.is_empty() {
        let reason = format!("the previously active containers get the empty image: {}", swapped.join(", "));
        PodStep { pods: swapped, ..without_pods(PodStepKind::HotUpgradeSwap, reason) }
    } else if status.updated_pods >= status.matched_pods {
        without_pods(PodStepKind::Complete, complete_reason(status))
    } else {
        update_round(set, &units, status)
    };
    (step, found)
}

/// Kruise compares a label with the empty text where a term has no value.
fn scatter_without_value(set: &SidecarSet) -> Option<Diagnostic> {
    let terms = &set.update_strategy.scatter_strategy;
    let term = terms.iter().find(|term| term.value.is_empty())?;
    let message = format!("a term of `scatterStrategy` has the key `{}` and no value", term.key);
    let diagnostic = Diagnostic::warning(Code::ScatterWithoutValue, message)
        .at(set.label("spec.updateStrategy.scatterStrategy", ""))
        .field("spec.updateStrategy.scatterStrategy")
        .because("Kruise spreads the pods with an empty or absent label, and updates the others in any order")
        .help("write `value: \"*\"` for every value of the label, or the value that is meant");
    Some(diagnostic)
}

fn complete_reason(status: PodCounts) -> String {
    let not_ready = status.updated_pods - status.updated_ready_pods;
    match (status.matched_pods, not_ready) {
        (0, _) => "no pod is matched".to_owned(),
        (_, 0) => "every matched pod is updated".to_owned(),
        _ => format!("every matched pod is updated; {} not ready", pods_are_text(not_ready)),
    }
}

fn update_round(set: &SidecarSet, units: &[PodCandidate<'_>], status: PodCounts) -> PodStep {
    let choice = select_pods(set, units);
    let keys = |places: &[usize]| places.iter().map(|i| units[*i].pod.key()).collect();
    let (kind, reason) = match choice.selected.is_empty() {
        false => (PodStepKind::Batch, None),
        true => match choice.unreadable {
            Some(pod) => (PodStepKind::Hold, Some(unreadable_condition_reason(&units[pod].pod.key()))),
            None => (idle_kind(&choice), Some(idle_reason(&choice, status))),
        },
    };
    PodStep {
        kind,
        pods: keys(&choice.selected),
        reason,
        status,
        not_upgradable: keys(&choice.not_upgradable),
    }
}

fn unreadable_condition_reason(pod: &str) -> String {
    format!(
        "the message of the condition `SidecarSetUpgradable` of {pod} is not a JSON object: Kruise stops with an error \
         before it updates any pod"
    )
}

/// Pods that become ready free capacity or become candidates; everything else needs a change by a person.
fn idle_kind(choice: &PodSelection) -> PodStepKind {
    let has_full_bound = choice.reached_max_unavailable.is_some_and(|max| max > 0);
    if has_full_bound || choice.in_flight > 0 { PodStepKind::Wait } else { PodStepKind::Hold }
}

fn idle_reason(choice: &PodSelection, status: PodCounts) -> String {
    let mut parts: Vec<String> = Vec::new();
    match choice.reached_max_unavailable {
        Some(0) => parts.push("`maxUnavailable` is 0: ready pods are not updated".to_owned()),
        Some(max) => {
            let unavailable = status.updated_pods - status.updated_ready_pods;
            parts.push(format!(
                "`maxUnavailable` ({max}) is used up: {unavailable} updated {} not ready",
                pods_are(unavailable)
            ));
        }
        None => {}
    }
    let mut add = |count: usize, what: &str| {
        if count > 0 {
            parts.push(format!("{} {what}", pods_are_text(count)));
        }
    };
    add(choice.in_flight, "still completing an earlier update");
    add(choice.kept_by_partition, "kept by `partition`");
    add(choice.unselected, "excluded by `updateStrategy.selector`");
    add(choice.not_upgradable.len(), "not upgradable in place");
    parts.join("; ")
}

fn pods_are(count: usize) -> &'static str {
    if count == 1 { "pod is" } else { "pods are" }
}

fn pods_are_text(count: usize) -> String {
    format!("{count} {}", pods_are(count))
}
