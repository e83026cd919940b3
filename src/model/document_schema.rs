//! Checks pillion's own documents against their JSON Schema and locates each error.

use super::suggestion::closest_match;
use crate::diagnostics::{Code, Diagnostic};
use crate::model::api::PILLION_API_VERSION;
use crate::yaml::{Document, EntryPart, FieldPath, PathSegment};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Returns the JSON Schema of a type, without references.
pub(super) fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Compares a document with its schema and collects the errors.
pub(crate) struct SchemaCheck<'a> {
    document: &'a Document,
    /// The path of the object in the document.
    base: FieldPath,
    /// The command that prints the schema.
    command: &'static str,
    schema: &'static Value,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> SchemaCheck<'a> {
    pub(crate) fn new(document: &'a Document, command: &'static str, schema: &'static Value) -> Self {
        Self::at_path(document, &FieldPath::root(), command, schema)
    }

    /// Checks an object that is an item of a list.
    pub(crate) fn at_path(
        document: &'a Document,
        base: &FieldPath,
        command: &'static str,
        schema: &'static Value,
    ) -> Self {
        Self { document, base: base.clone(), command, schema, diagnostics: document.diagnostics().to_vec() }
    }

    fn object(&self) -> &'a Value {
        self.base.find(self.document.value()).unwrap_or(&Value::Null)
    }

    /// Decodes the document and reports every error.
    pub(crate) fn decode<T: DeserializeOwned>(mut self, kind: &str) -> (Option<T>, Vec<Diagnostic>) {
        let (object, schema) = (self.object(), self.schema);
        self.check_value(object, schema, &FieldPath::root());
        for (key, expected) in [("apiVersion", PILLION_API_VERSION), ("kind", kind)] {
            if !object.is_object() {
                break;
            }
            let found = object.get(key).and_then(Value::as_str);
            if found != Some(expected) {
                self.report(
                    Code::InvalidConfiguration,
                    &FieldPath::root().child(key),
                    format!("`{key}` must be `{expected}`"),
                    Some(format!("write `{key}: {expected}`")),
                );
            }
        }
        self.finish()
    }

    /// Decodes a document that has neither `apiVersion` nor `kind`.
    pub(crate) fn decode_fragment<T: DeserializeOwned>(mut self) -> (Option<T>, Vec<Diagnostic>) {
        let (object, schema) = (self.object(), self.schema);
        self.check_value(object, schema, &FieldPath::root());
        self.finish()
    }

    fn finish<T: DeserializeOwned>(mut self) -> (Option<T>, Vec<Diagnostic>) {
        if self.diagnostics.iter().any(Diagnostic::is_error) {
            return (None, self.diagnostics);
        }
        match serde_json::from_value(self.object().clone()) {
            Ok(decoded) => (Some(decoded), self.diagnostics),
            Err(error) => {
                self.report(Code::InvalidConfiguration, &FieldPath::root(), error.to_string(), None);
                (None, self.diagnostics)
            }
        }
    }

    fn check_value(&mut self, value: &Value, schema: &Value, path: &FieldPath) {
        let options = alternatives(schema);
        let Some(fitting) = options.iter().find(|o| matches_schema(value, o)) else {
            let subject = describe_path(path);
            let expected: Vec<String> = options.iter().filter_map(|o| type_name(o)).collect();
            let message = match expected[..] {
                [] => format!("{subject} must be empty, not {}", describe_value(value)),
                _ => format!("{subject} must be {}, not {}", expected.join(" or "), describe_value(value)),
            };
            let help = format!("run `{}` to print the schema", self.command);
            return self.report(Code::WrongType, path, message, Some(help));
        };
        match value {
            Value::Object(entries) => {
                for (key, inner) in entries {
                    self.check_entry(key, inner, fitting, path);
                }
                for required in fitting["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
                {
                    if !entries.contains_key(required) {
                        self.report(
                            Code::InvalidConfiguration,
                            path,
                            format!("{} lacks `{required}`", describe_path(path)),
                            Some(format!("add `{required}`; `{}` describes it", self.command)),
                        );
                    }
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.check_value(item, &fitting["items"], &path.child(i));
                }
            }
            _ => {}
        }
    }

    fn check_entry(&mut self, key: &str, value: &Value, schema: &Value, path: &FieldPath) {
        let at = path.child(key.to_owned());
        if let Some(known) = schema["properties"].get(key) {
            self.check_value(value, known, &at);
        } else if schema["additionalProperties"].is_object() {
            self.check_value(value, &schema["additionalProperties"], &at);
        } else if schema["additionalProperties"] != true {
            let keys = schema["properties"].as_object().into_iter().flat_map(|p| p.keys());
            let near = closest_match(key, keys.map(String::as_str));
            let help = near.map_or_else(
                || format!("remove it; `{}` lists the valid keys", self.command),
                |k| format!("did you mean `{k}`?"),
            );
            self.report(Code::InvalidConfiguration, &at, format!("unknown key `{at}`"), Some(help));
        }
    }

    fn report(&mut self, code: Code, path: &FieldPath, message: String, help: Option<String>) {
        let part = if matches!(path.segments().last(), Some(PathSegment::Key(_)))
            && code == Code::InvalidConfiguration
        {
            EntryPart::Key
        } else {
            EntryPart::Value
        };
        let mut diagnostic = Diagnostic::error(code, message)
            .field(path.to_string())
            .at(self.document.label(&self.base.join(path), part, ""));
        diagnostic.help = help;
        self.diagnostics.push(diagnostic);
    }
}

/// The schemas of which a value has to match one.
fn alternatives(schema: &Value) -> Vec<&Value> {
    match schema["anyOf"].as_array() {
        Some(several) => several.iter().flat_map(alternatives).collect(),
        None => vec![schema],
    }
}

fn describe_path(path: &FieldPath) -> String {
    if path.segments().is_empty() { "the document".to_owned() } else { format!("`{path}`") }
}

/// The types a schema allows.
fn allowed_types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The texts a schema allows, where it lists them (`enum`, or `oneOf` with `const`).
fn allowed_values(schema: &Value) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten();
    let described = schema["oneOf"].as_array().into_iter().flatten().map(|o| &o["const"]);
    listed.chain(described).filter_map(Value::as_str).collect()
}

fn matches_schema(value: &Value, schema: &Value) -> bool {
    let allowed = allowed_values(schema);
    if !allowed.is_empty() {
        return value.as_str().is_some_and(|v| allowed.contains(&v));
    }
    // `true`, and a schema without a type, allow any value.
    let types = allowed_types(schema);
    types.is_empty()
        || types.into_iter().any(|kind| match kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "number" => value.is_number(),
            "integer" => value.as_u64().is_some_and(|n| n <= u64::from(u32::MAX)),
            // An optional key that is written and empty is as if absent.
            "null" => value.is_null(),
            _ => false,
        })
}

fn type_name(schema: &Value) -> Option<String> {
    let allowed = allowed_values(schema);
    if !allowed.is_empty() {
        return Some(allowed.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(" or "));
    }
    allowed_types(schema).into_iter().find_map(|kind| match kind {
        "object" => Some("a mapping".to_owned()),
        "array" => Some("a list".to_owned()),
        "string" => Some("a string".to_owned()),
        "boolean" => Some("`true` or `false`".to_owned()),
        "number" => Some("a number".to_owned()),
        "integer" => Some("a whole number from 0".to_owned()),
        _ => None,
    })
}

fn describe_value(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(b) => format!("`{b}`"),
        Value::Number(n) => format!("`{n}`"),
        Value::String(s) => format!("`{s}`"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}
