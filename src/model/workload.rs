//! Kinds that own a pod template: where it is, how they are named.

use crate::yaml::Path;
use serde_json::Value;
use std::sync::Arc;

/// A kind whose objects own a pod template, or Pod itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// API group, empty for the core group.
    pub group: String,
    /// `kind`.
    pub kind: String,
    /// Where the pod template may be: the first of these paths that leads to a mapping.
    pub templates: Vec<Path>,
    /// Where the number of pods is, if anywhere.
    pub replicas: Option<Path>,
    /// Where the number of pods is that a rolling update keeps old, if anywhere.
    pub partition: Option<Path>,
}

impl Kind {
    /// Tells whether the object is itself the pod.
    pub fn is_pod(&self) -> bool {
        self.group.is_empty() && self.kind == "Pod"
    }
}

/// The kinds that carry a pod template: the known ones, and those of pillion.yaml.
#[derive(Debug, Clone)]
pub struct Kinds(Vec<Arc<Kind>>);

/// (group, kind, template paths, replicas path). A new kind is one row here, and one in docs/support.md.
const KNOWN: &[(&str, &str, &[&str], &str)] = &[
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
const PARTITIONS: &[(&str, &str, &str)] = &[
    ("apps", "StatefulSet", "spec.updateStrategy.rollingUpdate.partition"),
    ("apps.kruise.io", "CloneSet", "spec.updateStrategy.partition"),
    ("apps.kruise.io", "StatefulSet", "spec.updateStrategy.rollingUpdate.partition"),
    ("apps.kruise.io", "DaemonSet", "spec.updateStrategy.rollingUpdate.partition"),
];

impl Default for Kinds {
    fn default() -> Self {
        let kind = |(group, kind, templates, replicas): &(&str, &str, &[&str], &str)| {
            let partition = PARTITIONS.iter().find(|(g, k, _)| g == group && k == kind);
            Arc::new(Kind {
                group: (*group).to_owned(),
                kind: (*kind).to_owned(),
                templates: templates.iter().map(|t| Path::dotted(t)).collect(),
                replicas: (!replicas.is_empty()).then(|| Path::dotted(replicas)),
                partition: partition.map(|(_, _, path)| Path::dotted(path)),
            })
        };
        Self(KNOWN.iter().map(kind).collect())
    }
}

impl Kinds {
    /// Adds a kind; it takes the place of a known one of the same group and kind.
    pub fn add(&mut self, kind: Kind) {
        self.0.retain(|k| k.group != kind.group || k.kind != kind.kind);
        self.0.push(Arc::new(kind));
    }

    /// Returns every kind.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.0.iter()
    }

    /// Returns the kind of an apiVersion and kind, where it carries a pod template.
    pub fn find(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        let group = group_of(api_version);
        self.0.iter().find(|k| k.kind == kind && k.group == group)
    }
}

/// Returns the group of an apiVersion (`apps/v1` -> `apps`, `v1` -> empty).
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Returns `apiVersion` and `kind` of an object.
pub fn type_of(value: &Value) -> Option<(&str, &str)> {
    Some((value.get("apiVersion")?.as_str()?, value.get("kind")?.as_str()?))
}

/// Returns the type of an item; those of a typed list (`PodList`) may leave it to the list.
pub fn type_of_item(list: &Value, item: &Value) -> Option<(String, String)> {
    let (api_version, kind) = type_of(list)?;
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    match (text("apiVersion"), text("kind"), kind.strip_suffix("List")) {
        (Some(a), Some(k), _) => Some((a.to_owned(), k.to_owned())),
        (None, None, Some(k)) if !k.is_empty() => Some((api_version.to_owned(), k.to_owned())),
        _ => None,
    }
}

/// Returns the key of a workload: `KIND[.GROUP]/NAMESPACE/NAME`.
pub fn key(api_version: &str, kind: &str, namespace: &str, name: &str) -> String {
    let group = group_of(api_version);
    let dot = if group.is_empty() { "" } else { "." };
    format!("{kind}{dot}{group}/{namespace}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_group() {
        let kinds = Kinds::default();
        assert!(kinds.find("apps.kruise.io/v1beta1", "StatefulSet").is_some());
        assert!(kinds.find("v1", "Deployment").is_none());
        assert!(kinds.find("serving.knative.dev/v1", "Service").is_none());
        assert_eq!(key("apps/v1", "Deployment", "shop", "web"), "Deployment.apps/shop/web");
        assert_eq!(key("v1", "Pod", "default", "p"), "Pod/default/p");
    }
}
