//! Which SidecarSets are there, and what did somebody mean who names another?

use crate::model::nearest::nearest;
use crate::stage::Site;
use std::collections::BTreeSet;

/// The SidecarSets of some clusters.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Those that have a ledger.
    ledgers: BTreeSet<String>,
    /// Those that have a file.
    written: BTreeSet<String>,
}

impl Known {
    /// Returns those of one cluster.
    pub(super) fn of(site: &Site) -> Self {
        let mut known = Self::default();
        known.add(site);
        known
    }

    /// Takes those of one more cluster.
    pub(super) fn add(&mut self, site: &Site) {
        self.ledgers.extend(site.prepared.ledgers.keys().map(ToString::to_string));
        self.written.extend(site.prepared.sets.iter().map(|set| set.name.clone()));
    }

    /// Says what is wrong with the first of some names that has no ledger; None: nothing is.
    pub(super) fn unknown<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> Option<String> {
        let name = names.into_iter().find(|name| !self.ledgers.contains(*name))?;
        if self.written.contains(name) {
            return Some(format!("SidecarSet `{name}` has no ledger yet: `pillion init rollout` writes it"));
        }
        let near = nearest(name, self.ledgers.iter().chain(&self.written).map(String::as_str));
        Some(match (near, self.ledgers.is_empty()) {
            (Some(near), _) => format!("there is no SidecarSet `{name}`: did you mean `{near}`?"),
            (None, true) => format!("there is no SidecarSet `{name}`, and no ledger at all"),
            (None, false) => {
                let all: Vec<&str> = self.ledgers.iter().map(String::as_str).collect();
                format!("there is no SidecarSet `{name}`; ledgers are of {}", all.join(", "))
            }
        })
    }
}
