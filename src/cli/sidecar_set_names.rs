//! Names of the known SidecarSets, with suggestions for misspelled ones.

use super::error::CommandError;
use crate::model::suggestion::closest_match;
use crate::stage::ClusterView;
use std::collections::BTreeSet;

/// The SidecarSets of some clusters.
#[derive(Debug, Default)]
pub(super) struct SidecarSetNames {
    /// Those that have a ledger.
    with_ledger: BTreeSet<String>,
    /// Those that have a file.
    with_manifest: BTreeSet<String>,
}

impl SidecarSetNames {
    /// Returns those of one cluster.
    pub(super) fn from_cluster(view: &ClusterView) -> Self {
        let mut known = Self::default();
        known.add_cluster(view);
        known
    }

    /// Takes those of one more cluster.
    pub(super) fn add_cluster(&mut self, view: &ClusterView) {
        self.with_ledger.extend(view.prepared.ledgers.keys().map(ToString::to_string));
        self.with_manifest.extend(view.prepared.sets.iter().map(|set| set.name.clone()));
    }

    /// Returns whether a SidecarSet has this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.with_ledger.contains(name) || self.with_manifest.contains(name)
    }

    /// Fails with wrong usage when one of some names has no ledger.
    pub(super) fn check<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> Result<(), CommandError> {
        self.unknown_name_message(names).map_or(Ok(()), |message| Err(CommandError::usage(message)))
    }

    /// Says what is wrong with the first of some names that has no ledger; None: nothing is.
    fn unknown_name_message<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> Option<String> {
        let name = names.into_iter().find(|name| !self.with_ledger.contains(*name))?;
        if self.with_manifest.contains(name) {
            return Some(format!("SidecarSet `{name}` has no ledger yet: `pillion init rollout` writes it"));
        }
        let near =
            closest_match(name, self.with_ledger.iter().chain(&self.with_manifest).map(String::as_str));
        Some(match (near, self.with_ledger.is_empty()) {
            (Some(near), _) => format!("there is no SidecarSet `{name}`: did you mean `{near}`?"),
            (None, true) => format!("there is no SidecarSet `{name}`, and no ledger at all"),
            (None, false) => {
                let all: Vec<&str> = self.with_ledger.iter().map(String::as_str).collect();
                format!("there is no SidecarSet `{name}`; ledgers are of {}", all.join(", "))
            }
        })
    }
}
