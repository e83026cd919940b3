//! Reads pod counts and related objects from the output of `kubectl get`; of a pod only its owner.

use super::cluster_objects::{ObjectCollector, ObjectHeadWire, collect_cluster_objects};
use super::pod_owners::ControllerIndex;
use super::related_objects::{RelatedObject, from_object};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::workload::{api_group, workload_key};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The state of a cluster.
#[derive(Debug, Default)]
pub(crate) struct ClusterState {
    /// Pods by workload.
    pub(crate) replicas: BTreeMap<Arc<str>, u32>,
    /// Autoscalers, disruption budgets, quotas, limit ranges.
    pub(crate) related_objects: Vec<RelatedObject>,
}

/// Reads the output of `kubectl get -o json` or `-o yaml`: pods, and optionally workloads and related objects.
///
/// # Errors
/// A diagnostic when it is neither JSON nor YAML, or has no pod and no workload.
pub(crate) fn read_cluster_state(name: &Arc<str>, text: &str) -> Result<ClusterState, Diagnostic> {
    let found = collect_cluster_objects::<ClusterStateBuilder>(name, text)?.build();
    if found.replicas.is_empty() && found.related_objects.is_empty() {
        return Err(Diagnostic::error(Code::NoPods, "the cluster state has no pod and no workload")
            .at(Span::whole_file(Arc::clone(name)))
            .help("pass the output of `kubectl get pods -A -o json`; it may also have workloads, PodDisruptionBudgets, HorizontalPodAutoscalers and quotas"));
    }
    Ok(found)
}

/// The counted objects.
#[derive(Default)]
struct ClusterStateBuilder {
    /// The replica counts that workloads report.
    replicas: BTreeMap<String, u32>,
    /// The controllers of workloads.
    controllers: ControllerIndex,
    /// Pods by their controller.
    pods: BTreeMap<String, u32>,
    related_objects: Vec<RelatedObject>,
}

impl ObjectCollector for ClusterStateBuilder {
    fn add_object(&mut self, head: &ObjectHeadWire, whole: impl Fn() -> Value) {
        let namespace = head.metadata.namespace.as_deref().unwrap_or("default");
        let group = api_group(&head.api_version);
        let kind = head.kind.as_str();
        match kind {
            "Pod" if group.is_empty() => self.add_pod(head, namespace),
            _ if ["apps", "apps.kruise.io", "argoproj.io", "extensions"].contains(&group) => {
                let own = workload_key(&head.api_version, kind, namespace, &head.metadata.name);
                self.controllers.add_object(&own, &head.metadata, namespace);
                if let Some(n) = desired_replicas(&whole()) {
                    self.replicas.insert(own, n);
                }
            }
            _ => self.related_objects.extend(from_object(&whole(), namespace)),
        }
    }
}

impl ClusterStateBuilder {
    fn add_pod(&mut self, head: &ObjectHeadWire, namespace: &str) {
        if head.is_over() {
            return;
        }
        if let Some(owned) = self.controllers.controller_of_pod(head, namespace) {
            *self.pods.entry(owned).or_default() += 1;
        }
    }

    fn build(self) -> ClusterState {
        let mut pods: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        for (owner, n) in &self.pods {
            *pods.entry(self.controllers.top(owner).into()).or_default() += n;
        }
        pods.extend(self.replicas.into_iter().map(|(key, n)| (Arc::from(key), n)));
        ClusterState { replicas: pods, related_objects: self.related_objects }
    }
}

/// Returns the desired number of pods of a workload.
fn desired_replicas(object: &Value) -> Option<u32> {
    let wanted = match object["kind"].as_str() {
        Some("DaemonSet") => &object["status"]["desiredNumberScheduled"],
        _ => &object["spec"]["replicas"],
    };
    u32::try_from(wanted.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pods(text: &str) -> Vec<(String, u32)> {
        let found = read_cluster_state(&"pods.json".into(), text).unwrap();
        found.replicas.iter().map(|(k, n)| (k.to_string(), *n)).collect()
    }

    fn pod(name: &str, kind: &str, owner: &str, hash: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "shop", "labels": {"pod-template-hash": hash},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": owner, "controller": true}]}})
    }

    #[test]
    fn pods_are_counted_by_their_workload() {
        let mut over = pod("j", "ReplicaSet", "web-a1", "a1");
        over["status"] = json!({"phase": "Failed"});
        let mut going = pod("g", "ReplicaSet", "web-a1", "a1");
        going["metadata"]["deletionTimestamp"] = json!("2024-01-01T00:00:00Z");
        let alone = json!({"metadata": {"name": "alone"}});
        let list = json!({"apiVersion": "v1", "kind": "PodList", "items": [
            pod("a", "ReplicaSet", "web-a1", "a1"), pod("b", "ReplicaSet", "web-b2", "b2"),
            pod("c", "StatefulSet", "db", ""), over, going, alone]});
        let wanted = [("Deployment.apps/shop/web".to_owned(), 2), ("StatefulSet.apps/shop/db".to_owned(), 1)];
        assert_eq!(pods(&list.to_string()), wanted);
        let yaml = crate::yaml::emit(&list);
        assert_eq!(pods(&yaml), wanted);
    }

    #[test]
    fn workloads_know_their_own_number() {
        let mut inner = json!({"apiVersion": "v1", "kind": "Pod"});
        inner
            .as_object_mut()
            .unwrap()
            .extend(pod("c", "StatefulSet", "u-a-x", "").as_object().unwrap().clone());
        let owner = json!([{"apiVersion": "apps.kruise.io/v1alpha1", "kind": "UnitedDeployment", "name": "u", "controller": true}]);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [inner,
            {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "u-a-x", "namespace": "shop", "ownerReferences": owner}},
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d", "namespace": "shop"}, "status": {"desiredNumberScheduled": 7}},
            {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "shop"}}]});
        let found = read_cluster_state(&"x".into(), &list.to_string()).unwrap();
        assert_eq!(found.replicas.get("UnitedDeployment.apps.kruise.io/shop/u"), Some(&1));
        assert_eq!(found.replicas.get("DaemonSet.apps/shop/d"), Some(&7));
        assert_eq!(found.related_objects.len(), 1);
    }

    #[test]
    fn a_state_without_objects_is_an_error() {
        let code = |text: &str| read_cluster_state(&"x".into(), text).unwrap_err().code;
        assert_eq!(code(""), Code::NoPods);
        assert_eq!(code("{\"kind\": \"List\", \"items\": []}"), Code::NoPods);
        assert_eq!(code("{\"kind\": "), Code::InvalidYaml);
    }

    #[test]
    fn an_unreadable_object_is_an_error_and_not_a_smaller_cluster() {
        let code = |text: &str| read_cluster_state(&"x".into(), text).unwrap_err().code;
        for text in ["{}", "[1]", "{\"kind\": 7}", "hello", "{\"kind\": \"List\", \"items\": [1]}"] {
            assert_eq!(code(text), Code::WrongType, "{text}");
        }
        let whole = json!({"apiVersion": "v1", "kind": "Pod"});
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [whole, {"kind": "Pod", "metadata": {"name": 7}}]});
        assert_eq!(code(&list.to_string()), Code::WrongType);
        assert_eq!(code(&crate::yaml::emit(&list)), Code::WrongType);
        // Kubernetes drops what follows `...`.
        assert_eq!(code("apiVersion: v1\nkind: Pod\n...\nkind: Pod\n"), Code::InvalidYaml);
    }
}
