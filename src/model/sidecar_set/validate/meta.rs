//! Checks `metadata` and `patchPodMetadata` of a SidecarSet.

use super::format;
use super::report::{FieldRef, ValidationReport, list_alternatives};
use super::selector;
use crate::diagnostics::Code;
use crate::model::json::{JsonObject, objects_at, string_at, string_entries, strings_at, text_at};
use crate::yaml::EntryPart;
use std::collections::BTreeSet;

/// The maximum size of all annotations of an object.
const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

/// Checks `metadata`.
pub(super) fn check(report: &mut ValidationReport<'_>, metadata: &JsonObject) {
    let at = FieldRef::new(crate::yaml::FieldPath::dotted("metadata"));
    // Kruise v1.9.0 checks `generateName` as a name, through apimachinery's ValidateObjectMeta.
    let name = text_at(metadata, "name");
    let generate_name = string_at(metadata, "generateName").map(|n| ("generateName", n));
    for (key, name) in std::iter::once(("name", name)).chain(generate_name) {
        let is_good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_good || name.len() > 63 {
            report.invalid(&at.child(key), name, "must have at most 63 letters, digits and `-`");
        }
    }
    if metadata.contains_key("namespace") {
        report.forbidden(&at.child("namespace"), "is not allowed: SidecarSets are cluster-scoped");
    }
    selector::check_labels(report, metadata, "labels", &at);
    check_annotations(report, metadata, &at);
    for finalizer in strings_at(metadata, "finalizers") {
        report.check_format(&at.child("finalizers"), finalizer, format::check_qualified_name(finalizer));
    }
}

/// Checks the `annotations` of an object.
pub(super) fn check_annotations(report: &mut ValidationReport<'_>, object: &JsonObject, at: &FieldRef) {
    let annotations = string_entries(object, "annotations");
    let list = at.child("annotations");
    for (key, _) in &annotations {
        if let Some(rule) = format::check_qualified_name(&key.to_lowercase()) {
            let entry = list.entry(key).reported_as(list.reported_path.clone());
            let message = format!("`{}` is not a valid annotation key: it {rule}", entry.name());
            report.error(Code::InvalidValue, &entry, EntryPart::Key, message, "change the key");
        }
    }
    let size: usize = annotations.iter().map(|(k, v)| k.len() + v.len()).sum();
    if size > MAX_ANNOTATION_BYTES {
        report.invalid(&list, "", "must not exceed 256 KiB");
    }
}

/// Checks `patchPodMetadata`. The keys are not checked against the whitelist of a cluster, which is unknown here.
pub(super) fn check_patches(report: &mut ValidationReport<'_>, spec: &JsonObject) {
    let list = FieldRef::new(crate::yaml::FieldPath::dotted("spec.patchPodMetadata"));
    let mut keys = BTreeSet::new();
    for (i, patch) in objects_at(spec, "patchPodMetadata").enumerate() {
        let at = list.item(i);
        let written = string_entries(patch, "annotations");
        if written.is_empty() {
            report.required(
                &at.child("annotations").reported_as(&list.reported_path),
                "write the annotations to patch",
            );
        }
        // Kruise checks them as the metadata of an object named `patchPodMetadata`.
        check_annotations(report, patch, &at.clone().reported_as("patchPodMetadata"));
        let policy = text_at(patch, "patchPolicy");
        let field = at.child("patchPolicy");
        if !field.values().contains(&policy) {
            let message = format!(
                "`{policy}` is not a valid value of `patchPolicy`: Kruise accepts it and patches nothing"
            );
            let help = format!("use {}", list_alternatives(field.values()));
            report.warning(Code::IgnoredValue, &field, EntryPart::Value, message, &help);
        }
        for (key, _) in written {
            let entry = at.child("annotations").entry(&key).reported_as(&list.reported_path);
            if !keys.insert(key.clone()) {
                report.duplicate(&entry, &key);
            }
        }
    }
}
