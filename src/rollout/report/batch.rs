//! Reports what each batch does: its pods, their unavailability, restarts and requests.

use super::super::hot_upgrade::HotUpgradeHalf;
use super::super::plan::RolloutPlan;
use super::super::pod_resources::{PodResources, count_running_containers, requests_of};
use super::super::simulation::{self, SimulationOutcome, simulate};
use super::super::types::{Batch, RolloutContext, RolloutStep, WorkloadUpdate};
use super::super::update_method::UpdateMethod;
use super::super::workload_set::PlannedWorkload;
use crate::diagnostics::escape;
use crate::model::ledger::{Ledger, LedgerEntry, RevisionName};
use crate::model::workload::NO_NAMESPACE;

/// One batch.
#[derive(Debug)]
pub(crate) struct BatchReport {
    /// Its number, from 1.
    pub(crate) number: u32,
    /// The half of the hot upgrades in it.
    pub(crate) half: Option<HotUpgradeHalf>,
    /// Pods that get the target.
    pub(crate) moved_pods: u32,
    /// Pods with a new template.
    pub(crate) changed_pods: u32,
    /// Pods that have the target afterwards.
    pub(crate) updated_pods: u32,
    /// The most pods that are unavailable at once; None: a replica count is unknown.
    pub(crate) max_unavailable: Option<u64>,
    /// Containers that restart; None: a replica count is unknown.
    pub(crate) restarted_containers: Option<u64>,
    /// The additional requests of the pods of the batch.
    pub(crate) added_requests: PodResources,
    /// Temporary surplus pods.
    pub(crate) surge: SurgeReport,
    /// The workloads, in the order of the rollout.
    pub(crate) workloads: Vec<WorkloadReport>,
    /// The index of its step.
    pub(super) step: usize,
}

/// Temporary surplus pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SurgeReport {
    /// Their number, at most.
    pub(crate) pods: u64,
    /// Their requests.
    pub(crate) requests: PodResources,
}

/// One workload of a batch.
#[derive(Debug)]
pub(crate) struct WorkloadReport {
    /// The update.
    pub(crate) update: WorkloadUpdate,
    /// Its worst case; None: its replica count is unknown.
    pub(crate) worst_case: Option<SimulationOutcome>,
}

impl WorkloadReport {
    /// Returns whether only some of its pods are updated, in this batch or because its own partition keeps some.
    pub(crate) fn is_partial(&self) -> bool {
        self.update.changed_from() > 0
            || self.update.replicas.is_some_and(|of| self.update.updated_after < of)
    }

    /// Returns whether it counts running pods.
    pub(crate) fn counts_pods(&self) -> bool {
        self.update.behavior.method != UpdateMethod::NextRun && self.update.replicas != Some(0)
    }
}

/// Returns kind, namespace and name for people: `StatefulSet data/events` for `StatefulSet.apps/data/events`.
pub(crate) fn workload_title(key: &str) -> String {
    let (kind, name) = key.split_once('/').unwrap_or((key, ""));
    let name =
        name.split_once('/').filter(|(namespace, _)| *namespace == NO_NAMESPACE).map_or(name, |(_, n)| n);
    escape::line(&format!("{} {name}", kind.split('.').next().unwrap_or(kind))).into_owned()
}

/// Reports each batch among the steps.
pub(super) fn batch_reports(plan: &RolloutPlan<'_>, steps: &[RolloutStep]) -> Vec<BatchReport> {
    let batches = steps.iter().enumerate().filter_map(|(step, taken)| Some((step, taken.batch()?)));
    batches
        .map(|(step, batch)| BatchReport {
            step,
            ..report_batch(&plan.context, plan.ledger_before(step), batch)
        })
        .collect()
}

fn report_batch(context: &RolloutContext<'_>, before: &Ledger, taken: &Batch) -> BatchReport {
    let mut batch = BatchReport {
        number: taken.number,
        half: taken.half(),
        moved_pods: taken.moved_pods(),
        changed_pods: taken.changed_pods(),
        updated_pods: taken.updated_pods,
        max_unavailable: Some(0),
        restarted_containers: Some(0),
        added_requests: PodResources::zero(),
        surge: SurgeReport { pods: 0, requests: PodResources::zero() },
        workloads: Vec::with_capacity(taken.updates.len()),
        step: 0,
    };
    let target = before.target.clone().unwrap_or_default();
    for update in &taken.updates {
        let workload = context.workloads.find(&update.key);
        let outcome =
            workload.and_then(|workload| batch.add_workload(context, before, &target, workload, update));
        batch.workloads.push(WorkloadReport { update: update.clone(), worst_case: outcome });
    }
    batch
}

impl BatchReport {
    /// Adds the effect of one workload.
    fn add_workload(
        &mut self,
        context: &RolloutContext<'_>,
        before: &Ledger,
        target: &RevisionName,
        workload: &PlannedWorkload,
        update: &WorkloadUpdate,
    ) -> Option<SimulationOutcome> {
        // The remaining pods of a split workload have the revision that its first ones had.
        let entry = workload.active_entry(before);
        let entry = entry.filter(|l| !l.images.is_empty() || !l.hot_upgrades.is_initial());
        let is_split = update.previous == *target && entry.is_none();
        let previous = if is_split { &before.released } else { &update.previous };
        let next = LedgerEntry {
            hot_upgrades: update.hot_upgrades.clone(),
            ..LedgerEntry::with_revision(target.clone())
        };
        let change = match entry.as_deref() {
            Some(entry) => context.workloads.change_between(workload, entry, &next),
            None => {
                let present = LedgerEntry::with_revision(previous.clone());
                context.workloads.change_between(workload, &present, &next)
            }
        };
        let Some(of) = update.replicas else {
            if update.behavior.method.replaces_or_restarts() {
                (self.max_unavailable, self.restarted_containers) = (None, None);
            }
            return None;
        };
        if !update.behavior.method.replaces_or_restarts() {
            return Some(SimulationOutcome::default());
        }
        let [old, new] = change.summaries.each_ref().map(|summary| &summary.template);
        let own = workload.strategy(u64::from(of), update.behavior.method);
        let pods = simulation::PodUpdateRange {
            updated_before: update.changed_from().into(),
            updated_after: update.updated_after.into(),
            replicas: of.into(),
        };
        let outcome = simulate(&own, update.behavior.method, pods);
        let restarted =
            outcome.restarted_containers(count_running_containers(new), change.restarted_in_place);
        self.max_unavailable = self.max_unavailable.map(|n| n.saturating_add(outcome.unavailable));
        self.restarted_containers = self.restarted_containers.map(|n| n.saturating_add(restarted));
        let of_new = requests_of(new);
        if !change.diff.is_image_only() {
            let more = of_new
                .minus(&requests_of(old))
                .times(u64::from(update.updated_after - update.updated_before));
            self.added_requests = self.added_requests.plus(&more);
        }
        self.surge.pods = self.surge.pods.saturating_add(outcome.surge);
        self.surge.requests = self.surge.requests.plus(&of_new.times(outcome.surge));
        Some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::workload_title;

    #[test]
    fn titles_are_for_people() {
        assert_eq!(workload_title("StatefulSet.apps/data/events"), "StatefulSet data/events");
        assert_eq!(workload_title("Pod/shop/one"), "Pod shop/one");
        assert_eq!(workload_title("SidecarSet.apps.kruise.io/-/log"), "SidecarSet log");
        assert_eq!(workload_title("name"), "name ");
        assert_eq!(workload_title("Pod/shop/a\n\u{1b}[2J"), "Pod shop/a\\n\\u001b[2J");
    }
}
