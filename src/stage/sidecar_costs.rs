//! What the sidecars of a cluster are and request.

use super::cluster_view::ClusterView;
use crate::model::defaults::TEAM_LABEL;
use crate::model::ledger::{Ledger, LedgerEntry};
use crate::model::workload::sidecar_set_key;
use crate::read::map_in_order;
use crate::rollout::sidecar_costs::{CountedSidecars, SidecarCost};
use crate::rollout::sidecar_inventory::WorkloadSidecars;
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
        let all = self.injected_workloads(context);
        let cost = |workload: &PlannedWorkload| {
            let counted = CountedSidecars {
                workload,
                pods: all.pods(workload, counted),
                entries: ledgers.map(|ledger| all.entry(workload, ledger)),
                kept_revisions: ledgers.map(|ledger| ledger.released.clone()),
            };
            SidecarCost::of(all.workloads(), &context.name, &counted, label)
        };
        let mut costs = Vec::new();
        map_in_order(all.workloads().as_slice(), cost, |cost| costs.extend(cost));
        costs
    }

    /// Returns what each workload has of a SidecarSet with a ledger, by namespace, name and kind.
    pub(crate) fn sidecar_inventory(
        &self,
        context: &RolloutContext<'_>,
        ledger: &Ledger,
    ) -> Vec<WorkloadSidecars> {
        let all = self.injected_workloads(context);
        let sidecars = |workload: &PlannedWorkload| {
            WorkloadSidecars::of(all.workloads(), ledger, workload, &all.entry(workload, ledger))
        };
        let mut found = Vec::new();
        map_in_order(all.workloads().as_slice(), sidecars, |sidecars| found.extend(sidecars));
        found
    }

    /// Returns the workloads that may have sidecars of a rollout's SidecarSet, whoever injects them.
    fn injected_workloads<'v>(&'v self, context: &'v RolloutContext<'v>) -> InjectedWorkloads<'v> {
        let Some(selection) = &context.kruise else { return InjectedWorkloads::Rendered(context) };
        let pods: BTreeMap<&str, Option<u32>> =
            selection.workloads.iter().map(|selected| (&*selected.key, selected.pods)).collect();
        let selected = self.workloads().iter().filter(|w| pods.contains_key(&*w.manifest.key));
        let selected = selected.map(|outline| PlannedWorkload::new(Arc::clone(outline))).collect();
        let workloads = WorkloadSet::simulating_webhook(&self.prepared.renderer, &context.name, selected);
        InjectedWorkloads::ByKruise { workloads, pods, set_key: sidecar_set_key(&context.name).into() }
    }
}

/// The workloads of a SidecarSet with their entries, whoever injects the sidecars.
enum InjectedWorkloads<'v> {
    /// They have the sidecars in git.
    Rendered(&'v RolloutContext<'v>),
    /// Kruise injects them: the SidecarSet has the one entry.
    ByKruise { workloads: WorkloadSet<'v>, pods: BTreeMap<&'v str, Option<u32>>, set_key: Arc<str> },
}

impl InjectedWorkloads<'_> {
    fn workloads(&self) -> &WorkloadSet<'_> {
        match self {
            Self::Rendered(context) => &context.workloads,
            Self::ByKruise { workloads, .. } => workloads,
        }
    }

    /// Returns the entry that counts for a workload, or the released revision.
    fn entry(&self, workload: &PlannedWorkload, ledger: &Ledger) -> LedgerEntry {
        let entry = match self {
            Self::Rendered(_) => workload.active_entry(ledger).map(Cow::into_owned),
            Self::ByKruise { set_key, .. } => ledger.entries.get(set_key).cloned(),
        };
        entry.unwrap_or_else(|| LedgerEntry::with_revision(ledger.released.clone()))
    }

    /// Returns the pods of a workload; None: unknown.
    fn pods(&self, workload: &PlannedWorkload, counted: &Ledger) -> Option<u32> {
        match self {
            Self::Rendered(context) => context.replicas(workload, counted),
            Self::ByKruise { pods, .. } => pods.get(&**workload.key()).copied().flatten(),
        }
    }
}
