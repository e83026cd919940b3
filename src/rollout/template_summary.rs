//! The parts of a pod template that warnings and sums of requests read. A cluster has few different ones, so workloads
//! share them.

use super::pod_requirements::PodRequirements;
use super::template_diff::TemplateDiff;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Fields of a container that a summary keeps.
const CONTAINER_FIELDS: [&str; 3] = ["name", "resources", "restartPolicy"];

/// The summaries of the pod templates of a cluster, each once: by their text.
#[derive(Debug, Default)]
pub(super) struct TemplateSummaries(Mutex<BTreeMap<String, Arc<TemplateSummary>>>);

/// What warnings and sums of requests read of a pod template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TemplateSummary {
    /// The names, resources and restart policies of its containers, and the resources and the overhead of the pod.
    pub(crate) template: Value,
    /// What its pods need from their namespace.
    pub(crate) requirements: PodRequirements,
}

impl TemplateSummaries {
    /// Returns the summaries of two templates with these differences.
    pub(super) fn share_both(
        &self,
        [old, new]: [&Value; 2],
        diff: &TemplateDiff,
    ) -> [Arc<TemplateSummary>; 2] {
        let before = self.share(old);
        // A summary has no images.
        let after = if diff.is_image_only() { Arc::clone(&before) } else { self.share(new) };
        [before, after]
    }

    /// Returns the summary of a template.
    fn share(&self, template: &Value) -> Arc<TemplateSummary> {
        let summary =
            TemplateSummary { template: summarize(template), requirements: PodRequirements::of(template) };
        let text = format!("{}{:?}", summary.template, summary.requirements);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(text).or_insert_with(|| Arc::new(summary)))
    }
}

/// Returns a template with the names, resources and restart policies of its containers, and the resources and the
/// overhead of the pod. What has another type than the API wants stays as it is.
fn summarize(template: &Value) -> Value {
    let Some(spec) = template.get("spec") else { return Value::Object(Map::new()) };
    let Some(fields) = spec.as_object() else { return wrap(spec.clone()) };
    let mut kept = Map::new();
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("initContainers" | "containers", Value::Array(items)) => {
                kept.insert(key.clone(), items.iter().map(summarize_container).collect());
            }
            ("initContainers" | "containers" | "resources" | "overhead", value) => {
                kept.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    wrap(Value::Object(kept))
}

fn wrap(spec: Value) -> Value {
    Value::Object(Map::from_iter([("spec".to_owned(), spec)]))
}

fn summarize_container(container: &Value) -> Value {
    let Some(fields) = container.as_object() else { return container.clone() };
    let kept = fields.iter().filter(|(key, _)| CONTAINER_FIELDS.contains(&key.as_str()));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::advice::qos_of;
    use crate::rollout::pod_resources::{count_running_containers, limits_of, requests_of};
    use serde_json::json;

    #[test]
    fn a_summary_has_the_sums_of_its_template() {
        let resources = json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "20m", "memory": "1Gi"}});
        let container = |name: &str| json!({"name": name, "image": "i:1", "env": [], "resources": resources});
        let mut native = container("init");
        native["restartPolicy"] = json!("Always");
        let whole = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container("app")],
            "initContainers": [native], "overhead": {"cpu": "1m"}, "volumes": [{"name": "v"}]}});
        let by_pod = json!({"spec": {"resources": resources, "containers": [{"name": "app"}]}});
        for template in
            [whole, by_pod, json!(null), json!({"spec": 7}), json!({"spec": {"containers": [1, {}]}})]
        {
            let summary = &TemplateSummaries::default().share(&template).template;
            assert_eq!(requests_of(summary), requests_of(&template), "{template}");
            assert_eq!(limits_of(summary), limits_of(&template));
            assert_eq!(count_running_containers(summary), count_running_containers(&template));
            assert_eq!(qos_of(summary), qos_of(&template));
            assert!(!summary.to_string().contains("image"));
        }
    }

    #[test]
    fn equal_summaries_are_one() {
        let summaries = TemplateSummaries::default();
        let of = |app: &str| json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "a", "image": app}]}});
        assert!(Arc::ptr_eq(&summaries.share(&of("web")), &summaries.share(&of("api"))));
    }
}
