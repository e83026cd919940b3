//! Reads pod counts and related objects from the output of `kubectl get`.
//!
//! The output of a large cluster has hundreds of megabytes: JSON is read object by object, and of a pod only its
//! owner.

use super::related_objects::{RelatedObject, from_object};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::workload::{api_group, workload_key};
use crate::yaml::{Document, EntryPart, FieldPath, split_documents};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
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
    let mut cluster = ClusterStateBuilder::default();
    if !text.trim_start().starts_with('{') || cluster.read_json(text).is_none() {
        cluster = ClusterStateBuilder::default();
        cluster.read_yaml(name, text)?;
    }
    let found = cluster.build();
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
    /// The controller of each workload that has one.
    owners: BTreeMap<String, String>,
    /// Pods by their controller.
    pods: BTreeMap<String, u32>,
    related_objects: Vec<RelatedObject>,
}

/// A list of objects, not parsed yet.
#[derive(Deserialize)]
struct ListWire<'t> {
    kind: Option<String>,
    #[serde(borrow)]
    items: Option<Vec<&'t RawValue>>,
}

/// The identity and the owners of an object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectHeadWire {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: ObjectMetadataWire,
    #[serde(default)]
    status: PodPhaseWire,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ObjectMetadataWire {
    #[serde(default)]
    name: String,
    namespace: Option<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    owner_references: Option<Vec<ControllerReferenceWire>>,
    deletion_timestamp: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ControllerReferenceWire {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    controller: Option<bool>,
}

#[derive(Deserialize, Default)]
struct PodPhaseWire {
    phase: Option<Value>,
}

impl ObjectHeadWire {
    /// Returns the kind; the items of a typed list (`PodList`) may omit theirs.
    fn kind_in<'h>(&'h self, list: &'h str) -> Option<&'h str> {
        let of_list = list.strip_suffix("List").unwrap_or_default();
        let kind = if self.kind.is_empty() { of_list } else { &self.kind };
        (!kind.is_empty()).then_some(kind)
    }
}

impl ClusterStateBuilder {
    /// Returns None where the text is not JSON, or not a list of objects.
    fn read_json(&mut self, text: &str) -> Option<()> {
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
        stream.try_for_each(|raw| {
            let raw = raw.ok()?.get();
            let outer: ListWire<'_> = serde_json::from_str(raw).ok()?;
            match outer.items.filter(|_| outer.kind.as_deref().is_some_and(|k| k.ends_with("List"))) {
                Some(items) => {
                    let list = outer.kind.unwrap_or_default();
                    items.iter().try_for_each(|item| self.read_raw_object(item.get(), &list))
                }
                None => self.read_raw_object(raw, ""),
            }
        })
    }

    fn read_raw_object(&mut self, raw: &str, list: &str) -> Option<()> {
        let head: ObjectHeadWire = serde_json::from_str(raw).ok()?;
        self.add_object(&head, head.kind_in(list)?, || serde_json::from_str(raw).unwrap_or(Value::Null));
        Some(())
    }

    fn read_yaml(&mut self, name: &Arc<str>, text: &str) -> Result<(), Diagnostic> {
        let (slices, problems) = split_documents(name, text);
        if let Some(problem) = problems.into_iter().find(Diagnostic::is_error) {
            return Err(problem);
        }
        for (index, slice) in slices.into_iter().enumerate() {
            let document = Document::read(name, index, slice.first_line, &text[slice.span])?;
            let value = document.value();
            let list = value["kind"].as_str().filter(|kind| kind.ends_with("List"));
            match (list, value["items"].as_array()) {
                (Some(list), Some(items)) => {
                    for (i, item) in items.iter().enumerate() {
                        let at = FieldPath::dotted("items").child(i);
                        self.read_value(item, list).map_err(|error| not_an_object(&document, &at, &error))?;
                    }
                }
                _ if value.is_null() => {}
                _ => self
                    .read_value(value, "")
                    .map_err(|error| not_an_object(&document, &FieldPath::root(), &error))?,
            }
        }
        Ok(())
    }

    fn read_value(&mut self, value: &Value, list: &str) -> Result<(), String> {
        let head = ObjectHeadWire::deserialize(value).map_err(|error| error.to_string())?;
        let kind = head.kind_in(list).ok_or("it has no `kind`")?;
        self.add_object(&head, kind, || value.clone());
        Ok(())
    }

    fn add_object(&mut self, head: &ObjectHeadWire, kind: &str, whole: impl Fn() -> Value) {
        let namespace = head.metadata.namespace.as_deref().unwrap_or("default");
        let group = api_group(&head.api_version);
        match kind {
            "Pod" if group.is_empty() => self.add_pod(head, namespace),
            _ if ["apps", "apps.kruise.io", "argoproj.io", "extensions"].contains(&group) => {
                let own = workload_key(&head.api_version, kind, namespace, &head.metadata.name);
                if let Some(owner) = controller_reference(&head.metadata) {
                    let owner = workload_key(&owner.api_version, &owner.kind, namespace, &owner.name);
                    self.owners.insert(own.clone(), owner);
                }
                if let Some(n) = desired_replicas(&whole()) {
                    self.replicas.insert(own, n);
                }
            }
            _ => self.related_objects.extend(from_object(&whole(), namespace)),
        }
    }

    fn add_pod(&mut self, head: &ObjectHeadWire, namespace: &str) {
        let phase = head.status.phase.as_ref().and_then(Value::as_str);
        let is_over = matches!(phase, Some("Succeeded" | "Failed"));
        let metadata = &head.metadata;
        let Some(owner) =
            controller_reference(metadata).filter(|_| !is_over && metadata.deletion_timestamp.is_none())
        else {
            return;
        };
        let mut owned = workload_key(&owner.api_version, &owner.kind, namespace, &owner.name);
        if owner.kind == "ReplicaSet"
            && !self.owners.contains_key(&owned)
            && let Some(maker) = replica_set_owner(owner, metadata, namespace)
        {
            self.owners.insert(owned.clone(), maker);
        }
        // A file may list pods before their ReplicaSets, so owners are looked up at the end.
        *self.pods.entry(std::mem::take(&mut owned)).or_default() += 1;
    }

    fn build(self) -> ClusterState {
        let mut pods: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        for (owner, n) in &self.pods {
            let mut top = owner;
            // An object that owns itself would be an endless loop.
            for _ in 0..8 {
                let Some(above) = self.owners.get(top) else { break };
                top = above;
            }
            *pods.entry(top.as_str().into()).or_default() += n;
        }
        pods.extend(self.replicas.into_iter().map(|(key, n)| (Arc::from(key), n)));
        ClusterState { replicas: pods, related_objects: self.related_objects }
    }
}

/// Reports an object that cannot be read: without it a rollout would have fewer pods than the cluster.
fn not_an_object(document: &Document, at: &FieldPath, error: &str) -> Diagnostic {
    Diagnostic::error(Code::WrongType, "the cluster state has an object that cannot be read")
        .at(document.label(at, EntryPart::Value, ""))
        .because(error)
        .help("pass the output of `kubectl get pods -A -o json` as it is")
}

fn controller_reference(metadata: &ObjectMetadataWire) -> Option<&ControllerReferenceWire> {
    metadata.owner_references.iter().flatten().find(|o| o.controller == Some(true))
}

/// Returns the Deployment or Rollout that owns a ReplicaSet, by the hash that it writes into names and labels.
fn replica_set_owner(
    owner: &ControllerReferenceWire,
    metadata: &ObjectMetadataWire,
    namespace: &str,
) -> Option<String> {
    let label = |name: &str| metadata.labels.as_ref()?.get(name)?.as_str();
    let strip = |hash: &str| Some(owner.name.strip_suffix(hash)?.strip_suffix('-')?.to_owned());
    // Pods of Argo Rollouts have this label, pods of Deployments the other one.
    if let Some(name) = label("rollouts-pod-template-hash").and_then(strip) {
        return Some(workload_key("argoproj.io/v1alpha1", "Rollout", namespace, &name));
    }
    let name = label("pod-template-hash").and_then(strip)?;
    Some(workload_key("apps/v1", "Deployment", namespace, &name))
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
