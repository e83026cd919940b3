//! A SidecarSet itself, where Kruise injects it: the content of a revision, with a strategy that keeps pods old.

use crate::model::json::JsonObject;
use crate::model::ledger::{Ledger, LedgerEntry, RevisionName};
use crate::model::sidecar_set::ROLLOUT_FIELDS;
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

    /// Returns the object, made of the one that is written. `content` is that of its revision, where it is another.
    pub(super) fn object(&self, written: &Value, content: Option<&JsonObject>) -> Value {
        let mut object = written.clone();
        let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return object };
        if let Some(content) = content {
            spec.retain(|key, _| ROLLOUT_FIELDS.contains(&key.as_str()) || content.contains_key(key));
            spec.extend(content.iter().map(|(key, value)| (key.clone(), value.clone())));
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
