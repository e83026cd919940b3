//! The claim template of an ephemeral volume.

use super::fields::{check_one_of, check_path, require_keys};
use super::report::{FieldRef, ValidationReport};
use super::{format, meta, selector};
use crate::diagnostics::Code;
use crate::model::json::{JsonObject, object_at, string_at, strings_at, text_at};
use crate::model::quantity::Quantity;
use crate::yaml::EntryPart;
use serde_json::Value;

/// Checks an ephemeral volume.
pub(super) fn check(report: &mut ValidationReport<'_>, volume: &JsonObject, at: &FieldRef) {
    let at = at.child("volumeClaimTemplate");
    let Some(template) = object_at(volume, "volumeClaimTemplate") else {
        return report.required(&at, "write the volume claim of each pod");
    };
    if let Some(metadata) = object_at(template, "metadata") {
        let at = at.child("metadata");
        meta::check_annotations(report, metadata, &at);
        selector::check_labels(report, metadata, "labels", &at);
        let is_set = |k: &str, v: &Value| k != "labels" && k != "annotations" && !v.is_null();
        for (key, _) in metadata.iter().filter(|(k, v)| is_set(k, v)) {
            report.forbidden(&at.child(key), "is not allowed here: only labels and annotations are");
        }
    }
    let empty = JsonObject::new();
    let spec = object_at(template, "spec").unwrap_or(&empty);
    check_claim(report, spec, &at.child("spec"));
}

fn check_claim(report: &mut ValidationReport<'_>, spec: &JsonObject, at: &FieldRef) {
    check_access_modes(report, spec, &at.child("accessModes"));
    if let Some(selects) = object_at(spec, "selector") {
        selector::check_terms(report, selects, &at.child("selector"));
    }
    let storage = at.child("resources").child("requests").entry("storage");
    let storage = storage.reported_as(format!("{}.resources[storage]", at.reported_path));
    let requests = object_at(spec, "resources").and_then(|r| object_at(r, "requests"));
    match requests.and_then(|r| r.get("storage")).and_then(Quantity::read) {
        None => report.required(&storage, "write the requested storage"),
        Some(amount) if amount.sign() <= 0 => {
            report.invalid(&storage, &amount.to_string(), "must be greater than 0");
        }
        Some(_) => {}
    }
    check_path(report, spec, "storageClassName", at, format::check_dns_subdomain);
    check_one_of(report, spec, "volumeMode", at);
    check_data_sources(report, spec, at);
}

fn check_access_modes(report: &mut ValidationReport<'_>, spec: &JsonObject, at: &FieldRef) {
    let modes: Vec<&str> = strings_at(spec, "accessModes").collect();
    if modes.is_empty() {
        report.required(at, "write at least one mode, such as `ReadWriteOnce`");
    }
    for (i, mode) in modes.iter().enumerate().filter(|(_, m)| !at.values().contains(m)) {
        report.unsupported(&at.item(i).reported_as(&at.reported_path), mode);
    }
    let of_pod = modes.contains(&"ReadWriteOncePod");
    if of_pod && modes.iter().any(|m| *m != "ReadWriteOncePod" && at.values().contains(m)) {
        report.forbidden(at, "cannot have `ReadWriteOncePod` and another mode");
    }
}

fn check_data_sources(report: &mut ValidationReport<'_>, spec: &JsonObject, at: &FieldRef) {
    let (source, reference) = (object_at(spec, "dataSource"), object_at(spec, "dataSourceRef"));
    for (key, written) in [("dataSource", source), ("dataSourceRef", reference)] {
        if let Some(written) = written {
            check_data_source(report, written, &at.child(key));
        }
    }
    let (Some(source), Some(reference)) = (source, reference) else { return };
    let is_elsewhere = string_at(reference, "namespace").is_some_and(|n| !n.is_empty());
    let differs = ["apiGroup", "kind", "name"].iter().any(|k| source.get(*k) != reference.get(*k));
    if is_elsewhere || differs {
        let message = "`dataSource` and `dataSourceRef` must be equal".into();
        let field = at.child("dataSource").reported_as(&at.reported_path);
        report.error(Code::InvalidValue, &field, EntryPart::Key, message, "keep one of the two fields");
    }
}

fn check_data_source(report: &mut ValidationReport<'_>, source: &JsonObject, at: &FieldRef) {
    require_keys(report, source, &["name", "kind"], at);
    let group = text_at(source, "apiGroup");
    let kind = text_at(source, "kind");
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        let field = at.child("kind").reported_as(&at.reported_path);
        report.invalid(&field, kind, "must be `PersistentVolumeClaim` if there is no `apiGroup`");
    } else if !group.is_empty()
        && let Some(rule) = format::check_dns_subdomain(group)
    {
        report.invalid(&at.child("apiGroup"), group, rule);
    }
    check_path(report, source, "namespace", at, format::check_dns_label);
}
