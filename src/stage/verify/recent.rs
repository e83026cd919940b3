//! What was done to the ledgers of the live branch lately, as `watch` judges it before it goes on.

use super::judge::{Approve, Changed, Key, judge};
use super::{At, Reader, at_once, unreadable};
use crate::diag::{Code, Diagnostic};
use crate::git::{Commit, Id, Walk};
use crate::read::plain;
use crate::stage::surplus::left_behind;
use crate::stage::{Failure, Live};
use std::collections::BTreeSet;

/// Changes of ledgers that are looked at: older ones were judged when they were new.
const LOOK_BACK: usize = 10;

/// Commits that are looked through for the head that was judged last.
const MOST_FRESH: usize = 1_000;

/// Judges the last changes of the ledgers, back to what a person has said of each with a command, or to `sound`: a head
/// on which nothing was wrong. What is wrong there holds up every release.
///
/// # Errors
/// When git fails.
pub fn recent(live: &Live<'_>, sound: Option<Id>) -> Result<Vec<Diagnostic>, Failure> {
    let Some(folder) = &live.configuration.layout.ledgers else { return Ok(Vec::new()) };
    let folder = plain(&live.configuration.layout.root.join(folder)).to_string_lossy().into_owned();
    let fresh = Fresh::since(live, sound)?;
    let mut walk = Recent { live, accepted: BTreeSet::new(), changes: Vec::new(), wrong: Vec::new() };
    for commit in live.repository.log(live.head.id, Some(&folder), Walk::FirstParent)?.take(LOOK_BACK) {
        let looked = commit.map_err(Failure::from).and_then(|commit| {
            if !fresh.contains(commit.id) {
                return Ok(false);
            }
            walk.look(&commit)?;
            Ok(true)
        });
        match looked {
            Ok(true) => {}
            Ok(false) => break,
            // Beyond what a shallow clone has there is nothing to be found.
            Err(Failure::Git(failure)) if failure.is_beyond_history() => break,
            Err(failure) => return Err(failure),
        }
    }
    walk.look_for_folders(&fresh)?;
    let oldest_first: Vec<&Changed> = walk.changes.iter().rev().collect();
    walk.wrong.extend(at_once::together(live, &oldest_first));
    Ok(walk.wrong)
}

/// The commits that were not judged yet; None: all of them.
struct Fresh(Option<BTreeSet<Id>>);

impl Fresh {
    fn since(live: &Live<'_>, sound: Option<Id>) -> Result<Self, Failure> {
        let Some(sound) = sound else { return Ok(Self(None)) };
        let mut found = BTreeSet::new();
        for commit in live.repository.log(live.head.id, None, Walk::FirstParent)?.take(MOST_FRESH) {
            // Where the branch was rewritten, or the clone is shallow, the rest is looked at as it can be.
            let Ok(commit) = commit else { return Ok(Self(None)) };
            if commit.id == sound {
                return Ok(Self(Some(found)));
            }
            found.insert(commit.id);
        }
        Ok(Self(None))
    }

    fn contains(&self, commit: Id) -> bool {
        self.0.as_ref().is_none_or(|fresh| fresh.contains(&commit))
    }
}

/// A walk to older commits.
struct Recent<'a, 'r> {
    live: &'a Live<'r>,
    /// Ledgers of which a person has said something since.
    accepted: BTreeSet<Key>,
    /// What was done since, newest first.
    changes: Vec<Changed>,
    wrong: Vec<Diagnostic>,
}

impl Recent<'_, '_> {
    /// Looks for folders that pillion.yaml named as that of the rendered files, and that still hold some.
    fn look_for_folders(&mut self, fresh: &Fresh) -> Result<(), Failure> {
        let (repository, source) = (self.live.repository, self.live.source.id);
        let reader = Reader { repository, live: self.live, config: &self.live.config };
        let config = self.live.config.to_string_lossy();
        if self.live.branches.source.is_some() {
            return Ok(());
        }
        for commit in repository.log(source, Some(&config), Walk::FirstParent)?.take(LOOK_BACK) {
            let Ok(commit) = commit else { break };
            if !fresh.contains(commit.id) {
                break;
            }
            let Some(&parent) = commit.parents.first() else { break };
            if let Ok(At::Live(old)) = reader.at(parent) {
                self.wrong.extend(left_behind(&old.configuration, self.live));
            }
        }
        Ok(())
    }

    fn look(&mut self, commit: &Commit) -> Result<(), Failure> {
        let reader = Reader { repository: self.live.repository, live: self.live, config: &self.live.config };
        let Some(&parent) = commit.parents.first() else { return Ok(()) };
        let (old, new) = match (reader.at(parent)?, reader.at(commit.id)?) {
            (At::Live(old), At::Live(new)) => (Some(old), new),
            // The first ledgers came with pillion.yaml.
            (At::Nothing(_), At::Live(new)) => (None, new),
            (_, At::Wrong(wrong)) | (At::Wrong(wrong), _) => {
                self.refuse(None, unreadable(commit, wrong));
                return Ok(());
            }
            (_, At::Nothing(why)) => {
                self.refuse(None, unreadable(commit, Diagnostic::error(Code::UnreadableCommit, why)));
                return Ok(());
            }
        };
        let judged = judge(old.as_deref(), &new, &Approve::of_base(None))?;
        for (key, wrong) in judged.wrong {
            self.refuse(key.as_ref(), wrong);
        }
        for changed in judged.changed {
            let key = changed.key.clone();
            if let Some(wrong) = at_once::in_one(self.live, &changed) {
                self.refuse(Some(&key), wrong);
            }
            if changed.is_word_of_person() {
                self.accepted.insert(key.clone());
            }
            if !self.accepted.contains(&key) {
                self.changes.push(changed);
            }
        }
        Ok(())
    }

    fn refuse(&mut self, key: Option<&Key>, wrong: Diagnostic) {
        let is_accepted = match key {
            Some(key) => self.accepted.contains(key),
            None => !self.accepted.is_empty(),
        };
        if !is_accepted {
            self.wrong.push(wrong);
        }
    }
}
