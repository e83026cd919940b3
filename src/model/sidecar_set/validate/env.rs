//! Checks `env` and `envFrom` of a container.

use super::format;
use super::report::{FieldRef, ValidationReport};
use super::sidecar::split_subscript;
use crate::diagnostics::Code;
use crate::model::json::{JsonObject, object_at, objects_at, string_at, text_at};
use crate::model::quantity::Quantity;
use crate::yaml::EntryPart;

/// The fields of a pod that a variable can refer to.
const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// The fields of a pod in the downward API.
const POD_FIELDS: [&str; 15] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.host",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
];
const DIVISORS: [&str; 13] =
    ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// Checks the environment of a container.
pub(super) fn check(report: &mut ValidationReport<'_>, container: &JsonObject, at: &FieldRef) {
    let list = at.child("env");
    for (i, variable) in objects_at(container, "env").enumerate() {
        let at = list.item(i);
        match text_at(variable, "name") {
            "" => report.required(&at.child("name"), "write the name of the variable"),
            name => {
                report.check_format(&at.child("name"), name, format::check_env_name(name));
            }
        }
        if let Some(source) = object_at(variable, "valueFrom") {
            let has_value = string_at(variable, "value").is_some_and(|v| !v.is_empty());
            check_value_from(report, source, has_value, &at.child("valueFrom"));
        }
    }
    check_env_from(report, container, &at.child("envFrom"));
}

fn check_value_from(report: &mut ValidationReport<'_>, source: &JsonObject, has_value: bool, at: &FieldRef) {
    if let Some(field) = object_at(source, "fieldRef") {
        check_field_ref(report, field, &ENV_FIELDS, &at.child("fieldRef"));
    }
    if let Some(resource) = object_at(source, "resourceFieldRef") {
        check_resource_ref(report, resource, false, &at.child("resourceFieldRef"));
    }
    for key in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(reference) = object_at(source, key) {
            check_key_ref(report, reference, &at.child(key));
        }
    }
    let message = match source.len() {
        0 => "`valueFrom` has no source",
        _ if has_value => "`value` and `valueFrom` cannot be used together",
        1 => return,
        _ => "`valueFrom` has more than one source",
    };
    let help = "keep `value`, or exactly one of `fieldRef`, `resourceFieldRef`, `configMapKeyRef` and `secretKeyRef`";
    report.error(Code::InvalidValue, at, EntryPart::Key, message.into(), help);
}

/// Checks a reference to a field of the pod.
pub(super) fn check_field_ref(
    report: &mut ValidationReport<'_>,
    field_ref: &JsonObject,
    supported: &[&'static str],
    at: &FieldRef,
) {
    let path = text_at(field_ref, "fieldPath");
    let field = at.child("fieldPath");
    if path.is_empty() {
        return report.required(&field, "write the field of the pod");
    }
    if string_at(field_ref, "apiVersion").is_some_and(|v| v != "v1") {
        return report.invalid(&field, path, "requires `apiVersion: v1`");
    }
    match split_subscript(path) {
        Some(("metadata.annotations", key)) => check_subscript_key(report, &key.to_lowercase(), at),
        Some(("metadata.labels", key)) => check_subscript_key(report, key, at),
        Some(_) => {
            report.invalid(&field, path, "must not have brackets: only labels and annotations have them")
        }
        None if supported.contains(&path)
            || (path == "spec.host" && supported.contains(&"spec.nodeName")) => {}
        None if POD_FIELDS.contains(&path) => report.not_among(&field, path, supported),
        None => report.invalid(&field, path, "is not an available field of a pod"),
    }
}

fn check_subscript_key(report: &mut ValidationReport<'_>, key: &str, at: &FieldRef) {
    report.check_format(at, key, format::check_qualified_name(key));
}

/// Checks a reference to a resource of a container.
pub(super) fn check_resource_ref(
    report: &mut ValidationReport<'_>,
    reference: &JsonObject,
    in_volume: bool,
    at: &FieldRef,
) {
    let resource = text_at(reference, "resource");
    let is_huge = ["requests.hugepages-", "limits.hugepages-"].iter().any(|p| resource.starts_with(p));
    if in_volume && string_at(reference, "containerName").is_none() {
        report.required(&at.child("containerName"), "write the container of the resource");
    } else if resource.is_empty() {
        report.required(&at.child("resource"), "write the resource");
    } else if !is_huge && !RESOURCES.contains(&resource) {
        report.not_among(&at.child("resource"), resource, &RESOURCES);
    }
    let divisor = string_at(reference, "divisor").unwrap_or("0");
    let is_zero = Quantity::parse(divisor).is_ok_and(|q| q.sign() == 0);
    let allowed: &'static [&'static str] = match resource {
        "limits.cpu" | "requests.cpu" => &["1m", "1"],
        _ if is_huge || RESOURCES.contains(&resource) => &DIVISORS,
        _ => return,
    };
    if !is_zero && !allowed.contains(&divisor) {
        report.not_among(&at.child("divisor"), divisor, allowed);
    }
}

fn check_key_ref(report: &mut ValidationReport<'_>, reference: &JsonObject, at: &FieldRef) {
    let name = text_at(reference, "name");
    report.check_format(&at.child("name"), name, format::check_dns_subdomain(name));
    match text_at(reference, "key") {
        "" => report.required(&at.child("key"), "write the key"),
        key => {
            report.check_format(&at.child("key"), key, format::check_config_key(key));
        }
    }
}

fn check_env_from(report: &mut ValidationReport<'_>, container: &JsonObject, list: &FieldRef) {
    for (i, source) in objects_at(container, "envFrom").enumerate() {
        let at = list.item(i);
        if let Some(prefix) = string_at(source, "prefix")
            && let Some(rule) = format::check_env_name(prefix)
        {
            report.invalid(&at.child("prefix"), prefix, rule);
        }
        for key in ["configMapRef", "secretRef"] {
            let Some(reference) = object_at(source, key) else { continue };
            let field = at.child(key).child("name");
            match text_at(reference, "name") {
                "" => report.required(&field, "write the name of the object"),
                name => {
                    // Kubernetes v1.32 checks the name as a prefix here, which may end with a hyphen.
                    let masked = name.strip_suffix('-').map_or_else(|| name.to_owned(), |n| format!("{n}a"));
                    report.check_format(&field, name, format::check_dns_subdomain(&masked));
                }
            }
        }
        let count = ["configMapRef", "secretRef"].iter().filter(|k| source.contains_key(**k)).count();
        if count != 1 {
            let message = if count == 0 { "has no source" } else { "has more than one source" };
            let help = "write one of `configMapRef` and `secretRef`";
            let field = at.clone().reported_as(&list.reported_path);
            report.error(
                Code::InvalidValue,
                &field,
                EntryPart::Value,
                format!("an item of `envFrom` {message}"),
                help,
            );
        }
    }
}
