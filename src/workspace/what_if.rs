//! Hypothetical changes of what is written, which a plan tries out and which are never staged.

use super::InputSelection;
use crate::diagnostics::Diagnostic;
use crate::model::config::{RolloutConfig, decode_rollout};
use crate::model::ledger::Ledger;
use crate::render::DocumentObject;
use crate::yaml::{Document, FieldPath, emit_flow};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The keys of `updateStrategy`; any other is one of `rollout`.
const UPDATE_STRATEGY: [&str; 7] =
    ["type", "paused", "partition", "maxUnavailable", "selector", "priorityStrategy", "scatterStrategy"];

/// What differs from what is written.
#[derive(Debug, Default)]
pub(crate) struct WhatIf {
    /// Files in place of those of pillion.yaml, or besides them.
    pub(crate) selection: InputSelection,
    /// Ledgers of SidecarSets that have none; a SidecarSet in neither has nothing released. Without them a missing
    /// ledger is an error.
    pub(crate) ledgers: Option<BTreeMap<Arc<str>, Ledger>>,
    /// Keys of `updateStrategy`.
    pub(crate) update_strategy: Map<String, Value>,
    /// Keys of `rollout`.
    pub(crate) rollout: RolloutConfig,
}

impl WhatIf {
    /// Applies settings of the command line, `KEY=VALUE` with a value in YAML.
    ///
    /// # Errors
    /// The first invalid setting.
    pub(crate) fn apply_settings(&mut self, settings: &[String]) -> Result<(), String> {
        for setting in settings {
            let (key, value) = setting.split_once('=').ok_or_else(|| {
                format!("`{setting}` is not a setting: write `KEY=VALUE`, as in `maxUnavailable=10%`")
            })?;
            match UPDATE_STRATEGY.contains(&key) {
                true => {
                    let value = parse_yaml(value).map_err(|e| format!("`{setting}`: {}", e.message))?;
                    self.update_strategy.insert(key.to_owned(), value);
                }
                false => {
                    self.rollout = self.rollout.with_overrides(&parse_rollout_setting(key, value, setting)?)
                }
            }
        }
        Ok(())
    }

    /// Writes the keys of `updateStrategy` into SidecarSets, so that they are validated like written ones.
    pub(crate) fn apply_to_sets(&self, sets: &mut [DocumentObject]) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        for (document, path) in sets.iter_mut().filter(|_| !self.update_strategy.is_empty()) {
            let at = path.join(&FieldPath::dotted("spec"));
            let Some(spec) = at.find(document.value()).and_then(Value::as_object) else { continue };
            let mut spec = spec.clone();
            let strategy = spec.entry("updateStrategy").or_insert(Value::Null);
            if !strategy.is_object() {
                *strategy = Value::Object(Map::new());
            }
            strategy.as_object_mut().into_iter().for_each(|s| s.extend(self.update_strategy.clone()));
            let text = document.rewrite(&at, &Value::Object(spec));
            // Positions in it differ from those of the file.
            let name: Arc<str> = format!("{} with --strategy", document.file()).into();
            match text.and_then(|text| Document::read(&name, document.index(), 1, &text)) {
                Ok(changed) => *document = Arc::new(changed),
                Err(error) => diagnostics.push(error),
            }
        }
        diagnostics
    }
}

/// Reads one key of `rollout`; a list may be written without its brackets.
fn parse_rollout_setting(key: &str, value: &str, setting: &str) -> Result<RolloutConfig, String> {
    let is_bare_list = key == "steps" && !value.trim_start().starts_with('[');
    let value = if is_bare_list { format!("[{value}]") } else { value.to_owned() };
    let value = parse_yaml(&value).map_err(|e| format!("`{setting}`: {}", e.message))?;
    let mut keys = Map::new();
    keys.insert(key.to_owned(), value);
    let document = Document::read(&"--strategy".into(), 0, 1, &emit_flow(&Value::Object(keys)));
    let document = document.map_err(|e| format!("`{setting}`: {}", e.message))?;
    let (rollout, diagnostics) = decode_rollout(&document);
    match (rollout, diagnostics.into_iter().find(Diagnostic::is_error)) {
        (Some(rollout), None) => Ok(rollout),
        (_, error) => {
            let (why, help) = error.map_or_else(Default::default, |e| (e.message, e.help));
            let help = help.map_or_else(String::new, |h| format!(" ({h})"));
            Err(format!(
                "`{setting}`: {why}{help}; keys are those of `updateStrategy` ({}) and of `rollout` in pillion.yaml",
                UPDATE_STRATEGY.join(", ")
            ))
        }
    }
}

fn parse_yaml(text: &str) -> Result<Value, Diagnostic> {
    Document::read(&"--strategy".into(), 0, 1, text).map(|d| d.value().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::int_or_percent::IntOrPercent;

    #[test]
    fn settings_are_read_as_yaml() {
        let mut supposed = WhatIf::default();
        let settings = [
            "maxUnavailable=10%",
            "partition=3",
            "steps=1, 25%",
            "maxBatches=7",
            "selector={matchLabels: {a: b}}",
        ];
        supposed.apply_settings(&settings.map(str::to_owned)).unwrap();
        assert_eq!(supposed.update_strategy["maxUnavailable"], "10%");
        assert_eq!(supposed.update_strategy["partition"], 3);
        assert_eq!(supposed.update_strategy["selector"]["matchLabels"]["a"], "b");
        assert_eq!(
            supposed.rollout.steps,
            Some(vec![IntOrPercent::Int(1), IntOrPercent::Text("25%".into())])
        );
        assert_eq!(supposed.rollout.max_batches, Some(7));
    }

    #[test]
    fn what_is_no_setting_is_told() {
        for (setting, message) in [
            ("maxUnavailable", "write `KEY=VALUE`"),
            ("maxUnavailble=1", "unknown key"),
            ("maxBatches=x", "whole number"),
            ("partition=[", "`partition=[`"),
        ] {
            let error = WhatIf::default().apply_settings(&[setting.to_owned()]).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
