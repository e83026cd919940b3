//! Finds the workloads of a document, those in its Lists included.

use super::collect::object_type;
use super::renderer::{DocumentRole, Renderer, TextRole};
use super::scan::scan_object;
use super::workload::WorkloadRef;
use super::{DocumentWorkloads, Manifest};
use crate::diagnostics::Diagnostic;
use crate::model::workload::item_type_meta;
use crate::yaml::{Document, FieldPath};
use serde_json::Value;
use std::sync::Arc;

/// A workload, or what is wrong where it cannot be located.
pub(super) type LocatedWorkload = Result<WorkloadRef, Option<Box<Diagnostic>>>;

/// The objects of a document that a render acts on.
#[derive(Debug, Default)]
pub(super) struct DocumentObjects {
    /// Its workloads, in the order of the document.
    pub(super) workloads: Vec<LocatedWorkload>,
    /// The places of objects that are not part of the output.
    pub(super) excluded: Vec<FieldPath>,
}

impl Renderer {
    /// Finds the workloads of one document that some set may select, without rendering them, and says what is wrong
    /// with those that cannot be found. [`collect_objects`] reports documents that cannot be read.
    pub(crate) fn find_selectable_workloads(&self, manifest: &Manifest<'_>) -> DocumentWorkloads {
        self.find_workloads(manifest, false)
    }

    /// Finds the workloads of one document, those too that no set can select.
    pub(crate) fn find_all_workloads(
        &self,
        manifest: &Manifest<'_>,
    ) -> Option<(Arc<Document>, Vec<WorkloadRef>)> {
        self.find_workloads(manifest, true).0
    }

    fn find_workloads(&self, manifest: &Manifest<'_>, is_all: bool) -> DocumentWorkloads {
        let is_concerned =
            matches!(self.text_role(scan_object(manifest.text), manifest.text, is_all), TextRole::Parse);
        let read = || Document::read(manifest.file, manifest.index, manifest.first_line, manifest.text).ok();
        let Some(document) = is_concerned.then(read).flatten() else { return (None, Vec::new()) };
        let mut found = Vec::new();
        let mut diagnostics = Vec::new();
        for located in self.find_objects(&document, manifest).workloads {
            match located {
                Ok(workload) => found.push(workload),
                Err(diagnostic) => diagnostics.extend(diagnostic.map(|d| *d)),
            }
        }
        ((!found.is_empty()).then(|| (Arc::new(document), found)), diagnostics)
    }

    /// Finds the objects of a document that a render acts on: the document itself, or the items of a List.
    pub(super) fn find_objects(&self, document: &Document, manifest: &Manifest<'_>) -> DocumentObjects {
        let mut found = DocumentObjects::default();
        if let Some(object_type) = object_type(document.value()) {
            self.add_object(document, FieldPath::root(), document.value(), object_type, manifest, &mut found);
        }
        found
    }

    /// Adds an object; lists in lists are lists too, as for kubectl.
    fn add_object(
        &self,
        document: &Document,
        path: FieldPath,
        object: &Value,
        (api_version, kind): (&str, &str),
        manifest: &Manifest<'_>,
        found: &mut DocumentObjects,
    ) {
        match self.role(api_version, kind) {
            DocumentRole::PassThrough => {}
            DocumentRole::Excluded => found.excluded.push(path),
            DocumentRole::Workload(kind) => {
                found.workloads.push(self.locate(document, &path, kind, manifest));
            }
            DocumentRole::List => {
                for (i, item) in
                    object.get("items").and_then(Value::as_array).into_iter().flatten().enumerate()
                {
                    if let Some((api_version, kind)) = item_type_meta(object, item) {
                        let path = path.child("items").child(i);
                        self.add_object(document, path, item, (&api_version, &kind), manifest, found);
                    }
                }
            }
        }
    }
}
