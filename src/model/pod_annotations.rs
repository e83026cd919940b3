//! The annotations that Kruise writes on pods: their keys, and how to read their values.

use super::timestamp::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The hashes of the sets with sidecars in the pod.
pub(crate) const SIDECARSET_HASH: &str = "kruise.io/sidecarset-hash";
/// The same, of the sets without their images.
pub(crate) const SIDECARSET_HASH_WITHOUT_IMAGE: &str = "kruise.io/sidecarset-hash-without-image";
/// The names of the sets with sidecars in the pod.
pub(crate) const INJECTED_LIST: &str = "kruise.io/sidecarset-injected-list";
/// The active container of each hot-upgrade pair.
pub(crate) const WORKING_CONTAINERS: &str = "kruise.io/sidecarset-working-hotupgrade-container";
/// The state before a container got another image.
pub(crate) const IN_PLACE_UPDATE_STATE: &str = "kruise.io/sidecarset-inplace-update-state";

/// Returns the names in an injected-list, split at commas and not trimmed.
pub(crate) fn parse_injected_list(list: &str) -> BTreeSet<&str> {
    list.split(',').filter(|_| !list.is_empty()).collect()
}

/// Reads which container of each pair works. A text that is not a JSON object says nothing, as in Kruise, and a value
/// that is not a string is an empty one: Go's json.Unmarshal continues after it.
pub(crate) fn parse_working_containers(text: &str) -> BTreeMap<String, String> {
    let entries: BTreeMap<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let read = |(name, container): (String, Value)| (name, container.as_str().unwrap_or_default().to_owned());
    entries.into_iter().map(read).collect()
}

/// Returns whether the text of an annotation is JSON's `null`: Kruise v1.9.0 reads a map from it that nothing can be
/// written into, and its webhook panics.
pub(crate) fn is_json_null(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_null())
}

/// Reads both forms of a hash annotation: today's, and the old one from set to hash. None if it is neither.
pub(crate) fn parse_hashes(text: &str) -> Option<BTreeMap<String, Value>> {
    if text.is_empty() {
        return Some(BTreeMap::new());
    }
    let entries: Option<BTreeMap<String, Value>> = serde_json::from_str(text).ok()?;
    let entries = entries.unwrap_or_default();
    let is_old = entries.values().any(Value::is_string);
    let read = |(set, value): (String, Value)| {
        let value = if is_old { convert_old_hash(&set, &value)? } else { normalize_hash_entry(&value)? };
        Some((set, value))
    };
    entries.into_iter().map(read).collect()
}

fn convert_old_hash(set: &str, hash: &Value) -> Option<Value> {
    let hash = if hash.is_null() { "" } else { hash.as_str()? };
    Some(json!({"updateTimestamp": null, "hash": hash, "sidecarSetName": set, "sidecarList": null}))
}

/// An entry as Kruise's type reads and writes it: five fields in their order, wrong types refused.
fn normalize_hash_entry(entry: &Value) -> Option<Value> {
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
    // metav1.Time: read as RFC 3339, written in UTC.
    let time = match entry.get("updateTimestamp") {
        None | Some(Value::Null) => Value::Null,
        Some(time) => Timestamp::parse(time.as_str()?)?.to_rfc3339().map_or(Value::Null, Value::String),
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
    fn entries_of_working_containers_are_kept_whatever_they_hold() {
        let entries = parse_working_containers(r#"{"log":"log-2","mesh":1,"z":["z-1"],"n":null}"#);
        let entries: Vec<_> = entries.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(entries.join(" "), "log=log-2 mesh= n= z=");
        assert!(["null", "[]", "5", "nope", ""].iter().all(|text| parse_working_containers(text).is_empty()));
        assert!(is_json_null(" null ") && !is_json_null("") && !is_json_null("{}"));
    }

    #[test]
    fn hashes_are_read_in_both_forms() {
        let encode =
            |entries: BTreeMap<String, Value>| to_go_json(&Value::Object(entries.into_iter().collect()));
        let read = |text: &str| parse_hashes(text).map(encode);
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
        let at = |time: &str| {
            read(&format!(r#"{{"a":{{"updateTimestamp":"{time}"}}}}"#)).map(|t| t[23..47].to_owned())
        };
        assert_eq!(at("2024-01-01T00:00:00.7+02:00").as_deref(), Some(r#":"2023-12-31T22:00:00Z","#));
        assert_eq!(at("0001-01-01T00:00:00Z").as_deref(), Some(r#":null,"hash":"","sidecar"#));
        assert_eq!((at("yesterday"), at("")), (None, None));
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
