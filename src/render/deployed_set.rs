//! A SidecarSet itself, where Kruise injects it: the content of a revision, with a strategy that keeps pods old.

use crate::model::json::JsonObject;
use crate::model::ledger::{Ledger, LedgerEntry, RevisionName};
use crate::model::workload::sidecar_set_key;
use serde_json::{Map, Value};

/// What a ledger says of a SidecarSet itself.
#[derive(Debug, Clone, Default)]
pub(super) struct DeployedSet {
    /// Its revision; None: it is not deployed.
    pub(super) revision: RevisionName,
    /// The percentage of its pods that `partition` keeps old.
    partition_percent: Option<u32>,
    /// A rollout is open, which writes `partition`.
    is_open: bool,
    /// It goes back to the released revision: this one.
    rolls_back_to: Option<RevisionName>,
    /// The rollout is paused.
    is_paused: bool,
}

/// The content of a revision, and that of the file, as Kruise stores them.
#[derive(Debug, Clone, Copy)]
pub(super) struct RevisionContent<'c> {
    /// Of the revision.
    pub(super) deployed: &'c JsonObject,
    /// Of the file; None: it is not known.
    pub(super) written: Option<&'c JsonObject>,
}

impl RevisionContent<'_> {
    /// Returns the `spec` of the file with the content of the revision. What both have stays as it is written: an edit of
    /// the file changes no other line of what is deployed.
    fn written_as(self, spec: &JsonObject) -> JsonObject {
        let mut spec = spec.clone();
        let selector = |content: &JsonObject| content.get("namespaceSelector").cloned();
        // v1alpha1 has `namespace` in place of a `namespaceSelector`, which then has no effect.
        let keeps_namespace = self.written.is_some_and(|file| selector(file) == selector(self.deployed));
        if !keeps_namespace && spec.shift_remove("namespace").is_some() {
            spec.shift_remove("namespaceSelector");
        }
        let nothing = JsonObject::new();
        merge_fields(&spec, self.written.unwrap_or(&nothing), self.deployed)
    }
}

/// Returns the fields of `deployed`, those that are the same in `known` as they are written. `known` is the stored form of
/// what is written.
fn merge_fields(written: &JsonObject, known: &JsonObject, deployed: &JsonObject) -> JsonObject {
    let mut merged = JsonObject::new();
    for (key, value) in written {
        match (known.get(key), deployed.get(key)) {
            // Fields without effect, and those of the strategy, are in neither.
            (before, after) if before == after => merged.insert(key.clone(), value.clone()),
            (before, Some(after)) => merged.insert(key.clone(), merge_value(value, before, after)),
            (_, None) => None,
        };
    }
    let is_new = |key: &str, value: &Value| !merged.contains_key(key) && known.get(key) != Some(value);
    let new: Vec<_> = deployed.iter().filter(|(key, value)| is_new(key, value)).collect();
    merged.extend(new.into_iter().map(|(key, value)| (key.clone(), value.clone())));
    merged
}

fn merge_value(written: &Value, known: Option<&Value>, deployed: &Value) -> Value {
    match (written, known, deployed) {
        _ if known == Some(deployed) => written.clone(),
        (Value::Object(written), Some(Value::Object(known)), Value::Object(deployed)) => {
            merge_fields(written, known, deployed).into()
        }
        (Value::Array(written), Some(Value::Array(known)), Value::Array(deployed))
            if written.len() == known.len() =>
        {
            let merged = deployed.iter().enumerate().map(|(index, item)| {
                let is_namesake = |other: &Value| item.get("name").is_some() && item["name"] == other["name"];
                let at = known.iter().position(is_namesake).unwrap_or(index);
                match (written.get(at), known.get(at)) {
                    (Some(written), Some(known)) => merge_value(written, Some(known), item),
                    _ => item.clone(),
                }
            });
            merged.collect()
        }
        _ => deployed.clone(),
    }
}

impl DeployedSet {
    /// Returns what a ledger says.
    pub(super) fn of(ledger: &Ledger) -> Self {
        let entry = ledger.entries.get(&*sidecar_set_key(&ledger.name));
        let released = LedgerEntry::with_revision(ledger.released.clone());
        let state = Self {
            is_open: ledger.target.is_some(),
            rolls_back_to: ledger.target.clone().filter(|target| *target == ledger.released),
            is_paused: ledger.paused.is_some(),
            ..Self::default()
        };
        state.with_entry(entry.unwrap_or(&released))
    }

    /// Returns it with another entry.
    pub(super) fn with_entry(self, entry: &LedgerEntry) -> Self {
        let (revision, partition_percent) = (entry.revision.clone(), entry.partition_percent);
        Self { revision, partition_percent, ..self }
    }

    /// Returns the object, made of the one that is written. `content` is that of its revision, where it is another than
    /// that of the file.
    pub(super) fn object(&self, written: &Value, content: Option<RevisionContent<'_>>) -> Value {
        let mut object = written.clone();
        let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return object };
        if let Some(content) = content {
            *spec = content.written_as(spec);
        }
        let mut strategy = match spec.get("updateStrategy") {
            Some(Value::Object(strategy)) => strategy.clone(),
            _ => Map::new(),
        };
        let is_back = self.rolls_back_to.as_ref().map(|released| *released == self.revision);
        match (self.is_open, is_back) {
            (false, _) => {}
            (true, Some(true)) => release_all(&mut strategy),
            (true, _) => self.keep_pods(&mut strategy),
        }
        // Until the batch that goes back, no further pod gets the given up revision.
        if self.is_paused || is_back == Some(false) {
            strategy.insert("paused".into(), true.into());
        }
        // An empty mapping that is written stays.
        if !strategy.is_empty() || spec.contains_key("updateStrategy") {
            spec.insert("updateStrategy".into(), Value::Object(strategy));
        }
        object
    }

    /// Keeps the pods old that the open rollout has not released. Kruise's webhook refuses a `partition` beside a
    /// `selector`, which then keeps the pods outside of the canary.
    fn keep_pods(&self, strategy: &mut JsonObject) {
        let has_selector = strategy.get("selector").is_some_and(|selector| !selector.is_null());
        match self.partition_percent {
            Some(100) if has_selector => {
                strategy.insert("paused".into(), true.into());
            }
            Some(_) if has_selector => {}
            Some(percent) => {
                strategy.insert("partition".into(), format!("{percent}%").into());
            }
            None => {}
        }
    }
}

/// Keeps no pods back from a rollback, whatever is written: pods that were created since its rollout started have the
/// given up revision wherever they are.
fn release_all(strategy: &mut JsonObject) {
    for key in ["partition", "selector", "paused"] {
        strategy.shift_remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::RevisionContent;
    use crate::model::json::JsonObject;
    use serde_json::{Value, json};

    fn fields(value: &Value) -> JsonObject {
        value.as_object().cloned().unwrap_or_default()
    }

    fn check(written: &Value, known: &Value, deployed: &Value, expected: &Value) {
        let (known, deployed) = (fields(known), fields(deployed));
        let content = RevisionContent { deployed: &deployed, written: Some(&known) };
        assert_eq!(Value::from(content.written_as(&fields(written))), *expected);
    }

    #[test]
    fn what_both_have_stays_as_it_is_written() {
        let env = json!([{"name": "EMPTY", "value": ""}]);
        let stored = json!([{"name": "EMPTY"}]);
        check(
            &json!({"containers": [{"name": "a", "image": "a:2", "env": env, "command": []}], "updateStrategy": {"partition": 1}}),
            &json!({"containers": [{"name": "a", "image": "a:2", "env": stored}]}),
            &json!({"containers": [{"name": "a", "image": "a:1", "env": stored}]}),
            &json!({"containers": [{"name": "a", "image": "a:1", "env": env, "command": []}], "updateStrategy": {"partition": 1}}),
        );
    }

    #[test]
    fn a_container_that_only_the_file_has_goes_and_the_others_stay() {
        check(
            &json!({"containers": [{"name": "new", "image": "n:1"}, {"name": "a", "image": "a:1", "command": []}], "volumes": [{"name": "v"}]}),
            &json!({"containers": [{"name": "new", "image": "n:1"}, {"name": "a", "image": "a:1"}], "volumes": [{"name": "v"}]}),
            &json!({"containers": [{"name": "a", "image": "a:1"}], "initContainers": [{"name": "i"}]}),
            &json!({"containers": [{"name": "a", "image": "a:1", "command": []}], "initContainers": [{"name": "i"}]}),
        );
    }

    #[test]
    fn a_namespace_of_v1alpha1_stays_while_it_says_the_same() {
        let selector =
            |name: &str| json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}});
        let written = json!({"namespace": "shop"});
        check(&written, &selector("shop"), &selector("shop"), &written);
        check(&written, &selector("shop"), &selector("pay"), &selector("pay"));
        check(&written, &selector("shop"), &json!({}), &json!({}));
    }
}
