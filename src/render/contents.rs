//! Which content of each SidecarSet a workload gets: what the files say, or what ledgers say.

use super::replaced::{self, Replacements};
use crate::inject::{Carried, PreparedSet, Sets};
use crate::model::ledger::{Ledger, Line, Name, template_hash};
use crate::model::sidecar_set::SidecarSet;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The contents of all SidecarSets, and who gets which.
#[derive(Debug, Default)]
pub struct Contents {
    /// What a workload without a line gets.
    base: Sets,
    /// Every revision that a ledger holds or that was added.
    prepared: BTreeMap<Arc<str>, Arc<PreparedSet>>,
    /// The lines of each workload.
    lines: BTreeMap<Arc<str>, Vec<OfLedger>>,
    /// What each ledger says of workloads without a line: the SidecarSet, what is released, and the target.
    ledgers: Vec<(Arc<str>, Name, Option<Name>)>,
    /// Sets that take the place of others.
    replacements: Replacements,
    /// The sets as they are written.
    written: BTreeMap<Arc<str>, Arc<SidecarSet>>,
}

/// A line, and what else its ledger says that decides what becomes of it.
#[derive(Debug)]
struct OfLedger {
    /// The SidecarSet.
    set: Arc<str>,
    /// What a workload without a line carries.
    released: Name,
    line: Line,
}

/// What one workload gets.
#[derive(Debug)]
pub(super) struct Given<'a> {
    /// The sets to be injected.
    pub sets: Cow<'a, Sets>,
    /// The numbers of pods that its own partition keeps old, where rollouts have split it, each with the SidecarSet.
    pub partitions: Vec<(Arc<str>, u32)>,
}

impl Given<'_> {
    /// Returns the number of pods that its own partition keeps old, where a rollout has split it.
    pub(super) fn partition(&self) -> Option<u32> {
        self.partitions.iter().map(|(_, kept)| *kept).max()
    }
}

impl Contents {
    /// Takes the sets as they are written; `earlier` are further contents, oldest first.
    pub fn written(current: Vec<Arc<PreparedSet>>, earlier: Vec<Arc<PreparedSet>>) -> Self {
        Self { base: Sets::new(current, earlier), ..Self::default() }
    }

    /// Takes ledgers, the sets that have none as they are written, and further contents, oldest first. Of the
    /// lines only those of some workloads are taken, where no others are going to be rendered.
    pub fn of_ledgers<'l>(
        ledgers: impl Iterator<Item = &'l Ledger>,
        written: Vec<Arc<PreparedSet>>,
        mut earlier: Vec<Arc<PreparedSet>>,
        only: Option<&BTreeSet<Arc<str>>>,
    ) -> Self {
        let mut contents = Self::default();
        let mut current = written;
        for ledger in ledgers {
            contents.replace(&ledger.name, ledger.replaces.iter());
            contents.ledgers.push((Arc::clone(&ledger.name), ledger.released.clone(), ledger.target.clone()));
            // `verify` asks what a workload was with a revision that is not in use any more.
            earlier.extend(ledger.history.iter().map(|r| contents.add(&r.name, &r.set)));
            for revision in ledger.revisions.values() {
                earlier.push(contents.add(&revision.name, &revision.set));
            }
            current.extend(ledger.released.as_ref().and_then(|name| contents.prepared.get(name)).cloned());
            let lines: Box<dyn Iterator<Item = (&Arc<str>, &Line)>> = match only {
                Some(keys) => Box::new(keys.iter().filter_map(|key| ledger.lines.get_key_value(key))),
                None => Box::new(ledger.lines.iter()),
            };
            for (key, line) in lines {
                let (set, released) = (Arc::clone(&ledger.name), ledger.released.clone());
                let lines = contents.lines.entry(Arc::clone(key)).or_default();
                lines.push(OfLedger { set, released, line: line.clone() });
            }
        }
        contents.base = Sets::new(current, earlier);
        contents
    }

    /// Adds a revision that no ledger holds yet.
    pub fn add(&mut self, name: &Arc<str>, set: &Arc<SidecarSet>) -> Arc<PreparedSet> {
        let prepared = self.prepared.entry(Arc::clone(name));
        Arc::clone(prepared.or_insert_with(|| Arc::new(PreparedSet::new(Arc::clone(set)))))
    }

    /// Takes the sets as they are written: on workloads that they select no other takes their place.
    pub fn keep(&mut self, written: &[Arc<SidecarSet>]) {
        self.written = written.iter().map(|set| (set.name.as_str().into(), Arc::clone(set))).collect();
    }

    /// Adds sets whose place another one takes on the workloads that carry it.
    pub fn replace<'n>(&mut self, new: &Arc<str>, old: impl Iterator<Item = &'n Arc<str>>) {
        let mut old = old.peekable();
        if old.peek().is_some() {
            self.replacements.entry(Arc::clone(new)).or_default().extend(old.cloned());
        }
    }

    /// Leaves out of what a workload gets the containers of sets whose place others take. `selects` says which sets
    /// select it.
    pub(super) fn settle<'a>(
        &self,
        mut given: Given<'a>,
        selects: impl Fn(&SidecarSet) -> bool,
    ) -> Given<'a> {
        if self.replacements.is_empty() {
            return given;
        }
        let relation = (&self.replacements, &self.written);
        let (sets, replaced) = replaced::settle(given.sets, relation, selects);
        given.partitions.retain(|(set, _)| !replaced.contains(set));
        Given { sets, ..given }
    }

    /// Returns the names that the containers of a revision have in a pod.
    pub(super) fn container_names(&self, revision: &str) -> impl Iterator<Item = &str> {
        self.prepared.get(revision).into_iter().flat_map(|set| set.container_names())
    }

    /// Returns every set that some workload may get.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<PreparedSet>> {
        self.base.current().iter().chain(self.prepared.values())
    }

    /// Returns every content that a ledger holds or a rollout may bring.
    pub(super) fn of_rollouts(&self) -> impl Iterator<Item = &Arc<PreparedSet>> {
        self.prepared.values()
    }

    /// Returns the keys that ledgers have lines for, each with a SidecarSet.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.lines.iter().filter_map(|(key, lines)| Some((key, &lines.first()?.set)))
    }

    /// Tells whether some ledger has a line for a workload.
    pub(super) fn has_entry(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    /// Returns what a workload gets; a line whose template is no longer the source's counts for nothing.
    pub(super) fn of(&self, key: &str, template: &Value) -> Given<'_> {
        self.changed(key, template, None)
    }

    /// Returns what the ledgers say of a workload.
    pub(super) fn carried(&self, key: &str, template: &Value) -> Vec<Carried> {
        let of = |(set, released, target): &(Arc<str>, Name, Option<Name>)| {
            let lines = self.lines.get(key).into_iter().flatten();
            let written = lines.filter(|own| own.set == *set).map(|own| &own.line).next();
            let line = written.and_then(|line| line.in_force(released, || template_hash(template).into()));
            Carried {
                set: Arc::clone(set),
                released: released.clone(),
                target: target.clone(),
                line: line.map(Cow::into_owned),
            }
        };
        self.ledgers.iter().map(of).collect()
    }

    /// Returns what a workload gets if its line in one ledger were this one.
    pub(super) fn with(&self, key: &str, template: &Value, set: &str, line: &Line) -> Given<'_> {
        self.changed(key, template, Some((set, line)))
    }

    fn changed(&self, key: &str, template: &Value, instead: Option<(&str, &Line)>) -> Given<'_> {
        let mut lines: Vec<(&str, Cow<'_, Line>)> = Vec::new();
        let others = self.lines.get(key).into_iter().flatten();
        for OfLedger { set, released, line } in others.filter(|o| instead.is_none_or(|(n, _)| n != &*o.set)) {
            let line = line.in_force(released, || template_hash(template).into());
            lines.extend(line.map(|line| (&**set, line)));
        }
        lines.extend(instead.map(|(set, line)| (set, Cow::Borrowed(line))));
        if lines.is_empty() {
            return Given { sets: Cow::Borrowed(&self.base), partitions: Vec::new() };
        }
        let without_lines =
            self.base.current().iter().filter(|s| lines.iter().all(|(set, _)| s.name() != *set));
        let with_lines = lines.iter().filter_map(|(_, line)| self.content(line));
        let current = without_lines.cloned().chain(with_lines).collect();
        Given {
            sets: Cow::Owned(self.base.with_current(current)),
            partitions: lines
                .iter()
                .filter_map(|(set, line)| Some(((*set).into(), line.partition?)))
                .collect(),
        }
    }

    /// The content that a line names, with the line's own images.
    fn content(&self, line: &Line) -> Option<Arc<PreparedSet>> {
        let revision: &Name = &line.revision;
        let prepared = self.prepared.get(revision.as_ref()?)?;
        if line.images.is_empty() {
            return Some(Arc::clone(prepared));
        }
        let mut set = SidecarSet::clone(prepared.set());
        for container in set.init_containers.iter_mut().chain(&mut set.containers) {
            if let Some(image) = line.images.get(&container.name) {
                container.container.insert("image".into(), image.as_str().into());
            }
        }
        Some(Arc::new(PreparedSet::new(Arc::new(set))))
    }
}
