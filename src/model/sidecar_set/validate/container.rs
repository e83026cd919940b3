//! Checks the container of a sidecar as Kubernetes v1.32 checks the containers of a pod.

use super::fields::{check_name, check_one_of, check_port_number};
use super::report::{FieldRef, ValidationReport};
use super::volume::VolumesByName;
use super::{env, format, mounts, probe, resources, security};
use crate::model::json::{JsonObject, int_at, objects_at, string_at, text_at};
use crate::yaml::FieldPath;
use std::collections::BTreeSet;

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
