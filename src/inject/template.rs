//! Reads the parts of a pod template once, and assembles the new template.

use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::json::object_entry;
use crate::model::sidecar_override::SidecarOverride;
use crate::yaml::{Document, EntryPart, FieldPath, ListItem, PartChange, PartContent, PathSegment};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) use crate::model::json::{JsonObject, text_at};

/// The pod template of one workload, or a bare Pod.
#[derive(Debug, Clone)]
pub struct PodTemplate<'a> {
    /// The document it is in, for labels.
    pub document: &'a Document,
    /// Where the object that has `metadata` and `spec` is in it.
    pub path: FieldPath,
    /// That object.
    pub value: &'a Value,
    /// It is a Pod and not a template of pods.
    pub is_pod: bool,
    /// `KIND[.GROUP]/NAMESPACE/NAME`, for messages and for the share of a fractional Partial.
    pub key: &'a str,
    /// The namespace of its pods.
    pub namespace: &'a str,
    /// Its pods run to completion: those of Jobs.
    pub runs_to_completion: bool,
    /// Names of `volumeClaimTemplates`: the pods get a volume of each, in place of any other of that name.
    pub volume_claims: &'a [&'a str],
    /// The labels of that namespace.
    pub namespace_labels: NamespaceLabels<'a>,
    /// The SidecarOverrides for it.
    pub overrides: &'a [Arc<SidecarOverride>],
}

/// The labels of a namespace. `kubernetes.io/metadata.name` is always known and need not be among them.
#[derive(Debug, Clone, Copy)]
pub enum NamespaceLabels<'a> {
    /// All of them.
    Known(&'a BTreeMap<String, String>),
    /// Unknown.
    Unknown,
}

/// One of the two lists that containers are injected into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContainerList {
    /// `initContainers`
    Init,
    /// `containers`
    Regular,
}

impl ContainerList {
    /// Returns the key in the pod and in the set.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Regular => "containers",
        }
    }

    /// Returns the other one.
    pub(super) fn opposite(self) -> Self {
        match self {
            Self::Init => Self::Regular,
            Self::Regular => Self::Init,
        }
    }

    /// Returns the pod's containers of this list.
    pub(super) fn in_pod<'a>(self, pod: &PodView<'a>) -> &'a [Value] {
        match self {
            Self::Init => pod.init_containers,
            Self::Regular => pod.containers,
        }
    }
}

/// The parts of a pod template that injection looks at; absent lists are empty.
pub(super) struct PodView<'a> {
    pub(super) template: &'a PodTemplate<'a>,
    pub(super) labels: Option<&'a Value>,
    pub(super) annotations: Option<&'a JsonObject>,
    pub(super) init_containers: &'a [Value],
    pub(super) containers: &'a [Value],
    pub(super) ephemeral_containers: &'a [Value],
    pub(super) volumes: &'a [Value],
    pub(super) image_pull_secrets: &'a [Value],
}

impl<'a> PodView<'a> {
    /// Reads a template; the error is about a part that has not the type the API wants.
    pub(super) fn from_template(template: &'a PodTemplate<'a>) -> Result<Self, Box<Diagnostic>> {
        check_object(template, &FieldPath::root())?;
        let parts = ["metadata", "spec"].map(|key| {
            let path = FieldPath::root().child(key);
            check_object(template, &path).map(|()| template.value.get(key))
        });
        let [metadata, spec] = parts;
        let (metadata, spec) = (metadata?, spec?);
        let list = |key: &str| read_objects(template, spec, key);
        let texts = |key: &str| read_strings(template, metadata, key);
        texts("labels")?;
        Ok(Self {
            template,
            labels: metadata.and_then(|m| m.get("labels")),
            annotations: texts("annotations")?,
            init_containers: list("initContainers")?,
            containers: list("containers")?,
            ephemeral_containers: list("ephemeralContainers")?,
            volumes: list("volumes")?,
            image_pull_secrets: list("imagePullSecrets")?,
        })
    }

    /// Returns whether the pod has ended or is being deleted; templates never are.
    pub(super) fn is_inactive(&self) -> bool {
        let value = self.template.value;
        let phase = value.get("status").and_then(|s| s.get("phase")).and_then(Value::as_str);
        let deletion = value.get("metadata").and_then(|m| m.get("deletionTimestamp"));
        self.template.is_pod
            && (matches!(phase, Some("Succeeded" | "Failed")) || deletion.is_some_and(|d| !d.is_null()))
    }

    /// Returns the name that a bare Pod has in its manifest; empty for templates, because their pods are named later.
    pub(super) fn name(&self) -> &'a str {
        let metadata = if self.template.is_pod { self.template.value.get("metadata") } else { None };
        metadata.and_then(Value::as_object).map_or("", |m| text_at(m, "name"))
    }

    /// Returns an annotation of the template as it came.
    pub(super) fn annotation(&self, key: &str) -> Option<&'a str> {
        self.annotations?.get(key).map(|v| v.as_str().unwrap_or_default())
    }

    /// Returns whether containers of the pod that have succeeded stay ended: `restartPolicy` is Never or OnFailure.
    pub(super) fn never_restarts(&self) -> bool {
        let policy = self.template.value.get("spec").and_then(|spec| spec.get("restartPolicy"));
        matches!(policy.and_then(Value::as_str), Some("Never" | "OnFailure"))
    }

    /// Returns all containers that run beside or before the application, injected ones included.
    pub(super) fn all_containers(&self) -> impl Iterator<Item = &'a Value> {
        self.init_containers.iter().chain(self.containers).chain(self.ephemeral_containers)
    }

    /// Returns a label at a place below the template's object.
    pub(super) fn label(&self, below: &FieldPath, part: EntryPart, text: impl Into<String>) -> Span {
        self.template.document.label(&self.template.path.join(below), part, text)
    }
}

/// The new parts of a template; items that stay are those of the old one, by reference.
pub(super) struct NewPodTemplate<'a> {
    pub(super) annotations: JsonObject,
    pub(super) init_containers: Vec<ListItem<'a>>,
    pub(super) containers: Vec<ListItem<'a>>,
    pub(super) volumes: Vec<ListItem<'a>>,
    pub(super) image_pull_secrets: Vec<ListItem<'a>>,
}

impl<'a> NewPodTemplate<'a> {
    /// Returns what changes; None if nothing does.
    pub(super) fn into_change(self, pod: &PodView<'a>) -> Option<PodTemplateChange<'a>> {
        let lists = [
            ("initContainers", self.init_containers, pod.init_containers),
            ("containers", self.containers, pod.containers),
            ("volumes", self.volumes, pod.volumes),
            ("imagePullSecrets", self.image_pull_secrets, pod.image_pull_secrets),
        ];
        let is_same = |new: &[ListItem<'_>], old: &[Value]| {
            let is_same_item = |(new, old): (&ListItem<'_>, &Value)| {
                matches!(new, ListItem::Kept(new) if std::ptr::eq(*new, old)) || **new == *old
            };
            new.len() == old.len() && new.iter().zip(old).all(is_same_item)
        };
        let changed = lists.into_iter().filter(|(_, new, old)| !is_same(new, old));
        let mut parts: Vec<PartChange<'_>> = changed
            .map(|(key, new, _)| PartChange { keys: ["spec", key], content: PartContent::Items(new) })
            .collect();
        if self.annotations != *pod.annotations.unwrap_or(&JsonObject::new()) {
            let content = PartContent::Value(Value::Object(self.annotations));
            parts.push(PartChange { keys: ["metadata", "annotations"], content });
        }
        (!parts.is_empty()).then_some(PodTemplateChange(parts))
    }
}

/// The changes of a template.
#[derive(Debug)]
pub struct PodTemplateChange<'a>(Vec<PartChange<'a>>);

impl<'a> PodTemplateChange<'a> {
    /// Returns the parts that change: lists of `spec`, and the annotations.
    pub(crate) fn parts(&self) -> &[PartChange<'a>] {
        &self.0
    }

    /// Returns the whole new template, its keys in their old order and new ones behind them.
    pub fn into_value(self, template: &Value) -> Value {
        let mut out = template.as_object().cloned().unwrap_or_default();
        for PartChange { keys: [parent, key], content } in self.0 {
            if parent == "metadata" && !out.contains_key(parent) {
                out.shift_insert(0, parent.to_owned(), Value::Null);
            }
            let content = match content {
                PartContent::Items(items) => {
                    Value::Array(items.into_iter().map(ListItem::into_value).collect())
                }
                PartContent::Value(value) => value,
            };
            set_or_remove(object_entry(&mut out, parent), key, content);
            if parent == "metadata" && out.get(parent).is_some_and(is_empty) {
                out.shift_remove(parent);
            }
        }
        Value::Object(out)
    }
}

/// Returns the path of a container in the template.
pub(super) fn container_path(list: ContainerList, index: usize) -> FieldPath {
    FieldPath::dotted("spec").child(list.key()).child(index)
}

/// Sets an annotation.
pub(super) fn set_annotation(annotations: &mut JsonObject, key: &str, value: &str) {
    annotations.insert(key.to_owned(), Value::String(value.to_owned()));
}

/// Returns `name` of a list item.
pub(super) fn item_name(item: &Value) -> &str {
    item.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Returns the items of a list below an object; none where it is absent or of another type.
pub(super) fn list_items<'v>(object: &'v Value, key: &str) -> &'v [Value] {
    object.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Sets a key; an empty collection means that the key goes.
fn set_or_remove(object: &mut JsonObject, key: &str, value: Value) {
    if is_empty(&value) {
        object.shift_remove(key);
    } else {
        object.insert(key.to_owned(), value);
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    }
}

fn read_objects<'a>(
    template: &PodTemplate<'_>,
    spec: Option<&'a Value>,
    key: &str,
) -> Result<&'a [Value], Box<Diagnostic>> {
    let type_error = |path: FieldPath, wanted: &str| wrong_type(template, &path, wanted);
    match spec.and_then(|s| s.get(key)) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => match list.iter().position(|item| !item.is_object()) {
            None => Ok(list),
            Some(i) => Err(type_error(FieldPath::dotted("spec").child(key).child(i), "an object")),
        },
        Some(_) => Err(type_error(FieldPath::dotted("spec").child(key), "a list")),
    }
}

fn read_strings<'a>(
    template: &PodTemplate<'_>,
    metadata: Option<&'a Value>,
    key: &str,
) -> Result<Option<&'a JsonObject>, Box<Diagnostic>> {
    let type_error = |path: FieldPath, wanted: &str| wrong_type(template, &path, wanted);
    match metadata.and_then(|m| m.get(key)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => match map.iter().find(|(_, v)| !v.is_string() && !v.is_null()) {
            None => Ok(Some(map)),
            Some((k, _)) => {
                Err(type_error(FieldPath::dotted("metadata").child(key).child(k.as_str()), "a text"))
            }
        },
        Some(_) => Err(type_error(FieldPath::dotted("metadata").child(key), "an object")),
    }
}

fn check_object(template: &PodTemplate<'_>, path: &FieldPath) -> Result<(), Box<Diagnostic>> {
    let value = match path.segments() {
        [PathSegment::Key(key)] => template.value.get(key),
        _ => Some(template.value),
    };
    match value {
        None | Some(Value::Null | Value::Object(_)) => Ok(()),
        Some(_) => Err(wrong_type(template, path, "an object")),
    }
}

fn wrong_type(template: &PodTemplate<'_>, below: &FieldPath, wanted: &str) -> Box<Diagnostic> {
    let what = match below.segments().last() {
        Some(PathSegment::Key(key)) => format!("`{key}` is not {wanted}"),
        None => format!("the pod template is not {wanted}"),
        _ => format!("`{below}` is not {wanted}"),
    };
    let label = template.document.label(&template.path.join(below), EntryPart::Value, "");
    Box::new(
        Diagnostic::error(Code::WrongType, what)
            .at(label)
            .field(template.path.join(below).to_string())
            .because("the API server refuses this manifest")
            .help(if wanted == "a text" { "put it in quotes".to_owned() } else { format!("write {wanted}") }),
    )
}
