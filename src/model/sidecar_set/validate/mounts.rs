//! `volumeMounts` and `volumeDevices` of a container.

use super::container::Volumes;
use super::format;
use super::report::{Report, Spot};
use crate::diag::Code;
use crate::model::sidecar_set::read::{inside, objects, text};
use crate::yaml::Part;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

type Object = Map<String, Value>;

/// Checks what a container mounts.
pub(super) fn check(report: &mut Report<'_>, container: &Object, at: &Spot, volumes: &Volumes<'_>) {
    let all = |list: &str, key: &str| -> BTreeSet<&str> {
        objects(container, list).map(|m| text(m, key).unwrap_or_default()).collect()
    };
    let devices = (all("volumeDevices", "name"), all("volumeDevices", "devicePath"));
    let mounts = (all("volumeMounts", "name"), all("volumeMounts", "mountPath"));
    let mut paths = BTreeSet::new();
    for (i, mount) in objects(container, "volumeMounts").enumerate() {
        let list = at.child("volumeMounts");
        let at = list.item(i);
        let name = check_volume(report, mount, &at, volumes);
        let path = text(mount, "mountPath").unwrap_or_default();
        check_path(report, path, &mut paths, &at.child("mountPath"));
        exclusive(report, name, &devices.0, &at.child("name"), "volumeDevices");
        exclusive(report, path, &devices.1, &at.child("mountPath"), "volumeDevices");
        let is_image = source_of(volumes, name).is_some_and(|v| v.contains_key("image"));
        sub_paths(report, mount, is_image, &at, &list);
        propagation(report, container, mount, &at, &list);
    }
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for (i, device) in objects(container, "volumeDevices").enumerate() {
        let at = at.child("volumeDevices").item(i);
        let name = check_volume(report, device, &at, volumes);
        let is_block = |v: &Object| v.contains_key("persistentVolumeClaim") || v.contains_key("ephemeral");
        if source_of(volumes, name).is_some_and(|v| !is_block(v)) {
            let rule = "must be a volume with `persistentVolumeClaim` or `ephemeral`";
            report.invalid(&at.child("name"), name, rule);
        }
        if !name.is_empty() && !names.insert(name) {
            report.duplicate(&at.child("name"), name);
        }
        let path = text(device, "devicePath").unwrap_or_default();
        check_path(report, path, &mut paths, &at.child("devicePath"));
        if let Some(rule) = format::no_backsteps(path) {
            report.invalid(&at.child("devicePath"), path, rule);
        }
        exclusive(report, name, &mounts.0, &at.child("name"), "volumeMounts");
        exclusive(report, path, &mounts.1, &at.child("devicePath"), "volumeMounts");
    }
}

fn check_volume<'a>(report: &mut Report<'_>, mount: &'a Object, at: &Spot, volumes: &Volumes<'_>) -> &'a str {
    let name = text(mount, "name").unwrap_or_default();
    if name.is_empty() {
        report.required(&at.child("name"), "name a volume of the set");
    } else if !volumes.contains_key(name) {
        let message = format!("the set has no volume `{name}`");
        report.not_found(&at.child("name"), message, "define it under `spec.volumes`, or mount another one");
    }
    name
}

fn source_of<'a>(volumes: &Volumes<'a>, name: &str) -> Option<&'a Object> {
    volumes.get(name).copied().flatten()
}

fn check_path<'a>(report: &mut Report<'_>, path: &'a str, taken: &mut BTreeSet<&'a str>, at: &Spot) {
    if path.is_empty() {
        report.required(at, "write the path inside the container");
    } else if !taken.insert(path) {
        report.duplicate(at, path);
    }
}

fn exclusive(report: &mut Report<'_>, value: &str, taken: &BTreeSet<&str>, at: &Spot, list: &str) {
    if !value.is_empty() && taken.contains(value) {
        report.invalid(at, value, &format!("must not be in `{list}` too"));
    }
}

/// Kubernetes v1.32 reports these without the index of the mount.
fn sub_paths(report: &mut Report<'_>, mount: &Object, is_image: bool, at: &Spot, list: &Spot) {
    let has = |key| text(mount, key).is_some_and(|p| !p.is_empty());
    for key in ["subPath", "subPathExpr"] {
        let Some(path) = text(mount, key).filter(|p| !p.is_empty()) else { continue };
        let spot = at.child(key);
        if is_image {
            report.forbidden(&spot, "does not go with volumes of images");
        }
        if let Some(rule) = format::descending_path(path) {
            report.invalid(&spot.called(list.child(key).field), path, rule);
        }
    }
    if has("subPath") && has("subPathExpr") {
        let message = "`subPath` and `subPathExpr` cannot be used together".into();
        report.error(
            Code::InvalidValue,
            &at.child("subPathExpr"),
            Part::Key,
            message,
            "keep one of the two fields",
        );
    }
}

fn propagation(report: &mut Report<'_>, container: &Object, mount: &Object, at: &Spot, list: &Spot) {
    let mode = text(mount, "mountPropagation");
    let spot = at.child("mountPropagation").called(list.child("mountPropagation").field);
    let supported = ["Bidirectional", "HostToContainer", "None"];
    if let Some(mode) = mode.filter(|m| !supported.contains(m)) {
        report.unsupported(&spot, mode, &supported);
    }
    let privileged = inside(container, "securityContext").and_then(|s| s.get("privileged"));
    if mode == Some("Bidirectional") && privileged.and_then(Value::as_bool) != Some(true) {
        report.invalid(&spot, "Bidirectional", "goes with `privileged: true` only");
    }
    let Some(recursive) = text(mount, "recursiveReadOnly") else { return };
    let spot = at.child("recursiveReadOnly").called(list.child("recursiveReadOnly").field);
    match recursive {
        "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if mount.get("readOnly").and_then(Value::as_bool) != Some(true) {
                report.forbidden(&spot, "goes with `readOnly: true` only");
            }
            if mode.is_some_and(|m| m != "None") {
                report.forbidden(&spot, "does not go with this `mountPropagation`");
            }
        }
        other => report.unsupported(&spot, other, &["Disabled", "IfPossible", "Enabled"]),
    }
}
