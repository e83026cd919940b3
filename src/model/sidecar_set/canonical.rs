//! Encodes an object as Go does: API order, canonical quantities, empty fields by `omitempty`.

use super::schema::{FieldSchema, ObjectSchema, Presence, ValueType};
use super::type_check::is_empty;
use crate::model::json::JsonObject;
use crate::model::quantity::Quantity;
use serde_json::Value;

/// Returns the value as Go encodes it. It must match the type (see `type_check`).
pub(crate) fn canonicalize(value: &JsonObject, schema: &'static ObjectSchema) -> Value {
    let fields = schema
        .all_fields()
        .filter_map(|f| canonical_field(value.get(f.name), f).map(|v| (f.name.to_owned(), v)));
    Value::Object(fields.collect())
}

fn canonical_field(value: Option<&Value>, field: &FieldSchema) -> Option<Value> {
    let is_pointer = matches!(field.presence, Presence::Pointer | Presence::Nullable);
    match (value, field.presence) {
        (None, Presence::Pointer) => None,
        (None, Presence::Nullable) => Some(Value::Null),
        (None, presence) => zero_value(field.value_type, presence),
        (Some(v), Presence::OmitEmpty) if is_empty(v, field.value_type) => None,
        (Some(v), _) if is_pointer && v.is_null() => None,
        (Some(v), _) => Some(canonical_value(v, field.value_type)),
    }
}

/// Returns Go's encoding of a field without a value; None if Go omits it.
fn zero_value(value_type: ValueType, presence: Presence) -> Option<Value> {
    match value_type {
        ValueType::Object(schema) => Some(canonicalize(&JsonObject::new(), schema)),
        ValueType::Quantity => Some("0".into()),
        ValueType::Time => Some(Value::Null),
        _ if presence == Presence::OmitEmpty => None,
        ValueType::String => Some("".into()),
        ValueType::Bool => Some(false.into()),
        ValueType::Int32 | ValueType::Int64 | ValueType::IntOrString => Some(0.into()),
        ValueType::Any
        | ValueType::StringMap
        | ValueType::QuantityMap
        | ValueType::StringList
        | ValueType::ObjectList(_) => Some(Value::Null),
    }
}

fn canonical_value(value: &Value, value_type: ValueType) -> Value {
    match (value_type, value) {
        (ValueType::Quantity, _) => canonical_quantity(value),
        (ValueType::StringMap, Value::Object(map)) => sorted_map(map, Value::clone),
        (ValueType::QuantityMap, Value::Object(map)) => sorted_map(map, canonical_quantity),
        (ValueType::ObjectList(schema), Value::Array(items)) => {
            items.iter().map(|i| canonical_value(i, ValueType::Object(schema))).collect()
        }
        (ValueType::Object(schema), Value::Object(map)) => canonicalize(map, schema),
        _ => value.clone(),
    }
}

fn sorted_map(map: &JsonObject, to: impl Fn(&Value) -> Value) -> Value {
    let mut entries: Vec<_> = map.iter().map(|(k, v)| (k.clone(), to(v))).collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Value::Object(entries.into_iter().collect())
}

fn canonical_quantity(value: &Value) -> Value {
    Quantity::read(value).map_or_else(|| value.clone(), |q| q.to_string().into())
}
