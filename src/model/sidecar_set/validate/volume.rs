//! The volumes of a set, as Kubernetes v1.32 checks those of a pod.

use super::container::{Volumes, check_name, int, one_of, require, require_name};
use super::env::{field_ref, mode, resource_ref};
use super::report::{Report, Spot};
use super::{claim, format, projected};
use crate::diag::Code;
use crate::model::quantity::Quantity;
use crate::model::sidecar_set::read::{inside, objects, pairs, text, texts};
use crate::yaml::{Part, Path};
use regex::Regex;
use serde_json::{Map, Value};
use std::sync::LazyLock;

type Object = Map<String, Value>;

/// The sources in the order in which Kubernetes looks at them, with the fields that each needs.
const SOURCES: [(&str, &[&str]); 30] = [
    ("emptyDir", &[]),
    ("hostPath", &["path"]),
    ("gitRepo", &["repository"]),
    ("gcePersistentDisk", &["pdName"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("secret", &["secretName"]),
    ("nfs", &["server", "path"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("glusterfs", &["endpoints", "path"]),
    ("flocker", &[]),
    ("persistentVolumeClaim", &["claimName"]),
    ("rbd", &["monitors", "image"]),
    ("cinder", &["volumeID"]),
    ("cephfs", &["monitors"]),
    ("quobyte", &["registry", "volume"]),
    ("downwardAPI", &[]),
    ("fc", &[]),
    ("flexVolume", &["driver"]),
    ("configMap", &["name"]),
    ("azureFile", &["secretName", "shareName"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("storageos", &["volumeName"]),
    ("projected", &[]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("csi", &["driver"]),
    ("ephemeral", &["volumeClaimTemplate"]),
    ("image", &["reference", "pullPolicy"]),
];
const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
/// Fields of a pod that a file of a volume may hold.
pub(super) const FILE_FIELDS: [&str; 5] =
    ["metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid"];

/// Checks the volumes. Returns them by name.
pub(super) fn check<'a>(report: &mut Report<'_>, spec: &'a Object) -> Volumes<'a> {
    let list = Spot::new(Path::dotted("spec.volumes"));
    let mut volumes = Volumes::new();
    for (i, volume) in objects(spec, "volumes").enumerate() {
        let at = list.item(i);
        let before = report.count();
        source(report, volume, &at);
        check_name(report, volume, &at);
        let name = text(volume, "name").unwrap_or_default();
        if volumes.contains_key(name) {
            report.duplicate(&at.child("name"), name);
        } else {
            volumes.insert(name, (report.count() == before).then_some(volume));
        }
    }
    volumes
}

fn source(report: &mut Report<'_>, volume: &Object, at: &Spot) {
    let mut written = SOURCES.iter().filter(|(kind, _)| volume.contains_key(*kind));
    let Some((kind, needed)) = written.next() else {
        return report.required(at, "write the source of the volume");
    };
    for (further, _) in written {
        let spot = at.child(further);
        // Kubernetes v1.32 misspells these two.
        let spot = match *further {
            "cephfs" => spot.called(format!("{}.cephFS", at.field)),
            "downwardAPI" => spot.called(format!("{}.downwarAPI", at.field)),
            _ => spot,
        };
        report.forbidden(&spot, &format!("cannot be used together with `{kind}`: a volume has one source"));
    }
    let Some(source) = inside(volume, kind) else { return };
    let spot = at.child(kind);
    let spot =
        if *kind == "gcePersistentDisk" { spot.called(format!("{}.persistentDisk", at.field)) } else { spot };
    if *kind != "ephemeral" {
        require(report, source, needed, &spot);
    }
    details(report, kind, source, &spot);
    if *kind == "iscsi" && source.contains_key("initiatorName") {
        let portal = text(source, "targetPortal").unwrap_or_default();
        let name = text(volume, "name").unwrap_or_default();
        if name.len() + 1 + portal.len() > 64 {
            report.invalid(
                &at.child("name"),
                name,
                "must not have more than 64 characters with the target portal",
            );
        }
    }
}

fn details(report: &mut Report<'_>, kind: &str, source: &Object, at: &Spot) {
    match kind {
        "emptyDir" => empty_dir(report, source, at),
        "hostPath" => {
            path(report, source, "path", at, format::no_backsteps);
            one_of(report, source, "type", at, &HOST_PATH_TYPES);
        }
        "gitRepo" => path(report, source, "directory", at, format::descending_path),
        "gcePersistentDisk" | "awsElasticBlockStore" => byte(report, source, "partition", at),
        "secret" | "configMap" => {
            mode(report, source, "defaultMode", at);
            files(report, source, at);
        }
        "nfs" => {
            path(report, source, "path", at, |p| (!p.starts_with('/')).then_some("must be an absolute path"))
        }
        "iscsi" => iscsi(report, source, at),
        "flocker" => flocker(report, source, at),
        "cinder" | "storageos" => require_name(report, source, "secretRef", at),
        "quobyte" => quobyte(report, source, at),
        "downwardAPI" => {
            mode(report, source, "defaultMode", at);
            for (i, file) in objects(source, "items").enumerate() {
                // Kubernetes v1.32 reports these without the index.
                let item = Spot { path: at.child("items").item(i).path, field: at.field.clone() };
                downward_file(report, file, &item);
            }
        }
        "fc" => fibre_channel(report, source, at),
        "flexVolume" => flex_options(report, source, at),
        "azureDisk" => azure_disk(report, source, at),
        "projected" => projected::check(report, source, at),
        "csi" => csi(report, source, at),
        "ephemeral" => claim::check(report, source, at),
        "image" => one_of(report, source, "pullPolicy", at, &["Always", "IfNotPresent", "Never"]),
        _ => {}
    }
    if kind == "storageos" {
        for key in ["volumeName", "volumeNamespace"] {
            path(report, source, key, at, format::dns_label);
        }
    }
}

/// Checks a text that is not empty.
pub(super) fn path(
    report: &mut Report<'_>,
    source: &Object,
    key: &str,
    at: &Spot,
    rule: impl Fn(&str) -> format::Rule,
) {
    if let Some(value) = text(source, key).filter(|v| !v.is_empty())
        && let Some(rule) = rule(value)
    {
        report.invalid(&at.child(key), value, rule);
    }
}

fn byte(report: &mut Report<'_>, source: &Object, key: &str, at: &Spot) {
    if !(0..=255).contains(&int(source, key)) {
        report.invalid(&at.child(key), &int(source, key).to_string(), "must be from 0 to 255");
    }
}

fn empty_dir(report: &mut Report<'_>, source: &Object, at: &Spot) {
    let limit = text(source, "sizeLimit").and_then(|l| Quantity::parse(l).ok());
    if limit.is_some_and(|l| l.sign() < 0) {
        let value = text(source, "sizeLimit").unwrap_or_default();
        report.invalid(&at.child("sizeLimit"), value, "must not be negative");
    }
}

/// Checks the `items` of a secret or config map.
pub(super) fn files(report: &mut Report<'_>, source: &Object, at: &Spot) {
    let list = at.child("items");
    for (i, file) in objects(source, "items").enumerate() {
        let at = list.item(i);
        require(report, file, &["key", "path"], &at);
        path(report, file, "path", &at, format::file_path);
        mode(report, file, "mode", &at);
    }
}

/// Checks one file of the downward API.
pub(super) fn downward_file(report: &mut Report<'_>, file: &Object, at: &Spot) {
    require(report, file, &["path"], at);
    path(report, file, "path", at, format::file_path);
    let (field, resource) = (inside(file, "fieldRef"), inside(file, "resourceFieldRef"));
    let message = match (field, resource) {
        (Some(field), None) => {
            field_ref(report, field, &FILE_FIELDS, &at.child("fieldRef"));
            None
        }
        (None, Some(resource)) => {
            resource_ref(report, resource, true, &at.child("resourceFieldRef"));
            None
        }
        (Some(_), Some(_)) => Some("`fieldRef` and `resourceFieldRef` cannot be used together"),
        (None, None) => Some("a file needs `fieldRef` or `resourceFieldRef`"),
    };
    if let Some(message) = message {
        report.error(Code::InvalidValue, at, Part::Value, message.into(), "write exactly one of the two");
    }
    mode(report, file, "mode", at);
}

/// The forms of an iSCSI name, by how it starts.
static ISCSI_NAMES: LazyLock<[(&str, Regex); 3]> = LazyLock::new(|| {
    let form = |pattern| Regex::new(pattern).expect("the pattern is a constant");
    [
        ("iqn", form(r"iqn\.[0-9]{4}-[0-9]{2}\.([[:alnum:]\-.]+)(:[^,;*&$|\s]+)$")),
        ("eui", form("^eui.[[:alnum:]]{16}$")),
        ("naa", form("^naa.[[:alnum:]]{32}$")),
    ]
});

fn iscsi(report: &mut Report<'_>, source: &Object, at: &Spot) {
    for (key, field) in [("iqn", "iqn"), ("initiatorName", "initiatorname")] {
        let Some(name) = text(source, key).filter(|n| key != "iqn" || !n.is_empty()) else { continue };
        let form = ISCSI_NAMES.iter().find(|(start, _)| name.starts_with(start));
        if !form.is_some_and(|(_, form)| form.is_match(name)) {
            let spot = at.child(key).called(format!("{}.{field}", at.field));
            report.invalid(&spot, name, "must be a name that starts with `iqn`, `eui` or `naa`");
        }
    }
    byte(report, source, "lun", at);
    let is_on = |key| source.get(key).and_then(Value::as_bool) == Some(true);
    if (is_on("chapAuthDiscovery") || is_on("chapAuthSession")) && !source.contains_key("secretRef") {
        report.required(&at.child("secretRef"), "CHAP needs a secret");
    }
}

fn flocker(report: &mut Report<'_>, source: &Object, at: &Spot) {
    let (name, id) = (text(source, "datasetName"), text(source, "datasetUUID"));
    if name.is_some() == id.is_some() {
        let message = "a `flocker` volume has exactly one of `datasetName` and `datasetUUID`".into();
        report.error(Code::InvalidValue, at, Part::Key, message, "write exactly one of the two");
    }
    path(report, source, "datasetName", at, |n| n.contains('/').then_some("must not contain `/`"));
}

fn quobyte(report: &mut Report<'_>, source: &Object, at: &Spot) {
    let has_registry = text(source, "registry").is_some_and(|r| !r.is_empty());
    if has_registry && text(source, "tenant").is_some_and(|t| t.len() >= 65) {
        report.invalid(&at.child("tenant"), "", "must have at most 64 characters");
        return;
    }
    path(report, source, "registry", at, |registry| {
        let is_pair = |pair: &str| {
            let (host, port) = pair.rsplit_once(':').unwrap_or((":", ""));
            let is_bracketed = host.starts_with('[') && host.ends_with(']');
            !port.contains(['[', ']']) && (is_bracketed || !host.contains([':', '[', ']']))
        };
        (!registry.split(',').all(is_pair))
            .then_some("must have the form `HOST:PORT`, several with commas between")
    });
}

fn fibre_channel(report: &mut Report<'_>, source: &Object, at: &Spot) {
    let has = |key: &str| texts(source, key).next().is_some();
    let spot = at.child("targetWWNs");
    if has("targetWWNs") == has("wwids") {
        let message = "an `fc` volume has exactly one of `targetWWNs` and `wwids`".into();
        report.error(Code::InvalidValue, &spot, Part::Key, message, "write exactly one of the two");
    }
    if has("targetWWNs") {
        match source.contains_key("lun") {
            true => byte(report, source, "lun", at),
            false => report.required(&at.child("lun"), "write it beside `targetWWNs`"),
        }
    }
}

fn flex_options(report: &mut Report<'_>, source: &Object, at: &Spot) {
    for (key, _) in pairs(source, "options") {
        let domain = key.split_once('/').map_or(key.as_str(), |(domain, _)| domain);
        let domain = format!(".{}", domain.to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            report.forbidden(&at.child("options").entry(&key), "is in a domain reserved for Kubernetes");
        }
    }
}

fn azure_disk(report: &mut Report<'_>, source: &Object, at: &Spot) {
    one_of(report, source, "cachingMode", at, &["None", "ReadOnly", "ReadWrite"]);
    one_of(report, source, "kind", at, &["Dedicated", "Managed", "Shared"]);
    let Some(kind) = text(source, "kind") else { return };
    let start = if kind == "Managed" { "/subscriptions/" } else { "https://" };
    let uri = text(source, "diskURI").unwrap_or_default();
    if !uri.starts_with(start) {
        report.invalid(
            &at.child("diskURI"),
            uri,
            &format!("must start with `{start}` for a disk of this kind"),
        );
    }
}

fn csi(report: &mut Report<'_>, source: &Object, at: &Spot) {
    path(report, source, "driver", at, |driver| {
        let rule = format::dns_subdomain(&driver.to_lowercase());
        rule.or((driver.len() > 63).then_some("must have at most 63 characters"))
    });
    if let Some(secret) = inside(source, "nodePublishSecretRef") {
        let name = text(secret, "name").unwrap_or_default();
        let spot = at.child("nodePublishSecretRef").child("name");
        if name.is_empty() {
            report.required(&spot, "name the secret");
        } else if let Some(rule) = format::dns_subdomain(name) {
            report.invalid(&spot.called(format!("{}.name", at.field)), name, rule);
        }
    }
}
