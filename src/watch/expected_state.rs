//! What is out: the batch that was released last, and what its workloads and pods must look like.

use crate::model::ledger::{Ledger, LedgerEntry, RevisionName};
use crate::model::quantity::Quantity;
use crate::rollout::RolloutContext;
use crate::rollout::pod_resources::requests_of;
use crate::rollout::update_method::UpdateMethod;
use crate::rollout::workload_set::PlannedWorkload;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is out of one rollout.
#[derive(Debug, Clone, Default)]
pub struct ExpectedState {
    /// The batch that was released last; 0: none yet.
    pub batch: u32,
    /// The target is the released revision: the rollout goes back.
    pub is_rollback: bool,
    /// The workloads that carry the target, by key; those of earlier batches too.
    pub workloads: Vec<ExpectedWorkload>,
    /// The workloads that are still to come, with the revision they carry: what is broken there already was so
    /// before.
    pub pending: Vec<Arc<str>>,
}

/// What a workload that carries the target must look like.
#[derive(Debug, Clone)]
pub struct ExpectedWorkload {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub key: Arc<str>,
    /// The batch that brought it there.
    pub batch: u32,
    /// How its pods take the template.
    pub update_method: UpdateMethod,
    /// The pod template as it is rendered now; for a bare Pod the object.
    pub template: Value,
    /// Names of containers and init containers that the SidecarSet's target puts into it.
    pub sidecars: BTreeSet<Arc<str>>,
    /// Names that the revision it carried before had, and the target has not.
    pub removed_sidecars: BTreeSet<Arc<str>>,
    /// Its pods come one after another, and each waits for the one before: a StatefulSet without
    /// `podManagementPolicy: Parallel`. A broken pod of it is not replaced until somebody deletes it.
    pub is_ordered: bool,
    /// What its own partition must say; None: the workload is not split by this rollout.
    pub partition: Option<u32>,
    /// What git says of the partition of a kind that has one, where this rollout does not split it; `0` where it says
    /// nothing.
    pub native_partition: Option<Arc<str>>,
    /// Pods that its partition keeps as they were, by what git says of it (ours or its owner's).
    pub kept_pods: u32,
    /// More requested CPU or memory than before, in words; None: no more.
    pub request_increase: Option<String>,
    /// Memory limits of sidecars, by container.
    pub memory_limits: Vec<(Arc<str>, String)>,
}

/// Finds out what is out, from the ledger alone.
pub fn expected_state(course: &RolloutContext<'_>, ledger: &Ledger) -> ExpectedState {
    let Some(target) = &ledger.target else { return ExpectedState::default() };
    let mut found = ExpectedState {
        batch: ledger.last_batch(),
        is_rollback: *target == ledger.released,
        ..ExpectedState::default()
    };
    for unit in course.workloads.as_slice() {
        match moved_entry(unit, ledger) {
            Some(line) if line.revision == *target => {
                let before = previous_revision(ledger, target);
                found.workloads.push(expected_workload(course, ledger, unit, line, &before));
            }
            _ => found.pending.push(Arc::clone(unit.key())),
        }
    }
    found
}

/// Finds the workloads that a rollout took to what is not its target any more: as if all were one batch.
pub fn superseded_state(course: &RolloutContext<'_>, ledger: &Ledger) -> ExpectedState {
    let Some(target) = &ledger.target else { return ExpectedState::default() };
    let lines =
        course.workloads.as_slice().iter().filter_map(|unit| Some((unit, moved_entry(unit, ledger)?)));
    let left = lines.filter(|(_, line)| line.revision != *target);
    let expected = |(unit, line)| ExpectedWorkload {
        batch: 1,
        ..expected_workload(course, ledger, unit, line, &ledger.released)
    };
    ExpectedState { batch: 1, workloads: left.map(expected).collect(), ..ExpectedState::default() }
}

/// The line of a workload that a batch moved.
fn moved_entry<'l>(unit: &PlannedWorkload, ledger: &'l Ledger) -> Option<&'l LedgerEntry> {
    match unit.active_entry(ledger)? {
        Cow::Borrowed(line) => Some(line).filter(|line| line.hold_reason.is_none() && line.batch.is_some()),
        // Only a person's hold counts otherwise than it is written.
        Cow::Owned(_) => None,
    }
}

fn expected_workload(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    unit: &PlannedWorkload,
    line: &LedgerEntry,
    before: &RevisionName,
) -> ExpectedWorkload {
    let target = &line.revision;
    let ends = [before, target].map(|name| course.workloads.render_revision(unit, name));
    let [old, new] = ends.each_ref().map(|rendering| rendering.template(unit));
    let change = course.workloads.change_to(unit, before, target);
    let names = |name: &RevisionName| -> BTreeSet<Arc<str>> {
        let revision = name.as_ref().and_then(|name| ledger.revision(name));
        let sets = revision.iter().flat_map(|r| r.set.containers.iter().chain(&r.set.init_containers));
        sets.map(|c| Arc::from(c.name.as_str())).collect()
    };
    let sidecars = names(target);
    let template =
        if unit.manifest.kind.is_pod() { course.workloads.object(unit, line) } else { new.clone() };
    let size = course.replicas(unit, ledger).unwrap_or(0);
    let strategy = unit.strategy(u64::from(size), change.behavior.method);
    let kept = line.partition.unwrap_or_else(|| u32::try_from(strategy.kept_old).unwrap_or(u32::MAX));
    ExpectedWorkload {
        key: Arc::clone(unit.key()),
        batch: line.batch.unwrap_or(0),
        update_method: change.behavior.method,
        removed_sidecars: names(before).difference(&sidecars).cloned().collect(),
        request_increase: request_increase(old, new),
        memory_limits: memory_limits(&template, &sidecars),
        is_ordered: unit.manifest.kind.traits.is_ordered(unit.manifest.object(&unit.document)),
        template,
        sidecars,
        partition: line.partition,
        native_partition: native_partition(unit).filter(|_| line.partition.is_none()),
        kept_pods: kept,
    }
}

fn native_partition(unit: &PlannedWorkload) -> Option<Arc<str>> {
    let at = unit.manifest.kind.partition_path.as_ref()?;
    Some(match at.find(unit.manifest.object(&unit.document)) {
        None | Some(Value::Null) => "0".into(),
        Some(Value::String(text)) => text.as_str().into(),
        Some(value) => value.to_string().into(),
    })
}

/// Says what a template asks for beyond another, where it does.
fn request_increase(before: &Value, after: &Value) -> Option<String> {
    let (before, after) = (requests_of(before), requests_of(after));
    let more = after.minus(&before);
    let words: Vec<String> = [("cpu", &more.cpu), ("memory", &more.memory)]
        .into_iter()
        .filter(|(_, amount)| **amount > Quantity::zero())
        .map(|(what, amount)| format!("{what} +{amount}"))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// The limits of the sidecars of a template.
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

/// The other revision of a rollout. What a workload came from is not written down; while a rollout goes back, it came
/// from what went wrong.
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
