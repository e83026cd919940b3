//! Finds the object of a stream at a line: no person sees the stream between two tools, so messages name the object.

use crate::diagnostics::krm::ResourceRef;
use crate::diagnostics::{Diagnostic, Span};
use crate::model::api::PILLION_GROUP;
use crate::model::workload::{api_group, type_meta};
use crate::yaml::{Document, EntryPart, FieldPath, split_documents};
use serde_json::Value;
use std::sync::Arc;

/// The name of a stream in messages.
pub(crate) const STREAM_NAME: &str = "<stdin>";

/// The annotations with the file of an object (kyaml kioutil), old and new, and with its index there.
const PATH_ANNOTATIONS: [&str; 2] = ["config.kubernetes.io/path", "internal.config.kubernetes.io/path"];
const INDEX_ANNOTATIONS: [&str; 2] = ["config.kubernetes.io/index", "internal.config.kubernetes.io/index"];

/// The objects of a stream.
#[derive(Debug, Default)]
pub(crate) struct StreamObjects(Vec<StreamObject>);

#[derive(Debug)]
struct StreamObject {
    /// Line and column of its first character.
    start: (usize, usize),
    display_name: Arc<str>,
    resource_ref: Option<ResourceRef>,
}

impl StreamObjects {
    /// Finds the objects of a ResourceList.
    pub(crate) fn from_resource_list(document: &Document) -> Self {
        let mut items = Self::default();
        let value = document.value();
        for (key, part) in value.as_object().into_iter().flatten() {
            let at = FieldPath::root().child(key.clone());
            match key.as_str() {
                "items" => {
                    items.add_object(document, &at, EntryPart::Key, STREAM_NAME, None);
                    let objects = part.as_array().into_iter().flatten();
                    for (label, item) in document.item_labels(&at).zip(objects) {
                        items.add_labelled(&label, &display_name(item), resource_ref(item));
                    }
                }
                "functionConfig" => {
                    items.add_object(
                        document,
                        &at,
                        EntryPart::Value,
                        &format!("functionConfig {}", display_name(part)),
                        resource_ref(part),
                    );
                }
                _ => items.add_object(document, &at, EntryPart::Key, STREAM_NAME, None),
            }
        }
        items.0.sort_by_key(|item| item.start);
        items
    }

    /// Finds the documents of a stream; unreadable ones have no name.
    pub(crate) fn from_stream(text: &str) -> Self {
        let name: Arc<str> = STREAM_NAME.into();
        let mut items = Self::default();
        for (index, piece) in split_documents(&name, text).0.into_iter().enumerate() {
            match Document::read(&name, index, piece.first_line, &text[piece.span]) {
                Ok(document) => items.add_document(&document),
                Err(_) => items.0.push(StreamObject {
                    start: (piece.first_line, 1),
                    display_name: STREAM_NAME.into(),
                    resource_ref: None,
                }),
            }
        }
        items
    }

    /// Adds a document of a stream.
    pub(crate) fn add_document(&mut self, document: &Document) {
        let value = document.value();
        self.add_object(
            document,
            &FieldPath::root(),
            EntryPart::Value,
            &display_name(value),
            resource_ref(value),
        );
    }

    fn add_object(
        &mut self,
        document: &Document,
        at: &FieldPath,
        part: EntryPart,
        shown: &str,
        resource: Option<ResourceRef>,
    ) {
        self.add_labelled(&document.label(at, part, ""), shown, resource);
    }

    fn add_labelled(&mut self, label: &Span, shown: &str, resource: Option<ResourceRef>) {
        self.0.push(StreamObject {
            start: (label.line, label.column),
            display_name: shown.into(),
            resource_ref: resource,
        });
    }

    /// Returns the object of a diagnostic, and makes its positions relative to the objects.
    pub(crate) fn locate(&self, diagnostic: &mut Diagnostic) -> Option<&ResourceRef> {
        let about = diagnostic
            .spans
            .first()
            .and_then(|l| self.object_at(l))
            .and_then(|item| item.resource_ref.as_ref());
        for label in &mut diagnostic.spans {
            if let Some(item) = self.object_at(label) {
                if item.display_name.as_ref() != STREAM_NAME {
                    label.line = label.line - item.start.0 + 1;
                }
                label.file = Arc::clone(&item.display_name);
            }
        }
        if let Some(field) = &mut diagnostic.field
            && let Some(rest) = field.strip_prefix("items[")
            && let Some((_, inner)) = rest.split_once("].")
        {
            *field = inner.to_owned();
        }
        about
    }

    fn object_at(&self, label: &Span) -> Option<&StreamObject> {
        if &*label.file != STREAM_NAME {
            return None;
        }
        self.0.iter().take_while(|item| item.start <= (label.line, label.column)).last()
    }
}

/// Returns the display name of an object: `Deployment.apps/shop/web (deploy.yaml)`.
fn display_name(object: &Value) -> String {
    let Some((api_version, kind)) = type_meta(object) else { return STREAM_NAME.to_owned() };
    let group = api_group(api_version);
    let mut text = kind.to_owned();
    if !group.is_empty() && group != PILLION_GROUP {
        text.push('.');
        text.push_str(group);
    }
    let metadata = &object["metadata"];
    for key in ["namespace", "name"] {
        if let Some(part) = metadata[key].as_str() {
            text.push('/');
            text.push_str(part);
        }
    }
    if let Some(path) = annotation(object, &PATH_ANNOTATIONS) {
        text.push_str(&format!(" ({path})"));
    }
    text
}

fn resource_ref(object: &Value) -> Option<ResourceRef> {
    let (api_version, kind) = type_meta(object)?;
    let metadata = &object["metadata"];
    let file = annotation(object, &PATH_ANNOTATIONS)
        .map(|path| (path.to_owned(), annotation(object, &INDEX_ANNOTATIONS).and_then(|i| i.parse().ok())));
    Some(ResourceRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: metadata["namespace"].as_str().map(str::to_owned),
        name: metadata["name"].as_str().unwrap_or_default().to_owned(),
        file,
    })
}

fn annotation<'a>(object: &'a Value, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| object.get("metadata")?.get("annotations")?.get(key)?.as_str())
}

/// Returns whether an object is an item of files that are edited in place: to omit it would delete it there.
pub(crate) fn is_from_file(object: &Value) -> bool {
    annotation(object, &PATH_ANNOTATIONS).is_some()
}

/// Returns whether an object is the configuration of a function.
pub(crate) fn is_function_config(object: &Value) -> bool {
    annotation(object, &["config.kubernetes.io/function", "config.k8s.io/function"]).is_some()
}
