//! The ledger (`SidecarRollout`): which workload carries which content of one SidecarSet in one cluster.

mod decode;
mod emit;
mod written;

pub use decode::decode;
pub use emit::emit;
pub use written::json_schema;

use crate::model::go_json::to_sorted_go_json;
use crate::model::sidecar_set::{SidecarSet, content_name};
use rpds::RedBlackTreeMapSync;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How "without this SidecarSet" is written where a revision's name could stand.
pub const NOTHING: &str = "-";

/// The name of a revision; None: without this SidecarSet (nothing released yet, or the set is deleted).
pub type Name = Option<Arc<str>>;

/// Returns the text of a name, `-` for nothing.
pub fn name_text(name: &Name) -> &str {
    name.as_deref().unwrap_or(NOTHING)
}

/// What each workload carries, by its key. A copy shares what is not changed in it: a rollout of a hundred batches has a
/// ledger behind each of them.
pub type Lines = RedBlackTreeMapSync<Arc<str>, Line>;

/// One ledger.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// Name of the SidecarSet.
    pub name: Arc<str>,
    /// What a workload without a line carries.
    pub released: Name,
    /// Where the open rollout goes; the outer None: no rollout is open.
    pub target: Option<Name>,
    /// Why and in which batch the rollout is paused.
    pub paused: Option<Paused>,
    /// Targets that are not staged again unless somebody says so, sorted.
    pub rejected: Vec<Arc<str>>,
    /// Revisions in use, by name.
    pub revisions: BTreeMap<Arc<str>, Revision>,
    /// Revisions that were in use, oldest first.
    pub history: Vec<Revision>,
    /// What the open rollout counts; fewer workloads later, without a commit that removed them, is an error.
    pub scope: Option<Scope>,
    /// SidecarSets whose containers this one brings to workloads that they do not select any more: a workload that
    /// carries a revision of this set carries none of those containers twice. Sorted.
    pub replaces: Vec<Arc<str>>,
    /// Pods of workloads, where git does not say; in byte order of the keys.
    pub sizes: BTreeMap<Arc<str>, u32>,
    /// Workloads that carry another revision than the released one, in byte order of the keys. While a rollout
    /// goes back to the released revision, the workloads that are back have one too, which tells their batch.
    pub lines: Lines,
    /// Batches that a person has approved.
    pub approved: Vec<Approved>,
}

/// The workloads that a rollout counts, as Start has counted them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Their number.
    pub workloads: u32,
    /// Their pods, as far as known.
    pub pods: u32,
    /// Digest of their keys ([`Scope::digest_of`]): eight hexadecimal digits.
    pub digest: String,
    /// They came from a build or from `--manifests`, and not from plain files of git.
    pub is_built: bool,
    /// Workloads that the rollout takes the sidecar away from. Without any, no batch may do so.
    pub removed: u32,
}

impl Scope {
    /// Returns the digest of the keys of workloads, which are taken in byte order.
    pub fn digest_of<'k>(keys: impl Iterator<Item = &'k str>) -> String {
        let mut sorted: Vec<&str> = keys.collect();
        sorted.sort_unstable();
        let digest = Sha256::digest(sorted.join("\n"));
        digest.iter().take(4).map(|b| format!("{b:02x}")).collect()
    }
}

/// One content of a SidecarSet.
#[derive(Debug, Clone)]
pub struct Revision {
    /// Its name, made of its content ([`revision_name`]).
    pub name: Arc<str>,
    /// The content.
    pub set: Arc<SidecarSet>,
}

/// What one workload carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// The revision.
    pub revision: Name,
    /// The batch that brought it there, from 1.
    pub batch: Option<u32>,
    /// Where the workload is split: pods that its native partition keeps old.
    pub partition: Option<u32>,
    /// Hash of the source's pod template ([`template_hash`]) that the line was made for, where it is split or held by
    /// the planner.
    pub template: Option<Arc<str>>,
    /// Why no rollout moves it.
    pub held: Option<Arc<str>>,
    /// The person who holds it, `NAME <ADDRESS>`; None where the planner does (a Job). A hold by a person outlasts
    /// changes of the source.
    pub by: Option<Arc<str>>,
    /// The day on which a person began to hold it, `YYYY-MM-DD`.
    pub since: Option<Arc<str>>,
    /// The last day of a hold by a person, `YYYY-MM-DD`; None: until `pillion hold --off`.
    pub until: Option<Arc<str>>,
    /// Images of single containers in place of the revision's: the emergency images of `pillion hold`.
    pub images: BTreeMap<String, String>,
}

/// Why a rollout is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// The batch that was out.
    pub batch: u32,
    /// Why.
    pub reason: String,
    /// Who has paused it: a person, `NAME <ADDRESS>`, or `pillion`; None in ledgers of older versions.
    pub by: Option<String>,
}

/// A batch that a person has approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// The batch.
    pub batch: u32,
    /// Digest of its plan: an approval is for these workloads and no others.
    pub plan: String,
}

impl Revision {
    /// Makes the revision of a SidecarSet's content.
    pub fn of(set: &Arc<SidecarSet>) -> Self {
        Self { name: revision_name(set).into(), set: Arc::clone(set) }
    }
}

impl Line {
    /// Returns a line that says only which revision a workload carries.
    pub fn carrying(revision: Name) -> Self {
        Self { revision, ..Self::default() }
    }

    /// Returns whether a person holds the workload, and not the planner.
    pub fn is_held_by_person(&self) -> bool {
        self.held.is_some() && self.by.is_some()
    }

    /// Returns whether the last day of the hold is over. Days are those of UTC, `YYYY-MM-DD`; where today is not known,
    /// no hold has ended.
    pub fn has_ended(&self, today: Option<&str>) -> bool {
        self.held.is_some() && self.until.as_deref().zip(today).is_some_and(|(until, today)| until < today)
    }

    /// Returns what counts of the line now that the source's template has this hash; few lines ask for it. A line that
    /// was made for another template counts for nothing: the application goes first. A person's hold lasts all the
    /// same; where its workload is split, all its pods get the released revision.
    pub fn in_force(&self, released: &Name, hash: impl FnOnce() -> Arc<str>) -> Option<Cow<'_, Self>> {
        let is_persons = self.is_held_by_person();
        let depends = !is_persons || self.partition.is_some();
        if !depends || self.template.as_ref().is_none_or(|written| *written == hash()) {
            return Some(Cow::Borrowed(self));
        }
        let (revision, batch) = (released.clone(), None);
        let lasting = || Self { revision, batch, partition: None, template: None, ..self.clone() };
        is_persons.then(|| Cow::Owned(lasting()))
    }
}

impl Ledger {
    /// Returns a ledger with nothing released.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Returns the line of a workload as far as it counts ([`Line::in_force`]).
    pub fn line(&self, key: &str, template: &Value) -> Option<Cow<'_, Line>> {
        self.lines.get(key)?.in_force(&self.released, || template_hash(template).into())
    }

    /// Tells whether nothing is to be done with a workload, whose line this is, on the way to a target: it carries
    /// that and never left it. Only a line tells that a workload is, or was, somewhere else than the released revision.
    pub fn is_settled(&self, line: Option<&Line>, target: &Name) -> bool {
        line.is_none() && self.released == *target
    }

    /// Returns a revision in use.
    pub fn revision(&self, name: &str) -> Option<&Revision> {
        self.revisions.get(name)
    }

    /// Returns whether some workload may carry a content of the SidecarSet.
    pub fn is_carried(&self) -> bool {
        self.released.is_some() || self.lines.values().any(|line| line.revision.is_some())
    }

    /// Returns whether the open rollout was started as a removal: its batches may take sidecars away.
    pub fn may_remove(&self) -> bool {
        self.scope.as_ref().is_some_and(|scope| scope.removed > 0)
    }

    /// Returns the number of the last batch that brought workloads to the target; 0 before the first.
    pub fn last_batch(&self) -> u32 {
        let Some(target) = &self.target else { return 0 };
        self.lines.values().filter(|l| l.revision == *target).filter_map(|l| l.batch).max().unwrap_or(0)
    }

    /// Takes out the lines that are not to be kept.
    pub fn retain_lines(&mut self, mut is_kept: impl FnMut(&Arc<str>, &Line) -> bool) {
        let gone: Vec<Arc<str>> = self
            .lines
            .iter()
            .filter(|(key, line)| !is_kept(key, line))
            .map(|(key, _)| Arc::clone(key))
            .collect();
        for key in gone {
            self.lines.remove_mut(&key);
        }
    }

    /// Moves revisions that nothing names any more to the history, of which the newest `limit` stay.
    pub fn settle_revisions(&mut self, limit: usize) {
        let target = self.target.clone().flatten();
        let is_used = |name: &Arc<str>| {
            self.released.as_ref() == Some(name)
                || target.as_ref() == Some(name)
                || self.lines.values().any(|l| l.revision.as_ref() == Some(name))
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
/// changes what is rendered, selectors included.
pub fn revision_name(set: &SidecarSet) -> String {
    content_name(&set.name, &set.content)
}

/// Returns the hash by which a line knows the pod template of a source: eight hexadecimal digits.
pub fn template_hash(template: &Value) -> String {
    let digest = Sha256::digest(to_sorted_go_json(template));
    digest.iter().take(4).map(|b| format!("{b:02x}")).collect()
}
