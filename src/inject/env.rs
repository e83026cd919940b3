//! Adds variables of the application to those of a sidecar.

use super::app_containers::AppContainers;
use super::template::{JsonObject, item_name, list_items, text_at};
use super::trace::ItemSource;
use crate::model::sidecar_set::{SidecarContainer, TransferEnv};
use serde_json::Value;
use std::collections::BTreeSet;

/// With the value `true`, Kruise's SidecarTerminator kills the container when the application has ended.
pub(super) const TERMINATE_WITH_JOB: &str = "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT";

/// Kruise's SidecarTerminator swaps the image of the container for this one, on nodes of virtual-kubelet.
pub(super) const TERMINATE_WITH_IMAGE: &str = "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT_WITH_IMAGE";

/// The variables that a container gets in a pod.
pub(super) struct AddedVariables<'a> {
    /// The variables that it has already.
    own: &'a [Value],
    /// The names of all, made when the first one is asked for.
    names: Option<BTreeSet<&'a str>>,
    pub(super) entries: Vec<(&'a Value, ItemSource<'a>)>,
}

impl<'a> AddedVariables<'a> {
    /// Starts with the variables of a container.
    pub(super) fn new(container: &'a Value) -> Self {
        Self { own: list_items(container, "env"), names: None, entries: Vec::new() }
    }

    /// Adds a variable at the end unless its name is there.
    pub(super) fn append_if_absent(&mut self, entry: &'a Value, source: ItemSource<'a>) {
        let own = self.own;
        if self.names_of(own).insert(item_name(entry)) {
            self.entries.push((entry, source));
        }
    }

    pub(super) fn contains(&mut self, variable: &str) -> bool {
        let own = self.own;
        self.names_of(own).contains(variable)
    }

    fn names_of(&mut self, own: &'a [Value]) -> &mut BTreeSet<&'a str> {
        self.names.get_or_insert_with(|| own.iter().map(item_name).collect())
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
    env: &mut AddedVariables<'a>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
