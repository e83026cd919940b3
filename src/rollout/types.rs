//! The types that the files of a rollout share: its context, its steps, its batches.

use super::blocked::BlockedReason;
use super::hot_upgrade::HotUpgradeHalf;
use super::kruise::KruiseSelection;
use super::saturating_sum;
use super::settings::RolloutSettings;
use super::update_method::{UpdateBehavior, UpdateMethod};
use super::workload_set::{PlannedWorkload, SidecarEffect, WorkloadSet};
use crate::model::ledger::{HotUpgrades, Ledger, LedgerEntry, Revision, RevisionName};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Everything about one rollout that does not change while it progresses.
#[derive(Debug)]
pub struct RolloutContext<'r> {
    /// The SidecarSet.
    pub(crate) name: Arc<str>,
    /// The cluster, where pillion.yaml names clusters.
    pub(crate) cluster: Option<Arc<str>>,
    /// The content of the SidecarSet in the sources; None: it was deleted.
    pub(crate) source: Option<Revision>,
    /// The limits and the strategy of the rollout.
    pub settings: RolloutSettings,
    /// The workloads of the cluster.
    pub workloads: WorkloadSet<'r>,
    /// Where Kruise injects the sidecars, what the SidecarSet selects: the SidecarSet itself is the one workload.
    pub(crate) kruise: Option<KruiseSelection>,
    /// Workloads that the rollout of another SidecarSet has split, each with that SidecarSet: one partition cannot
    /// serve two templates.
    pub(crate) split_by_others: BTreeMap<Arc<str>, Arc<str>>,
    /// Replica counts that the ledgers of other SidecarSets record; Start copies them.
    pub(crate) replicas_from_others: BTreeMap<Arc<str>, u32>,
    /// The manifests were built by a command or passed by the user; they are not plain files.
    pub(crate) is_built: bool,
    /// The rendered files are in git, and checked against their sources.
    pub(crate) has_rendered_files: bool,
    /// SidecarSets that this one replaces, on workloads that they no longer select.
    pub(crate) replaces: Vec<Arc<str>>,
    /// This SidecarSet has all containers of those that it replaces.
    pub(crate) replaces_all_containers: bool,
    /// SidecarSets that replace this one, on workloads that it no longer selects.
    pub(crate) replaced_by: Vec<Successor>,
    /// Workloads that a person holds in the ledger of a replaced SidecarSet, each with its entry.
    pub(crate) held_by_replaced: BTreeMap<Arc<str>, LedgerEntry>,
    /// Workloads in git that a person holds and that no SidecarSet selects any more: their holds stay.
    pub(crate) unselected_holds: BTreeSet<Arc<str>>,
}

/// A SidecarSet that replaces another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Its rollout is complete.
    pub(crate) is_released: bool,
}

/// What comes from outside git. It decides when a step is taken, never which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExternalState {
    /// Why the rollout must not start now: an earlier wave is not complete.
    pub wave_reason: Option<String>,
    /// Workloads that are passed over for now, each with the reason.
    pub deferred: BTreeMap<Arc<str>, String>,
    /// Unhealthy workloads: a rollback updates them first, whatever `maxUnavailable` is.
    pub unhealthy: BTreeSet<Arc<str>>,
    /// Observed pods of workloads, which Start records where git sets no `replicas`.
    pub observed_replicas: BTreeMap<Arc<str>, u32>,
    /// A person allows the open rollout to remove the sidecar from workloads.
    pub allows_removal: bool,
    /// Today, `YYYY-MM-DD` in UTC: holds with an earlier last day have expired. None: no hold has expired.
    pub today: Option<String>,
    /// A person starts what the sources contain: it becomes the target of an open rollout.
    pub is_start_requested: bool,
    /// With [`is_start_requested`](Self::is_start_requested): a paused rollout gets the new target too.
    pub replaces_paused: bool,
}

/// The next step of a rollout.
#[derive(Debug)]
pub enum RolloutStep {
    /// Starts a rollout, or gives an open one another target. Changes no rendered byte.
    Start(Ledger),
    /// Updates workloads to the target.
    Batch(Batch),
    /// Releases the target. Changes no rendered byte.
    Complete(Ledger),
    /// Ends a pause. Changes no rendered byte. Only a person does this: [`next_step`](super::next_step) never returns
    /// it, and the plan of a paused rollout begins with it.
    Resume(Ledger),
    /// Nothing to do: the workloads have what the sources contain.
    Idle,
    /// Something bars the next step.
    Blocked(BlockedReason),
}

impl RolloutStep {
    /// Returns the ledger that this step writes; None where nothing is done.
    pub(crate) fn ledger(&self) -> Option<&Ledger> {
        match self {
            Self::Start(ledger) | Self::Complete(ledger) | Self::Resume(ledger) => Some(ledger),
            Self::Batch(batch) => Some(&batch.ledger),
            Self::Idle | Self::Blocked(_) => None,
        }
    }

    /// Returns the ledger that this step writes, where more steps may follow it.
    pub(crate) fn open_ledger(&self) -> Option<&Ledger> {
        self.ledger().filter(|_| !matches!(self, Self::Complete(_)))
    }

    /// Returns the batch.
    pub(crate) fn batch(&self) -> Option<&Batch> {
        match self {
            Self::Batch(batch) => Some(batch),
            _ => None,
        }
    }

    /// Returns the ledger of a Start.
    pub(crate) fn started_ledger(&self) -> Option<&Ledger> {
        match self {
            Self::Start(ledger) => Some(ledger),
            _ => None,
        }
    }

    /// Returns why nothing is done; None where something is.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Idle => Some(UP_TO_DATE.to_owned()),
            Self::Blocked(reason) => Some(reason.to_string()),
            _ => None,
        }
    }

    /// Returns how many workloads lose the sidecar in the rollout that this step starts; 0 for every other step.
    pub(crate) fn removed_workloads(&self) -> u32 {
        self.started_ledger().and_then(|ledger| ledger.scope.as_ref()).map_or(0, |scope| scope.removals)
    }
}

/// The reason of [`RolloutStep::Idle`].
const UP_TO_DATE: &str = "all workloads are up to date";

/// How the steps of a rollout end.
#[derive(Debug, Clone)]
pub enum RolloutEnd {
    /// The target is released.
    Complete,
    /// There is nothing to do.
    Idle,
    /// Something bars the next step.
    Blocked(BlockedReason),
    /// There are more batches than a plan may have.
    TooManyBatches {
        /// All batches were counted.
        is_counted: bool,
    },
    /// Only one step was requested, and more follow.
    MoreSteps,
}

impl RolloutEnd {
    /// Returns how steps end.
    pub(crate) fn of(steps: &[RolloutStep]) -> Self {
        match steps.last() {
            Some(RolloutStep::Complete(_)) => Self::Complete,
            Some(RolloutStep::Idle) => Self::Idle,
            Some(RolloutStep::Blocked(reason)) => Self::Blocked(reason.clone()),
            Some(RolloutStep::Start(_) | RolloutStep::Batch(_) | RolloutStep::Resume(_)) | None => {
                Self::TooManyBatches { is_counted: false }
            }
        }
    }

    /// Returns it as data.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Complete => json!({"kind": "Complete"}),
            Self::Idle => json!({"kind": "Idle", "message": UP_TO_DATE}),
            Self::Blocked(reason) => {
                json!({"kind": "Blocked", "reason": reason.kind(), "message": reason.to_string()})
            }
            Self::TooManyBatches { .. } => {
                json!({"kind": "TooManyBatches", "message": "more batches follow"})
            }
            Self::MoreSteps => json!({"kind": "More"}),
        }
    }
}

/// Workloads that are updated together, by one commit.
#[derive(Debug)]
pub struct Batch {
    /// Its number, from 1.
    pub number: u32,
    /// The updated workloads, in the order of the rollout.
    pub updates: Vec<WorkloadUpdate>,
    /// Workloads that count in this rollout.
    pub(crate) matched_workloads: usize,
    /// Their pods.
    pub matched_pods: u32,
    /// Pods that have the target afterwards.
    pub updated_pods: u32,
    /// The ledger afterwards.
    pub ledger: Ledger,
}

impl Batch {
    /// Returns the pods that get the target.
    pub(crate) fn moved_pods(&self) -> u32 {
        saturating_sum(self.updates.iter().map(|update| update.updated_after - update.updated_before))
    }

    /// Returns the half of a hot upgrade that this commit of the batch is. None: it upgrades no pair.
    pub(crate) fn half(&self) -> Option<HotUpgradeHalf> {
        self.updates.iter().filter_map(|update| update.half).max()
    }

    /// Returns what this commit releases: `batch 2`, `the second half of batch 2`.
    pub(crate) fn title(&self) -> String {
        match self.half() {
            None => format!("batch {}", self.number),
            Some(HotUpgradeHalf::First) => format!("the first half of batch {}", self.number),
            Some(HotUpgradeHalf::Second) => format!("the second half of batch {}", self.number),
        }
    }

    /// Returns the pods with a changed template; of the second half of a hot upgrade those that the first half moved.
    pub(crate) fn changed_pods(&self) -> u32 {
        match self.half() {
            Some(HotUpgradeHalf::Second) => {
                saturating_sum(self.updates.iter().map(|update| update.updated_after))
            }
            _ => self.moved_pods(),
        }
    }

    /// Returns the most pods that are unavailable at once.
    pub(crate) fn max_unavailable_pods(&self) -> u32 {
        saturating_sum(self.updates.iter().map(|update| update.max_unavailable))
    }
}

/// One workload of a batch.
#[derive(Debug, Clone)]
pub struct WorkloadUpdate {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub key: Arc<str>,
    /// The revision it had.
    pub(crate) previous: RevisionName,
    /// Pods that had the target before.
    pub updated_before: u32,
    /// Pods that have it afterwards.
    pub updated_after: u32,
    /// All its pods; None: unknown.
    pub replicas: Option<u32>,
    /// How its pods get the new template.
    pub behavior: UpdateBehavior,
    /// It is split: the pods that its own partition keeps on the old template.
    pub kept_by_partition: Option<u32>,
    /// The percentage of the pods of a SidecarSet that its partition keeps, where Kruise injects it.
    pub(crate) partition_percent: Option<u32>,
    /// What happens to the containers of the SidecarSet.
    pub(crate) effect: SidecarEffect,
    /// The most of its pods that are unavailable at once.
    pub max_unavailable: u32,
    /// It exceeds the step or `maxUnavailable`, and is a batch of its own.
    pub is_oversized: bool,
    /// It is unhealthy on a revision that was given up, and is updated before all others.
    pub(crate) is_repair: bool,
    /// How the hold ended that kept it until now.
    pub(crate) ended_hold: Option<EndedHold>,
    /// The state of its hot-upgrade pairs afterwards.
    pub(crate) hot_upgrades: HotUpgrades,
    /// The half of a hot upgrade that this is.
    pub(crate) half: Option<HotUpgradeHalf>,
}

/// How a hold ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EndedHold {
    /// Its last day, `YYYY-MM-DD`, is over.
    Expired(Arc<str>),
    /// The SidecarOverride no longer holds the workload.
    Withdrawn(Arc<str>),
}

impl EndedHold {
    /// Returns how the hold of a workload ended, provided that it has.
    pub(super) fn of(entry: Option<&LedgerEntry>, workload: &PlannedWorkload) -> Option<Self> {
        let by_override =
            || workload.override_hold.as_ref().map(|hold| Self::Expired(Arc::clone(&hold.until)));
        match entry.filter(|entry| entry.hold_reason.is_some()) {
            None => by_override(),
            Some(entry) if entry.is_held_by_override() => {
                by_override().or_else(|| entry.held_by.clone().map(Self::Withdrawn))
            }
            Some(entry) => entry.held_until.clone().map(Self::Expired),
        }
    }

    /// Returns it as data: the day, or `Withdrawn`.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Expired(day) => json!(&**day),
            Self::Withdrawn(_) => json!("Withdrawn"),
        }
    }
}

impl fmt::Display for EndedHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(day) => write!(f, "its hold expired on {day}"),
            Self::Withdrawn(by) => write!(f, "{by} no longer holds it"),
        }
    }
}

impl WorkloadUpdate {
    /// Returns what the partition keeps as data: a number of pods, or a percentage; null where it keeps none.
    pub(crate) fn partition(&self) -> Value {
        match self.partition_percent {
            Some(percent) => format!("{percent}%").into(),
            None => self.kept_by_partition.into(),
        }
    }

    /// Returns how many of its pods keep the template that they have; of a second half none.
    pub(crate) fn changed_from(&self) -> u32 {
        if self.half == Some(HotUpgradeHalf::Second) { 0 } else { self.updated_before }
    }

    /// Returns a note where the sidecar is removed, or added while other workloads are updated. `from` is the released
    /// revision.
    pub(crate) fn effect_note(&self, from: &RevisionName) -> Option<&'static str> {
        match self.effect {
            SidecarEffect::Removed => Some("sidecar removed"),
            SidecarEffect::Added if from.is_some() => Some("sidecar added"),
            SidecarEffect::Added | SidecarEffect::Updated => None,
        }
    }
}

/// Returns the option that names a cluster on a command line, with a space before it; empty without a cluster.
pub fn cluster_option(cluster: Option<&str>) -> String {
    cluster.map_or_else(String::new, |cluster| format!(" --cluster {cluster}"))
}

impl RolloutContext<'_> {
    /// Returns the rollout as commands name it: `NAME`, with `--cluster` where there are several.
    pub(crate) fn command_arguments(&self) -> String {
        format!("{}{}", self.name, cluster_option(self.cluster.as_deref()))
    }

    /// Returns the replicas of a workload: from the ledger, from git, from pillion.yaml, else the default of its kind.
    /// None: unknown.
    pub(crate) fn replicas(&self, workload: &PlannedWorkload, ledger: &Ledger) -> Option<u32> {
        self.settings.replicas_of(workload, ledger)
    }

    /// Returns whether only the default of its kind says how many replicas a workload has.
    pub(super) fn has_default_replicas(&self, workload: &PlannedWorkload, ledger: &Ledger) -> bool {
        let key = workload.key();
        let is_known = ledger.replicas.contains_key(key) || self.settings.replicas.contains_key(&**key);
        !is_known && workload.default_replicas().is_some()
    }

    /// Returns the ledger with its valid entries: without those of workloads that are missing or changed in the sources
    /// since. Workloads that took a revision with their own change have an entry with that revision. A hold stays where
    /// its workload is in git and no longer selected.
    pub(super) fn without_stale_entries(&self, ledger: &Ledger) -> Ledger {
        let mut after = ledger.clone();
        for key in ledger.entries.keys() {
            match self.workloads.find(key).and_then(|workload| workload.active_entry(ledger)) {
                None if self.unselected_holds.contains(key) => {}
                None => {
                    after.entries.remove_mut(key);
                }
                Some(Cow::Owned(entry)) if entry.is_redundant(&ledger.released) => {
                    after.entries.remove_mut(key);
                }
                Some(Cow::Owned(entry)) => {
                    after.entries.insert_mut(Arc::clone(key), entry);
                }
                Some(Cow::Borrowed(_)) => {}
            }
        }
        after
    }

    /// Returns whether the hold of the entry of a workload is over.
    pub(crate) fn is_hold_over(&self, key: &str, entry: &LedgerEntry, today: Option<&str>) -> bool {
        match self.workloads.find(key) {
            Some(workload) => entry.hold_reason.is_some() && workload.is_hold_over(entry, today),
            None => entry.is_hold_expired(today),
        }
    }

    /// Returns whether the native partition of a workload can split it.
    pub(super) fn can_split(&self, workload: &PlannedWorkload, replicas: Option<u32>) -> bool {
        let is_known = workload.replicas.is_some() && replicas == workload.replicas;
        is_known && !workload.is_autoscaled && replicas.is_some_and(|n| n > 1) && workload.can_split()
    }

    /// Returns why a hot-upgrade container cannot be changed.
    pub(super) fn hot_upgrade_refusal(&self, container: &str, method: UpdateMethod) -> String {
        let location = self.source.as_ref().map(|r| r.set.hot_upgrade_label(container, ""));
        let location = location.map_or_else(String::new, |at| format!(" ({at})"));
        let effect = match method {
            UpdateMethod::InPlace => "more than its image changes, which would restart its working container",
            UpdateMethod::NextRun => "its pods are not updated now, and would skip the first half later",
            _ => "its pods are recreated, and their working containers with them",
        };
        format!("hot-upgrade: `{container}`{location} cannot be upgraded hot here; {effect}")
    }

    /// Returns the revision that the sources contain.
    pub(crate) fn source_revision(&self) -> RevisionName {
        self.source.as_ref().map(|r| Arc::clone(&r.name))
    }

    /// Returns whether the SidecarSet in the sources has native sidecars.
    pub(crate) fn has_native_sidecars(&self) -> bool {
        self.source.as_ref().is_some_and(|r| r.set.has_native_sidecars())
    }
}
