//! Builds the environment of a sidecar: its own variables, the mark, and variables of the application.

use super::app_containers::AppContainers;
use super::template::{JsonObject, item_name, list_items, text_at};
use super::trace::ItemSource;
use crate::model::sidecar_set::{SidecarContainer, TransferEnv};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The variable by which an injected container is known.
pub(crate) const IS_INJECTED: &str = "IS_INJECTED";

/// With the value `true`, Kruise's SidecarTerminator kills the container when the application has ended.
pub(super) const TERMINATE_WITH_JOB: &str = "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT";

/// Kruise's SidecarTerminator swaps the image of the container for this one, on nodes of virtual-kubelet.
pub(super) const TERMINATE_WITH_IMAGE: &str = "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT_WITH_IMAGE";

/// Returns whether a container bears the mark anywhere: a set may have written the variable itself, and then
/// the mark that injection appends is the second one.
pub(crate) fn has_injected_mark(container: &Value) -> bool {
    list_items(container, "env").iter().any(|e| item_name(e) == IS_INJECTED && env_value(e) == "true")
}

/// Tells what Kruise v1.9.0 takes for a sidecar of the pod: the first variable of that name is `true`.
pub(super) fn is_injected(container: &Value) -> bool {
    list_items(container, "env")
        .iter()
        .find(|e| item_name(e) == IS_INJECTED)
        .is_some_and(|e| env_value(e) == "true")
}

/// The variables of a container that is being built.
pub(super) struct ContainerEnv<'a> {
    pub(super) entries: Vec<Value>,
    names: BTreeSet<String>,
    /// Where the entries that the set's author did not write come from.
    pub(super) sources: Vec<(usize, ItemSource<'a>)>,
}

impl<'a> ContainerEnv<'a> {
    /// Starts with the author's variables and the mark.
    pub(super) fn from_container(container: &JsonObject) -> Self {
        let own = container.get("env").and_then(Value::as_array).cloned().unwrap_or_default();
        let names = own.iter().map(|e| item_name(e).to_owned()).collect();
        let mut env = Self { entries: own, names, sources: Vec::new() };
        // Kruise v1.9.0 appends the mark without looking whether the name is there.
        env.append(json!({"name": IS_INJECTED, "value": "true"}), ItemSource::InjectedMark);
        env
    }

    /// Adds a variable at the end.
    pub(super) fn append(&mut self, entry: Value, source: ItemSource<'a>) {
        self.sources.push((self.entries.len(), source));
        self.names.insert(item_name(&entry).to_owned());
        self.entries.push(entry);
    }

    /// Adds a copy of a variable unless its name is there.
    pub(super) fn append_if_absent(&mut self, entry: &Value, source: ItemSource<'a>) {
        if !self.contains(item_name(entry)) {
            self.append(entry.clone(), source);
        }
    }

    pub(super) fn contains(&self, variable: &str) -> bool {
        self.names.contains(variable)
    }
}

/// Variables that a term of `transferEnv` could not add.
pub(super) struct MissingVariables<'a> {
    /// The index of the term.
    pub(super) term: usize,
    /// The variables.
    pub(super) variables: Vec<&'a str>,
    /// The container they should come from; None if the term names none.
    pub(super) container: Option<&'a str>,
}

/// Adds the variables that `transferEnv` takes over, and returns those it could not find.
pub(super) fn transfer_env<'a>(
    env: &mut ContainerEnv<'a>,
    sidecar: &'a SidecarContainer,
    apps: &AppContainers<'a>,
    annotations: &'a JsonObject,
) -> Vec<MissingVariables<'a>> {
    let mut missing = Vec::new();
    for (i, term) in sidecar.transfer_env.iter().enumerate() {
        let source = source_container(term, apps.labels, annotations);
        let mut names: Vec<&str> = term.env_names.iter().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let found = |name: &str| source.and_then(|s| Some((apps.variable(s, name)?.last, s)));
        names.retain(|name| match found(name) {
            Some((entry, container)) => {
                env.append_if_absent(entry, ItemSource::Transferred(container));
                false
            }
            None => true,
        });
        missing.push(MissingVariables { term: i, variables: names, container: source });
    }
    // Another term, or the set's author, may have added them.
    for term in &mut missing {
        term.variables.retain(|name| !env.contains(name));
    }
    missing.retain(|term| !term.variables.is_empty());
    missing
}

/// Kruise v1.9.0: a field path replaces the name even where it leads to nothing; paths to other fields than
/// single labels and annotations are skipped.
fn source_container<'a>(
    term: &'a TransferEnv,
    labels: Option<&'a Value>,
    annotations: &'a JsonObject,
) -> Option<&'a str> {
    let name = match &term.source_container_name_from {
        None => term.source_container_name.as_str(),
        Some(path) => {
            let (field, key) = path.strip_suffix("']")?.split_once("['")?;
            match field {
                "metadata.labels" => labels.and_then(|l| l.get(key)).and_then(Value::as_str)?,
                "metadata.annotations" => text_at(annotations, key),
                _ => return None,
            }
        }
    };
    Some(name).filter(|n| !n.is_empty())
}

/// Returns the names in every `$(NAME)` of a text; `$$(NAME)` counts as well, as in Kruise v1.9.0.
pub(super) fn referenced_variables(expression: &str) -> impl Iterator<Item = &str> {
    expression.split("$(").skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once(')')?;
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_name = name.chars().all(is_allowed) && !name.starts_with(|c: char| c.is_ascii_digit());
        (is_name && !name.is_empty()).then_some(name)
    })
}

fn env_value(entry: &Value) -> &str {
    entry.get("value").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_sub_path_expressions() {
        for (text, names) in [
            ("a/$(POD)/$(X.y-z)", vec!["POD", "X.y-z"]),
            ("$$(A)", vec!["A"]),
            ("$(1A) $(A B) $() $(", vec![]),
            ("$($(A))", vec!["A"]),
            ("plain", vec![]),
        ] {
            assert_eq!(referenced_variables(text).collect::<Vec<_>>(), names, "{text}");
        }
    }

    #[test]
    fn the_mark_is_the_first_variable_or_any() {
        let own = json!({"env": [{"name": "IS_INJECTED", "value": "false"}, {"name": "IS_INJECTED", "value": "true"}]});
        assert!(has_injected_mark(&own) && !is_injected(&own));
        let no = json!({"env": [{"name": "IS_INJECTED", "value": "True"}]});
        assert!(!has_injected_mark(&no) && !is_injected(&no));
        assert!(!has_injected_mark(&json!({"env": null})));
    }

    #[test]
    fn source_by_field_path() {
        let labels = json!({"main": "app", "none": ""});
        let annotations = json!({"Mixed/Case": "aux"});
        let annotations = annotations.as_object().unwrap();
        for (path, found) in [
            ("metadata.labels['main']", Some("app")),
            ("metadata.labels['none']", None),
            ("metadata.labels['other']", None),
            ("metadata.annotations['Mixed/Case']", Some("aux")),
            ("metadata.annotations['mixed/case']", None),
            ("metadata.name", None),
            ("metadata.labels", None),
        ] {
            let term = TransferEnv {
                source_container_name: "ignored".to_owned(),
                source_container_name_from: Some(path.to_owned()),
                env_names: Vec::new(),
            };
            assert_eq!(source_container(&term, Some(&labels), annotations), found, "{path}");
        }
    }
}
