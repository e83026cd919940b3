//! Kinds that own a pod template, and the keys of workloads.

mod kinds;
mod query;

pub(crate) use kinds::replicas_of;
pub use kinds::{KindTraits, RevisionSource, WorkloadController};
pub(crate) use query::{WorkloadQuery, WorkloadQueryError, complete_workload};

use crate::model::api::KRUISE_GROUP;
use crate::yaml::FieldPath;
use kinds::{KNOWN_KINDS, SIDECAR_SET};
use serde_json::Value;
use std::sync::Arc;

/// A kind of objects with a pod template, or Pod itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadKind {
    /// API group, empty for the core group.
    pub group: String,
    /// `kind`.
    pub kind: String,
    /// Where the pod template may be: the first of these paths that leads to a mapping.
    pub(crate) template_paths: Vec<FieldPath>,
    /// Where the number of pods is, if anywhere.
    pub(crate) replicas_path: Option<FieldPath>,
    /// Where the number of pods is that a rolling update keeps old, if anywhere.
    pub(crate) partition_path: Option<FieldPath>,
    /// What is known of the kind by itself.
    pub traits: &'static KindTraits,
}

impl WorkloadKind {
    /// Returns the kind SidecarSet, which is a workload where Kruise injects it.
    pub(crate) fn sidecar_set() -> Self {
        (&SIDECAR_SET).into()
    }

    /// Returns whether the object is a SidecarSet, which Kruise rolls out.
    pub(crate) fn is_sidecar_set(&self) -> bool {
        self.traits.controller == WorkloadController::SidecarSet
    }

    /// Returns whether an API server may serve the kind: none serves the group that old manifests name since
    /// Kubernetes 1.22.
    #[cfg(feature = "watch")]
    pub(crate) fn is_served(&self) -> bool {
        self.group != "extensions"
    }

    /// Returns whether the object is itself the pod.
    pub fn is_pod(&self) -> bool {
        self.group.is_empty() && self.kind == "Pod"
    }
}

/// The kinds that have a pod template: the known ones, and those of pillion.yaml.
#[derive(Debug, Clone)]
pub struct WorkloadKinds(Vec<Arc<WorkloadKind>>);

impl From<&'static KindTraits> for WorkloadKind {
    fn from(traits: &'static KindTraits) -> Self {
        Self {
            group: traits.group.to_owned(),
            kind: traits.kind.to_owned(),
            template_paths: traits.templates.iter().map(|path| FieldPath::dotted(path)).collect(),
            replicas_path: traits.replicas.map(FieldPath::dotted),
            partition_path: traits.partition.map(FieldPath::dotted),
            traits,
        }
    }
}

impl Default for WorkloadKinds {
    fn default() -> Self {
        Self(KNOWN_KINDS.iter().map(|traits| Arc::new(traits.into())).collect())
    }
}

impl WorkloadKinds {
    /// Adds a kind, in place of a known one of the same group and kind.
    pub(crate) fn add(&mut self, kind: WorkloadKind) {
        self.0.retain(|k| k.group != kind.group || k.kind != kind.kind);
        self.0.push(Arc::new(kind));
    }

    /// Returns every kind.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<WorkloadKind>> {
        self.0.iter()
    }

    /// Returns the kind of an apiVersion and kind, if it has a pod template.
    pub fn find(&self, api_version: &str, kind: &str) -> Option<&Arc<WorkloadKind>> {
        let group = api_group(api_version);
        self.0.iter().find(|k| k.kind == kind && k.group == group)
    }
}

/// Returns the group of an apiVersion (`apps/v1` -> `apps`, `v1` -> empty).
pub(crate) fn api_group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Returns `apiVersion` and `kind` of an object.
pub(crate) fn type_meta(value: &Value) -> Option<(&str, &str)> {
    Some((value.get("apiVersion")?.as_str()?, value.get("kind")?.as_str()?))
}

/// Returns the type of an item; items of a typed list (`PodList`) need not have one of their own.
pub(crate) fn item_type_meta(list: &Value, item: &Value) -> Option<(String, String)> {
    let (api_version, kind) = type_meta(list)?;
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    match (text("apiVersion"), text("kind"), kind.strip_suffix("List")) {
        (Some(a), Some(k), _) => Some((a.to_owned(), k.to_owned())),
        (None, None, Some(k)) if !k.is_empty() => Some((api_version.to_owned(), k.to_owned())),
        _ => None,
    }
}

/// Returns the key of a workload: `KIND[.GROUP]/NAMESPACE/NAME`.
pub(crate) fn workload_key(api_version: &str, kind: &str, namespace: &str, name: &str) -> String {
    let group = api_group(api_version);
    let dot = if group.is_empty() { "" } else { "." };
    format!("{kind}{dot}{group}/{namespace}/{name}")
}

/// The namespace in the keys of SidecarSets, which have none; no namespace has this name.
pub(crate) const NO_NAMESPACE: &str = "-";

/// Returns the key of a SidecarSet that is rolled out as a whole.
pub(crate) fn sidecar_set_key(name: &str) -> String {
    format!("SidecarSet.{KRUISE_GROUP}/{NO_NAMESPACE}/{name}")
}

/// Returns whether a key is that of a SidecarSet.
pub(crate) fn is_sidecar_set_key(key: &str) -> bool {
    key.split('/').nth(1) == Some(NO_NAMESPACE)
}

/// Returns whether kustomize follows changed names in a kind, of whatever group it is
/// (api/internal/konfig/builtinpluginconsts).
pub(crate) fn is_known_to_kustomize(kind: &str) -> bool {
    KNOWN_KINDS.iter().any(|known| known.kind == kind && known.is_known_to_kustomize)
}

/// Returns the string at a dotted path.
pub(crate) fn str_at<'a>(object: &'a Value, path: &str) -> Option<&'a str> {
    value_at(object, path).and_then(Value::as_str)
}

/// Returns the value at a dotted path; None if it is null.
pub(crate) fn value_at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, key| value.get(key)).filter(|v| !v.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_group() {
        let kinds = WorkloadKinds::default();
        assert!(kinds.find("apps.kruise.io/v1beta1", "StatefulSet").is_some());
        assert!(kinds.find("v1", "Deployment").is_none());
        assert!(kinds.find("serving.knative.dev/v1", "Service").is_none());
        assert_eq!(workload_key("apps/v1", "Deployment", "shop", "web"), "Deployment.apps/shop/web");
        assert_eq!(workload_key("v1", "Pod", "default", "p"), "Pod/default/p");
    }
}
