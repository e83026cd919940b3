//! Checks the container of a sidecar as Kubernetes v1.32 checks the containers of a pod.

use super::report::{FieldRef, ValidationReport};
use super::{env, format, mounts, probe, resources, security};
use crate::model::json::{JsonObject, int_at, object_at, objects_at, string_at, text_at};
use crate::model::sidecar_set::schema::required_strings;
use crate::yaml::FieldPath;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The volumes of a set by name. An invalid volume has been reported and is None.
pub(super) type VolumesByName<'a> = BTreeMap<&'a str, Option<&'a JsonObject>>;

/// Checks all containers and init containers.
pub(super) fn check(report: &mut ValidationReport<'_>, spec: &JsonObject, volumes: &VolumesByName<'_>) {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut host_ports = BTreeSet::new();
    for list in ["containers", "initContainers"] {
        let at = FieldRef::new(FieldPath::dotted("spec").child(list));
        for (i, container) in objects_at(spec, list).enumerate() {
            let at = at.item(i);
            check_common(report, container, &at, volumes);
            let name = text_at(container, "name");
            if !name.is_empty() && !names.insert(name) {
                report.duplicate(&at.child("name"), name);
            }
            if list == "containers" {
                check_container_only(report, container, &at);
            } else {
                check_init_only(report, container, &at);
                // Init containers run one after the other and may use the same port.
                host_ports.clear();
            }
            // Kubernetes v1.32 checks each init container as if it were the only one.
            let seen_as = if list == "containers" { at } else { at.reported_as("spec.initContainers[0]") };
            check_host_ports(report, container, &seen_as, &mut host_ports);
        }
        host_ports.clear();
    }
}

fn check_common(
    report: &mut ValidationReport<'_>,
    container: &JsonObject,
    at: &FieldRef,
    volumes: &VolumesByName<'_>,
) {
    check_name(report, container, at);
    let image = text_at(container, "image");
    if image.is_empty() {
        report.required(&at.child("image"), "name the image to run");
    } else if image != image.trim() {
        report.invalid(&at.child("image"), image, "must not begin or end with whitespace");
    }
    check_one_of(report, container, "terminationMessagePolicy", at);
    check_one_of(report, container, "imagePullPolicy", at);
    check_ports(report, container, at);
    env::check(report, container, at);
    mounts::check(report, container, at, volumes);
    resources::check(report, container, at);
    security::check(report, container, at);
}

/// Checks the value of an enumeration.
pub(super) fn check_one_of(report: &mut ValidationReport<'_>, object: &JsonObject, key: &str, at: &FieldRef) {
    let field = at.child(key);
    if let Some(value) = string_at(object, key).filter(|v| !field.values().contains(v)) {
        report.unsupported(&field, value);
    }
}

/// Checks the name of a container or volume.
pub(super) fn check_name(report: &mut ValidationReport<'_>, object: &JsonObject, at: &FieldRef) {
    match text_at(object, "name") {
        "" => report.required(&at.child("name"), "write a name"),
        name => {
            report.check_format(&at.child("name"), name, format::check_dns_label(name));
        }
    }
}

fn check_container_only(report: &mut ValidationReport<'_>, container: &JsonObject, at: &FieldRef) {
    probe::check(report, container, at);
    if container.contains_key("restartPolicy") {
        report.forbidden(&at.child("restartPolicy"), "is allowed only in init containers");
    }
}

fn check_init_only(report: &mut ValidationReport<'_>, container: &JsonObject, at: &FieldRef) {
    let restart = string_at(container, "restartPolicy");
    check_one_of(report, container, "restartPolicy", at);
    if restart == Some("Always") {
        probe::check(report, container, at);
    } else {
        for key in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if container.contains_key(key) {
                report.forbidden(
                    &at.child(key),
                    "is allowed only in init containers with `restartPolicy: Always`",
                );
            }
        }
    }
    if container.contains_key("resizePolicy") {
        report.forbidden(&at.child("resizePolicy"), "is allowed only in containers");
    }
}

fn check_ports(report: &mut ValidationReport<'_>, container: &JsonObject, at: &FieldRef) {
    let list = at.child("ports");
    let mut names = BTreeSet::new();
    for (i, port) in objects_at(container, "ports").enumerate() {
        let at = list.item(i);
        if let Some(name) = string_at(port, "name") {
            match format::check_port_name(name) {
                Some(rule) => report.invalid(&at.child("name"), name, rule),
                None if !names.insert(name) => report.duplicate(&at.child("name"), name),
                None => {}
            }
        }
        match int_at(port, "containerPort") {
            0 => report.required(&at.child("containerPort"), "write the port of the container"),
            number => check_port_number(report, number, &at.child("containerPort")),
        }
        if int_at(port, "hostPort") != 0 {
            check_port_number(report, int_at(port, "hostPort"), &at.child("hostPort"));
        }
        check_one_of(report, port, "protocol", &at);
    }
}

/// Checks the number of a port.
pub(super) fn check_port_number(report: &mut ValidationReport<'_>, number: i64, at: &FieldRef) {
    report.check_range(at, number, 1..=65535);
}

fn check_host_ports(
    report: &mut ValidationReport<'_>,
    container: &JsonObject,
    at: &FieldRef,
    taken: &mut BTreeSet<String>,
) {
    let list = at.child("ports");
    for (i, port) in objects_at(container, "ports").enumerate().filter(|(_, p)| int_at(p, "hostPort") != 0) {
        let part = |key| text_at(port, key);
        let whole = format!("{}/{}/{}", part("protocol"), part("hostIP"), int_at(port, "hostPort"));
        if !taken.insert(whole.clone()) {
            report.duplicate(&list.item(i).child("hostPort"), &whole);
        }
    }
}

/// Checks that an object has the strings and lists that its type requires.
pub(super) fn require(report: &mut ValidationReport<'_>, object: &JsonObject, at: &FieldRef) {
    for key in required_strings(&at.path) {
        require_keys(report, object, &[key], at);
    }
}

/// Checks that an object has strings or lists with content at some keys.
pub(super) fn require_keys(
    report: &mut ValidationReport<'_>,
    object: &JsonObject,
    keys: &[&str],
    at: &FieldRef,
) {
    for key in keys {
        let is_there = match object.get(*key) {
            Some(Value::String(s)) => !s.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            _ => false,
        };
        if !is_there {
            report.required(&at.child(key), &format!("write `{key}: …`"));
        }
    }
}

/// Checks the `name` of the reference at a key.
pub(super) fn require_name(report: &mut ValidationReport<'_>, object: &JsonObject, key: &str, at: &FieldRef) {
    if let Some(reference) = object_at(object, key) {
        require_keys(report, reference, &["name"], &at.child(key));
    }
}
