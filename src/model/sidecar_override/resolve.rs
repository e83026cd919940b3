//! Decides which SidecarOverride changes each field of one SidecarSet for one workload.

use super::{OverrideChange, OverrideField, OverrideHold, SidecarOverride};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::defaults::REASON;
use crate::yaml::EntryPart;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A change, and the SidecarOverride that makes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChosenChange<'o> {
    /// The SidecarOverride.
    pub(crate) source: &'o SidecarOverride,
    /// The change.
    pub(crate) change: &'o OverrideChange,
}

/// The changes of one SidecarSet for one workload, each field once.
#[derive(Debug, Default)]
pub(crate) struct ResolvedOverrides<'o>(BTreeMap<&'o OverrideField, ChosenChange<'o>>);

impl<'o> ResolvedOverrides<'o> {
    /// Chooses among the SidecarOverrides of a workload those of one SidecarSet: of two changes of a field, the one of
    /// the higher rank. Two of the highest rank are an error. `key` is the workload's.
    pub(crate) fn choose(
        overrides: &'o [Arc<SidecarOverride>],
        set: &str,
        key: &str,
    ) -> (Self, Vec<Diagnostic>) {
        let (mut chosen, mut conflicts) = (Self::default(), Vec::new());
        let mut by_rank: Vec<&SidecarOverride> =
            overrides.iter().map(Arc::as_ref).filter(|source| source.sidecar_set == set).collect();
        by_rank.sort_by_key(|source| std::cmp::Reverse(source.rank()));
        for source in by_rank {
            for change in &source.changes {
                let new = ChosenChange { source, change };
                match chosen.0.get(&change.field) {
                    None => {
                        chosen.0.insert(&change.field, new);
                    }
                    Some(first) if first.source.rank() == source.rank() => {
                        conflicts.push(conflict(key, *first, new));
                    }
                    Some(_) => {}
                }
            }
        }
        (chosen, conflicts)
    }

    /// Returns the SidecarOverride that excludes the workload from the SidecarSet.
    pub(crate) fn exclusion(&self) -> Option<ChosenChange<'o>> {
        self.0.get(&OverrideField::Exclude).filter(|chosen| chosen.change.value == true).copied()
    }

    /// Returns the hold of the workload, whether its last day is over or not.
    pub(crate) fn hold(&self) -> Option<OverrideHold> {
        let chosen = self.0.get(&OverrideField::Hold)?;
        let text = |key: &str| chosen.change.value.get(key).and_then(Value::as_str);
        Some(OverrideHold {
            until: text("until")?.into(),
            reason: text("reason").unwrap_or(REASON).into(),
            by: chosen.source.title().into(),
            place: chosen.label("").to_string(),
        })
    }

    /// Returns the changes of containers, by container and field.
    pub(crate) fn container_changes(&self) -> impl Iterator<Item = ChosenChange<'o>> {
        let all = self.0.values().copied();
        all.filter(|chosen| matches!(chosen.change.field, OverrideField::Container { .. }))
    }
}

impl ChosenChange<'_> {
    /// Returns a label at the change.
    pub(crate) fn label(&self, text: &str) -> crate::diagnostics::Span {
        self.source.document.label(&self.change.path, EntryPart::Key, text)
    }
}

fn conflict(key: &str, first: ChosenChange<'_>, second: ChosenChange<'_>) -> Diagnostic {
    let message = format!(
        "SidecarOverrides `{}` and `{}` both change {} for `{key}`",
        first.source.name, second.source.name, first.change.field
    );
    Diagnostic::error(Code::OverrideConflict, message)
        .at(second.label("here"))
        .at(first.label("and here"))
        .because(format!("both are {}, so neither has precedence", first.source.rank().description()))
        .help("remove it from one of the two, or name the workload in one of them (`workload`)")
}
