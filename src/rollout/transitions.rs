//! Changes of a ledger by people: pause, resume, roll back, approve, hold. Pure: a ledger in, the next one out.

use super::piggyback::{settle_piggyback, with_piggyback, without_piggyback};
use super::workload_set::PlannedWorkload;
use super::{RolloutContext, unavailability};
use crate::model::defaults::REASON;
use crate::model::ledger::{
    BatchApproval, HotUpgrades, Ledger, LedgerEntry, PIGGYBACK_BATCH, PauseRecord, RevisionName,
    revision_text,
};
use crate::model::timestamp::is_day;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a command does not apply: what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TransitionError(pub String);

fn refuse<T>(why: impl Into<String>) -> Result<T, TransitionError> {
    Err(TransitionError(why.into()))
}

/// Pauses a rollout; one that is not open will not start. No workload takes the target with its own change until it is
/// resumed. `by` is a person, or `pillion`.
///
/// # Errors
/// When it is paused already.
pub(crate) fn pause(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    reason: &str,
    by: Option<&str>,
) -> Result<Ledger, TransitionError> {
    if let Some(paused) = &ledger.paused {
        return refuse(format!(
            "`{}` is already paused, at batch {}: {}",
            ledger.name, paused.batch, paused.reason
        ));
    }
    let mut after = settle_piggyback(context, ledger);
    after.paused = Some(PauseRecord {
        batch: ledger.last_batch(),
        reason: reason.to_owned(),
        by: by.map(str::to_owned),
    });
    Ok(after)
}

/// Resumes a rollout; where it is not paused, allows `source`, which was rolled back, again.
///
/// # Errors
/// When there is nothing to resume.
pub(crate) fn resume(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    source: &RevisionName,
) -> Result<Ledger, TransitionError> {
    let mut after = ledger.clone();
    if after.paused.take().is_some() {
        return Ok(with_piggyback(context, after));
    }
    after.rejected.retain(|r| **r != *revision_text(source));
    if after.rejected.len() < ledger.rejected.len() {
        return Ok(after);
    }
    refuse(format!(
        "`{}` is not paused, and the revision in its file (`{}`) is not rejected: `pillion status` shows its state",
        ledger.name,
        revision_text(source)
    ))
}

/// Makes the released revision the target; the former target is rejected.
///
/// # Errors
/// When no rollout is open, or it is a rollback already.
pub(crate) fn roll_back(context: &RolloutContext<'_>, ledger: &Ledger) -> Result<Ledger, TransitionError> {
    let Some(target) = &ledger.target else {
        return refuse(format!("no rollout of `{}` is open", ledger.name));
    };
    if *target == ledger.released {
        return refuse(format!(
            "`{}` is already rolling back to `{}`",
            ledger.name,
            revision_text(&ledger.released)
        ));
    }
    let mut after = settle_piggyback(context, ledger);
    reject(&mut after, target);
    after.target = Some(ledger.released.clone());
    after.paused = None;
    after.approvals.clear();
    Ok(after)
}

/// Opens the last rollout again after its Complete: the previous revision is released again and the ledger is as
/// before Complete, except for holds, which stay. `before` is the ledger before Complete.
///
/// # Errors
/// When a rollout is open, or the last one was a rollback.
pub(crate) fn reopen_completed(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    before: &Ledger,
) -> Result<Ledger, TransitionError> {
    let name = &ledger.name;
    if ledger.target.is_some() {
        return refuse(format!("a rollout of `{name}` is open"));
    }
    if before.released == ledger.released {
        return refuse(format!(
            "the last rollout of `{name}` was itself a rollback to `{}`: to roll out another content, change the SidecarSet file",
            revision_text(&ledger.released)
        ));
    }
    let mut after = ledger.clone();
    for (name, revision) in &before.revisions {
        after.revisions.entry(Arc::clone(name)).or_insert_with(|| revision.clone());
    }
    (after.released, after.target) = (before.released.clone(), Some(ledger.released.clone()));
    (after.replicas, after.scope) = (before.replicas.clone(), before.scope.clone());
    (after.paused, after.approvals) = (None, Vec::new());
    // Holds of the planner are for workloads that could not adopt the target of the rollout.
    after.retain_workloads(|_, entry| entry.hold_reason.is_none() || entry.is_held_by_person());
    let kept = after.entries.clone();
    for workload in context.workloads.as_slice().iter().filter(|workload| !kept.contains_key(workload.key()))
    {
        let present =
            workload.active_entry(ledger).map_or_else(|| ledger.released.clone(), |l| l.revision.clone());
        let is_settled = present == after.released
            || context.workloads.change_to(workload, &present, &after.released).diff.is_empty();
        if !is_settled {
            let batch = before.entries.get(workload.key()).and_then(|l| match l.revision == present {
                true => l.batch,
                false => (l.piggyback == present).then_some(PIGGYBACK_BATCH),
            });
            let hot_upgrades = workload.active_entry(ledger).map(|l| l.hot_upgrades.clone());
            let hot_upgrades = hot_upgrades.unwrap_or_default();
            let entry = LedgerEntry { batch, hot_upgrades, ..LedgerEntry::with_revision(present) };
            after.entries.insert_mut(Arc::clone(workload.key()), entry);
        } else if let Some(entry) = workload.active_entry(ledger).and_then(|l| l.settled(&after.released)) {
            after.entries.insert_mut(Arc::clone(workload.key()), entry);
        }
    }
    after.archive_unused_revisions(context.settings.history_limit);
    Ok(after)
}

/// The state that a rollout is rolled back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchRollback<'a> {
    /// The batch; 0: before the first.
    pub(crate) batch: u32,
    /// The ledger after that batch.
    pub(crate) ledger_at_batch: &'a Ledger,
    /// The reason, for the ledger.
    pub(crate) reason: &'a str,
    /// The person.
    pub(crate) by: Option<&'a str>,
}

/// Rolls an open rollout back to an earlier batch, and pauses it there. Holds stay.
///
/// # Errors
/// When it is a rollback, has not reached the batch, or more pods would be unavailable at once than `maxUnavailable`
/// allows.
pub(crate) fn roll_back_to_batch(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    back: &BatchRollback<'_>,
) -> Result<Ledger, TransitionError> {
    let ledger = &settle_piggyback(context, ledger);
    let (name, batch, last) = (&ledger.name, back.batch, ledger.last_batch());
    if context.kruise.is_some() {
        return refuse(format!(
            "Kruise injects `{name}`, and a higher partition takes no pod back: `pillion rollback {name}` goes back to the released revision, and `pillion pause {name}` stops here"
        ));
    }
    let Some(target) = &ledger.target else { return refuse(format!("no rollout of `{name}` is open")) };
    if *target == ledger.released {
        return refuse(format!(
            "`{name}` is already rolling back to `{}`: `pillion pause {name}` stops it",
            revision_text(&ledger.released)
        ));
    }
    if batch > last || (batch == last && ledger.paused.is_some()) {
        return refuse(format!("`{name}` is at batch {last}; cannot roll back to batch {batch}"));
    }
    let after = ledger_at_earlier_batch(context, ledger, back);
    let moved = |key: &&Arc<str>| ledger.entries.get(*key) != after.entries.get(*key);
    if let Some(key) =
        ledger.entries.keys().filter(moved).find(|key| context.split_by_others.contains_key(*key))
    {
        return refuse(format!(
            "the rollout of `{}` has split `{key}`, and one partition cannot serve two templates: roll that one back, or complete it, first",
            context.split_by_others[key]
        ));
    }
    if let Some(key) =
        ledger.entries.keys().filter(moved).find(|key| upgrades_pair(context, [ledger, &after], key))
    {
        return refuse(format!(
            "one commit cannot bring the hot-upgrade containers of `{key}` back without a gap: `pillion rollback {name}` goes back to `{}` in halves",
            revision_text(&ledger.released)
        ));
    }
    let outage = unavailability(context, ledger, &after);
    if !outage.is_allowed() {
        let down =
            outage.unavailable_pods.map_or_else(|| "an unknown number of".to_owned(), |n| n.to_string());
        let bound = outage.max_unavailable.unwrap_or(0);
        let nearer = if batch.saturating_add(1) < last {
            format!("roll back `--to {}` first, or ", last - 1)
        } else {
            String::new()
        };
        return refuse(format!(
            "rolling back to batch {batch} in one commit may make {down} pods of {} workloads unavailable at once, and `maxUnavailable` of `{name}` allows {bound}: {nearer}use `pillion rollback {name}`, which rolls back to `{}` in batches",
            outage.workloads,
            revision_text(&ledger.released)
        ));
    }
    Ok(after)
}

/// Returns whether a workload goes to another container of a hot-upgrade pair, or back to one that has changed.
fn upgrades_pair(context: &RolloutContext<'_>, [before, after]: [&Ledger; 2], key: &str) -> bool {
    let Some(workload) = context.workloads.find(key) else { return false };
    let [old, new] = [before, after].map(|ledger| {
        let entry = workload.active_entry(ledger).map(Cow::into_owned);
        entry.unwrap_or_else(|| LedgerEntry::with_revision(ledger.released.clone()))
    });
    !old.hot_upgrades.is_initial()
        || !new.hot_upgrades.is_initial()
        || context.workloads.change_between(workload, &old, &new).hot_upgrade_container.is_some()
}

fn ledger_at_earlier_batch(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    back: &BatchRollback<'_>,
) -> Ledger {
    let mut after = ledger.clone();
    for (name, revision) in &back.ledger_at_batch.revisions {
        after.revisions.entry(Arc::clone(name)).or_insert_with(|| revision.clone());
    }
    let target = ledger.target.clone().unwrap_or_default();
    // What a later batch updated had not taken the target with its own change before.
    let past_ledger = without_piggyback(back.ledger_at_batch);
    let is_later =
        |entry: &LedgerEntry| entry.revision == target && entry.batch.is_some_and(|n| n > back.batch);
    for (key, entry) in ledger.entries.iter() {
        let workload = context.workloads.find(key);
        if workload.is_none() && !context.unselected_holds.contains(key) {
            after.entries.remove_mut(key);
        } else if entry.hold_reason.is_none() && is_later(entry) {
            let past = workload.and_then(|workload| workload.active_entry(&past_ledger)).map(Cow::into_owned);
            // A hold that has expired since is not restored.
            let past = past.map(|past| match past.hold_reason {
                Some(_) => LedgerEntry { batch: past.batch, ..LedgerEntry::with_revision(past.revision) },
                None => past,
            });
            match past.filter(|past| past.revision != ledger.released || past.batch.is_some()) {
                Some(past) => after.entries.insert_mut(Arc::clone(key), past),
                None => {
                    after.entries.remove_mut(key);
                }
            }
        }
    }
    let by = back.by.map(str::to_owned);
    after.paused = Some(PauseRecord { batch: back.batch, reason: back.reason.to_owned(), by });
    after.approvals.retain(|a| a.batch > back.batch);
    after.archive_unused_revisions(context.settings.history_limit);
    after
}

/// Records that a revision must not be staged again.
fn reject(ledger: &mut Ledger, revision: &RevisionName) {
    let name: Arc<str> = revision_text(revision).into();
    if let Err(at) = ledger.rejected.binary_search(&name) {
        ledger.rejected.insert(at, name);
    }
}

/// Approves a batch; `plan` is the digest of the reviewed plan.
///
/// # Errors
/// When it is already approved.
pub(crate) fn approve(ledger: &Ledger, batch: u32, plan: &str) -> Result<Ledger, TransitionError> {
    let approval = BatchApproval { batch, plan: plan.to_owned() };
    if ledger.approvals.contains(&approval) {
        return refuse(format!("batch {batch} of `{}` is already approved", ledger.name));
    }
    let mut after = ledger.clone();
    // An approval of the same batch with other workloads is outdated.
    after.approvals.retain(|a| a.batch != batch);
    after.approvals.push(approval);
    after.approvals.sort_by_key(|a| a.batch);
    Ok(after)
}

/// A hold by a person.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HoldRequest<'a> {
    /// The reason; None: unchanged, or none in particular.
    pub(crate) reason: Option<&'a str>,
    /// Emergency images by container, besides those in the entry.
    pub(crate) images: &'a BTreeMap<String, String>,
    /// The person, `NAME <ADDRESS>`.
    pub(crate) by: &'a str,
    /// Today, `YYYY-MM-DD` in UTC.
    pub(crate) today: &'a str,
    /// The last day of the hold; None: unchanged, or until `--off`.
    pub(crate) until: Option<&'a str>,
}

/// Holds a workload at its revision, whatever is rolled out and whatever its own releases change; an existing hold is
/// updated.
///
/// # Errors
/// When an image is for a container that the workload's revision does not have, or the last day is not a future day.
pub(crate) fn hold(
    ledger: &Ledger,
    workload: &PlannedWorkload,
    hold: &HoldRequest<'_>,
) -> Result<Ledger, TransitionError> {
    if workload.manifest().kind.is_sidecar_set() {
        return refuse(format!(
            "Kruise injects `{}`, and no ledger holds single workloads: `injectionStrategy` and the selector of the SidecarSet decide",
            ledger.name
        ));
    }
    check_last_day(hold)?;
    let present = workload.active_entry(ledger);
    let present = present.as_deref();
    let revision = present.map_or_else(|| ledger.released.clone(), |l| l.revision.clone());
    check_images(ledger, workload, &revision, hold)?;
    let mut images = present.map_or_else(BTreeMap::new, |l| l.images.clone());
    images.extend(hold.images.iter().map(|(name, image)| (name.clone(), image.clone())));
    let is_lasting = |l: &&LedgerEntry| {
        l.is_held_by_person() && !l.is_held_by_override() && !l.is_hold_expired(Some(hold.today))
    };
    let lasting = present.filter(is_lasting);
    let partition = present.and_then(|l| l.partition);
    let entry = LedgerEntry {
        revision,
        batch: present.and_then(|l| l.batch),
        partition,
        partition_percent: None,
        piggyback: None,
        template_hash: partition.map(|_| workload.template_hash()),
        hold_reason: hold
            .reason
            .map(Into::into)
            .or_else(|| lasting?.hold_reason.clone())
            .or_else(|| Some(REASON.into())),
        held_by: Some(hold.by.into()),
        held_since: lasting.and_then(|l| l.held_since.clone()).or_else(|| Some(hold.today.into())),
        held_until: hold.until.map(Into::into).or_else(|| lasting?.held_until.clone()),
        images,
        hot_upgrades: present.map_or_else(HotUpgrades::default, |l| l.hot_upgrades.clone()),
    };
    let mut after = ledger.clone();
    after.entries.insert_mut(Arc::clone(workload.key()), entry);
    Ok(after)
}

/// Checks that the last day of a hold is in the future.
fn check_last_day(hold: &HoldRequest<'_>) -> Result<(), TransitionError> {
    let Some(until) = hold.until else { return Ok(()) };
    if !is_day(until) {
        return refuse(format!("`{until}` is not a date (expected `YYYY-MM-DD`)"));
    }
    if until < hold.today {
        return refuse(format!(
            "{until} is in the past (today is {}, in UTC): a hold needs a future day",
            hold.today
        ));
    }
    Ok(())
}

/// Checks that the images of a hold are for containers of a revision, and for none of a hot-upgrade pair.
fn check_images(
    ledger: &Ledger,
    workload: &PlannedWorkload,
    revision: &RevisionName,
    hold: &HoldRequest<'_>,
) -> Result<(), TransitionError> {
    let content = revision.as_ref().and_then(|name| ledger.revision(name));
    let containers = || content.iter().flat_map(|r| r.set.containers.iter().chain(&r.set.init_containers));
    if let Some(unknown) = hold.images.keys().find(|name| !containers().any(|c| c.name == **name)) {
        let known: Vec<String> = containers().map(|c| format!("`{}`", c.name)).collect();
        let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
        return refuse(format!(
            "`{}` has no container `{unknown}` of SidecarSet `{}`: it has {known}",
            workload.key(),
            ledger.name
        ));
    }
    let is_pair =
        |name: &&String| containers().any(|c| c.name == **name && c.hot_upgrade_empty_image.is_some());
    if let Some(pair) = hold.images.keys().find(is_pair) {
        return refuse(format!(
            "`{pair}` of SidecarSet `{}` is a hot-upgrade container: an emergency image would restart the active container",
            ledger.name
        ));
    }
    Ok(())
}

/// Returns whether a workload has all of some containers of a SidecarSet.
pub(crate) fn has_containers<'n>(
    ledger: &Ledger,
    workload: &PlannedWorkload,
    mut names: impl Iterator<Item = &'n String>,
) -> bool {
    let present = workload.active_entry(ledger);
    let revision = present.map_or_else(|| ledger.released.clone(), |entry| entry.revision.clone());
    let content = revision.as_ref().and_then(|name| ledger.revision(name));
    let has = |name: &String| {
        let mut all = content.iter().flat_map(|r| r.set.containers.iter().chain(&r.set.init_containers));
        all.any(|container| container.name == *name)
    };
    names.all(has)
}

/// Ends the hold of a workload: rollouts update it again.
///
/// # Errors
/// When it is not held.
pub(crate) fn release_hold(ledger: &Ledger, key: &str) -> Result<Ledger, TransitionError> {
    let Some(entry) = ledger.entries.get(key).filter(|l| l.hold_reason.is_some()) else {
        return refuse(format!("SidecarSet `{}` does not hold `{key}`", ledger.name));
    };
    let mut after = ledger.clone();
    if entry.batch.is_some() && ledger.target.as_ref() == Some(&entry.revision) {
        let unheld = LedgerEntry {
            batch: entry.batch,
            partition: entry.partition,
            hot_upgrades: entry.hot_upgrades.clone(),
            ..LedgerEntry::with_revision(entry.revision.clone())
        };
        let template = entry.template_hash.clone().filter(|_| entry.partition.is_some());
        after.entries.insert_mut(key.into(), LedgerEntry { template_hash: template, ..unheld });
    } else if changes_pair(ledger, entry) {
        return refuse(format!(
            "`{key}` has a hot-upgrade container, which one commit cannot bring to `{}` without a gap: give the hold a last day with `--until`, after which a rollout brings it there in halves",
            revision_text(&ledger.released)
        ));
    } else if let Some(entry) = entry.settled(&ledger.released) {
        after.entries.insert_mut(key.into(), entry);
    } else {
        after.entries.remove_mut(key);
    }
    Ok(after)
}

/// Returns whether the released revision has another image than an entry for a hot-upgrade pair.
fn changes_pair(ledger: &Ledger, entry: &LedgerEntry) -> bool {
    entry.hot_upgrades.is_half_done()
        || HotUpgrades::after_next_half(entry, &ledger.released, |name| ledger.revision(name)).is_half_done()
}
