//! Finds what a render has to know before it starts: SidecarSets and Namespaces among the documents.

use super::scan::{Scan, scan};
use crate::diag::{Code, Diagnostic};
use crate::model::sidecar_set::repair;
use crate::model::workload::{group_of, type_of, type_of_item};
use crate::yaml::{Document, Part, Path, split};
use memchr::memmem;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was found in one file.
#[derive(Debug, Clone, Default)]
pub struct Gathered {
    /// SidecarSets: the document and the place in it.
    pub sidecar_sets: Vec<(Arc<Document>, Path)>,
    /// Ledgers: the document and the place in it.
    pub ledgers: Vec<(Arc<Document>, Path)>,
    /// Namespaces: name and labels.
    pub namespaces: Vec<(String, BTreeMap<String, String>)>,
    /// What is wrong with them.
    pub diagnostics: Vec<Diagnostic>,
    /// Why a SidecarSet is no YAML that was understood all the same, and what was done to it.
    pub repaired: Vec<(Diagnostic, Vec<String>)>,
    /// Documents that may hold one and cannot be read.
    pub unreadable: Vec<Diagnostic>,
}

/// Finds the SidecarSets and Namespaces of one file.
pub fn gather(file: &Arc<str>, text: &str) -> Gathered {
    let mut found = Gathered::default();
    // The kinds can only be written out, or with an escape; a file without these words needs no second look.
    if !["SidecarSet", "SidecarRollout", "Namespace", "\\"]
        .iter()
        .any(|w| memmem::find(text.as_bytes(), w.as_bytes()).is_some())
    {
        return found;
    }
    for (index, piece) in split(file, text).0.into_iter().enumerate() {
        let text = &text[piece.span];
        if is_wanted(text) {
            found.read(file, index, piece.first_line, text);
        }
    }
    found
}

fn is_wanted(text: &str) -> bool {
    match scan(text) {
        Scan::Blank => false,
        Scan::Mapping { api_version, kind } => {
            let group = api_version.map(group_of);
            match (group, kind) {
                (Some("apps.kruise.io"), Some("SidecarSet"))
                | (Some("pillion.dev"), Some("SidecarRollout"))
                | (Some(""), Some("Namespace")) => true,
                (Some(_), Some(kind)) => kind.ends_with("List"),
                // The old articles write `Kind: SidecarSet`.
                (Some("apps.kruise.io"), None) => text.contains("SidecarSet"),
                _ => false,
            }
        }
        Scan::Unclear => ["SidecarSet", "SidecarRollout", "Namespace", "\\"].iter().any(|w| text.contains(w)),
    }
}

impl Gathered {
    /// Adds what was found elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.sidecar_sets.extend(other.sidecar_sets);
        self.ledgers.extend(other.ledgers);
        self.namespaces.extend(other.namespaces);
        self.diagnostics.extend(other.diagnostics);
        self.repaired.extend(other.repaired);
        self.unreadable.extend(other.unreadable);
    }

    /// Makes warnings of what was understood: for a render that is enough.
    pub fn accept_repaired(&mut self) {
        for (mut warning, changes) in std::mem::take(&mut self.repaired) {
            warning.severity = crate::diag::Severity::Warning;
            warning.code = Code::OldForm;
            warning.message =
                format!("a SidecarSet that is not quite YAML was understood: {}", warning.message);
            warning.notes.extend(changes);
            warning.help = Some("indent it as the note says; `kubectl` refuses the file as it is".to_owned());
            self.diagnostics.push(warning);
        }
    }

    /// Makes errors of what was understood: a cluster refuses it.
    pub fn refuse_repaired(&mut self) {
        for (error, _) in std::mem::take(&mut self.repaired) {
            self.diagnostics.push(error.because("`pillion render` understands it; `kubectl` refuses it"));
        }
    }

    fn read(&mut self, file: &Arc<str>, index: usize, first_line: usize, text: &str) {
        match Document::read(file, index, first_line, text) {
            Ok(document) => self.take(Arc::new(document)),
            Err(error) => match repair(text) {
                Some((repaired, changes)) => {
                    self.take_repaired(file, index, first_line, &repaired, &changes, error)
                }
                None => self.unreadable.push(error),
            },
        }
    }

    fn take_repaired(
        &mut self,
        file: &Arc<str>,
        index: usize,
        first_line: usize,
        repaired: &str,
        changes: &[(usize, String)],
        error: Diagnostic,
    ) {
        let Ok(document) = Document::read(file, index, first_line, repaired) else { return };
        let told = changes.iter().map(|(line, what)| format!("line {}: {what}", line + first_line - 1));
        self.repaired.push((error, told.collect()));
        self.take(Arc::new(document));
    }

    fn take(&mut self, document: Arc<Document>) {
        let value = document.value();
        let Some((api_version, kind)) = object_type(value) else { return };
        match (group_of(api_version), kind) {
            ("apps.kruise.io", "SidecarSet") => self.sidecar_sets.push((document, Path::root())),
            ("pillion.dev", "SidecarRollout") => self.ledgers.push((document, Path::root())),
            ("", "Namespace") => self.namespace(&document, &Path::root(), value),
            _ if kind.ends_with("List") => self.take_items(&document, &Path::root(), document.value()),
            _ => {}
        }
    }

    fn take_items(&mut self, document: &Arc<Document>, base: &Path, list: &Value) {
        for (i, item) in list.get("items").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let Some((api_version, kind)) = type_of_item(list, item) else { continue };
            let path = base.then("items").then(i);
            match (group_of(&api_version), kind.as_str()) {
                ("apps.kruise.io", "SidecarSet") => self.sidecar_sets.push((document.clone(), path)),
                ("pillion.dev", "SidecarRollout") => self.ledgers.push((document.clone(), path)),
                ("", "Namespace") => self.namespace(document, &path, item),
                _ if kind.ends_with("List") => self.take_items(document, &path, item),
                _ => {}
            }
        }
    }

    fn namespace(&mut self, document: &Document, path: &Path, value: &Value) {
        let metadata = &value["metadata"];
        let Some(name) = metadata["name"].as_str() else { return };
        let mut labels = BTreeMap::new();
        for (key, label) in metadata["labels"].as_object().into_iter().flatten() {
            match label.as_str() {
                Some(label) => {
                    labels.insert(key.clone(), label.to_owned());
                }
                None => {
                    let path = path.join(&Path::dotted("metadata.labels")).then(key.clone());
                    self.diagnostics.push(
                        Diagnostic::error(
                            Code::WrongType,
                            format!("label `{key}` of namespace `{name}` is not a string"),
                        )
                        .field(path.to_string())
                        .at(document.label(&path, Part::Value, ""))
                        .help("put it in quotes"),
                    );
                }
            }
        }
        self.namespaces.push((name.to_owned(), labels));
    }
}

/// The type of an object; a SidecarSet of the old articles may say `Kind`.
pub(super) fn object_type(value: &Value) -> Option<(&str, &str)> {
    type_of(value).or_else(|| {
        let kind = value.get("Kind")?.as_str()?;
        (kind == "SidecarSet").then_some((value.get("apiVersion")?.as_str()?, kind))
    })
}
