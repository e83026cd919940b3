//! Warns of pods of the new template that a LimitRange refuses.

use super::limit_defaults::{RESOURCES, limit_range_items};
use super::{AdviceObject, AdviceWorkload, LimitRangeDefaults, objects_of_kind};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::quantity::Quantity;
use crate::rollout::pod_resources::{ResourceField, containers, limits_of, requests_of, resource_amount};
use crate::yaml::FieldPath;
use serde_json::Value;

/// Warns of each workload with new pods that a LimitRange of its namespace refuses, and old ones that it did not.
pub(crate) fn limit_ranges(subjects: &[AdviceWorkload<'_>], objects: &[AdviceObject<'_>]) -> Vec<Diagnostic> {
    let defaults = LimitRangeDefaults::of(objects);
    let mut diagnostics = Vec::new();
    for range in objects_of_kind(objects, ("", "LimitRange")) {
        let of = |s: &&AdviceWorkload<'_>| s.namespace == range.namespace && s.is_changed;
        for subject in subjects.iter().filter(of) {
            let [old, new] = [subject.old_template, subject.new_template]
                .map(|t| defaults.apply_to_template(t, subject.namespace));
            for (i, item) in limit_range_items(range.object).enumerate() {
                let before = limit_violations(item, &old);
                let new = limit_violations(item, &new)
                    .into_iter()
                    .filter(|r| !before.iter().any(|b| b.has_same_cause(r)));
                diagnostics.extend(new.map(|refusal| limit_violation_warning(range, i, subject, &refusal)));
            }
        }
    }
    diagnostics
}

/// Returns the violations of an item by a template.
struct LimitViolation {
    target: String,
    resource: &'static str,
    bound: &'static str,
    problem: String,
}

impl LimitViolation {
    fn has_same_cause(&self, other: &Self) -> bool {
        (&self.target, self.resource, self.bound) == (&other.target, other.resource, other.bound)
    }
}

// Kubernetes v1.36 plugin/pkg/admission/limitranger PodValidateLimitFunc; ratios are left to the cluster.
fn limit_violations(item: &Value, template: &Value) -> Vec<LimitViolation> {
    let mut found = Vec::new();
    match item.get("type").and_then(Value::as_str) {
        Some("Container") => {
            for container in ["initContainers", "containers"].iter().flat_map(|key| containers(template, key))
            {
                let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
                for resource in RESOURCES {
                    let of = |part| resource_amount(container, part, resource);
                    check_limits(item, resource, &format!("container `{name}`"), of, &mut found);
                }
            }
        }
        Some("Pod") => {
            let sums = [requests_of(template), limits_of(template)];
            let [requests, limits] =
                sums.map(|r| [r.cpu, r.memory].map(|q| Some(q).filter(|q| q.sign() != 0)));
            for (resource, (request, limit)) in RESOURCES.into_iter().zip(requests.into_iter().zip(limits)) {
                let of = |part| if part == ResourceField::Limits { limit.clone() } else { request.clone() };
                check_limits(item, resource, "the pod", of, &mut found);
            }
        }
        _ => {}
    }
    found
}

fn check_limits(
    item: &Value,
    resource: &'static str,
    who: &str,
    of: impl Fn(ResourceField) -> Option<Quantity>,
    found: &mut Vec<LimitViolation>,
) {
    let bound = |key: &str| item.get(key).and_then(|b| b.get(resource)).and_then(Quantity::read);
    let mut refuse =
        |bound, what| found.push(LimitViolation { target: who.to_owned(), resource, bound, problem: what });
    if let Some(max) = bound("max") {
        match of(ResourceField::Limits) {
            None => refuse("max", format!("no {resource} limit, which `max: {max}` requires")),
            Some(limit) if limit > max => refuse("max", format!("a {resource} limit of {limit} above {max}")),
            Some(_) => {}
        }
    }
    if let Some(min) = bound("min") {
        match of(ResourceField::Requests) {
            None => refuse("min", format!("no {resource} request, which `min: {min}` requires")),
            Some(request) if request < min => {
                refuse("min", format!("a {resource} request of {request} below {min}"));
            }
            Some(_) => {}
        }
    }
}

fn limit_violation_warning(
    range: &AdviceObject<'_>,
    item: usize,
    subject: &AdviceWorkload<'_>,
    refusal: &LimitViolation,
) -> Diagnostic {
    let message = format!(
        "LimitRange {}/{} refuses new pods of {}: {} has {}",
        range.namespace,
        range.name(),
        subject.title(),
        refusal.target,
        refusal.problem
    );
    let diagnostic = Diagnostic::warning(Code::LimitRangeViolated, message);
    let diagnostic =
        range.add_label(diagnostic, &FieldPath::dotted("spec.limits").child(item).child(refusal.bound), "");
    subject
        .add_label(diagnostic, "its pods would be rejected")
        .because("the API server rejects such pods; the old ones run until they are replaced")
        .help("set resources within the range for the containers of the SidecarSet, or widen the range")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn messages(item: Value, sidecar: Value) -> Vec<String> {
        let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "r"}, "spec": {"limits": [item]}});
        let related = [AdviceObject { namespace: "shop", object: &range, location: None }];
        let app = json!({"name": "app", "resources": {"limits": {"cpu": "4", "memory": "1Gi"}}});
        let old = json!({"spec": {"containers": [app]}});
        let new = json!({"spec": {"containers": [app, {"name": "log", "resources": sidecar}]}});
        let subject = AdviceWorkload::web(&old, &new);
        let cut = |d: Diagnostic| d.message.rsplit_once("shop/web: ").unwrap().1.to_owned();
        limit_ranges(&[subject], &related).into_iter().map(cut).collect()
    }

    #[test]
    fn only_what_is_new_is_told() {
        let max = json!({"type": "Container", "max": {"cpu": "2"}});
        assert_eq!(
            messages(max.clone(), json!({"limits": {"cpu": "3"}})),
            ["container `log` has a cpu limit of 3 above 2"]
        );
        assert!(messages(max.clone(), json!({"limits": {"cpu": "2"}})).is_empty());
        // What is missing is filled in with the bound.
        assert!(messages(max, json!(null)).is_empty());
        let min = json!({"type": "Container", "min": {"memory": "32Mi"}});
        let wanted = ["container `log` has a memory request of 16Mi below 32Mi"];
        assert_eq!(messages(min, json!({"requests": {"memory": "16Mi"}})), wanted);
        let pod = json!({"type": "Pod", "max": {"memory": "1Gi"}});
        assert_eq!(
            messages(pod.clone(), json!({"limits": {"memory": "1Gi"}})),
            ["the pod has a memory limit of 2Gi above 1Gi"]
        );
        assert!(messages(pod, json!({})).is_empty());
        assert!(messages(json!(7), json!({})).is_empty());
    }
}
