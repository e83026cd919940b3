//! Access to JSON objects by key.

use serde_json::{Map, Value};

/// A JSON object. Its keys keep their order.
pub(crate) type JsonObject = Map<String, Value>;

/// Returns the object at a key.
pub(crate) fn object_at<'a>(object: &'a JsonObject, key: &str) -> Option<&'a JsonObject> {
    object.get(key).and_then(Value::as_object)
}

/// Returns the object at a key, to be changed.
pub(crate) fn object_mut<'a>(object: &'a mut JsonObject, key: &str) -> Option<&'a mut JsonObject> {
    object.get_mut(key).and_then(Value::as_object_mut)
}

/// Returns the object at a key. Another value, or none, is replaced by an empty object.
pub(crate) fn object_entry<'a>(object: &'a mut JsonObject, key: &str) -> &'a mut JsonObject {
    let value = object.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(JsonObject::new());
    }
    value.as_object_mut().expect("an object was put there")
}

/// Returns the string at a key.
pub(crate) fn string_at<'a>(object: &'a JsonObject, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

/// Returns the string at a key, or an empty one.
pub(crate) fn text_at<'a>(object: &'a JsonObject, key: &str) -> &'a str {
    string_at(object, key).unwrap_or_default()
}

/// Returns whether the value at a key is `true`.
pub(crate) fn bool_at(object: &JsonObject, key: &str) -> bool {
    object.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// Returns the whole number at a key, or zero.
pub(crate) fn int_at(object: &JsonObject, key: &str) -> i64 {
    object.get(key).and_then(Value::as_i64).unwrap_or(0)
}

/// Returns the objects of the list at a key.
pub(crate) fn objects_at<'a>(object: &'a JsonObject, key: &str) -> impl Iterator<Item = &'a JsonObject> {
    object.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// Returns the objects of the list at a key, to be changed.
pub(crate) fn objects_mut<'a>(
    object: &'a mut JsonObject,
    key: &str,
) -> impl Iterator<Item = &'a mut JsonObject> {
    object.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Returns the strings of the list at a key.
pub(crate) fn strings_at<'a>(object: &'a JsonObject, key: &str) -> impl Iterator<Item = &'a str> {
    object.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Returns the string entries of the map at a key, in their order.
pub(crate) fn string_entries(object: &JsonObject, key: &str) -> Vec<(String, String)> {
    let entries = object_at(object, key).into_iter().flatten();
    entries.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}
