//! The annotations in which Kruise keeps what it did to a pod: their keys, and how their texts are read.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The hashes of the sets whose sidecars a pod has.
pub const HASH: &str = "kruise.io/sidecarset-hash";
/// The same, of the sets without their images.
pub const HASH_WITHOUT_IMAGE: &str = "kruise.io/sidecarset-hash-without-image";
/// The names of the sets whose sidecars are in the pod.
pub const INJECTED_LIST: &str = "kruise.io/sidecarset-injected-list";
/// Which container of each hot-upgrade pair works.
pub const WORKING: &str = "kruise.io/sidecarset-working-hotupgrade-container";
/// What ran before a container got another image.
pub const IN_PLACE_STATE: &str = "kruise.io/sidecarset-inplace-update-state";

/// Returns the names in an injected-list, split at commas and not trimmed.
pub fn injected_sets(list: &str) -> BTreeSet<&str> {
    list.split(',').filter(|_| !list.is_empty()).collect()
}

/// Reads which container of each pair works; a text that cannot be read says nothing, as in Kruise.
pub fn read_working(text: &str) -> BTreeMap<String, String> {
    serde_json::from_str(text).unwrap_or_default()
}

/// Reads both forms of a hash annotation: today's, and the old one from set to hash. None where it is neither.
pub fn read_hashes(text: &str) -> Option<BTreeMap<String, Value>> {
    if text.is_empty() {
        return Some(BTreeMap::new());
    }
    let entries: Option<BTreeMap<String, Value>> = serde_json::from_str(text).ok()?;
    let entries = entries.unwrap_or_default();
    let is_old = entries.values().any(Value::is_string);
    let read = |(set, value): (String, Value)| {
        let value = if is_old { upgraded(&set, &value)? } else { normal(&value)? };
        Some((set, value))
    };
    entries.into_iter().map(read).collect()
}

fn upgraded(set: &str, hash: &Value) -> Option<Value> {
    let hash = if hash.is_null() { "" } else { hash.as_str()? };
    Some(json!({"updateTimestamp": null, "hash": hash, "sidecarSetName": set, "sidecarList": null}))
}

/// An entry as Kruise's type reads and writes it: five fields in their order, wrong types refused.
fn normal(entry: &Value) -> Option<Value> {
    let none = Map::new();
    let entry = match entry {
        Value::Null => &none,
        other => other.as_object()?,
    };
    let text_at = |key: &str| match entry.get(key) {
        None | Some(Value::Null) => Some(""),
        Some(value) => value.as_str(),
    };
    let list = match entry.get("sidecarList") {
        None | Some(Value::Null) => Value::Null,
        Some(Value::Array(names)) if names.iter().all(Value::is_string) => Value::Array(names.clone()),
        Some(_) => return None,
    };
    let time = match text_at("updateTimestamp")? {
        "" => Value::Null,
        time => Value::String(time.to_owned()),
    };
    let mut out = json!({
        "updateTimestamp": time,
        "hash": text_at("hash")?,
        "sidecarSetName": text_at("sidecarSetName")?,
        "sidecarList": list,
    });
    match text_at("controllerRevision")? {
        "" => {}
        revision => out["controllerRevision"] = Value::String(revision.to_owned()),
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::go_json::to_go_json;

    #[test]
    fn hashes_are_read_in_both_forms() {
        let encode =
            |entries: BTreeMap<String, Value>| to_go_json(&Value::Object(entries.into_iter().collect()));
        let read = |text: &str| read_hashes(text).map(encode);
        assert_eq!(read(""), Some("{}".to_owned()));
        assert_eq!(read("null"), Some("{}".to_owned()));
        assert_eq!(
            read(r#"{"b":"h","a":"g"}"#).as_deref(),
            Some(
                r#"{"a":{"updateTimestamp":null,"hash":"g","sidecarSetName":"a","sidecarList":null},"b":{"updateTimestamp":null,"hash":"h","sidecarSetName":"b","sidecarList":null}}"#
            )
        );
        let full = r#"{"a":{"updateTimestamp":"2026-01-01T00:00:00Z","hash":"g","sidecarSetName":"a","sidecarList":["x"],"controllerRevision":"a-1"}}"#;
        assert_eq!(read(full).as_deref(), Some(full));
        for text in [
            "nope",
            "[]",
            r#"{"a":1}"#,
            r#"{"a":"h","b":{}}"#,
            r#"{"a":{"hash":1}}"#,
            r#"{"a":{"sidecarList":"x"}}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
