//! Tests decoding and validation with every kind of value in every field: no panic, and the same result as in Go.

use super::schema::{ObjectSchema, Presence, SIDECAR_SET_V1ALPHA1, SIDECAR_SET_V1BETA1, ValueType};
use super::{DecodeMode, ValidationContext, decode_for, validate};
use crate::diagnostics::Code;
use crate::model::json::JsonObject;
use crate::yaml::{Document, FieldPath};
use serde_json::{Value, json};
use std::sync::Arc;

/// Returns whether Go decodes a value into a field of a type.
fn fits_type(value_type: ValueType, value: &Value) -> bool {
    match (value_type, value) {
        (_, Value::Null) | (ValueType::Any, _) => true,
        (ValueType::String | ValueType::IntOrString, Value::String(_))
        | (ValueType::Bool, Value::Bool(_)) => true,
        (ValueType::Int32 | ValueType::IntOrString, Value::Number(n)) => {
            n.as_i64().is_some_and(|i| i32::try_from(i).is_ok())
        }
        (ValueType::Int64, Value::Number(n)) => n.as_i64().is_some(),
        (ValueType::Quantity, Value::Number(_)) => true,
        (ValueType::Quantity, Value::String(s)) => s == "1",
        (ValueType::StringMap, Value::Object(map)) => map.values().all(|v| v.is_string() || v.is_null()),
        (ValueType::QuantityMap, Value::Object(map)) => {
            map.values().all(|v| fits_type(ValueType::Quantity, v))
        }
        (ValueType::StringList, Value::Array(items)) => items.iter().all(|v| v.is_string() || v.is_null()),
        (ValueType::ObjectList(_), Value::Array(items)) => items.iter().all(|v| v.is_object() || v.is_null()),
        (ValueType::Object(_), Value::Object(_)) => true,
        _ => false,
    }
}

/// Calls `on` with every field of a type and a way to build a document with a value there.
fn for_each_field(
    of: &'static ObjectSchema,
    build: &dyn Fn(Value) -> Value,
    on: &mut dyn FnMut(&str, ValueType, Value, &Value),
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
    for field in of.all_fields() {
        for value in &junk {
            on(field.name, field.value_type, build(json!({ field.name: value })), value);
        }
        let inner = |value: Value| build(json!({ field.name: value }));
        match field.value_type {
            ValueType::Object(of) => for_each_field(of, &inner, on),
            ValueType::ObjectList(of) => for_each_field(of, &|value| inner(json!([value])), on),
            _ => {}
        }
    }
}

#[test]
fn every_field_handles_every_value() {
    let mut tried = 0;
    for (version, value_type) in [("v1alpha1", &SIDECAR_SET_V1ALPHA1), ("v1beta1", &SIDECAR_SET_V1BETA1)] {
        for_each_field(value_type, &|value| value, &mut |name, value_type, mut document, value| {
            if ["apiVersion", "kind"].contains(&name)
                && document.as_object().is_some_and(|d| d.contains_key(name))
            {
                return;
            }
            let fields = document.as_object_mut().expect("a document");
            fields.insert("apiVersion".into(), format!("apps.kruise.io/{version}").into());
            fields.insert("kind".into(), "SidecarSet".into());
            let has_mismatch = |found: &[crate::diagnostics::Diagnostic]| {
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
                if !fits_type(value_type, value) || !is_deep {
                    assert_eq!(has_mismatch(&found), !fits_type(value_type, value), "{document}\n{found:?}");
                }
                tried += 1;
            }
        });
    }
    assert!(tried > 10_000, "{tried}");
}

#[test]
fn empty_objects_of_every_type_are_encoded_as_in_go() {
    // An object without content still has its fields without `omitempty`.
    fn check(of: &'static ObjectSchema) {
        let stored = super::canonical::canonicalize(&JsonObject::new(), of);
        for field in of.all_fields() {
            let is_written = stored.get(field.name).is_some();
            match field.presence {
                Presence::Always | Presence::Nullable => assert!(is_written, "{}.{}", of.name, field.name),
                Presence::Pointer => assert!(!is_written, "{}.{}", of.name, field.name),
                Presence::OmitEmpty => {}
            }
            if let ValueType::Object(of) | ValueType::ObjectList(of) = field.value_type {
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
