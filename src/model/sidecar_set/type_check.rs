//! Checks a document against the API types. Reports every mismatch and returns the values that Go would decode.

use super::diagnostic_collector::DiagnosticCollector;
use super::field_locations::FieldLocations;
use super::schema::{FieldSchema, ObjectSchema, Presence, SIDECAR_SET_SPEC_V1BETA1, ValueType};
use crate::diagnostics::{Code, Diagnostic, Severity, escape};
use crate::model::json::JsonObject;
use crate::model::quantity::Quantity;
use crate::yaml::{EntryPart, FieldPath, PathSegment};
use serde_json::Value;
use std::borrow::Cow;

/// Checks a value against a type. Returns it without null, empty and unknown fields, with keys in source order.
pub(crate) fn check_type(
    value: &Value,
    value_type: &'static ObjectSchema,
    locations: &FieldLocations,
) -> (JsonObject, Vec<Diagnostic>) {
    let mut checker =
        TypeChecker { locations, path: Vec::new(), diagnostics: DiagnosticCollector::default() };
    let checked = match checker.check_value(value, ValueType::Object(value_type)) {
        Some(Value::Object(map)) => map,
        _ => JsonObject::new(),
    };
    let diagnostics = checker.diagnostics.into_vec(locations);
    (checked, diagnostics)
}

/// Returns whether Go's `omitempty` omits this value.
pub(crate) fn is_empty(value: &Value, value_type: ValueType) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => {
            n.as_i64() == Some(0) && !matches!(value_type, ValueType::Quantity | ValueType::IntOrString)
        }
        Value::String(s) => s.is_empty() && matches!(value_type, ValueType::String),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => {
            map.is_empty() && matches!(value_type, ValueType::StringMap | ValueType::QuantityMap)
        }
    }
}

struct TypeChecker<'a> {
    locations: &'a FieldLocations,
    path: Vec<PathSegment>,
    diagnostics: DiagnosticCollector,
}

impl TypeChecker<'_> {
    /// Returns what Go decodes from a value; None for null and for a mismatch.
    fn check_value(&mut self, value: &Value, value_type: ValueType) -> Option<Value> {
        match (value_type, value) {
            (_, Value::Null) => None,
            (ValueType::Any, _)
            | (ValueType::String | ValueType::IntOrString, Value::String(_))
            | (ValueType::Bool, Value::Bool(_)) => Some(value.clone()),
            (ValueType::Int32 | ValueType::IntOrString, Value::Number(n)) => {
                let whole = n.as_i64().filter(|i| i32::try_from(*i).is_ok());
                whole.map(Value::from).or_else(|| self.report_wrong_type(value, value_type))
            }
            (ValueType::Int64, Value::Number(n)) => {
                n.as_i64().map(Value::from).or_else(|| self.report_wrong_type(value, value_type))
            }
            (ValueType::Time, Value::String(s)) if is_time(s) => Some(value.clone()),
            (ValueType::Quantity, Value::String(s)) => self.check_quantity(value, s),
            (ValueType::Quantity, Value::Number(n)) => self.check_quantity(value, &n.to_string()),
            (ValueType::StringMap, Value::Object(map)) => {
                Some(self.check_entries(map, ValueType::String, ""))
            }
            (ValueType::QuantityMap, Value::Object(map)) => {
                Some(self.check_entries(map, ValueType::Quantity, "0"))
            }
            (ValueType::StringList, Value::Array(items)) => Some(self.check_items(items, ValueType::String)),
            (ValueType::ObjectList(schema), Value::Array(items)) => {
                Some(self.check_items(items, ValueType::Object(schema)))
            }
            (ValueType::Object(schema), Value::Object(map)) => {
                Some(Value::Object(self.check_fields(map, schema)))
            }
            _ => self.report_wrong_type(value, value_type),
        }
    }

    fn check_quantity(&mut self, value: &Value, text: &str) -> Option<Value> {
        let Err(e) = Quantity::from_value(value) else { return Some(value.clone()) };
        self.error(
            Code::InvalidQuantity,
            format!("`{}` is not a valid quantity", shorten(text)),
            meant_quantities(text).unwrap_or_else(|| e.to_string()),
        );
        None
    }

    /// Returns whether the API server drops null here.
    ///
    /// apiextensions-apiserver v0.32 PruneNonNullableNullsWithoutDefaults does so wherever the CRD has a schema.
    fn drops_null(&self) -> bool {
        match &self.path[..] {
            [PathSegment::Key(spec), PathSegment::Key(key), ..] if &**spec == "spec" => {
                SIDECAR_SET_SPEC_V1BETA1.field(key).is_some_and(|field| field.has_schema)
            }
            _ => false,
        }
    }

    /// Checks the values of a map. As in Go, null counts as `empty`, unless the API server has dropped it.
    fn check_entries(&mut self, map: &JsonObject, value_type: ValueType, empty: &str) -> Value {
        let mut kept = JsonObject::new();
        for (key, value) in map {
            self.path.push(key.clone().into());
            let value = match value {
                Value::Null if self.drops_null() => None,
                Value::Null => Some(Value::from(empty)),
                _ => self.check_value(value, value_type),
            };
            self.path.pop();
            if let Some(value) = value {
                kept.insert(key.clone(), value);
            }
        }
        Value::Object(kept)
    }

    /// Checks the items of a list. As in Go, null counts as the empty value of its type.
    fn check_items(&mut self, items: &[Value], value_type: ValueType) -> Value {
        let mut kept = Vec::new();
        for (i, item) in items.iter().enumerate() {
            self.path.push(i.into());
            kept.push(self.check_value(item, value_type).unwrap_or_else(|| match value_type {
                ValueType::Object(_) => Value::Object(JsonObject::new()),
                _ => Value::from(""),
            }));
            self.path.pop();
        }
        Value::Array(kept)
    }

    fn check_fields(&mut self, map: &JsonObject, schema: &'static ObjectSchema) -> JsonObject {
        let mut kept = JsonObject::new();
        for (key, value) in map {
            let Some(field) = schema.field(key) else {
                self.report_unknown_field(key, schema);
                continue;
            };
            self.path.push(key.clone().into());
            let value = self.check_value(value, field.value_type);
            self.path.pop();
            if let Some(value) = value.filter(|v| !is_omitted(v, field)) {
                kept.insert(key.clone(), value);
            }
        }
        kept
    }

    fn report_unknown_field(&mut self, key: &str, schema: &'static ObjectSchema) {
        let (field, locations) = (self.field_path().child(key), self.locations);
        self.diagnostics.add(Severity::Warning, || {
            let help = match (schema.closest_field(key), schema.parent_of(key)) {
                // `lifecycle: {type: Sidecar}` of KEP-753, before native sidecars took its place.
                _ if schema.name == "Lifecycle" && key == "type" => {
                    "remove it; `sidecarMode: Native` in pillion.yaml makes native sidecars, which start before the application and end after it".to_owned()
                }
                (_, Some(parent)) => format!("indent it below `{parent}`"),
                (Some(near), None) => format!("did you mean `{near}`?"),
                (None, None) => {
                    format!("remove it, or look up its name in the API of {}", schema.name)
                }
            };
            Diagnostic::warning(Code::UnknownField, format!("unknown field `{}`", shorten(key)))
                .at(locations.label(&field, EntryPart::Key, ""))
                .field(field.to_string())
                .because("Kruise drops it silently")
                .help(help)
        });
    }

    fn report_wrong_type<T>(&mut self, value: &Value, value_type: ValueType) -> Option<T> {
        let name = last_name(&self.field_path());
        let message = format!("`{name}` must be {}, but it is {}", value_type.noun(), describe_value(value));
        self.error(Code::WrongType, message, type_help(value, value_type));
        None
    }

    fn error(&mut self, code: Code, message: String, help: String) {
        let (field, locations) = (self.field_path(), self.locations);
        self.diagnostics.add(Severity::Error, || {
            Diagnostic::error(code, message)
                .at(locations.label(&field, EntryPart::Value, ""))
                .field(field.to_string())
                .because("Kruise cannot decode this SidecarSet")
                .help(help)
        });
    }

    fn field_path(&self) -> FieldPath {
        self.path.iter().fold(FieldPath::root(), |p, s| p.child(s.clone()))
    }
}

/// Returns what a quantity in bytes was meant to be (`64MB`, `64 GiB`).
fn meant_quantities(text: &str) -> Option<String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let unit = unit.trim_start().to_ascii_lowercase();
    let unit = unit.strip_suffix('b')?;
    let prefix = unit.strip_suffix('i').unwrap_or(unit);
    let decimal = match prefix {
        "k" => "k".to_owned(),
        "m" | "g" | "t" | "p" | "e" => prefix.to_uppercase(),
        _ => return None,
    };
    Some(match unit.ends_with('i') {
        true => format!("did you mean `{number}{}i`?", decimal.to_uppercase()),
        false => {
            format!(
                "did you mean `{number}{}i` (powers of 1024) or `{number}{decimal}`?",
                decimal.to_uppercase()
            )
        }
    })
}

fn is_omitted(value: &Value, field: &FieldSchema) -> bool {
    field.presence == Presence::OmitEmpty && is_empty(value, field.value_type)
}

/// Returns the last key of a path with its indices: `ports[0]`.
fn last_name(field: &FieldPath) -> String {
    let segments = field.segments();
    let from = segments.iter().rposition(|s| matches!(s, PathSegment::Key(_))).unwrap_or(0);
    let name = segments[from..].iter().fold(FieldPath::root(), |p, s| p.child(s.clone())).to_string();
    if name.is_empty() { "the document".into() } else { name }
}

/// Describes a value in words: `the number `1``.
fn describe_value(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => format!("the boolean `{b}`"),
        Value::Number(n) => format!("the number `{}`", shorten(&n.to_string())),
        Value::String(s) => format!("the string `{}`", shorten(s)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}

/// Truncates a text to one line of at most 80 characters.
pub(crate) fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    match escape::truncate(line, 80) {
        Cow::Borrowed(line) if line.len() < text.len() => format!("{line}…"),
        line => line.into_owned(),
    }
}

fn type_help(value: &Value, value_type: ValueType) -> String {
    match (value_type, value) {
        (ValueType::String, Value::Bool(_) | Value::Number(_)) => {
            format!("quote it: `\"{}\"`", shorten(&value.to_string()))
        }
        (ValueType::String, _) => "write a single string".into(),
        (ValueType::Bool, Value::String(s)) if s == "true" || s == "false" => {
            format!("remove the quotes: `{s}`")
        }
        (ValueType::Int32 | ValueType::Int64 | ValueType::IntOrString, Value::String(s))
            if s.parse::<i64>().is_ok() =>
        {
            format!("remove the quotes: `{s}`")
        }
        (ValueType::Int32 | ValueType::IntOrString, Value::Number(_)) => {
            "write a whole number that fits 32 bits".into()
        }
        (ValueType::Int64, Value::Number(_)) => "write a whole number that fits 64 bits".into(),
        (ValueType::StringMap, Value::Array(_)) => {
            "write `key: \"value\"` lines without leading dashes".into()
        }
        (ValueType::Object(_), Value::Array(_)) => "remove the dashes in front of its keys".into(),
        (ValueType::StringList | ValueType::ObjectList(_), Value::Object(_)) => {
            "start every item with a dash".into()
        }
        (ValueType::Time, _) => "write a time such as `\"2024-01-31T12:00:00Z\"`".into(),
        _ => format!("write {}", value_type.noun()),
    }
}

/// Returns whether a text has the form of RFC 3339.
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().take(19).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let zone = text.get(19..).unwrap_or("").trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset: String = zone.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00" && matches!(offset.as_str(), "Z" | "+00:00" | "-00:00")
}
