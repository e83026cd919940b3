//! Completes a pod template with the defaults of the LimitRanges of its namespace.

use super::{AdviceObject, objects_of_kind};
use crate::rollout::pod_resources::ResourceField;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Resources of LimitRanges and checks.
pub(super) const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// The defaults of LimitRanges for containers, by namespace.
#[derive(Debug)]
pub struct LimitRangeDefaults<'a>(BTreeMap<&'a str, Vec<&'a Value>>);

impl<'a> LimitRangeDefaults<'a> {
    /// Reads the LimitRanges among all objects.
    pub fn of(objects: &[AdviceObject<'a>]) -> Self {
        let mut found: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for range in objects_of_kind(objects, ("", "LimitRange")) {
            let for_containers = limit_range_items(range.object)
                .filter(|i| i.get("type").and_then(Value::as_str) == Some("Container"));
            found.entry(range.namespace).or_default().extend(for_containers);
        }
        Self(found)
    }

    /// Returns a template with the defaults of a namespace.
    pub fn apply_to_template(&self, template: &Value, namespace: &str) -> Value {
        let ranges = self.0.get(namespace).map_or(&[][..], Vec::as_slice);
        let mut out = template.clone();
        for list in ["initContainers", "containers"] {
            let containers = out.get_mut("spec").and_then(|s| s.get_mut(list)).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
                apply_to_container(container, ranges);
            }
        }
        out
    }
}

/// Returns the items of a LimitRange.
pub(super) fn limit_range_items(range: &Value) -> impl Iterator<Item = &Value> {
    range.get("spec").and_then(|s| s.get("limits")).and_then(Value::as_array).into_iter().flatten()
}

// Kubernetes v1.36: an absent request equals the limit, if that is set (core defaults); what is still absent comes
// from `defaultRequest` and `default` (limitranger), which default to `min`, `default` and `max`.
fn apply_to_container(container: &mut Map<String, Value>, ranges: &[&Value]) {
    let from = |keys: &[&str], resource: &str| {
        ranges.iter().find_map(|range| keys.iter().find_map(|key| range.get(key)?.get(resource))).cloned()
    };
    for resource in RESOURCES {
        let own = |part: ResourceField| {
            container.get("resources").and_then(|r| r.get(part.key())?.get(resource)).cloned()
        };
        let limit = own(ResourceField::Limits);
        let request = own(ResourceField::Requests)
            .or_else(|| limit.clone())
            .or_else(|| from(&["defaultRequest", "default", "max", "min"], resource));
        let limit = limit.or_else(|| from(&["default", "max"], resource));
        set_resource(container, ResourceField::Requests, resource, request);
        set_resource(container, ResourceField::Limits, resource, limit);
    }
}

fn set_resource(
    container: &mut Map<String, Value>,
    part: ResourceField,
    resource: &str,
    amount: Option<Value>,
) {
    let Some(amount) = amount else { return };
    let resources = container.entry("resources").or_insert(Value::Null);
    let Some(amounts) = as_mapping_mut(resources).map(|r| r.entry(part.key()).or_insert(Value::Null)) else {
        return;
    };
    if let Some(amounts) = as_mapping_mut(amounts) {
        amounts.insert(resource.to_owned(), amount);
    }
}

/// An absent value becomes an empty mapping; any other value stays.
fn as_mapping_mut(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ranges_fill_in_what_is_missing() {
        let range = json!({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [
            {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}, "max": {"memory": "1Gi"}},
            {"type": "Pod", "default": {"memory": "9Gi"}}, 7]}});
        let related = [AdviceObject { namespace: "shop", object: &range, location: None }];
        let template = json!({"spec": {"containers": [{"resources": null}, {"resources": {"limits": {"cpu": "2"}}}, 7]}});
        let whole =
            json!({"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}});
        let half =
            json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "2", "memory": "1Gi"}});
        let wanted = json!({"spec": {"containers": [{"resources": whole}, {"resources": half}, 7]}});
        let defaults = LimitRangeDefaults::of(&related);
        assert_eq!(defaults.apply_to_template(&template, "shop"), wanted);
        let alone = json!({"spec": {"containers": [{}]}});
        assert_eq!(defaults.apply_to_template(&alone, "data"), alone);
    }
}
