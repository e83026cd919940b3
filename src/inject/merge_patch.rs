//! Applies RFC 7386 merge patches to the values of annotations, as Kruise's library does.

use crate::model::go_json::to_go_json;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

type RawObject = BTreeMap<String, Box<RawValue>>;

/// Which of two texts cannot be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MergePatchError {
    /// The value is not JSON.
    Value,
    /// The patch is neither a JSON object nor a list.
    Patch,
}

/// Returns the value with the patch merged into it.
pub(super) fn merge(value: &str, patch: &str) -> Result<String, MergePatchError> {
    // Reading the whole value once bounds the nesting for all that follows.
    let of_value: Value = serde_json::from_str(value).map_err(|_| MergePatchError::Value)?;
    let of_patch: Value = serde_json::from_str(patch).map_err(|_| MergePatchError::Patch)?;
    let merged = match (of_value, of_patch) {
        // evanphx/json-patch takes `null` for a document that it cannot read.
        (Value::Null, _) => return Err(MergePatchError::Value),
        (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            return Err(MergePatchError::Patch);
        }
        (Value::Object(_), Value::Object(_)) => merge_objects(value, patch),
        (_, Value::Object(_) | Value::Array(_)) => strip_nulls(patch),
    };
    Ok(compact(&merged))
}

fn merge_objects(value: &str, patch: &str) -> String {
    // evanphx/json-patch merge: the present value decides first. In place of one that is not an object the patch loses
    // its nulls, those inside of lists too; a patch that is not an object replaces an object as it is.
    let Some(mut result) = parse_object(value) else { return strip_nulls(patch) };
    let Some(patch_object) = parse_object(patch) else { return patch.to_owned() };
    for (key, patch) in patch_object {
        if is_null(&patch) {
            result.remove(&key);
            continue;
        }
        let text = match result.get(&key).filter(|old| !is_null(old)) {
            Some(old) => merge_objects(old.get(), patch.get()),
            None => strip_nulls(patch.get()),
        };
        if let Ok(raw) = RawValue::from_string(text) {
            result.insert(key, raw);
        }
    }
    write_object(&result)
}

fn strip_nulls(text: &str) -> String {
    if let Some(members) = parse_object(text) {
        let kept = members.into_iter().filter(|(_, v)| !is_null(v));
        let kept = kept.filter_map(|(k, v)| Some((k, RawValue::from_string(strip_nulls(v.get())).ok()?)));
        return write_object(&kept.collect());
    }
    match serde_json::from_str::<Vec<Box<RawValue>>>(text) {
        Ok(items) => {
            let items: Vec<String> = items.iter().map(|item| strip_nulls(item.get())).collect();
            format!("[{}]", items.join(","))
        }
        Err(_) => text.to_owned(),
    }
}

fn parse_object(text: &str) -> Option<RawObject> {
    serde_json::from_str(text).ok()
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

fn write_object(object: &RawObject) -> String {
    let members = object
        .iter()
        .map(|(key, value)| format!("{}:{}", to_go_json(&Value::from(key.as_str())), value.get()));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// Takes blanks out between the parts, and escapes what Go escapes in raw texts.
fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_text, mut is_escaped) = (false, false);
    for c in text.chars() {
        match c {
            ' ' | '\t' | '\n' | '\r' if !in_text => continue,
            '"' if !is_escaped => in_text = !in_text,
            _ => {}
        }
        is_escaped = c == '\\' && !is_escaped;
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges() {
        for (value, patch, merged) in [
            (r#"{"b":1,"a":2}"#, r#"{"c":3}"#, Ok(r#"{"a":2,"b":1,"c":3}"#)),
            (r#"{"a":{"x":1,"y":2}}"#, r#"{"a":{"x":null,"z":{"n":null}}}"#, Ok(r#"{"a":{"y":2,"z":{}}}"#)),
            (r#"{"o":{"b": 1, "a":2}}"#, r#"{"p":1}"#, Ok(r#"{"o":{"b":1,"a":2},"p":1}"#)),
            (r#"{"a":[1]}"#, r#"{"a":[2,null]}"#, Ok(r#"{"a":[2,null]}"#)),
            (r#"{"a":{"x":1}}"#, r#"{"a":5}"#, Ok(r#"{"a":5}"#)),
            (r#"{"a":5}"#, r#"{"a":{"y":2,"x":null,"b":1}}"#, Ok(r#"{"a":{"b":1,"y":2}}"#)),
            ("[1]", r#"{"a":null,"b":1}"#, Ok(r#"{"b":1}"#)),
            (r#"{"a":1}"#, "[1]", Ok("[1]")),
            ("1", r#"{"a":1}"#, Ok(r#"{"a":1}"#)),
            ("null", r#"{"a":1}"#, Err(MergePatchError::Value)),
            (
                r#"{"a":[1]}"#,
                r#"{"a":[{"z":1,"n":null,"b":[null,{"x":null}]}]}"#,
                Ok(r#"{"a":[{"b":[null,{}],"z":1}]}"#),
            ),
            (r#"{"a":5}"#, r#"{"a":[{"z":1,"b":null}]}"#, Ok(r#"{"a":[{"z":1}]}"#)),
            (r#"{"a":{}}"#, r#"{"a":[{"z":1,"b":null}]}"#, Ok(r#"{"a":[{"z":1,"b":null}]}"#)),
            (r#"{"e":1e3,"f":1.0}"#, r#"{"n":1.50}"#, Ok(r#"{"e":1e3,"f":1.0,"n":1.50}"#)),
            (r#"{"<":"a b\"< & "}"#, r#"{"é":1}"#, Ok(r#"{"\u003c":"a b\"\u003c \u0026 ","é":1}"#)),
            (r#"{"a":1}"#, "2", Err(MergePatchError::Patch)),
            (r#"{"a":1}"#, "null", Err(MergePatchError::Patch)),
            (r#"{"a":1}"#, "nope", Err(MergePatchError::Patch)),
            ("nope", r#"{"a":1}"#, Err(MergePatchError::Value)),
        ] {
            assert_eq!(merge(value, patch), merged.map(str::to_owned), "{value} {patch}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(merge(&deep, "{}"), Err(MergePatchError::Value));
        assert_eq!(merge("{}", &deep), Err(MergePatchError::Patch));
    }
}
