//! Checks that an object in the cluster contains every field of the one in git. The API server adds defaults, drops
//! empty fields and normalizes quantities.

use crate::model::quantity::Quantity;
use serde_json::Value;

/// Keys that identify elements of a container's lists.
const MERGE_KEYS: [&str; 4] = ["name", "mountPath", "devicePath", "containerPort"];

/// Returns the dotted path of the first field that is in git and differs in the cluster; None: no difference.
#[cfg_attr(not(feature = "watch"), expect(dead_code, reason = "only the watcher asks for it"))]
pub(crate) fn first_different_field(expected: &Value, live: &Value) -> Option<String> {
    difference(expected, Some(live), "")
}

fn difference(expected: &Value, live: Option<&Value>, path: &str) -> Option<String> {
    let here = || Some(path.to_owned());
    if is_empty_value(expected) && live.is_none_or(is_empty_value) {
        return None;
    }
    match (expected, live) {
        (_, None) => here(),
        (Value::Object(expected), Some(Value::Object(live))) => expected.iter().find_map(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            difference(value, live.get(key), &path)
        }),
        (Value::Array(expected), Some(Value::Array(live))) => list_difference(expected, live, path),
        (Value::Null, Some(_)) => None,
        (expected, Some(live)) if is_equivalent(expected, live, path) => None,
        _ => here(),
    }
}

/// Named elements may be in any order, with others between them; scalars (`args`) are compared in order.
fn list_difference(expected: &[Value], live: &[Value], path: &str) -> Option<String> {
    if expected.iter().any(|e| !e.is_object()) {
        let is_equal = expected.len() == live.len()
            && expected.iter().zip(live).all(|(e, l)| difference(e, Some(l), path).is_none());
        return (!is_equal).then(|| path.to_owned());
    }
    expected.iter().find_map(|element| {
        if live.iter().any(|l| difference(element, Some(l), path).is_none()) {
            return None;
        }
        let named = MERGE_KEYS.into_iter().find_map(|key| Some((key, element.get(key)?)));
        let Some((key, name)) = named else { return Some(path.to_owned()) };
        let path = format!("{path}[{}]", scalar_text(name));
        let namesake = live.iter().find(|l| l.get(key) == Some(name));
        namesake.map_or_else(
            || Some(path.clone()),
            |l| difference(element, Some(l), &path).or(Some(path.clone())),
        )
    })
}

/// Returns whether the API server treats a value like an absent one.
fn is_empty_value(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.values().all(is_empty_value),
    }
}

fn is_equivalent(expected: &Value, live: &Value, path: &str) -> bool {
    if expected == live {
        return true;
    }
    let amount = |v: &Value| Quantity::parse(&scalar_text(v)).ok().map(Quantity::rounded_to_milli);
    match (expected, live) {
        _ if path.split('.').any(|key| key == "resources") => {
            amount(expected).is_some_and(|e| amount(live).is_some_and(|l| e == l))
        }
        (Value::Number(e), Value::Number(l)) => e.as_f64().is_some() && e.as_f64() == l.as_f64(),
        _ => false,
    }
}

fn scalar_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::first_different_field;
    use serde_json::{Value, json};

    fn check(expected: &Value, live: &Value, gap: Option<&str>) {
        assert_eq!(first_different_field(expected, live).as_deref(), gap, "{expected} in {live}");
    }

    #[test]
    fn what_the_api_server_adds_or_leaves_out_is_no_gap() {
        let live = json!({
            "name": "a", "image": "a:1", "imagePullPolicy": "IfNotPresent",
            "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}},
            "env": [{"name": "X"}, {"name": "Y", "value": "1"}],
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
        });
        let expected = json!({
            "name": "a", "image": "a:1", "tty": false, "securityContext": {}, "command": null,
            "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}, "requests": {}},
            "env": [{"name": "Y", "value": "1"}, {"name": "X", "value": ""}],
            "ports": [{"containerPort": 80}],
        });
        check(&expected, &live, None);
    }

    #[test]
    fn a_gap_has_its_place() {
        let live =
            json!({"args": ["a"], "env": [{"name": "X", "value": "1"}], "resources": {"limits": {"cpu": 1}}});
        check(&json!({"image": "a"}), &live, Some("image"));
        check(&json!({"args": ["a", "b"]}), &live, Some("args"));
        check(&json!({"env": [{"name": "X", "value": "2"}]}), &live, Some("env[X].value"));
        check(&json!({"env": [{"name": "Z", "value": "2"}]}), &live, Some("env[Z]"));
        check(&json!({"resources": {"limits": {"cpu": "1001m"}}}), &live, Some("resources.limits.cpu"));
    }
}
