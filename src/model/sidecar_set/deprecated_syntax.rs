//! Forms of a SidecarSet that older articles show and Kruise no longer reads: what they mean today.

use super::DecodeMode;
use super::field_locations::FieldLocations;
use crate::diagnostics::{Code, Diagnostic};
use crate::model::json::JsonObject;
use crate::yaml::{EntryPart, FieldPath, PathSegment};
use serde_json::{Value, json};

/// Keys of `updateStrategy` that articles put elsewhere.
const UPDATE_STRATEGY_KEYS: [&str; 6] =
    ["paused", "selector", "partition", "maxUnavailable", "priorityStrategy", "scatterStrategy"];
/// Findings that are shown; old forms beyond them are read all the same.
const MAX_FINDINGS: usize = 100;
/// The keys a document has at its top.
const TOP_LEVEL_KEYS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// Moves what stands in an old place to where the API has it now, with a warning for each.
///
/// To validate is to say what Kruise would do: it drops such fields, and refuses what it cannot decode.
pub(crate) fn modernize(
    set: &JsonObject,
    mode: DecodeMode,
    places: &mut FieldLocations,
) -> (JsonObject, Vec<Diagnostic>) {
    let mut forms = SyntaxMigration { set: set.clone(), mode, locations: places, diagnostics: Vec::new() };
    forms.rename_top_keys();
    for key in UPDATE_STRATEGY_KEYS.into_iter().filter(|k| *k != "selector") {
        forms.move_to_update_strategy(&FieldPath::root().child(key), key);
    }
    forms.move_empty_dir();
    forms.move_to_update_strategy(&FieldPath::dotted("spec.paused"), "paused");
    forms.unwrap_strategy();
    for list in ["initContainers", "containers"] {
        for policy in ["shareVolumePolicy", "shareVolumeDevicePolicy"] {
            forms.wrap_share_policies(list, policy);
        }
    }
    (forms.set, forms.diagnostics)
}

struct SyntaxMigration<'a> {
    set: JsonObject,
    mode: DecodeMode,
    locations: &'a mut FieldLocations,
    diagnostics: Vec<Diagnostic>,
}

impl SyntaxMigration<'_> {
    /// `Kind : SidecarSet` and the like.
    fn rename_top_keys(&mut self) {
        for key in TOP_LEVEL_KEYS {
            let written = self.set.keys().find(|k| k.as_str() != key && k.eq_ignore_ascii_case(key)).cloned();
            let Some(written) = written.filter(|_| !self.set.contains_key(key)) else { continue };
            let at = FieldPath::root().child(written.clone());
            let label = self.locations.label(&at, EntryPart::Key, format!("write `{key}`"));
            let mut found = match self.mode {
                DecodeMode::Render => {
                    Diagnostic::warning(Code::DeprecatedSyntax, format!("`{written}` is read as `{key}`"))
                }
                DecodeMode::Validate => {
                    Diagnostic::error(Code::DeprecatedSyntax, format!("`{written}` is not `{key}`"))
                }
            };
            found = found
                .at(label)
                .field(key)
                .because("keys are case-sensitive: Kubernetes does not see this one");
            self.diagnostics.push(found.help(format!("write `{key}`")));
            if let Some(value) = self.set.shift_remove(&written) {
                self.set.insert(key.into(), value);
                self.locations.record_move(FieldPath::root().child(key), at);
            }
        }
    }

    /// Moves one field into `spec.updateStrategy`; what is already there wins.
    fn move_to_update_strategy(&mut self, from: &FieldPath, key: &str) {
        let Some(value) = remove_at(&mut self.set, from) else { return };
        let to = FieldPath::dotted("spec.updateStrategy").child(key);
        self.warn(from, &to);
        if self.mode == DecodeMode::Render {
            let spec = object_entry(&mut self.set, "spec");
            let strategy = spec.and_then(|s| object_entry(s, "updateStrategy"));
            if let Some(strategy) = strategy.filter(|s| !s.contains_key(key)) {
                strategy.insert(key.into(), value);
                self.locations.record_move(to, from.clone());
            }
        }
    }

    /// `emptyDir: {}` at the left margin, below the volume it was meant for.
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

    /// `spec.strategy`, the update strategy of Kruise before v0.5, and its `rollingUpdate`.
    fn unwrap_strategy(&mut self) {
        let strategy = FieldPath::dotted("spec.strategy");
        for prefix in [strategy.child("rollingUpdate"), strategy.clone()] {
            for key in UPDATE_STRATEGY_KEYS {
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

    /// `shareVolumePolicy: enabled`, written as a plain string.
    fn wrap_share_policies(&mut self, list: &str, policy: &str) {
        let containers = self.set.get_mut("spec").and_then(|s| s.get_mut(list)).and_then(Value::as_array_mut);
        for (i, container) in containers.into_iter().flatten().enumerate() {
            let Some(value) =
                container.get_mut(policy).filter(|v| matches!(v.as_str(), Some("enabled" | "disabled")))
            else {
                continue;
            };
            // What is beyond the findings that are shown is mapped all the same.
            if self.diagnostics.len() >= MAX_FINDINGS {
                let kind = value.take();
                *value = json!({"type": kind});
                continue;
            }
            let at = FieldPath::dotted("spec").child(list).child(i).child(policy);
            let kind = value.as_str().unwrap_or_default().to_owned();
            let label = self.locations.label(&at, EntryPart::Value, "");
            let found = match self.mode {
                DecodeMode::Render => Diagnostic::warning(
                    Code::DeprecatedSyntax,
                    format!("`{policy}` is written as a plain string"),
                ),
                DecodeMode::Validate => {
                    Diagnostic::error(Code::WrongType, format!("`{policy}` must be a mapping"))
                }
            };
            let found = found.at(label).field(at.to_string());
            let found = found.because("Kruise cannot decode such a SidecarSet");
            self.diagnostics.push(found.help(format!("write `{policy}: {{type: {kind}}}`")));
            *value = json!({"type": kind});
            self.locations.record_move(at.child("type"), at);
        }
    }

    fn warn(&mut self, from: &FieldPath, to: &FieldPath) {
        let (does, label) = match self.mode {
            DecodeMode::Render => ("is read as", "this is an old or misplaced form"),
            DecodeMode::Validate => {
                ("is dropped by Kruise; it was meant as", "this has no effect in a cluster")
            }
        };
        let name = from.segments().iter().rev().find_map(|s| match s {
            PathSegment::Key(k) => Some(k.as_str()),
            PathSegment::Index(_) => None,
        });
        let message = format!("`{}` here {does} `{to}`", name.unwrap_or("this"));
        let found = Diagnostic::warning(Code::DeprecatedSyntax, message).at(self.locations.label(
            from,
            EntryPart::Key,
            label,
        ));
        self.diagnostics.push(found.field(from.to_string()).help(format!("move it to `{to}`")));
    }
}

/// Takes out the value at a path of keys.
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

/// Returns the object at a key, made where nothing is there; None where something else is.
fn object_entry<'a>(object: &'a mut JsonObject, key: &str) -> Option<&'a mut JsonObject> {
    let value = object.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(JsonObject::new());
    }
    value.as_object_mut()
}
