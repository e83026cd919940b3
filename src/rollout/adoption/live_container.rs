//! Compares a container of a pod with the rendered one, without what the API server and admission plugins fill in.

use crate::model::json::{JsonObject, object_entry, object_mut};
use crate::model::sidecar_set::{fill_container, fill_probe};
use crate::rollout::live_fields::{FieldDifference, two_way_differences};
use serde_json::Value;

/// Where the admission plugin ServiceAccount mounts the token of the pod.
const TOKEN_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The variable by which Kruise's webhook orders the start of containers, which a pod template cannot have.
const LAUNCH_BARRIER: &str = "KRUISE_CONTAINER_BARRIER";

/// Fields that admission plugins and feature gates set where a manifest has none.
const FILLED_FIELDS: [&str; 2] = ["imagePullPolicy", "resizePolicy"];

/// Returns the differences of a container of a pod. `is_limited`: LimitRanger has given it resources.
pub(super) fn container_differences(
    expected: &Value,
    live: &Value,
    is_limited: bool,
) -> Vec<FieldDifference> {
    let filled = with_defaults(expected, fill_api_defaults);
    let live = with_defaults(live, |container| {
        drop_admitted(container, expected);
        if is_limited {
            drop_limits(container, expected);
        }
    });
    two_way_differences(expected, &filled, &live)
}

/// Returns an object with defaults.
pub(super) fn with_defaults(object: &Value, fill: impl Fn(&mut JsonObject)) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fill(fields);
    }
    object
}

/// Sets the defaults of the API server: those that Kruise sets too, and those that it leaves out.
fn fill_api_defaults(container: &mut JsonObject) {
    fill_container(container);
    if let Some(probe) = object_mut(container, "startupProbe") {
        fill_probe(probe);
    }
    let limits = container.get("resources").and_then(|resources| resources.get("limits")).cloned();
    if let Some(Value::Object(limits)) = limits {
        let requests = object_entry(object_entry(container, "resources"), "requests");
        for (name, amount) in limits {
            requests.entry(name).or_insert(amount);
        }
    }
}

/// Removes what admission has put into a container, unless the rendered one has it too.
fn drop_admitted(container: &mut JsonObject, expected: &Value) {
    container.retain(|key, _| !FILLED_FIELDS.contains(&key.as_str()) || expected.get(key).is_some());
    for (list, key, value) in [("volumeMounts", "mountPath", TOKEN_MOUNT), ("env", "name", LAUNCH_BARRIER)] {
        let is_it = |item: &Value| item[key] == value;
        if expected[list].as_array().is_some_and(|items| items.iter().any(is_it)) {
            continue;
        }
        if let Some(items) = container.get_mut(list).and_then(Value::as_array_mut) {
            items.retain(|item| !is_it(item));
        }
    }
}

/// Removes the resources that the rendered container does not have.
fn drop_limits(container: &mut JsonObject, expected: &Value) {
    let Some(resources) = object_mut(container, "resources") else { return };
    for part in ["limits", "requests"] {
        if let Some(amounts) = object_mut(resources, part) {
            amounts.retain(|name, _| expected["resources"][part].get(name).is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::container_differences;
    use serde_json::{Value, json};

    fn paths(expected: &Value, live: &Value, is_limited: bool) -> Vec<String> {
        container_differences(expected, live, is_limited).into_iter().map(|d| d.path).collect()
    }

    #[test]
    fn what_a_cluster_fills_in_is_no_difference() {
        let expected = json!({
            "name": "log", "image": "log:1", "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
            "resources": {"limits": {"cpu": "0.1"}}, "ports": [{"containerPort": 80}],
            "startupProbe": {"httpGet": {"port": 80}}, "readinessProbe": {"exec": {"command": ["ok"]}},
        });
        let live = json!({
            "name": "log", "image": "log:1", "imagePullPolicy": "Always",
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "env": [
                {"name": "NODE", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}},
                {"name": "KRUISE_CONTAINER_BARRIER", "valueFrom": {"configMapKeyRef": {"name": "web-barrier", "key": "p_0"}}},
            ],
            "resources": {"limits": {"cpu": "100m"}, "requests": {"cpu": "100m"}},
            "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "startupProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
            "readinessProbe": {"exec": {"command": ["ok"]}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
            "volumeMounts": [{"name": "kube-api-access-x", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
        });
        assert_eq!(paths(&expected, &live, false), Vec::<String>::new());
    }

    #[test]
    fn a_difference_counts_on_either_side() {
        let expected = json!({"name": "log", "image": "log:2", "env": [{"name": "A", "value": "1"}]});
        let live = json!({"name": "log", "image": "log:1", "env": [{"name": "A", "value": "1"}, {"name": "OLD", "value": "x"}], "tty": true});
        assert_eq!(paths(&expected, &live, false), ["image", "env[OLD]", "tty"]);
        let live = json!({"name": "log", "image": "log:2", "readinessProbe": {"timeoutSeconds": 5}});
        assert_eq!(paths(&expected, &live, false), ["env", "readinessProbe"]);
    }

    #[test]
    fn resources_of_a_limit_range_are_no_difference_where_it_says_so() {
        let expected = json!({"name": "log", "image": "log:1", "resources": {"limits": {"cpu": "1"}}});
        let live = json!({"name": "log", "image": "log:1", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Mi"}}});
        assert_eq!(paths(&expected, &live, true), Vec::<String>::new());
        assert_eq!(paths(&expected, &live, false), ["resources.limits.memory", "resources.requests.memory"]);
    }
}
