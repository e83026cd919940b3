//! Summarizes the changes between two contents of a SidecarSet, by container.

use super::super::types::RolloutContext;
use crate::model::image::tag;
use crate::model::ledger::{Ledger, RevisionName};
use crate::model::sidecar_set::SidecarSet;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// The changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SetChanges {
    /// The set is new: nothing was released.
    New,
    /// The set is new, and has all containers of these sets, which it replaces.
    Renamed(Vec<Arc<str>>),
    /// The set is new, and has some containers of these sets, which it replaces.
    Split(Vec<Arc<str>>),
    /// The set is deleted.
    Deleted,
    /// The set is deleted, and these sets replace it.
    Replaced(Vec<Arc<str>>),
    /// One change each: `logtail 1.4.2 -> 1.5.0`, `volumes`.
    Content(Vec<String>),
}

impl SetChanges {
    /// Compares two contents; they are in the ledger, or one is in the sources.
    pub(super) fn between(
        context: &RolloutContext<'_>,
        ledger: &Ledger,
        from: &RevisionName,
        to: &RevisionName,
    ) -> Self {
        let find = |name: &str| {
            let held = ledger.revisions.values().chain(&ledger.history);
            held.chain(&context.source).find(|r| &*r.name == name).map(|r| &*r.set)
        };
        match (from, to) {
            (None, Some(_)) if !context.replaces.is_empty() => match context.replaces_all_containers {
                true => Self::Renamed(context.replaces.clone()),
                false => Self::Split(context.replaces.clone()),
            },
            (None, Some(_)) => Self::New,
            (Some(_), None) if !context.replaced_by.is_empty() => {
                Self::Replaced(context.replaced_by.iter().map(|by| Arc::clone(&by.name)).collect())
            }
            (Some(_), None) => Self::Deleted,
            (None, None) => Self::Content(Vec::new()),
            (Some(from), Some(to)) => Self::Content(match (find(from), find(to)) {
                (Some(old), Some(new)) => describe_changes(old, new),
                _ => Vec::new(),
            }),
        }
    }
}

impl fmt::Display for SetChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::Renamed(olds) => write!(f, "renamed from {}", olds.join(", ")),
            Self::Split(olds) => write!(f, "split from {}", olds.join(", ")),
            Self::Replaced(news) => write!(f, "replaced by {}", news.join(", ")),
            Self::Deleted => f.write_str("deleted"),
            Self::Content(changes) if changes.is_empty() => f.write_str("the same content"),
            Self::Content(changes) => f.write_str(&changes.join(", ")),
        }
    }
}

/// Returns one change each, an image by its versions: `logtail 1.4.2 -> 1.5.0`, `volumes changed`.
pub(crate) fn describe_changes(old: &SidecarSet, new: &SidecarSet) -> Vec<String> {
    let mut found = Vec::new();
    for list in ["initContainers", "containers"] {
        let [before, after] = [old, new].map(|set| containers(set, list));
        for container in &after {
            let name = str_field(container, "name");
            match before.iter().find(|b| str_field(b, "name") == name) {
                None => {
                    found.push(format!("{name} {} added", image_tag_or_name(str_field(container, "image"))))
                }
                Some(same) if same == container => {}
                Some(same) => found.push(describe_container_change(name, same, container)),
            }
        }
        let removed =
            before.iter().filter(|b| after.iter().all(|a| str_field(a, "name") != str_field(b, "name")));
        found.extend(removed.map(|b| format!("{} removed", str_field(b, "name"))));
    }
    if old.mode != new.mode {
        found.push(format!("sidecarMode {} -> {}", old.mode, new.mode));
    }
    if old.after != new.after {
        found.push("launch order changed".to_owned());
    }
    let mut keys: Vec<&String> = old.content.keys().collect();
    keys.extend(new.content.keys().filter(|key| !old.content.contains_key(*key)));
    let others = keys.into_iter().filter(|key| !["initContainers", "containers"].contains(&key.as_str()));
    let changed = others.filter(|key| old.content.get(*key) != new.content.get(*key));
    found.extend(changed.map(|key| format!("{key} changed")));
    found
}

fn containers<'s>(set: &'s SidecarSet, list: &str) -> Vec<&'s Map<String, Value>> {
    let containers = set.content.get(list).and_then(Value::as_array);
    containers.into_iter().flatten().filter_map(Value::as_object).collect()
}

/// Summarizes an image, and whether anything else differs.
fn describe_container_change(name: &str, old: &Map<String, Value>, new: &Map<String, Value>) -> String {
    let is_same = |key: &String| old.get(key) == new.get(key);
    let more = old.keys().chain(new.keys()).any(|key| key != "image" && !is_same(key));
    let (before, after) = (str_field(old, "image"), str_field(new, "image"));
    let (before, after) = shorten_images(before, after);
    match (before == after, more) {
        (true, _) => format!("{name} changed"),
        (false, false) => format!("{name} {before} -> {after}"),
        (false, true) => format!("{name} {before} -> {after} and more"),
    }
}

/// Returns the tags of two images of the same name, else the whole images.
pub(crate) fn shorten_images<'i>(before: &'i str, after: &'i str) -> (&'i str, &'i str) {
    let tags = tag(before).zip(tag(after)).filter(|(a, b)| before.strip_suffix(a) == after.strip_suffix(b));
    tags.unwrap_or((before, after))
}

/// Returns the tag, where there is one.
fn image_tag_or_name(image: &str) -> &str {
    tag(image).unwrap_or(image)
}

fn str_field<'v>(container: &'v Map<String, Value>, key: &str) -> &'v str {
    container.get(key).and_then(Value::as_str).unwrap_or_default()
}
