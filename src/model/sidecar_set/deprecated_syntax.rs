//! Migrates deprecated syntax of SidecarSets, which older articles show and Kruise no longer reads.

use super::DecodeMode;
use super::field_locations::FieldLocations;
use super::schema::{SIDECAR_SET_UPDATE_STRATEGY, SIDECAR_SET_V1BETA1};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::json::JsonObject;
use crate::yaml::{EntryPart, FieldPath, PathSegment};
use serde_json::{Value, json};

/// The maximum number of reported share policies. Those beyond it are migrated too.
const MAX_FINDINGS: usize = 100;

/// Moves fields from their deprecated paths to those of the API, with a warning for each.
///
/// In the mode `Validate`, the diagnostics state what Kruise does: it drops such fields, and rejects a SidecarSet that
/// it cannot decode.
pub(crate) fn modernize(
    set: &JsonObject,
    mode: DecodeMode,
    locations: &mut FieldLocations,
) -> (JsonObject, Vec<Diagnostic>) {
    let mut migration = SyntaxMigration { set: set.clone(), mode, locations, diagnostics: Vec::new() };
    migration.rename_top_keys();
    for key in update_strategy_keys().filter(|k| *k != "selector") {
        migration.move_to_update_strategy(&FieldPath::root().child(key), key);
    }
    migration.move_empty_dir();
    migration.move_to_update_strategy(&FieldPath::dotted("spec.paused"), "paused");
    migration.unwrap_strategy();
    migration.merge_canary_labels();
    for list in ["initContainers", "containers"] {
        for policy in ["shareVolumePolicy", "shareVolumeDevicePolicy"] {
            migration.wrap_share_policies(list, policy);
        }
    }
    (migration.set, migration.diagnostics)
}

/// Returns the keys of `updateStrategy` that articles put elsewhere.
fn update_strategy_keys() -> impl Iterator<Item = &'static str> {
    SIDECAR_SET_UPDATE_STRATEGY.fields.iter().map(|f| f.name).filter(|key| *key != "type")
}

struct SyntaxMigration<'a> {
    set: JsonObject,
    mode: DecodeMode,
    locations: &'a mut FieldLocations,
    diagnostics: Vec<Diagnostic>,
}

impl SyntaxMigration<'_> {
    /// Renames top-level keys in the wrong case, such as `Kind : SidecarSet`.
    fn rename_top_keys(&mut self) {
        for key in SIDECAR_SET_V1BETA1.fields.iter().map(|f| f.name) {
            let written = self.set.keys().find(|k| k.as_str() != key && k.eq_ignore_ascii_case(key)).cloned();
            let Some(written) = written.filter(|_| !self.set.contains_key(key)) else { continue };
            let at = FieldPath::root().child(written.clone());
            let label = self.locations.label(&at, EntryPart::Key, format!("write `{key}`"));
            let mut diagnostic = match self.mode {
                DecodeMode::Render => {
                    Diagnostic::warning(Code::DeprecatedSyntax, format!("`{written}` is read as `{key}`"))
                }
                DecodeMode::Validate => {
                    Diagnostic::error(Code::DeprecatedSyntax, format!("`{written}` is not `{key}`"))
                }
            };
            diagnostic = diagnostic
                .at(label)
                .field(key)
                .because("keys are case-sensitive: Kubernetes ignores this one");
            self.diagnostics.push(diagnostic.help(format!("write `{key}`")));
            if let Some(value) = self.set.shift_remove(&written) {
                self.set.insert(key.into(), value);
                self.locations.record_move(FieldPath::root().child(key), at);
            }
        }
    }

    /// Moves a field into `spec.updateStrategy`, unless that has the field already.
    fn move_to_update_strategy(&mut self, from: &FieldPath, key: &str) {
        let Some(value) = remove_at(&mut self.set, from) else { return };
        let to = FieldPath::dotted("spec.updateStrategy").child(key);
        self.warn(from, &to);
        if self.mode == DecodeMode::Render {
            let spec = child_object(&mut self.set, "spec");
            let strategy = spec.and_then(|s| child_object(s, "updateStrategy"));
            if let Some(strategy) = strategy.filter(|s| !s.contains_key(key)) {
                strategy.insert(key.into(), value);
                self.locations.record_move(to, from.clone());
            }
        }
    }

    /// Moves a top-level `emptyDir: {}` into the last volume without a source.
    fn move_empty_dir(&mut self) {
        let from = FieldPath::dotted("emptyDir");
        let Some(value) = remove_at(&mut self.set, &from) else { return };
        let volumes =
            self.set.get_mut("spec").and_then(|s| s.get_mut("volumes")).and_then(Value::as_array_mut);
        let bare =
            volumes.into_iter().flatten().enumerate().filter_map(|(i, v)| Some((i, v.as_object_mut()?)));
        let last = bare.filter(|(_, v)| v.len() == 1 && v.contains_key("name")).last();
        let to = match last {
            Some((i, volume)) => {
                if self.mode == DecodeMode::Render {
                    volume.insert("emptyDir".into(), value);
                }
                FieldPath::dotted("spec.volumes").child(i).child("emptyDir")
            }
            None => FieldPath::dotted("spec.volumes"),
        };
        self.warn(&from, &to);
    }

    /// Moves the fields of `spec.strategy`, the update strategy of Kruise before v0.5, and of its `rollingUpdate`.
    fn unwrap_strategy(&mut self) {
        let strategy = FieldPath::dotted("spec.strategy");
        for prefix in [strategy.child("rollingUpdate"), strategy.clone()] {
            for key in update_strategy_keys() {
                self.move_to_update_strategy(&prefix.child(key), key);
            }
        }
        let rest = remove_at(&mut self.set, &strategy);
        let is_used_up = |v: &Value| match v {
            Value::Object(map) => map.iter().all(|(k, v)| k == "rollingUpdate" && v == &json!({})),
            _ => v.is_null(),
        };
        if rest.is_some_and(|r| !is_used_up(&r)) {
            self.warn(&strategy, &FieldPath::dotted("spec.updateStrategy"));
        }
    }

    /// Merges a list of labels of the canary selector, which an article has in place of a mapping: `- canary: true`.
    ///
    /// In the mode `Validate` the decoder refuses it, as Kruise does.
    fn merge_canary_labels(&mut self) {
        let at = FieldPath::dotted("spec.updateStrategy.selector.matchLabels");
        if self.mode == DecodeMode::Validate {
            return;
        }
        let parent = self.set.get_mut("spec").and_then(|s| s.get_mut("updateStrategy"));
        let parent = parent.and_then(|s| s.get_mut("selector"));
        let Some(labels) = parent.and_then(|s| s.get_mut("matchLabels")) else { return };
        let Some(merged) = labels.as_array().and_then(|list| merge_labels(list)) else { return };
        *labels = Value::Object(merged);
        let label = self.locations.label(&at, EntryPart::Value, "");
        let message = "`matchLabels` is a list, and is read as a mapping of strings";
        let diagnostic = Diagnostic::warning(Code::DeprecatedSyntax, message).at(label).field(at.to_string());
        let diagnostic = diagnostic.because("Kruise cannot decode this SidecarSet");
        self.diagnostics.push(diagnostic.help("write `key: \"value\"` lines without leading dashes"));
    }

    /// Wraps share policies that are plain strings: `shareVolumePolicy: enabled`.
    fn wrap_share_policies(&mut self, list: &str, policy: &str) {
        let containers = self.set.get_mut("spec").and_then(|s| s.get_mut(list)).and_then(Value::as_array_mut);
        for (i, container) in containers.into_iter().flatten().enumerate() {
            let Some(value) =
                container.get_mut(policy).filter(|v| matches!(v.as_str(), Some("enabled" | "disabled")))
            else {
                continue;
            };
            if self.diagnostics.len() >= MAX_FINDINGS {
                let kind = value.take();
                *value = json!({"type": kind});
                continue;
            }
            let at = FieldPath::dotted("spec").child(list).child(i).child(policy);
            let kind = value.as_str().unwrap_or_default().to_owned();
            let label = self.locations.label(&at, EntryPart::Value, "");
            let diagnostic = match self.mode {
                DecodeMode::Render => {
                    Diagnostic::warning(Code::DeprecatedSyntax, format!("`{policy}` is a plain string"))
                }
                DecodeMode::Validate => {
                    Diagnostic::error(Code::WrongType, format!("`{policy}` must be a mapping"))
                }
            };
            let diagnostic = diagnostic.at(label).field(at.to_string());
            let diagnostic = diagnostic.because("Kruise cannot decode this SidecarSet");
            self.diagnostics.push(diagnostic.help(format!("write `{policy}: {{type: {kind}}}`")));
            *value = json!({"type": kind});
            self.locations.record_move(at.child("type"), at);
        }
    }

    fn warn(&mut self, from: &FieldPath, to: &FieldPath) {
        let (does, label) = match self.mode {
            DecodeMode::Render => ("is read as", "deprecated or misplaced"),
            DecodeMode::Validate => ("is dropped by Kruise: the field is", "this has no effect in a cluster"),
        };
        let name = from.segments().iter().rev().find_map(|s| match s {
            PathSegment::Key(k) => Some(k.as_str()),
            PathSegment::Index(_) => None,
        });
        let message = format!("`{}` here {does} `{to}`", name.unwrap_or("this"));
        let diagnostic = Diagnostic::warning(Code::DeprecatedSyntax, message).at(self.locations.label(
            from,
            EntryPart::Key,
            label,
        ));
        self.diagnostics.push(diagnostic.field(from.to_string()).help(format!("move it to `{to}`")));
    }
}

/// Merges mappings of labels; None if something else is among them, or a label twice.
fn merge_labels(list: &[Value]) -> Option<JsonObject> {
    let mut merged = JsonObject::new();
    for (key, value) in list.iter().map(Value::as_object).collect::<Option<Vec<_>>>()?.into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            _ => return None,
        };
        if merged.insert(key.clone(), Value::String(text)).is_some() {
            return None;
        }
    }
    (!merged.is_empty()).then_some(merged)
}

/// Removes the value at a path of keys and returns it.
fn remove_at(object: &mut JsonObject, path: &FieldPath) -> Option<Value> {
    let (last, parents) = path.segments().split_last()?;
    let key = |s: &PathSegment| match s {
        PathSegment::Key(k) => Some(k.clone()),
        PathSegment::Index(_) => None,
    };
    let mut object = object;
    for step in parents {
        object = object.get_mut(&key(step)?)?.as_object_mut()?;
    }
    object.shift_remove(&key(last)?)
}

/// Returns the object at a key, created if it is absent; None if the value is not an object.
fn child_object<'a>(object: &'a mut JsonObject, key: &str) -> Option<&'a mut JsonObject> {
    let value = object.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(JsonObject::new());
    }
    value.as_object_mut()
}
