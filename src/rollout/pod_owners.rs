//! Finds the workload that owns a pod, by the controllers that objects name.

use super::cluster_objects::{ControllerReferenceWire, ObjectHeadWire, ObjectMetadataWire};
use crate::model::workload::workload_key;
use std::collections::BTreeMap;

/// An object that owns itself would be an endless loop.
const MAX_OWNER_DEPTH: usize = 8;

/// The controllers of objects, by key.
#[derive(Debug, Default)]
pub(super) struct ControllerIndex {
    controllers: BTreeMap<String, String>,
}

impl ControllerIndex {
    /// Adds the controller of an object with a key, and returns whether it has one.
    pub(super) fn add_object(&mut self, own: &str, metadata: &ObjectMetadataWire, namespace: &str) -> bool {
        let Some(owner) = controller_reference(metadata) else { return false };
        let owner = workload_key(&owner.api_version, &owner.kind, namespace, &owner.name);
        self.controllers.insert(own.to_owned(), owner);
        true
    }

    /// Returns the key of the controller of a pod; None: it has none.
    pub(super) fn controller_of_pod(&mut self, head: &ObjectHeadWire, namespace: &str) -> Option<String> {
        let metadata = &head.metadata;
        let owner = controller_reference(metadata)?;
        let owned = workload_key(&owner.api_version, &owner.kind, namespace, &owner.name);
        if owner.kind == "ReplicaSet"
            && !self.controllers.contains_key(&owned)
            && let Some(maker) = replica_set_owner(owner, metadata, namespace)
        {
            self.controllers.insert(owned.clone(), maker);
        }
        Some(owned)
    }

    /// Returns the topmost controller above a key. A file may list pods before their ReplicaSets: only when all objects
    /// are added it is the final one.
    pub(super) fn top<'a>(&'a self, key: &'a str) -> &'a str {
        let mut top = key;
        for _ in 0..MAX_OWNER_DEPTH {
            let Some(above) = self.controllers.get(top) else { break };
            top = above;
        }
        top
    }
}

impl ObjectHeadWire {
    /// Returns whether a pod has ended or is being deleted.
    pub(super) fn is_over(&self) -> bool {
        let phase = self.status.phase.as_ref().and_then(serde_json::Value::as_str);
        matches!(phase, Some("Succeeded" | "Failed")) || self.metadata.deletion_timestamp.is_some()
    }
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
