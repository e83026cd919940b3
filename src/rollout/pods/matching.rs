//! Matches pods against a SidecarSet.

use super::pod::SidecarPod;
use crate::diagnostics::{Diagnostic, Severity};
use crate::inject::{NamespaceLabels, selects_namespace};
use crate::model::pod_annotations::{
    INJECTED_LIST, WORKING_CONTAINERS, parse_injected_list, parse_working_containers,
};
use crate::model::sidecar_set::SidecarSet;
use crate::rollout::LabelMap;
use std::collections::BTreeMap;

/// Labels of namespaces, by name.
pub type NamespaceLabelMap = BTreeMap<String, LabelMap>;

/// Returns the matched pods, by namespace and name: that order replaces the arbitrary one in which Kruise lists them.
///
/// Kruise v1.9.0 sidecarset_processor.go getMatchingPods.
pub(super) fn matched_pods<'a>(
    set: &SidecarSet,
    pods: &'a [SidecarPod],
    namespaces: &NamespaceLabelMap,
) -> (Vec<&'a SidecarPod>, Vec<Diagnostic>) {
    let mut reach = NamespaceMatcher { set, namespaces, results: BTreeMap::new(), diagnostics: Vec::new() };
    let mut matched: Vec<&SidecarPod> = pods
        .iter()
        .filter(|pod| !set.selector.is_empty() && set.selector.matches(&pod.labels))
        .filter(|pod| is_active(pod) && is_injected(set, pod) && has_containers_of(set, pod))
        .filter(|pod| reach.matches_namespace(&pod.namespace))
        .collect();
    matched.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    (matched, reach.diagnostics)
}

/// Kubernetes' controller.IsPodActive.
fn is_active(pod: &SidecarPod) -> bool {
    pod.phase != "Succeeded" && pod.phase != "Failed" && !pod.is_deleting
}

fn is_injected(set: &SidecarSet, pod: &SidecarPod) -> bool {
    parse_injected_list(pod.annotation(INJECTED_LIST)).contains(&*set.name)
}

/// Kruise v1.9.0 sidecarcontrol/util.go IsPodConsistentWithSidecarSet: every container of the set is in the pod, init
/// containers included.
fn has_containers_of(set: &SidecarSet, pod: &SidecarPod) -> bool {
    set.containers.iter().all(|container| match container.hot_upgrade_empty_image {
        None => pod.has_container(&container.name),
        Some(_) => {
            parse_working_containers(pod.annotation(WORKING_CONTAINERS)).contains_key(&container.name)
                && container.hot_upgrade_names().iter().all(|name| pod.has_container(name))
        }
    })
}

/// The namespaces that a SidecarSet applies to, each matched once.
struct NamespaceMatcher<'a> {
    set: &'a SidecarSet,
    namespaces: &'a NamespaceLabelMap,
    results: BTreeMap<String, bool>,
    diagnostics: Vec<Diagnostic>,
}

impl NamespaceMatcher<'_> {
    fn matches_namespace(&mut self, namespace: &str) -> bool {
        if let Some(is_selected) = self.results.get(namespace) {
            return *is_selected;
        }
        let labels = self.namespaces.get(namespace).map_or(NamespaceLabels::Unknown, NamespaceLabels::Known);
        let is_selected = selects_namespace(self.set, namespace, labels).unwrap_or_else(|unknown| {
            self.diagnostics.push(self.unknown_namespace(unknown));
            false
        });
        self.results.insert(namespace.to_owned(), is_selected);
        is_selected
    }

    /// Kruise asks the cluster for Namespaces: one that is not among those passed does not exist for it. Where none
    /// was passed at all, nothing is known.
    fn unknown_namespace(&self, mut unknown: Diagnostic) -> Diagnostic {
        if self.namespaces.is_empty() {
            return unknown;
        }
        unknown.severity = Severity::Warning;
        unknown.notes = vec!["its pods are not counted, as if the Namespace did not exist".to_owned()];
        unknown
    }
}
