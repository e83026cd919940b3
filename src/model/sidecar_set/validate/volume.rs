//! Checks the volumes of a SidecarSet as Kubernetes v1.32 checks the volumes of a pod.

use super::fields::{check_name, check_one_of, check_path, require, require_keys, require_name};
use super::report::{FieldRef, ValidationReport};
use super::volume_files::{check_downward_file, check_files, check_mode};
use super::{claim, format, projected};
use crate::model::json::{
    JsonObject, bool_at, int_at, object_at, objects_at, string_at, string_entries, strings_at, text_at,
};
use crate::model::quantity::Quantity;
use crate::yaml::FieldPath;
use regex::Regex;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The volumes of a set by name. An invalid volume has been reported and is None.
pub(super) type VolumesByName<'a> = BTreeMap<&'a str, Option<&'a JsonObject>>;

/// The sources of a volume in the order in which Kubernetes checks them.
#[rustfmt::skip]
const SOURCES: [&str; 30] = [
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
    "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
    "flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk",
    "storageos", "projected", "scaleIO", "csi", "ephemeral", "image",
];

/// Checks the volumes. Returns them by name.
pub(super) fn check<'a>(report: &mut ValidationReport<'_>, spec: &'a JsonObject) -> VolumesByName<'a> {
    let list = FieldRef::new(FieldPath::dotted("spec.volumes"));
    let mut volumes = VolumesByName::new();
    for (i, volume) in objects_at(spec, "volumes").enumerate() {
        let at = list.item(i);
        let before = report.count();
        check_source(report, volume, &at);
        check_name(report, volume, &at);
        let name = text_at(volume, "name");
        if volumes.contains_key(name) {
            report.duplicate(&at.child("name"), name);
        } else {
            volumes.insert(name, (report.count() == before).then_some(volume));
        }
    }
    volumes
}

fn check_source(report: &mut ValidationReport<'_>, volume: &JsonObject, at: &FieldRef) {
    let mut kinds = SOURCES.into_iter().filter(|kind| volume.contains_key(*kind));
    let Some(kind) = kinds.next() else {
        return report.required(at, "write the source of the volume");
    };
    for further in kinds {
        let field = at.child(further);
        // Kubernetes v1.32 misspells these two.
        let field = match further {
            "cephfs" => field.reported_as(format!("{}.cephFS", at.reported_path)),
            "downwardAPI" => field.reported_as(format!("{}.downwarAPI", at.reported_path)),
            _ => field,
        };
        report.forbidden(&field, &format!("cannot be used together with `{kind}`: a volume has one source"));
    }
    let Some(source) = object_at(volume, kind) else { return };
    let field = at.child(kind);
    let field = if kind == "gcePersistentDisk" {
        field.reported_as(format!("{}.persistentDisk", at.reported_path))
    } else {
        field
    };
    require(report, source, &field);
    require_keys(report, source, required_beyond_schema(kind), &field);
    check_source_details(report, kind, source, &field);
    if kind == "iscsi" && source.contains_key("initiatorName") {
        let portal = text_at(source, "targetPortal");
        let name = text_at(volume, "name");
        if name.len() + 1 + portal.len() > 64 {
            report.invalid(
                &at.child("name"),
                name,
                "must have at most 64 characters together with the target portal",
            );
        }
    }
}

/// Returns the fields of a source that Kubernetes requires and its types do not.
fn required_beyond_schema(kind: &str) -> &'static [&'static str] {
    match kind {
        "secret" => &["secretName"],
        "configMap" => &["name"],
        "storageos" | "scaleIO" => &["volumeName"],
        "image" => &["reference", "pullPolicy"],
        _ => &[],
    }
}

fn check_source_details(report: &mut ValidationReport<'_>, kind: &str, source: &JsonObject, at: &FieldRef) {
    match kind {
        "emptyDir" => check_empty_dir(report, source, at),
        "hostPath" => {
            check_path(report, source, "path", at, format::check_no_parent_steps);
            check_one_of(report, source, "type", at);
        }
        "gitRepo" => check_path(report, source, "directory", at, format::check_descending_path),
        "gcePersistentDisk" | "awsElasticBlockStore" => check_byte(report, source, "partition", at),
        "secret" | "configMap" => {
            check_mode(report, source, "defaultMode", at);
            check_files(report, source, at);
        }
        "nfs" => check_path(report, source, "path", at, |p| {
            (!p.starts_with('/')).then_some("must be an absolute path")
        }),
        "iscsi" => check_iscsi(report, source, at),
        "flocker" => check_flocker(report, source, at),
        "cinder" | "storageos" => require_name(report, source, "secretRef", at),
        "quobyte" => check_quobyte(report, source, at),
        "downwardAPI" => {
            check_mode(report, source, "defaultMode", at);
            for (i, file) in objects_at(source, "items").enumerate() {
                // Kubernetes v1.32 reports these without the index.
                let item = at.child("items").item(i).reported_as(&at.reported_path);
                check_downward_file(report, file, &item);
            }
        }
        "fc" => check_fibre_channel(report, source, at),
        "flexVolume" => check_flex_options(report, source, at),
        "azureDisk" => check_azure_disk(report, source, at),
        "projected" => projected::check(report, source, at),
        "csi" => check_csi(report, source, at),
        "ephemeral" => claim::check(report, source, at),
        "image" => check_one_of(report, source, "pullPolicy", at),
        _ => {}
    }
    if kind == "storageos" {
        for key in ["volumeName", "volumeNamespace"] {
            check_path(report, source, key, at, format::check_dns_label);
        }
    }
}

fn check_byte(report: &mut ValidationReport<'_>, source: &JsonObject, key: &str, at: &FieldRef) {
    report.check_range(&at.child(key), int_at(source, key), 0..=255);
}

fn check_empty_dir(report: &mut ValidationReport<'_>, source: &JsonObject, at: &FieldRef) {
    let limit = string_at(source, "sizeLimit").and_then(|l| Quantity::parse(l).ok());
    if limit.is_some_and(|l| l.sign() < 0) {
        let value = text_at(source, "sizeLimit");
        report.invalid(&at.child("sizeLimit"), value, "must not be negative");
    }
}

/// The formats of an iSCSI name by prefix.
static ISCSI_NAMES: LazyLock<[(&str, Regex); 3]> = LazyLock::new(|| {
    let form = |pattern| Regex::new(pattern).expect("the pattern is a constant");
    [
        ("iqn", form(r"iqn\.[0-9]{4}-[0-9]{2}\.([[:alnum:]\-.]+)(:[^,;*&$|\s]+)$")),
        ("eui", form("^eui.[[:alnum:]]{16}$")),
        ("naa", form("^naa.[[:alnum:]]{32}$")),
    ]
});

fn check_iscsi(report: &mut ValidationReport<'_>, source: &JsonObject, at: &FieldRef) {
    for (key, reported_key) in [("iqn", "iqn"), ("initiatorName", "initiatorname")] {
        let Some(name) = string_at(source, key).filter(|n| key != "iqn" || !n.is_empty()) else { continue };
        let form = ISCSI_NAMES.iter().find(|(start, _)| name.starts_with(start));
        if !form.is_some_and(|(_, form)| form.is_match(name)) {
            let field = at.child(key).reported_as(format!("{}.{reported_key}", at.reported_path));
            report.invalid(&field, name, "must be an iSCSI name that starts with `iqn`, `eui` or `naa`");
        }
    }
    check_byte(report, source, "lun", at);
    let is_on = |key| bool_at(source, key);
    if (is_on("chapAuthDiscovery") || is_on("chapAuthSession")) && !source.contains_key("secretRef") {
        report.required(&at.child("secretRef"), "write the secret that CHAP requires");
    }
}

fn check_flocker(report: &mut ValidationReport<'_>, source: &JsonObject, at: &FieldRef) {
    let (name, id) = (string_at(source, "datasetName"), string_at(source, "datasetUUID"));
    if name.is_some() == id.is_some() {
        report.not_exactly_one(at, "a `flocker` volume", ["datasetName", "datasetUUID"]);
    }
    check_path(report, source, "datasetName", at, |n| n.contains('/').then_some("must not contain `/`"));
}

fn check_quobyte(report: &mut ValidationReport<'_>, source: &JsonObject, at: &FieldRef) {
    let has_registry = string_at(source, "registry").is_some_and(|r| !r.is_empty());
    if has_registry && string_at(source, "tenant").is_some_and(|t| t.len() >= 65) {
        report.invalid(&at.child("tenant"), "", "must have at most 64 characters");
        return;
    }
    check_path(report, source, "registry", at, |registry| {
        let is_pair = |pair: &str| {
            let (host, port) = pair.rsplit_once(':').unwrap_or((":", ""));
            let is_bracketed = host.starts_with('[') && host.ends_with(']');
            !port.contains(['[', ']']) && (is_bracketed || !host.contains([':', '[', ']']))
        };
        (!registry.split(',').all(is_pair)).then_some("must be a comma-separated list of `HOST:PORT`")
    });
}

fn check_fibre_channel(report: &mut ValidationReport<'_>, source: &JsonObject, at: &FieldRef) {
    let has = |key: &str| strings_at(source, key).next().is_some();
    let field = at.child("targetWWNs");
    if has("targetWWNs") == has("wwids") {
        report.not_exactly_one(&field, "an `fc` volume", ["targetWWNs", "wwids"]);
    }
    if has("targetWWNs") {
        match source.contains_key("lun") {
            true => check_byte(report, source, "lun", at),
            false => report.required(&at.child("lun"), "write it together with `targetWWNs`"),
        }
    }
}

fn check_flex_options(report: &mut ValidationReport<'_>, source: &JsonObject, at: &FieldRef) {
    for (key, _) in string_entries(source, "options") {
        let domain = key.split_once('/').map_or(key.as_str(), |(domain, _)| domain);
        let domain = format!(".{}", domain.to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            report.forbidden(&at.child("options").entry(&key), "is in a domain reserved for Kubernetes");
        }
    }
}

fn check_azure_disk(report: &mut ValidationReport<'_>, source: &JsonObject, at: &FieldRef) {
    check_one_of(report, source, "cachingMode", at);
    check_one_of(report, source, "kind", at);
    let Some(kind) = string_at(source, "kind") else { return };
    let start = if kind == "Managed" { "/subscriptions/" } else { "https://" };
    let uri = text_at(source, "diskURI");
    if !uri.starts_with(start) {
        report.invalid(
            &at.child("diskURI"),
            uri,
            &format!("must start with `{start}` for a disk of this kind"),
        );
    }
}

fn check_csi(report: &mut ValidationReport<'_>, source: &JsonObject, at: &FieldRef) {
    check_path(report, source, "driver", at, |driver| {
        let rule = format::check_dns_subdomain(&driver.to_lowercase());
        rule.or((driver.len() > 63).then_some("must have at most 63 characters"))
    });
    if let Some(secret) = object_at(source, "nodePublishSecretRef") {
        let name = text_at(secret, "name");
        let field = at.child("nodePublishSecretRef").child("name");
        if name.is_empty() {
            report.required(&field, "write the name of the secret");
        } else {
            let field = field.reported_as(format!("{}.name", at.reported_path));
            report.check_format(&field, name, format::check_dns_subdomain(name));
        }
    }
}
