//! Sidecars that a rollout takes away from workloads: how many, where, and why.

use super::fleet::Effect;
use super::state::State;
use super::step::Course;
use crate::diag::{Label, counted};
use crate::model::ledger::Ledger;
use std::collections::BTreeMap;
use std::fmt;

/// What a rollout takes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Workloads that lose the sidecar, or have lost it already.
    pub workloads: usize,
    /// Workloads that have it, with those.
    pub of: usize,
    /// Workloads that lose it, by namespace.
    pub namespaces: BTreeMap<String, usize>,
    /// Why.
    pub why: Why,
}

/// Why workloads lose a sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The SidecarSet is not in git any more.
    Deleted,
    /// Its `selector` is another one.
    Selector,
    /// Its `namespaceSelector` is another one.
    NamespaceSelector,
    /// The selectors are the same, and labels of workloads or namespaces are not.
    Labels,
}

impl Removal {
    /// Finds out what the rollout of a ledger takes away; None: nothing. What goes back takes away only what it has
    /// brought.
    pub fn of(course: &Course<'_>, ledger: &Ledger) -> Option<Self> {
        let target = ledger.target.as_ref().filter(|target| **target != ledger.released)?;
        let state = State::of(course, ledger, target, None);
        let lost = state.matched.iter().filter(|m| m.change.effect == Effect::Removed);
        let mut namespaces: BTreeMap<String, usize> = BTreeMap::new();
        for matched in lost {
            *namespaces.entry(matched.unit.located.namespace.to_string()).or_default() += 1;
        }
        let workloads = namespaces.values().sum();
        if workloads == 0 {
            return None;
        }
        let released = |unit| course.fleet.rendering(unit, &ledger.released).has_sidecars();
        let of = course.fleet.units().iter().filter(|unit| released(unit)).count().max(workloads);
        Some(Self { workloads, of, namespaces, why: Why::of(course, ledger) })
    }

    /// Returns how many workloads lose the sidecar of how many: `2 of 6 workloads`.
    pub fn share(&self) -> String {
        format!("{} of {}", self.workloads, counted(self.of as u64, "workload"))
    }

    /// Returns where the reason is written, where it is.
    pub fn place(&self, course: &Course<'_>) -> Option<Label> {
        let field = match self.why {
            Why::Deleted => return None,
            Why::Selector => "spec.selector",
            Why::NamespaceSelector => "spec.namespaceSelector",
            Why::Labels => "metadata.name",
        };
        course.source.as_ref().map(|r| r.set.label(field, ""))
    }

    /// Returns the reason with its place: `selector changed, sidecars/log.yaml:6:13`.
    pub fn reason(&self, course: &Course<'_>) -> String {
        match self.place(course).filter(|_| self.why != Why::Labels) {
            Some(at) => format!("{}, {}:{}:{}", self.why, at.file, at.line, at.column),
            None => self.why.to_string(),
        }
    }
}

impl Why {
    fn of(course: &Course<'_>, ledger: &Ledger) -> Self {
        let Some(source) =
            course.source.as_ref().filter(|_| ledger.target.as_ref().is_some_and(Option::is_some))
        else {
            return Self::Deleted;
        };
        let differs = |key: &str| {
            let released = ledger.released.as_ref().and_then(|name| ledger.revision(name));
            released.is_some_and(|old| old.set.content.get(key) != source.set.content.get(key))
        };
        match (differs("selector"), differs("namespaceSelector")) {
            (true, _) => Self::Selector,
            (false, true) => Self::NamespaceSelector,
            (false, false) => Self::Labels,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deleted => "deleted",
            Self::Selector => "selector changed",
            Self::NamespaceSelector => "namespaceSelector changed",
            Self::Labels => "labels of workloads or namespaces changed",
        })
    }
}
