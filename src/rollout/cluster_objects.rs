//! Reads the objects in the output of `kubectl get`, one by one.
//!
//! The output of a large cluster has hundreds of megabytes: JSON is read object by object, and the whole of an object only
//! where a collector asks for it.

use crate::diagnostics::{Code, Diagnostic};
use crate::yaml::{Document, EntryPart, FieldPath, split_documents};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Takes objects of a cluster.
pub(super) trait ObjectCollector: Default {
    /// Takes an object. `whole` reads all of it.
    fn add_object(&mut self, head: &ObjectHeadWire, whole: impl Fn() -> Value);
}

/// Collects the objects in the output of `kubectl get -o json` or `-o yaml`.
///
/// # Errors
/// A diagnostic when it is neither JSON nor YAML, or has something else than objects.
pub(super) fn collect_cluster_objects<C: ObjectCollector>(
    name: &Arc<str>,
    text: &str,
) -> Result<C, Diagnostic> {
    let mut collector = C::default();
    if !text.trim_start().starts_with('{') || read_json(&mut collector, text).is_none() {
        collector = C::default();
        read_yaml(&mut collector, name, text)?;
    }
    Ok(collector)
}

/// A list of objects, not parsed yet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListWire<'t> {
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(borrow)]
    items: Option<Vec<&'t RawValue>>,
}

/// The identity and the owners of an object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectHeadWire {
    #[serde(default)]
    pub(super) api_version: String,
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) metadata: ObjectMetadataWire,
    #[serde(default)]
    pub(super) status: PodPhaseWire,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectMetadataWire {
    #[serde(default)]
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    #[serde(default)]
    pub(super) labels: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    pub(super) owner_references: Option<Vec<ControllerReferenceWire>>,
    pub(super) deletion_timestamp: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ControllerReferenceWire {
    #[serde(default)]
    pub(super) api_version: String,
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) controller: Option<bool>,
}

#[derive(Deserialize, Default)]
pub(super) struct PodPhaseWire {
    pub(super) phase: Option<Value>,
}

/// The type of a list; the items of a typed one (`PodList`) may omit theirs.
#[derive(Default, Clone, Copy)]
struct ListType<'a> {
    api_version: &'a str,
    kind: &'a str,
}

impl ObjectHeadWire {
    /// Returns the object with its own type, or with that of the items of a list. None: it has none.
    fn with_type_in(mut self, list: ListType<'_>) -> Option<Self> {
        if self.kind.is_empty() {
            list.kind.strip_suffix("List").unwrap_or_default().clone_into(&mut self.kind);
            if self.api_version.is_empty() {
                list.api_version.clone_into(&mut self.api_version);
            }
        }
        (!self.kind.is_empty()).then_some(self)
    }
}

/// Returns None where the text is not JSON, or not a list of objects.
fn read_json(collector: &mut impl ObjectCollector, text: &str) -> Option<()> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    stream.try_for_each(|raw| {
        let raw = raw.ok()?.get();
        let outer: ListWire<'_> = serde_json::from_str(raw).ok()?;
        match outer.items.filter(|_| outer.kind.as_deref().is_some_and(|k| k.ends_with("List"))) {
            Some(items) => {
                let [api_version, kind] =
                    [&outer.api_version, &outer.kind].map(|text| text.as_deref().unwrap_or_default());
                let list = ListType { api_version, kind };
                items.iter().try_for_each(|item| read_raw_object(collector, item.get(), list))
            }
            None => read_raw_object(collector, raw, ListType::default()),
        }
    })
}

fn read_raw_object(collector: &mut impl ObjectCollector, raw: &str, list: ListType<'_>) -> Option<()> {
    let head: ObjectHeadWire = serde_json::from_str(raw).ok()?;
    collector.add_object(&head.with_type_in(list)?, || serde_json::from_str(raw).unwrap_or(Value::Null));
    Some(())
}

fn read_yaml(collector: &mut impl ObjectCollector, name: &Arc<str>, text: &str) -> Result<(), Diagnostic> {
    let (slices, problems) = split_documents(name, text);
    if let Some(problem) = problems.into_iter().find(Diagnostic::is_error) {
        return Err(problem);
    }
    for (index, slice) in slices.into_iter().enumerate() {
        let document = Document::read(name, index, slice.first_line, &text[slice.span])?;
        let value = document.value();
        let list = value["kind"].as_str().filter(|kind| kind.ends_with("List"));
        let api_version = value["apiVersion"].as_str().unwrap_or_default();
        match (list, value["items"].as_array()) {
            (Some(list), Some(items)) => {
                for (i, item) in items.iter().enumerate() {
                    let at = FieldPath::dotted("items").child(i);
                    read_value(collector, item, ListType { api_version, kind: list })
                        .map_err(|error| not_an_object(&document, &at, &error))?;
                }
            }
            _ if value.is_null() => {}
            _ if value["kind"] == "Status" => return Err(answer_of_the_server(&document)),
            _ => read_value(collector, value, ListType::default())
                .map_err(|error| not_an_object(&document, &FieldPath::root(), &error))?,
        }
    }
    Ok(())
}

fn read_value(collector: &mut impl ObjectCollector, value: &Value, list: ListType<'_>) -> Result<(), String> {
    let head = ObjectHeadWire::deserialize(value).map_err(|error| error.to_string())?;
    let head = head.with_type_in(list).ok_or("it has no `kind`")?;
    collector.add_object(&head, || value.clone());
    Ok(())
}

/// Reports a `Status`, which is what an API server answers in place of a list.
fn answer_of_the_server(document: &Document) -> Diagnostic {
    let message = document.value()["message"].as_str().unwrap_or("no message");
    Diagnostic::error(Code::WrongType, "the cluster state is an answer of the API server, and has no objects")
        .at(document.label(&FieldPath::root().child("kind"), EntryPart::Value, ""))
        .because(message)
        .help("solve what it says, and pass the output of `kubectl get pods -A -o json`")
}

/// Reports an object that cannot be read: without it a rollout would have fewer pods than the cluster.
fn not_an_object(document: &Document, at: &FieldPath, error: &str) -> Diagnostic {
    Diagnostic::error(Code::WrongType, "the cluster state has an object that cannot be read")
        .at(document.label(at, EntryPart::Value, ""))
        .because(error)
        .help("pass the output of `kubectl get pods -A -o json` as it is")
}
