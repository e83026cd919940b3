//! Verifies that ledgers were changed only by pillion commands: against the planner and the verbs, byte for byte.

mod audited_change;
mod commit_check;
mod ledger_action;
mod ledger_change;
mod mixed_commit;
mod recent;
mod simultaneous_steps;
mod text_diff;

pub(crate) use audited_change::AuditedChange;
pub(crate) use recent::check_recent;

use super::drift::check_previous_folder;
use super::joint_changes::joint_changes_between;
use super::template_changes::template_changes_between;
use super::{ClusterView, DeployBranch, Error};
use crate::diagnostics::{Code, Diagnostic};
use crate::git::{Commit, HistoryWalk, ObjectId, Repository};
use crate::model::ledger::{self, Ledger};
use crate::read::FileSource as _;
use crate::rollout::{ExternalState, RolloutContext, approval_digest, ledger_before, steps};
use commit_check::{BaseApprovals, CommitCheck, check_commit, has_same_ledgers};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use text_diff::ledger_difference;

/// How many steps are tried to explain a commit.
const MAX_STEPS: usize = 1000;

/// Compares the ledgers of a view with the canonical text of each.
pub(crate) fn check_canonical(deploy_branch: &DeployBranch<'_>, view: &ClusterView) -> Vec<Diagnostic> {
    let differs = |ledger: &Ledger| {
        let path = deploy_branch.configuration.ledger_path(view.cluster.as_deref(), &ledger.name)?;
        let name: Arc<str> = path.as_str().into();
        let text = deploy_branch.rendered_files().read_text(Path::new(&path), &name).ok()?;
        ledger_difference(
            &name,
            &text,
            &ledger::emit(ledger),
            "this ledger is not in the form that pillion writes",
        )
    };
    view.prepared.ledgers.values().filter_map(differs).collect()
}

/// The audit of ledgers from one commit to another.
#[derive(Default)]
pub struct LedgerAudit {
    /// The errors.
    pub diagnostics: Vec<Diagnostic>,
    /// The changes, oldest first.
    pub(crate) changes: Vec<AuditedChange>,
}

/// Checks every change of a ledger from `base` to the deploy branch: each must be a step of the planner, a verb or
/// `init rollout`, in a commit of its own.
///
/// # Errors
/// When git fails, the commits cannot be found, or this clone does not have enough of the history.
pub fn audit_since(
    repository: &Repository,
    deploy_branch: &DeployBranch<'_>,
    config: &Path,
    base: ObjectId,
) -> Result<LedgerAudit, Error> {
    let reader = CommitReader { repository, deploy_branch, config };
    let range = commit_range(repository, deploy_branch.head.id, base)?;
    let begin = match reader.read(base)? {
        CommitContents::DeployBranch(begin) => Some(begin),
        CommitContents::Empty(_) | CommitContents::Invalid(_) => None,
    };
    let approve = BaseApprovals::of_base(begin.as_deref());
    let mut audit = LedgerAudit::default();
    let (mut old, mut folders) = (None, BTreeSet::new());
    for (number, commit) in range.commits.iter().enumerate() {
        let is_base = number == 0 && !range.starts_empty;
        let new = match (reader.read(commit.id)?, &old) {
            (CommitContents::DeployBranch(new), _) => new,
            (CommitContents::Invalid(_), _) if is_base => {
                old = Some(PreviousCommit::Unreadable(Box::new(commit.clone())));
                continue;
            }
            (CommitContents::Invalid(diagnostics), _) => {
                audit.diagnostics.push(unreadable_commit(commit, diagnostics));
                continue;
            }
            (CommitContents::Empty(why), Some(PreviousCommit::DeployBranch(_))) => {
                audit
                    .diagnostics
                    .push(unreadable_commit(commit, Diagnostic::error(Code::UnreadableCommit, why)));
                continue;
            }
            (CommitContents::Empty(_), _) => continue,
        };
        let rendered = new.configuration.layout.rendered.clone();
        if folders.insert(rendered) {
            audit.diagnostics.extend(check_previous_folder(&new.configuration, deploy_branch));
        }
        if !is_base {
            audit.check(repository, old.as_ref(), &new, &approve)?;
        }
        old = Some(PreviousCommit::DeployBranch(new));
    }
    audit.diagnostics.extend(simultaneous_steps::steps_pushed_together(
        deploy_branch,
        &audit.changes.iter().collect::<Vec<_>>(),
    ));
    if range.is_diverged && !audit.changes.is_empty() {
        audit.diagnostics.push(diverged_commit(&deploy_branch.head, base));
    }
    Ok(audit)
}

impl LedgerAudit {
    /// Checks what a commit does to the ledgers of the one before.
    fn check(
        &mut self,
        repository: &Repository,
        old: Option<&PreviousCommit<'_>>,
        new: &DeployBranch<'_>,
        approve: &BaseApprovals<'_>,
    ) -> Result<(), Error> {
        let checked = match old {
            Some(PreviousCommit::Unreadable(before)) => check_after_unreadable(repository, before, new)?,
            Some(PreviousCommit::DeployBranch(old)) => {
                // The first ledgers may come together with the settings that name them.
                if has_same_ledgers(Some(old), new) {
                    self.diagnostics.extend(template_changes_between(old, new));
                    self.diagnostics.extend(joint_changes_between(old, new));
                }
                check_commit(Some(old), new, approve)?
            }
            None => check_commit(None, new, approve)?,
        };
        self.add(new, checked);
        Ok(())
    }

    fn add(&mut self, deploy_branch: &DeployBranch<'_>, checked: CommitCheck) {
        self.diagnostics.extend(checked.diagnostics.into_iter().map(|(_, diagnostic)| diagnostic));
        self.diagnostics.extend(
            checked
                .changes
                .iter()
                .filter_map(|changed| simultaneous_steps::steps_in_one_commit(deploy_branch, changed)),
        );
        self.changes.extend(checked.changes);
    }
}

/// The deploy branch before a commit.
enum PreviousCommit<'r> {
    DeployBranch(Box<DeployBranch<'r>>),
    /// Its pillion.yaml cannot be read.
    Unreadable(Box<Commit>),
}

/// The contents of a commit.
enum CommitContents<'r> {
    DeployBranch(Box<DeployBranch<'r>>),
    /// It has no pillion.yaml, or nothing was rendered yet; the reason.
    Empty(String),
    Invalid(Diagnostic),
}

/// Reads commits as if they were the head of the deploy branch.
struct CommitReader<'r, 'l> {
    repository: &'r Repository,
    deploy_branch: &'l DeployBranch<'r>,
    config: &'l Path,
}

impl<'r> CommitReader<'r, '_> {
    fn read(&self, commit: ObjectId) -> Result<CommitContents<'r>, Error> {
        let Self { repository, deploy_branch, config } = self;
        match DeployBranch::read_at(
            repository,
            &deploy_branch.branches,
            config,
            (deploy_branch.reference.clone(), commit),
        ) {
            Ok((Some(read), _)) => {
                Ok(CommitContents::DeployBranch(Box::new(read.with_manifests(&deploy_branch.manifests))))
            }
            Ok((None, diagnostics)) => {
                let error = diagnostics.into_iter().find(Diagnostic::is_error);
                let unknown = || Diagnostic::error(Code::UnreadableCommit, "pillion.yaml cannot be read");
                Ok(CommitContents::Invalid(error.unwrap_or_else(unknown)))
            }
            Err(failure @ (Error::NoConfiguration { .. } | Error::NoSourceTrailer { .. })) => {
                Ok(CommitContents::Empty(failure.to_string()))
            }
            // A commit that is missing in a shallow clone is reported as such, not as unreadable.
            Err(Error::Git(failure)) => Err(failure.into()),
            Err(failure) => {
                Ok(CommitContents::Invalid(Diagnostic::error(Code::UnreadableCommit, failure.to_string())))
            }
        }
    }
}

/// The commits of a range.
struct CommitRange {
    /// Oldest first, along first parents; the first one is what the others are compared with.
    commits: Vec<Commit>,
    /// The first one is compared with nothing.
    starts_empty: bool,
    /// The base is not an ancestor of the head: the first one is their merge base.
    is_diverged: bool,
}

/// Finds the commits from `base` to a head. Where `base` was merged on the way, the head is one change of it.
fn commit_range(repository: &Repository, head: ObjectId, base: ObjectId) -> Result<CommitRange, Error> {
    let (mut commits, mut begins) = (Vec::new(), None);
    for commit in repository.log(head, None, HistoryWalk::FirstParent)? {
        let commit = commit?;
        begins = match (commit.id == base, repository.is_ancestor(commit.id, base)?) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        };
        commits.push(commit);
        if begins.is_some() {
            break;
        }
    }
    commits.reverse();
    if begins == Some(false) {
        return Ok(CommitRange { commits, starts_empty: false, is_diverged: false });
    }
    if repository.is_ancestor(base, head)? {
        let commits = vec![repository.commit(base)?, repository.commit(head)?];
        return Ok(CommitRange { commits, starts_empty: false, is_diverged: false });
    }
    Ok(CommitRange { commits, starts_empty: begins.is_none(), is_diverged: true })
}

/// Returns the digest of an upcoming batch; None: the plan has no batch of that number.
pub(crate) fn upcoming_batch_digest(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    batch: u32,
    external: &ExternalState,
) -> Option<String> {
    let unpaused = Ledger { paused: None, ..ledger.clone() };
    let steps = steps(context, &unpaused, external, MAX_STEPS);
    let index = steps.iter().position(|step| step.batch().is_some_and(|next| next.number == batch))?;
    let before = ledger_before(&steps, &unpaused, index);
    Some(approval_digest(context, before, batch, &steps[index].batch()?.updates))
}

/// Checks a commit after one with an unreadable pillion.yaml: its ledgers must be unchanged.
fn check_after_unreadable(
    repository: &Repository,
    before: &Commit,
    new: &DeployBranch<'_>,
) -> Result<CommitCheck, Error> {
    let mut checked = CommitCheck::default();
    let (ledgers, _) = new.configuration.layout.find_ledgers(new.rendered_files());
    for ledger in ledgers {
        let id =
            |tree: ObjectId| Ok::<_, Error>(repository.entry_at(tree, &ledger.input.name)?.map(|e| e.id));
        if id(before.tree)? != id(new.head.tree)? {
            let message = format!(
                "commit {} changes `{}`, and pillion.yaml before it cannot be read",
                new.head.id.short(),
                ledger.input.name
            );
            let diagnostic = Diagnostic::error(Code::UnreadableCommit, message)
                .because("a change of a ledger cannot be checked without its previous state")
                .help("repair pillion.yaml in a commit of its own, and merge that first");
            checked.diagnostics.push((None, diagnostic));
        }
    }
    Ok(checked)
}

/// Reports a commit of the range that cannot be read.
fn unreadable_commit(commit: &Commit, error: Diagnostic) -> Diagnostic {
    let message = format!(
        "commit {} (\"{}\") cannot be verified: {}",
        commit.id.short(),
        commit.subject(),
        error.message
    );
    let diagnostic = Diagnostic::error(Code::UnreadableCommit, message)
        .because("its changes to the ledgers are unknown, and so are those that follow")
        .help(
            "move the repair into that commit (`git rebase --interactive`), so that every commit can be read",
        );
    Diagnostic { spans: error.spans, ..diagnostic }
}

/// Reports a change of a ledger on a branch that is not on top of its base.
fn diverged_commit(head: &Commit, base: ObjectId) -> Diagnostic {
    let message = format!(
        "{} changes ledgers and is not on top of {}, which it is compared with",
        head.id.short(),
        base.short()
    );
    Diagnostic::error(Code::LedgerNotPlanned, message)
        .because("a step follows from the ledgers of its base, not from older ones")
        .help("rebase it onto that commit; better, run the pillion command of the step again")
}
