//! Handles renamed and split SidecarSets: a SidecarSet with the containers of another one replaces it on workloads that
//! the other one no longer selects.

use crate::inject::{PreparedSet, SidecarSetStore};
use crate::model::ledger::Ledger;
use crate::model::sidecar_set::SidecarSet;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Which sets take the place of others, by the name of the new one.
pub(super) type Replacements = BTreeMap<Arc<str>, BTreeSet<Arc<str>>>;

/// Finds the sets with a rollout that may replace other sets: no workload has them yet, and they add a container of a
/// set that workloads have. On which workloads they do is decided for each of them.
pub(super) fn find_replacements(
    sets: &[Arc<SidecarSet>],
    ledgers: &BTreeMap<Arc<str>, Ledger>,
) -> Replacements {
    let mut found = Replacements::new();
    for set in sets {
        let Some(ledger) = ledgers.get(set.name.as_str()).filter(|ledger| !ledger.is_in_use()) else {
            continue;
        };
        let olds = replacement_candidates(sets, ledger, ledgers.values());
        if !olds.is_empty() {
            found.insert(Arc::clone(&ledger.name), olds.into_iter().collect());
        }
    }
    found
}

/// Finds the sets that the set of a ledger may replace.
pub(crate) fn replacement_candidates<'l>(
    sets: &[Arc<SidecarSet>],
    ledger: &Ledger,
    ledgers: impl Iterator<Item = &'l Ledger>,
) -> Vec<Arc<str>> {
    let Some(set) = sets.iter().find(|set| *set.name == *ledger.name) else { return Vec::new() };
    let own: BTreeSet<&str> = container_names(set).collect();
    let shares =
        |old: &&Ledger| old.revisions.values().any(|r| container_names(&r.set).any(|n| own.contains(n)));
    let others = ledgers.filter(|other| other.name != ledger.name && other.is_in_use());
    others.filter(shares).map(|old| Arc::clone(&old.name)).collect()
}

/// Leaves out what the sets of a workload add and sets that take their place add too, and names the sets of which
/// something is omitted. Where the files of both select the workload, both keep their places.
pub(super) fn apply_replacements<'a>(
    sets: Cow<'a, SidecarSetStore>,
    (replacements, written): (&Replacements, &BTreeMap<Arc<str>, Arc<SidecarSet>>),
    selects: impl Fn(&SidecarSet) -> bool,
) -> (Cow<'a, SidecarSetStore>, BTreeSet<Arc<str>>) {
    let claims = |name: &str| written.get(name).is_some_and(|set| selects(set));
    // A set that is renamed and renamed back: each takes the place of the other, and the one that has a file counts.
    let is_taken_back = |new: &str, old: &str| {
        let is_mutual = replacements.get(old).is_some_and(|olds| olds.iter().any(|name| **name == *new));
        let is_present = sets.current().iter().any(|set| set.name() == old && selects(set.set()));
        is_mutual && is_present && (claims(old), old) > (claims(new), new)
    };
    let mut taken: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for set in sets.current() {
        let Some(olds) = replacements.get(set.name()).filter(|_| selects(set.set())) else { continue };
        // Two files that claim one workload are an error, which must be seen.
        let is_claimed = claims(set.name());
        let is_error = |old: &str| is_claimed && claims(old);
        for old in olds.iter().filter(|old| !is_error(old) && !is_taken_back(set.name(), old)) {
            taken.entry(old).or_default().extend(container_names(set.set()));
        }
    }
    if taken.is_empty() {
        return (sets, BTreeSet::new());
    }
    let mut replaced = BTreeSet::new();
    let mut current: Vec<Arc<PreparedSet>> = Vec::with_capacity(sets.current().len());
    for set in sets.current() {
        match taken
            .get(set.name())
            .filter(|taken| container_names(set.set()).any(|name| taken.contains(name)))
        {
            Some(taken) => {
                replaced.insert(Arc::from(set.name()));
                current.extend(set.without_containers(taken).map(Arc::new));
            }
            None => current.push(Arc::clone(set)),
        }
    }
    (Cow::Owned(sets.with_current(current)), replaced)
}

fn container_names(set: &SidecarSet) -> impl Iterator<Item = &str> {
    set.init_containers.iter().chain(&set.containers).map(|c| c.name.as_str())
}
