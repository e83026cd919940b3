//! The variable that marks a container as injected.

use super::template::{JsonObject, item_name, list_items};
use serde_json::{Value, json};

/// The variable by which an injected container is known.
pub(crate) const IS_INJECTED: &str = "IS_INJECTED";

/// Returns whether a container bears the mark anywhere: a set may have written the variable itself, and then
/// the mark that injection appends is the second one.
pub(crate) fn has_injected_mark(container: &Value) -> bool {
    list_items(container, "env").iter().any(|e| item_name(e) == IS_INJECTED && env_value(e) == "true")
}

/// Tells what Kruise v1.9.0 takes for a sidecar of the pod: the first variable of that name is `true`.
pub(super) fn is_injected(container: &Value) -> bool {
    list_items(container, "env")
        .iter()
        .find(|e| item_name(e) == IS_INJECTED)
        .is_some_and(|e| env_value(e) == "true")
}

/// Returns a container of a set with the mark behind its own variables.
pub(super) fn with_mark(container: &JsonObject) -> JsonObject {
    let mut marked = container.clone();
    let mut env = container.get("env").and_then(Value::as_array).cloned().unwrap_or_default();
    // Kruise v1.9.0 appends the mark without looking whether the name is there.
    env.push(json!({"name": IS_INJECTED, "value": "true"}));
    marked.insert("env".to_owned(), Value::Array(env));
    marked
}

fn env_value(entry: &Value) -> &str {
    entry.get("value").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_the_first_variable_or_any() {
        let own = json!({"env": [{"name": "IS_INJECTED", "value": "false"}, {"name": "IS_INJECTED", "value": "true"}]});
        assert!(has_injected_mark(&own) && !is_injected(&own));
        let no = json!({"env": [{"name": "IS_INJECTED", "value": "True"}]});
        assert!(!has_injected_mark(&no) && !is_injected(&no));
        assert!(!has_injected_mark(&json!({"env": null})));
    }
}
