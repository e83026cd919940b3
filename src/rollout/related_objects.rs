//! Objects in git that affect the pods of workloads: autoscalers, disruption budgets, quotas, limit ranges, and the
//! ConfigMaps and Secrets that pods read.

use super::advice::{AdviceLocation, AdviceObject, SECRET_SOURCES, has_autoscaler, target_name};
use crate::render::WorkloadRef;
use crate::yaml::{Document, DocumentSource, FieldPath};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Objects that a rollout is checked against.
#[derive(Debug, Default)]
pub(crate) struct RelatedObjects {
    objects: Vec<RelatedObject>,
    /// The indexes of the autoscalers of workloads, by namespace and name of the workload.
    autoscalers: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
}

/// An object beside the workloads.
#[derive(Debug, Clone)]
pub(crate) struct RelatedObject {
    /// Its namespace.
    pub(crate) namespace: String,
    /// The object.
    pub(crate) object: Value,
    /// Its location, where it is in git.
    pub(crate) location: Option<(DocumentSource, FieldPath)>,
}

/// The kinds that are related objects.
const RELATED_KINDS: &[&str] =
    &["HorizontalPodAutoscaler", "ScaledObject", "PodDisruptionBudget", "ResourceQuota", "LimitRange"];

/// The kinds of which only the name counts: ConfigMaps, and what becomes a Secret.
fn named_kinds() -> impl Iterator<Item = &'static str> {
    std::iter::once("ConfigMap").chain(SECRET_SOURCES.iter().map(|(_, kind, _)| *kind))
}

/// Returns the related objects of a document, items of Lists included.
pub(crate) fn related_objects_in(
    document: &Document,
    source: &DocumentSource,
    namespace: &str,
) -> Vec<RelatedObject> {
    let related = |(object, path): (&Value, FieldPath)| {
        let place = Some((source.clone(), path));
        // A named object has no location, which would keep its data.
        let is_named = object["kind"].as_str().is_some_and(|kind| named_kinds().any(|named| named == kind));
        let place = place.filter(|_| !is_named);
        from_object(object, namespace).map(|related| RelatedObject { location: place, ..related })
    };
    let items = document.value()["items"].as_array().map_or(&[][..], Vec::as_slice);
    let items = items.iter().enumerate().map(|(i, item)| (item, FieldPath::dotted("items").child(i)));
    std::iter::once((document.value(), FieldPath::root())).chain(items).filter_map(related).collect()
}

/// Returns an object if its kind is related; `namespace` applies where it names none.
pub(crate) fn from_object(object: &Value, namespace: &str) -> Option<RelatedObject> {
    let kind = object["kind"].as_str()?;
    let object = match () {
        () if RELATED_KINDS.contains(&kind) => object.clone(),
        () if named_kinds().any(|named| named == kind) => without_data(object),
        () => return None,
    };
    let written = object["metadata"]["namespace"].as_str().filter(|n| !n.is_empty());
    Some(RelatedObject { namespace: written.unwrap_or(namespace).to_owned(), object, location: None })
}

/// Returns an object with what names it, and the name of the Secret that it becomes.
fn without_data(object: &Value) -> Value {
    let mut named = json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": {"name": object["metadata"]["name"]},
    });
    let paths = SECRET_SOURCES.iter().filter(|(_, kind, _)| object["kind"] == *kind).map(|(.., path)| *path);
    for path in paths {
        let Some(name) = object.pointer(path) else { continue };
        let nested = path
            .rsplit('/')
            .filter(|key| !key.is_empty())
            .fold(name.clone(), |inner, key| json!({key: inner}));
        if let (Some(named), Value::Object(nested)) = (named.as_object_mut(), nested) {
            named.extend(nested);
        }
    }
    named
}

/// Returns whether a text may contain a related object.
pub(crate) fn may_contain_related_objects(text: &str) -> bool {
    RELATED_KINDS.iter().any(|kind| text.contains(kind)) || named_kinds().any(|kind| names_kind(text, kind))
}

/// Returns whether a text may contain a kind as the value of a key, and not only as a part of another word, such as
/// `imagePullSecrets`.
fn names_kind(text: &str, kind: &str) -> bool {
    text.match_indices(kind).any(|(at, _)| {
        let is_part = |c: char| c.is_ascii_alphanumeric();
        !text[..at].ends_with(is_part) && !text[at + kind.len()..].starts_with(is_part)
    })
}

impl RelatedObject {
    /// Returns the object as input for advice.
    pub(crate) fn as_advice_object(&self) -> AdviceObject<'_> {
        let place = self.location.as_ref();
        let place = place.map(|(source, path)| AdviceLocation { source, path: path.clone() });
        AdviceObject { namespace: &self.namespace, object: &self.object, location: place }
    }
}

impl RelatedObjects {
    /// Indexes objects.
    pub(crate) fn new(objects: Vec<RelatedObject>) -> Self {
        let mut autoscalers: BTreeMap<String, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
        let is_autoscaler = |related: &RelatedObject| {
            matches!(related.object["kind"].as_str(), Some("HorizontalPodAutoscaler" | "ScaledObject"))
        };
        for (i, related) in objects.iter().enumerate().filter(|(_, related)| is_autoscaler(related)) {
            let own = autoscalers.entry(related.namespace.clone()).or_default();
            own.entry(target_name(&related.object).unwrap_or_default().to_owned()).or_default().push(i);
        }
        Self { objects, autoscalers }
    }

    /// Returns all objects.
    pub(crate) fn objects(&self) -> &[RelatedObject] {
        &self.objects
    }

    /// Returns whether an autoscaler sets the replicas of a workload.
    pub(crate) fn is_autoscaled(&self, located: &WorkloadRef) -> bool {
        let own = self.autoscalers.get(&*located.namespace).and_then(|own| own.get(&*located.name));
        let Some(own) = own else { return false };
        let own: Vec<AdviceObject<'_>> = own.iter().map(|i| self.objects[*i].as_advice_object()).collect();
        let kind = &located.kind;
        has_autoscaler((&kind.group, &kind.kind, &located.namespace, &located.name), &own)
    }
}
