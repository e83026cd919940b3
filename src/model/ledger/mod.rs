//! The ledger (`SidecarRollout`): which workload runs which revision of one SidecarSet in one cluster.

mod decode;
mod emit;
mod hot_upgrades;
mod wire;

pub use decode::decode;
pub(crate) use emit::LedgerWriter;
pub use emit::emit;
pub(crate) use hot_upgrades::HotUpgrades;
pub(crate) use wire::json_schema;

use crate::model::go_json::to_sorted_go_json;
use crate::model::image;
use crate::model::sidecar_override::HOLDER_PREFIX;
use crate::model::sidecar_set::{SidecarSet, content_revision_name};
use rpds::RedBlackTreeMapSync;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Containers that the text of a revision names; the others are counted.
const MAX_NAMED_CONTAINERS: usize = 3;

/// The batch of a workload that took the target with its own change: before the first one.
pub(crate) const PIGGYBACK_BATCH: u32 = 0;

/// The text for "no revision" in place of a revision name.
pub(crate) const NO_REVISION: &str = "-";

/// The name of a revision; None: no revision (nothing released yet, or the SidecarSet is deleted).
pub(crate) type RevisionName = Option<Arc<str>>;

/// Returns the text of a name, `-` for none.
pub(crate) fn revision_text(name: &RevisionName) -> &str {
    name.as_deref().unwrap_or(NO_REVISION)
}

/// What each workload has, by its key. A copy shares what is not changed in it: a rollout of a hundred batches has a
/// ledger behind each of them.
pub(crate) type LedgerEntries = RedBlackTreeMapSync<Arc<str>, LedgerEntry>;

/// One ledger.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// Name of the SidecarSet.
    pub(crate) name: Arc<str>,
    /// The released revision: that of workloads without an entry.
    pub released: RevisionName,
    /// The target of the running rollout; the outer None: no rollout is running.
    pub target: Option<RevisionName>,
    /// The pause of the rollout: batch, reason and person.
    pub paused: Option<PauseRecord>,
    /// Targets that are not staged again without an explicit request, sorted.
    pub rejected: Vec<Arc<str>>,
    /// Revisions in use, by name.
    pub revisions: BTreeMap<Arc<str>, Revision>,
    /// Revisions that were in use, oldest first.
    pub(crate) history: Vec<Revision>,
    /// The scope of the running rollout. Fewer workloads later, without a commit that removed them, is an error.
    pub scope: Option<RolloutScope>,
    /// SidecarSets that no longer select workloads to which this one adds their containers: a workload with a
    /// revision of this set has none of those containers twice. Sorted.
    pub replaces: Vec<Arc<str>>,
    /// Replica counts of workloads that git does not have, in byte order of the keys.
    pub(crate) replicas: BTreeMap<Arc<str>, u32>,
    /// Workloads that have another revision than the released one or were upgraded hot, in byte order of the keys. While a rollout
    /// goes back to the released revision, the workloads that are back have one too, which tells their batch.
    pub entries: LedgerEntries,
    /// Batches that a person has approved.
    pub approvals: Vec<BatchApproval>,
}

/// The workloads of a rollout, as Start counted them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RolloutScope {
    /// Their number.
    pub(crate) workloads: u32,
    /// Their pods, as far as known.
    pub(crate) pods: u32,
    /// Digest of their keys ([`RolloutScope::digest_of`]): eight hexadecimal digits.
    pub(crate) digest: String,
    /// The workloads came from a build or `--manifests`, not from plain files of git.
    pub(crate) is_from_build: bool,
    /// Workloads that lose the sidecar in this rollout. No batch may remove it from others.
    pub removals: u32,
}

impl RolloutScope {
    /// Returns the digest of the keys of workloads, which are taken in byte order.
    pub(crate) fn digest_of<'k>(keys: impl Iterator<Item = &'k str>) -> String {
        let mut sorted: Vec<&str> = keys.collect();
        sorted.sort_unstable();
        let digest = Sha256::digest(sorted.join("\n"));
        digest.iter().take(4).map(|b| format!("{b:02x}")).collect()
    }
}

/// One content of a SidecarSet.
#[derive(Debug, Clone)]
pub struct Revision {
    /// Its name, a hash of its content ([`revision_name`]).
    pub name: Arc<str>,
    /// The content.
    pub(crate) set: Arc<SidecarSet>,
}

/// The entry of one workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The revision.
    pub revision: RevisionName,
    /// The batch that changed it, from 1; [`PIGGYBACK_BATCH`] if the workload took its revision with its own change.
    pub batch: Option<u32>,
    /// Of a split workload: pods that its native partition keeps old.
    pub partition: Option<u32>,
    /// Of a SidecarSet that Kruise injects: the percentage of its pods that `updateStrategy.partition` keeps old.
    pub partition_percent: Option<u32>,
    /// Hash of the source's pod template ([`template_hash`]) that the line was made for, where it is split or held by
    /// the planner, or takes a revision with its own change.
    pub template_hash: Option<Arc<str>>,
    /// The revision that the workload takes with its own next change: once the hash of its source is another one.
    pub piggyback: Option<Arc<str>>,
    /// Why no rollout changes it.
    pub hold_reason: Option<Arc<str>>,
    /// The person who holds it, `NAME <ADDRESS>`; None if the planner does (a Job). A hold by a person outlasts
    /// changes of the source.
    pub held_by: Option<Arc<str>>,
    /// The day on which a person began to hold it, `YYYY-MM-DD`.
    pub held_since: Option<Arc<str>>,
    /// The last day of a hold by a person, `YYYY-MM-DD`; None: until `pillion hold --off`.
    pub held_until: Option<Arc<str>>,
    /// Images of single containers in place of the revision's: the emergency images of `pillion hold`.
    pub images: BTreeMap<String, String>,
    /// The hot upgrades of its pairs. They outlast rollouts: a workload that was upgraded keeps its entry when its
    /// revision is released.
    pub(crate) hot_upgrades: HotUpgrades,
}

/// Why a rollout is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseRecord {
    /// The batch that was out.
    pub batch: u32,
    /// Why.
    pub reason: String,
    /// Who paused it: a person, `NAME <ADDRESS>`, or `pillion`; None in ledgers of older versions.
    pub by: Option<String>,
}

/// A batch that a person has approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchApproval {
    /// The batch.
    pub batch: u32,
    /// Digest of its plan: an approval is for these workloads and no others.
    pub plan: String,
}

impl Revision {
    /// Makes the revision of a SidecarSet's content.
    pub fn from_set(set: &Arc<SidecarSet>) -> Self {
        Self { name: revision_name(set).into(), set: Arc::clone(set) }
    }

    /// Returns its containers with the versions of their images, for people: `logtail 1.4.2, agent 0.3`.
    pub(crate) fn versions_text(&self) -> String {
        let lists = ["initContainers", "containers"].into_iter();
        let containers = lists.filter_map(|list| self.set.content.get(list)?.as_array()).flatten();
        let mut versions: Vec<String> = containers
            .filter_map(|container| {
                let (name, image) = (container["name"].as_str()?, container["image"].as_str().unwrap_or("-"));
                Some(format!("{name} {}", image::tag(image).unwrap_or(image)))
            })
            .collect();
        let more = versions.len().saturating_sub(MAX_NAMED_CONTAINERS);
        versions.truncate(MAX_NAMED_CONTAINERS);
        match (versions.is_empty(), more) {
            (true, _) => self.name.to_string(),
            (false, 0) => versions.join(", "),
            (false, more) => format!("{} and {more} more", versions.join(", ")),
        }
    }
}

impl LedgerEntry {
    /// Returns an entry with a revision only.
    pub(crate) fn with_revision(revision: RevisionName) -> Self {
        Self { revision, ..Self::default() }
    }

    /// Returns what is left of the entry when its workload has the released revision and nothing holds it: the state of
    /// its hot upgrades. None: nothing is.
    pub(crate) fn settled(&self, released: &RevisionName) -> Option<Self> {
        let hot_upgrades = self.hot_upgrades.clone();
        (!hot_upgrades.is_initial()).then(|| Self { hot_upgrades, ..Self::with_revision(released.clone()) })
    }

    /// Returns whether it only says which containers of hot-upgrade pairs work: its workload has the released revision.
    pub(crate) fn is_settled(&self, released: &RevisionName) -> bool {
        self.settled(released).as_ref() == Some(self)
    }

    /// Returns whether a person holds the workload, and not the planner.
    pub(crate) fn is_held_by_person(&self) -> bool {
        self.hold_reason.is_some() && self.held_by.is_some()
    }

    /// Returns whether a SidecarOverride holds the workload: its document decides how long.
    pub(crate) fn is_held_by_override(&self) -> bool {
        self.hold_reason.is_some() && self.held_by.as_ref().is_some_and(|by| by.starts_with(HOLDER_PREFIX))
    }

    /// Returns whether the last day of the hold is over. Days are those of UTC, `YYYY-MM-DD`; where today is not known,
    /// no hold has ended.
    pub(crate) fn is_hold_expired(&self, today: Option<&str>) -> bool {
        self.hold_reason.is_some()
            && self.held_until.as_deref().zip(today).is_some_and(|(until, today)| until < today)
    }

    /// Returns the entry without the revision that its workload would take with its own next change.
    pub(crate) fn without_piggyback(&self) -> Self {
        match &self.piggyback {
            None => self.clone(),
            Some(_) => Self { piggyback: None, template_hash: None, ..self.clone() },
        }
    }

    /// Returns whether it says no more than that its workload has the released revision.
    pub(crate) fn is_redundant(&self, released: &RevisionName) -> bool {
        self.revision == *released && *self == Self::with_revision(released.clone())
    }

    /// Returns what counts of the line now that the source's template has this hash; few lines ask for it. A line that
    /// was made for another template counts for nothing: the application goes first. A person's hold lasts all the
    /// same; where its workload is split, all its pods get the released revision. A workload that takes a revision with
    /// its own change has it now, unless a SidecarOverride holds it (`is_held`).
    pub(crate) fn effective(
        &self,
        released: &RevisionName,
        hash: impl FnOnce() -> Arc<str>,
        is_held: impl FnOnce() -> bool,
    ) -> Option<Cow<'_, Self>> {
        let is_persons = self.is_held_by_person();
        let depends = !is_persons || self.partition.is_some();
        if !depends || self.template_hash.as_ref().is_none_or(|written| *written == hash()) {
            return Some(Cow::Borrowed(self));
        }
        if let Some(target) = self.piggyback.as_ref().filter(|_| self.hold_reason.is_none()) {
            return Some(Cow::Owned(match is_held() {
                true => self.without_piggyback(),
                false => {
                    Self { batch: Some(PIGGYBACK_BATCH), ..Self::with_revision(Some(Arc::clone(target))) }
                }
            }));
        }
        let (revision, batch) = (released.clone(), None);
        let lasting = || Self { revision, batch, partition: None, template_hash: None, ..self.clone() };
        is_persons.then(|| Cow::Owned(lasting()))
    }
}

impl Ledger {
    /// Returns a ledger with nothing released.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Returns whether a revision was rolled back, and is not rolled out again.
    pub(crate) fn rejects(&self, revision: &RevisionName) -> bool {
        self.rejected.iter().any(|rejected| **rejected == *revision_text(revision))
    }

    /// Returns the line of a workload as far as it counts ([`LedgerEntry::effective`]).
    /// `hash` returns that of the source, `is_held` whether a SidecarOverride holds the workload.
    pub(crate) fn entry(
        &self,
        key: &str,
        hash: impl FnOnce() -> Arc<str>,
        is_held: impl FnOnce() -> bool,
    ) -> Option<Cow<'_, LedgerEntry>> {
        self.entries.get(key)?.effective(&self.released, hash, is_held)
    }

    /// Returns whether the workload of an entry is at a target and never left it, so that nothing is to be done.
    /// Only an entry tells that a workload is, or was, at another revision than the released one.
    pub(crate) fn is_at_target(&self, entry: Option<&LedgerEntry>, target: &RevisionName) -> bool {
        entry.is_none() && self.released == *target
    }

    /// Returns a revision in use.
    pub(crate) fn revision(&self, name: &str) -> Option<&Revision> {
        self.revisions.get(name)
    }

    /// Returns whether some workload may have a revision of the SidecarSet.
    pub fn is_in_use(&self) -> bool {
        let has_revision = |entry: &LedgerEntry| entry.revision.is_some() || entry.piggyback.is_some();
        self.released.is_some() || self.entries.values().any(has_revision)
    }

    /// Returns whether some workload waits for the second half of a hot upgrade.
    pub(crate) fn has_half_done_upgrade(&self) -> bool {
        self.entries.values().any(|entry| entry.hold_reason.is_none() && entry.hot_upgrades.is_half_done())
    }

    /// Returns whether the open rollout was started as a removal: its batches may take sidecars away.
    pub fn allows_removal(&self) -> bool {
        self.scope.as_ref().is_some_and(|scope| scope.removals > 0)
    }

    /// Returns the number of the last batch that added workloads to the target; 0 before the first.
    pub fn last_batch(&self) -> u32 {
        let Some(target) = &self.target else { return 0 };
        self.entries.values().filter(|l| l.revision == *target).filter_map(|l| l.batch).max().unwrap_or(0)
    }

    /// Removes the entries that are not kept.
    pub(crate) fn retain_workloads(&mut self, mut is_kept: impl FnMut(&Arc<str>, &LedgerEntry) -> bool) {
        let removed: Vec<Arc<str>> = self
            .entries
            .iter()
            .filter(|(key, entry)| !is_kept(key, entry))
            .map(|(key, _)| Arc::clone(key))
            .collect();
        for key in removed {
            self.entries.remove_mut(&key);
        }
    }

    /// Moves unused revisions to the history, and keeps its newest `limit`.
    pub(crate) fn archive_unused_revisions(&mut self, limit: usize) {
        let target = self.target.clone().flatten();
        let is_used = |name: &Arc<str>| {
            self.released.as_ref() == Some(name)
                || target.as_ref() == Some(name)
                || self.entries.values().any(|l| {
                    [&l.revision, &l.piggyback, &l.hot_upgrades.from]
                        .into_iter()
                        .any(|r| r.as_ref() == Some(name))
                })
        };
        let (used, unused) = std::mem::take(&mut self.revisions).into_iter().partition(|(n, _)| is_used(n));
        self.revisions = used;
        let unused: BTreeMap<Arc<str>, Revision> = unused;
        self.history.retain(|old| !self.revisions.contains_key(&old.name) && !unused.contains_key(&old.name));
        self.history.extend(unused.into_values());
        let surplus = self.history.len().saturating_sub(limit);
        self.history.drain(..surplus);
    }
}

/// Returns the name of the content of a SidecarSet: Kruise's function for ControllerRevisions over all that
/// changes what is rendered, selectors, mode and launch order included.
pub(crate) fn revision_name(set: &SidecarSet) -> String {
    content_revision_name(&set.name, &set.revision_content())
}

/// Returns the hash of a source's pod template, as entries have it: eight hexadecimal digits.
pub(crate) fn template_hash(template: &Value) -> String {
    let digest = Sha256::digest(to_sorted_go_json(template));
    digest.iter().take(4).map(|b| format!("{b:02x}")).collect()
}
