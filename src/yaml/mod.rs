//! One YAML document: its value as Kubernetes reads it, the place of every node, and edits.
//!
//! This room knows nothing of Kubernetes' objects.

mod path;

pub use path::{Path, Seg};

use crate::diag::{Code, Diagnostic, Label};
use serde_json::Value;
use std::sync::Arc;

/// Which part of a mapping entry or sequence item a label marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The key of the entry (the value where there is no key).
    Key,
    /// The value.
    Value,
}

/// One YAML document with the places of its nodes.
#[derive(Debug, Clone)]
pub struct Document {
    file: Arc<str>,
    index: usize,
    text: Arc<str>,
    value: Value,
}

impl Document {
    /// Reads one document: `text` is the `index`-th of `file` and starts at line `first_line` (from 1) of it.
    ///
    /// # Errors
    /// A diagnostic with the place when the text is not YAML that Kubernetes accepts.
    pub fn read(file: &Arc<str>, index: usize, first_line: usize, text: &str) -> Result<Self, Diagnostic> {
        let _ = first_line;
        let docs = yaml_rust2::YamlLoader::load_from_str(text)
            .map_err(|e| Diagnostic::error(Code::InvalidYaml, e.to_string()))?;
        let value = docs.first().map_or(Value::Null, stub);
        Ok(Self { file: file.clone(), index, text: text.into(), value })
    }

    /// Returns the file's name as the user wrote it.
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// Returns the number of the document in its file, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the text of the document.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the document as Kubernetes reads it.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns a label at a path; where the path leads nowhere, at its longest part that exists.
    pub fn label(&self, path: &Path, part: Part, text: impl Into<String>) -> Label {
        let _ = (path, part);
        Label { file: self.file.clone(), line: 1, column: 1, width: 1, source: "".into(), text: text.into() }
    }
}

fn stub(y: &yaml_rust2::Yaml) -> Value {
    use yaml_rust2::Yaml as Y;
    match y {
        Y::Real(s) => s.parse::<serde_json::Number>().map_or(Value::String(s.clone()), Value::Number),
        Y::Integer(i) => Value::from(*i),
        Y::String(s) => Value::String(s.clone()),
        Y::Boolean(b) => Value::Bool(*b),
        Y::Array(a) => a.iter().map(stub).collect(),
        Y::Hash(h) => {
            Value::Object(h.iter().map(|(k, v)| (k.as_str().unwrap_or("?").to_owned(), stub(v))).collect())
        }
        _ => Value::Null,
    }
}
