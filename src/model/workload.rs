//! Kinds that own a pod template: where it is, how they are named.

use crate::yaml::FieldPath;
use serde_json::Value;
use std::sync::Arc;

/// A kind whose objects own a pod template, or Pod itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadKind {
    /// API group, empty for the core group.
    pub group: String,
    /// `kind`.
    pub kind: String,
    /// Where the pod template may be: the first of these paths that leads to a mapping.
    pub template_paths: Vec<FieldPath>,
    /// Where the number of pods is, if anywhere.
    pub replicas_path: Option<FieldPath>,
    /// Where the number of pods is that a rolling update keeps old, if anywhere.
    pub partition_path: Option<FieldPath>,
}

impl WorkloadKind {
    /// Tells whether the object is itself the pod.
    pub fn is_pod(&self) -> bool {
        self.group.is_empty() && self.kind == "Pod"
    }
}

/// The kinds that carry a pod template: the known ones, and those of pillion.yaml.
#[derive(Debug, Clone)]
pub struct WorkloadKinds(Vec<Arc<WorkloadKind>>);

/// (group, kind, template paths, replicas path). A new kind is one row here, and one in docs/support.md.
const BUILTIN_KINDS: &[(&str, &str, &[&str], &str)] = &[
    ("", "Pod", &[""], ""),
    ("", "PodTemplate", &["template"], ""),
    ("", "ReplicationController", &["spec.template"], "spec.replicas"),
    ("apps", "Deployment", &["spec.template"], "spec.replicas"),
    ("apps", "StatefulSet", &["spec.template"], "spec.replicas"),
    ("apps", "DaemonSet", &["spec.template"], ""),
    ("apps", "ReplicaSet", &["spec.template"], "spec.replicas"),
    // The group these three had before Kubernetes 1.16; old repositories still hold it.
    ("extensions", "Deployment", &["spec.template"], "spec.replicas"),
    ("extensions", "DaemonSet", &["spec.template"], ""),
    ("extensions", "ReplicaSet", &["spec.template"], "spec.replicas"),
    ("batch", "Job", &["spec.template"], "spec.parallelism"),
    ("batch", "CronJob", &["spec.jobTemplate.spec.template"], ""),
    ("apps.kruise.io", "CloneSet", &["spec.template"], "spec.replicas"),
    ("apps.kruise.io", "StatefulSet", &["spec.template"], "spec.replicas"),
    ("apps.kruise.io", "DaemonSet", &["spec.template"], ""),
    ("apps.kruise.io", "BroadcastJob", &["spec.template"], ""),
    (
        "apps.kruise.io",
        "AdvancedCronJob",
        &["spec.template.jobTemplate.spec.template", "spec.template.broadcastJobTemplate.spec.template"],
        "",
    ),
    (
        "apps.kruise.io",
        "UnitedDeployment",
        &[
            "spec.template.statefulSetTemplate.spec.template",
            "spec.template.advancedStatefulSetTemplate.spec.template",
            "spec.template.cloneSetTemplate.spec.template",
            "spec.template.deploymentTemplate.spec.template",
        ],
        "spec.replicas",
    ),
    ("argoproj.io", "Rollout", &["spec.template"], "spec.replicas"),
];

/// (group, kind, partition path) of the kinds that have a native partition.
const PARTITION_PATHS: &[(&str, &str, &str)] = &[
    ("apps", "StatefulSet", "spec.updateStrategy.rollingUpdate.partition"),
    ("apps.kruise.io", "CloneSet", "spec.updateStrategy.partition"),
    ("apps.kruise.io", "StatefulSet", "spec.updateStrategy.rollingUpdate.partition"),
    ("apps.kruise.io", "DaemonSet", "spec.updateStrategy.rollingUpdate.partition"),
];

impl Default for WorkloadKinds {
    fn default() -> Self {
        let kind = |(group, kind, templates, replicas): &(&str, &str, &[&str], &str)| {
            let partition = PARTITION_PATHS.iter().find(|(g, k, _)| g == group && k == kind);
            Arc::new(WorkloadKind {
                group: (*group).to_owned(),
                kind: (*kind).to_owned(),
                template_paths: templates.iter().map(|t| FieldPath::dotted(t)).collect(),
                replicas_path: (!replicas.is_empty()).then(|| FieldPath::dotted(replicas)),
                partition_path: partition.map(|(_, _, path)| FieldPath::dotted(path)),
            })
        };
        Self(BUILTIN_KINDS.iter().map(kind).collect())
    }
}

impl WorkloadKinds {
    /// Adds a kind; it takes the place of a known one of the same group and kind.
    pub fn add(&mut self, kind: WorkloadKind) {
        self.0.retain(|k| k.group != kind.group || k.kind != kind.kind);
        self.0.push(Arc::new(kind));
    }

    /// Returns every kind.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<WorkloadKind>> {
        self.0.iter()
    }

    /// Returns the kind of an apiVersion and kind, where it carries a pod template.
    pub fn find(&self, api_version: &str, kind: &str) -> Option<&Arc<WorkloadKind>> {
        let group = api_group(api_version);
        self.0.iter().find(|k| k.kind == kind && k.group == group)
    }
}

/// Returns the group of an apiVersion (`apps/v1` -> `apps`, `v1` -> empty).
pub fn api_group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Returns `apiVersion` and `kind` of an object.
pub fn type_meta(value: &Value) -> Option<(&str, &str)> {
    Some((value.get("apiVersion")?.as_str()?, value.get("kind")?.as_str()?))
}

/// Returns the type of an item; those of a typed list (`PodList`) may leave it to the list.
pub fn item_type_meta(list: &Value, item: &Value) -> Option<(String, String)> {
    let (api_version, kind) = type_meta(list)?;
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    match (text("apiVersion"), text("kind"), kind.strip_suffix("List")) {
        (Some(a), Some(k), _) => Some((a.to_owned(), k.to_owned())),
        (None, None, Some(k)) if !k.is_empty() => Some((api_version.to_owned(), k.to_owned())),
        _ => None,
    }
}

/// Returns the key of a workload: `KIND[.GROUP]/NAMESPACE/NAME`.
pub fn workload_key(api_version: &str, kind: &str, namespace: &str, name: &str) -> String {
    let group = api_group(api_version);
    let dot = if group.is_empty() { "" } else { "." };
    format!("{kind}{dot}{group}/{namespace}/{name}")
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
