//! Label selectors and labels: what makes them invalid, and whether two of them can hold for one object.

use super::format;
use super::report::{Report, Spot};
use crate::diag::Code;
use crate::model::selector::{Operator, Selector};
use crate::model::sidecar_set::read::{inside, objects, pairs, text, texts};
use crate::yaml::Part;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

type Object = Map<String, Value>;

/// Checks a selector the way Kruise checks its own: it may not be empty either.
pub(super) fn check(report: &mut Report<'_>, selector: &Object, at: &Spot) {
    let is_sound = check_terms(report, selector, at);
    if inside(selector, "matchLabels").is_none() && inside_list(selector).is_none() {
        let message = format!("`{}` is empty", at.name());
        let help = "select by `matchLabels` or `matchExpressions`, or remove the field";
        report.error(Code::InvalidSelector, at, Part::Key, message, help);
    }
    if !is_sound {
        let whole = at.clone().called(format!("{}.selector", at.field));
        let message = format!("`{}` cannot be used to select anything", at.name());
        report.error(Code::InvalidSelector, &whole, Part::Key, message, "mend its terms");
    }
}

/// Checks the terms of a selector. Tells whether they are sound.
pub(super) fn check_terms(report: &mut Report<'_>, selector: &Object, at: &Spot) -> bool {
    let mut is_sound = true;
    for (key, value) in pairs(selector, "matchLabels") {
        is_sound &= label(report, &key, &value, &at.child("matchLabels"));
    }
    let expressions = at.child("matchExpressions");
    for (i, term) in objects(selector, "matchExpressions").enumerate() {
        is_sound &= requirement(report, term, &expressions.item(i));
    }
    is_sound
}

/// Checks labels.
pub(super) fn check_labels(report: &mut Report<'_>, object: &Object, key: &str, at: &Spot) {
    for (name, value) in pairs(object, key) {
        label(report, &name, &value, &at.child(key));
    }
}

fn label(report: &mut Report<'_>, key: &str, value: &str, at: &Spot) -> bool {
    let entry = at.entry(key).called(at.field.clone());
    let (name_rule, value_rule) = (format::qualified_name(key), format::label_value(value));
    if let Some(rule) = name_rule {
        report.error(
            Code::InvalidValue,
            &entry,
            Part::Key,
            format!("`{}` is no valid label: it {rule}", entry.name()),
            "change the key",
        );
    }
    if let Some(rule) = value_rule {
        report.invalid(&entry, value, rule);
    }
    name_rule.is_none() && value_rule.is_none()
}

fn requirement(report: &mut Report<'_>, term: &Object, at: &Spot) -> bool {
    let values: Vec<&str> = texts(term, "values").collect();
    let mut is_sound = true;
    match text(term, "operator").unwrap_or_default() {
        "In" | "NotIn" if values.is_empty() => {
            report.required(&at.child("values"), "write at least one value for `In` and `NotIn`");
            is_sound = false;
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            report.forbidden(&at.child("values"), "goes with `In` and `NotIn` only");
            is_sound = false;
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        operator => {
            let supported = ["In", "NotIn", "Exists", "DoesNotExist"];
            report.unsupported(&at.child("operator"), operator, &supported);
            is_sound = false;
        }
    }
    let key = text(term, "key").unwrap_or_default();
    if let Some(rule) = format::qualified_name(key) {
        report.invalid(&at.child("key"), key, rule);
        is_sound = false;
    }
    for (i, value) in values.iter().enumerate() {
        if let Some(rule) = format::label_value(value) {
            report.invalid(&at.child("values").item(i), value, rule);
            is_sound = false;
        }
    }
    is_sound
}

fn inside_list(selector: &Object) -> Option<&Vec<Value>> {
    selector.get("matchExpressions").and_then(Value::as_array)
}

/// Tells whether two selectors may hold for one object, as far as Kruise looks.
pub(super) fn overlap(a: &Selector, b: &Selector) -> bool {
    !is_disjoint(a, b) && !is_disjoint(b, a)
}

/// What one selector says of a key: the values it allows, or any.
enum Allowed<'a> {
    Any,
    Of(BTreeSet<&'a str>),
}

/// Kruise v1.9.0 pkg/util IsSelectorOverlapping: looks from one side for a key on which the other cannot agree. What
/// asks for a key to exist counts as disjoint from a selector that does not name the key.
fn is_disjoint(a: &Selector, b: &Selector) -> bool {
    let mut allowed: BTreeMap<&str, Allowed<'_>> = BTreeMap::new();
    for (key, value) in &a.match_labels {
        allowed.insert(key, Allowed::Of(BTreeSet::from([value.as_str()])));
    }
    for term in &a.match_expressions {
        match &term.operator {
            Operator::In(values) => {
                match allowed.entry(&term.key).or_insert_with(|| Allowed::Of(BTreeSet::new())) {
                    Allowed::Of(list) => list.extend(values.iter().map(String::as_str)),
                    Allowed::Any => {}
                }
            }
            Operator::Exists => {
                allowed.insert(&term.key, Allowed::Any);
            }
            Operator::NotIn(_) | Operator::DoesNotExist => {}
        }
    }
    let lacks = |key: &str, values: &[String]| match allowed.get(key) {
        Some(Allowed::Of(list)) => !values.iter().any(|v| list.contains(v.as_str())),
        _ => false,
    };
    b.match_labels.iter().any(|(key, value)| lacks(key, std::slice::from_ref(value)))
        || b.match_expressions.iter().any(|term| match &term.operator {
            Operator::In(values) => lacks(&term.key, values),
            Operator::NotIn(values) => match allowed.get(term.key.as_str()) {
                Some(Allowed::Of(list)) => list.is_subset(&values.iter().map(String::as_str).collect()),
                _ => false,
            },
            Operator::Exists => !allowed.contains_key(term.key.as_str()),
            Operator::DoesNotExist => allowed.contains_key(term.key.as_str()),
        })
}
