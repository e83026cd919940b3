//! Does every field of the schema stand every kind of value? Nothing may panic, and Go's verdict is ours.

use super::schema::{Object, Presence, SIDECAR_SET_V1ALPHA1, SIDECAR_SET_V1BETA1, Type};
use super::{DecodeMode, ValidationContext, decode_for, validate};
use crate::diagnostics::Code;
use crate::yaml::{Document, FieldPath};
use serde_json::{Value, json};
use std::sync::Arc;

/// Tells whether Go decodes a value into a field of a kind.
fn fits_type(kind: Type, value: &Value) -> bool {
    match (kind, value) {
        (_, Value::Null) | (Type::Any, _) => true,
        (Type::Text | Type::IntOrText, Value::String(_)) | (Type::Bool, Value::Bool(_)) => true,
        (Type::Int32 | Type::IntOrText, Value::Number(n)) => {
            n.as_i64().is_some_and(|i| i32::try_from(i).is_ok())
        }
        (Type::Int64, Value::Number(n)) => n.as_i64().is_some(),
        (Type::Quantity, Value::Number(_)) => true,
        (Type::Quantity, Value::String(s)) => s == "1",
        (Type::TextMap, Value::Object(map)) => map.values().all(|v| v.is_string() || v.is_null()),
        (Type::QuantityMap, Value::Object(map)) => map.values().all(|v| fits_type(Type::Quantity, v)),
        (Type::Texts, Value::Array(items)) => items.iter().all(|v| v.is_string() || v.is_null()),
        (Type::Objects(_), Value::Array(items)) => items.iter().all(|v| v.is_object() || v.is_null()),
        (Type::Object(_), Value::Object(_)) => true,
        _ => false,
    }
}

/// Calls `on` with every field of a type and a way to build a document with a value there.
fn for_each_field(
    of: &'static Object,
    build: &dyn Fn(Value) -> Value,
    on: &mut dyn FnMut(&str, Type, Value, &Value),
) {
    let junk = [
        json!(null),
        json!(true),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(4_294_967_296_i64),
        json!("x"),
        json!("1"),
        json!(""),
        json!([]),
        json!([null]),
        json!(["x"]),
        json!([[1]]),
        json!([{"a": {"b": 1}}]),
        json!({}),
        json!({"a": null}),
        json!({"a": "x"}),
        json!({"a": {"b": [1]}}),
        json!({"name": ["x"], "a": 1}),
    ];
    for field in of.all() {
        for value in &junk {
            on(field.name, field.kind, build(json!({ field.name: value })), value);
        }
        let inner = |value: Value| build(json!({ field.name: value }));
        match field.kind {
            Type::Object(of) => for_each_field(of, &inner, on),
            Type::Objects(of) => for_each_field(of, &|value| inner(json!([value])), on),
            _ => {}
        }
    }
}

#[test]
fn every_field_stands_every_value() {
    let mut tried = 0;
    for (version, kind) in [("v1alpha1", &SIDECAR_SET_V1ALPHA1), ("v1beta1", &SIDECAR_SET_V1BETA1)] {
        for_each_field(kind, &|value| value, &mut |name, kind, mut document, value| {
            if ["apiVersion", "kind"].contains(&name)
                && document.as_object().is_some_and(|d| d.contains_key(name))
            {
                return;
            }
            let fields = document.as_object_mut().expect("a document");
            fields.insert("apiVersion".into(), format!("apps.kruise.io/{version}").into());
            fields.insert("kind".into(), "SidecarSet".into());
            let has_misfit = |found: &[crate::diagnostics::Diagnostic]| {
                found
                    .iter()
                    .any(|d| d.is_error() && matches!(d.code, Code::WrongType | Code::InvalidQuantity))
            };
            for mode in [DecodeMode::Render, DecodeMode::Validate] {
                let (set, found) = decode(mode, &document);
                if let Some(set) = set {
                    validate(&set, ValidationContext::default());
                }
                // An object may hold a field of its own that the value does not fit.
                let is_deep = value.as_object().is_some_and(|o| o.contains_key("name"))
                    || matches!(value, Value::Array(items) if items.iter().any(Value::is_object));
                if !fits_type(kind, value) || !is_deep {
                    assert_eq!(has_misfit(&found), !fits_type(kind, value), "{document}\n{found:?}");
                }
                tried += 1;
            }
        });
    }
    assert!(tried > 10_000, "{tried}");
}

#[test]
fn what_go_writes_for_an_empty_object_is_known_for_every_type() {
    // An object without content still has its fields without `omitempty`.
    fn check(of: &'static Object) {
        let stored = super::canonical::canonicalize(&serde_json::Map::new(), of);
        for field in of.all() {
            let is_written = stored.get(field.name).is_some();
            match field.presence {
                Presence::Always | Presence::Nullable => assert!(is_written, "{}.{}", of.name, field.name),
                Presence::Pointer => assert!(!is_written, "{}.{}", of.name, field.name),
                Presence::OmitEmpty => {}
            }
            if let Type::Object(of) | Type::Objects(of) = field.kind {
                check(of);
            }
        }
    }
    check(&SIDECAR_SET_V1BETA1);
}

fn decode(
    mode: DecodeMode,
    document: &Value,
) -> (Option<super::SidecarSet>, Vec<crate::diagnostics::Diagnostic>) {
    let document = Document::read(&"set.yaml".into(), 0, 1, &document.to_string()).expect("JSON is YAML");
    decode_for(mode, &Arc::new(document), &FieldPath::root())
}
