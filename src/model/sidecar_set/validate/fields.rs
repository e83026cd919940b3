//! Checks of single fields that several kinds of objects share.

use super::format;
use super::report::{FieldRef, ValidationReport};
use crate::model::json::{JsonObject, object_at, string_at, text_at};
use crate::model::sidecar_set::schema::required_strings;
use serde_json::Value;

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

/// Checks the number of a port.
pub(super) fn check_port_number(report: &mut ValidationReport<'_>, number: i64, at: &FieldRef) {
    report.check_range(at, number, 1..=65535);
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
/// Checks the format of the string at a key, unless it is empty.
pub(super) fn check_path(
    report: &mut ValidationReport<'_>,
    source: &JsonObject,
    key: &str,
    at: &FieldRef,
    rule: impl Fn(&str) -> format::FormatViolation,
) {
    if let Some(value) = string_at(source, key).filter(|v| !v.is_empty())
        && let Some(rule) = rule(value)
    {
        report.invalid(&at.child(key), value, rule);
    }
}
