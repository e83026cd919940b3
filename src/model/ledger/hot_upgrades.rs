//! Hot upgrades in ledgers: which container of each pair works in a workload, and what the other one runs.

use super::{LedgerEntry, Revision, RevisionName};
use crate::model::sidecar_set::{HotUpgradeState, SidecarSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The version of a pair that was never upgraded.
pub(crate) const FIRST_VERSION: u32 = 1;

/// The hot upgrades of a workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HotUpgrades {
    /// The versions of pairs, by the name in the SidecarSet; absent is [`FIRST_VERSION`]. Each upgrade adds 1, and
    /// another container of the pair works ([`HotUpgradeState`]).
    pub(crate) versions: BTreeMap<String, u32>,
    /// The upgrade is half done: the containers that worked before still run, with the images of this revision.
    pub(crate) from: Option<Arc<str>>,
}

impl HotUpgrades {
    /// Returns the version of a pair.
    pub(crate) fn version(&self, name: &str) -> u32 {
        self.versions.get(name).copied().unwrap_or(FIRST_VERSION)
    }

    /// Returns whether no pair was ever upgraded.
    pub(crate) fn is_initial(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether the second half of an upgrade is still to come.
    pub(crate) fn is_half_done(&self) -> bool {
        self.from.is_some()
    }

    /// Gives a content the state of its pairs; `previous` is the content of [`Self::from`].
    pub(crate) fn apply_to(&self, set: &mut SidecarSet, previous: Option<&SidecarSet>) {
        let before = previous.map(pair_images).unwrap_or_default();
        for container in set.init_containers.iter_mut().chain(&mut set.containers) {
            if container.hot_upgrade_empty_image.is_none() {
                continue;
            }
            let image = container.container.get("image").and_then(|image| image.as_str());
            let old = before.get(container.name.as_str()).filter(|old| Some(**old) != image);
            container.hot_upgrade = HotUpgradeState {
                version: self.version(&container.name),
                previous_image: old.map(|old| (*old).to_owned()),
            };
        }
    }

    /// Returns the state after the next half on the way to a target, where pods are updated in place: the second half
    /// of an upgrade, or the first half of the next one. An upgrade that is half done and goes elsewhere is undone,
    /// or gets the new image in the container that does not work yet. `find` returns a revision by its name.
    pub(crate) fn after_next_half<'r>(
        entry: &LedgerEntry,
        target: &RevisionName,
        find: impl Fn(&str) -> Option<&'r Revision>,
    ) -> Self {
        let now = &entry.hot_upgrades;
        if now.is_half_done() && entry.revision == *target {
            return Self { from: None, versions: now.versions.clone() };
        }
        let images = |name: &RevisionName| {
            let revision = name.as_ref().and_then(|name| find(name));
            revision.map(|revision| pair_images(&revision.set)).unwrap_or_default()
        };
        let (current, new) = (images(&entry.revision), images(target));
        let mut versions = now.versions.clone();
        let origin = match &now.from {
            None => entry.revision.clone(),
            Some(from) => {
                let from = Some(Arc::clone(from));
                for name in changed_names(&images(&from), &current) {
                    let version = now.version(name).saturating_sub(1).max(FIRST_VERSION);
                    versions.insert(name.to_owned(), version);
                }
                from
            }
        };
        let older = images(&origin);
        let upgraded = changed_names(&older, &new);
        for name in &upgraded {
            let version = versions.get(*name).copied().unwrap_or(FIRST_VERSION);
            versions.insert((*name).to_owned(), version.saturating_add(1));
        }
        let from = if upgraded.is_empty() { None } else { origin };
        Self { versions, from }.of_pairs(&new)
    }

    /// Returns the state after a change that is not a hot upgrade: pods are recreated, or there are none.
    pub(crate) fn after_plain_change(&self, target: Option<&Revision>) -> Self {
        let pairs = target.map(|revision| pair_images(&revision.set)).unwrap_or_default();
        Self { versions: self.versions.clone(), from: None }.of_pairs(&pairs)
    }

    /// Leaves out pairs that there are not, and versions that need not be written.
    fn of_pairs(mut self, pairs: &BTreeMap<&str, &str>) -> Self {
        self.versions.retain(|name, version| *version != FIRST_VERSION && pairs.contains_key(name.as_str()));
        self
    }
}

/// Returns the image of each pair, by its name in the SidecarSet.
fn pair_images(set: &SidecarSet) -> BTreeMap<&str, &str> {
    let pairs = set.init_containers.iter().chain(&set.containers);
    pairs
        .filter(|container| container.hot_upgrade_empty_image.is_some())
        .filter_map(|container| Some((container.name.as_str(), container.container.get("image")?.as_str()?)))
        .collect()
}

/// Returns the names of the pairs with another image.
fn changed_names<'n>(old: &BTreeMap<&str, &str>, new: &BTreeMap<&'n str, &str>) -> Vec<&'n str> {
    new.iter()
        .filter(|(name, image)| old.get(*name).is_some_and(|old| old != *image))
        .map(|(name, _)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sidecar_set::decode;
    use crate::yaml::{Document, FieldPath};

    fn revision(mesh: &str, proxy: &str) -> Revision {
        let hot = "upgradeStrategy: {upgradeType: HotUpgrade, hotUpgradeEmptyImage: e:1}";
        let text = format!(
            "apiVersion: apps.kruise.io/v1beta1\nkind: SidecarSet\nmetadata: {{name: s}}\nspec:\n  containers:\n  - {{name: mesh, image: 'm:{mesh}', {hot}}}\n  - {{name: proxy, image: 'p:{proxy}', {hot}}}\n  - {{name: log, image: 'l:1'}}\n"
        );
        let document = Arc::new(Document::read(&"s.yaml".into(), 0, 1, &text).unwrap());
        Revision::from_set(&Arc::new(decode(&document, &FieldPath::root()).0.unwrap()))
    }

    /// From one state to the next on the way to a revision.
    fn next(all: &[&Revision], entry: &LedgerEntry, to: &Revision) -> LedgerEntry {
        let find = |name: &str| all.iter().find(|revision| *revision.name == *name).copied();
        let target = Some(Arc::clone(&to.name));
        let hot_upgrades = HotUpgrades::after_next_half(entry, &target, find);
        LedgerEntry { hot_upgrades, ..LedgerEntry::with_revision(target) }
    }

    fn text(entry: &LedgerEntry) -> String {
        let versions: Vec<String> =
            entry.hot_upgrades.versions.iter().map(|(name, version)| format!("{name}={version}")).collect();
        let half = if entry.hot_upgrades.is_half_done() { " half" } else { "" };
        format!("{}{half}", versions.join(","))
    }

    #[test]
    fn an_upgrade_has_two_halves_and_each_way_is_one() {
        let (one, two, three) = (revision("1", "1"), revision("2", "1"), revision("3", "2"));
        let all = [&one, &two, &three];
        let start = LedgerEntry::with_revision(Some(Arc::clone(&one.name)));
        let first = next(&all, &start, &two);
        assert_eq!(text(&first), "mesh=2 half");
        // Undone: nothing is left of it.
        assert!(next(&all, &first, &one).hot_upgrades.is_initial());
        // A newer image goes into the same container, and a second pair is upgraded too.
        let newer = next(&all, &first, &three);
        assert_eq!(text(&newer), "mesh=2,proxy=2 half");
        assert_eq!(newer.hot_upgrades.from.as_ref(), Some(&one.name));
        let second = next(&all, &first, &two);
        assert_eq!(text(&second), "mesh=2");
        // The way back is an upgrade as well.
        let back = next(&all, &second, &one);
        assert_eq!(
            (text(&back), back.hot_upgrades.from.as_ref()),
            ("mesh=3 half".to_owned(), Some(&two.name))
        );
        assert_eq!(text(&next(&all, &back, &one)), "mesh=3");
        assert_eq!(text(&next(&all, &second, &three)), "mesh=3,proxy=2 half");
    }

    #[test]
    fn a_content_without_pairs_has_no_state() {
        let (one, two) = (revision("1", "1"), revision("2", "1"));
        let half = next(&[&one, &two], &LedgerEntry::with_revision(Some(Arc::clone(&one.name))), &two);
        let find = |name: &str| (*one.name == *name).then_some(&one);
        assert!(HotUpgrades::after_next_half(&half, &None, find).is_initial());
        assert!(half.hot_upgrades.after_plain_change(None).is_initial());
    }
}
