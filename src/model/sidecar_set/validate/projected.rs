//! Checks projected volumes.

use super::fields::{check_path, require, require_keys};
use super::report::{FieldRef, ValidationReport};
use super::volume_files::{check_downward_file, check_files, check_mode};
use super::{format, selector};
use crate::diagnostics::Code;
use crate::model::json::{JsonObject, int_at, object_at, objects_at, string_at, text_at};
use crate::yaml::EntryPart;
use std::collections::BTreeSet;

const SOURCE_KINDS: [&str; 5] =
    ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"];
/// The minimum and maximum lifetime of a token, in seconds.
const TOKEN_LIFETIME_SECONDS: std::ops::RangeInclusive<i64> = 600..=(1 << 32);

/// Checks a projected volume.
pub(super) fn check(report: &mut ValidationReport<'_>, volume: &JsonObject, at: &FieldRef) {
    check_mode(report, volume, "defaultMode", at);
    let mut taken = BTreeSet::new();
    for (i, source) in objects_at(volume, "sources").enumerate() {
        let field = at.child("sources").item(i);
        if SOURCE_KINDS.iter().filter(|k| source.contains_key(**k)).count() > 1 {
            let message = "a source of a projected volume must have one kind".into();
            report.error(
                Code::ForbiddenField,
                &field,
                EntryPart::Value,
                message,
                "write one item for each kind",
            );
        }
        for kind in SOURCE_KINDS {
            let Some(part) = object_at(source, kind) else { continue };
            let field = field.child(kind);
            match kind {
                "secret" | "configMap" => {
                    require_keys(report, part, &["name"], &field);
                    check_files(report, part, &field);
                    check_unique_paths(report, part, &mut taken, &field, at);
                }
                "downwardAPI" => {
                    for (j, file) in objects_at(part, "items").enumerate() {
                        let item = field.child("items").item(j).reported_as(&field.reported_path);
                        check_downward_file(report, file, &item);
                    }
                    check_unique_paths(report, part, &mut taken, &field, at);
                }
                "serviceAccountToken" => check_token(report, part, &field, at),
                _ => {
                    check_trust_bundle(report, part, &field);
                    let file = text_at(part, "path");
                    check_unique_file(report, file, &mut taken, &field.child("path"), at);
                }
            }
        }
    }
}

fn check_unique_paths(
    report: &mut ValidationReport<'_>,
    part: &JsonObject,
    taken: &mut BTreeSet<String>,
    at: &FieldRef,
    volume: &FieldRef,
) {
    for (i, file) in objects_at(part, "items").enumerate() {
        let written = text_at(file, "path");
        if !written.is_empty() {
            check_unique_file(report, written, taken, &at.child("items").item(i).child("path"), volume);
        }
    }
}

fn check_unique_file(
    report: &mut ValidationReport<'_>,
    file: &str,
    taken: &mut BTreeSet<String>,
    at: &FieldRef,
    volume: &FieldRef,
) {
    if !taken.insert(file.to_owned()) {
        report.duplicate(&at.clone().reported_as(&volume.reported_path), file);
    }
}

fn check_token(report: &mut ValidationReport<'_>, part: &JsonObject, at: &FieldRef, volume: &FieldRef) {
    let seconds = int_at(part, "expirationSeconds");
    report.check_range(&at.child("expirationSeconds"), seconds, TOKEN_LIFETIME_SECONDS);
    // Kubernetes v1.32 reports the path without its source.
    let field = at.clone().reported_as(&volume.reported_path);
    require(report, part, &field);
    check_path(report, part, "path", &field, format::check_file_path);
}

fn check_trust_bundle(report: &mut ValidationReport<'_>, part: &JsonObject, at: &FieldRef) {
    let (name, signer) = (string_at(part, "name"), string_at(part, "signerName"));
    let selects = object_at(part, "labelSelector");
    match (name, signer) {
        (Some(_), Some(_)) | (None, None) => {
            report.not_exactly_one(at, "`clusterTrustBundle`", ["name", "signerName"]);
        }
        (Some(name), None) => {
            // The name of a signer's bundle is `DOMAIN:PATH:NAME`.
            let plain = name.rsplit(':').next().unwrap_or_default();
            report.check_format(&at.child("name"), name, format::check_dns_subdomain(plain));
            if selects.is_some() {
                report.forbidden(&at.child("labelSelector"), "is not allowed with `name`");
            }
        }
        (None, Some(signer)) => {
            let parts = signer.split_once('/');
            let is_good = parts.is_some_and(|(domain, path)| {
                domain.contains('.') && format::check_dns_subdomain(domain).is_none() && !path.is_empty()
            });
            if !is_good {
                report.invalid(&at.child("signerName"), signer, "must have the form `DOMAIN/PATH`");
            }
            if let Some(selects) = selects {
                selector::check_terms(report, selects, &at.child("labelSelector"));
            }
        }
    }
    require(report, part, at);
    check_path(report, part, "path", at, format::check_file_path);
}
