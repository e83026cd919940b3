//! How the containers of a SidecarSet live in a pod: the annotations `pillion.dev/sidecar-mode` and `pillion.dev/after`.

use super::field_locations::FieldLocations;
use crate::diagnostics::{Code, Diagnostic};
use crate::model::api::{AFTER_ANNOTATION, SIDECAR_MODE_ANNOTATION};
use crate::model::json::{JsonObject, object_at, objects_at, string_at, text_at};
use crate::model::suggestion::closest_match;
use crate::yaml::{Document, EntryPart, FieldPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Returns whether an init container is a native sidecar.
pub(crate) fn is_native_sidecar(init_container: &Value) -> bool {
    init_container.get("restartPolicy").and_then(Value::as_str) == Some("Always")
}

/// How the `containers` of SidecarSets are injected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SidecarMode {
    /// As containers beside those of the application, as Kruise.
    #[default]
    Container,
    /// As native sidecars: init containers with `restartPolicy: Always`.
    Native,
    /// As native sidecars in Jobs and CronJobs, and where a launch order or the end with the Job is asked for; else as
    /// containers.
    Auto,
}

impl SidecarMode {
    const ALL: [Self; 3] = [Self::Container, Self::Native, Self::Auto];

    /// Returns its name in pillion.yaml and in the annotation.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Container => "Container",
            Self::Native => "Native",
            Self::Auto => "Auto",
        }
    }

    /// Returns the mode with a name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

impl fmt::Display for SidecarMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `pillion.dev/after`: containers, each with those that it starts after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaunchOrder(BTreeMap<String, Vec<String>>);

impl From<BTreeMap<String, Vec<String>>> for LaunchOrder {
    fn from(entries: BTreeMap<String, Vec<String>>) -> Self {
        Self(entries)
    }
}

impl LaunchOrder {
    /// Returns the containers, each with those that it starts after.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(container, after)| (container.as_str(), after.as_slice()))
    }

    /// Returns whether no container has an order.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns containers that wait for each other: each starts after the next one, and the last is the first again.
    /// None: there are none.
    fn find_cycle(&self) -> Option<Vec<&str>> {
        // Containers that wait for nothing, or only for such, are in no cycle.
        let mut waiting: BTreeMap<&str, &[String]> = self.entries().collect();
        loop {
            let is_free = |after: &[String]| !after.iter().any(|name| waiting.contains_key(name.as_str()));
            let free: Vec<&str> =
                waiting.iter().filter(|(_, after)| is_free(after)).map(|(n, _)| *n).collect();
            if free.is_empty() {
                break;
            }
            waiting.retain(|name, _| !free.contains(name));
        }
        let mut path: Vec<&str> = vec![waiting.keys().next()?];
        loop {
            let last = path.last()?;
            let next = waiting.get(last)?.iter().find(|name| waiting.contains_key(name.as_str()))?;
            let start = path.iter().position(|name| name == next);
            path.push(next);
            if let Some(start) = start {
                return Some(path.split_off(start));
            }
        }
    }

    /// Reads an order from a mapping; None if it is none.
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let names = |after: &Value| match after {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(all) => all.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let entries = value.as_object()?.iter().map(|(name, after)| Some((name.clone(), names(after)?)));
        Some(Self(entries.collect::<Option<_>>()?))
    }

    /// Returns the mapping, with a list of names for each container.
    pub(crate) fn to_value(&self) -> Value {
        json!(self.0)
    }
}

/// Parses the text of an annotation `pillion.dev/after`: YAML, a mapping from containers to a name or a list of names.
///
/// # Errors
/// What is wrong with it, and what follows it in the text of an error.
pub(crate) fn parse_launch_order(text: &str) -> Result<LaunchOrder, String> {
    let name: Arc<str> = format!("annotation {AFTER_ANNOTATION}").into();
    let document = Document::read(&name, 0, 1, text).map_err(|error| error.message)?;
    let order = LaunchOrder::from_value(document.value());
    order.ok_or_else(|| "it is not a mapping from containers to lists of containers".to_owned())
}

/// Reads both annotations of a SidecarSet. None: it has no mode of its own.
pub(super) fn read_lifecycle(
    metadata: &JsonObject,
    spec: &JsonObject,
    locations: &FieldLocations,
) -> (Option<SidecarMode>, LaunchOrder, Vec<Diagnostic>) {
    let annotation = |key: &str| object_at(metadata, "annotations").and_then(|all| string_at(all, key));
    let mut diagnostics = Vec::new();
    let mut mode = None;
    if let Some(text) = annotation(SIDECAR_MODE_ANNOTATION) {
        mode = SidecarMode::from_name(text);
        if mode.is_none() {
            diagnostics.push(unknown_mode(text, locations));
        }
    }
    let order = annotation(AFTER_ANNOTATION).map_or_else(|| Ok(LaunchOrder::default()), parse_launch_order);
    let order = order.unwrap_or_else(|problem| {
        diagnostics.push(invalid_order(&problem, locations));
        LaunchOrder::default()
    });
    let own: Vec<&str> = ["initContainers", "containers"]
        .into_iter()
        .flat_map(|list| objects_at(spec, list))
        .map(|container| text_at(container, "name"))
        .collect();
    let strangers = order.entries().map(|(container, _)| container).filter(|name| !own.contains(name));
    diagnostics.extend(strangers.map(|name| unknown_container(name, &own, locations)));
    diagnostics.extend(order.find_cycle().map(|cycle| cyclic_order(&cycle, locations)));
    (mode, order, diagnostics)
}

/// Records where a revision of a ledger has what the annotations say.
pub(super) fn record_ledger_keys(locations: &mut FieldLocations) {
    for (annotation, key) in [(SIDECAR_MODE_ANNOTATION, "sidecarMode"), (AFTER_ANNOTATION, "after")] {
        locations.record_move(annotation_path(annotation), FieldPath::dotted(key));
    }
}

/// Returns the path of an annotation of a SidecarSet.
pub(super) fn annotation_path(key: &str) -> FieldPath {
    FieldPath::dotted("metadata.annotations").child(key)
}

fn unknown_mode(text: &str, locations: &FieldLocations) -> Diagnostic {
    let near = closest_match(text, SidecarMode::ALL.into_iter().map(SidecarMode::name));
    let help = near.map_or_else(
        || "write `Container`, `Native` or `Auto`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    let message =
        format!("`{SIDECAR_MODE_ANNOTATION}` must be `Container`, `Native` or `Auto`, not `{text}`");
    annotation_error(SIDECAR_MODE_ANNOTATION, message, locations).help(help)
}

fn invalid_order(problem: &str, locations: &FieldLocations) -> Diagnostic {
    annotation_error(AFTER_ANNOTATION, format!("`{AFTER_ANNOTATION}` cannot be read: {problem}"), locations)
        .help("write YAML such as `mysql-client: [proxy]`: the container, then those that it starts after")
}

fn unknown_container(name: &str, own: &[&str], locations: &FieldLocations) -> Diagnostic {
    let message = format!("`{AFTER_ANNOTATION}` orders `{name}`, which this SidecarSet does not contain");
    let help = closest_match(name, own.iter().copied()).map_or_else(
        || {
            "write the order of another container in its own SidecarSet, or in the pod template of the application"
                .to_owned()
        },
        |near| format!("did you mean `{near}`?"),
    );
    annotation_error(AFTER_ANNOTATION, message, locations).help(help)
}

fn cyclic_order(cycle: &[&str], locations: &FieldLocations) -> Diagnostic {
    let chain: Vec<String> = cycle.iter().map(|name| format!("`{name}`")).collect();
    let message = format!("containers of this SidecarSet wait for each other: {}", chain.join(" after "));
    Diagnostic { code: Code::LaunchOrderCycle, ..annotation_error(AFTER_ANNOTATION, message, locations) }
        .because("a container starts after those that it waits for, so none of them could start")
        .help("remove one of these orders")
}

fn annotation_error(key: &str, message: String, locations: &FieldLocations) -> Diagnostic {
    let path = annotation_path(key);
    Diagnostic::error(Code::InvalidConfiguration, message)
        .at(locations.label(&path, EntryPart::Value, ""))
        .field(path.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_mapping_of_names() {
        let order = parse_launch_order("mysql-client: [proxy, certs]\nagent: proxy\n").unwrap();
        assert_eq!(order.to_value(), json!({"agent": ["proxy"], "mysql-client": ["proxy", "certs"]}));
        assert_eq!(LaunchOrder::from_value(&order.to_value()), Some(order.clone()));
        for text in ["proxy", "[a]", "a: {b: c}", "a: [1]", "a: null"] {
            assert!(parse_launch_order(text).is_err(), "{text}");
        }
        assert!(parse_launch_order("{}").unwrap().is_empty());
    }

    #[test]
    fn containers_that_wait_for_each_other_are_found() {
        for (text, cycle) in [
            ("a: [b]\nb: [a]", Some("a b a")),
            ("a: [a]", Some("a a")),
            ("a: [x, b]\nb: [c]\nc: [d, b]\nd: z", Some("b c b")),
            ("a: [b, c]\nb: [c]\nc: [d]", None),
            ("a: []", None),
            ("{}", None),
        ] {
            let order = parse_launch_order(text).unwrap();
            assert_eq!(order.find_cycle().map(|names| names.join(" ")).as_deref(), cycle, "{text}");
        }
    }
}
