//! Which workloads does an autoscaler size, and can it still do so with the new template?

use super::{Defaults, Neighbour, Subject};
use crate::diag::{Code, Diagnostic};
use crate::model::workload::group_of;
use crate::plan::controller::{at, text};
use crate::plan::requests::{Part, amount, containers, is_native_sidecar};
use crate::yaml::Path;
use serde_json::Value;
use std::collections::BTreeMap;

/// Tells whether an autoscaler decides how many pods a workload has.
pub fn has_autoscaler(
    (group, kind, namespace, name): (&str, &str, &str, &str),
    neighbours: &[Neighbour<'_>],
) -> bool {
    let mut near = neighbours.iter().filter(|n| n.namespace == namespace && is_autoscaler(n));
    near.any(|n| targets(n.object, group, kind, name))
}

/// Warns of each autoscaler that stops working because a container lacks the request it measures by.
pub fn missing_requests(subjects: &[Subject<'_>], neighbours: &[Neighbour<'_>]) -> Vec<Diagnostic> {
    let defaults = Defaults::of(neighbours);
    let mut by_name: BTreeMap<(&str, &str), Vec<&Subject<'_>>> = BTreeMap::new();
    for subject in subjects {
        by_name.entry((subject.namespace, subject.name)).or_default().push(subject);
    }
    let mut found = Vec::new();
    for scaler in neighbours.iter().filter(|n| n.is("autoscaling", "HorizontalPodAutoscaler")) {
        let named = target_name(scaler.object).and_then(|name| by_name.get(&(scaler.namespace, name)));
        let is_meant = |s: &&&Subject<'_>| targets(scaler.object, s.group, s.kind, s.name) && s.old != s.new;
        for subject in named.into_iter().flatten().filter(is_meant) {
            found.extend(
                measured(scaler.object).filter_map(|(r, field)| check(scaler, subject, r, &field, &defaults)),
            );
        }
    }
    found
}

/// Returns the name of what an autoscaler sizes.
pub fn target_name(scaler: &Value) -> Option<&str> {
    text(scaler, "spec.scaleTargetRef.name")
}

fn is_autoscaler(neighbour: &Neighbour<'_>) -> bool {
    neighbour.is("autoscaling", "HorizontalPodAutoscaler") || neighbour.is("keda.sh", "ScaledObject")
}

fn targets(scaler: &Value, group: &str, kind: &str, name: &str) -> bool {
    let field =
        |key: &str| at(scaler, "spec.scaleTargetRef").and_then(|t| t.get(key)).and_then(Value::as_str);
    // KEDA scales a Deployment where nothing else is said.
    let target = field("kind").unwrap_or("Deployment");
    let version = field("apiVersion");
    target_name(scaler) == Some(name) && target == kind && version.is_none_or(|v| group_of(v) == group)
}

/// The resources whose use is compared with what pods request, and the fields that say so.
fn measured(scaler: &Value) -> impl Iterator<Item = (String, Path)> {
    let written = at(scaler, "spec.metrics").and_then(Value::as_array);
    let metrics = written.into_iter().flatten().enumerate().filter_map(|(i, metric)| {
        let is_resource = metric.get("type").and_then(Value::as_str) == Some("Resource");
        let resource = metric.get("resource").filter(|_| is_resource)?;
        // The second form is that of autoscaling/v2beta1.
        let is_share = text(resource, "target.type") == Some("Utilization")
            || resource.get("targetAverageUtilization").is_some_and(|u| !u.is_null());
        let name = resource.get("name").and_then(Value::as_str).filter(|_| is_share)?;
        Some((name.to_owned(), Path::dotted("spec.metrics").then(i)))
    });
    // Kubernetes v1.36 autoscaling defaults: without metrics the use of CPU is measured.
    let default = written.is_none_or(Vec::is_empty).then(|| ("cpu".to_owned(), Path::dotted("spec")));
    metrics.collect::<Vec<_>>().into_iter().chain(default)
}

fn check(
    scaler: &Neighbour<'_>,
    subject: &Subject<'_>,
    resource: String,
    field: &Path,
    defaults: &Defaults<'_>,
) -> Option<Diagnostic> {
    let [old, new] = [subject.old, subject.new].map(|t| defaults.admitted(t, subject.namespace));
    // It has not worked before either.
    if without(&old, &resource).is_some() {
        return None;
    }
    let container = without(&new, &resource)?;
    let message = format!(
        "HorizontalPodAutoscaler {}/{} stops scaling {}: container `{container}` requests no {resource}",
        scaler.namespace,
        scaler.name(),
        subject.title(),
    );
    let diagnostic = Diagnostic::warning(Code::AutoscalerWithoutRequest, message);
    let diagnostic =
        scaler.mark(diagnostic, field, &format!("measures {resource} by what all containers request"));
    Some(
        subject
            .mark(diagnostic, "its pods get that container")
            .because("one container without the request is enough to leave the metric without a value")
            .help(format!("give the container a {resource} request, or use a ContainerResource metric")),
    )
}

// Kubernetes v1.36 pkg/controller/podautoscaler calculatePodRequests: containers and native sidecars; the pod's own
// request is instead of theirs.
fn without<'a>(template: &'a Value, resource: &str) -> Option<&'a str> {
    let spec = template.get("spec")?;
    if amount(spec, Part::Requests, resource).is_some() {
        return None;
    }
    let native = containers(template, "initContainers").iter().filter(|c| is_native_sidecar(c));
    let mut all = native.chain(containers(template, "containers"));
    all.find(|c| amount(c, Part::Requests, resource).is_none())
        .map(|c| c.get("name").and_then(Value::as_str).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(spec: Value, old: &Value, new: &Value) -> Vec<String> {
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
        let mut object = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "h"}, "spec": {"scaleTargetRef": target}});
        object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let near = [Neighbour { namespace: "shop", object: &object, place: None }];
        assert!(has_autoscaler(("apps", "Deployment", "shop", "web"), &near));
        assert!(!has_autoscaler(("apps", "Deployment", "data", "web"), &near));
        assert!(!has_autoscaler(("argoproj.io", "Deployment", "shop", "web"), &near));
        let subject = Subject {
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
        missing_requests(&[subject], &near).into_iter().map(|d| d.message).collect()
    }

    #[test]
    fn a_sidecar_without_the_request_stops_the_autoscaler() {
        let app = json!({"name": "app", "resources": {"requests": {"cpu": "1"}}});
        let old = json!({"spec": {"containers": [app]}});
        let new = json!({"spec": {"containers": [app, {"name": "log", "resources": {"limits": {"memory": "1Mi"}}}]}});
        let metric = |kind: &str, name: &str, target: &str| json!({"metrics": [{"type": kind, "resource": {"name": name, "target": {"type": target}}}]});
        let wanted = "HorizontalPodAutoscaler shop/h stops scaling Deployment shop/web: container `log` requests no cpu";
        assert_eq!(told(metric("Resource", "cpu", "Utilization"), &old, &new), [wanted]);
        assert_eq!(told(json!({}), &old, &new), [wanted]);
        assert!(told(metric("Resource", "cpu", "AverageValue"), &old, &new).is_empty());
        assert!(told(metric("ContainerResource", "cpu", "Utilization"), &old, &new).is_empty());
        // No container ever had a memory request.
        assert!(told(metric("Resource", "memory", "Utilization"), &old, &new).is_empty());
        assert!(told(json!({"metrics": [7]}), &old, &new).is_empty());
    }
}
