//! What the sidecars of a cluster request, before and after a rollout.

use super::cluster_view::ClusterView;
use crate::model::defaults::TEAM_LABEL;
use crate::model::ledger::{Ledger, LedgerEntry};
use crate::model::workload::sidecar_set_key;
use crate::read::map_in_order;
use crate::rollout::sidecar_costs::{CountedSidecars, SidecarCost};
use crate::rollout::workload_set::{PlannedWorkload, WorkloadSet};
use crate::rollout::{RolloutContext, RolloutPlan};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

impl ClusterView {
    /// Returns the label that names the team of a workload.
    pub(crate) fn team_label(&self) -> &str {
        self.configuration.repository.team_label.as_deref().unwrap_or(TEAM_LABEL)
    }

    /// Returns what the sidecars of a rollout request, before and after the steps of its plan.
    pub(crate) fn sidecar_costs_of_plan(&self, plan: &RolloutPlan<'_>) -> Vec<SidecarCost> {
        // Start records replica counts, which apply from then on.
        let after = plan.ledger_before(plan.steps.len());
        self.sidecar_costs(&plan.context, [&plan.ledger, after], plan.started_ledger())
    }

    /// Returns what the sidecars of a SidecarSet request with two states of its ledger; `counted` says how many pods
    /// workloads have.
    pub(crate) fn sidecar_costs(
        &self,
        context: &RolloutContext<'_>,
        ledgers: [&Ledger; 2],
        counted: &Ledger,
    ) -> Vec<SidecarCost> {
        let label = self.team_label();
        let kept_revisions = || ledgers.map(|ledger| ledger.released.clone());
        let mut costs = Vec::new();
        let Some(selection) = &context.kruise else {
            let cost = |workload: &PlannedWorkload| {
                let entries = ledgers.map(|ledger| {
                    let entry = workload.active_entry(ledger);
                    entry.map_or_else(|| released_entry(ledger), Cow::into_owned)
                });
                let pods = context.replicas(workload, counted);
                let counted = CountedSidecars { workload, pods, entries, kept_revisions: kept_revisions() };
                SidecarCost::of(&context.workloads, &context.name, &counted, label)
            };
            map_in_order(context.workloads.as_slice(), cost, |cost| costs.extend(cost));
            return costs;
        };
        let pods_of: BTreeMap<&str, Option<u32>> =
            selection.workloads.iter().map(|selected| (&*selected.key, selected.pods)).collect();
        let selected = self.workloads().iter().filter(|w| pods_of.contains_key(&*w.manifest.key));
        let selected = selected.map(|outline| PlannedWorkload::new(Arc::clone(outline))).collect();
        let workloads = WorkloadSet::simulating_webhook(&self.prepared.renderer, &context.name, selected);
        let set_key = sidecar_set_key(&context.name);
        let cost = |workload: &PlannedWorkload| {
            let entries = ledgers.map(|ledger| {
                ledger.entries.get(&*set_key).cloned().unwrap_or_else(|| released_entry(ledger))
            });
            let pods = pods_of.get(&**workload.key()).copied().flatten();
            let counted = CountedSidecars { workload, pods, entries, kept_revisions: kept_revisions() };
            SidecarCost::of(&workloads, &context.name, &counted, label)
        };
        map_in_order(workloads.as_slice(), cost, |cost| costs.extend(cost));
        costs
    }
}

fn released_entry(ledger: &Ledger) -> LedgerEntry {
    LedgerEntry::with_revision(ledger.released.clone())
}
