//! Checks `volumeMounts` and `volumeDevices` of a container.

use super::format;
use super::report::{FieldRef, ValidationReport};
use super::volume::VolumesByName;
use crate::diagnostics::Code;
use crate::model::json::{JsonObject, object_at, objects_at, string_at, text_at};
use serde_json::Value;
use std::collections::BTreeSet;

/// Checks the mounts of a container.
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
        report.check_format(&at.child("devicePath"), path, format::check_no_parent_steps(path));
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
        report.required(&at.child("name"), "write the name of a volume of the SidecarSet");
    } else if !volumes.contains_key(name) {
        let message = format!("volume `{name}` does not exist in the SidecarSet");
        report.not_found(&at.child("name"), message, "define it in `spec.volumes`, or mount another volume");
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
        report.required(at, "write a path in the container");
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
        report.invalid(at, value, &format!("must not also be in `{list}`"));
    }
}

/// Checks the sub-paths of a mount. Kubernetes v1.32 reports them without the index of the mount.
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
        let field = at.child(key);
        if is_image {
            report.forbidden(&field, "is not allowed with image volumes");
        }
        report.check_format(
            &field.reported_as(list.child(key).reported_path),
            path,
            format::check_descending_path(path),
        );
    }
    if has("subPath") && has("subPathExpr") {
        report.not_together(Code::InvalidValue, &at.child("subPathExpr"), ["subPath", "subPathExpr"]);
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
    let field = at.child("mountPropagation").reported_as(list.child("mountPropagation").reported_path);
    if let Some(mode) = mode.filter(|m| !field.values().contains(m)) {
        report.unsupported(&field, mode);
    }
    let privileged = object_at(container, "securityContext").and_then(|s| s.get("privileged"));
    if mode == Some("Bidirectional") && privileged.and_then(Value::as_bool) != Some(true) {
        report.invalid(&field, "Bidirectional", "is allowed only with `privileged: true`");
    }
    let Some(recursive) = string_at(mount, "recursiveReadOnly") else { return };
    let field = at.child("recursiveReadOnly").reported_as(list.child("recursiveReadOnly").reported_path);
    match recursive {
        "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if mount.get("readOnly").and_then(Value::as_bool) != Some(true) {
                report.forbidden(&field, "is allowed only with `readOnly: true`");
            }
            if mode.is_some_and(|m| m != "None") {
                report.forbidden(&field, "is not allowed with this `mountPropagation`");
            }
        }
        other => report.unsupported(&field, other),
    }
}
