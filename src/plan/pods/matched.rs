//! Which pods a set counts as its own.

use super::pod::Pod;
use crate::diag::{Diagnostic, Severity};
use crate::inject::{NamespaceLabels, selects_namespace};
use crate::model::annotations::{INJECTED_LIST, WORKING, injected_sets, read_working};
use crate::model::sidecar_set::SidecarSet;
use crate::plan::Labels;
use std::collections::BTreeMap;

/// Labels of namespaces, by name.
pub type Namespaces = BTreeMap<String, Labels>;

/// Returns the pods that count, by namespace and name: that order stands for the one in which Kruise happens to list
/// them.
///
/// Kruise v1.9.0 sidecarset_processor.go getMatchingPods.
pub(super) fn matched<'a>(
    set: &SidecarSet,
    pods: &'a [Pod],
    namespaces: &Namespaces,
) -> (Vec<&'a Pod>, Vec<Diagnostic>) {
    let mut reach = Reach { set, namespaces, judged: BTreeMap::new(), found: Vec::new() };
    let mut matched: Vec<&Pod> = pods
        .iter()
        .filter(|pod| !set.selector.is_empty() && set.selector.matches(&pod.labels))
        .filter(|pod| is_active(pod) && is_injected(set, pod) && has_shape(set, pod))
        .filter(|pod| reach.includes(&pod.namespace))
        .collect();
    matched.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    (matched, reach.found)
}

/// Kubernetes' controller.IsPodActive.
fn is_active(pod: &Pod) -> bool {
    pod.phase != "Succeeded" && pod.phase != "Failed" && !pod.is_deleting
}

fn is_injected(set: &SidecarSet, pod: &Pod) -> bool {
    injected_sets(pod.annotation(INJECTED_LIST)).contains(&*set.name)
}

/// Kruise v1.9.0 sidecarcontrol/util.go IsPodConsistentWithSidecarSet: every container of the set is in the pod. It
/// finds them among the init containers as well.
fn has_shape(set: &SidecarSet, pod: &Pod) -> bool {
    set.containers.iter().all(|container| match container.hot_upgrade_empty_image {
        None => pod.has_container(&container.name),
        Some(_) => {
            read_working(pod.annotation(WORKING)).contains_key(&container.name)
                && container.pair_names().iter().all(|name| pod.has_container(name))
        }
    })
}

/// Which namespaces a set applies to, each judged once.
struct Reach<'a> {
    set: &'a SidecarSet,
    namespaces: &'a Namespaces,
    judged: BTreeMap<String, bool>,
    found: Vec<Diagnostic>,
}

impl Reach<'_> {
    fn includes(&mut self, namespace: &str) -> bool {
        if let Some(judged) = self.judged.get(namespace) {
            return *judged;
        }
        let labels = self.namespaces.get(namespace).map_or(NamespaceLabels::Unknown, NamespaceLabels::Known);
        let judged = selects_namespace(self.set, namespace, labels).unwrap_or_else(|unknown| {
            self.found.push(self.unknown(unknown));
            false
        });
        self.judged.insert(namespace.to_owned(), judged);
        judged
    }

    /// Kruise asks the cluster for Namespaces: one that is not among those that were given is to it one that is not
    /// there. Where none was given at all, nothing can be said.
    fn unknown(&self, mut unknown: Diagnostic) -> Diagnostic {
        if self.namespaces.is_empty() {
            return unknown;
        }
        unknown.severity = Severity::Warning;
        unknown.notes = vec!["its pods are not counted, as if there were no such Namespace".to_owned()];
        unknown
    }
}
