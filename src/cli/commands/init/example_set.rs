//! The example SidecarSet of `pillion init`: a log agent for workloads that exist.

use crate::workspace::SurveyedWorkload;
use crate::yaml::emit_flow;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Labels by which charts, generators and people name an application, the most usual first.
const USUAL_LABELS: [&str; 6] =
    ["app.kubernetes.io/name", "app", "k8s-app", "app.kubernetes.io/component", "component", "name"];

/// The example.
const EXAMPLE: &str = include_str!("example_set.yaml");

/// An example SidecarSet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExampleSet {
    /// `metadata.name`.
    pub(super) name: String,
    /// The text of its file.
    pub(super) text: String,
    /// The label that it selects; None: no workload has a label.
    pub(super) label: Option<String>,
}

impl ExampleSet {
    /// Creates one that selects as many of the workloads as possible.
    pub(super) fn for_workloads(workloads: &[SurveyedWorkload]) -> Self {
        let taken: BTreeSet<&str> =
            workloads.iter().flat_map(|w| w.taken_names.iter().map(String::as_str)).collect();
        let names = ["log-agent", "pillion-log-agent", "example-log-agent"];
        let name = names.into_iter().find(|name| !taken.contains(name)).unwrap_or("example-sidecar");
        let (volume, label) = (format!("{name}-files"), common_label(workloads));
        let (comment, selector) = match &label {
            Some(key) => (
                format!(
                    "# Pods with the label `{key}`, whatever its value: {} now. Narrow it down with other labels,\n  # such as `matchLabels: {}`.",
                    crate::diagnostics::pluralize(count_labelled(workloads, key) as u64, "workload"),
                    emit_flow(&json!({ key: first_value(workloads, key) })),
                ),
                format!(
                    "matchExpressions:\n    - {}",
                    emit_flow(&json!({"key": key, "operator": "Exists"}))
                ),
            ),
            None => (
                "# Edit this: no workload was found that has a label, so add this one to the pod templates that are to get the\n  # sidecar.".to_owned(),
                "matchLabels: {log-agent: \"true\"}".to_owned(),
            ),
        };
        let text = EXAMPLE
            .replace("@VOLUME@", &volume)
            .replace("@NAME@", name)
            .replace("@COMMENT@", &comment)
            .replace("@SELECTOR@", &selector);
        Self { name: name.to_owned(), text, label }
    }
}

/// Returns the key of the label that most workloads have; of those that roll out, if there are any.
fn common_label(workloads: &[SurveyedWorkload]) -> Option<String> {
    let rolling: Vec<&SurveyedWorkload> = workloads.iter().filter(|w| w.is_replaced).collect();
    let counted = if rolling.is_empty() { workloads.iter().collect() } else { rolling };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for key in counted.iter().flat_map(|workload| workload.labels.keys()).filter(|key| is_label_text(key)) {
        *counts.entry(key).or_default() += 1;
    }
    let rank = |key: &str| USUAL_LABELS.iter().position(|usual| *usual == key).unwrap_or(USUAL_LABELS.len());
    let best = counts.into_iter().max_by_key(|(key, count)| (*count, std::cmp::Reverse((rank(key), *key))));
    best.map(|(key, _)| key.to_owned())
}

fn count_labelled(workloads: &[SurveyedWorkload], key: &str) -> usize {
    workloads.iter().filter(|workload| workload.labels.contains_key(key)).count()
}

fn first_value<'w>(workloads: &'w [SurveyedWorkload], key: &str) -> &'w str {
    let mut values = workloads.iter().filter_map(|workload| workload.labels.get(key));
    values.find(|value| is_label_text(value)).map_or("", String::as_str)
}

/// Returns whether a text has the characters of labels only: it becomes a part of a comment.
fn is_label_text(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn workload(name: &str, labels: &[(&str, &str)], taken: &[&str]) -> SurveyedWorkload {
        SurveyedWorkload {
            api_version: "apps/v1".into(),
            file: PathBuf::from("a.yaml"),
            kind: "Deployment".to_owned(),
            name: name.to_owned(),
            namespace: None,
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            taken_names: taken.iter().map(|name| (*name).to_owned()).collect(),
            is_replaced: true,
        }
    }

    #[test]
    fn it_selects_what_most_workloads_have() {
        let workloads = [
            workload("web", &[("app", "web"), ("tier", "front")], &[]),
            workload("db", &[("app", "db"), ("tier", "back")], &["log-agent"]),
            workload("job", &[("x", "y")], &[]),
        ];
        let example = ExampleSet::for_workloads(&workloads);
        assert_eq!(example.label.as_deref(), Some("app"));
        assert_eq!(example.name, "pillion-log-agent");
        assert!(example.text.contains("- {key: app, operator: Exists}"), "{}", example.text);
        assert!(example.text.contains("2 workloads now"), "{}", example.text);
    }

    #[test]
    fn it_says_what_to_edit_where_nothing_has_a_label() {
        let example = ExampleSet::for_workloads(&[workload("web", &[], &[])]);
        assert_eq!(example.label, None);
        assert!(example.text.contains("Edit this"), "{}", example.text);
    }
}
