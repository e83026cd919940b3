//! What does a staged branch hold, and who made it?
//!
//! It is output: nothing of it is ever taken over. It is looked at for two reasons only: so that no commit of a person is
//! replaced or removed, and to notice that the live branch was rewritten since.

use super::{Failure, Live, Stack};
use crate::git::{self, Commit, Expected, Id, Identity, Move, RefUpdate, Repository, Walk, trailer};

/// Commits of somebody else that are counted on top of a staged branch.
const MOST: usize = 100;

/// Commits that a staged branch has at most, as far as they are looked at.
const LONGEST: usize = 10_000;

/// The staged branch of one SidecarSet, as it was found.
#[derive(Debug)]
pub struct StagedBranch {
    /// Its ref.
    pub name: String,
    /// Where it is in this repository.
    pub local: Option<Id>,
    /// Where it is on the remote, as it was fetched.
    pub remote: Option<Id>,
}

/// What stands on a staged branch.
#[derive(Debug, Default)]
pub struct Examined {
    /// What it holds in this repository.
    pub here: Side,
    /// What it holds on the remote.
    pub there: Side,
}

/// What stands on a branch in one place.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// Commits that pillion did not make, newest first.
    pub foreign: Vec<Commit>,
    /// There are commits of the SidecarSet's rollouts.
    pub has_steps: bool,
    /// What those were staged on, where that is no longer in the history of the live branch.
    pub lost_base: Option<Commit>,
}

impl Examined {
    /// Returns the commits that pillion did not make, newest first: each once.
    pub fn foreign(&self) -> Vec<Commit> {
        let mut all = self.here.foreign.clone();
        all.extend(self.there.foreign.iter().filter(|c| !self.here.foreign.contains(c)).cloned());
        all
    }

    /// Returns what it was staged on, where that is no longer in the history of the live branch.
    pub fn lost_base(&self) -> Option<&Commit> {
        self.here.lost_base.as_ref().or(self.there.lost_base.as_ref())
    }
}

impl Side {
    /// Tells whether it can be removed: there is something, and all of it is of the SidecarSet's rollouts.
    pub fn is_own(&self) -> bool {
        self.has_steps && self.foreign.is_empty()
    }
}

/// What became of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was as it should be.
    Same,
    /// It was not there.
    Made,
    /// It held the same steps on top of an older live head.
    Follows,
    /// It held something else.
    Anew,
    /// It is gone, because nothing is to come.
    Removed,
    /// There was nothing, and nothing is to come.
    Nothing,
}

impl StagedBranch {
    /// Finds the staged branch of a SidecarSet.
    pub fn find(live: &Live<'_>, cluster: Option<&str>, sidecar_set: &str) -> Self {
        let name = live.branches.staged(cluster, sidecar_set);
        let local = live.repository.find_ref(&name);
        let remote = live.repository.find_ref(&live.branches.tracking_of(&name));
        Self { name, local, remote }
    }

    /// Returns its name for people.
    pub fn short(&self) -> &str {
        self.name.strip_prefix("refs/heads/").unwrap_or(&self.name)
    }

    /// Looks at what it holds here and on the remote.
    ///
    /// # Errors
    /// When git fails, or a shallow clone cannot tell.
    pub fn examine(&self, live: &Live<'_>, sidecar_set: &str) -> Result<Examined, Failure> {
        let look = |tip: Option<Id>| match tip {
            Some(tip) => {
                let Live { repository, head, branches, .. } = live;
                examine(repository, (head.id, tip), (sidecar_set, &branches.identity))
            }
            None => Ok(Side::default()),
        };
        let here = look(self.local)?;
        let there = if self.remote == self.local { here.clone() } else { look(self.remote)? };
        Ok(Examined { here, there })
    }

    /// Returns the commits that stand on the live head, oldest first: those of this repository, or of the remote.
    ///
    /// # Errors
    /// When git fails.
    pub fn commits(&self, live: &Live<'_>) -> Result<Vec<Commit>, Failure> {
        // Where both hold some, everybody keeps those of the remote: two that sign would never agree otherwise.
        for tip in [self.remote, self.local].into_iter().flatten() {
            let mut found = Vec::new();
            for commit in live.repository.log(tip, None, Walk::FirstParent)?.take(LONGEST) {
                let commit = commit?;
                if commit.id == live.head.id {
                    found.reverse();
                    return Ok(found);
                }
                found.push(commit);
            }
        }
        Ok(Vec::new())
    }

    /// Returns what a push has to do on the remote so that it holds a stack, or nothing where nothing is to come.
    pub fn push(&self, tip: Option<Id>) -> Option<RefUpdate> {
        (tip != self.remote).then(|| RefUpdate {
            name: self.name.clone(),
            to: tip,
            expected: Expected::read(self.remote),
            how: Move::Replace,
        })
    }

    /// Makes it hold a stack in this repository, or removes it where nothing is to come.
    ///
    /// # Errors
    /// When somebody else has moved it meanwhile, or works on it.
    pub fn write(&self, live: &Live<'_>, stack: &Stack) -> Result<Written, Failure> {
        const NOTE: &str = "pillion: stage";
        let expected = Expected::read(self.local);
        match (stack.new_tip(), self.local) {
            (Some(tip), Some(local)) if tip == local => Ok(Written::Same),
            (Some(tip), local) => {
                // A clone that has none of its own writes over what others see.
                let written = match local.or(self.remote) {
                    Some(before) if before == tip => Written::Made,
                    Some(before) if ends_with(live, before, stack)? => Written::Follows,
                    Some(_) => Written::Anew,
                    None => Written::Made,
                };
                live.repository.update_ref(&self.name, tip, expected, NOTE)?;
                Ok(written)
            }
            (None, Some(_)) => {
                live.repository.delete_ref(&self.name, expected)?;
                Ok(Written::Removed)
            }
            (None, None) => Ok(Written::Nothing),
        }
    }
}

/// Tells whether the last commits of a branch are the steps of a stack: the same trees and messages. What was released
/// of it has other ids on the live branch, so that what is left has others, too.
fn ends_with(live: &Live<'_>, tip: Id, stack: &Stack) -> Result<bool, Failure> {
    let mut log = live.repository.log(tip, None, Walk::FirstParent)?;
    for step in stack.commits.iter().rev() {
        let Some(commit) = log.next().transpose()? else { return Ok(false) };
        if commit.tree != step.tree || commit.message.trim_end() != step.message.trim_end() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Looks at what stands on a branch behind the live head: `tip` down to the first commit that was live. What is of a
/// SidecarSet's rollouts was made by this identity, and says so.
///
/// # Errors
/// When git fails, or a shallow clone cannot tell.
pub fn examine(
    repository: &Repository,
    (head, tip): (Id, Id),
    (sidecar_set, identity): (&str, &Identity),
) -> Result<Side, Failure> {
    let (mut found, mut has_base) = (Side::default(), false);
    for commit in repository.log(tip, None, Walk::FirstParent)?.take(LONGEST) {
        let commit = commit?;
        if is_step(&commit, sidecar_set, identity) {
            found.has_steps = true;
            continue;
        }
        if repository.is_ancestor(commit.id, head)? {
            has_base = true;
            break;
        }
        if found.has_steps && found.foreign.is_empty() {
            found.lost_base = Some(commit);
            has_base = true;
            break;
        }
        found.foreign.push(commit);
        if found.foreign.len() >= MOST {
            has_base = true;
            break;
        }
    }
    if !has_base && repository.is_shallow() {
        let question = format!("what the staged commits of `{sidecar_set}` stand on");
        return Err(git::Failure::Shallow { question }.into());
    }
    Ok(found)
}

/// Tells whether a commit is one that pillion made of a SidecarSet's rollout, as it stages and proposes them.
fn is_step(commit: &Commit, sidecar_set: &str, identity: &Identity) -> bool {
    commit.parents.len() == 1
        && commit.author == *identity
        && commit.committer == *identity
        && commit.trailer(trailer::SIDECAR_SET).is_some_and(|set| set == sidecar_set)
        && commit.trailer(trailer::ACTION).is_some()
}
