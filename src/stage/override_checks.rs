//! Checks SidecarOverrides against the workloads of their clusters.

use super::ClusterView;
use crate::diagnostics::Diagnostic;
use crate::model::sidecar_override::SidecarOverride;
use crate::model::sidecar_set::SidecarSet;
use crate::render::OverridePlace;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Reports SidecarOverrides of a cluster that are for no workload that their SidecarSets select, in any of the clusters;
/// of one SidecarSet where `name` is given.
pub(crate) fn unreached_overrides(
    view: &ClusterView,
    views: &[&ClusterView],
    name: Option<&str>,
) -> Vec<Diagnostic> {
    if view.prepared.renderer.overrides.is_empty() {
        return Vec::new();
    }
    let mut reached: BTreeSet<OverridePlace> = BTreeSet::new();
    for view in views.iter().filter(|view| !view.prepared.renderer.overrides.is_empty()) {
        for workload in view.workloads() {
            let selects = |set: &SidecarSet| view.prepared.renderer.selects(workload, set);
            let overrides = workload.manifest.overrides.iter();
            let found = overrides.filter(|over| view.contents_of(&over.sidecar_set).any(selects));
            reached.extend(found.map(|over| OverridePlace::of(over)));
        }
    }
    let is_reached = |over: &SidecarOverride| {
        name.is_some_and(|name| name != over.sidecar_set) || reached.contains(&OverridePlace::of(over))
    };
    let names = view.workloads().iter().map(|workload| &*workload.manifest.name).collect();
    view.prepared.renderer.overrides.unreached(is_reached, &names)
}

/// Reports SidecarOverrides of several clusters that are for no workload in any of them, each once.
pub(crate) fn unreached_in_clusters(views: &[&ClusterView]) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    for view in views {
        let unreached = unreached_overrides(view, views, None);
        let new: Vec<_> = unreached.into_iter().filter(|diagnostic| !found.contains(diagnostic)).collect();
        found.extend(new);
    }
    found
}

impl ClusterView {
    /// Returns every content of a SidecarSet that a workload may have: that of its file, and those of its ledger.
    fn contents_of(&self, name: &str) -> impl Iterator<Item = &SidecarSet> {
        let written = self.prepared.sets.iter().filter(move |set| set.name == name).map(Arc::as_ref);
        let revisions = self.prepared.ledgers.get(name).into_iter().flat_map(|l| l.revisions.values());
        written.chain(revisions.map(|revision| &*revision.set))
    }
}
