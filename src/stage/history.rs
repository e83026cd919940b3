//! The states of a ledger in the history of the deploy branch: after a batch, before Close, before a revert.

use super::{Failure, Live};
use crate::git::{Commit, Walk, trailer};
use crate::model::ledger::{Ledger, decode};
use crate::yaml::{Document, Path};
use std::sync::Arc;

/// A batch that a commit took back by hand.
#[derive(Debug, Clone)]
pub struct Reverted {
    /// The commit.
    pub commit: Commit,
    /// The batch that was out before.
    pub from: u32,
    /// The batch that is out after it; 0: none.
    pub to: u32,
}

/// Commits that are looked through for who has approved a plan.
const MOST_COMMITS: usize = 1000;

/// Finds out who has approved a plan, from the commits that changed a ledger since its rollout began.
pub(super) fn approver(live: &Live<'_>, place: Option<&str>, plan: &str) -> Option<String> {
    let log = live.repository.log(live.head.id, Some(place?), Walk::FirstParent).ok()?;
    for commit in log.take(MOST_COMMITS).map_while(Result::ok) {
        match commit.trailer(trailer::ACTION).as_deref() {
            Some("Approve") if commit.trailer(trailer::PLAN).as_deref() == Some(plan) => {
                return Some(commit.trailer(trailer::BY).unwrap_or_else(|| commit.author.to_string()));
            }
            Some("Open") => return None,
            _ => {}
        }
    }
    None
}

/// Finds the ledger of a rollout as it was after a batch, 0 for what was so before batch 1; `like` says the released
/// revision and the target of the rollout, which is open or was the last one. None: there was no such batch.
///
/// # Errors
/// When git fails, or a shallow clone does not go back that far.
pub fn after_batch(
    live: &Live<'_>,
    cluster: Option<&str>,
    like: &Ledger,
    batch: u32,
) -> Result<Option<Ledger>, Failure> {
    let mut has_begun = false;
    for ledger in states(live, cluster, &like.name)? {
        let ledger = ledger?;
        let is_same = ledger.target == like.target && ledger.released == like.released;
        match is_same {
            true if ledger.last_batch() == batch => return Ok(Some(ledger)),
            true => has_begun = true,
            // Behind the last rollout there are only states without a target.
            false if has_begun || ledger.target.is_some() => return Ok(None),
            false => {}
        }
    }
    Ok(None)
}

/// Finds the ledger of the last rollout as it was before its Close, where `closed` is what Close left behind. None: no
/// rollout was closed, or another one than to what is released now.
///
/// # Errors
/// When git fails, or a shallow clone does not go back that far.
pub fn before_close(
    live: &Live<'_>,
    cluster: Option<&str>,
    closed: &Ledger,
) -> Result<Option<Ledger>, Failure> {
    for ledger in states(live, cluster, &closed.name)? {
        let ledger = ledger?;
        match &ledger.target {
            Some(target) => return Ok((*target == closed.released).then_some(ledger)),
            None if ledger.released != closed.released => return Ok(None),
            None => {}
        }
    }
    Ok(None)
}

/// Finds out whether the last change of a ledger took back batches of its open rollout without a command: a
/// `git revert`.
///
/// # Errors
/// When git fails.
pub fn reverted(
    live: &Live<'_>,
    cluster: Option<&str>,
    ledger: &Ledger,
) -> Result<Option<Reverted>, Failure> {
    let place = live.configuration.ledger_place(cluster, &ledger.name);
    let (Some(place), Some(_), None) = (place, &ledger.target, &ledger.paused) else { return Ok(None) };
    for commit in live.repository.log(live.head.id, Some(&place), Walk::FirstParent)? {
        let commit = match commit {
            Ok(commit) => commit,
            // Beyond what a shallow clone has there is nothing to be found.
            Err(failure) if failure.is_beyond_history() => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        match commit.trailer(trailer::ACTION).as_deref() {
            None => return taken_back_by(live, &place, commit),
            // They say nothing of how far the rollout is.
            Some("Hold" | "Approve") => {}
            Some(_) => return Ok(None),
        }
    }
    Ok(None)
}

fn taken_back_by(live: &Live<'_>, place: &str, commit: Commit) -> Result<Option<Reverted>, Failure> {
    let Some(&parent) = commit.parents.first() else { return Ok(None) };
    let before = read(live, &live.repository.commit(parent)?, place)?;
    let after = read(live, &commit, place)?;
    let Some((before, after)) = before.zip(after) else { return Ok(None) };
    let (from, to) = (before.last_batch(), after.last_batch());
    Ok(is_taken_back(&before, &after).then_some(Reverted { commit, from, to }))
}

/// Returns whether a ledger is an earlier one of the same rollout, as far as its batches tell.
pub(super) fn is_taken_back(before: &Ledger, after: &Ledger) -> bool {
    before.target.is_some()
        && before.target == after.target
        && before.released == after.released
        && after.paused.is_none()
        && after.last_batch() < before.last_batch()
}

/// The states of a ledger, newest first; a state that cannot be read ends them.
fn states<'l>(
    live: &'l Live<'_>,
    cluster: Option<&str>,
    name: &str,
) -> Result<impl Iterator<Item = Result<Ledger, Failure>> + 'l, Failure> {
    let place = live.configuration.ledger_place(cluster, name).ok_or(Failure::NoLedgers)?;
    let log = live.repository.log(live.head.id, Some(&place), Walk::FirstParent)?;
    let state = move |commit: Result<Commit, crate::git::Failure>| -> Result<Option<Ledger>, Failure> {
        read(live, &commit?, &place)
    };
    Ok(log.map(state).map_while(Result::transpose))
}

/// Returns the commit that removed the ledger of a SidecarSet, where there was one.
///
/// # Errors
/// When git fails.
pub(super) fn removal(live: &Live<'_>, cluster: Option<&str>, name: &str) -> Result<Option<Commit>, Failure> {
    let place = live.configuration.ledger_place(cluster, name).ok_or(Failure::NoLedgers)?;
    let newest = live.repository.log(live.head.id, Some(&place), Walk::FirstParent)?.next().transpose()?;
    Ok(newest.filter(|_| live.rendered().file(std::path::Path::new(&place)).is_none()))
}

/// Reads the ledger of a commit.
fn read(live: &Live<'_>, commit: &Commit, place: &str) -> Result<Option<Ledger>, Failure> {
    let Some(entry) = live.repository.entry_at(commit.tree, place)? else { return Ok(None) };
    let bytes = live.repository.read(entry.id)?;
    let text = String::from_utf8_lossy(&bytes);
    let document = Document::read(&place.into(), 0, 1, &text);
    Ok(document.ok().and_then(|document| decode(&Arc::new(document), &Path::root()).0))
}
