//! `metadata` of a SidecarSet, and the annotations it patches onto pods.

use super::format;
use super::report::{FieldRef, ValidationReport, list_alternatives};
use super::selector;
use crate::diagnostics::Code;
use crate::model::json::{JsonObject, objects_at, string_at, string_entries, strings_at, text_at};
use crate::yaml::EntryPart;
use std::collections::BTreeSet;

/// The most that all annotations of an object may hold.
const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

/// Checks `metadata`.
pub(super) fn check(report: &mut ValidationReport<'_>, metadata: &JsonObject) {
    let at = FieldRef::new(crate::yaml::FieldPath::dotted("metadata"));
    // Kruise v1.9.0 holds `generateName` to the rule of names, as apimachinery's ValidateObjectMeta asks.
    let name = text_at(metadata, "name");
    let generate_name = string_at(metadata, "generateName").map(|n| ("generateName", n));
    for (key, name) in std::iter::once(("name", name)).chain(generate_name) {
        let is_good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_good || name.len() > 63 {
            report.invalid(&at.child(key), name, "must have at most 63 letters, digits and `-`");
        }
    }
    if metadata.contains_key("namespace") {
        report.forbidden(&at.child("namespace"), "has no meaning: SidecarSets belong to the whole cluster");
    }
    selector::check_labels(report, metadata, "labels", &at);
    check_annotations(report, metadata, &at);
    for finalizer in strings_at(metadata, "finalizers") {
        if let Some(rule) = format::check_qualified_name(finalizer) {
            report.invalid(&at.child("finalizers"), finalizer, rule);
        }
    }
}

/// Checks the `annotations` of an object.
pub(super) fn check_annotations(report: &mut ValidationReport<'_>, object: &JsonObject, at: &FieldRef) {
    let annotations = string_entries(object, "annotations");
    let list = at.child("annotations");
    for (key, _) in &annotations {
        if let Some(rule) = format::check_qualified_name(&key.to_lowercase()) {
            let entry = list.entry(key).with_name(list.field.clone());
            let message = format!("`{}` is no valid annotation: it {rule}", entry.name());
            report.error(Code::InvalidValue, &entry, EntryPart::Key, message, "change the key");
        }
    }
    let size: usize = annotations.iter().map(|(k, v)| k.len() + v.len()).sum();
    if size > MAX_ANNOTATION_BYTES {
        report.invalid(&list, "", "must not hold more than 256 KiB");
    }
}

/// Checks `patchPodMetadata`. Whether a cluster allows the keys is a matter of its whitelist and not known here.
pub(super) fn check_patches(report: &mut ValidationReport<'_>, spec: &JsonObject) {
    let list = FieldRef::new(crate::yaml::FieldPath::dotted("spec.patchPodMetadata"));
    let mut keys = BTreeSet::new();
    for (i, patch) in objects_at(spec, "patchPodMetadata").enumerate() {
        let at = list.item(i);
        let written = string_entries(patch, "annotations");
        if written.is_empty() {
            report.required(
                &at.child("annotations").with_name(&list.field),
                "write the annotations that pods shall get",
            );
        }
        // Kruise checks them as the metadata of an object of their own.
        check_annotations(report, patch, &at.clone().with_name("patchPodMetadata"));
        let policy = text_at(patch, "patchPolicy");
        let spot = at.child("patchPolicy");
        if !spot.values().contains(&policy) {
            let message =
                format!("`patchPolicy` has no value `{policy}`: Kruise accepts it and patches nothing");
            let help = format!("use {}", list_alternatives(spot.values()));
            report.warning(Code::IgnoredValue, &spot, EntryPart::Value, message, &help);
        }
        for (key, _) in written {
            let entry = at.child("annotations").entry(&key).with_name(&list.field);
            if !keys.insert(key.clone()) {
                report.duplicate(&entry, &key);
            }
        }
    }
}
