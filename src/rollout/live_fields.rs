//! Compares an object in the cluster with the one in git, field by field. The API server adds defaults, drops empty
//! fields and normalizes quantities: fields that only the cluster has are no difference.

use crate::model::quantity::Quantity;
use serde_json::Value;

/// Keys that identify elements of a container's lists.
const MERGE_KEYS: [&str; 4] = ["name", "mountPath", "devicePath", "containerPort"];

/// A field with another value in the cluster than in git.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldDifference {
    /// Its dotted path, with the names of list elements in brackets.
    pub(crate) path: String,
    /// The value in git; None: git does not have the field.
    pub(crate) expected: Option<Value>,
    /// The value in the cluster; None: the cluster does not have the field.
    pub(crate) live: Option<Value>,
}

/// Returns the fields that are in git and differ in the cluster, in the order of git.
pub(crate) fn field_differences(expected: &Value, live: &Value) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    compare(expected, Some(live), "", &mut found);
    found
}

/// Returns the fields that differ between an object of git and one in the cluster, also those that only the cluster has.
/// `filled` is the object of git with all defaults that the cluster fills in.
pub(crate) fn two_way_differences(expected: &Value, filled: &Value, live: &Value) -> Vec<FieldDifference> {
    let mut found = field_differences(expected, live);
    for FieldDifference { path, expected: live, live: expected } in field_differences(live, filled) {
        let is_known = |known: &FieldDifference| {
            path.strip_prefix(&*known.path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        if !found.iter().any(is_known) {
            found.push(FieldDifference { path, expected, live });
        }
    }
    found
}

fn compare(expected: &Value, live: Option<&Value>, path: &str, found: &mut Vec<FieldDifference>) {
    if is_empty_value(expected) && live.is_none_or(is_empty_value) {
        return;
    }
    match (expected, live) {
        (Value::Object(expected), Some(Value::Object(live))) => {
            for (key, value) in expected {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(value, live.get(key), &path, found);
            }
        }
        (Value::Array(expected), Some(Value::Array(live))) if expected.iter().all(Value::is_object) => {
            expected.iter().for_each(|element| compare_element(element, live, path, found));
        }
        // Scalars of a list (`args`) are compared in order.
        (Value::Array(items), Some(Value::Array(others)))
            if items.len() == others.len()
                && items.iter().zip(others).all(|(one, other)| is_in(one, other, path)) => {}
        (Value::Null, Some(_)) => {}
        (expected, Some(live)) if is_equivalent(expected, live, path) => {}
        (expected, live) => found.push(FieldDifference {
            path: path.to_owned(),
            expected: Some(expected.clone()),
            live: live.cloned(),
        }),
    }
}

/// Returns whether a value in the cluster contains one of git.
fn is_in(expected: &Value, live: &Value, path: &str) -> bool {
    let mut found = Vec::new();
    compare(expected, Some(live), path, &mut found);
    found.is_empty()
}

/// Named elements may be in any order, with others between them.
fn compare_element(element: &Value, live: &[Value], path: &str, found: &mut Vec<FieldDifference>) {
    if live.iter().any(|other| is_in(element, other, path)) {
        return;
    }
    let missing = |path: String| FieldDifference { path, expected: Some(element.clone()), live: None };
    let named = MERGE_KEYS.into_iter().find_map(|key| Some((key, element.get(key)?)));
    let Some((key, name)) = named else { return found.push(missing(path.to_owned())) };
    let path = format!("{path}[{}]", scalar_text(name));
    match live.iter().find(|other| other.get(key) == Some(name)) {
        None => found.push(missing(path)),
        Some(namesake) => compare(element, Some(namesake), &path, found),
    }
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
    use super::field_differences;
    use serde_json::{Value, json};

    fn check(expected: &Value, live: &Value, gap: Option<&str>) {
        let found = field_differences(expected, live);
        assert_eq!(found.first().map(|first| &*first.path), gap, "{expected} in {live}");
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
