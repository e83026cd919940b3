//! What was done to the ledgers of the live branch lately, as `watch` judges it before it goes on.

use super::judge::{Approve, Changed, Key, judge};
use super::{At, Reader, at_once, unreadable};
use crate::diag::{Code, Diagnostic};
use crate::git::{Commit, Id, Walk};
use crate::read::plain;
use crate::stage::surplus::left_behind;
use crate::stage::{Failure, Live};
use std::collections::{BTreeMap, BTreeSet};

/// Changes of ledgers that are looked at: older ones were judged when they were new.
const LOOK_BACK: usize = 10;

/// Commits that are looked through for the head that was judged last.
const MOST_FRESH: usize = 1_000;

/// Judges the last changes of the ledgers, back to what a person has said of each with a command, or to `sound`: a head
/// on which nothing was wrong. What is wrong there holds up every release, until commits take it back word for word.
///
/// # Errors
/// When git fails.
pub fn recent(live: &Live<'_>, sound: Option<Id>) -> Result<Vec<Diagnostic>, Failure> {
    let Some(folder) = &live.configuration.layout.ledgers else { return Ok(Vec::new()) };
    let folder = plain(&live.configuration.layout.root.join(folder)).to_string_lossy().into_owned();
    let fresh = Fresh::since(live, sound)?;
    let log = live.repository.log(live.head.id, Some(&folder), Walk::FirstParent)?.take(LOOK_BACK);
    let mut walk = Recent::new(live, folder);
    for commit in log {
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
    walk.finish()
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

/// The numbers of the states, newest first and each before and after, that together changed nothing.
fn taken_back<S: PartialEq>(states: &[(Option<S>, Option<S>)]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut newest = 0;
    while let Some((_, after)) = states.get(newest) {
        let is_same = |older: &usize| after.is_some() && states[*older].0 == *after;
        match (newest..states.len()).rev().find(is_same) {
            Some(oldest) => {
                found.extend(newest..=oldest);
                newest = oldest + 1;
            }
            None => newest += 1,
        }
    }
    found
}

/// A walk to older commits.
struct Recent<'a, 'r> {
    live: &'a Live<'r>,
    /// The folder of the ledgers.
    folder: String,
    /// Ledgers of which a person has said something since.
    accepted: BTreeSet<Key>,
    /// The tree before each commit that was looked at, and that of the commit, newest first.
    trees: Vec<(Id, Id)>,
    /// What was done since, newest first, each with the number of its commit.
    changes: Vec<(usize, Changed)>,
    /// What is wrong, alike; a ledger or the commit as a whole.
    wrong: Vec<(usize, Option<Key>, Diagnostic)>,
    /// Rendered files in a folder that pillion.yaml named once.
    left_behind: Vec<Diagnostic>,
}

impl<'a, 'r> Recent<'a, 'r> {
    fn new(live: &'a Live<'r>, folder: String) -> Self {
        Self {
            live,
            folder,
            accepted: BTreeSet::new(),
            trees: Vec::new(),
            changes: Vec::new(),
            wrong: Vec::new(),
            left_behind: Vec::new(),
        }
    }

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
                self.left_behind.extend(left_behind(&old.configuration, self.live));
            }
        }
        Ok(())
    }

    fn look(&mut self, commit: &Commit) -> Result<(), Failure> {
        let reader = Reader { repository: self.live.repository, live: self.live, config: &self.live.config };
        let Some(&parent) = commit.parents.first() else { return Ok(()) };
        self.trees.push((self.live.repository.commit(parent)?.tree, commit.tree));
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
            self.refuse(key, wrong);
        }
        for changed in judged.changed {
            let key = changed.key.clone();
            if let Some(wrong) = at_once::in_one(self.live, &changed) {
                self.refuse(Some(key.clone()), wrong);
            }
            if changed.is_word_of_person() {
                self.accepted.insert(key.clone());
            }
            if !self.accepted.contains(&key) {
                self.changes.push((self.trees.len() - 1, changed));
            }
        }
        Ok(())
    }

    fn refuse(&mut self, key: Option<Key>, wrong: Diagnostic) {
        let is_accepted = match &key {
            Some(key) => self.accepted.contains(key),
            None => !self.accepted.is_empty(),
        };
        if !is_accepted {
            self.wrong.push((self.trees.len() - 1, key, wrong));
        }
    }

    /// Returns what is wrong and was not taken back since.
    fn finish(self) -> Result<Vec<Diagnostic>, Failure> {
        let named = self.wrong.iter().map(|(_, key, _)| key.clone());
        let named = named.chain(self.changes.iter().map(|(_, changed)| Some(changed.key.clone())));
        let mut undone = BTreeMap::new();
        for key in named.collect::<BTreeSet<Option<Key>>>() {
            let looks = self.taken_back(key.as_ref())?;
            undone.insert(key, looks);
        }
        let is_undone = |look: usize, key: &Option<Key>| undone.get(key).is_some_and(|l| l.contains(&look));
        let is_about_ledgers = |wrong: &Diagnostic| {
            matches!(wrong.code, Code::LedgerNotPlanned | Code::BatchesAtOnce | Code::UnreadableCommit)
        };
        let stands = self
            .wrong
            .into_iter()
            .filter(|(look, key, wrong)| !is_about_ledgers(wrong) || !is_undone(*look, key));
        let mut found: Vec<Diagnostic> = stands.map(|(_, _, wrong)| wrong).collect();
        let done = self.changes.iter().rev();
        let done = done.filter(|(look, changed)| !is_undone(*look, &Some(changed.key.clone())));
        let oldest_first: Vec<&Changed> = done.map(|(_, changed)| changed).collect();
        found.extend(self.left_behind);
        found.extend(at_once::together(self.live, &oldest_first));
        Ok(found)
    }

    /// Returns the looks between which a ledger, or all of them, became again what it was before: the revert of a revert
    /// leaves nothing that is to be judged.
    fn taken_back(&self, key: Option<&Key>) -> Result<BTreeSet<usize>, Failure> {
        let configuration = &self.live.configuration;
        let place = match key {
            Some((cluster, name)) => configuration.ledger_place(cluster.as_deref(), name),
            None => Some(self.folder.clone()),
        };
        let Some(place) = place else { return Ok(BTreeSet::new()) };
        let id =
            |tree: Id| Ok::<_, Failure>(self.live.repository.entry_at(tree, &place)?.map(|entry| entry.id));
        let mut states = Vec::new();
        for (before, after) in &self.trees {
            states.push((id(*before)?, id(*after)?));
        }
        Ok(taken_back(&states))
    }
}

#[cfg(test)]
mod tests {
    use super::taken_back;

    #[test]
    fn what_became_again_what_it_was_is_taken_back_once() {
        let numbers = |states: &[(u32, u32)]| -> Vec<usize> {
            let states: Vec<_> = states.iter().map(|(a, b)| (Some(*a), Some(*b))).collect();
            taken_back(&states).into_iter().collect()
        };
        // A revert of a revert, with a step before it and one behind it.
        assert_eq!(numbers(&[(2, 3), (1, 2), (2, 1), (1, 2)]), [1, 2]);
        // Done, taken back, and done again: that is done.
        assert_eq!(numbers(&[(0, 9), (9, 0), (0, 9)]), [0, 1]);
        assert_eq!(numbers(&[(9, 0), (0, 9)]), [0, 1]);
        assert!(numbers(&[(1, 9), (0, 1)]).is_empty());
        // A ledger that is not there is no state.
        assert!(taken_back::<u32>(&[(None, None)]).is_empty());
    }
}
