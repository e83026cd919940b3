//! Workloads that lose their sidecar in a rollout: how many, where, and why.

use super::progress::RolloutProgress;
use super::types::RolloutContext;
use super::workload_set::SidecarEffect;
use crate::diagnostics::{Span, pluralize};
use crate::model::ledger::Ledger;
use std::collections::BTreeMap;
use std::fmt;

/// The removal of a sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SidecarRemoval {
    /// Workloads that lose the sidecar, or have lost it already.
    pub(crate) workloads: usize,
    /// Workloads that have it, including those.
    pub(crate) total: usize,
    /// Workloads that lose it, by namespace.
    pub(crate) namespaces: BTreeMap<String, usize>,
    /// The cause.
    pub(crate) cause: RemovalCause,
}

/// Why workloads lose a sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RemovalCause {
    /// The SidecarSet was deleted.
    Deleted,
    /// Its `selector` changed.
    Selector,
    /// Its `namespaceSelector` changed.
    NamespaceSelector,
    /// The selectors are unchanged, and labels of workloads or namespaces changed.
    Labels,
}

impl SidecarRemoval {
    /// Computes what the rollout of a ledger removes; None: nothing. A rollback only removes what its rollout added.
    pub(crate) fn of(context: &RolloutContext<'_>, ledger: &Ledger) -> Option<Self> {
        let target = ledger.target.as_ref().filter(|target| **target != ledger.released)?;
        let state = RolloutProgress::of(context, ledger, target, None);
        let lost = state.matched.iter().filter(|m| m.change.effect == SidecarEffect::Removed);
        let mut namespaces: BTreeMap<String, usize> = BTreeMap::new();
        for matched in lost {
            *namespaces.entry(matched.workload.manifest().namespace.to_string()).or_default() += 1;
        }
        let workloads = namespaces.values().sum();
        if workloads == 0 {
            return None;
        }
        let released =
            |workload| context.workloads.change_to(workload, &ledger.released, target).had_sidecars;
        let of =
            context.workloads.as_slice().iter().filter(|workload| released(workload)).count().max(workloads);
        Some(Self { workloads, total: of, namespaces, cause: RemovalCause::of(context, ledger) })
    }

    /// Returns the share of workloads that lose the sidecar: `2 of 6 workloads`.
    pub(crate) fn share(&self) -> String {
        format!("{} of {}", self.workloads, pluralize(self.total as u64, "workload"))
    }

    /// Returns the location of the cause, where it has one.
    pub(crate) fn cause_label(&self, context: &RolloutContext<'_>) -> Option<Span> {
        let field = match self.cause {
            RemovalCause::Deleted => return None,
            RemovalCause::Selector => "spec.selector",
            RemovalCause::NamespaceSelector => "spec.namespaceSelector",
            RemovalCause::Labels => "metadata.name",
        };
        context.source.as_ref().map(|r| r.set.label(field, ""))
    }

    /// Returns the cause with its location: `selector changed, sidecars/log.yaml:6:13`.
    pub(crate) fn cause_text(&self, context: &RolloutContext<'_>) -> String {
        match self.cause_label(context).filter(|_| self.cause != RemovalCause::Labels) {
            Some(at) => format!("{}, {at}", self.cause),
            None => self.cause.to_string(),
        }
    }
}

impl RemovalCause {
    fn of(context: &RolloutContext<'_>, ledger: &Ledger) -> Self {
        let Some(source) =
            context.source.as_ref().filter(|_| ledger.target.as_ref().is_some_and(Option::is_some))
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

impl fmt::Display for RemovalCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deleted => "deleted",
            Self::Selector => "selector changed",
            Self::NamespaceSelector => "namespaceSelector changed",
            Self::Labels => "labels of workloads or namespaces changed",
        })
    }
}
