//! Finds states of a ledger in the history of the deploy branch: after a batch, before Complete, before a revert.

use super::{CommitAction, DeployBranch, Error};
use crate::git::{self, Commit, HistoryWalk, ObjectId, Repository, trailer};
use crate::model::ledger::{Ledger, decode};
use crate::rollout::RolloutContext;
use crate::yaml::{Document, FieldPath};
use std::sync::Arc;

/// A batch that was reverted by hand.
#[derive(Debug, Clone)]
pub struct BatchRevert {
    /// The commit.
    pub(crate) commit: Commit,
    /// The last batch before the commit.
    pub(crate) from: u32,
}

/// How many commits are searched for an approval.
const MAX_COMMITS: usize = 1000;

/// Returns who has approved a plan, from the commits that changed a ledger since its rollout started.
pub(super) fn find_approver(
    deploy_branch: &DeployBranch<'_>,
    path: Option<&str>,
    plan: &str,
) -> Option<String> {
    let log =
        deploy_branch.repository.log(deploy_branch.head.id, Some(path?), HistoryWalk::FirstParent).ok()?;
    for commit in log.take(MAX_COMMITS).map_while(Result::ok) {
        match CommitAction::of(&commit) {
            Some(CommitAction::Approve) if commit.trailer(trailer::PLAN).as_deref() == Some(plan) => {
                return Some(commit.trailer(trailer::BY).unwrap_or_else(|| commit.author.to_string()));
            }
            Some(CommitAction::Start) => return None,
            _ => {}
        }
    }
    None
}

/// Returns the ledger of a rollout after a batch, 0 for before batch 1; `like` has the released revision and the
/// target of the rollout, which is open or was the last one. None: there was no such batch.
///
/// # Errors
/// When git fails, or a shallow clone does not reach that far.
pub(crate) fn ledger_after_batch(
    deploy_branch: &DeployBranch<'_>,
    cluster: Option<&str>,
    like: &Ledger,
    batch: u32,
) -> Result<Option<Ledger>, Error> {
    let mut has_begun = false;
    for ledger in ledger_states(deploy_branch, cluster, &like.name)? {
        let ledger = ledger?;
        let is_same = ledger.target == like.target && ledger.released == like.released;
        match is_same {
            true if ledger.last_batch() == batch => return Ok(Some(ledger)),
            true => has_begun = true,
            // Before the last rollout there are only states without a target.
            false if has_begun || ledger.target.is_some() => return Ok(None),
            false => {}
        }
    }
    Ok(None)
}

/// Returns the ledger of the last rollout before its Complete; `completed` is the ledger after it. None: no rollout
/// was completed, or another one than to the released revision.
///
/// # Errors
/// When git fails, or a shallow clone does not reach that far.
pub(crate) fn ledger_before_completion(
    deploy_branch: &DeployBranch<'_>,
    cluster: Option<&str>,
    completed: &Ledger,
) -> Result<Option<Ledger>, Error> {
    for ledger in ledger_states(deploy_branch, cluster, &completed.name)? {
        let ledger = ledger?;
        match &ledger.target {
            Some(target) => return Ok((*target == completed.released).then_some(ledger)),
            None if ledger.released != completed.released => return Ok(None),
            None => {}
        }
    }
    Ok(None)
}

/// Returns whether the last change of a ledger reverted batches of its open rollout without a command: a `git
/// revert`.
///
/// # Errors
/// When git fails.
pub(crate) fn find_batch_revert(
    deploy_branch: &DeployBranch<'_>,
    cluster: Option<&str>,
    ledger: &Ledger,
) -> Result<Option<BatchRevert>, Error> {
    let path = deploy_branch.configuration.ledger_path(cluster, &ledger.name);
    let (Some(path), Some(_), None) = (path, &ledger.target, &ledger.paused) else { return Ok(None) };
    for commit in
        deploy_branch.repository.log(deploy_branch.head.id, Some(&path), HistoryWalk::FirstParent)?
    {
        let commit = match commit {
            Ok(commit) => commit,
            // A shallow clone ends here.
            Err(failure) if failure.is_beyond_history() => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        match CommitAction::of(&commit) {
            None if commit.trailer(trailer::ACTION).is_none() => {
                return batch_revert_of(deploy_branch, &path, commit);
            }
            // These do not change how far the rollout is.
            Some(CommitAction::Hold | CommitAction::Approve) => {}
            _ => return Ok(None),
        }
    }
    Ok(None)
}

fn batch_revert_of(
    deploy_branch: &DeployBranch<'_>,
    path: &str,
    commit: Commit,
) -> Result<Option<BatchRevert>, Error> {
    let Some(&parent) = commit.parents.first() else { return Ok(None) };
    let repository = deploy_branch.repository;
    let before = StoredLedger::read(repository, repository.commit(parent)?.tree, path)?.into_valid();
    let after = StoredLedger::read(repository, commit.tree, path)?.into_valid();
    let Some((before, after)) = before.zip(after) else { return Ok(None) };
    let from = before.last_batch();
    Ok(is_earlier_state(&before, &after).then_some(BatchRevert { commit, from }))
}

/// Returns whether a ledger is an earlier state of the same rollout, by its batches.
pub(super) fn is_earlier_state(before: &Ledger, after: &Ledger) -> bool {
    before.target.is_some()
        && before.target == after.target
        && before.released == after.released
        && after.paused.is_none()
        && after.last_batch() < before.last_batch()
}

/// Returns when the open rollout of a ledger got its target: the time of the oldest commit that has it, as far as this
/// clone goes; seconds since 1970. It is read only where workloads take the target with their own changes.
///
/// # Errors
/// When git fails.
pub(crate) fn rollout_start_time(
    deploy_branch: &DeployBranch<'_>,
    context: &RolloutContext<'_>,
    ledger: &Ledger,
) -> Result<Option<i64>, Error> {
    let is_needed = context.settings.piggyback.is_some()
        && ledger.target.is_some()
        && ledger.entries.values().any(|entry| entry.piggyback.is_some());
    let path = deploy_branch.configuration.ledger_path(context.cluster.as_deref(), &ledger.name);
    let Some(path) = path.filter(|_| is_needed) else { return Ok(None) };
    let mut started = None;
    let log = deploy_branch.repository.log(deploy_branch.head.id, Some(&path), HistoryWalk::FirstParent)?;
    for commit in log {
        let commit = match commit {
            Ok(commit) => commit,
            // A shallow clone ends here: the rollout started earlier.
            Err(failure) if failure.is_beyond_history() => break,
            Err(failure) => return Err(failure.into()),
        };
        let stored = StoredLedger::read(deploy_branch.repository, commit.tree, &path)?.into_valid();
        let is_same = |l: &Ledger| l.target == ledger.target && l.released == ledger.released;
        if !stored.as_ref().is_some_and(is_same) {
            break;
        }
        started = Some(commit.time.seconds);
    }
    Ok(started)
}

/// Returns the states of a ledger, newest first, up to one that cannot be read.
fn ledger_states<'l>(
    deploy_branch: &'l DeployBranch<'_>,
    cluster: Option<&str>,
    name: &str,
) -> Result<impl Iterator<Item = Result<Ledger, Error>> + 'l, Error> {
    let path = deploy_branch.configuration.ledger_path(cluster, name).ok_or(Error::NoLedgers)?;
    let log = deploy_branch.repository.log(deploy_branch.head.id, Some(&path), HistoryWalk::FirstParent)?;
    let state = move |commit: Result<Commit, git::Error>| -> Result<Option<Ledger>, Error> {
        Ok(StoredLedger::read(deploy_branch.repository, commit?.tree, &path)?.into_valid())
    };
    Ok(log.map(state).map_while(Result::transpose))
}

/// Returns the commit that removed the ledger of a SidecarSet, where there was one.
///
/// # Errors
/// When git fails.
pub(super) fn find_ledger_removal(
    deploy_branch: &DeployBranch<'_>,
    cluster: Option<&str>,
    name: &str,
) -> Result<Option<Commit>, Error> {
    let path = deploy_branch.configuration.ledger_path(cluster, name).ok_or(Error::NoLedgers)?;
    let newest = deploy_branch
        .repository
        .log(deploy_branch.head.id, Some(&path), HistoryWalk::FirstParent)?
        .next()
        .transpose()?;
    Ok(newest.filter(|_| deploy_branch.rendered_files().file_id(std::path::Path::new(&path)).is_none()))
}

/// The ledger in a tree.
pub(super) enum StoredLedger {
    /// There is no such file.
    Missing,
    /// The file is not a ledger that pillion can read.
    Unreadable,
    /// The ledger.
    Valid(Box<Ledger>),
}

impl StoredLedger {
    /// Reads the ledger at a path of a tree.
    ///
    /// # Errors
    /// When git fails.
    pub(super) fn read(repository: &Repository, tree: ObjectId, path: &str) -> Result<Self, git::Error> {
        let Some(entry) = repository.entry_at(tree, path)? else { return Ok(Self::Missing) };
        let bytes = repository.read_blob(entry.id)?;
        let document =
            std::str::from_utf8(&bytes).ok().and_then(|text| Document::read(&path.into(), 0, 1, text).ok());
        let ledger = document.and_then(|document| decode(&Arc::new(document), &FieldPath::root()).0);
        Ok(ledger.map_or(Self::Unreadable, |ledger| Self::Valid(Box::new(ledger))))
    }

    fn into_valid(self) -> Option<Ledger> {
        match self {
            Self::Valid(ledger) => Some(*ledger),
            Self::Missing | Self::Unreadable => None,
        }
    }
}
