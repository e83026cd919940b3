//! What does a staged branch hold, and who made it?
//!
//! It is output: nothing of it is ever taken over. It is looked at for two reasons only: so that no commit of a person is
//! replaced or removed, and to notice that the deploy branch was rewritten since.

use super::{CommitStack, DeployBranch, Error};
use crate::git::{
    self, Commit, ExpectedRef, HistoryWalk, Identity, ObjectId, RefMove, RefUpdate, Repository, trailer,
};

/// Commits of somebody else that are counted on top of a staged branch.
const MAX_FOREIGN: usize = 100;

/// Commits that a staged branch has at most, as far as they are looked at.
const MAX_LENGTH: usize = 10_000;

/// The staged branch of one SidecarSet, as it was found.
#[derive(Debug)]
pub struct StagedBranch {
    /// Its ref.
    pub ref_name: String,
    /// Where it is in this repository.
    pub local: Option<ObjectId>,
    /// Where it is on the remote, as it was fetched.
    pub remote: Option<ObjectId>,
}

/// What stands on a staged branch.
#[derive(Debug, Default)]
pub struct BranchContents {
    /// What it holds in this repository.
    pub local: RefContents,
    /// What it holds on the remote.
    pub remote: RefContents,
}

/// What stands on a branch in one place.
#[derive(Debug, Clone, Default)]
pub struct RefContents {
    /// Commits that pillion did not make, newest first.
    pub foreign: Vec<Commit>,
    /// There are commits of the SidecarSet's rollouts.
    pub has_rollout_commits: bool,
    /// What those were staged on, where that is no longer in the history of the deploy branch.
    pub lost_base: Option<Commit>,
}

impl BranchContents {
    /// Returns the commits that pillion did not make, newest first: each once.
    pub fn foreign(&self) -> Vec<Commit> {
        let mut all = self.local.foreign.clone();
        all.extend(self.remote.foreign.iter().filter(|c| !self.local.foreign.contains(c)).cloned());
        all
    }

    /// Returns what it was staged on, where that is no longer in the history of the deploy branch.
    pub fn lost_base(&self) -> Option<&Commit> {
        self.local.lost_base.as_ref().or(self.remote.lost_base.as_ref())
    }
}

impl RefContents {
    /// Tells whether it can be removed: there is something, and all of it is of the SidecarSet's rollouts.
    pub fn is_removable(&self) -> bool {
        self.has_rollout_commits && self.foreign.is_empty()
    }
}

/// What became of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchUpdate {
    /// It was as it should be.
    Unchanged,
    /// It was not there.
    Created,
    /// It held the same steps on top of an older deploy head.
    Rebased,
    /// It held something else.
    Replaced,
    /// It is gone, because nothing is to come.
    Removed,
    /// There was nothing, and nothing is to come.
    Absent,
}

impl StagedBranch {
    /// Finds the staged branch of a SidecarSet.
    pub fn find(deploy_branch: &DeployBranch<'_>, cluster: Option<&str>, sidecar_set: &str) -> Self {
        let name = deploy_branch.branches.staged_ref(cluster, sidecar_set);
        let local = deploy_branch.repository.find_ref(&name);
        let remote = deploy_branch.repository.find_ref(&deploy_branch.branches.tracking_ref_of(&name));
        Self { ref_name: name, local, remote }
    }

    /// Returns its name for people.
    pub fn short_name(&self) -> &str {
        self.ref_name.strip_prefix("refs/heads/").unwrap_or(&self.ref_name)
    }

    /// Looks at what it holds here and on the remote.
    ///
    /// # Errors
    /// When git fails, or a shallow clone cannot tell.
    pub fn examine_refs(
        &self,
        deploy_branch: &DeployBranch<'_>,
        sidecar_set: &str,
    ) -> Result<BranchContents, Error> {
        let look = |tip: Option<ObjectId>| match tip {
            Some(tip) => {
                let DeployBranch { repository, head, branches, .. } = deploy_branch;
                examine_ref(repository, (head.id, tip), (sidecar_set, &branches.identity))
            }
            None => Ok(RefContents::default()),
        };
        let here = look(self.local)?;
        let there = if self.remote == self.local { here.clone() } else { look(self.remote)? };
        Ok(BranchContents { local: here, remote: there })
    }

    /// Returns the commits that stand on the head of the deploy branch, oldest first: those of this repository, or of the remote.
    ///
    /// # Errors
    /// When git fails.
    pub fn commits(&self, deploy_branch: &DeployBranch<'_>) -> Result<Vec<Commit>, Error> {
        // Where both hold some, everybody keeps those of the remote: two that sign would never agree otherwise.
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

    /// Returns what a push has to do on the remote so that it holds a stack, or nothing where nothing is to come.
    pub fn push_update(&self, tip: Option<ObjectId>) -> Option<RefUpdate> {
        (tip != self.remote).then(|| RefUpdate {
            name: self.ref_name.clone(),
            to: tip,
            expected: ExpectedRef::from_found(self.remote),
            kind: RefMove::Force,
        })
    }

    /// Makes it hold a stack in this repository, or removes it where nothing is to come.
    ///
    /// # Errors
    /// When somebody else has moved it meanwhile, or works on it.
    pub fn update_ref(
        &self,
        deploy_branch: &DeployBranch<'_>,
        stack: &CommitStack,
    ) -> Result<BranchUpdate, Error> {
        const NOTE: &str = "pillion: stage";
        let expected = ExpectedRef::from_found(self.local);
        match (stack.tip(), self.local) {
            (Some(tip), Some(local)) if tip == local => Ok(BranchUpdate::Unchanged),
            (Some(tip), local) => {
                // A clone that has none of its own writes over what others see.
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

/// Tells whether the last commits of a branch are the steps of a stack: the same trees and messages. What was released
/// of it has other ids on the deploy branch, so that what is left has others, too.
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

/// Looks at what stands on a branch behind the head of the deploy branch: `tip` down to the first commit that was live. What is of a
/// SidecarSet's rollouts was made by this identity, and says so.
///
/// # Errors
/// When git fails, or a shallow clone cannot tell.
pub fn examine_ref(
    repository: &Repository,
    (head, tip): (ObjectId, ObjectId),
    (sidecar_set, identity): (&str, &Identity),
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
        let question = format!("what the staged commits of `{sidecar_set}` stand on");
        return Err(git::Error::Shallow { question }.into());
    }
    Ok(found)
}

/// Tells whether a commit is one that pillion made of a SidecarSet's rollout, as it stages and proposes them.
fn is_rollout_commit(commit: &Commit, sidecar_set: &str, identity: &Identity) -> bool {
    commit.parents.len() == 1
        && commit.author == *identity
        && commit.committer == *identity
        && commit.trailer(trailer::SIDECAR_SET).is_some_and(|set| set == sidecar_set)
        && commit.trailer(trailer::ACTION).is_some()
}
