//! Checks the selectors, `updateStrategy` and `injectionStrategy` of a SidecarSet.

use super::fields::check_one_of;
use super::report::{FieldRef, ValidationReport};
use super::selector;
use crate::diagnostics::{Code, Diagnostic, Severity};
use crate::model::json::{JsonObject, int_at, object_at, objects_at, string_at, text_at};
use crate::model::sidecar_set::{SidecarSet, is_native_sidecar};
use crate::yaml::{EntryPart, FieldPath};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Checks the selectors of a set.
pub(super) fn check_selectors(report: &mut ValidationReport<'_>, spec: &JsonObject) {
    let at = FieldRef::new(FieldPath::dotted("spec"));
    match object_at(spec, "selector") {
        Some(pods) => selector::check(report, pods, &at.child("selector")),
        None => {
            report.required(&at.child("selector"), "select the pods that get the sidecars by their labels")
        }
    }
    if let Some(namespaces) = object_at(spec, "namespaceSelector") {
        selector::check(report, namespaces, &at.child("namespaceSelector"));
    }
}

/// Checks `injectionStrategy`. The revision must be one of `history`, earlier revisions of SidecarSets.
pub(super) fn check_injection(
    report: &mut ValidationReport<'_>,
    set: &SidecarSet,
    spec: &JsonObject,
    history: &[Arc<SidecarSet>],
) {
    let at = FieldRef::new(FieldPath::dotted("spec.injectionStrategy.revision"));
    let Some(revision) = object_at(spec, "injectionStrategy").and_then(|s| object_at(s, "revision")) else {
        return;
    };
    let (name, version) = (string_at(revision, "revisionName"), string_at(revision, "customVersion"));
    let whole = at.clone().reported_as("revision");
    let states = || history.iter().filter(|s| s.name == set.name);
    match (name, version) {
        (None, None) => report.required(&whole, "write `revisionName` or `customVersion`"),
        (Some(name), _) if !states().any(|s| s.revision_name == name) => {
            report_unknown_revision(report, &at.child("revisionName").reported_as("revision"), name);
        }
        (None, Some(version)) if !states().any(|s| s.custom_version.as_deref() == Some(version)) => {
            report_unknown_revision(report, &at.child("customVersion").reported_as("revision"), version);
        }
        _ => {}
    }
    check_one_of(report, revision, "policy", &at);
}

fn report_unknown_revision(report: &mut ValidationReport<'_>, at: &FieldRef, name: &str) {
    let message = format!("no known revision of this SidecarSet is named `{name}`");
    report.not_found(at, message, "pass the earlier revisions with `--history FILE`, oldest first");
}

/// Checks `updateStrategy`. Kruise checks only the type RollingUpdate.
pub(super) fn check_update(report: &mut ValidationReport<'_>, spec: &JsonObject) {
    let at = FieldRef::new(FieldPath::dotted("spec.updateStrategy"));
    let Some(strategy) = object_at(spec, "updateStrategy") else { return };
    match text_at(strategy, "type") {
        "RollingUpdate" => check_rolling_update(report, spec, strategy, &at),
        "NotUpdate" => {}
        kind => {
            // Kruise v1.9.0 sidecarset_processor.go isSidecarSetNotUpdate: nothing but NotUpdate stops an update.
            let message = format!(
                "`{kind}` is not a valid value of `type`: Kruise accepts it and updates pods without checks"
            );
            let help = "use `RollingUpdate` or `NotUpdate`";
            report.warning(Code::IgnoredValue, &at.child("type"), EntryPart::Value, message, help);
        }
    }
}

fn check_rolling_update(
    report: &mut ValidationReport<'_>,
    spec: &JsonObject,
    strategy: &JsonObject,
    at: &FieldRef,
) {
    check_native_sidecars(report, spec, at);
    let selects = object_at(strategy, "selector");
    let holds_back = strategy.get("partition").is_some_and(|p| p.is_string() || p.as_i64() != Some(0));
    if selects.is_some() && holds_back {
        report.add(Severity::Error, |locations| {
            let message = "`partition` and `selector` cannot be used together";
            Diagnostic::error(Code::PartitionWithSelector, message)
                .at(locations.label(
                    &at.child("partition").path,
                    EntryPart::Key,
                    "a number of pods is held back here",
                ))
                .at(locations.label(
                    &at.child("selector").path,
                    EntryPart::Key,
                    "canary pods are chosen here",
                ))
                .field("updateStrategy")
                .because("Kruise rejects this SidecarSet")
                .help("keep one of the two fields")
        });
    }
    if let Some(selects) = selects {
        selector::check(report, selects, &at.child("selector"));
    }
    for key in ["partition", "maxUnavailable"] {
        if let Some(amount) = strategy.get(key) {
            check_int_or_percent(report, amount, &at.child(key));
        }
    }
    if let Some(priority) = object_at(strategy, "priorityStrategy") {
        check_priorities(report, priority, &at.child("priorityStrategy"));
    }
    check_scatter(report, strategy, &at.child("scatterStrategy"));
}

/// Kruise v1.9.0 validateSidecarSetSpec: native sidecars cannot be updated in place.
fn check_native_sidecars(report: &mut ValidationReport<'_>, spec: &JsonObject, at: &FieldRef) {
    let list = FieldPath::dotted("spec.initContainers");
    let containers = spec.get("initContainers").and_then(Value::as_array).into_iter().flatten();
    for (i, container) in containers.enumerate().filter(|(_, c)| is_native_sidecar(c)) {
        let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
        let restart = FieldRef::new(list.child(i).child("restartPolicy"));
        let message = format!("the native sidecar `{name}` cannot be updated in place");
        report.add(Severity::Error, |locations| {
            let asks = "this enables updates; RollingUpdate is the default";
            Diagnostic::error(Code::NativeSidecarUpdate, message)
                .at(locations.label(&restart.path, EntryPart::Value, "this makes it a native sidecar"))
                .at(locations.label(&at.child("type").path, EntryPart::Key, asks))
                .field(&at.reported_path)
                .because("Kruise rejects this SidecarSet")
                .help("write `updateStrategy: {type: NotUpdate}`; pillion rolls the set out in batches all the same, and its pods are recreated")
        });
    }
}

fn check_int_or_percent(report: &mut ValidationReport<'_>, amount: &Value, at: &FieldRef) {
    match amount {
        Value::String(text) => {
            let digits = text.strip_suffix('%').unwrap_or_default();
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                report.invalid(at, text, "must be a number without quotes or a percentage such as `10%`");
            }
        }
        number if number.as_i64().is_some_and(|n| n < 0) => {
            report.invalid(at, &number.to_string(), "must not be negative");
        }
        _ => {}
    }
}

fn check_priorities(report: &mut ValidationReport<'_>, strategy: &JsonObject, at: &FieldRef) {
    let has = |key| objects_at(strategy, key).next().is_some();
    if has("weightPriority") && has("orderPriority") {
        return report.not_together(Code::InvalidValue, at, ["weightPriority", "orderPriority"]);
    }
    for (i, term) in objects_at(strategy, "weightPriority").enumerate() {
        let term_at = at.child("weightPriority").item(i);
        let weight = int_at(term, "weight");
        if !(0..=100).contains(&weight) {
            let field = term_at.child("weight").reported_as(&at.reported_path);
            report.invalid(&field, &weight.to_string(), "must be from 1 to 100");
        }
        let field = term_at.child("matchSelector");
        let empty = JsonObject::new();
        let matches = object_at(term, "matchSelector").unwrap_or(&empty);
        if matches.is_empty() {
            report.required(&field.reported_as(&at.reported_path), "select the pods with this weight");
        } else if !selector::check_terms(report, matches, &field) {
            let message = "`matchSelector` is not a valid selector".into();
            report.error(
                Code::InvalidSelector,
                &field.reported_as(&at.reported_path),
                EntryPart::Key,
                message,
                "fix its expressions",
            );
        }
    }
    for (i, term) in objects_at(strategy, "orderPriority").enumerate() {
        if text_at(term, "orderedKey").is_empty() {
            let field = at.child("orderPriority").item(i).child("orderedKey").reported_as(&at.reported_path);
            report.required(&field, "write the label that orders the pods");
        }
    }
}

fn check_scatter(report: &mut ValidationReport<'_>, strategy: &JsonObject, at: &FieldRef) {
    let mut terms = BTreeSet::new();
    for (i, term) in objects_at(strategy, "scatterStrategy").enumerate() {
        let key = text_at(term, "key");
        let value = text_at(term, "value");
        let field = at.item(i).child("key").reported_as(&at.reported_path);
        if key.is_empty() {
            report.required(&field, "write the label to scatter by");
        } else if !terms.insert(format!("{key}:{value}")) {
            report.duplicate(&field, &format!("{key}={value}"));
        }
    }
}
