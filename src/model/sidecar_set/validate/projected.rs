//! Projected volumes: several sources in one folder.

use super::container::{int, require};
use super::env::mode;
use super::report::{Report, Spot};
use super::volume::{downward_file, files, path};
use super::{format, selector};
use crate::diag::Code;
use crate::model::sidecar_set::read::{inside, objects, text};
use crate::yaml::Part;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

type Object = Map<String, Value>;

const KINDS: [&str; 5] = ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"];
/// The shortest and the longest life of a token, in seconds.
const TOKEN_LIFE: std::ops::RangeInclusive<i64> = 600..=(1 << 32);

/// Checks a projected volume.
pub(super) fn check(report: &mut Report<'_>, volume: &Object, at: &Spot) {
    mode(report, volume, "defaultMode", at);
    let mut taken = BTreeSet::new();
    for (i, source) in objects(volume, "sources").enumerate() {
        let spot = at.child("sources").item(i);
        if KINDS.iter().filter(|k| source.contains_key(**k)).count() > 1 {
            let message = "a source of a projected volume is of one kind".into();
            report.error(Code::ForbiddenField, &spot, Part::Value, message, "make an item of each");
        }
        for kind in KINDS {
            let Some(part) = inside(source, kind) else { continue };
            let spot = spot.child(kind);
            match kind {
                "secret" | "configMap" => {
                    require(report, part, &["name"], &spot);
                    files(report, part, &spot);
                    unique_paths(report, part, &mut taken, &spot, at);
                }
                "downwardAPI" => {
                    for (j, file) in objects(part, "items").enumerate() {
                        let item = Spot { path: spot.child("items").item(j).path, field: spot.field.clone() };
                        downward_file(report, file, &item);
                    }
                    unique_paths(report, part, &mut taken, &spot, at);
                }
                "serviceAccountToken" => token(report, part, &spot, at),
                _ => {
                    trust_bundle(report, part, &spot);
                    let file = text(part, "path").unwrap_or_default();
                    unique(report, file, &mut taken, &spot.child("path"), at);
                }
            }
        }
    }
}

fn unique_paths(
    report: &mut Report<'_>,
    part: &Object,
    taken: &mut BTreeSet<String>,
    at: &Spot,
    volume: &Spot,
) {
    for (i, file) in objects(part, "items").enumerate() {
        let written = text(file, "path").unwrap_or_default();
        if !written.is_empty() {
            unique(report, written, taken, &at.child("items").item(i).child("path"), volume);
        }
    }
}

fn unique(report: &mut Report<'_>, file: &str, taken: &mut BTreeSet<String>, at: &Spot, volume: &Spot) {
    if !taken.insert(file.to_owned()) {
        report.duplicate(&at.clone().called(&volume.field), file);
    }
}

fn token(report: &mut Report<'_>, part: &Object, at: &Spot, volume: &Spot) {
    if !TOKEN_LIFE.contains(&int(part, "expirationSeconds")) {
        let seconds = int(part, "expirationSeconds").to_string();
        report.invalid(&at.child("expirationSeconds"), &seconds, "must be from 600 to 4294967296");
    }
    // Kubernetes v1.32 reports the path without the source it is in.
    let spot = Spot { path: at.path.clone(), field: volume.field.clone() };
    require(report, part, &["path"], &spot);
    path(report, part, "path", &spot, format::file_path);
}

fn trust_bundle(report: &mut Report<'_>, part: &Object, at: &Spot) {
    let (name, signer) = (text(part, "name"), text(part, "signerName"));
    let selects = inside(part, "labelSelector");
    match (name, signer) {
        (Some(_), Some(_)) | (None, None) => {
            let message = "`clusterTrustBundle` has exactly one of `name` and `signerName`".into();
            report.error(Code::InvalidValue, at, Part::Key, message, "write exactly one of the two");
        }
        (Some(name), None) => {
            // A bundle of a signer is named `DOMAIN:PATH:NAME`.
            let plain = name.rsplit(':').next().unwrap_or_default();
            if let Some(rule) = format::dns_subdomain(plain) {
                report.invalid(&at.child("name"), name, rule);
            }
            if selects.is_some() {
                report.forbidden(&at.child("labelSelector"), "does not go with `name`");
            }
        }
        (None, Some(signer)) => {
            let parts = signer.split_once('/');
            let is_good = parts.is_some_and(|(domain, path)| {
                domain.contains('.') && format::dns_subdomain(domain).is_none() && !path.is_empty()
            });
            if !is_good {
                report.invalid(&at.child("signerName"), signer, "must have the form `DOMAIN/PATH`");
            }
            if let Some(selects) = selects {
                selector::check_terms(report, selects, &at.child("labelSelector"));
            }
        }
    }
    require(report, part, &["path"], at);
    path(report, part, "path", at, format::file_path);
}
