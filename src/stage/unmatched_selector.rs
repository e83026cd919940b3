//! Finds SidecarSets that select no workload of their clusters.

use super::ClusterView;
use crate::diagnostics::Diagnostic;
use crate::model::sidecar_set::SidecarSet;
use crate::render::{WorkloadOutline, WorkloadRef};
use crate::rollout::unmatched_selector::{self, SelectorCandidates};
use crate::rollout::{LabelMap, template_labels};
use crate::workspace::manifests_of;
use crate::yaml::Document;
use std::sync::Arc;

/// Reports that a SidecarSet selects no workload of a cluster, although workloads have its sidecar there; or, with
/// all clusters as `views`, that it selects none anywhere and has something to roll out. A set may select nothing in
/// one of several clusters.
pub(crate) fn unmatched_selector(
    view: &ClusterView,
    views: &[&ClusterView],
    name: &str,
) -> Option<Diagnostic> {
    let set = view.prepared.sets.iter().find(|set| set.name == name)?;
    if view.selects_any(set) {
        return None;
    }
    let ledger = view.ledger(name);
    let with_sidecar = view.count_with_sidecar(name);
    let is_all = views.len() >= view.configuration.repository.clusters.len().max(1);
    let is_nowhere =
        || is_all && views.iter().all(|s| !s.selects_any(set) && s.count_with_sidecar(name) == 0);
    let is_settled =
        ledger.released.is_some() && ledger.released == view.source_revision(name).map(|r| r.name);
    if with_sidecar == 0 && (is_settled || !is_nowhere()) {
        return None;
    }
    let candidates = view.selector_candidates();
    // Without any workload nothing is known: they may be elsewhere.
    (!candidates.workloads.is_empty())
        .then(|| unmatched_selector::unmatched_selector(set, &candidates, with_sidecar))
}

impl ClusterView {
    fn selects_any(&self, set: &SidecarSet) -> bool {
        self.workloads().iter().any(|workload| self.prepared.renderer.selects(workload, set))
    }

    /// Returns how many workloads have the sidecar of a set, by its ledger.
    fn count_with_sidecar(&self, name: &str) -> usize {
        let Some(ledger) = self.prepared.ledgers.get(name).filter(|ledger| ledger.is_in_use()) else {
            return 0;
        };
        let has_revision = |workload: &&Arc<WorkloadOutline>| {
            let entry = ledger.entry(
                &workload.manifest.key,
                || workload.template_hash(),
                || workload.manifest.override_hold(name).is_some(),
            );
            let revision = entry.map_or_else(|| ledger.released.clone(), |entry| entry.revision.clone());
            let content = revision.as_deref().and_then(|name| ledger.revision(name));
            content.is_some_and(|r| self.prepared.renderer.selects(workload, &r.set))
        };
        self.workloads().iter().filter(has_revision).count()
    }

    /// Returns everything that a selector could match.
    fn selector_candidates(&self) -> SelectorCandidates {
        let mut found = SelectorCandidates::default();
        for (input, text) in self.inputs() {
            for manifest in manifests_of(input, text) {
                if let Some((document, located)) = self.prepared.renderer.find_all_workloads(&manifest) {
                    found.workloads.extend(located.iter().map(|l| namespace_and_labels(&document, l)));
                }
            }
        }
        for (namespace, _) in &found.workloads {
            if let Some(labels) = self.prepared.renderer.namespace_labels(namespace) {
                found.namespaces.insert(namespace.clone(), labels.clone());
            }
        }
        found
    }
}

fn namespace_and_labels(document: &Document, located: &WorkloadRef) -> (String, LabelMap) {
    (located.namespace.to_string(), template_labels(located.pod_template(document)))
}
