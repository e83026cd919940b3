//! The form in which Go writes an object: API order, canonical quantities, empty fields as `omitempty` has them.

use super::schema::{Field, Object, Presence, Type};
use super::type_check::is_empty;
use crate::model::quantity::Quantity;
use serde_json::{Map, Value};

/// Returns the value as Go writes it. It must fit the type (see `walk`).
pub(crate) fn canonicalize(value: &Map<String, Value>, of: &'static Object) -> Value {
    let fields =
        of.all().filter_map(|f| canonical_field(value.get(f.name), f).map(|v| (f.name.to_owned(), v)));
    Value::Object(fields.collect())
}

fn canonical_field(value: Option<&Value>, field: &Field) -> Option<Value> {
    let is_pointer = matches!(field.presence, Presence::Pointer | Presence::Nullable);
    match (value, field.presence) {
        (None, Presence::Pointer) => None,
        (None, Presence::Nullable) => Some(Value::Null),
        (None, presence) => zero_value(field.kind, presence),
        (Some(v), Presence::OmitEmpty) if is_empty(v, field.kind) => None,
        (Some(v), _) if is_pointer && v.is_null() => None,
        (Some(v), _) => Some(canonical_value(v, field.kind)),
    }
}

/// Returns how Go writes a value that nobody wrote; None where it is left out.
fn zero_value(kind: Type, presence: Presence) -> Option<Value> {
    match kind {
        Type::Object(of) => Some(canonicalize(&Map::new(), of)),
        Type::Quantity => Some("0".into()),
        Type::Time => Some(Value::Null),
        _ if presence == Presence::OmitEmpty => None,
        Type::Text => Some("".into()),
        Type::Bool => Some(false.into()),
        Type::Int32 | Type::Int64 | Type::IntOrText => Some(0.into()),
        Type::Any | Type::TextMap | Type::QuantityMap | Type::Texts | Type::Objects(_) => Some(Value::Null),
    }
}

fn canonical_value(value: &Value, kind: Type) -> Value {
    match (kind, value) {
        (Type::Quantity, _) => canonical_quantity(value),
        (Type::TextMap, Value::Object(map)) => sorted_map(map, Value::clone),
        (Type::QuantityMap, Value::Object(map)) => sorted_map(map, canonical_quantity),
        (Type::Objects(of), Value::Array(items)) => {
            items.iter().map(|i| canonical_value(i, Type::Object(of))).collect()
        }
        (Type::Object(of), Value::Object(map)) => canonicalize(map, of),
        _ => value.clone(),
    }
}

fn sorted_map(map: &Map<String, Value>, to: impl Fn(&Value) -> Value) -> Value {
    let mut entries: Vec<_> = map.iter().map(|(k, v)| (k.clone(), to(v))).collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Value::Object(entries.into_iter().collect())
}

fn canonical_quantity(value: &Value) -> Value {
    parse_quantity(value).map_or_else(|| value.clone(), |q| q.to_string().into())
}

/// Reads a quantity that is written as a string or as a number.
pub(crate) fn parse_quantity(value: &Value) -> Option<Quantity> {
    Some(value).filter(|v| !v.is_null()).and_then(|v| Quantity::from_value(v).ok())
}
