//! Forms of a SidecarSet that older articles show and Kruise no longer reads: what they mean today.

use super::Mode;
use super::places::Places;
use crate::diag::{Code, Diagnostic};
use crate::yaml::{Part, Path, Seg};
use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

/// Keys of `updateStrategy` that articles put elsewhere.
const UPDATE_KEYS: [&str; 6] =
    ["paused", "selector", "partition", "maxUnavailable", "priorityStrategy", "scatterStrategy"];
/// Findings that are shown; old forms beyond them are read all the same.
const MOST_FINDINGS: usize = 100;
/// The keys a document has at its top.
const TOP_KEYS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// Moves what stands in an old place to where the API has it now, with a warning for each.
///
/// To validate is to say what Kruise would do: it drops such fields, and refuses what it cannot decode.
pub(crate) fn modernize(set: &Object, mode: Mode, places: &mut Places) -> (Object, Vec<Diagnostic>) {
    let mut forms = Forms { set: set.clone(), mode, places, found: Vec::new() };
    forms.rename_top_keys();
    for key in UPDATE_KEYS.into_iter().filter(|k| *k != "selector") {
        forms.move_to_update_strategy(&Path::root().then(key), key);
    }
    forms.move_empty_dir();
    forms.move_to_update_strategy(&Path::dotted("spec.paused"), "paused");
    forms.unwrap_strategy();
    for list in ["initContainers", "containers"] {
        for policy in ["shareVolumePolicy", "shareVolumeDevicePolicy"] {
            forms.wrap_share_policies(list, policy);
        }
    }
    (forms.set, forms.found)
}

struct Forms<'a> {
    set: Object,
    mode: Mode,
    places: &'a mut Places,
    found: Vec<Diagnostic>,
}

impl Forms<'_> {
    /// `Kind : SidecarSet` and the like.
    fn rename_top_keys(&mut self) {
        for key in TOP_KEYS {
            let written = self.set.keys().find(|k| k.as_str() != key && k.eq_ignore_ascii_case(key)).cloned();
            let Some(written) = written.filter(|_| !self.set.contains_key(key)) else { continue };
            let at = Path::root().then(written.clone());
            let label = self.places.label(&at, Part::Key, format!("write `{key}`"));
            let mut found = match self.mode {
                Mode::Render => Diagnostic::warning(Code::OldForm, format!("`{written}` is read as `{key}`")),
                Mode::Validate => Diagnostic::error(Code::OldForm, format!("`{written}` is not `{key}`")),
            };
            found = found
                .at(label)
                .field(key)
                .because("keys are case-sensitive: Kubernetes does not see this one");
            self.found.push(found.help(format!("write `{key}`")));
            if let Some(value) = self.set.shift_remove(&written) {
                self.set.insert(key.into(), value);
                self.places.note_move(Path::root().then(key), at);
            }
        }
    }

    /// Moves one field into `spec.updateStrategy`; what is already there wins.
    fn move_to_update_strategy(&mut self, from: &Path, key: &str) {
        let Some(value) = take(&mut self.set, from) else { return };
        let to = Path::dotted("spec.updateStrategy").then(key);
        self.warn(from, &to);
        if self.mode == Mode::Render {
            let spec = object_at(&mut self.set, "spec");
            let strategy = spec.and_then(|s| object_at(s, "updateStrategy"));
            if let Some(strategy) = strategy.filter(|s| !s.contains_key(key)) {
                strategy.insert(key.into(), value);
                self.places.note_move(to, from.clone());
            }
        }
    }

    /// `emptyDir: {}` at the left margin, below the volume it was meant for.
    fn move_empty_dir(&mut self) {
        let from = Path::dotted("emptyDir");
        let Some(value) = take(&mut self.set, &from) else { return };
        let volumes =
            self.set.get_mut("spec").and_then(|s| s.get_mut("volumes")).and_then(Value::as_array_mut);
        let bare =
            volumes.into_iter().flatten().enumerate().filter_map(|(i, v)| Some((i, v.as_object_mut()?)));
        let last = bare.filter(|(_, v)| v.len() == 1 && v.contains_key("name")).last();
        let to = match last {
            Some((i, volume)) => {
                if self.mode == Mode::Render {
                    volume.insert("emptyDir".into(), value);
                }
                Path::dotted("spec.volumes").then(i).then("emptyDir")
            }
            None => Path::dotted("spec.volumes"),
        };
        self.warn(&from, &to);
    }

    /// `spec.strategy`, the update strategy of Kruise before v0.5, and its `rollingUpdate`.
    fn unwrap_strategy(&mut self) {
        let strategy = Path::dotted("spec.strategy");
        for prefix in [strategy.then("rollingUpdate"), strategy.clone()] {
            for key in UPDATE_KEYS {
                self.move_to_update_strategy(&prefix.then(key), key);
            }
        }
        let rest = take(&mut self.set, &strategy);
        let is_used_up = |v: &Value| match v {
            Value::Object(map) => map.iter().all(|(k, v)| k == "rollingUpdate" && v == &json!({})),
            _ => v.is_null(),
        };
        if rest.is_some_and(|r| !is_used_up(&r)) {
            self.warn(&strategy, &Path::dotted("spec.updateStrategy"));
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
            if self.found.len() >= MOST_FINDINGS {
                let kind = value.take();
                *value = json!({"type": kind});
                continue;
            }
            let at = Path::dotted("spec").then(list).then(i).then(policy);
            let kind = value.as_str().unwrap_or_default().to_owned();
            let label = self.places.label(&at, Part::Value, "");
            let found = match self.mode {
                Mode::Render => {
                    Diagnostic::warning(Code::OldForm, format!("`{policy}` is written as a plain string"))
                }
                Mode::Validate => Diagnostic::error(Code::WrongType, format!("`{policy}` must be a mapping")),
            };
            let found = found.at(label).field(at.to_string());
            let found = found.because("Kruise cannot decode such a SidecarSet");
            self.found.push(found.help(format!("write `{policy}: {{type: {kind}}}`")));
            *value = json!({"type": kind});
            self.places.note_move(at.then("type"), at);
        }
    }

    fn warn(&mut self, from: &Path, to: &Path) {
        let (does, label) = match self.mode {
            Mode::Render => ("is read as", "this is an old or misplaced form"),
            Mode::Validate => ("is dropped by Kruise; it was meant as", "this has no effect in a cluster"),
        };
        let name = from.steps().iter().rev().find_map(|s| match s {
            Seg::Key(k) => Some(k.as_str()),
            Seg::Index(_) => None,
        });
        let message = format!("`{}` here {does} `{to}`", name.unwrap_or("this"));
        let found = Diagnostic::warning(Code::OldForm, message).at(self.places.label(from, Part::Key, label));
        self.found.push(found.field(from.to_string()).help(format!("move it to `{to}`")));
    }
}

/// Takes out the value at a path of keys.
fn take(object: &mut Object, path: &Path) -> Option<Value> {
    let (last, parents) = path.steps().split_last()?;
    let key = |s: &Seg| match s {
        Seg::Key(k) => Some(k.clone()),
        Seg::Index(_) => None,
    };
    let mut object = object;
    for step in parents {
        object = object.get_mut(&key(step)?)?.as_object_mut()?;
    }
    object.shift_remove(&key(last)?)
}

/// Returns the object at a key, made where nothing is there; None where something else is.
fn object_at<'a>(object: &'a mut Object, key: &str) -> Option<&'a mut Object> {
    let value = object.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Object::new());
    }
    value.as_object_mut()
}
