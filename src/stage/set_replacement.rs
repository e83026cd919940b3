//! Renamed and split SidecarSets: which one replaces which.

use super::ClusterView;
use crate::model::ledger::{Ledger, LedgerEntry};
use crate::model::sidecar_set::SidecarSet;
use crate::render::replacement_candidates;
use crate::rollout::Successor;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl ClusterView {
    /// Returns the SidecarSets that one replaces when its rollout starts. Once a workload has it, only its ledger
    /// counts, as far as there is something left to replace.
    pub(super) fn replaced_sets(&self, ledger: &Ledger) -> Vec<Arc<str>> {
        if self.prepared.renderer.is_kruise_runtime() {
            return Vec::new();
        }
        self.replaced_sets_of(ledger, |name| self.prepared.ledgers.get(name))
    }

    fn replaced_sets_of<'l>(
        &self,
        ledger: &Ledger,
        find: impl Fn(&str) -> Option<&'l Ledger>,
    ) -> Vec<Arc<str>> {
        let set = self.set_in_source(&ledger.name).into_iter();
        let contents: Vec<&SidecarSet> =
            set.chain(ledger.revisions.values().map(|r| &r.set)).map(Arc::as_ref).collect();
        let candidates = match ledger.is_in_use() {
            true => ledger.replaces.clone(),
            false => replacement_candidates(
                &self.prepared.sets,
                ledger,
                self.prepared.ledgers.keys().filter_map(|n| find(n)),
            ),
        };
        let is_left = |old: &Arc<str>| {
            let old = find(old).filter(|old| old.is_in_use());
            old.is_some_and(|old| self.takes_over_workloads(&ledger.name, &contents, old))
        };
        candidates.into_iter().filter(is_left).collect()
    }

    /// Returns whether others were deleted, and a set has all of their containers.
    pub(super) fn replaces_all_containers(&self, name: &str, replaces: &[Arc<str>]) -> bool {
        let Some(set) = self.set_in_source(name) else { return false };
        let containers = |set: &'_ SidecarSet| -> BTreeSet<String> {
            set.init_containers.iter().chain(&set.containers).map(|c| c.name.clone()).collect()
        };
        let own = containers(set);
        let ledgers = replaces.iter().filter_map(|old| self.prepared.ledgers.get(old));
        let is_gone = replaces.iter().all(|old| self.set_in_source(old).is_none());
        is_gone
            && ledgers
                .flat_map(|ledger| ledger.revisions.values())
                .all(|r| containers(&r.set).is_subset(&own))
    }

    /// Returns the SidecarSets that replace the one of this ledger, on workloads that it no longer selects.
    pub(super) fn successors(&self, ledger: &Ledger) -> Vec<Successor> {
        if !ledger.is_in_use() || self.prepared.renderer.is_kruise_runtime() {
            return Vec::new();
        }
        let find = |name: &str| {
            if *name == *ledger.name { Some(ledger) } else { self.prepared.ledgers.get(name) }
        };
        let others = self.prepared.ledgers.values().filter(|other| other.name != ledger.name);
        let replacing = others.filter(|other| self.replaced_sets_of(other, find).contains(&ledger.name));
        let successor = |other: &Ledger| Successor {
            name: Arc::clone(&other.name),
            is_released: other.released.is_some() && other.target.is_none(),
        };
        replacing.map(successor).collect()
    }

    /// Returns the workloads that are held in the ledgers of some SidecarSets, each with its entry.
    pub(super) fn held_entries(&self, names: &[Arc<str>]) -> BTreeMap<Arc<str>, LedgerEntry> {
        let ledgers = names.iter().filter_map(|name| self.prepared.ledgers.get(name));
        let lines = ledgers.flat_map(|ledger| ledger.entries.iter());
        let held = lines.filter(|(_, entry)| entry.hold_reason.is_some());
        held.map(|(key, entry)| (Arc::clone(key), entry.clone())).collect()
    }

    fn set_in_source(&self, name: &str) -> Option<&Arc<SidecarSet>> {
        self.prepared.sets.iter().find(|set| set.name == name)
    }

    /// Returns whether some workload is selected by a content of one set and by a content that another set has in
    /// use, and not by the files of both.
    fn takes_over_workloads(&self, name: &str, contents: &[&SidecarSet], old: &Ledger) -> bool {
        let written = [name, &*old.name].map(|name| self.set_in_source(name));
        self.workloads().iter().any(|workload| {
            let selects = |set: &SidecarSet| self.prepared.renderer.selects(workload, set);
            contents.iter().any(|set| selects(set))
                && old.revisions.values().any(|r| selects(&r.set))
                && !written.iter().all(|set| set.is_some_and(|set| selects(set)))
        })
    }
}
