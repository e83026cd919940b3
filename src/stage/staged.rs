//! What does a staged branch hold, and who made it?
//!
//! It is output: nothing of it is ever taken over. It is looked at for two reasons only: to tell a person what is
//! going to be overwritten, and to notice that the live branch was rewritten since.

use super::{Failure, Live, Stack};
use crate::git::{self, Commit, Expected, Id, Move, RefUpdate, Walk, trailer};

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
    /// Commits on top that are not of this rollout, newest first.
    pub foreign: Vec<Commit>,
    /// All of it in this repository is of this SidecarSet's rollouts.
    pub is_own_here: bool,
    /// All of it on the remote is.
    pub is_own_there: bool,
    /// What it was staged on, where that is no longer in the history of the live branch.
    pub lost_base: Option<Commit>,
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
        let look = |tip: Option<Id>| tip.map(|tip| examine(live, tip, sidecar_set)).transpose();
        let here = look(self.local)?.unwrap_or_default();
        let there = match self.remote == self.local {
            true => None,
            false => look(self.remote)?,
        };
        let is_own = |side: &Side| side.is_own && side.foreign.is_empty();
        let mut examined = Examined { is_own_here: is_own(&here), ..Examined::default() };
        examined.is_own_there = there.as_ref().map_or(examined.is_own_here, is_own);
        for side in [Some(here), there].into_iter().flatten() {
            examined.foreign.extend(side.foreign);
            examined.lost_base = examined.lost_base.or(side.lost_base);
        }
        Ok(examined)
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
                let written = match local {
                    Some(local) if ends_with(live, local, stack)? => Written::Follows,
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

/// What stands on a branch in one place.
#[derive(Default)]
struct Side {
    foreign: Vec<Commit>,
    is_own: bool,
    lost_base: Option<Commit>,
}

fn examine(live: &Live<'_>, tip: Id, sidecar_set: &str) -> Result<Side, Failure> {
    let (mut found, mut has_base) = (Side::default(), false);
    for commit in live.repository.log(tip, None, Walk::FirstParent)? {
        let commit = commit?;
        if is_step(&commit, sidecar_set) {
            found.is_own = true;
            continue;
        }
        let is_live = live.repository.is_ancestor(commit.id, live.head.id)?;
        if found.is_own {
            found.lost_base = (!is_live).then_some(commit);
            has_base = true;
            break;
        }
        if is_live || found.foreign.len() >= MOST {
            break;
        }
        found.foreign.push(commit);
    }
    if found.is_own && !has_base && live.repository.is_shallow() {
        let question = format!("what the staged commits of `{sidecar_set}` stand on");
        return Err(git::Failure::Shallow { question }.into());
    }
    Ok(found)
}

/// Tells whether a commit says that it is a step of a SidecarSet's rollout.
fn is_step(commit: &Commit, sidecar_set: &str) -> bool {
    let action = commit.trailer(trailer::ACTION);
    commit.trailer(trailer::SIDECAR_SET).is_some_and(|set| set == sidecar_set)
        && action.is_some_and(|a| matches!(a.as_str(), "Open" | "Batch" | "Close" | "Resume"))
}
