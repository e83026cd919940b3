//! What is out: the batch that was released last, and what its workloads and pods must look like.

use crate::model::ledger::{Ledger, Line, Name};
use crate::model::quantity::Quantity;
use crate::plan::Course;
use crate::plan::fleet::Unit;
use crate::plan::how::How;
use crate::plan::requests::requests_of;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is out of one rollout.
#[derive(Debug, Clone, Default)]
pub struct Released {
    /// The batch that was released last; 0: none yet.
    pub batch: u32,
    /// The target is the released revision: the rollout goes back.
    pub goes_back: bool,
    /// The workloads that carry the target, by key; those of earlier batches too.
    pub workloads: Vec<Expected>,
    /// The workloads that are still to come, with the revision they carry: what is broken there already was so
    /// before.
    pub others: Vec<Arc<str>>,
}

/// What a workload that carries the target must look like.
#[derive(Debug, Clone)]
pub struct Expected {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub key: Arc<str>,
    /// The batch that brought it there.
    pub batch: u32,
    /// How its pods take the template.
    pub how: How,
    /// The pod template as it is rendered now; for a bare Pod the object.
    pub template: Value,
    /// Names of containers and init containers that the SidecarSet's target puts into it.
    pub sidecars: BTreeSet<Arc<str>>,
    /// Names that the revision it carried before had, and the target has not.
    pub gone: BTreeSet<Arc<str>>,
    /// Its pods come one after another, and each waits for the one before: a StatefulSet without
    /// `podManagementPolicy: Parallel`. A broken pod of it is not replaced until somebody deletes it.
    pub is_ordered: bool,
    /// What its own partition must say; None: the workload is not split by this rollout.
    pub partition: Option<u32>,
    /// What git says of the partition of a kind that has one, where this rollout does not split it; `0` where it says
    /// nothing.
    pub own_partition: Option<Arc<str>>,
    /// Pods that its partition keeps as they were, by what git says of it (ours or its owner's).
    pub kept: u32,
    /// More requested CPU or memory than before, in words; None: no more.
    pub more_requests: Option<String>,
    /// Memory limits of sidecars, by container.
    pub limits: Vec<(Arc<str>, String)>,
}

/// Finds out what is out, from the ledger alone.
pub fn released(course: &Course<'_>, ledger: &Ledger) -> Released {
    let Some(target) = &ledger.target else { return Released::default() };
    let mut found =
        Released { batch: ledger.last_batch(), goes_back: *target == ledger.released, ..Released::default() };
    for unit in course.fleet.units() {
        match moved(unit, ledger) {
            Some(line) if line.revision == *target => {
                let before = carried_before(ledger, target);
                found.workloads.push(expected(course, ledger, unit, line, &before));
            }
            _ => found.others.push(Arc::clone(unit.key())),
        }
    }
    found
}

/// Finds the workloads that a rollout took to what is not its target any more: as if all were one batch.
pub fn carried(course: &Course<'_>, ledger: &Ledger) -> Released {
    let Some(target) = &ledger.target else { return Released::default() };
    let lines = course.fleet.units().iter().filter_map(|unit| Some((unit, moved(unit, ledger)?)));
    let left = lines.filter(|(_, line)| line.revision != *target);
    let expected =
        |(unit, line)| Expected { batch: 1, ..expected(course, ledger, unit, line, &ledger.released) };
    Released { batch: 1, workloads: left.map(expected).collect(), ..Released::default() }
}

/// The line of a workload that a batch moved.
fn moved<'l>(unit: &Unit, ledger: &'l Ledger) -> Option<&'l Line> {
    match unit.line(ledger)? {
        Cow::Borrowed(line) => Some(line).filter(|line| line.held.is_none() && line.batch.is_some()),
        // Only a person's hold counts otherwise than it is written.
        Cow::Owned(_) => None,
    }
}

fn expected(course: &Course<'_>, ledger: &Ledger, unit: &Unit, line: &Line, before: &Name) -> Expected {
    let target = &line.revision;
    let ends = [before, target].map(|name| course.fleet.rendering(unit, name));
    let [old, new] = ends.each_ref().map(|rendering| rendering.template(unit));
    let change = course.fleet.change(unit, before, target);
    let names = |name: &Name| -> BTreeSet<Arc<str>> {
        let revision = name.as_ref().and_then(|name| ledger.revision(name));
        let sets = revision.iter().flat_map(|r| r.set.containers.iter().chain(&r.set.init_containers));
        sets.map(|c| Arc::from(c.name.as_str())).collect()
    };
    let sidecars = names(target);
    let template = if unit.located.kind.is_pod() { course.fleet.object(unit, line) } else { new.clone() };
    let size = course.size(unit, ledger).unwrap_or(0);
    let strategy = unit.strategy(u64::from(size), change.taking.how);
    let kept = line.partition.unwrap_or_else(|| u32::try_from(strategy.kept).unwrap_or(u32::MAX));
    Expected {
        key: Arc::clone(unit.key()),
        batch: line.batch.unwrap_or(0),
        how: change.taking.how,
        gone: names(before).difference(&sidecars).cloned().collect(),
        more_requests: more_requests(old, new),
        limits: limits(&template, &sidecars),
        is_ordered: is_ordered(unit),
        template,
        sidecars,
        partition: line.partition,
        own_partition: own_partition(unit).filter(|_| line.partition.is_none()),
        kept,
    }
}

fn own_partition(unit: &Unit) -> Option<Arc<str>> {
    let at = unit.located.kind.partition.as_ref()?;
    Some(match at.find(unit.located.object(&unit.document)) {
        None | Some(Value::Null) => "0".into(),
        Some(Value::String(text)) => text.as_str().into(),
        Some(value) => value.to_string().into(),
    })
}

/// Tells whether its pods come one after another.
fn is_ordered(unit: &Unit) -> bool {
    let (kind, object) = (&unit.located.kind, unit.located.object(&unit.document));
    kind.kind == "StatefulSet" && object["spec"]["podManagementPolicy"] != "Parallel"
}

/// Says what a template asks for beyond another, where it does.
fn more_requests(before: &Value, after: &Value) -> Option<String> {
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
fn limits(template: &Value, sidecars: &BTreeSet<Arc<str>>) -> Vec<(Arc<str>, String)> {
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
fn carried_before(ledger: &Ledger, target: &Name) -> Name {
    if *target != ledger.released {
        return ledger.released.clone();
    }
    let mut others = ledger.lines.values().map(|l| &l.revision).filter(|r| *r != target);
    let rejected = ledger.rejected.iter().rev().find(|name| ledger.revision(name).is_some());
    others
        .next()
        .cloned()
        .or_else(|| rejected.map(|name| Some(Arc::clone(name))))
        .unwrap_or_else(|| target.clone())
}
