//! Compares verdicts on SidecarSets with those of Kruise's CRD schema and validating webhook.

use crate::support::conformance::{cases, documents};
use pillion::diagnostics::Diagnostic;
use pillion::model::sidecar_set::{DecodeMode, SidecarSet, ValidationContext, decode_for, validate};
use pillion::yaml::FieldPath;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path as File;
use std::sync::Arc;

/// Cases where we depart from Kruise on purpose: an expression that is negative for 1, and an unknown unit.
const EITHER: [&str; 2] = ["v151", "v153"];

#[test]
fn sets_are_judged_as_kruise_judges_them() {
    let mut failures = Vec::new();
    let (mut total, mut fields, mut refusals) = (0, 0, 0);
    for case in cases("validation").iter().filter(|c| !needs_a_cluster(c)) {
        let wanted = documents(case, "expected.yaml").remove(0).value().clone();
        let errors: Vec<Diagnostic> = judge(case).into_iter().filter(Diagnostic::is_error).collect();
        let name = case.file_name().and_then(|n| n.to_str()).expect("a readable name");
        let either = EITHER.contains(&name.get(..4).unwrap_or_default());
        total += 1;
        if errors.is_empty() != (wanted["accepted"] == true) && !either {
            let first = errors.first().map(|e| &e.message);
            failures.push(format!("{name}: accepted is {}, first error {first:?}", wanted["accepted"]));
        }
        let paths = kruises_fields(&wanted);
        if !paths.is_empty() && !either {
            let got: BTreeSet<String> =
                errors.iter().filter_map(|e| e.field.as_deref()).map(normal).collect();
            refusals += 1;
            if paths.is_disjoint(&got) {
                failures.push(format!("{name}: one of {paths:?} wanted, got {got:?}"));
            } else {
                fields += 1;
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {total}, fields {fields}/{refusals}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Cases that hang on a ConfigMap, a feature gate or revisions in the cluster.
fn needs_a_cluster(case: &File) -> bool {
    let info = std::fs::read_to_string(case.join("case.json")).expect("every case has one");
    let info: Value = serde_json::from_str(&info).expect("it is JSON");
    case.join("kruise-configuration.yaml").exists()
        || case.join("history.yaml").exists()
        || info["options"]["featureGates"].as_object().is_some_and(|g| !g.is_empty())
}

fn judge(case: &File) -> Vec<Diagnostic> {
    let (set, mut found) = match documents(case, "sidecarset.yaml").first() {
        Some(document) => decode_for(DecodeMode::Validate, document, &FieldPath::root()),
        None => panic!("{} has no SidecarSet", case.display()),
    };
    let read = |file: &str| -> Vec<Arc<SidecarSet>> {
        let sets = documents(case, file).into_iter();
        sets.filter_map(|d| decode_for(DecodeMode::Validate, &d, &FieldPath::root()).0)
            .map(Arc::new)
            .collect()
    };
    let (old, others) = (read("old.yaml"), read("existing.yaml"));
    if let Some(set) = set {
        let old = old.first().map(AsRef::as_ref);
        found.extend(validate(&set, ValidationContext { old, others: &others, history: &[] }));
    }
    found
}

fn kruises_fields(wanted: &Value) -> BTreeSet<String> {
    let lists = ["schema", "webhook"].iter().filter_map(|stage| wanted[stage].as_array());
    let fields = lists.flatten().filter_map(|e| e["field"].as_str()).filter(|f| !f.is_empty());
    fields.map(normal).collect()
}

/// Writes `spec.containers[0].name` and `limits[cpu]` with dots only, and without `spec.` in front.
fn normal(field: &str) -> String {
    let dotted = field.replace('[', ".").replace([']', '"', '\''], "");
    dotted.strip_prefix("spec.").unwrap_or(&dotted).to_owned()
}
