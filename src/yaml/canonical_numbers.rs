//! Writes numbers as Kubernetes' reading of them writes them.

use super::scalar;
use serde_json::{Number, Value};
use std::borrow::Cow;

/// Returns a value with its numbers written as Kubernetes' reading writes them.
pub(super) fn canonical_numbers(value: &Value) -> Cow<'_, Value> {
    if has_noncanonical_number(value) {
        Cow::Owned(with_canonical_numbers(value))
    } else {
        Cow::Borrowed(value)
    }
}

/// Returns whether a value has a number that would be written in another way.
pub(super) fn has_noncanonical_number(value: &Value) -> bool {
    match value {
        Value::Number(n) => canonical_number(n).is_some(),
        Value::Array(items) => items.iter().any(has_noncanonical_number),
        Value::Object(map) => map.values().any(has_noncanonical_number),
        _ => false,
    }
}

fn with_canonical_numbers(value: &Value) -> Value {
    match value {
        Value::Number(n) => Value::Number(canonical_number(n).unwrap_or_else(|| n.clone())),
        Value::Array(items) => items.iter().map(with_canonical_numbers).collect(),
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), with_canonical_numbers(v))).collect(),
        other => other.clone(),
    }
}

/// Returns another form of a number, where it is not in the one that reading makes.
fn canonical_number(number: &Number) -> Option<Number> {
    let text = number.as_str();
    if text.len() < 18 && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0') {
        return None;
    }
    match scalar::to_json(scalar::resolve_plain(text), text) {
        Some(Value::Number(n)) if n != *number => Some(n),
        _ => None,
    }
}
