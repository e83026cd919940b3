//! How many pods are down at once when a ledger takes the place of another in one commit.

use super::fleet::Unit;
use super::state::State;
use super::step::Course;
use super::{total, unavailable};
use crate::model::ledger::{Ledger, Line};
use std::borrow::Cow;

/// How many pods are down at once when one commit changes what workloads carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// Workloads that change.
    pub workloads: usize,
    /// The most pods that are down at once; None: the replica count of a workload is unknown.
    pub down: Option<u32>,
    /// What the SidecarSet's `maxUnavailable` allows; None: it is not written.
    pub bound: Option<u32>,
}

impl Outage {
    /// Returns whether the bound allows it. A single workload is always a batch of its own.
    pub fn is_allowed(&self) -> bool {
        match (self.bound, self.down) {
            (None, _) => true,
            _ if self.workloads <= 1 => true,
            (Some(bound), Some(down)) => down <= bound,
            (Some(_), None) => false,
        }
    }
}

/// Returns how many pods are down at once when `after` takes the place of `before`, both of the same open rollout.
pub fn outage(course: &Course<'_>, before: &Ledger, after: &Ledger) -> Outage {
    let target = before.target.clone().unwrap_or_default();
    let changed: Vec<Option<u32>> =
        course.fleet.units().iter().filter_map(|unit| down(course, unit, before, after)).collect();
    let bound = course.settings.strategy.max_unavailable.as_ref().map(|bound| {
        let pods = State::of(course, before, &target, None).pods;
        u32::try_from(unavailable::max_unavailable(bound, pods as usize)).unwrap_or(u32::MAX)
    });
    let down = changed.iter().copied().collect::<Option<Vec<u32>>>().map(|all| total(all.into_iter()));
    Outage { workloads: changed.len(), down, bound }
}

/// The pods of a workload that are down at once by its own strategy; the outer None: nothing changes for its pods.
fn down(course: &Course<'_>, unit: &Unit, before: &Ledger, after: &Ledger) -> Option<Option<u32>> {
    let [old, new] = [before, after].map(|ledger| {
        let line = unit.line(ledger);
        line.map_or_else(|| Line::carrying(ledger.released.clone()), Cow::into_owned)
    });
    if old.revision == new.revision && old.partition == new.partition && old.images == new.images {
        return None;
    }
    let change = course.fleet.change_of(unit, &old, &new.revision);
    if !change.taking.how.moves_pods() || (change.difference.is_empty() && old.partition == new.partition) {
        return None;
    }
    let Some(size) = course.size(unit, before) else { return Some(None) };
    let strategy = unit.strategy(u64::from(size), change.taking.how);
    let at = |line: &Line| {
        if Some(&line.revision) == before.target.as_ref() {
            size - line.partition.unwrap_or(0).min(size)
        } else {
            0
        }
    };
    let moving = match at(&old).abs_diff(at(&new)) {
        0 => size,
        pods => pods,
    };
    Some(Some(u32::try_from(strategy.most_unavailable).unwrap_or(u32::MAX).max(1).min(moving.max(1))))
}
