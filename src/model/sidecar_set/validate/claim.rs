//! The claim template of an ephemeral volume.

use super::container::{one_of, require};
use super::report::{Report, Spot};
use super::{format, meta, selector};
use crate::diag::Code;
use crate::model::sidecar_set::read::{inside, text, texts};
use crate::model::sidecar_set::stored::quantity;
use crate::yaml::Part;
use serde_json::{Map, Value};

type Object = Map<String, Value>;

const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// Checks an ephemeral volume.
pub(super) fn check(report: &mut Report<'_>, volume: &Object, at: &Spot) {
    let at = at.child("volumeClaimTemplate");
    let Some(template) = inside(volume, "volumeClaimTemplate") else {
        return report.required(&at, "write the claim that every pod gets");
    };
    if let Some(metadata) = inside(template, "metadata") {
        let at = at.child("metadata");
        meta::annotations(report, metadata, &at);
        selector::check_labels(report, metadata, "labels", &at);
        let is_set = |k: &str, v: &Value| k != "labels" && k != "annotations" && !v.is_null();
        for (key, _) in metadata.iter().filter(|(k, v)| is_set(k, v)) {
            report.forbidden(&at.child(key), "cannot be set here: only labels and annotations can");
        }
    }
    let empty = Object::new();
    let spec = inside(template, "spec").unwrap_or(&empty);
    claim(report, spec, &at.child("spec"));
}

fn claim(report: &mut Report<'_>, spec: &Object, at: &Spot) {
    access_modes(report, spec, &at.child("accessModes"));
    if let Some(selects) = inside(spec, "selector") {
        selector::check_terms(report, selects, &at.child("selector"));
    }
    let storage = at.child("resources").child("requests").entry("storage");
    let storage = storage.called(format!("{}.resources[storage]", at.field));
    let requests = inside(spec, "resources").and_then(|r| inside(r, "requests"));
    match requests.and_then(|r| r.get("storage")).and_then(quantity) {
        None => report.required(&storage, "say how much storage is requested"),
        Some(amount) if amount.sign() <= 0 => {
            report.invalid(&storage, &amount.to_string(), "must be greater than 0");
        }
        Some(_) => {}
    }
    super::volume::path(report, spec, "storageClassName", at, format::dns_subdomain);
    one_of(report, spec, "volumeMode", at, &["Block", "Filesystem"]);
    data_sources(report, spec, at);
}

fn access_modes(report: &mut Report<'_>, spec: &Object, at: &Spot) {
    let modes: Vec<&str> = texts(spec, "accessModes").collect();
    if modes.is_empty() {
        report.required(at, "write at least one, such as `ReadWriteOnce`");
    }
    for (i, mode) in modes.iter().enumerate().filter(|(_, m)| !ACCESS_MODES.contains(m)) {
        report.unsupported(&at.item(i).called(&at.field), mode, &ACCESS_MODES);
    }
    let of_pod = modes.contains(&"ReadWriteOncePod");
    if of_pod && modes.iter().any(|m| *m != "ReadWriteOncePod" && ACCESS_MODES.contains(m)) {
        report.forbidden(at, "cannot have `ReadWriteOncePod` beside another mode");
    }
}

fn data_sources(report: &mut Report<'_>, spec: &Object, at: &Spot) {
    let (source, reference) = (inside(spec, "dataSource"), inside(spec, "dataSourceRef"));
    for (key, written) in [("dataSource", source), ("dataSourceRef", reference)] {
        if let Some(written) = written {
            data_source(report, written, &at.child(key));
        }
    }
    let (Some(source), Some(reference)) = (source, reference) else { return };
    let is_elsewhere = text(reference, "namespace").is_some_and(|n| !n.is_empty());
    let differs = ["apiGroup", "kind", "name"].iter().any(|k| source.get(*k) != reference.get(*k));
    if is_elsewhere || differs {
        let message = "`dataSource` and `dataSourceRef` must be the same".into();
        let spot = at.child("dataSource").called(&at.field);
        report.error(Code::InvalidValue, &spot, Part::Key, message, "keep one of the two fields");
    }
}

fn data_source(report: &mut Report<'_>, source: &Object, at: &Spot) {
    require(report, source, &["name", "kind"], at);
    let group = text(source, "apiGroup").unwrap_or_default();
    let kind = text(source, "kind").unwrap_or_default();
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        let spot = at.child("kind").called(&at.field);
        report.invalid(&spot, kind, "must be `PersistentVolumeClaim` where there is no `apiGroup`");
    } else if !group.is_empty()
        && let Some(rule) = format::dns_subdomain(group)
    {
        report.invalid(&at.child("apiGroup"), group, rule);
    }
    super::volume::path(report, source, "namespace", at, format::dns_label);
}
