//! `volumeMounts` and `volumeDevices` of a container.

use super::container::VolumesByName;
use super::format;
use super::report::{FieldRef, ValidationReport};
use crate::diagnostics::Code;
use crate::model::json::{JsonObject, object_at, objects_at, string_at, text_at};
use crate::yaml::EntryPart;
use serde_json::Value;
use std::collections::BTreeSet;

/// Checks what a container mounts.
pub(super) fn check(
    report: &mut ValidationReport<'_>,
    container: &JsonObject,
    at: &FieldRef,
    volumes: &VolumesByName<'_>,
) {
    let all = |list: &str, key: &str| -> BTreeSet<&str> {
        objects_at(container, list).map(|m| text_at(m, key)).collect()
    };
    let devices = (all("volumeDevices", "name"), all("volumeDevices", "devicePath"));
    let mounts = (all("volumeMounts", "name"), all("volumeMounts", "mountPath"));
    let mut paths = BTreeSet::new();
    for (i, mount) in objects_at(container, "volumeMounts").enumerate() {
        let list = at.child("volumeMounts");
        let at = list.item(i);
        let name = check_volume(report, mount, &at, volumes);
        let path = text_at(mount, "mountPath");
        check_path(report, path, &mut paths, &at.child("mountPath"));
        check_unique_path(report, name, &devices.0, &at.child("name"), "volumeDevices");
        check_unique_path(report, path, &devices.1, &at.child("mountPath"), "volumeDevices");
        let is_image = source_of(volumes, name).is_some_and(|v| v.contains_key("image"));
        check_sub_paths(report, mount, is_image, &at, &list);
        check_propagation(report, container, mount, &at, &list);
    }
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for (i, device) in objects_at(container, "volumeDevices").enumerate() {
        let at = at.child("volumeDevices").item(i);
        let name = check_volume(report, device, &at, volumes);
        let is_block =
            |v: &JsonObject| v.contains_key("persistentVolumeClaim") || v.contains_key("ephemeral");
        if source_of(volumes, name).is_some_and(|v| !is_block(v)) {
            let rule = "must be a volume with `persistentVolumeClaim` or `ephemeral`";
            report.invalid(&at.child("name"), name, rule);
        }
        if !name.is_empty() && !names.insert(name) {
            report.duplicate(&at.child("name"), name);
        }
        let path = text_at(device, "devicePath");
        check_path(report, path, &mut paths, &at.child("devicePath"));
        if let Some(rule) = format::check_no_parent_steps(path) {
            report.invalid(&at.child("devicePath"), path, rule);
        }
        check_unique_path(report, name, &mounts.0, &at.child("name"), "volumeMounts");
        check_unique_path(report, path, &mounts.1, &at.child("devicePath"), "volumeMounts");
    }
}

fn check_volume<'a>(
    report: &mut ValidationReport<'_>,
    mount: &'a JsonObject,
    at: &FieldRef,
    volumes: &VolumesByName<'_>,
) -> &'a str {
    let name = text_at(mount, "name");
    if name.is_empty() {
        report.required(&at.child("name"), "name a volume of the set");
    } else if !volumes.contains_key(name) {
        let message = format!("the set has no volume `{name}`");
        report.not_found(&at.child("name"), message, "define it under `spec.volumes`, or mount another one");
    }
    name
}

fn source_of<'a>(volumes: &VolumesByName<'a>, name: &str) -> Option<&'a JsonObject> {
    volumes.get(name).copied().flatten()
}

fn check_path<'a>(
    report: &mut ValidationReport<'_>,
    path: &'a str,
    taken: &mut BTreeSet<&'a str>,
    at: &FieldRef,
) {
    if path.is_empty() {
        report.required(at, "write the path inside the container");
    } else if !taken.insert(path) {
        report.duplicate(at, path);
    }
}

fn check_unique_path(
    report: &mut ValidationReport<'_>,
    value: &str,
    taken: &BTreeSet<&str>,
    at: &FieldRef,
    list: &str,
) {
    if !value.is_empty() && taken.contains(value) {
        report.invalid(at, value, &format!("must not be in `{list}` too"));
    }
}

/// Kubernetes v1.32 reports these without the index of the mount.
fn check_sub_paths(
    report: &mut ValidationReport<'_>,
    mount: &JsonObject,
    is_image: bool,
    at: &FieldRef,
    list: &FieldRef,
) {
    let has = |key| string_at(mount, key).is_some_and(|p| !p.is_empty());
    for key in ["subPath", "subPathExpr"] {
        let Some(path) = string_at(mount, key).filter(|p| !p.is_empty()) else { continue };
        let spot = at.child(key);
        if is_image {
            report.forbidden(&spot, "does not go with volumes of images");
        }
        if let Some(rule) = format::check_descending_path(path) {
            report.invalid(&spot.with_name(list.child(key).field), path, rule);
        }
    }
    if has("subPath") && has("subPathExpr") {
        let message = "`subPath` and `subPathExpr` cannot be used together".into();
        report.error(
            Code::InvalidValue,
            &at.child("subPathExpr"),
            EntryPart::Key,
            message,
            "keep one of the two fields",
        );
    }
}

fn check_propagation(
    report: &mut ValidationReport<'_>,
    container: &JsonObject,
    mount: &JsonObject,
    at: &FieldRef,
    list: &FieldRef,
) {
    let mode = string_at(mount, "mountPropagation");
    let spot = at.child("mountPropagation").with_name(list.child("mountPropagation").field);
    if let Some(mode) = mode.filter(|m| !spot.values().contains(m)) {
        report.unsupported(&spot, mode);
    }
    let privileged = object_at(container, "securityContext").and_then(|s| s.get("privileged"));
    if mode == Some("Bidirectional") && privileged.and_then(Value::as_bool) != Some(true) {
        report.invalid(&spot, "Bidirectional", "goes with `privileged: true` only");
    }
    let Some(recursive) = string_at(mount, "recursiveReadOnly") else { return };
    let spot = at.child("recursiveReadOnly").with_name(list.child("recursiveReadOnly").field);
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
        other => report.unsupported(&spot, other),
    }
}
