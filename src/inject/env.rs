//! The environment of a sidecar: its own variables, the mark, and what comes from the application.

use super::containers::Apps;
use super::template::{Object, items, name, text};
use super::trace::Source;
use crate::model::sidecar_set::{SidecarContainer, TransferEnv};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The variable by which an injected container is known.
pub(super) const IS_INJECTED: &str = "IS_INJECTED";

/// Tells whether a container bears the mark anywhere: a set may have written the variable itself, and then
/// the mark that injection appends is the second one.
pub(super) fn is_marked(container: &Value) -> bool {
    items(container, "env").iter().any(|e| name(e) == IS_INJECTED && value(e) == "true")
}

/// Tells what Kruise v1.9.0 takes for a sidecar of the pod: the first variable of that name is `true`.
pub(super) fn is_injected(container: &Value) -> bool {
    items(container, "env").iter().find(|e| name(e) == IS_INJECTED).is_some_and(|e| value(e) == "true")
}

/// The variables of a container that is being built.
pub(super) struct Env<'a> {
    pub(super) entries: Vec<Value>,
    names: BTreeSet<String>,
    /// Where the entries that the set's author did not write come from.
    pub(super) sources: Vec<(usize, Source<'a>)>,
}

impl<'a> Env<'a> {
    /// Starts with the author's variables and the mark.
    pub(super) fn of(container: &Object) -> Self {
        let own = container.get("env").and_then(Value::as_array).cloned().unwrap_or_default();
        let names = own.iter().map(|e| name(e).to_owned()).collect();
        let mut env = Self { entries: own, names, sources: Vec::new() };
        // Kruise v1.9.0 appends the mark without looking whether the name is there.
        env.append(json!({"name": IS_INJECTED, "value": "true"}), Source::Mark);
        env
    }

    /// Adds a variable at the end.
    pub(super) fn append(&mut self, entry: Value, source: Source<'a>) {
        self.sources.push((self.entries.len(), source));
        self.names.insert(name(&entry).to_owned());
        self.entries.push(entry);
    }

    /// Adds a copy of a variable unless its name is there.
    pub(super) fn offer(&mut self, entry: &Value, source: Source<'a>) {
        if !self.has(name(entry)) {
            self.append(entry.clone(), source);
        }
    }

    pub(super) fn has(&self, variable: &str) -> bool {
        self.names.contains(variable)
    }
}

/// Variables that a term of `transferEnv` could not bring.
pub(super) struct Missing<'a> {
    /// The index of the term.
    pub(super) term: usize,
    /// The variables.
    pub(super) variables: Vec<&'a str>,
    /// The container they should come from; None where the term names none.
    pub(super) container: Option<&'a str>,
}

/// Adds the variables that `transferEnv` takes over, and returns those it could not find.
pub(super) fn transfer<'a>(
    env: &mut Env<'a>,
    sidecar: &'a SidecarContainer,
    apps: &Apps<'a>,
    annotations: &'a Object,
) -> Vec<Missing<'a>> {
    let mut missing = Vec::new();
    for (i, term) in sidecar.transfer_env.iter().enumerate() {
        let source = source_container(term, apps.labels, annotations);
        let mut names: Vec<&str> = term.env_names.iter().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let found = |name: &str| source.and_then(|s| Some((apps.variable(s, name)?.last, s)));
        names.retain(|name| match found(name) {
            Some((entry, container)) => {
                env.offer(entry, Source::Transferred(container));
                false
            }
            None => true,
        });
        missing.push(Missing { term: i, variables: names, container: source });
    }
    // Another term, or the set's author, may have brought them.
    for term in &mut missing {
        term.variables.retain(|name| !env.has(name));
    }
    missing.retain(|term| !term.variables.is_empty());
    missing
}

/// Kruise v1.9.0: a field path replaces the name even where it leads to nothing; paths to other fields than
/// single labels and annotations are skipped.
fn source_container<'a>(
    term: &'a TransferEnv,
    labels: Option<&'a Value>,
    annotations: &'a Object,
) -> Option<&'a str> {
    let name = match &term.source_container_name_from {
        None => term.source_container_name.as_str(),
        Some(path) => {
            let (field, key) = path.strip_suffix("']")?.split_once("['")?;
            match field {
                "metadata.labels" => labels.and_then(|l| l.get(key)).and_then(Value::as_str)?,
                "metadata.annotations" => text(annotations, key),
                _ => return None,
            }
        }
    };
    Some(name).filter(|n| !n.is_empty())
}

/// Returns the names in every `$(NAME)` of a text; `$$(NAME)` counts as well, as in Kruise v1.9.0.
pub(super) fn referenced(expression: &str) -> impl Iterator<Item = &str> {
    expression.split("$(").skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once(')')?;
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_name = name.chars().all(is_allowed) && !name.starts_with(|c: char| c.is_ascii_digit());
        (is_name && !name.is_empty()).then_some(name)
    })
}

fn value(entry: &Value) -> &str {
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
            assert_eq!(referenced(text).collect::<Vec<_>>(), names, "{text}");
        }
    }

    #[test]
    fn the_mark_is_the_first_variable_or_any() {
        let own = json!({"env": [{"name": "IS_INJECTED", "value": "false"}, {"name": "IS_INJECTED", "value": "true"}]});
        assert!(is_marked(&own) && !is_injected(&own));
        let no = json!({"env": [{"name": "IS_INJECTED", "value": "True"}]});
        assert!(!is_marked(&no) && !is_injected(&no));
        assert!(!is_marked(&json!({"env": null})));
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
