//! Assigns a revision of each SidecarSet to a workload: from the files, or from ledgers.

use super::deployed_set::{DeployedSet, RevisionContent};
use super::replacements::{self, Replacements};
use crate::inject::{LedgerTrace, PreparedSet, SidecarSetStore};
use crate::model::ledger::{Ledger, LedgerEntry, RevisionName};
use crate::model::sidecar_set::SidecarSet;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The contents of all SidecarSets, and who gets which.
#[derive(Debug, Default)]
pub(crate) struct RevisionAssignments {
    /// The revision of a workload without an entry.
    default_sets: SidecarSetStore,
    /// Every revision that a ledger holds or that was added.
    revisions: BTreeMap<Arc<str>, Arc<PreparedSet>>,
    /// The lines of each workload.
    entries: BTreeMap<Arc<str>, Vec<WorkloadEntry>>,
    /// For workloads without an entry, by ledger: the SidecarSet, the released revision and the target.
    ledgers: Vec<(Arc<str>, RevisionName, Option<RevisionName>)>,
    /// Sets that take the place of others.
    replacements: Replacements,
    /// What the ledgers say of the SidecarSets themselves, where Kruise injects them.
    deployed_sets: BTreeMap<Arc<str>, DeployedSet>,
    /// The sets as they are written.
    source_sets: BTreeMap<Arc<str>, Arc<SidecarSet>>,
}

/// An entry, and the parts of its ledger that decide about it.
#[derive(Debug)]
struct WorkloadEntry {
    /// The SidecarSet.
    set: Arc<str>,
    /// The revision of a workload without an entry.
    released: RevisionName,
    entry: LedgerEntry,
}

/// A workload, and what decides about its lines in ledgers.
pub(super) struct WorkloadSource<'a> {
    /// Its key.
    pub(super) key: &'a str,
    /// Returns the hash of its source.
    pub(super) hash: &'a dyn Fn() -> Arc<str>,
    /// Returns whether a SidecarOverride holds it in the rollouts of a SidecarSet.
    pub(super) is_held: &'a dyn Fn(&str) -> bool,
}

/// The revisions of one workload.
#[derive(Debug)]
pub(super) struct WorkloadAssignment<'a> {
    /// The sets to be injected.
    pub(crate) sets: Cow<'a, SidecarSetStore>,
    /// The numbers of pods that its own partition keeps old, where rollouts have split it, each with the SidecarSet.
    pub(crate) partitions: Vec<(Arc<str>, u32)>,
}

impl WorkloadAssignment<'_> {
    /// Returns the number of pods that its own partition keeps old, where a rollout has split it.
    pub(super) fn partition(&self) -> Option<u32> {
        self.partitions.iter().map(|(_, kept)| *kept).max()
    }
}

impl RevisionAssignments {
    /// Takes ledgers, the sets that have none as they are written, and further contents, oldest first. Of the
    /// lines only those of some workloads are taken, where no others are going to be rendered.
    pub(crate) fn from_ledgers<'l>(
        ledgers: impl Iterator<Item = &'l Ledger>,
        written: Vec<Arc<PreparedSet>>,
        mut earlier: Vec<Arc<PreparedSet>>,
        only: Option<&BTreeSet<Arc<str>>>,
    ) -> Self {
        let mut contents = Self::default();
        let mut current = written;
        for ledger in ledgers {
            contents.add_replacements(&ledger.name, ledger.replaces.iter());
            contents.deployed_sets.insert(Arc::clone(&ledger.name), DeployedSet::of(ledger));
            contents.ledgers.push((Arc::clone(&ledger.name), ledger.released.clone(), ledger.target.clone()));
            // `verify` asks what a workload was with a revision that is not in use any more.
            earlier.extend(ledger.history.iter().map(|r| contents.add_revision(&r.name, &r.set)));
            for revision in ledger.revisions.values() {
                earlier.push(contents.add_revision(&revision.name, &revision.set));
            }
            current.extend(ledger.released.as_ref().and_then(|name| contents.revisions.get(name)).cloned());
            let lines: Box<dyn Iterator<Item = (&Arc<str>, &LedgerEntry)>> = match only {
                Some(keys) => Box::new(keys.iter().filter_map(|key| ledger.entries.get_key_value(key))),
                None => Box::new(ledger.entries.iter()),
            };
            for (key, line) in lines {
                let (set, released) = (Arc::clone(&ledger.name), ledger.released.clone());
                let lines = contents.entries.entry(Arc::clone(key)).or_default();
                lines.push(WorkloadEntry { set, released, entry: line.clone() });
            }
        }
        contents.default_sets = SidecarSetStore::new(current, earlier);
        contents
    }

    /// Adds a revision that no ledger holds yet.
    pub(crate) fn add_revision(&mut self, name: &Arc<str>, set: &Arc<SidecarSet>) -> Arc<PreparedSet> {
        let prepared = self.revisions.entry(Arc::clone(name));
        Arc::clone(prepared.or_insert_with(|| Arc::new(PreparedSet::new(Arc::clone(set)))))
    }

    /// Takes the sets as they are written: on workloads that they select no other takes their place.
    pub(crate) fn set_sources(&mut self, written: &[Arc<SidecarSet>]) {
        self.source_sets = written.iter().map(|set| (set.name.as_str().into(), Arc::clone(set))).collect();
    }

    /// Adds SidecarSets that another one replaces on its workloads.
    pub(crate) fn add_replacements<'n>(&mut self, new: &Arc<str>, old: impl Iterator<Item = &'n Arc<str>>) {
        let mut old = old.peekable();
        if old.peek().is_some() {
            self.replacements.entry(Arc::clone(new)).or_default().extend(old.cloned());
        }
    }

    /// Leaves out the containers of sets that other sets replace on a workload. `selects` says which sets select
    /// it.
    pub(super) fn apply_replacements<'a>(
        &self,
        mut assignment: WorkloadAssignment<'a>,
        selects: impl Fn(&SidecarSet) -> bool,
    ) -> WorkloadAssignment<'a> {
        if self.replacements.is_empty() {
            return assignment;
        }
        let relation = (&self.replacements, &self.source_sets);
        let (sets, replaced) = replacements::apply_replacements(assignment.sets, relation, selects);
        assignment.partitions.retain(|(set, _)| !replaced.contains(set));
        WorkloadAssignment { sets, ..assignment }
    }

    /// Returns the object of a SidecarSet as its ledger, or an `entry` in its place, has it deployed. None: it is not;
    /// without a ledger and an entry it is as it is written.
    pub(super) fn deployed_object(
        &self,
        name: &str,
        written: &Value,
        entry: Option<&LedgerEntry>,
    ) -> Option<Value> {
        let known = self.deployed_sets.get(name);
        let deployed = match (known, entry) {
            (None, None) => return Some(written.clone()),
            (Some(known), None) => known.clone(),
            (known, Some(entry)) => known.cloned().unwrap_or_default().with_entry(entry),
        };
        let content = &self.revisions.get(deployed.revision.as_ref()?)?.set().content;
        let of_file = self.source_sets.get(name).map(|source| &source.content);
        let other = RevisionContent { deployed: content, written: of_file };
        Some(deployed.object(written, (of_file != Some(content)).then_some(other)))
    }

    /// Returns the names that the containers of a revision have in a pod.
    pub(super) fn container_names(&self, revision: &str) -> impl Iterator<Item = &str> {
        self.revisions.get(revision).into_iter().flat_map(|set| set.container_names())
    }

    /// Returns every set that some workload may get.
    pub(super) fn all_sets(&self) -> impl Iterator<Item = &Arc<PreparedSet>> {
        self.default_sets.current().iter().chain(self.revisions.values())
    }

    /// Returns every content that a ledger holds or a rollout may add.
    pub(super) fn rollout_sets(&self) -> impl Iterator<Item = &Arc<PreparedSet>> {
        self.revisions.values()
    }

    /// Returns the keys that ledgers have lines for, each with a SidecarSet. A line that waits for a change of its workload
    /// counts only if it says more than the released revision.
    pub(super) fn entry_keys(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        let counts =
            |line: &&WorkloadEntry| line.entry.piggyback.is_none() || line.entry.revision != line.released;
        self.entries.iter().filter_map(move |(key, lines)| Some((key, &lines.iter().find(counts)?.set)))
    }

    /// Returns whether some ledger has a line for a workload.
    pub(super) fn has_entry(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Returns the revisions of a workload; an entry for another template than the source's has no effect.
    pub(super) fn for_workload(&self, workload: &WorkloadSource<'_>) -> WorkloadAssignment<'_> {
        self.assign(workload, None)
    }

    /// Returns what the ledgers say of a workload.
    pub(super) fn ledger_traces(&self, workload: &WorkloadSource<'_>) -> Vec<LedgerTrace> {
        let of = |(set, released, target): &(Arc<str>, RevisionName, Option<RevisionName>)| {
            let lines = self.entries.get(workload.key).into_iter().flatten();
            let written = lines.filter(|own| own.set == *set).map(|own| &own.entry).next();
            let line =
                written.and_then(|line| line.effective(released, workload.hash, || (workload.is_held)(set)));
            LedgerTrace {
                set: Arc::clone(set),
                released: released.clone(),
                target: target.clone(),
                entry: line.map(Cow::into_owned),
                override_hold: None,
            }
        };
        self.ledgers.iter().map(of).collect()
    }

    /// Returns what a workload gets if its line in one ledger were this one.
    pub(super) fn for_workload_with(
        &self,
        workload: &WorkloadSource<'_>,
        set: &str,
        line: &LedgerEntry,
    ) -> WorkloadAssignment<'_> {
        self.assign(workload, Some((set, line)))
    }

    /// Returns whether a workload certainly gets the same contents from other assignments.
    pub(super) fn assigns_same(&self, other: &Self, workload: &WorkloadSource<'_>) -> bool {
        if !self.replacements.is_empty() || !other.replacements.is_empty() {
            return false;
        }
        let [one, two] = [self, other].map(|assignments| assignments.for_workload(workload));
        let contents = |of: &WorkloadAssignment<'_>| -> Vec<*const SidecarSet> {
            of.sets.current().iter().map(|set| Arc::as_ptr(set.set())).collect()
        };
        one.partitions == two.partitions && contents(&one) == contents(&two)
    }

    fn assign(
        &self,
        workload: &WorkloadSource<'_>,
        replacement: Option<(&str, &LedgerEntry)>,
    ) -> WorkloadAssignment<'_> {
        let mut lines: Vec<(&str, Cow<'_, LedgerEntry>)> = Vec::new();
        let others = self.entries.get(workload.key).into_iter().flatten();
        for WorkloadEntry { set, released, entry: line } in
            others.filter(|o| replacement.is_none_or(|(n, _)| n != &*o.set))
        {
            let line = line.effective(released, workload.hash, || (workload.is_held)(set));
            lines.extend(line.map(|line| (&**set, line)));
        }
        lines.extend(replacement.map(|(set, line)| (set, Cow::Borrowed(line))));
        if lines.is_empty() {
            return WorkloadAssignment { sets: Cow::Borrowed(&self.default_sets), partitions: Vec::new() };
        }
        let without_lines =
            self.default_sets.current().iter().filter(|s| lines.iter().all(|(set, _)| s.name() != *set));
        let with_lines = lines.iter().filter_map(|(_, line)| self.entry_content(line));
        let current = without_lines.cloned().chain(with_lines).collect();
        WorkloadAssignment {
            sets: Cow::Owned(self.default_sets.with_current(current)),
            partitions: lines
                .iter()
                .filter_map(|(set, line)| Some(((*set).into(), line.partition?)))
                .collect(),
        }
    }

    /// The content that a line names, with the line's own images and the state of its hot-upgrade pairs.
    fn entry_content(&self, line: &LedgerEntry) -> Option<Arc<PreparedSet>> {
        let revision: &RevisionName = &line.revision;
        let prepared = self.revisions.get(revision.as_ref()?)?;
        if line.images.is_empty() && line.hot_upgrades.is_initial() {
            return Some(Arc::clone(prepared));
        }
        let mut set = SidecarSet::clone(prepared.set());
        let previous = line.hot_upgrades.from.as_ref().and_then(|name| self.revisions.get(name));
        line.hot_upgrades.apply_to(&mut set, previous.map(|previous| &**previous.set()));
        for container in set.init_containers.iter_mut().chain(&mut set.containers) {
            if let Some(image) = line.images.get(&container.name) {
                container.container.insert("image".into(), image.as_str().into());
            }
        }
        Some(Arc::new(PreparedSet::new(Arc::new(set))))
    }
}
