//! Collects the SidecarSets, Namespaces and ledgers among the documents before a render.

use super::scan::{ObjectScan, scan_object};
use super::unreadable::unreadable_document;
use crate::diagnostics::{Code, Diagnostic};
use crate::model::api::{KRUISE_GROUP, PILLION_GROUP};
use crate::model::workload::{api_group, item_type_meta, type_meta};
use crate::yaml::{Document, EntryPart, FieldPath, is_certainly_readable, split_documents};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The objects of one file.
#[derive(Debug, Clone, Default)]
pub struct CollectedObjects {
    /// SidecarSets: the document and the place in it.
    pub(crate) sidecar_sets: Vec<(Arc<Document>, FieldPath)>,
    /// Ledgers: the document and the place in it.
    pub(crate) ledgers: Vec<(Arc<Document>, FieldPath)>,
    /// Namespaces: name and labels.
    pub(crate) namespaces: Vec<(String, BTreeMap<String, String>)>,
    /// Their errors.
    pub diagnostics: Vec<Diagnostic>,
    /// Unreadable documents: errors, or warnings for documents that are certainly not objects.
    pub unreadable: Vec<Diagnostic>,
}

/// Finds the SidecarSets, ledgers and Namespaces of one file, and everything in it that Kubernetes cannot read.
///
/// `is_named`: the user named this file, or it is where pillion.yaml expects SidecarSets or ledgers.
pub fn collect_objects(file: &Arc<str>, text: &str, is_named: bool) -> CollectedObjects {
    let mut found = CollectedObjects::default();
    let (pieces, diagnostics) = split_documents(file, text);
    found.unreadable = diagnostics;
    for (index, piece) in pieces.into_iter().enumerate() {
        let text = &text[piece.span];
        if !can_skip(text) {
            match Document::read(file, index, piece.first_line, text) {
                Ok(document) => found.add_document(Arc::new(document)),
                Err(error) => {
                    found.unreadable.push(unreadable_document(error, text, piece.first_line, is_named))
                }
            }
        }
    }
    found
}

/// Returns whether a document is certainly readable, and certainly none that is looked for here.
fn can_skip(text: &str) -> bool {
    match scan_object(text) {
        ObjectScan::Blank => true,
        ObjectScan::Mapping { api_version, kind } => {
            let is_wanted = match (api_version.map(api_group), kind) {
                (Some(""), Some("Namespace")) => true,
                (_, Some(kind)) => {
                    let lower = kind.to_ascii_lowercase();
                    kind.ends_with("List")
                        || lower.starts_with("sidecarset")
                        || lower.starts_with("sidecarrollout")
                }
                // The old articles write `Kind: SidecarSet`; without any kind it is misspelt.
                (group, None) => matches!(group, Some(KRUISE_GROUP | PILLION_GROUP)),
            };
            !is_wanted && is_certainly_readable(text)
        }
        ObjectScan::Unclear => false,
    }
}

impl CollectedObjects {
    /// Adds what was found elsewhere.
    pub(crate) fn merge(&mut self, other: Self) {
        self.sidecar_sets.extend(other.sidecar_sets);
        self.ledgers.extend(other.ledgers);
        self.namespaces.extend(other.namespaces);
        self.diagnostics.extend(other.diagnostics);
        self.unreadable.extend(other.unreadable);
    }

    fn add_document(&mut self, document: Arc<Document>) {
        let value = document.value();
        self.unreadable.extend(misspelled_kind(&document, &FieldPath::root(), value));
        let Some((api_version, kind)) = object_type(value) else { return };
        // `kubectl` refuses duplicate keys, and pillion would read only half of them.
        self.unreadable.extend(document.diagnostics().iter().cloned());
        match (api_group(api_version), kind) {
            (KRUISE_GROUP, "SidecarSet") => self.sidecar_sets.push((document, FieldPath::root())),
            (PILLION_GROUP, "SidecarRollout") => self.ledgers.push((document, FieldPath::root())),
            ("", "Namespace") => self.add_namespace(&document, &FieldPath::root(), value),
            _ if kind.ends_with("List") => self.add_items(&document, &FieldPath::root(), document.value()),
            _ => {}
        }
    }

    fn add_items(&mut self, document: &Arc<Document>, base: &FieldPath, list: &Value) {
        for (i, item) in list.get("items").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let Some((api_version, kind)) = item_type_meta(list, item) else { continue };
            let path = base.child("items").child(i);
            self.unreadable.extend(misspelled_kind(document, &path, item));
            match (api_group(&api_version), kind.as_str()) {
                (KRUISE_GROUP, "SidecarSet") => self.sidecar_sets.push((document.clone(), path)),
                (PILLION_GROUP, "SidecarRollout") => self.ledgers.push((document.clone(), path)),
                ("", "Namespace") => self.add_namespace(document, &path, item),
                _ if kind.ends_with("List") => self.add_items(document, &path, item),
                _ => {}
            }
        }
    }

    fn add_namespace(&mut self, document: &Document, path: &FieldPath, value: &Value) {
        let metadata = &value["metadata"];
        let Some(name) = metadata["name"].as_str() else { return };
        let mut labels = BTreeMap::new();
        for (key, label) in metadata["labels"].as_object().into_iter().flatten() {
            match label.as_str() {
                Some(label) => {
                    labels.insert(key.clone(), label.to_owned());
                }
                None => {
                    let path = path.join(&FieldPath::dotted("metadata.labels")).child(key.clone());
                    self.diagnostics.push(
                        Diagnostic::error(
                            Code::WrongType,
                            format!("label `{key}` of namespace `{name}` is not a string"),
                        )
                        .field(path.to_string())
                        .at(document.label(&path, EntryPart::Value, ""))
                        .help("put it in quotes"),
                    );
                }
            }
        }
        self.namespaces.push((name.to_owned(), labels));
    }
}

/// The kinds that are looked for by name, with the group they have to have.
const OWN_KINDS: [(&str, &str); 2] = [(KRUISE_GROUP, "SidecarSet"), (PILLION_GROUP, "SidecarRollout")];

/// Finds what was meant to be a SidecarSet or a ledger and says so in other words: no cluster knows such a kind, and
/// to skip it would be to take the SidecarSet for deleted.
fn misspelled_kind(document: &Document, at: &FieldPath, object: &Value) -> Option<Diagnostic> {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let (api_version, kind) = (text("apiVersion").unwrap_or_default(), text("kind").or_else(|| text("Kind")));
    let group = api_group(api_version);
    let is_own_group = OWN_KINDS.iter().any(|(own, _)| *own == group);
    let (own_group, own_kind) = match kind {
        Some(kind) => *OWN_KINDS.iter().find(|(own_group, own_kind)| {
            let is_kind = kind.eq_ignore_ascii_case(own_kind) || kind.strip_suffix('s') == Some(own_kind);
            is_kind && (group, kind) != (own_group, own_kind)
        })?,
        None if is_own_group => *OWN_KINDS.iter().find(|(own_group, _)| *own_group == group)?,
        None => return None,
    };
    let key = if kind.is_some() && is_own_group { "kind" } else { "apiVersion" };
    let message = match kind {
        Some(kind) if api_version.is_empty() => format!("an object of kind `{kind}` without an `apiVersion`"),
        Some(kind) => format!("`{kind}` is not a kind of `{api_version}`"),
        None => format!("an object of `{api_version}` without a `kind`"),
    };
    Some(
        Diagnostic::error(Code::MisspeltKind, message)
            .field(key)
            .at(document.label(&at.child(key), EntryPart::Value, ""))
            .because(format!("if ignored, it would be a {own_kind} that does not exist"))
            .help(format!("a {own_kind} says `apiVersion: {own_group}/…` and `kind: {own_kind}`")),
    )
}

/// The type of an object; a SidecarSet of the old articles may say `Kind`.
pub(super) fn object_type(value: &Value) -> Option<(&str, &str)> {
    type_meta(value).or_else(|| {
        let kind = value.get("Kind")?.as_str()?;
        (kind == "SidecarSet").then_some((value.get("apiVersion")?.as_str()?, kind))
    })
}
