//! The Helm chart, as far as it can be checked without Helm. `tests/e2e/chart.rs` runs Helm.

use super::{documents, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn chart(file: &str) -> Value {
    documents(&format!("helm/pillion/{file}"))[0].clone()
}

/// Compares a file of the chart with the text that it is a copy of.
fn check_copy(file: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/helm/pillion/files").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|v| v == "1") {
        fs::write(&path, expected).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let diff = pillion::write::unified_diff(file, &written, expected);
    assert!(written == expected, "{file} is not a copy: UPDATE_GOLDEN=1\n{diff}");
}

/// Helm reads no file outside of a chart.
#[test]
fn alerts_and_dashboard_are_those_of_the_kustomization() {
    check_copy("dashboard.json", &text("monitoring/dashboard.json"));
    let rules = text("monitoring/prometheusrule.yaml");
    let (_, groups) = rules.split_once("  groups:\n").unwrap();
    let groups: String =
        groups.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap())).collect();
    let header =
        "# The groups of ../../../monitoring/prometheusrule.yaml: a test writes and checks this copy.\n";
    check_copy("alert-groups.yaml", &format!("{header}{groups}"));
}

#[test]
fn versions_are_that_of_pillion() {
    let chart = chart("Chart.yaml");
    for key in ["version", "appVersion"] {
        assert_eq!(chart[key], env!("CARGO_PKG_VERSION"), "{key}");
    }
    for form in ["base", "cronjob"] {
        let kustomization = &documents(&format!("{form}/kustomization.yaml"))[0];
        assert_eq!(kustomization["images"][0]["newTag"], env!("CARGO_PKG_VERSION"), "{form}");
    }
}

/// Returns the keys that a schema of an object admits; None: any key.
fn admitted(schema: &Value) -> Option<BTreeSet<&str>> {
    if schema["type"] != "object" || schema["properties"].is_null() {
        return None;
    }
    assert_eq!(schema["additionalProperties"], false, "{schema}");
    Some(schema["properties"].as_object().unwrap().keys().map(String::as_str).collect())
}

fn compare(place: &str, values: &Value, schema: &Value) {
    let Some(mut keys) = admitted(schema) else { return };
    keys.remove("global");
    let values = values.as_object().unwrap_or_else(|| panic!("{place} is not an object"));
    assert_eq!(keys, values.keys().map(String::as_str).collect(), "{place}");
    for (key, value) in values {
        compare(&format!("{place}.{key}"), value, &schema["properties"][key]);
    }
}

/// A typo in a value is an error of Helm, and every value has a default that says what it is for.
#[test]
fn the_schema_has_the_keys_of_the_values_and_no_others() {
    let schema: Value = serde_json::from_str(&text("helm/pillion/values.schema.json")).unwrap();
    compare("values", &chart("values.yaml"), &schema);
    let verbs = &schema["properties"]["rbac"]["properties"]["extraRules"]["items"]["properties"]["verbs"];
    assert_eq!(verbs["items"]["enum"], serde_json::json!(["get", "list", "watch"]));
}

/// Every value is used by a template, and every template uses only values that exist.
#[test]
fn templates_use_every_value() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/helm/pillion/templates");
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let templates: String = files.collect();
    let values = chart("values.yaml");
    let used: BTreeSet<&str> = templates
        .split("Values.")
        .skip(1)
        .map(|rest| &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '.').unwrap_or(rest.len())])
        .collect();
    for path in &used {
        let found = path.split('.').try_fold(&values, |value, key| value.get(key));
        assert!(found.is_some(), "there is no value `{path}`");
    }
    for (key, value) in values.as_object().unwrap() {
        let is_whole = used.contains(key.as_str());
        for inner in value.as_object().into_iter().flat_map(|object| object.keys()) {
            assert!(is_whole || used.contains(&*format!("{key}.{inner}")), "`{key}.{inner}` is not used");
        }
        assert!(is_whole || value.is_object(), "`{key}` is not used");
    }
}
