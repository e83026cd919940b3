//! The pods, workloads and SidecarSets of a cluster, from the output of `kubectl get`.

use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::api::KRUISE_GROUP;
use crate::model::workload::{api_group, workload_key};
use crate::rollout::cluster_objects::{ObjectCollector, ObjectHeadWire, collect_cluster_objects};
use crate::rollout::pod_owners::ControllerIndex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The API groups of objects that own pods.
const OWNER_GROUPS: [&str; 5] = ["apps", KRUISE_GROUP, "argoproj.io", "batch", "extensions"];

/// The fields of `metadata` that an adoption looks at.
const METADATA_FIELDS: [&str; 4] = ["annotations", "labels", "name", "namespace"];
/// The fields of the `spec` of a pod that an adoption looks at.
const POD_FIELDS: [&str; 4] = ["containers", "imagePullSecrets", "initContainers", "volumes"];

/// What runs in a cluster, as far as an adoption compares it.
#[derive(Debug, Default)]
pub(crate) struct AdoptionSnapshot {
    /// The pods that have not ended, by the key of their workload.
    pods: BTreeMap<Arc<str>, Vec<SnapshotPod>>,
    /// The objects that own pods, by key, without their status.
    objects: BTreeMap<Arc<str>, Value>,
    /// The SidecarSets, by name.
    sets: BTreeMap<Arc<str>, Value>,
}

/// A pod of a snapshot.
#[derive(Debug)]
pub(super) struct SnapshotPod {
    /// `metadata.name`.
    pub(super) name: Arc<str>,
    /// The Pod, without its status.
    pub(super) object: Value,
}

impl AdoptionSnapshot {
    /// Reads the output of `kubectl get -o json` or `-o yaml`.
    ///
    /// # Errors
    /// A diagnostic when it cannot be read, or has no pod.
    pub(crate) fn read(name: &Arc<str>, text: &str) -> Result<Self, Diagnostic> {
        let builder = collect_cluster_objects::<SnapshotBuilder>(name, text)?;
        if let Some(pod) = &builder.invalid_pod {
            return Err(Diagnostic::error(Code::DuplicateValue, format!("the cluster state has {pod}"))
                .at(Span::whole_file(Arc::clone(name)))
                .because("only the pods of one cluster, each once, can be compared")
                .help("pass the output of one `kubectl get ... -A -o json`"));
        }
        let snapshot = builder.build();
        if snapshot.pods.is_empty() {
            return Err(Diagnostic::error(Code::NoPods, "the cluster state has no running pod")
                .at(Span::whole_file(Arc::clone(name)))
                .because("an adoption compares the pods that run with those that git would make")
                .help("pass the output of `kubectl get pods,deployments,statefulsets,daemonsets,sidecarsets -A -o json`"));
        }
        Ok(snapshot)
    }

    /// Returns the pods of a workload.
    pub(super) fn pods_of(&self, key: &str) -> &[SnapshotPod] {
        self.pods.get(key).map_or(&[], Vec::as_slice)
    }

    /// Returns the object of a workload.
    pub(super) fn object(&self, key: &str) -> Option<&Value> {
        self.objects.get(key)
    }

    /// Returns whether it has a workload, or a pod of it.
    pub(super) fn has_workload(&self, key: &str) -> bool {
        self.objects.contains_key(key) || self.pods.contains_key(key)
    }

    /// Returns all pods, each with the key of its workload.
    pub(super) fn all_pods(&self) -> impl Iterator<Item = (&Arc<str>, &SnapshotPod)> {
        self.pods.iter().flat_map(|(key, pods)| pods.iter().map(move |pod| (key, pod)))
    }

    /// Returns the SidecarSets, by name.
    pub(crate) fn sidecar_sets(&self) -> &BTreeMap<Arc<str>, Value> {
        &self.sets
    }
}

/// The objects, before the owners of all pods are known.
#[derive(Debug, Default)]
struct SnapshotBuilder {
    controllers: ControllerIndex,
    /// Each with the key of its controller; of a bare Pod its own.
    pods: Vec<(String, SnapshotPod)>,
    /// Their keys.
    keys: BTreeSet<String>,
    /// The first pod that is there twice or has no name, in words.
    invalid_pod: Option<String>,
    found: AdoptionSnapshot,
}

impl ObjectCollector for SnapshotBuilder {
    fn add_object(&mut self, head: &ObjectHeadWire, whole: impl Fn() -> Value) {
        let namespace = head.metadata.namespace.as_deref().unwrap_or("default");
        let (group, name) = (api_group(&head.api_version), head.metadata.name.as_str());
        let kind = head.kind.as_str();
        match kind {
            "Pod" if group.is_empty() => self.add_pod(head, namespace, whole),
            "SidecarSet" if group == KRUISE_GROUP => {
                let mut set = trim(whole());
                if let Some(set) = set.as_object_mut() {
                    set.insert("apiVersion".to_owned(), head.api_version.as_str().into());
                    set.insert("kind".to_owned(), kind.into());
                }
                self.found.sets.insert(name.into(), set);
            }
            _ if OWNER_GROUPS.contains(&group) => {
                let own = workload_key(&head.api_version, kind, namespace, name);
                // A cluster has many ReplicaSets and Jobs, and what owns them has their template.
                if !self.controllers.add_object(&own, &head.metadata, namespace) {
                    self.found.objects.insert(own.into(), trim(whole()));
                }
            }
            _ => {}
        }
    }
}

impl SnapshotBuilder {
    fn add_pod(&mut self, head: &ObjectHeadWire, namespace: &str, whole: impl Fn() -> Value) {
        if head.is_over() {
            return;
        }
        let own = workload_key("v1", "Pod", namespace, &head.metadata.name);
        if head.metadata.name.is_empty() {
            self.invalid_pod.get_or_insert_with(|| "a pod without a name".to_owned());
        }
        if !self.keys.insert(own.clone()) {
            self.invalid_pod
                .get_or_insert_with(|| format!("the pod `{namespace}/{}` twice", head.metadata.name));
        }
        let owner = self.controllers.controller_of_pod(head, namespace).unwrap_or(own);
        let mut object = trim(whole());
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
            spec.retain(|key, _| POD_FIELDS.contains(&key.as_str()));
        }
        self.pods.push((owner, SnapshotPod { name: head.metadata.name.as_str().into(), object }));
    }

    fn build(self) -> AdoptionSnapshot {
        let Self { controllers, pods, mut found, .. } = self;
        for (owner, pod) in pods {
            found.pods.entry(controllers.top(&owner).into()).or_default().push(pod);
        }
        found.pods.values_mut().for_each(|pods| pods.sort_by(|a, b| a.name.cmp(&b.name)));
        found
    }
}

/// Drops what is not compared: a cluster has thousands of pods.
fn trim(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.shift_remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| METADATA_FIELDS.contains(&key.as_str()));
    }
    object
}
