//! Renamed and split SidecarSets: which one takes the place of which.

use super::Site;
use crate::model::ledger::{Ledger, Line};
use crate::model::sidecar_set::SidecarSet;
use crate::plan::Successor;
use crate::render::candidates;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Site {
    /// Returns the SidecarSets whose place one takes when its rollout opens. As soon as it is carried somewhere, only
    /// what its ledger says counts, as far as there is something left to be replaced.
    pub(super) fn replaces(&self, ledger: &Ledger) -> Vec<Arc<str>> {
        self.replaces_of(ledger, |name| self.prepared.ledgers.get(name))
    }

    fn replaces_of<'l>(&self, ledger: &Ledger, find: impl Fn(&str) -> Option<&'l Ledger>) -> Vec<Arc<str>> {
        let set = self.written(&ledger.name).into_iter();
        let contents: Vec<&SidecarSet> =
            set.chain(ledger.revisions.values().map(|r| &r.set)).map(Arc::as_ref).collect();
        let candidates = match ledger.is_carried() {
            true => ledger.replaces.clone(),
            false => {
                candidates(&self.prepared.sets, ledger, self.prepared.ledgers.keys().filter_map(|n| find(n)))
            }
        };
        let is_left = |old: &Arc<str>| {
            let old = find(old).filter(|old| old.is_carried());
            old.is_some_and(|old| self.takes_over(&ledger.name, &contents, old))
        };
        candidates.into_iter().filter(is_left).collect()
    }

    /// Returns whether others are gone from git, and a set brings every container of them.
    pub(super) fn replaces_all(&self, name: &str, replaces: &[Arc<str>]) -> bool {
        let Some(set) = self.written(name) else { return false };
        let containers = |set: &'_ SidecarSet| -> BTreeSet<String> {
            set.init_containers.iter().chain(&set.containers).map(|c| c.name.clone()).collect()
        };
        let own = containers(set);
        let ledgers = replaces.iter().filter_map(|old| self.prepared.ledgers.get(old));
        let is_gone = replaces.iter().all(|old| self.written(old).is_none());
        is_gone
            && ledgers
                .flat_map(|ledger| ledger.revisions.values())
                .all(|r| containers(&r.set).is_subset(&own))
    }

    /// Returns the SidecarSets that take the place of one, whose ledger this is, on workloads that it does not select any
    /// more.
    pub(super) fn replaced_by(&self, ledger: &Ledger) -> Vec<Successor> {
        if !ledger.is_carried() {
            return Vec::new();
        }
        let find = |name: &str| {
            if *name == *ledger.name { Some(ledger) } else { self.prepared.ledgers.get(name) }
        };
        let others = self.prepared.ledgers.values().filter(|other| other.name != ledger.name);
        let replacing = others.filter(|other| self.replaces_of(other, find).contains(&ledger.name));
        let successor = |other: &Ledger| Successor {
            name: Arc::clone(&other.name),
            is_released: other.released.is_some() && other.target.is_none(),
        };
        replacing.map(successor).collect()
    }

    /// Returns the workloads that are held in the ledgers of some SidecarSets, each with its line.
    pub(super) fn held_in(&self, names: &[Arc<str>]) -> BTreeMap<Arc<str>, Line> {
        let ledgers = names.iter().filter_map(|name| self.prepared.ledgers.get(name));
        let lines = ledgers.flat_map(|ledger| ledger.lines.iter());
        let held = lines.filter(|(_, line)| line.held.is_some());
        held.map(|(key, line)| (Arc::clone(key), line.clone())).collect()
    }

    fn written(&self, name: &str) -> Option<&Arc<SidecarSet>> {
        self.prepared.sets.iter().find(|set| set.name == name)
    }

    /// Returns whether some workload is selected by one of a set's contents and by a content that another set has in
    /// use, and not by the files of both.
    fn takes_over(&self, name: &str, contents: &[&SidecarSet], old: &Ledger) -> bool {
        let written = [name, &*old.name].map(|name| self.written(name));
        self.located().any(|(document, located)| {
            let selects = |set: &SidecarSet| self.prepared.renderer.selects(document, located, set);
            contents.iter().any(|set| selects(set))
                && old.revisions.values().any(|r| selects(&r.set))
                && !written.iter().all(|set| set.is_some_and(|set| selects(set)))
        })
    }
}
