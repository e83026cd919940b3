//! Selectors, `updateStrategy` and `injectionStrategy`.

use super::report::{Report, Spot, label};
use super::selector;
use crate::diag::{Code, Diagnostic, Severity};
use crate::model::sidecar_set::read::{inside, objects, text};
use crate::model::sidecar_set::{SidecarSet, hash};
use crate::yaml::{Part, Path};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

type Object = Map<String, Value>;

/// Checks which pods the set selects.
pub(super) fn selectors(report: &mut Report<'_>, spec: &Object) {
    let at = Spot::new(Path::dotted("spec"));
    match inside(spec, "selector") {
        Some(pods) => selector::check(report, pods, &at.child("selector")),
        None => report.required(&at.child("selector"), "say by labels which pods get the sidecars"),
    }
    if let Some(namespaces) = inside(spec, "namespaceSelector") {
        selector::check(report, namespaces, &at.child("namespaceSelector"));
    }
}

/// Checks `injectionStrategy`. `history` are earlier states of SidecarSets, of which a named revision must be one.
pub(super) fn injection(
    report: &mut Report<'_>,
    set: &SidecarSet,
    spec: &Object,
    history: &[Arc<SidecarSet>],
) {
    let at = Spot::new(Path::dotted("spec.injectionStrategy.revision"));
    let Some(revision) = inside(spec, "injectionStrategy").and_then(|s| inside(s, "revision")) else {
        return;
    };
    let (name, version) = (text(revision, "revisionName"), text(revision, "customVersion"));
    let whole = at.clone().called("revision");
    let states = || history.iter().filter(|s| s.name == set.name);
    match (name, version) {
        (None, None) => report.required(&whole, "write `revisionName` or `customVersion`"),
        (Some(name), _) if !states().any(|s| s.revision_name == name) => {
            unknown_revision(report, &at.child("revisionName").called("revision"), name);
        }
        (None, Some(version)) if !states().any(|s| s.custom_version.as_deref() == Some(version)) => {
            unknown_revision(report, &at.child("customVersion").called("revision"), version);
        }
        _ => {}
    }
    let policy = text(revision, "policy").unwrap_or_default();
    if !["Always", "Partial"].contains(&policy) {
        report.unsupported(&at.child("policy"), policy, &["Always", "Partial"]);
    }
}

fn unknown_revision(report: &mut Report<'_>, at: &Spot, name: &str) {
    let message = format!("no earlier state of this set is known as `{name}`");
    report.not_found(at, message, "give the earlier states with `--history FILE`, oldest first");
}

/// Checks `updateStrategy`; Kruise does not look at one that is not RollingUpdate.
pub(super) fn update(report: &mut Report<'_>, spec: &Object) {
    let at = Spot::new(Path::dotted("spec.updateStrategy"));
    let Some(strategy) = inside(spec, "updateStrategy") else { return };
    match text(strategy, "type").unwrap_or_default() {
        "RollingUpdate" => rolling(report, spec, strategy, &at),
        "NotUpdate" => {}
        kind => {
            // Kruise v1.9.0 sidecarset_processor.go isSidecarSetNotUpdate: nothing but NotUpdate stops an update.
            let message = format!("`type` has no value `{kind}`: Kruise accepts it and updates unchecked");
            let help = "use `RollingUpdate` or `NotUpdate`";
            report.warning(Code::IgnoredValue, &at.child("type"), Part::Value, message, help);
        }
    }
}

fn rolling(report: &mut Report<'_>, spec: &Object, strategy: &Object, at: &Spot) {
    native_sidecars(report, spec, at);
    let selects = inside(strategy, "selector");
    let holds_back = strategy.get("partition").is_some_and(|p| p.is_string() || p.as_i64() != Some(0));
    if selects.is_some() && holds_back {
        report.add(Severity::Error, |places| {
            let message = "`partition` and `selector` cannot be used together";
            Diagnostic::error(Code::PartitionWithSelector, message)
                .at(label(places, &at.child("partition"), Part::Key, "a number of pods is held back here"))
                .at(label(places, &at.child("selector"), Part::Key, "canary pods are chosen here"))
                .field("updateStrategy")
                .because("Kruise refuses such a SidecarSet")
                .help("keep one of the two fields")
        });
    }
    if let Some(selects) = selects {
        selector::check(report, selects, &at.child("selector"));
    }
    for key in ["partition", "maxUnavailable"] {
        if let Some(amount) = strategy.get(key) {
            int_or_percent(report, amount, &at.child(key));
        }
    }
    if let Some(priority) = inside(strategy, "priorityStrategy") {
        priorities(report, priority, &at.child("priorityStrategy"));
    }
    scatter(report, strategy, &at.child("scatterStrategy"));
}

/// Kruise v1.9.0 validateSidecarSetSpec: native sidecars cannot be updated in place.
fn native_sidecars(report: &mut Report<'_>, spec: &Object, at: &Spot) {
    let list = Path::dotted("spec.initContainers");
    let containers = spec.get("initContainers").and_then(Value::as_array).into_iter().flatten();
    for (i, container) in containers.enumerate().filter(|(_, c)| hash::is_native(c)) {
        let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
        let restart = Spot::new(list.then(i).then("restartPolicy"));
        let message = format!("the native sidecar `{name}` cannot be updated in place");
        report.add(Severity::Error, |places| {
            let asks = "this asks for updates; RollingUpdate is the default";
            Diagnostic::error(Code::NativeSidecarUpdate, message)
                .at(label(places, &restart, Part::Value, "this makes it a native sidecar"))
                .at(label(places, &at.child("type"), Part::Key, asks))
                .field(&at.field)
                .because("Kruise refuses such a SidecarSet")
                .help("write `updateStrategy: {type: NotUpdate}`")
        });
    }
}

fn int_or_percent(report: &mut Report<'_>, amount: &Value, at: &Spot) {
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

fn priorities(report: &mut Report<'_>, strategy: &Object, at: &Spot) {
    let has = |key| objects(strategy, key).next().is_some();
    if has("weightPriority") && has("orderPriority") {
        let message = "`weightPriority` and `orderPriority` cannot be used together".into();
        report.error(Code::InvalidValue, at, Part::Key, message, "keep one of the two fields");
        return;
    }
    for (i, term) in objects(strategy, "weightPriority").enumerate() {
        let term_at = at.child("weightPriority").item(i);
        let weight = term.get("weight").and_then(Value::as_i64).unwrap_or(0);
        if !(0..=100).contains(&weight) {
            let spot = term_at.child("weight").called(&at.field);
            report.invalid(&spot, &weight.to_string(), "must be from 1 to 100");
        }
        let spot = term_at.child("matchSelector");
        let empty = Object::new();
        let matches = inside(term, "matchSelector").unwrap_or(&empty);
        if matches.is_empty() {
            report.required(&spot.called(&at.field), "say which pods have this weight");
        } else if !selector::check_terms(report, matches, &spot) {
            let message = "`matchSelector` cannot be used to select anything".into();
            report.error(
                Code::InvalidSelector,
                &spot.called(&at.field),
                Part::Key,
                message,
                "mend its terms",
            );
        }
    }
    for (i, term) in objects(strategy, "orderPriority").enumerate() {
        if text(term, "orderedKey").unwrap_or_default().is_empty() {
            let spot = at.child("orderPriority").item(i).child("orderedKey").called(&at.field);
            report.required(&spot, "name the label whose value orders the pods");
        }
    }
}

fn scatter(report: &mut Report<'_>, strategy: &Object, at: &Spot) {
    let mut terms = BTreeSet::new();
    for (i, term) in objects(strategy, "scatterStrategy").enumerate() {
        let key = text(term, "key").unwrap_or_default();
        let value = text(term, "value").unwrap_or_default();
        let spot = at.item(i).child("key").called(&at.field);
        if key.is_empty() {
            report.required(&spot, "name the label whose pods are scattered");
        } else if !terms.insert(format!("{key}:{value}")) {
            report.duplicate(&spot, &format!("{key}={value}"));
        }
    }
}
