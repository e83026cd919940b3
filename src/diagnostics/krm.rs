//! Formats diagnostics as the `results` of a ResourceList, for KRM functions.

use super::{Diagnostic, Severity};
use serde_json::{Map, Value, json};

/// The object that a finding is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ResourceRef {
    /// `apiVersion`.
    pub(crate) api_version: String,
    /// `kind`.
    pub(crate) kind: String,
    /// Its namespace, where it names one.
    pub(crate) namespace: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// The file it came from, where the orchestrator says so, and its number there.
    pub(crate) file: Option<(String, Option<u64>)>,
}

/// Returns one result (kyaml fn/framework/result.go); a place in a file that was read is the file of the result.
pub(crate) fn to_result(diagnostic: &Diagnostic, about: Option<&ResourceRef>) -> Value {
    let mut result = Map::new();
    let mut message = diagnostic.message.clone();
    diagnostic.notes.iter().for_each(|note| message.push_str(&format!("; {note}")));
    if let Some(help) = &diagnostic.help {
        message.push_str(&format!("; {help}"));
    }
    result.insert("message".into(), message.into());
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "info",
    };
    result.insert("severity".into(), severity.into());
    if let Some(about) = about {
        let mut reference = json!({"apiVersion": about.api_version, "kind": about.kind, "name": about.name});
        if let (Some(namespace), Some(map)) = (&about.namespace, reference.as_object_mut()) {
            map.insert("namespace".into(), namespace.as_str().into());
        }
        result.insert("resourceRef".into(), reference);
    }
    if let Some(field) = &diagnostic.field {
        result.insert("field".into(), json!({"path": field}));
    }
    let file = match about {
        Some(about) => about.file.as_ref().map(|(path, index)| match index {
            Some(index) => json!({"path": path, "index": index}),
            None => json!({"path": path}),
        }),
        None => {
            diagnostic.spans.first().filter(|l| !l.file.starts_with('<')).map(|l| json!({"path": &*l.file}))
        }
    };
    result.extend(file.map(|file| ("file".to_owned(), file)));
    result.insert("tags".into(), json!({"code": diagnostic.code.name()}));
    Value::Object(result)
}
