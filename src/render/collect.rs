//! Collects the SidecarSets, Namespaces and ledgers among the documents before a render.

use super::Manifest;
use super::scan::{ObjectScan, scan_object};
use super::unreadable::unreadable_document;
use crate::diagnostics::{Code, Diagnostic};
use crate::model::own_kinds::{KindMatch, OWN_KINDS, OwnKind, RenderInput, match_kind};
use crate::model::workload::{api_group, item_type_meta, type_meta};
use crate::yaml::{Document, EntryPart, FieldPath, is_certainly_readable, split_documents};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The objects of one file.
#[derive(Debug, Clone, Default)]
pub struct CollectedObjects {
    /// SidecarSets: the document and the place in it.
    pub(crate) sidecar_sets: Vec<(Arc<Document>, FieldPath)>,
    /// Ledgers: the document and the place in it.
    pub(crate) ledgers: Vec<(Arc<Document>, FieldPath)>,
    /// SidecarOverrides.
    pub(crate) overrides: Vec<CollectedOverride>,
    /// Namespaces: name and labels.
    pub(crate) namespaces: Vec<(String, BTreeMap<String, String>)>,
    /// Their errors.
    pub diagnostics: Vec<Diagnostic>,
    /// Unreadable documents: errors, or warnings for documents that are certainly not objects.
    pub unreadable: Vec<Diagnostic>,
}

/// A SidecarOverride as it was found.
#[derive(Debug, Clone)]
pub(crate) struct CollectedOverride {
    /// The document.
    pub(crate) document: Arc<Document>,
    /// The place in it.
    pub(crate) path: FieldPath,
    /// The folder of its file; None: it came in a stream, or a command built it.
    pub(crate) folder: Option<PathBuf>,
    /// Manifests in that folder and below, by other names of their files.
    pub(crate) reached: Vec<Arc<str>>,
    /// The folder that rules of pillion.yaml compare with theirs; None: unknown.
    pub(crate) rule_folder: Option<PathBuf>,
}

/// Finds the SidecarSets, ledgers and Namespaces of one file, and everything in it that Kubernetes cannot read.
///
/// `is_named`: the user named this file, or it is where pillion.yaml expects SidecarSets or ledgers.
pub fn collect_objects(file: &Arc<str>, text: &str, is_named: bool) -> CollectedObjects {
    collect_from(file, text, is_named, |scan, text| is_foreign(scan) && is_certainly_readable(text))
}

/// Finds the same without looking into foreign objects. They are left to a render that checks them
/// (`FileRenderOptions::checks_foreign`), because it reads many of them anyway.
pub(crate) fn collect_own_objects(file: &Arc<str>, text: &str, is_named: bool) -> CollectedObjects {
    collect_from(file, text, is_named, |scan, text| {
        is_foreign_object(scan) || (is_foreign(scan) && is_certainly_readable(text))
    })
}

fn collect_from(
    file: &Arc<str>,
    text: &str,
    is_named: bool,
    can_skip: impl Fn(ObjectScan<'_>, &str) -> bool,
) -> CollectedObjects {
    let mut found = CollectedObjects::default();
    let (pieces, diagnostics) = split_documents(file, text);
    found.unreadable = diagnostics;
    for (index, piece) in pieces.into_iter().enumerate() {
        let text = &text[piece.span];
        let scan = scan_object(text);
        if scan != ObjectScan::Blank && !can_skip(scan, text) {
            found.add_text(file, index, piece.first_line, text, is_named);
        }
    }
    found
}

/// Returns whether a document is certainly an object that is not looked for here.
pub(super) fn is_foreign_object(scan: ObjectScan<'_>) -> bool {
    matches!(scan, ObjectScan::Mapping { api_version: Some(_), kind: Some(_) }) && is_foreign(scan)
}

/// Returns whether a document is certainly none that is looked for here.
fn is_foreign(scan: ObjectScan<'_>) -> bool {
    let ObjectScan::Mapping { api_version, kind } = scan else { return false };
    let group = api_version.map(api_group);
    match match_kind(group.unwrap_or_default(), kind) {
        KindMatch::Own(_) | KindMatch::Misspelled(_) => false,
        KindMatch::Foreign => {
            kind.is_none_or(|kind| !kind.ends_with("List")) && (group, kind) != (Some(""), Some("Namespace"))
        }
    }
}

/// Returns what Kubernetes cannot read in a foreign object, as [`collect_objects`] reports it.
pub(super) fn check_foreign(manifest: &Manifest<'_>) -> Vec<Diagnostic> {
    if is_certainly_readable(manifest.text) {
        return Vec::new();
    }
    let mut found = CollectedObjects::default();
    found.add_text(manifest.file, manifest.index, manifest.first_line, manifest.text, manifest.is_named);
    found.unreadable
}

impl CollectedObjects {
    /// Finds the objects of a document, as [`collect_objects`] does in its text.
    pub(crate) fn from_document(document: &Arc<Document>) -> Self {
        let mut found = Self::default();
        found.add_document(document);
        found
    }

    /// Returns whether nothing was found.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { sidecar_sets, ledgers, overrides, namespaces, diagnostics, unreadable } = self;
        sidecar_sets.is_empty()
            && ledgers.is_empty()
            && overrides.is_empty()
            && namespaces.is_empty()
            && diagnostics.is_empty()
            && unreadable.is_empty()
    }

    /// Adds what was found elsewhere.
    pub(crate) fn merge(&mut self, other: Self) {
        self.sidecar_sets.extend(other.sidecar_sets);
        self.ledgers.extend(other.ledgers);
        self.overrides.extend(other.overrides);
        self.namespaces.extend(other.namespaces);
        self.diagnostics.extend(other.diagnostics);
        self.unreadable.extend(other.unreadable);
    }

    /// Sets the folder of the SidecarOverrides.
    #[must_use]
    pub(crate) fn in_folder(mut self, folder: Option<&Path>) -> Self {
        for found in &mut self.overrides {
            (found.folder, found.rule_folder) = (folder.map(Path::to_owned), folder.map(Path::to_owned));
        }
        self
    }

    fn add_text(&mut self, file: &Arc<str>, index: usize, first_line: usize, text: &str, is_named: bool) {
        match Document::read(file, index, first_line, text) {
            Ok(document) => self.add_document(&Arc::new(document)),
            Err(error) => self.unreadable.push(unreadable_document(error, text, first_line, is_named)),
        }
    }

    fn add_document(&mut self, document: &Arc<Document>) {
        let value = document.value();
        let object_type = object_type(value);
        if object_type.is_some() {
            // `kubectl` refuses duplicate keys, and pillion would read only half of them.
            self.unreadable.extend(document.diagnostics().iter().cloned());
        }
        self.add_object(document, FieldPath::root(), value, object_type);
    }

    /// Adds an object of a document; lists in lists are lists too, as for kubectl.
    fn add_object(
        &mut self,
        document: &Arc<Document>,
        path: FieldPath,
        object: &Value,
        object_type: Option<(&str, &str)>,
    ) {
        self.unreadable.extend(misspelled_kind(document, &path, object));
        let Some((api_version, kind)) = object_type else { return };
        let group = api_group(api_version);
        match match_kind(group, Some(kind)) {
            KindMatch::Own(own) => match own.input {
                Some(RenderInput::SidecarSet) => self.sidecar_sets.push((Arc::clone(document), path)),
                Some(RenderInput::Ledger) => self.ledgers.push((Arc::clone(document), path)),
                Some(RenderInput::Override) => {
                    let document = Arc::clone(document);
                    self.overrides.push(CollectedOverride {
                        document,
                        path,
                        folder: None,
                        reached: Vec::new(),
                        rule_folder: None,
                    });
                }
                None => {}
            },
            KindMatch::Foreign if (group, kind) == ("", "Namespace") => {
                self.add_namespace(document, &path, object);
            }
            KindMatch::Foreign if kind.ends_with("List") => {
                for (i, item) in
                    object.get("items").and_then(Value::as_array).into_iter().flatten().enumerate()
                {
                    let Some((api_version, kind)) = item_type_meta(object, item) else { continue };
                    let path = path.child("items").child(i);
                    self.add_object(document, path, item, Some((&api_version, &kind)));
                }
            }
            KindMatch::Foreign | KindMatch::Misspelled(_) => {}
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

/// Finds what was meant to be a document of pillion or a SidecarSet: no cluster knows such a kind, and to skip it would
/// be to take the SidecarSet for deleted.
fn misspelled_kind(document: &Document, at: &FieldPath, object: &Value) -> Option<Diagnostic> {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let (api_version, kind) = (text("apiVersion").unwrap_or_default(), text("kind").or_else(|| text("Kind")));
    let group = api_group(api_version);
    let KindMatch::Misspelled(meant) = match_kind(group, kind) else { return None };
    let is_kind_wrong = meant.is_none_or(|own| kind != Some(own.kind));
    let is_own_group = OWN_KINDS.iter().any(|own| own.group == group);
    let key = if kind.is_some() && is_own_group && is_kind_wrong { "kind" } else { "apiVersion" };
    let message = match kind {
        Some(kind) if api_version.is_empty() => format!("an object of kind `{kind}` without an `apiVersion`"),
        Some(kind) => format!("`{kind}` is not a kind of `{api_version}`"),
        None => format!("an object of `{api_version}` without a `kind`"),
    };
    let (reason, help) = match meant {
        Some(OwnKind { group: own_group, kind: own_kind, .. }) => (
            format!("if ignored, it would be a {own_kind} that does not exist"),
            match kind {
                Some(kind) if group == *own_group && kind != *own_kind => {
                    format!("did you mean `{own_kind}`?")
                }
                _ => format!("a {own_kind} says `apiVersion: {own_group}/…` and `kind: {own_kind}`"),
            },
        ),
        None => {
            let kinds = OWN_KINDS.iter().filter(|own| own.group == group);
            let kinds: Vec<String> = kinds.map(|own| format!("`{}`", own.kind)).collect();
            (
                "pillion leaves documents of its own group out of the output, so this one would have no effect"
                    .to_owned(),
                format!("remove it, or use one of the kinds {}", kinds.join(", ")),
            )
        }
    };
    Some(
        Diagnostic::error(Code::MisspeltKind, message)
            .field(key)
            .at(document.label(&at.child(key), EntryPart::Value, ""))
            .because(reason)
            .help(help),
    )
}

/// The type of an object; a SidecarSet of the old articles may say `Kind`.
pub(super) fn object_type(value: &Value) -> Option<(&str, &str)> {
    type_meta(value).or_else(|| {
        let kind = value.get("Kind")?.as_str()?;
        (kind == "SidecarSet").then_some((value.get("apiVersion")?.as_str()?, kind))
    })
}
