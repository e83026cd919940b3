//! What does each batch do: to which pods, how many of them are away at once, what starts again, what is requested?

use super::super::fleet::Unit;
use super::super::how::How;
use super::super::requests::{Requests, requests_of, running_containers};
use super::super::simulate::{self, Outcome, simulate};
use super::super::step::{self, Course, Move, Step};
use crate::diag::plain;
use crate::model::ledger::{Ledger, Name};

/// One batch.
#[derive(Debug)]
pub struct Batch {
    /// Its number, from 1.
    pub number: u32,
    /// Pods whose template moves.
    pub pods: u32,
    /// Pods that carry the target afterwards.
    pub updated: u32,
    /// The most pods that are unavailable at once; None: the size of a workload is unknown.
    pub unavailable: Option<u64>,
    /// Containers that start again; None: the size of a workload is unknown.
    pub restarted: Option<u64>,
    /// What the pods of the batch request more than before.
    pub requests: Requests,
    /// Pods that are there in addition for a while.
    pub surge: Surge,
    /// The workloads, in the order of the rollout.
    pub workloads: Vec<Workload>,
    /// The place of its step.
    pub(super) step: usize,
}

/// Pods that are there in addition for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surge {
    /// How many, at most.
    pub pods: u64,
    /// What they request.
    pub requests: Requests,
}

/// One workload of a batch.
#[derive(Debug)]
pub struct Workload {
    /// What moves.
    pub moved: Move,
    /// The worst of it; None: nobody has said how many pods it has.
    pub outcome: Option<Outcome>,
}

impl Workload {
    /// Tells whether only some of its pods move, in this batch or because its own partition keeps some.
    pub fn is_part(&self) -> bool {
        self.moved.from > 0 || self.moved.of.is_some_and(|of| self.moved.to < of)
    }

    /// Tells whether it counts pods that are there.
    pub fn counts_pods(&self) -> bool {
        self.moved.taking.how != How::NextRun && self.moved.of != Some(0)
    }
}

/// Returns kind, namespace and name for people: `StatefulSet data/events` for `StatefulSet.apps/data/events`.
pub fn title(key: &str) -> String {
    let (kind, name) = key.split_once('/').unwrap_or((key, ""));
    plain::line(&format!("{} {name}", kind.split('.').next().unwrap_or(kind))).into_owned()
}

/// Finds out what each batch among the steps does.
pub(super) fn batches(course: &Course<'_>, ledger: &Ledger, taken: &[Step]) -> Vec<Batch> {
    let mut before = ledger;
    let mut batches = Vec::new();
    for (i, step) in taken.iter().enumerate() {
        match step {
            Step::Open(after) | Step::Close(after) | Step::Resume(after) => before = after,
            Step::Batch(batch) => {
                batches.push(Batch { step: i, ..of(course, before, batch) });
                before = &batch.ledger;
            }
            Step::Rest(_) => {}
        }
    }
    batches
}

fn of(course: &Course<'_>, before: &Ledger, taken: &step::Batch) -> Batch {
    let mut batch = Batch {
        number: taken.number,
        pods: taken.pods(),
        updated: taken.updated,
        unavailable: Some(0),
        restarted: Some(0),
        requests: Requests::zero(),
        surge: Surge { pods: 0, requests: Requests::zero() },
        workloads: Vec::with_capacity(taken.moves.len()),
        step: 0,
    };
    let target = before.target.clone().unwrap_or_default();
    for moved in &taken.moves {
        let unit = course.fleet.find(&moved.key);
        let outcome = unit.and_then(|unit| batch.add(course, before, &target, unit, moved));
        batch.workloads.push(Workload { moved: moved.clone(), outcome });
    }
    batch
}

impl Batch {
    /// Adds what one workload does.
    fn add(
        &mut self,
        course: &Course<'_>,
        before: &Ledger,
        target: &Name,
        unit: &Unit,
        moved: &Move,
    ) -> Option<Outcome> {
        // Pods of a workload that is split already come from where its first ones came from.
        let line = unit.line(before).filter(|l| !l.images.is_empty());
        let is_split = moved.carried == *target && line.is_none();
        let carried = if is_split { &before.released } else { &moved.carried };
        let change = match line.as_deref() {
            Some(line) => course.fleet.change_of(unit, line, target),
            None => course.fleet.change(unit, carried, target),
        };
        let Some(of) = moved.of else {
            if moved.taking.how.moves_pods() {
                (self.unavailable, self.restarted) = (None, None);
            }
            return None;
        };
        if !moved.taking.how.moves_pods() {
            return Some(Outcome::default());
        }
        let old = match line.as_deref() {
            Some(line) => course.fleet.rendering_of(unit, line),
            None => course.fleet.rendering(unit, carried),
        };
        let new = course.fleet.rendering(unit, target);
        let [old, new] = [&old, &new].map(|rendering| rendering.template(unit));
        let own = unit.strategy(u64::from(of), moved.taking.how);
        let pods = simulate::Move { from: moved.from.into(), to: moved.to.into(), of: of.into() };
        let outcome = simulate(&own, moved.taking.how, pods);
        let changed = change.difference.restarts_in_place(new, unit.located.kind.group == "apps.kruise.io");
        let restarted = outcome.restarted(running_containers(new), changed);
        self.unavailable = self.unavailable.map(|n| n.saturating_add(outcome.unavailable));
        self.restarted = self.restarted.map(|n| n.saturating_add(restarted));
        let of_new = requests_of(new);
        if !change.difference.is_image_only() {
            let more = of_new.minus(&requests_of(old)).times(u64::from(moved.to - moved.from));
            self.requests = self.requests.plus(&more);
        }
        self.surge.pods = self.surge.pods.saturating_add(outcome.surge);
        self.surge.requests = self.surge.requests.plus(&of_new.times(outcome.surge));
        Some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::title;

    #[test]
    fn titles_are_for_people() {
        assert_eq!(title("StatefulSet.apps/data/events"), "StatefulSet data/events");
        assert_eq!(title("Pod/shop/one"), "Pod shop/one");
        assert_eq!(title("odd"), "odd ");
        assert_eq!(title("Pod/shop/a\n\u{1b}[2J"), "Pod shop/a\\n\\u001b[2J");
    }
}
