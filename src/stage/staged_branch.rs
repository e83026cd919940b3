//! Inspects a staged branch: what it contains, and who created it.
//!
//! A staged branch is output: nothing is ever read from it into a rollout. It is inspected only so that no commit of
//! a person is replaced or removed, and to notice that the deploy branch was rewritten since.

use super::{CommitStack, DeployBranch, Error};
use crate::git::{
    self, Commit, ExpectedRef, HistoryWalk, Identity, ObjectId, RefMove, RefUpdate, Repository, trailer,
};

/// How many foreign commits on top of a staged branch are counted.
const MAX_FOREIGN: usize = 100;

/// The most commits of a staged branch that are inspected.
const MAX_LENGTH: usize = 10_000;

/// The staged branch of one SidecarSet, as found.
#[derive(Debug)]
pub struct StagedBranch {
    /// Its ref.
    pub(crate) ref_name: String,
    /// Its head in this repository.
    pub(crate) local: Option<ObjectId>,
    /// Its head on the remote, as fetched.
    pub(crate) remote: Option<ObjectId>,
}

/// The contents of a staged branch.
#[derive(Debug, Default)]
pub struct BranchContents {
    /// In this repository.
    pub(crate) local: RefContents,
    /// On the remote.
    pub(crate) remote: RefContents,
}

/// The contents of a branch in one place.
#[derive(Debug, Clone, Default)]
pub(crate) struct RefContents {
    /// Commits that pillion did not create, newest first.
    pub(crate) foreign: Vec<Commit>,
    /// It has commits of the SidecarSet's rollouts.
    pub(crate) has_rollout_commits: bool,
    /// The base of those, where it is no longer in the history of the deploy branch.
    pub(crate) lost_base: Option<Commit>,
}

impl BranchContents {
    /// Returns the commits that pillion did not create, newest first, without duplicates.
    pub(crate) fn foreign(&self) -> Vec<Commit> {
        let mut all = self.local.foreign.clone();
        all.extend(self.remote.foreign.iter().filter(|c| !self.local.foreign.contains(c)).cloned());
        all
    }

    /// Returns its base, where it is no longer in the history of the deploy branch.
    pub(crate) fn lost_base(&self) -> Option<&Commit> {
        self.local.lost_base.as_ref().or(self.remote.lost_base.as_ref())
    }
}

impl RefContents {
    /// Returns whether it can be removed: it exists, and all of its commits are of the SidecarSet's rollouts.
    pub(crate) fn is_removable(&self) -> bool {
        self.has_rollout_commits && self.foreign.is_empty()
    }
}

/// How a branch was updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BranchUpdate {
    /// It was up to date.
    Unchanged,
    /// It did not exist.
    Created,
    /// It had the same steps on top of an older deploy head.
    Rebased,
    /// It had other commits.
    Replaced,
    /// It was removed, because there are no next steps.
    Removed,
    /// It did not exist, and there are no next steps.
    Absent,
}

impl StagedBranch {
    /// Finds the staged branch of a SidecarSet.
    pub(crate) fn find(deploy_branch: &DeployBranch<'_>, cluster: Option<&str>, sidecar_set: &str) -> Self {
        let name = deploy_branch.branches.staged_ref(cluster, sidecar_set);
        let local = deploy_branch.repository.find_ref(&name);
        let remote = deploy_branch.repository.find_ref(&deploy_branch.branches.tracking_ref_of(&name));
        Self { ref_name: name, local, remote }
    }

    /// Returns its name for people.
    pub(crate) fn short_name(&self) -> &str {
        self.ref_name.strip_prefix("refs/heads/").unwrap_or(&self.ref_name)
    }

    /// Inspects its commits here and on the remote.
    ///
    /// # Errors
    /// When git fails, or a shallow clone does not reach that far.
    pub(crate) fn examine_refs(
        &self,
        deploy_branch: &DeployBranch<'_>,
        sidecar_set: &str,
    ) -> Result<BranchContents, Error> {
        let look = |tip: Option<ObjectId>| match tip {
            Some(tip) => {
                let DeployBranch { repository, head, branches, .. } = deploy_branch;
                examine_ref(repository, (head.id, tip), (Some(sidecar_set), &branches.identity))
            }
            None => Ok(RefContents::default()),
        };
        let here = look(self.local)?;
        let there = if self.remote == self.local { here.clone() } else { look(self.remote)? };
        Ok(BranchContents { local: here, remote: there })
    }

    /// Returns the commits on top of the deploy branch, oldest first: those of this repository, or of the remote.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn commits(&self, deploy_branch: &DeployBranch<'_>) -> Result<Vec<Commit>, Error> {
        // Where both have some, those of the remote are kept: two signers would never agree otherwise.
        for tip in [self.remote, self.local].into_iter().flatten() {
            let mut found = Vec::new();
            for commit in deploy_branch.repository.log(tip, None, HistoryWalk::FirstParent)?.take(MAX_LENGTH)
            {
                let commit = commit?;
                if commit.id == deploy_branch.head.id {
                    found.reverse();
                    return Ok(found);
                }
                found.push(commit);
            }
        }
        Ok(Vec::new())
    }

    /// Returns the ref updates that push a stack to the remote, or remove the branch where there are no next steps.
    pub(crate) fn push_update(&self, tip: Option<ObjectId>) -> Option<RefUpdate> {
        (tip != self.remote).then(|| RefUpdate {
            name: self.ref_name.clone(),
            to: tip,
            expected: ExpectedRef::from_found(self.remote),
            kind: RefMove::Force,
        })
    }

    /// Points it to a stack in this repository, or removes it where there are no next steps.
    ///
    /// # Errors
    /// When another process has moved it meanwhile, or it is checked out.
    pub(crate) fn update_ref(
        &self,
        deploy_branch: &DeployBranch<'_>,
        stack: &CommitStack,
    ) -> Result<BranchUpdate, Error> {
        const NOTE: &str = "pillion: stage";
        let expected = ExpectedRef::from_found(self.local);
        match (stack.tip(), self.local) {
            (Some(tip), Some(local)) if tip == local => Ok(BranchUpdate::Unchanged),
            (Some(tip), local) => {
                // A clone without a branch of its own overwrites the one that others see.
                let written = match local.or(self.remote) {
                    Some(before) if before == tip => BranchUpdate::Created,
                    Some(before) if ends_with_stack(deploy_branch, before, stack)? => BranchUpdate::Rebased,
                    Some(_) => BranchUpdate::Replaced,
                    None => BranchUpdate::Created,
                };
                deploy_branch.repository.update_ref(&self.ref_name, tip, expected, NOTE)?;
                Ok(written)
            }
            (None, Some(_)) => {
                deploy_branch.repository.delete_ref(&self.ref_name, expected)?;
                Ok(BranchUpdate::Removed)
            }
            (None, None) => Ok(BranchUpdate::Absent),
        }
    }
}

/// Returns whether the last commits of a branch are the steps of a stack: the same trees and messages. Released
/// commits have other ids on the deploy branch, so the ids of the remaining ones differ too.
fn ends_with_stack(
    deploy_branch: &DeployBranch<'_>,
    tip: ObjectId,
    stack: &CommitStack,
) -> Result<bool, Error> {
    let mut log = deploy_branch.repository.log(tip, None, HistoryWalk::FirstParent)?;
    for step in stack.commits.iter().rev() {
        let Some(commit) = log.next().transpose()? else { return Ok(false) };
        if commit.tree != step.tree || commit.message.trim_end() != step.message.trim_end() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Inspects the commits of a branch after the deploy branch: from `tip` to the first commit that is on it. Commits of
/// a SidecarSet's rollouts were created by this identity, and have its trailers; None: those of any SidecarSet.
///
/// # Errors
/// When git fails, or a shallow clone does not reach that far.
pub(crate) fn examine_ref(
    repository: &Repository,
    (head, tip): (ObjectId, ObjectId),
    (sidecar_set, identity): (Option<&str>, &Identity),
) -> Result<RefContents, Error> {
    let (mut found, mut has_base) = (RefContents::default(), false);
    for commit in repository.log(tip, None, HistoryWalk::FirstParent)?.take(MAX_LENGTH) {
        let commit = commit?;
        if is_rollout_commit(&commit, sidecar_set, identity) {
            found.has_rollout_commits = true;
            continue;
        }
        if repository.is_ancestor(commit.id, head)? {
            has_base = true;
            break;
        }
        if found.has_rollout_commits && found.foreign.is_empty() {
            found.lost_base = Some(commit);
            has_base = true;
            break;
        }
        found.foreign.push(commit);
        if found.foreign.len() >= MAX_FOREIGN {
            has_base = true;
            break;
        }
    }
    if !has_base && repository.is_shallow() {
        let question = match sidecar_set {
            Some(set) => format!("what the staged commits of `{set}` stand on"),
            None => "what the proposed commits stand on".to_owned(),
        };
        return Err(git::Error::Shallow { question }.into());
    }
    Ok(found)
}

/// Returns whether pillion created a commit of a SidecarSet's rollout, as it stages and proposes them.
///
/// A proposal of a person has that person as its author, as its trailer says, and pillion as its committer.
fn is_rollout_commit(commit: &Commit, sidecar_set: Option<&str>, identity: &Identity) -> bool {
    let is_own = |author: &Identity| {
        author == identity || commit.trailer(trailer::BY).is_some_and(|by| by == author.to_string())
    };
    let is_of_set = |set: &str| commit.trailer(trailer::SIDECAR_SET).is_some_and(|recorded| recorded == set);
    commit.parents.len() == 1
        && is_own(&commit.author)
        && commit.committer == *identity
        && sidecar_set.is_none_or(is_of_set)
        && commit.trailer(trailer::ACTION).is_some()
}
