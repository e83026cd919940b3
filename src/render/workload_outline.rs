//! A workload that is kept without most of its pod template.

use super::renderer::Renderer;
use super::workload::WorkloadRef;
use crate::inject;
use crate::model::pod_annotations::INJECTED_LIST;
use crate::model::sidecar_set::SidecarSet;
use crate::yaml::{Document, DocumentSource, FieldPath};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A workload of which the `spec` of the pod template is not kept, nor what else its document has: it is read again
/// where that is needed. A plan of many workloads has no memory for all of their templates.
#[derive(Debug)]
pub struct WorkloadOutline {
    /// Its document.
    pub(crate) source: DocumentSource,
    /// Its key and its location.
    pub(crate) manifest: WorkloadRef,
    /// Its object without the `spec` of its pod template; a SidecarSet is whole.
    object: Value,
}

impl WorkloadOutline {
    /// Returns the outline of a workload in a document.
    pub(crate) fn new(document: &Document, manifest: WorkloadRef, source: DocumentSource) -> Self {
        let template = manifest.template_path.relative_to(&manifest.path);
        let object = match manifest.kind.is_sidecar_set() {
            // There are few, and their spec says how Kruise rolls them out.
            true => manifest.object(document).clone(),
            false => without_spec(manifest.object(document), &template),
        };
        Self { source, manifest, object }
    }

    /// Returns its object without the `spec` of its pod template.
    pub(crate) fn object(&self) -> &Value {
        &self.object
    }

    /// Returns its pod template without `spec`.
    pub(crate) fn template(&self) -> &Value {
        let path = self.manifest.template_path.relative_to(&self.manifest.path);
        path.find(&self.object).unwrap_or(&Value::Null)
    }

    /// Returns the hash of its source: of its pod template, and of what overrides settings of its sidecars.
    pub(crate) fn template_hash(&self) -> Arc<str> {
        self.manifest.source_hash(&self.source.read())
    }
}

impl Renderer {
    /// Returns whether another renderer certainly renders a workload alike: it gives the same contents to it, which has no
    /// earlier injection that other known contents would clean up in another way.
    pub(crate) fn renders_same(&self, other: &Self, workload: &WorkloadOutline) -> bool {
        let manifest = &workload.manifest;
        if self.is_kruise_runtime() {
            return !manifest.kind.is_sidecar_set();
        }
        workload.template()["metadata"]["annotations"].get(INJECTED_LIST).is_none()
            && manifest.with_hash(&|| workload.template_hash(), |source| {
                self.assignments.assigns_same(&other.assignments, source)
            })
    }

    /// Returns whether a SidecarSet selects a workload; where labels of its namespace are not known, it may.
    pub(crate) fn selects(&self, workload: &WorkloadOutline, set: &SidecarSet) -> bool {
        let WorkloadRef { kind, namespace, .. } = &workload.manifest;
        !kind.is_sidecar_set()
            && inject::selects(workload.template(), namespace, self.namespaces.labels_of(namespace), set)
    }
}

/// Returns an object without the `spec` of the object at a path in it, and clones nothing of that.
fn without_spec(object: &Value, path: &FieldPath) -> Value {
    let (steps, fields) = (path.segments(), object.as_object());
    let Some(fields) = fields else { return compact_clone(object) };
    let next = steps.first();
    let is_kept = |key: &str| next.is_some() || key != "spec";
    let is_next = |key: &str| matches!(next, Some(crate::yaml::PathSegment::Key(step)) if step == key);
    let mut copied = Map::with_capacity(fields.keys().filter(|key| is_kept(key)).count());
    for (key, value) in fields.iter().filter(|(key, _)| is_kept(key)) {
        let value = match is_next(key) {
            true => without_spec(value, &FieldPath::from(steps[1..].to_vec())),
            false => compact_clone(value),
        };
        copied.insert(key.clone(), value);
    }
    Value::Object(copied)
}

/// Clones a value without capacity for more entries, which takes up to two thirds of the memory of small maps.
fn compact_clone(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut copied = Map::with_capacity(fields.len());
            copied.extend(fields.iter().map(|(key, value)| (key.clone(), compact_clone(value))));
            Value::Object(copied)
        }
        Value::Array(items) => Value::Array(items.iter().map(compact_clone).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_spec_of_the_template_is_left_out() {
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}});
        let object = json!({"kind": "Deployment", "spec": {"replicas": 2, "template": template}});
        let lean = json!({"kind": "Deployment", "spec": {"replicas": 2, "template": {"metadata": {"labels": {"a": "b"}}}}});
        assert_eq!(without_spec(&object, &FieldPath::dotted("spec.template")), lean);
        assert_eq!(without_spec(&template, &FieldPath::root()), json!({"metadata": {"labels": {"a": "b"}}}));
    }
}
