//! Finds the workloads that an autoscaler sizes, and checks that it still works with the new template.

use super::{AdviceObject, AdviceWorkload, LimitRangeDefaults};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::sidecar_set::is_native_sidecar;
use crate::model::workload::api_group;
use crate::model::workload::{str_at, value_at};
use crate::rollout::pod_resources::{ResourceField, containers, resource_amount};
use crate::yaml::FieldPath;
use serde_json::Value;
use std::collections::BTreeMap;

/// Returns whether an autoscaler sets the replicas of a workload.
pub fn has_autoscaler(
    (group, kind, namespace, name): (&str, &str, &str, &str),
    objects: &[AdviceObject<'_>],
) -> bool {
    let mut related = objects.iter().filter(|n| n.namespace == namespace && is_autoscaler(n));
    related.any(|n| is_scale_target(n.object, group, kind, name))
}

/// Warns of each autoscaler that stops working because a container lacks the request that it measures against.
pub fn autoscalers_without_requests(
    subjects: &[AdviceWorkload<'_>],
    objects: &[AdviceObject<'_>],
) -> Vec<Diagnostic> {
    let defaults = LimitRangeDefaults::of(objects);
    let mut by_name: BTreeMap<(&str, &str), Vec<&AdviceWorkload<'_>>> = BTreeMap::new();
    for subject in subjects {
        by_name.entry((subject.namespace, subject.name)).or_default().push(subject);
    }
    let mut diagnostics = Vec::new();
    for scaler in objects.iter().filter(|n| n.is_kind("autoscaling", "HorizontalPodAutoscaler")) {
        let named = target_name(scaler.object).and_then(|name| by_name.get(&(scaler.namespace, name)));
        let is_meant = |s: &&&AdviceWorkload<'_>| {
            is_scale_target(scaler.object, s.group, s.kind, s.name) && s.is_changed
        };
        for subject in named.into_iter().flatten().filter(is_meant) {
            diagnostics.extend(
                measured_resources(scaler.object)
                    .filter_map(|(r, field)| check_autoscaler(scaler, subject, r, &field, &defaults)),
            );
        }
    }
    diagnostics
}

/// Returns the name of the target of an autoscaler.
pub fn target_name(scaler: &Value) -> Option<&str> {
    str_at(scaler, "spec.scaleTargetRef.name")
}

fn is_autoscaler(neighbour: &AdviceObject<'_>) -> bool {
    neighbour.is_kind("autoscaling", "HorizontalPodAutoscaler")
        || neighbour.is_kind("keda.sh", "ScaledObject")
}

fn is_scale_target(scaler: &Value, group: &str, kind: &str, name: &str) -> bool {
    let field =
        |key: &str| value_at(scaler, "spec.scaleTargetRef").and_then(|t| t.get(key)).and_then(Value::as_str);
    // KEDA scales a Deployment by default.
    let target = field("kind").unwrap_or("Deployment");
    let version = field("apiVersion");
    target_name(scaler) == Some(name) && target == kind && version.is_none_or(|v| api_group(v) == group)
}

/// Returns the resources that are compared with the requests of pods, and the fields that name them.
fn measured_resources(scaler: &Value) -> impl Iterator<Item = (String, FieldPath)> {
    let written = value_at(scaler, "spec.metrics").and_then(Value::as_array);
    let metrics = written.into_iter().flatten().enumerate().filter_map(|(i, metric)| {
        let is_resource = metric.get("type").and_then(Value::as_str) == Some("Resource");
        let resource = metric.get("resource").filter(|_| is_resource)?;
        // The second form is that of autoscaling/v2beta1.
        let is_share = str_at(resource, "target.type") == Some("Utilization")
            || resource.get("targetAverageUtilization").is_some_and(|u| !u.is_null());
        let name = resource.get("name").and_then(Value::as_str).filter(|_| is_share)?;
        Some((name.to_owned(), FieldPath::dotted("spec.metrics").child(i)))
    });
    // Kubernetes v1.36 autoscaling defaults: without metrics the use of CPU is measured.
    let default = written.is_none_or(Vec::is_empty).then(|| ("cpu".to_owned(), FieldPath::dotted("spec")));
    metrics.collect::<Vec<_>>().into_iter().chain(default)
}

fn check_autoscaler(
    scaler: &AdviceObject<'_>,
    subject: &AdviceWorkload<'_>,
    resource: String,
    field: &FieldPath,
    defaults: &LimitRangeDefaults<'_>,
) -> Option<Diagnostic> {
    let [old, new] = [subject.old_template, subject.new_template]
        .map(|t| defaults.apply_to_template(t, subject.namespace));
    // It did not work before either.
    if container_without_request(&old, &resource).is_some() {
        return None;
    }
    let container = container_without_request(&new, &resource)?;
    let message = format!(
        "HorizontalPodAutoscaler {}/{} stops scaling {}: container `{container}` requests no {resource}",
        scaler.namespace,
        scaler.name(),
        subject.title(),
    );
    let diagnostic = Diagnostic::warning(Code::AutoscalerWithoutRequest, message);
    let diagnostic = scaler.add_label(
        diagnostic,
        field,
        &format!("measures {resource} against the requests of all containers"),
    );
    Some(
        subject
            .add_label(diagnostic, "its pods get that container")
            .because("one container without the request leaves the metric without a value")
            .help(format!("give the container a {resource} request, or use a ContainerResource metric")),
    )
}

// Kubernetes v1.36 pkg/controller/podautoscaler calculatePodRequests: containers and native sidecars; the pod's own
// request replaces theirs.
fn container_without_request<'a>(template: &'a Value, resource: &str) -> Option<&'a str> {
    let spec = template.get("spec")?;
    if resource_amount(spec, ResourceField::Requests, resource).is_some() {
        return None;
    }
    let native = containers(template, "initContainers").iter().filter(|c| is_native_sidecar(c));
    let mut all = native.chain(containers(template, "containers"));
    all.find(|c| resource_amount(c, ResourceField::Requests, resource).is_none())
        .map(|c| c.get("name").and_then(Value::as_str).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn messages(spec: Value, old: &Value, new: &Value) -> Vec<String> {
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
        let mut object = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "h"}, "spec": {"scaleTargetRef": target}});
        object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let related = [AdviceObject { namespace: "shop", object: &object, location: None }];
        assert!(has_autoscaler(("apps", "Deployment", "shop", "web"), &related));
        assert!(!has_autoscaler(("apps", "Deployment", "data", "web"), &related));
        assert!(!has_autoscaler(("argoproj.io", "Deployment", "shop", "web"), &related));
        let subject = AdviceWorkload::web(old, new);
        autoscalers_without_requests(&[subject], &related).into_iter().map(|d| d.message).collect()
    }

    #[test]
    fn a_sidecar_without_the_request_stops_the_autoscaler() {
        let app = json!({"name": "app", "resources": {"requests": {"cpu": "1"}}});
        let old = json!({"spec": {"containers": [app]}});
        let new = json!({"spec": {"containers": [app, {"name": "log", "resources": {"limits": {"memory": "1Mi"}}}]}});
        let metric = |kind: &str, name: &str, target: &str| json!({"metrics": [{"type": kind, "resource": {"name": name, "target": {"type": target}}}]});
        let wanted = "HorizontalPodAutoscaler shop/h stops scaling Deployment shop/web: container `log` requests no cpu";
        assert_eq!(messages(metric("Resource", "cpu", "Utilization"), &old, &new), [wanted]);
        assert_eq!(messages(json!({}), &old, &new), [wanted]);
        assert!(messages(metric("Resource", "cpu", "AverageValue"), &old, &new).is_empty());
        assert!(messages(metric("ContainerResource", "cpu", "Utilization"), &old, &new).is_empty());
        // No container ever had a memory request.
        assert!(messages(metric("Resource", "memory", "Utilization"), &old, &new).is_empty());
        assert!(messages(json!({"metrics": [7]}), &old, &new).is_empty());
    }
}
