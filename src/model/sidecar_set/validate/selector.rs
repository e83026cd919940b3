//! Checks label selectors and labels, and whether two selectors can match the same object.

use super::format;
use super::report::{FieldRef, ValidationReport};
use crate::diagnostics::Code;
use crate::model::json::{JsonObject, object_at, objects_at, string_entries, strings_at, text_at};
use crate::model::selector::{Selector, SelectorOperator};
use crate::yaml::EntryPart;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Checks a selector of Kruise's own, which must not be empty.
pub(super) fn check(report: &mut ValidationReport<'_>, selector: &JsonObject, at: &FieldRef) {
    let is_valid = check_terms(report, selector, at);
    if object_at(selector, "matchLabels").is_none() && list_terms(selector).is_none() {
        let message = format!("`{}` is empty", at.name());
        let help = "select by `matchLabels` or `matchExpressions`, or remove the field";
        report.error(Code::InvalidSelector, at, EntryPart::Key, message, help);
    }
    if !is_valid {
        let whole = at.clone().reported_as(format!("{}.selector", at.reported_path));
        let message = format!("`{}` is not a valid selector", at.name());
        report.error(Code::InvalidSelector, &whole, EntryPart::Key, message, "fix its expressions");
    }
}

/// Checks the terms of a selector. Returns whether they are valid.
pub(super) fn check_terms(report: &mut ValidationReport<'_>, selector: &JsonObject, at: &FieldRef) -> bool {
    let mut is_valid = true;
    for (key, value) in string_entries(selector, "matchLabels") {
        is_valid &= check_label(report, &key, &value, &at.child("matchLabels"));
    }
    let expressions = at.child("matchExpressions");
    for (i, term) in objects_at(selector, "matchExpressions").enumerate() {
        is_valid &= requirement(report, term, &expressions.item(i));
    }
    is_valid
}

/// Checks labels.
pub(super) fn check_labels(report: &mut ValidationReport<'_>, object: &JsonObject, key: &str, at: &FieldRef) {
    for (name, value) in string_entries(object, key) {
        check_label(report, &name, &value, &at.child(key));
    }
}

fn check_label(report: &mut ValidationReport<'_>, key: &str, value: &str, at: &FieldRef) -> bool {
    let entry = at.entry(key).reported_as(at.reported_path.clone());
    let (name_rule, value_rule) = (format::check_qualified_name(key), format::check_label_value(value));
    if let Some(rule) = name_rule {
        report.error(
            Code::InvalidValue,
            &entry,
            EntryPart::Key,
            format!("`{}` is not a valid label key: it {rule}", entry.name()),
            "change the key",
        );
    }
    if let Some(rule) = value_rule {
        report.invalid(&entry, value, rule);
    }
    name_rule.is_none() && value_rule.is_none()
}

fn requirement(report: &mut ValidationReport<'_>, term: &JsonObject, at: &FieldRef) -> bool {
    let values: Vec<&str> = strings_at(term, "values").collect();
    let mut is_valid = true;
    match text_at(term, "operator") {
        "In" | "NotIn" if values.is_empty() => {
            report.required(&at.child("values"), "write at least one value for `In` and `NotIn`");
            is_valid = false;
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            report.forbidden(&at.child("values"), "is allowed only with `In` and `NotIn`");
            is_valid = false;
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        operator => {
            report.unsupported(&at.child("operator"), operator);
            is_valid = false;
        }
    }
    let key = text_at(term, "key");
    if let Some(rule) = format::check_qualified_name(key) {
        report.invalid(&at.child("key"), key, rule);
        is_valid = false;
    }
    for (i, value) in values.iter().enumerate() {
        if let Some(rule) = format::check_label_value(value) {
            report.invalid(&at.child("values").item(i), value, rule);
            is_valid = false;
        }
    }
    is_valid
}

fn list_terms(selector: &JsonObject) -> Option<&Vec<Value>> {
    selector.get("matchExpressions").and_then(Value::as_array)
}

/// Returns whether two selectors may match the same object, by Kruise's rules.
pub(super) fn may_overlap(a: &Selector, b: &Selector) -> bool {
    !is_disjoint(a, b) && !is_disjoint(b, a)
}

/// The values of a key that a selector allows.
enum AllowedValues<'a> {
    Any,
    Values(BTreeSet<&'a str>),
}

/// Returns whether `b` requires something that `a` rules out. Mirrors Kruise v1.9.0 pkg/util IsSelectorOverlapping:
/// `Exists` counts as disjoint from a selector without the key.
fn is_disjoint(a: &Selector, b: &Selector) -> bool {
    let mut allowed: BTreeMap<&str, AllowedValues<'_>> = BTreeMap::new();
    for (key, value) in &a.match_labels {
        allowed.insert(key, AllowedValues::Values(BTreeSet::from([value.as_str()])));
    }
    for term in &a.match_expressions {
        match &term.operator {
            SelectorOperator::In(values) => {
                match allowed.entry(&term.key).or_insert_with(|| AllowedValues::Values(BTreeSet::new())) {
                    AllowedValues::Values(list) => list.extend(values.iter().map(String::as_str)),
                    AllowedValues::Any => {}
                }
            }
            SelectorOperator::Exists => {
                allowed.insert(&term.key, AllowedValues::Any);
            }
            SelectorOperator::NotIn(_) | SelectorOperator::DoesNotExist => {}
        }
    }
    let lacks = |key: &str, values: &[String]| match allowed.get(key) {
        Some(AllowedValues::Values(list)) => !values.iter().any(|v| list.contains(v.as_str())),
        _ => false,
    };
    b.match_labels.iter().any(|(key, value)| lacks(key, std::slice::from_ref(value)))
        || b.match_expressions.iter().any(|term| match &term.operator {
            SelectorOperator::In(values) => lacks(&term.key, values),
            SelectorOperator::NotIn(values) => match allowed.get(term.key.as_str()) {
                Some(AllowedValues::Values(list)) => {
                    list.is_subset(&values.iter().map(String::as_str).collect())
                }
                _ => false,
            },
            SelectorOperator::Exists => !allowed.contains_key(term.key.as_str()),
            SelectorOperator::DoesNotExist => allowed.contains_key(term.key.as_str()),
        })
}
