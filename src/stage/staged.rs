//! What does a staged branch hold, and who made it?
//!
//! It is output: nothing of it is ever taken over. It is looked at for two reasons only: to tell a person what is
//! going to be overwritten, and to notice that the live branch was rewritten since.

use super::{Failure, Live};
use crate::git::{self, Commit, Expected, Id, Walk, trailer};

/// Commits of somebody else that are counted on top of a staged branch.
const MOST: usize = 100;

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
    /// Some of it is of this SidecarSet's rollouts.
    pub is_own: bool,
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
        let mut examined = Examined::default();
        let mut tips: Vec<Id> = [self.local, self.remote].into_iter().flatten().collect();
        tips.dedup();
        for tip in tips {
            let found = examine(live, tip, sidecar_set)?;
            examined.is_own |= found.is_own;
            examined.foreign.extend(found.foreign);
            examined.lost_base = examined.lost_base.or(found.lost_base);
        }
        Ok(examined)
    }

    /// Makes it hold a stack in this repository, or removes it where nothing is to come.
    ///
    /// # Errors
    /// When somebody else has moved it meanwhile, or works on it.
    pub fn write(&self, live: &Live<'_>, tip: Option<Id>) -> Result<Written, Failure> {
        const NOTE: &str = "pillion: stage";
        let expected = Expected::read(self.local);
        match (tip, self.local) {
            (Some(tip), Some(local)) if tip == local => Ok(Written::Same),
            (Some(tip), local) => {
                live.repository.update_ref(&self.name, tip, expected, NOTE)?;
                Ok(if local.is_some() { Written::Anew } else { Written::Made })
            }
            (None, Some(_)) => {
                live.repository.delete_ref(&self.name, expected)?;
                Ok(Written::Removed)
            }
            (None, None) => Ok(Written::Nothing),
        }
    }
}

fn examine(live: &Live<'_>, tip: Id, sidecar_set: &str) -> Result<Examined, Failure> {
    let (mut found, mut has_base) = (Examined::default(), false);
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
        && action.is_some_and(|a| matches!(a.as_str(), "Open" | "Batch" | "Close"))
}
