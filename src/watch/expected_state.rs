//! The expected state of a rollout: the batches that were released, and what their workloads and pods must look like.

use crate::model::ledger::{Ledger, LedgerEntry, RevisionName};
use crate::model::quantity::Quantity;
use crate::model::sidecar_set::SidecarContainer;
use crate::rollout::pod_resources::requests_of;
use crate::rollout::update_method::UpdateMethod;
use crate::rollout::workload_set::PlannedWorkload;
use crate::rollout::{RolloutContext, TemplateSummary};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The released part of a rollout.
#[derive(Debug, Clone, Default)]
pub struct ExpectedState {
    /// The latest batch; 0: none yet.
    pub batch: u32,
    /// The target is the released revision: this is a rollback.
    pub is_rollback: bool,
    /// Workloads at the target revision, by key, including those of earlier batches.
    pub workloads: Vec<ExpectedWorkload>,
    /// Keys of workloads that a later batch updates: what fails there failed before.
    pub pending: Vec<Arc<str>>,
}

/// The expected state of a workload at the target revision.
#[derive(Debug, Clone)]
pub struct ExpectedWorkload {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub key: Arc<str>,
    /// The batch that updated it; 0 if it took the revision with its own change.
    pub batch: u32,
    /// How its pods are updated.
    pub update_method: UpdateMethod,
    /// The rendered pod template; of a bare Pod the whole object.
    pub template: Value,
    /// Names of the containers and init containers of the SidecarSet's target revision.
    pub sidecars: BTreeSet<Arc<str>>,
    /// Names of containers that only the previous revision has.
    pub removed_sidecars: BTreeSet<Arc<str>>,
    /// Its pods are created one after another: a StatefulSet without `podManagementPolicy: Parallel`. Its broken pods
    /// are not replaced until someone deletes them.
    pub is_ordered: bool,
    /// The partition that this rollout writes; None: it does not split the workload.
    pub partition: Option<u32>,
    /// The workload's own partition in git if this rollout does not split it; `0` if git has none.
    pub native_partition: Option<Arc<str>>,
    /// Pods that the partition in git keeps at the previous revision.
    pub kept_pods: u32,
    /// CPU or memory that the template requests in addition to the previous one, as text; None: no more.
    pub request_increase: Option<String>,
    /// Memory limits of sidecars, by container.
    pub memory_limits: Vec<(Arc<str>, String)>,
    /// Of a SidecarSet that Kruise injects.
    pub set: Option<ExpectedSet>,
}

/// What is expected of a SidecarSet that Kruise injects, besides its strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedSet {
    /// Kruise's hash of its content.
    pub hash: Arc<str>,
    /// The percentage of its pods that its partition keeps.
    pub kept_percent: u32,
    /// `updateStrategy.selector` decides which pods are updated, and not the partition.
    pub is_canary: bool,
}

/// Derives the expected state from the ledger alone.
pub(crate) fn expected_state(context: &RolloutContext<'_>, ledger: &Ledger) -> ExpectedState {
    let Some(target) = &ledger.target else { return ExpectedState::default() };
    let mut found = ExpectedState {
        batch: ledger.last_batch(),
        is_rollback: *target == ledger.released,
        ..ExpectedState::default()
    };
    for workload in context.workloads.as_slice() {
        match moved_entry(workload, ledger) {
            Some(entry) if entry.revision == *target => {
                let before = previous_revision(ledger, target);
                found.workloads.push(expected_workload(context, ledger, workload, &entry, &before));
            }
            _ => found.pending.push(Arc::clone(workload.key())),
        }
    }
    found
}

/// Returns the workloads that a rollout updated to a revision that is no longer its target, as if they were one
/// batch.
pub(crate) fn superseded_state(context: &RolloutContext<'_>, ledger: &Ledger) -> ExpectedState {
    let Some(target) = &ledger.target else { return ExpectedState::default() };
    let lines = context
        .workloads
        .as_slice()
        .iter()
        .filter_map(|workload| Some((workload, moved_entry(workload, ledger)?)));
    let superseded = lines.filter(|(_, entry)| entry.revision != *target);
    let expected = |(workload, entry): (_, Cow<'_, LedgerEntry>)| ExpectedWorkload {
        batch: 1,
        ..expected_workload(context, ledger, workload, &entry, &ledger.released)
    };
    ExpectedState { batch: 1, workloads: superseded.map(expected).collect(), ..ExpectedState::default() }
}

/// Returns the entry of a workload that a batch updated, or that took its revision with its own change.
fn moved_entry<'l>(workload: &PlannedWorkload, ledger: &'l Ledger) -> Option<Cow<'l, LedgerEntry>> {
    let entry = workload.active_entry(ledger)?;
    (entry.hold_reason.is_none() && entry.batch.is_some()).then_some(entry)
}

fn expected_workload(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    workload: &PlannedWorkload,
    entry: &LedgerEntry,
    before: &RevisionName,
) -> ExpectedWorkload {
    let target = &entry.revision;
    let change = context.workloads.change_to(workload, before, target);
    let names = |name: &RevisionName| -> BTreeSet<Arc<str>> {
        let revision = name.as_ref().and_then(|name| ledger.revision(name));
        let sets = revision.iter().flat_map(|r| r.set.containers.iter().chain(&r.set.init_containers));
        sets.flat_map(SidecarContainer::pod_names).map(Arc::from).collect()
    };
    let kind = &workload.manifest().kind;
    let set = kind.is_sidecar_set().then(|| expected_set(context, ledger, entry)).flatten();
    // Kruise changes no init container of a running pod, and has two containers for one with a hot upgrade.
    let in_place = |name: &RevisionName| -> BTreeSet<Arc<str>> {
        let revision = name.as_ref().and_then(|name| ledger.revision(name));
        let containers = revision.iter().flat_map(|r| &r.set.containers);
        let single = containers.filter(|c| c.hot_upgrade_empty_image.is_none());
        single.map(|c| Arc::from(c.name.as_str())).collect()
    };
    let sidecars = if set.is_some() { in_place(target) } else { names(target) };
    let template = match kind.is_pod() || kind.is_sidecar_set() {
        true => context.workloads.object(workload, entry),
        false => {
            let hot_upgrades = entry.hot_upgrades.clone();
            let rendered = LedgerEntry { hot_upgrades, ..LedgerEntry::with_revision(target.clone()) };
            context.workloads.template(workload, &rendered)
        }
    };
    let replicas = context.replicas(workload, ledger).unwrap_or(0);
    let strategy = workload.strategy(u64::from(replicas), change.behavior.method);
    let kept = entry.partition.unwrap_or_else(|| u32::try_from(strategy.kept_old).unwrap_or(u32::MAX));
    ExpectedWorkload {
        key: Arc::clone(workload.key()),
        batch: entry.batch.unwrap_or(0),
        update_method: change.behavior.method,
        removed_sidecars: match set {
            Some(_) => BTreeSet::new(),
            None => names(before).difference(&sidecars).cloned().collect(),
        },
        request_increase: request_increase(&change.summaries),
        memory_limits: memory_limits(&template, &sidecars),
        is_ordered: workload.manifest().kind.traits.is_ordered(workload.object()),
        template,
        sidecars,
        partition: entry.partition,
        native_partition: native_partition(workload).filter(|_| entry.partition.is_none() && set.is_none()),
        kept_pods: if set.is_some() { 0 } else { kept },
        set,
    }
}

fn expected_set(context: &RolloutContext<'_>, ledger: &Ledger, entry: &LedgerEntry) -> Option<ExpectedSet> {
    let revision = ledger.revision(entry.revision.as_deref()?)?;
    let kept_percent = entry.partition_percent.unwrap_or(0);
    let is_rollback = ledger.target.as_ref() == Some(&ledger.released);
    Some(ExpectedSet {
        hash: revision.set.hash.as_str().into(),
        kept_percent,
        is_canary: !is_rollback && context.settings.strategy.selector.is_some(),
    })
}

fn native_partition(workload: &PlannedWorkload) -> Option<Arc<str>> {
    let at = workload.manifest().kind.partition_path.as_ref()?;
    Some(match at.find(workload.object()) {
        None | Some(Value::Null) => "0".into(),
        Some(Value::String(text)) => text.as_str().into(),
        Some(value) => value.to_string().into(),
    })
}

/// Describes the requests of a template beyond those of another; None: no more.
fn request_increase(summaries: &[Arc<TemplateSummary>; 2]) -> Option<String> {
    let [before, after] = summaries.each_ref().map(|summary| requests_of(&summary.template));
    let more = after.minus(&before);
    let words: Vec<String> = [("cpu", &more.cpu), ("memory", &more.memory)]
        .into_iter()
        .filter(|(_, amount)| **amount > Quantity::zero())
        .map(|(what, amount)| format!("{what} +{amount}"))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Returns the memory limits of the sidecars of a template.
fn memory_limits(template: &Value, sidecars: &BTreeSet<Arc<str>>) -> Vec<(Arc<str>, String)> {
    let lists = ["containers", "initContainers"].map(|list| template["spec"][list].as_array());
    let containers = lists.into_iter().flatten().flatten();
    let named = containers.filter_map(|c| Some((sidecars.get(c["name"].as_str()?)?, c)));
    let limit = |(name, container): (&Arc<str>, &Value)| {
        let memory = container["resources"]["limits"]["memory"].as_str()?;
        Some((Arc::clone(name), memory.to_owned()))
    };
    named.filter_map(limit).collect()
}

/// Returns the revision that workloads had before. The ledger does not record it; in a rollback it is the rejected
/// one.
fn previous_revision(ledger: &Ledger, target: &RevisionName) -> RevisionName {
    if *target != ledger.released {
        return ledger.released.clone();
    }
    let mut others = ledger.entries.values().map(|l| &l.revision).filter(|r| *r != target);
    let rejected = ledger.rejected.iter().rev().find(|name| ledger.revision(name).is_some());
    others
        .next()
        .cloned()
        .or_else(|| rejected.map(|name| Some(Arc::clone(name))))
        .unwrap_or_else(|| target.clone())
}
