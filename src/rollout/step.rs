//! The one step that follows from what git holds: [`next_step`]. Everybody who plans, stages or watches takes it.

use super::batch_selection::{BatchSelection, batch_refusal, select_batch};
use super::blocked::BlockedReason;
use super::progress::RolloutProgress;
use super::saturating_sum;
use super::scope::{CountedWorkloads, affects_any_workload};
use super::settings::RolloutSettings;
use super::update_method::{UpdateBehavior, UpdateMethod};
use super::workload_set::{PlannedWorkload, SidecarEffect, WorkloadSet};
use crate::model::ledger::{Ledger, LedgerEntry, Revision, RevisionName, RolloutScope, revision_text};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything about one rollout that does not change while it goes on.
#[derive(Debug)]
pub struct RolloutContext<'r> {
    /// The SidecarSet.
    pub name: Arc<str>,
    /// The cluster, where pillion.yaml names some.
    pub cluster: Option<Arc<str>>,
    /// Its content in the sources; None: it is not there any more.
    pub source: Option<Revision>,
    /// What the rollout may do.
    pub settings: RolloutSettings,
    /// The workloads it may concern.
    pub workloads: WorkloadSet<'r>,
    /// Workloads that the rollout of another SidecarSet has split, each with that set: one partition cannot serve
    /// two templates.
    pub split_by_others: BTreeMap<Arc<str>, Arc<str>>,
    /// Pods of workloads that the ledgers of other SidecarSets know: Open takes them over.
    pub replicas_from_others: BTreeMap<Arc<str>, u32>,
    /// The manifests are no plain files: a command built them, or a person handed them over.
    pub is_built: bool,
    /// SidecarSets whose place this one takes, on workloads that they do not select any more.
    pub replaces: Vec<Arc<str>>,
    /// It brings all their containers.
    pub replaces_all_containers: bool,
    /// SidecarSets that take the place of this one, on workloads that it does not select any more.
    pub replaced_by: Vec<Successor>,
    /// Workloads that a person holds in the ledger of a SidecarSet whose place this one takes, each with its line.
    pub held_by_replaced: BTreeMap<Arc<str>, LedgerEntry>,
    /// Workloads that people hold, that stand in git, and that no SidecarSet selects any more: their holds last.
    pub unselected_holds: BTreeSet<Arc<str>>,
}

/// A SidecarSet that takes the place of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// Its name.
    pub name: Arc<str>,
    /// Its rollout is closed.
    pub is_released: bool,
}

/// What comes from outside git: when something is done, never what.
#[derive(Debug, Clone, Default)]
pub struct ExternalState {
    /// Why a rollout must not be opened now (an earlier wave).
    pub wave_reason: Option<String>,
    /// Workloads that are passed over for now, each with the reason.
    pub deferred: BTreeMap<Arc<str>, String>,
    /// Workloads that go back first, free of the bound.
    pub unhealthy: BTreeSet<Arc<str>>,
    /// Observed pods of workloads, which Open writes down where git does not say.
    pub observed_replicas: BTreeMap<Arc<str>, u32>,
    /// A person allows the rollout that is open to take the sidecar away from workloads.
    pub allows_removal: bool,
    /// The day, `YYYY-MM-DD` in UTC: holds whose last day is before it are over. None: no hold is over.
    pub today: Option<String>,
    /// A person starts what the source holds: an open rollout gets it as its target.
    pub is_start_requested: bool,
    /// With [`starts`](Self::is_start_requested): a paused rollout, too; the person gives up what is paused.
    pub replaces_paused: bool,
}

/// What is done next.
#[derive(Debug)]
pub enum RolloutStep {
    /// A rollout begins, or an open one gets another target; no rendered byte changes.
    Start(Ledger),
    /// Workloads get the target.
    Batch(Batch),
    /// The target is released; no rendered byte changes.
    Complete(Ledger),
    /// A pause ends; no rendered byte changes. Only a person does that: [`next_step`] never does, and the plan of a
    /// paused rollout begins with it.
    Resume(Ledger),
    /// Nothing, for now or for good.
    Blocked(BlockedReason),
}

/// Workloads that get the target together.
#[derive(Debug)]
pub struct Batch {
    /// Its number, from 1.
    pub number: u32,
    /// What moves, in the order of the rollout.
    pub updates: Vec<WorkloadUpdate>,
    /// Workloads that count in this rollout.
    pub matched_workloads: usize,
    /// Their pods.
    pub matched_pods: u32,
    /// Pods that carry the target afterwards.
    pub updated_pods: u32,
    /// The ledger afterwards.
    pub ledger: Ledger,
}

/// One workload of a batch.
#[derive(Debug, Clone)]
pub struct WorkloadUpdate {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub key: Arc<str>,
    /// The revision it carried.
    pub previous: RevisionName,
    /// Pods that carried the target before.
    pub updated_before: u32,
    /// Pods that carry it afterwards.
    pub updated_after: u32,
    /// All its pods; None: nobody has said.
    pub replicas: Option<u32>,
    /// How its pods take the new template.
    pub behavior: UpdateBehavior,
    /// It is split: the pods that its own partition keeps old.
    pub kept_by_partition: Option<u32>,
    /// What becomes of the SidecarSet's containers.
    pub effect: SidecarEffect,
    /// The most of its pods that are down at once.
    pub max_unavailable: u32,
    /// It is bigger than the step or the bound, and a batch of its own.
    pub is_oversized: bool,
    /// It is not well on a revision that was given up, and gets the target before all others.
    pub is_repair: bool,
    /// The last day of the hold that kept it until now.
    pub hold_ended: Option<Arc<str>>,
}

impl WorkloadUpdate {
    /// Returns what becomes of the sidecar, where that has to be said: it is removed, or added while others change.
    /// `from` is what is released.
    pub fn effect_note(&self, from: &RevisionName) -> Option<&'static str> {
        match self.effect {
            SidecarEffect::Removed => Some("sidecar removed"),
            SidecarEffect::Added if from.is_some() => Some("sidecar added"),
            SidecarEffect::Added | SidecarEffect::Updated => None,
        }
    }
}

impl RolloutStep {
    /// Returns the workloads that lose the sidecar by a rollout which this step opens; 0 for every other step.
    pub fn removed_workloads(&self) -> u32 {
        match self {
            Self::Start(ledger) => ledger.scope.as_ref().map_or(0, |scope| scope.removals),
            _ => 0,
        }
    }
}

impl Batch {
    /// Returns the pods whose template moves.
    pub fn moved_pods(&self) -> u32 {
        saturating_sum(self.updates.iter().map(|m| m.updated_after - m.updated_before))
    }

    /// Returns the most pods that are down at once.
    pub fn max_unavailable_pods(&self) -> u32 {
        saturating_sum(self.updates.iter().map(|m| m.max_unavailable))
    }
}

/// Returns the option that commands name a cluster by, with a blank before it; nothing where there is only one.
pub fn cluster_option(cluster: Option<&str>) -> String {
    cluster.map_or_else(String::new, |cluster| format!(" --cluster {cluster}"))
}

impl RolloutContext<'_> {
    /// Returns the rollout as commands name it: `NAME`, with `--cluster` where there are several.
    pub fn command_arguments(&self) -> String {
        format!("{}{}", self.name, cluster_option(self.cluster.as_deref()))
    }

    /// Returns the pods of a workload: from the ledger, from git, from pillion.yaml. None: nobody says.
    pub fn replicas(&self, unit: &PlannedWorkload, ledger: &Ledger) -> Option<u32> {
        let key = unit.key();
        let written = || unit.replicas.or_else(|| self.settings.replicas.get(&**key).copied());
        ledger.replicas.get(key).copied().or_else(written)
    }

    /// Tells whether a workload's own partition can split it.
    pub(super) fn can_split(&self, unit: &PlannedWorkload, size: Option<u32>) -> bool {
        let is_known = unit.replicas.is_some() && size == unit.replicas;
        is_known && !unit.is_autoscaled && size.is_some_and(|n| n > 1) && unit.can_split()
    }

    /// Says why a hot-upgrade container cannot be changed.
    pub(super) fn hot_upgrade_refusal(&self, container: &str, how: UpdateMethod) -> String {
        let place = self.source.as_ref().map(|r| r.set.hot_upgrade_label(container, ""));
        let place = place.map_or_else(String::new, |at| format!(" ({}:{}:{})", at.file, at.line, at.column));
        let what = match how {
            UpdateMethod::InPlace => "this would restart the container that works, in place",
            _ => "its pods would be recreated, and the container that works with them",
        };
        format!("hot-upgrade: `{container}`{place} is upgraded hot, which pillion cannot stage yet; {what}")
    }

    fn source_revision(&self) -> RevisionName {
        self.source.as_ref().map(|r| Arc::clone(&r.name))
    }
}

/// Returns the step that follows from a ledger.
pub fn next_step(course: &RolloutContext<'_>, ledger: &Ledger, given: &ExternalState) -> RolloutStep {
    let source = course.source_revision();
    let is_newer = newer_source(course, ledger).is_some();
    if let Some(paused) = &ledger.paused {
        if given.is_start_requested && given.replaces_paused && can_start(course, ledger) {
            let resumed = Ledger { paused: None, ..ledger.clone() };
            return start_or_block(course, &resumed, source, given);
        }
        return RolloutStep::Blocked(BlockedReason::Paused(paused.clone()));
    }
    if let Some(step) = step_of_replaced(course, ledger, &source, given) {
        return step;
    }
    let is_rejected = is_rejected(ledger, &source);
    let strategy = &course.settings.strategy;
    let is_stopped = match strategy.kind.as_str() {
        "NotUpdate" => Some(BlockedReason::NotUpdate),
        _ if strategy.is_paused => Some(BlockedReason::StrategyPaused),
        _ => None,
    };
    match &ledger.target {
        None if source == ledger.released || is_rejected => {
            match is_stopped {
                _ if !has_expired_hold(course, ledger, given) => {}
                Some(rest) => return RolloutStep::Blocked(rest),
                None => {
                    return RolloutStep::Start(started_ledger(
                        course,
                        ledger,
                        ledger.released.clone(),
                        given,
                    ));
                }
            }
            RolloutStep::Blocked(if source == ledger.released {
                BlockedReason::Done
            } else {
                BlockedReason::Rejected(source)
            })
        }
        None => match is_stopped.or_else(|| given.wave_reason.clone().map(BlockedReason::EarlierWave)) {
            Some(rest) => RolloutStep::Blocked(rest),
            None => start_or_block(course, ledger, source, given),
        },
        Some(_) if given.is_start_requested && is_newer => start_or_block(course, ledger, source, given),
        Some(_)
            if is_newer
                && course.settings.starts_automatically
                && !would_remove_sidecar(course, ledger, given) =>
        {
            start_or_block(course, ledger, source, given)
        }
        // Going back is never held up by the strategy of what went wrong.
        Some(target) if *target == ledger.released => next_batch(course, ledger, target, given),
        // What it replaces, or may remove, is another thing than when it was opened.
        Some(target) if *target == source && must_restart(course, ledger, given) => {
            start_or_block(course, ledger, source, given)
        }
        Some(target) => match is_stopped {
            Some(rest) => RolloutStep::Blocked(rest),
            None => next_batch(course, ledger, target, given),
        },
    }
}

/// What is done next for a SidecarSet whose place others take: nothing, until these are released; and if it is gone from
/// git, its ledger is closed at nothing then, which changes no rendered byte. None: what no other set has taken over is
/// planned like everything else.
fn step_of_replaced(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    source: &RevisionName,
    given: &ExternalState,
) -> Option<RolloutStep> {
    let is_settled = ledger.target.is_none() && *source == ledger.released;
    if is_settled || !ledger.is_in_use() {
        return None;
    }
    if let Some(by) = course.replaced_by.iter().find(|by| !by.is_released) {
        return Some(RolloutStep::Blocked(BlockedReason::ReplacedBy(Arc::clone(&by.name))));
    }
    if source.is_some() || course.replaced_by.is_empty() {
        return None;
    }
    let state = RolloutProgress::of(course, ledger, source, given.today.as_deref());
    state
        .matched
        .is_empty()
        .then(|| RolloutStep::Complete(completed_ledger(course, ledger, source, &state, given)))
}

/// Tells whether Start has to be repeated for a target that stays the same.
fn must_restart(course: &RolloutContext<'_>, ledger: &Ledger, given: &ExternalState) -> bool {
    let replaces_more = course.replaces.iter().any(|old| !ledger.replaces.contains(old));
    replaces_more || (given.allows_removal && !ledger.allows_removal() && removal_count(course, ledger) > 0)
}

/// Opens a rollout, unless it concerns no workload, or none of it may be moved.
fn start_or_block(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    source: RevisionName,
    given: &ExternalState,
) -> RolloutStep {
    let opened = started_ledger(course, ledger, source.clone(), given);
    let state = RolloutProgress::of(course, &opened, &source, given.today.as_deref());
    let mut reasons = Vec::new();
    for matched in &state.matched {
        match matched
            .change
            .hot_upgrade_container
            .as_ref()
            .and_then(|_| batch_refusal(course, &state, matched))
        {
            Some(reason) => reasons.push((Arc::clone(matched.workload.key()), reason)),
            None => return RolloutStep::Start(opened),
        }
    }
    match reasons.is_empty() {
        false => RolloutStep::Blocked(BlockedReason::Waiting(reasons)),
        true if state.held.is_empty() && !affects_any_workload(course, ledger, &source) => {
            RolloutStep::Blocked(BlockedReason::NoWorkloads)
        }
        true => RolloutStep::Start(opened),
    }
}

/// Tells whether the rollout of what the source holds would take the sidecar away: that never starts by itself.
fn would_remove_sidecar(course: &RolloutContext<'_>, ledger: &Ledger, given: &ExternalState) -> bool {
    start_or_block(course, ledger, course.source_revision(), given).removed_workloads() > 0
}

/// Returns what the source holds where an open rollout goes somewhere else: it waits until that is closed, or until it
/// is started in its place. The inner None: the SidecarSet is not there any more.
pub fn newer_source(course: &RolloutContext<'_>, ledger: &Ledger) -> Option<RevisionName> {
    let source = course.source_revision();
    let goes_elsewhere = ledger.target.as_ref().is_some_and(|target| *target != source);
    (goes_elsewhere && !is_rejected(ledger, &source)).then_some(source)
}

/// Tells whether the source holds something that a person may start in place of what is paused: another content than the
/// target's or, where no rollout is open, than the released one.
pub fn can_start(course: &RolloutContext<'_>, ledger: &Ledger) -> bool {
    let source = course.source_revision();
    *ledger.target.as_ref().unwrap_or(&ledger.released) != source && !is_rejected(ledger, &source)
}

fn is_rejected(ledger: &Ledger, source: &RevisionName) -> bool {
    ledger.rejected.iter().any(|r| **r == *revision_text(source))
}

/// Tells whether a workload whose hold is over carries something else than the released revision.
fn has_expired_hold(course: &RolloutContext<'_>, ledger: &Ledger, given: &ExternalState) -> bool {
    let today = given.today.as_deref();
    let ended = ledger.entries.iter().filter(|(_, line)| line.is_hold_expired(today));
    ended.filter_map(|(key, _)| course.workloads.find(key)).any(|unit| {
        let line = unit.active_entry(ledger);
        line.is_some_and(|line| {
            !course.workloads.change_from_entry(unit, &line, &ledger.released).diff.is_empty()
        })
    })
}

/// Repeats [`next_step`] on its own result until nothing is left to be done, at most `limit` times.
pub fn steps(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    given: &ExternalState,
    limit: usize,
) -> Vec<RolloutStep> {
    let mut steps: Vec<RolloutStep> = Vec::new();
    while steps.len() < limit {
        let before = match steps.last() {
            None => ledger,
            Some(
                RolloutStep::Start(after)
                | RolloutStep::Resume(after)
                | RolloutStep::Batch(Batch { ledger: after, .. }),
            ) => after,
            Some(RolloutStep::Complete(_) | RolloutStep::Blocked(_)) => break,
        };
        steps.push(next_step(course, before, given));
    }
    steps
}

/// Returns the digest that an approval is for: the set, its revisions, the batch, its workloads and their sizes.
pub fn approval_digest(
    course: &RolloutContext<'_>,
    before: &Ledger,
    number: u32,
    moves: &[WorkloadUpdate],
) -> String {
    let target = before.target.clone().unwrap_or_default();
    let workloads: Vec<_> = moves
        .iter()
        .map(|m| json!([&*m.key, m.updated_before, m.updated_after, m.replicas, m.kept_by_partition]))
        .collect();
    let sizes: BTreeMap<&str, u32> = before.replicas.iter().map(|(k, n)| (&**k, *n)).collect();
    let content = json!([
        &*course.name,
        revision_text(&before.released),
        revision_text(&target),
        number,
        workloads,
        sizes,
    ]);
    let digest = Sha256::digest(content.to_string());
    format!("sha256:{}", digest.iter().map(|b| format!("{b:02x}")).collect::<String>())
}

fn started_ledger(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    source: RevisionName,
    given: &ExternalState,
) -> Ledger {
    let mut ledger = without_stale_entries(course, ledger);
    if let Some(revision) = course.source.as_ref().filter(|r| source.as_ref() == Some(&r.name)) {
        ledger.revisions.insert(Arc::clone(&revision.name), revision.clone());
    }
    ledger.approvals.clear();
    for unit in course.workloads.as_slice() {
        let key = unit.key();
        let observed = given.observed_replicas.get(key).or_else(|| course.replicas_from_others.get(key));
        if let (None, false, Some(pods)) = (unit.replicas, ledger.replicas.contains_key(key), observed)
            && !course.workloads.change_to(unit, &ledger.released, &source).diff.is_empty()
        {
            ledger.replicas.insert(Arc::clone(key), *pods);
        }
    }
    ledger.target = Some(source);
    ledger.replaces.clone_from(&course.replaces);
    ledger.scope = rollout_scope(course, &ledger);
    ledger.archive_unused_revisions(course.settings.history_limit);
    ledger
}

/// What a rollout counts, and how many of its workloads lose the sidecar: later steps are held against it.
fn rollout_scope(course: &RolloutContext<'_>, ledger: &Ledger) -> Option<RolloutScope> {
    let counted =
        ledger.target.as_ref().map(|_| CountedWorkloads::of(course, ledger).to_scope(course.is_built))?;
    Some(RolloutScope { removals: removal_count(course, ledger), ..counted })
}

/// The workloads that a rollout which opens takes the sidecar away from.
fn removal_count(course: &RolloutContext<'_>, ledger: &Ledger) -> u32 {
    let Some(target) = &ledger.target else { return 0 };
    let loses = |unit: &&PlannedWorkload| {
        let line = unit.active_entry(ledger);
        let carries = line.as_ref().map_or(&ledger.released, |l| &l.revision);
        if line.as_ref().is_some_and(|l| l.hold_reason.is_some()) || carries == target {
            return false;
        }
        let change = course.workloads.change_to(unit, carries, target);
        change.effect == SidecarEffect::Removed && change.behavior.method != UpdateMethod::Never
    };
    // Going back takes the sidecar only from those that the rollout has brought it to.
    if *target == ledger.released {
        return 0;
    }
    u32::try_from(course.workloads.as_slice().iter().filter(loses).count()).unwrap_or(u32::MAX)
}

fn next_batch(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    target: &RevisionName,
    given: &ExternalState,
) -> RolloutStep {
    let state = RolloutProgress::of(course, ledger, target, given.today.as_deref());
    match select_batch(course, &state, (&ledger.released, target), given) {
        BatchSelection::Updates(moves) => {
            RolloutStep::Batch(build_batch(course, ledger, target, &state, moves))
        }
        BatchSelection::Empty(Some(rest)) => RolloutStep::Blocked(rest),
        BatchSelection::Empty(None) => {
            // A person has accepted a scope of no workload.
            let is_accepted = ledger.scope.as_ref().is_some_and(|scope| scope.workloads == 0);
            let is_empty = state.matched.is_empty() && state.held.is_empty();
            if is_empty && !is_accepted && !affects_any_workload(course, ledger, target) {
                return RolloutStep::Blocked(BlockedReason::NoWorkloads);
            }
            RolloutStep::Complete(completed_ledger(course, ledger, target, &state, given))
        }
    }
}

fn build_batch(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    target: &RevisionName,
    state: &RolloutProgress<'_>,
    moves: Vec<WorkloadUpdate>,
) -> Batch {
    let number = ledger.last_batch().saturating_add(1);
    let mut after = without_stale_entries(course, ledger);
    for moved in &moves {
        let template = course.workloads.find(&moved.key).filter(|_| moved.kept_by_partition.is_some());
        after.entries.insert_mut(
            Arc::clone(&moved.key),
            LedgerEntry {
                revision: target.clone(),
                batch: Some(number),
                partition: moved.kept_by_partition,
                template_hash: template.map(PlannedWorkload::template_hash),
                ..LedgerEntry::default()
            },
        );
    }
    after.archive_unused_revisions(course.settings.history_limit);
    let moving = saturating_sum(moves.iter().map(|m| m.updated_after - m.updated_before));
    Batch {
        number,
        updates: moves,
        matched_workloads: state.matched.len(),
        matched_pods: state.pods,
        updated_pods: state.updated_pods.saturating_add(moving),
        ledger: after,
    }
}

fn completed_ledger(
    course: &RolloutContext<'_>,
    ledger: &Ledger,
    target: &RevisionName,
    state: &RolloutProgress<'_>,
    given: &ExternalState,
) -> Ledger {
    let mut after = without_stale_entries(course, ledger);
    after.retain_workloads(|_, line| {
        line.hold_reason.is_some() && !line.is_hold_expired(given.today.as_deref())
    });
    for held in state.held.iter().filter(|h| !h.is_in_ledger()) {
        let line = LedgerEntry {
            revision: held.revision.clone(),
            template_hash: Some(held.workload.template_hash()),
            hold_reason: Some(Arc::clone(&held.reason)),
            held_by: held.replaced_entry.and_then(|line| line.held_by.clone()),
            held_since: held.replaced_entry.and_then(|line| line.held_since.clone()),
            held_until: held.replaced_entry.and_then(|line| line.held_until.clone()),
            images: held.entry.as_ref().map_or_else(BTreeMap::new, |l| l.images.clone()),
            ..LedgerEntry::default()
        };
        after.entries.insert_mut(Arc::clone(held.workload.key()), line);
    }
    after.released = target.clone();
    after.target = None;
    after.scope = None;
    if !after.is_in_use() {
        after.replaces.clear();
    }
    after.replicas.clear();
    after.approvals.clear();
    after.archive_unused_revisions(course.settings.history_limit);
    after
}

/// The ledger with the lines as they count: without those of workloads that are gone, or whose source has changed since.
/// A hold lasts where its workload is only not selected any more.
pub(super) fn without_stale_entries(course: &RolloutContext<'_>, ledger: &Ledger) -> Ledger {
    let mut after = ledger.clone();
    for key in ledger.entries.keys() {
        match course.workloads.find(key).and_then(|unit| unit.active_entry(ledger)) {
            None if course.unselected_holds.contains(key) => {}
            None => {
                after.entries.remove_mut(key);
            }
            Some(Cow::Owned(line)) => {
                after.entries.insert_mut(Arc::clone(key), line);
            }
            Some(Cow::Borrowed(_)) => {}
        }
    }
    after
}
