//! Which object of a stream is a line about? Nobody sees the stream between two tools, so messages name the object.

use crate::diag::krm::Resource;
use crate::diag::{Diagnostic, Label};
use crate::model::workload::{group_of, type_of};
use crate::yaml::{Document, Part, Path, split};
use serde_json::Value;
use std::sync::Arc;

/// What a stream is called in messages.
pub(super) const STREAM: &str = "<stdin>";

/// The annotations that say which file an object came from (kyaml kioutil), old and new, and its number there.
const PATHS: [&str; 2] = ["config.kubernetes.io/path", "internal.config.kubernetes.io/path"];
const INDEXES: [&str; 2] = ["config.kubernetes.io/index", "internal.config.kubernetes.io/index"];

/// The objects of a stream.
#[derive(Debug, Default)]
pub(super) struct Items(Vec<Item>);

#[derive(Debug)]
struct Item {
    /// Line and column of its first character.
    start: (usize, usize),
    shown: Arc<str>,
    resource: Option<Resource>,
}

impl Items {
    /// Finds the objects of a ResourceList.
    pub(super) fn of_list(document: &Document) -> Self {
        let mut items = Self::default();
        let value = document.value();
        for (key, part) in value.as_object().into_iter().flatten() {
            let at = Path::root().then(key.clone());
            match key.as_str() {
                "items" => {
                    items.add(document, &at, Part::Key, STREAM, None);
                    for (i, item) in part.as_array().into_iter().flatten().enumerate() {
                        items.add(document, &at.then(i), Part::Value, &shown(item), resource(item));
                    }
                }
                "functionConfig" => {
                    items.add(
                        document,
                        &at,
                        Part::Value,
                        &format!("functionConfig {}", shown(part)),
                        resource(part),
                    );
                }
                _ => items.add(document, &at, Part::Key, STREAM, None),
            }
        }
        items.0.sort_by_key(|item| item.start);
        items
    }

    /// Finds the documents of a stream; those that cannot be read have no name.
    pub(super) fn of_stream(text: &str) -> Self {
        let name: Arc<str> = STREAM.into();
        let mut items = Self::default();
        for (index, piece) in split(&name, text).0.into_iter().enumerate() {
            match Document::read(&name, index, piece.first_line, &text[piece.span]) {
                Ok(document) => items.add_document(&document),
                Err(_) => {
                    items.0.push(Item { start: (piece.first_line, 1), shown: STREAM.into(), resource: None })
                }
            }
        }
        items
    }

    /// Adds a document of a stream of several.
    pub(super) fn add_document(&mut self, document: &Document) {
        let value = document.value();
        self.add(document, &Path::root(), Part::Value, &shown(value), resource(value));
    }

    fn add(&mut self, document: &Document, at: &Path, part: Part, shown: &str, resource: Option<Resource>) {
        let label = document.label(at, part, "");
        self.0.push(Item { start: (label.line, label.column), shown: shown.into(), resource });
    }

    /// Says of a finding which object it is about, and puts its places into the objects.
    pub(super) fn place(&self, diagnostic: &mut Diagnostic) -> Option<&Resource> {
        let about =
            diagnostic.labels.first().and_then(|l| self.find(l)).and_then(|item| item.resource.as_ref());
        for label in &mut diagnostic.labels {
            if let Some(item) = self.find(label) {
                if item.shown.as_ref() != STREAM {
                    label.line = label.line - item.start.0 + 1;
                }
                label.file = Arc::clone(&item.shown);
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

    fn find(&self, label: &Label) -> Option<&Item> {
        if &*label.file != STREAM {
            return None;
        }
        self.0.iter().take_while(|item| item.start <= (label.line, label.column)).last()
    }
}

/// Returns how a person would call an object: `Deployment.apps/shop/web (deploy.yaml)`.
fn shown(object: &Value) -> String {
    let Some((api_version, kind)) = type_of(object) else { return STREAM.to_owned() };
    let group = group_of(api_version);
    let mut text = kind.to_owned();
    if !group.is_empty() && group != "pillion.dev" {
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
    if let Some(path) = annotation(object, &PATHS) {
        text.push_str(&format!(" ({path})"));
    }
    text
}

fn resource(object: &Value) -> Option<Resource> {
    let (api_version, kind) = type_of(object)?;
    let metadata = &object["metadata"];
    let file = annotation(object, &PATHS)
        .map(|path| (path.to_owned(), annotation(object, &INDEXES).and_then(|i| i.parse().ok())));
    Some(Resource {
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

/// Tells whether an object is an item of files that are edited in place: to leave it out would delete it there.
pub(super) fn is_of_a_file(object: &Value) -> bool {
    annotation(object, &PATHS).is_some()
}

/// Tells whether an object is the configuration of a function.
pub(super) fn is_function(object: &Value) -> bool {
    annotation(object, &["config.kubernetes.io/function", "config.k8s.io/function"]).is_some()
}
