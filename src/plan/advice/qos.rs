//! Does a template's change lower the quality-of-service class of its pods?

use super::defaults::RESOURCES;
use super::{Defaults, Neighbour, Subject};
use crate::diag::{Code, Diagnostic};
use crate::plan::requests::{Part, amount, containers};
use serde_json::Value;
use std::fmt;

/// The class by which the kubelet chooses whom to evict; worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// No requests, no limits.
    BestEffort,
    /// Something between.
    Burstable,
    /// Every container has limits that it also requests.
    Guaranteed,
}

impl fmt::Display for Qos {
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
// `resources` are instead of its containers'.
pub fn qos_of(template: &Value) -> Qos {
    let spec = template.get("spec");
    let own =
        spec.filter(|s| s.get("resources").is_some_and(|r| r.as_object().is_some_and(|r| !r.is_empty())));
    let all: Vec<&Value> = match own {
        Some(spec) => vec![spec],
        None => ["initContainers", "containers"].iter().flat_map(|key| containers(template, key)).collect(),
    };
    if all.iter().all(|c| has_none(c)) {
        Qos::BestEffort
    } else if all.iter().all(|c| lacks(c).is_none()) {
        Qos::Guaranteed
    } else {
        Qos::Burstable
    }
}

/// Warns of each workload whose pods fall into a lower class, with the container that is to blame.
pub fn lower_qos(subjects: &[Subject<'_>], neighbours: &[Neighbour<'_>]) -> Vec<Diagnostic> {
    let defaults = Defaults::of(neighbours);
    let changed = subjects.iter().filter(|s| s.old != s.new);
    changed.filter_map(|s| check(s, &defaults)).collect()
}

fn check(subject: &Subject<'_>, defaults: &Defaults<'_>) -> Option<Diagnostic> {
    let [old, new] = [subject.old, subject.new].map(|t| defaults.admitted(t, subject.namespace));
    let (before, after) = (qos_of(&old), qos_of(&new));
    if after >= before {
        return None;
    }
    let mut all = ["initContainers", "containers"].into_iter().flat_map(|key| containers(&new, key));
    let blamed = all.find_map(|c| Some((c.get("name").and_then(Value::as_str)?, lacks(c)?)));
    let why = blamed.map_or_else(String::new, |(name, what)| format!(": container `{name}` has no {what}"));
    let message = format!("pods of {} fall from {before} to {after}{why}", subject.title());
    let diagnostic = Diagnostic::warning(Code::QosClassLowered, message);
    Some(
        subject
            .mark(diagnostic, "")
            .because("the kubelet evicts pods of a lower class first, and takes exclusive CPUs from them")
            .help("write limits for cpu and memory, and no other requests, for the containers of the SidecarSet"),
    )
}

fn has_none(container: &Value) -> bool {
    let positive = |part| RESOURCES.iter().any(|r| amount(container, part, r).is_some_and(|q| q.sign() > 0));
    !positive(Part::Requests) && !positive(Part::Limits)
}

/// What keeps a container from being Guaranteed.
fn lacks(container: &Value) -> Option<&'static str> {
    let is_whole = |resource: &str| {
        let limit = amount(container, Part::Limits, resource).filter(|q| q.sign() > 0);
        limit.is_some_and(|limit| amount(container, Part::Requests, resource) == Some(limit))
    };
    match RESOURCES.map(is_whole) {
        [true, true] => None,
        [false, true] => Some("cpu limit that is its request"),
        [true, false] => Some("memory limit that is its request"),
        [false, false] => Some("limits for cpu and memory that are its requests"),
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
        assert_eq!(qos_of(&template(&[full.clone(), equal])), Qos::Guaranteed);
        assert_eq!(qos_of(&template(&[full.clone(), none.clone()])), Qos::Burstable);
        assert_eq!(qos_of(&template(&[half, none.clone()])), Qos::Burstable);
        assert_eq!(qos_of(&template(&[zero, none.clone()])), Qos::BestEffort);
        let whole =
            json!({"spec": {"resources": {"limits": {"cpu": 1, "memory": "1Gi"}}, "containers": [none]}});
        assert_eq!(qos_of(&whole), Qos::Guaranteed);
        assert_eq!(qos_of(&json!("odd")), Qos::BestEffort);
    }

    #[test]
    fn a_sidecar_without_limits_is_blamed() {
        let full = container(json!({"limits": {"cpu": "1", "memory": "1Gi"}}));
        let mut sidecar = container(json!({"limits": {"memory": "64Mi"}}));
        sidecar["name"] = json!("logtail");
        let (old, new) = (template(std::slice::from_ref(&full)), template(&[full, sidecar]));
        let subject = |old, new| Subject {
            group: "apps",
            kind: "Deployment",
            namespace: "shop",
            name: "web",
            object: &Value::Null,
            old,
            new,
            pods: 1,
            place: None,
        };
        let told = lower_qos(&[subject(&old, &new), subject(&new, &old)], &[]);
        let wanted = "pods of Deployment shop/web fall from Guaranteed to Burstable: container `logtail` has no cpu \
                      limit that is its request";
        assert_eq!(told.iter().map(|d| d.message.as_str()).collect::<Vec<_>>(), [wanted]);
        let range = json!({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [
            {"type": "Container", "default": {"cpu": "1"}}]}});
        let near = [Neighbour { namespace: "shop", object: &range, place: None }];
        assert!(lower_qos(&[subject(&old, &new)], &near).is_empty());
    }
}
