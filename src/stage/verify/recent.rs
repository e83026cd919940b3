//! Checks the recent changes of the ledgers of the deploy branch, for `watch`.

use super::audited_change::{AuditedChange, LedgerKey};
use super::commit_check::{BaseApprovals, check_commit};
use super::{CommitContents, CommitReader, simultaneous_steps, unreadable_commit};
use crate::diagnostics::{Code, Diagnostic};
use crate::git::{Commit, HistoryWalk, ObjectId};
use crate::read::normalize_path;
use crate::stage::drift::check_previous_folder;
use crate::stage::{DeployBranch, Error};
use std::collections::{BTreeMap, BTreeSet};

/// How many changes of ledgers are checked: older ones were checked when they were new.
const MAX_CHANGES: usize = 10;

/// How many commits are searched for the head that was checked last.
const MAX_COMMITS: usize = 1_000;

/// Checks the last changes of the ledgers, back to the last command of a person on each, or to `sound`, a head
/// without errors. Errors stop every release until commits undo the change exactly.
///
/// # Errors
/// When git fails.
pub(crate) fn check_recent(
    deploy_branch: &DeployBranch<'_>,
    sound: Option<ObjectId>,
) -> Result<Vec<Diagnostic>, Error> {
    let Some(folder) = &deploy_branch.configuration.layout.ledgers else { return Ok(Vec::new()) };
    let folder =
        normalize_path(&deploy_branch.configuration.layout.root.join(folder)).to_string_lossy().into_owned();
    let fresh = UncheckedCommits::since(deploy_branch, sound)?;
    let log = deploy_branch
        .repository
        .log(deploy_branch.head.id, Some(&folder), HistoryWalk::FirstParent)?
        .take(MAX_CHANGES);
    let mut walk = RecentCheck::new(deploy_branch, folder);
    for commit in log {
        let looked = commit.map_err(Error::from).and_then(|commit| {
            if !fresh.contains(commit.id) {
                return Ok(false);
            }
            walk.check_commit(&commit)?;
            Ok(true)
        });
        match looked {
            Ok(true) => {}
            Ok(false) => break,
            // A shallow clone ends here.
            Err(Error::Git(failure)) if failure.is_beyond_history() => break,
            Err(failure) => return Err(failure),
        }
    }
    walk.check_previous_folders(&fresh)?;
    walk.finish()
}

/// Returns the commits that were not checked yet; None: all of them.
struct UncheckedCommits(Option<BTreeSet<ObjectId>>);

impl UncheckedCommits {
    fn since(deploy_branch: &DeployBranch<'_>, sound: Option<ObjectId>) -> Result<Self, Error> {
        let Some(sound) = sound else { return Ok(Self(None)) };
        let mut found = BTreeSet::new();
        for commit in deploy_branch
            .repository
            .log(deploy_branch.head.id, None, HistoryWalk::FirstParent)?
            .take(MAX_COMMITS)
        {
            // Where the branch was rewritten, or the clone is shallow, as many commits as possible are checked.
            let Ok(commit) = commit else { return Ok(Self(None)) };
            if commit.id == sound {
                return Ok(Self(Some(found)));
            }
            found.insert(commit.id);
        }
        Ok(Self(None))
    }

    fn contains(&self, commit: ObjectId) -> bool {
        self.0.as_ref().is_none_or(|fresh| fresh.contains(&commit))
    }
}

/// Returns the numbers of the states, newest first and each before and after, that together changed nothing.
fn reverted_states<S: PartialEq>(states: &[(Option<S>, Option<S>)]) -> BTreeSet<usize> {
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
struct RecentCheck<'a, 'r> {
    deploy_branch: &'a DeployBranch<'r>,
    /// The folder of the ledgers.
    folder: String,
    /// Ledgers that a person has changed with a command since.
    accepted: BTreeSet<LedgerKey>,
    /// The tree before each checked commit, and that of the commit, newest first.
    trees: Vec<(ObjectId, ObjectId)>,
    /// The changes, newest first, each with the number of its commit.
    changes: Vec<(usize, AuditedChange)>,
    /// The errors, in the same form; for a ledger or the commit as a whole.
    diagnostics: Vec<(usize, Option<LedgerKey>, Diagnostic)>,
    /// Rendered files in a folder that pillion.yaml named before.
    left_behind: Vec<Diagnostic>,
}

impl<'a, 'r> RecentCheck<'a, 'r> {
    fn new(deploy_branch: &'a DeployBranch<'r>, folder: String) -> Self {
        Self {
            deploy_branch,
            folder,
            accepted: BTreeSet::new(),
            trees: Vec::new(),
            changes: Vec::new(),
            diagnostics: Vec::new(),
            left_behind: Vec::new(),
        }
    }

    /// Finds folders that pillion.yaml named for rendered files before, and that still contain some.
    fn check_previous_folders(&mut self, fresh: &UncheckedCommits) -> Result<(), Error> {
        let (repository, source) = (self.deploy_branch.repository, self.deploy_branch.source.id);
        let reader = CommitReader {
            repository,
            deploy_branch: self.deploy_branch,
            config: &self.deploy_branch.config,
        };
        let config = self.deploy_branch.config.to_string_lossy();
        if self.deploy_branch.branches.source.is_some() {
            return Ok(());
        }
        for commit in repository.log(source, Some(&config), HistoryWalk::FirstParent)?.take(MAX_CHANGES) {
            let Ok(commit) = commit else { break };
            if !fresh.contains(commit.id) {
                break;
            }
            let Some(&parent) = commit.parents.first() else { break };
            if let Ok(CommitContents::DeployBranch(old)) = reader.read(parent) {
                self.left_behind.extend(check_previous_folder(&old.configuration, self.deploy_branch));
            }
        }
        Ok(())
    }

    fn check_commit(&mut self, commit: &Commit) -> Result<(), Error> {
        let reader = CommitReader {
            repository: self.deploy_branch.repository,
            deploy_branch: self.deploy_branch,
            config: &self.deploy_branch.config,
        };
        let Some(&parent) = commit.parents.first() else { return Ok(()) };
        self.trees.push((self.deploy_branch.repository.commit(parent)?.tree, commit.tree));
        let (old, new) = match (reader.read(parent)?, reader.read(commit.id)?) {
            (CommitContents::DeployBranch(old), CommitContents::DeployBranch(new)) => (Some(old), new),
            // The first ledgers were added with pillion.yaml.
            (CommitContents::Empty(_), CommitContents::DeployBranch(new)) => (None, new),
            (_, CommitContents::Invalid(diagnostic)) | (CommitContents::Invalid(diagnostic), _) => {
                self.add_diagnostic(None, unreadable_commit(commit, diagnostic));
                return Ok(());
            }
            (_, CommitContents::Empty(why)) => {
                self.add_diagnostic(
                    None,
                    unreadable_commit(commit, Diagnostic::error(Code::UnreadableCommit, why)),
                );
                return Ok(());
            }
        };
        let checked = check_commit(old.as_deref(), &new, &BaseApprovals::of_base(None))?;
        for (key, diagnostic) in checked.diagnostics {
            self.add_diagnostic(key, diagnostic);
        }
        for changed in checked.changes {
            let key = changed.key.clone();
            if let Some(diagnostic) = simultaneous_steps::steps_in_one_commit(self.deploy_branch, &changed) {
                self.add_diagnostic(Some(key.clone()), diagnostic);
            }
            if changed.is_by_command() {
                self.accepted.insert(key.clone());
            }
            if !self.accepted.contains(&key) {
                self.changes.push((self.trees.len() - 1, changed));
            }
        }
        Ok(())
    }

    fn add_diagnostic(&mut self, key: Option<LedgerKey>, diagnostic: Diagnostic) {
        let is_accepted = match &key {
            Some(key) => self.accepted.contains(key),
            None => !self.accepted.is_empty(),
        };
        if !is_accepted {
            self.diagnostics.push((self.trees.len() - 1, key, diagnostic));
        }
    }

    /// Returns the errors that were not undone since.
    fn finish(self) -> Result<Vec<Diagnostic>, Error> {
        let named = self.diagnostics.iter().map(|(_, key, _)| key.clone());
        let named = named.chain(self.changes.iter().map(|(_, changed)| Some(changed.key.clone())));
        let mut undone = BTreeMap::new();
        for key in named.collect::<BTreeSet<Option<LedgerKey>>>() {
            let looks = self.reverted_commits(key.as_ref())?;
            undone.insert(key, looks);
        }
        let is_undone =
            |look: usize, key: &Option<LedgerKey>| undone.get(key).is_some_and(|l| l.contains(&look));
        let is_about_ledgers = |diagnostic: &Diagnostic| {
            matches!(diagnostic.code, Code::LedgerNotPlanned | Code::BatchesAtOnce | Code::UnreadableCommit)
        };
        let stands = self
            .diagnostics
            .into_iter()
            .filter(|(look, key, diagnostic)| !is_about_ledgers(diagnostic) || !is_undone(*look, key));
        let mut diagnostics: Vec<Diagnostic> = stands.map(|(_, _, diagnostic)| diagnostic).collect();
        let done = self.changes.iter().rev();
        let done = done.filter(|(look, changed)| !is_undone(*look, &Some(changed.key.clone())));
        let oldest_first: Vec<&AuditedChange> = done.map(|(_, changed)| changed).collect();
        diagnostics.extend(self.left_behind);
        diagnostics.extend(simultaneous_steps::steps_pushed_together(self.deploy_branch, &oldest_first));
        Ok(diagnostics)
    }

    /// Returns the states between which a ledger, or all of them, became again what it was before: the revert of a
    /// revert leaves nothing to check.
    fn reverted_commits(&self, key: Option<&LedgerKey>) -> Result<BTreeSet<usize>, Error> {
        let configuration = &self.deploy_branch.configuration;
        let path = match key {
            Some((cluster, name)) => configuration.ledger_path(cluster.as_deref(), name),
            None => Some(self.folder.clone()),
        };
        let Some(path) = path else { return Ok(BTreeSet::new()) };
        let id = |tree: ObjectId| {
            Ok::<_, Error>(self.deploy_branch.repository.entry_at(tree, &path)?.map(|entry| entry.id))
        };
        let mut states = Vec::new();
        for (before, after) in &self.trees {
            states.push((id(*before)?, id(*after)?));
        }
        Ok(reverted_states(&states))
    }
}

#[cfg(test)]
mod tests {
    use super::reverted_states;

    #[test]
    fn what_became_again_what_it_was_is_taken_back_once() {
        let numbers = |states: &[(u32, u32)]| -> Vec<usize> {
            let states: Vec<_> = states.iter().map(|(a, b)| (Some(*a), Some(*b))).collect();
            reverted_states(&states).into_iter().collect()
        };
        // A revert of a revert, with a step before it and one behind it.
        assert_eq!(numbers(&[(2, 3), (1, 2), (2, 1), (1, 2)]), [1, 2]);
        // Done, taken back, and done again: that is done.
        assert_eq!(numbers(&[(0, 9), (9, 0), (0, 9)]), [0, 1]);
        assert_eq!(numbers(&[(9, 0), (0, 9)]), [0, 1]);
        assert!(numbers(&[(1, 9), (0, 1)]).is_empty());
        // A ledger that is not there is no state.
        assert!(reverted_states::<u32>(&[(None, None)]).is_empty());
    }
}
