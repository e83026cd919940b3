//! The container inside a sidecar, as Kubernetes v1.32 checks those of a pod.

use super::report::{Report, Spot};
use super::{env, format, mounts, probe, resources, security};
use crate::model::sidecar_set::read::{inside, objects, text};
use crate::yaml::Path;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

type Object = Map<String, Value>;

/// The volumes of a set, by name: what containers may mount. One that is broken has been reported and is None.
pub(super) type Volumes<'a> = BTreeMap<&'a str, Option<&'a Object>>;

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES: [&str; 2] = ["File", "FallbackToLogsOnError"];
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// Checks all containers and init containers.
pub(super) fn check(report: &mut Report<'_>, spec: &Object, volumes: &Volumes<'_>) {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut host_ports = BTreeSet::new();
    for list in ["containers", "initContainers"] {
        let at = Spot::new(Path::dotted("spec").then(list));
        for (i, container) in objects(spec, list).enumerate() {
            let at = at.item(i);
            common(report, container, &at, volumes);
            let name = text(container, "name").unwrap_or_default();
            if !name.is_empty() && !names.insert(name) {
                report.duplicate(&at.child("name"), name);
            }
            if list == "containers" {
                only_container(report, container, &at);
            } else {
                only_init(report, container, &at);
                // Init containers run one by one and may use one port after the other.
                host_ports.clear();
            }
            // Kubernetes v1.32 looks at each init container as if it were the only one.
            let seen_as =
                if list == "containers" { at } else { Spot { field: "spec.initContainers[0]".into(), ..at } };
            check_host_ports(report, container, &seen_as, &mut host_ports);
        }
        host_ports.clear();
    }
}

fn common(report: &mut Report<'_>, container: &Object, at: &Spot, volumes: &Volumes<'_>) {
    check_name(report, container, at);
    let image = text(container, "image").unwrap_or_default();
    if image.is_empty() {
        report.required(&at.child("image"), "name the image to run");
    } else if image != image.trim() {
        report.invalid(&at.child("image"), image, "must not begin or end with blanks");
    }
    one_of(report, container, "terminationMessagePolicy", at, &MESSAGE_POLICIES);
    one_of(report, container, "imagePullPolicy", at, &PULL_POLICIES);
    ports(report, container, at);
    env::check(report, container, at);
    mounts::check(report, container, at, volumes);
    resources::check(report, container, at);
    security::check(report, container, at);
}

/// Checks a field that has one of a few values.
pub(super) fn one_of(
    report: &mut Report<'_>,
    object: &Object,
    key: &str,
    at: &Spot,
    supported: &[&'static str],
) {
    if let Some(value) = text(object, key).filter(|v| !supported.contains(v)) {
        report.unsupported(&at.child(key), value, supported);
    }
}

/// Checks the name of a container or volume.
pub(super) fn check_name(report: &mut Report<'_>, object: &Object, at: &Spot) {
    match text(object, "name").unwrap_or_default() {
        "" => report.required(&at.child("name"), "give it a name"),
        name => {
            if let Some(rule) = format::dns_label(name) {
                report.invalid(&at.child("name"), name, rule);
            }
        }
    }
}

fn only_container(report: &mut Report<'_>, container: &Object, at: &Spot) {
    probe::check(report, container, at);
    if container.contains_key("restartPolicy") {
        report.forbidden(&at.child("restartPolicy"), "goes with init containers only");
    }
}

fn only_init(report: &mut Report<'_>, container: &Object, at: &Spot) {
    let restart = text(container, "restartPolicy");
    one_of(report, container, "restartPolicy", at, &["Always"]);
    if restart == Some("Always") {
        probe::check(report, container, at);
    } else {
        for key in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if container.contains_key(key) {
                report.forbidden(&at.child(key), "goes with init containers of `restartPolicy: Always` only");
            }
        }
    }
    if container.contains_key("resizePolicy") {
        report.forbidden(&at.child("resizePolicy"), "goes with containers only");
    }
}

fn ports(report: &mut Report<'_>, container: &Object, at: &Spot) {
    let list = at.child("ports");
    let mut names = BTreeSet::new();
    for (i, port) in objects(container, "ports").enumerate() {
        let at = list.item(i);
        if let Some(name) = text(port, "name") {
            match format::port_name(name) {
                Some(rule) => report.invalid(&at.child("name"), name, rule),
                None if !names.insert(name) => report.duplicate(&at.child("name"), name),
                None => {}
            }
        }
        match int(port, "containerPort") {
            0 => report.required(&at.child("containerPort"), "write the port that the container listens on"),
            number => port_number(report, number, &at.child("containerPort")),
        }
        if int(port, "hostPort") != 0 {
            port_number(report, int(port, "hostPort"), &at.child("hostPort"));
        }
        one_of(report, port, "protocol", &at, &PROTOCOLS);
    }
}

/// Checks the number of a port.
pub(super) fn port_number(report: &mut Report<'_>, number: i64, at: &Spot) {
    if !(1..=65535).contains(&number) {
        report.invalid(at, &number.to_string(), "must be from 1 to 65535");
    }
}

fn check_host_ports(report: &mut Report<'_>, container: &Object, at: &Spot, taken: &mut BTreeSet<String>) {
    let list = at.child("ports");
    for (i, port) in objects(container, "ports").enumerate().filter(|(_, p)| int(p, "hostPort") != 0) {
        let part = |key| text(port, key).unwrap_or_default();
        let whole = format!("{}/{}/{}", part("protocol"), part("hostIP"), int(port, "hostPort"));
        if !taken.insert(whole.clone()) {
            report.duplicate(&list.item(i).child("hostPort"), &whole);
        }
    }
}

/// Returns the number at a key; zero where there is none.
pub(super) fn int(object: &Object, key: &str) -> i64 {
    object.get(key).and_then(Value::as_i64).unwrap_or(0)
}

/// Checks that an object has content at keys of strings or lists.
pub(super) fn require(report: &mut Report<'_>, object: &Object, keys: &[&str], at: &Spot) {
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

/// Checks a reference by `name`, where there is one.
pub(super) fn require_name(report: &mut Report<'_>, object: &Object, key: &str, at: &Spot) {
    if let Some(reference) = inside(object, key) {
        require(report, reference, &["name"], &at.child(key));
    }
}
