//! Finds commits that bring the target of a rollout to many workloads at once, because they change the pod templates of
//! all of them while the workloads wait for their own next change (`piggyback`).

use super::{ClusterView, DeployBranch};
use crate::diagnostics::{Code, Diagnostic, pluralize};
use crate::model::ledger::Ledger;
use crate::rollout::workload_set::PlannedWorkload;
use crate::rollout::{
    ExternalState, PlanExtent, RolloutContext, RolloutPlan, RolloutStep, has_piggybacked, saturating_sum,
};
use crate::yaml::EntryPart;

/// How many workloads are named.
const MAX_NAMED: usize = 5;

/// Compares two states of the deploy branch with the same ledgers.
pub(super) fn joint_changes_between(old: &DeployBranch<'_>, new: &DeployBranch<'_>) -> Vec<Diagnostic> {
    if old.source.tree == new.source.tree {
        return Vec::new();
    }
    let views = new.clusters().into_iter().map(|cluster| new.unchecked_cluster_view(cluster));
    // What is wrong with a view is reported where it is checked.
    let sound = views.filter(|(_, problems)| !problems.iter().any(Diagnostic::is_error));
    sound.flat_map(|(view, _)| joint_changes_since(old, &view)).collect()
}

/// Compares a cluster with its state on the deploy branch before; it has the same ledgers.
pub(super) fn joint_changes_since(before: &DeployBranch<'_>, view: &ClusterView) -> Vec<Diagnostic> {
    let cluster = view.cluster.as_deref();
    if !view.prepared.ledgers.values().any(has_waiting) || !before.clusters().contains(&cluster) {
        return Vec::new();
    }
    let (old, problems) = before.unchecked_cluster_view(cluster);
    if problems.iter().any(Diagnostic::is_error) {
        return Vec::new();
    }
    let waiting = view.prepared.ledgers.values().filter(|ledger| has_waiting(ledger));
    waiting.filter_map(|ledger| check_rollout(&old, view, ledger)).collect()
}

/// Returns whether workloads take the target of a rollout with their own next change.
fn has_waiting(ledger: &Ledger) -> bool {
    ledger.entries.values().any(|entry| entry.piggyback.is_some())
}

/// Reports a change that updates more than the largest batch that the plan had before it.
fn check_rollout(old: &ClusterView, new: &ClusterView, ledger: &Ledger) -> Option<Diagnostic> {
    let (before, _) = old.rollout_context_for(ledger);
    let (after, _) = new.rollout_context_for(ledger);
    let waited = |workload: &&PlannedWorkload| {
        before.workloads.find(workload.key()).is_some_and(|old| !has_piggybacked(old, ledger))
    };
    let moved: Vec<&PlannedWorkload> = after
        .workloads
        .as_slice()
        .iter()
        .filter(|workload| has_piggybacked(workload, ledger))
        .filter(waited)
        .collect();
    if moved.len() < 2 {
        return None;
    }
    let plan = RolloutPlan::new(before, ledger.clone(), ExternalState::default(), PlanExtent::Whole);
    let (at_once, largest) = compared_sizes(&plan, &after, ledger, &moved)?;
    Some(joint_change(ledger, &moved, &at_once, &largest))
}

/// Returns what changes at once and the largest batch, in words; None: it is no more than that. Pods are compared where
/// git has the replicas of all workloads that change, else workloads.
fn compared_sizes(
    plan: &RolloutPlan<'_>,
    after: &RolloutContext<'_>,
    ledger: &Ledger,
    moved: &[&PlannedWorkload],
) -> Option<(String, String)> {
    let batches = || plan.steps.iter().filter_map(RolloutStep::batch);
    let largest_workloads = batches().map(|batch| batch.updates.len()).max()?;
    let replicas: Option<Vec<u32>> = moved.iter().map(|workload| after.replicas(workload, ledger)).collect();
    let workloads = pluralize(moved.len() as u64, "workload");
    match replicas {
        Some(replicas) => {
            let pods = saturating_sum(replicas.into_iter());
            let largest = batches().map(|batch| batch.moved_pods()).max()?;
            let sizes = (
                format!("{workloads} ({})", pluralize(pods.into(), "pod")),
                pluralize(largest.into(), "pod"),
            );
            (pods > largest).then_some(sizes)
        }
        None => (moved.len() > largest_workloads)
            .then(|| (workloads, pluralize(largest_workloads as u64, "workload"))),
    }
}

fn joint_change(ledger: &Ledger, moved: &[&PlannedWorkload], at_once: &str, largest: &str) -> Diagnostic {
    let (name, target) = (&ledger.name, ledger.target.as_ref().and_then(|target| target.as_deref()));
    let message = format!(
        "one commit brings `{}` of SidecarSet `{name}` to {at_once} at once, and the largest batch of its plan has {largest}",
        target.unwrap_or("-")
    );
    let mut warning = Diagnostic::warning(Code::PiggybackAtOnce, message);
    for workload in moved.iter().take(MAX_NAMED) {
        let outline = &workload.outline;
        let at = outline.manifest.path.child("metadata").child("name");
        warning = warning.at(outline.source.label(&at, EntryPart::Value, ""));
    }
    if moved.len() > MAX_NAMED {
        warning = warning.because(format!("and {} more workloads", moved.len() - MAX_NAMED));
    }
    warning
        .because("their pod templates change while they wait for their own next change (`piggyback`)")
        .because("all their pods are recreated with the new sidecar before `watch` can judge the first one")
        .help(format!(
            "divide the change into commits that are released one after the other; or run `pillion pause {name}` before it is merged: while a rollout is paused, workloads keep the sidecar that they have"
        ))
}
