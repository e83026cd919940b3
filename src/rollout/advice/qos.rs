//! Warns of template changes that lower the quality-of-service class of pods.

use super::limit_defaults::RESOURCES;
use super::{AdviceObject, AdviceWorkload, LimitRangeDefaults};
use crate::diagnostics::{Code, Diagnostic};
use crate::rollout::pod_resources::{ResourceField, containers, resource_amount};
use serde_json::Value;
use std::fmt;

/// The class by which the kubelet chooses pods to evict; lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QosClass {
    /// No requests, no limits.
    BestEffort,
    /// Anything between.
    Burstable,
    /// Every container has limits that equal its requests.
    Guaranteed,
}

impl fmt::Display for QosClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BestEffort => "BestEffort",
            Self::Burstable => "Burstable",
            Self::Guaranteed => "Guaranteed",
        })
    }
}

/// Returns the class of a template's pods.
// Kubernetes v1.36 pkg/apis/core/helper/qos ComputePodQOS: init containers count, zeros do not, and a pod's own
// `resources` replace those of its containers.
pub(crate) fn qos_of(template: &Value) -> QosClass {
    let spec = template.get("spec");
    let own =
        spec.filter(|s| s.get("resources").is_some_and(|r| r.as_object().is_some_and(|r| !r.is_empty())));
    let all: Vec<&Value> = match own {
        Some(spec) => vec![spec],
        None => ["initContainers", "containers"].iter().flat_map(|key| containers(template, key)).collect(),
    };
    if all.iter().all(|c| has_no_resources(c)) {
        QosClass::BestEffort
    } else if all.iter().all(|c| missing_for_guaranteed(c).is_none()) {
        QosClass::Guaranteed
    } else {
        QosClass::Burstable
    }
}

/// Warns of each workload with pods that fall into a lower class, and names the container that causes it.
pub(crate) fn lower_qos(subjects: &[AdviceWorkload<'_>], objects: &[AdviceObject<'_>]) -> Vec<Diagnostic> {
    let defaults = LimitRangeDefaults::of(objects);
    let changed = subjects.iter().filter(|s| s.is_changed);
    changed.filter_map(|s| check_qos(s, &defaults)).collect()
}

fn check_qos(subject: &AdviceWorkload<'_>, defaults: &LimitRangeDefaults<'_>) -> Option<Diagnostic> {
    // Most rollouts change an image only, and the templates before and after are one summary.
    if std::ptr::eq(subject.old_template, subject.new_template) {
        return None;
    }
    let [old, new] = [subject.old_template, subject.new_template]
        .map(|t| defaults.apply_to_template(t, subject.namespace));
    let (before, after) = (qos_of(&old), qos_of(&new));
    if after >= before {
        return None;
    }
    let mut all = ["initContainers", "containers"].into_iter().flat_map(|key| containers(&new, key));
    let blamed = all.find_map(|c| Some((c.get("name").and_then(Value::as_str)?, missing_for_guaranteed(c)?)));
    let why = blamed.map_or_else(String::new, |(name, what)| format!(": container `{name}` has no {what}"));
    let message = format!("pods of {} fall from {before} to {after}{why}", subject.title());
    let diagnostic = Diagnostic::warning(Code::QosClassLowered, message);
    Some(
        subject
            .add_label(diagnostic, "")
            .because("the kubelet evicts pods of a lower class first, and they lose exclusive CPUs")
            .help(
                "set limits for cpu and memory, and no other requests, for the containers of the SidecarSet",
            ),
    )
}

fn has_no_resources(container: &Value) -> bool {
    let positive =
        |part| RESOURCES.iter().any(|r| resource_amount(container, part, r).is_some_and(|q| q.sign() > 0));
    !positive(ResourceField::Requests) && !positive(ResourceField::Limits)
}

/// Returns what prevents a container from being Guaranteed.
fn missing_for_guaranteed(container: &Value) -> Option<&'static str> {
    let is_whole = |resource: &str| {
        let limit = resource_amount(container, ResourceField::Limits, resource).filter(|q| q.sign() > 0);
        limit
            .is_some_and(|limit| resource_amount(container, ResourceField::Requests, resource) == Some(limit))
    };
    match RESOURCES.map(is_whole) {
        [true, true] => None,
        [false, true] => Some("cpu limit equal to its request"),
        [true, false] => Some("memory limit equal to its request"),
        [false, false] => Some("limits for cpu and memory equal to its requests"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn container(resources: Value) -> Value {
        json!({"name": "c", "resources": resources})
    }

    fn template(containers: &[Value]) -> Value {
        json!({"spec": {"containers": containers}})
    }

    #[test]
    fn classes_are_those_of_kubernetes() {
        let full = container(json!({"limits": {"cpu": "1", "memory": "1Gi"}}));
        let equal = container(
            json!({"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1Gi"}}),
        );
        let half = container(json!({"requests": {"cpu": "1"}}));
        let zero = container(json!({"requests": {"cpu": "0"}}));
        let none = container(json!(null));
        assert_eq!(qos_of(&template(&[full.clone(), equal])), QosClass::Guaranteed);
        assert_eq!(qos_of(&template(&[full.clone(), none.clone()])), QosClass::Burstable);
        assert_eq!(qos_of(&template(&[half, none.clone()])), QosClass::Burstable);
        assert_eq!(qos_of(&template(&[zero, none.clone()])), QosClass::BestEffort);
        let whole =
            json!({"spec": {"resources": {"limits": {"cpu": 1, "memory": "1Gi"}}, "containers": [none]}});
        assert_eq!(qos_of(&whole), QosClass::Guaranteed);
        assert_eq!(qos_of(&json!("not an object")), QosClass::BestEffort);
    }

    #[test]
    fn a_sidecar_without_limits_is_blamed() {
        let full = container(json!({"limits": {"cpu": "1", "memory": "1Gi"}}));
        let mut sidecar = container(json!({"limits": {"memory": "64Mi"}}));
        sidecar["name"] = json!("logtail");
        let (old, new) = (template(std::slice::from_ref(&full)), template(&[full, sidecar]));
        let diagnostics = lower_qos(&[AdviceWorkload::web(&old, &new), AdviceWorkload::web(&new, &old)], &[]);
        let wanted = "pods of Deployment shop/web fall from Guaranteed to Burstable: container `logtail` has no cpu \
                      limit equal to its request";
        assert_eq!(diagnostics.iter().map(|d| d.message.as_str()).collect::<Vec<_>>(), [wanted]);
        let range = json!({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [
            {"type": "Container", "default": {"cpu": "1"}}]}});
        let related = [AdviceObject { namespace: "shop", object: &range, location: None }];
        assert!(lower_qos(&[AdviceWorkload::web(&old, &new)], &related).is_empty());
    }
}
