//! Preconditions of staging and starting a rollout.

use super::{BatchRevert, BranchContents, ClusterView, DeployBranch, StagedBranch};
use crate::diagnostics::{Code, Diagnostic, Span, pluralize};
use crate::git::{Commit, ObjectId};
use crate::model::ledger::Ledger;
use crate::rollout::removal::SidecarRemoval;
use crate::rollout::{RolloutPlan, cluster_option};
use std::path::Path;

/// Refuses to start a rollout that removes the sidecar from workloads.
pub fn sidecar_removal(view: &ClusterView, rollout: &RolloutPlan<'_>) -> Option<Diagnostic> {
    let started = rollout.steps.first().filter(|step| step.removed_workloads() > 0)?.started_ledger()?;
    let (context, ledger) = (&rollout.context, &rollout.ledger);
    let (removal, name) = (SidecarRemoval::of(context, started)?, rollout.name());
    let message = format!("starting the rollout of `{name}` removes its sidecar from {}", removal.share());
    let mut diagnostic = Diagnostic::error(Code::SidecarRemoval, message);
    diagnostic = match removal.cause_label(context) {
        Some(at) => diagnostic.at(at),
        None => {
            let path = view.configuration.ledger_path(view.cluster.as_deref(), name);
            diagnostic.at(Span::whole_file(path.unwrap_or_default()))
        }
    };
    let spaces = removal
        .namespaces
        .iter()
        .map(|(namespace, n)| format!("{} in namespace {namespace}", pluralize(*n as u64, "workload")));
    diagnostic = spaces.fold(diagnostic.because(removal.cause.to_string()), Diagnostic::because);
    let what = if ledger.target.is_some() { "moves the target" } else { "starts it" };
    Some(diagnostic.help(format!(
        "undo the change of the SidecarSet; to remove the sidecar, `pillion start {} --allow-removal` {what}",
        context.command_arguments()
    )))
}

/// Refuses to continue from a ledger with batches that were reverted by hand.
pub fn reverted_batch(
    deploy_branch: &DeployBranch<'_>,
    cluster: Option<&str>,
    ledger: &Ledger,
    found: &BatchRevert,
) -> Diagnostic {
    let BatchRevert { commit, from, .. } = found;
    let message = format!(
        "commit {} (\"{}\") reverts batch {from} of `{}` by hand",
        commit.id.short(),
        commit.subject(),
        ledger.name
    );
    let path = deploy_branch.configuration.ledger_path(cluster, &ledger.name).unwrap_or_default();
    let diagnostic = Diagnostic::error(Code::LedgerNotPlanned, message).at(Span::whole_file(path));
    manual_revert(diagnostic, cluster, ledger)
}

/// Explains a `git revert` of a batch, and names the command to use instead.
pub(super) fn manual_revert(
    mut diagnostic: Diagnostic,
    cluster: Option<&str>,
    ledger: &Ledger,
) -> Diagnostic {
    let (name, batch, option) = (&ledger.name, ledger.last_batch(), cluster_option(cluster));
    diagnostic.notes.clear();
    diagnostic.because(format!(
        "the ledger is in the state after batch {batch}, and nothing keeps the rollout there: the next step would release batch {} again",
        batch.saturating_add(1)
    ))
    .help(format!(
        "`pillion rollback {name} --to {batch}{option}` rolls batches back and pauses the rollout there; if the revert is on `git.deploy` already, run that command on top of it, or revert the revert first"
    ))
}

/// Refuses to overwrite a branch with a base that is no longer in the history of the deploy branch.
pub fn rewritten_branch(
    deploy_branch: &DeployBranch<'_>,
    branch: &StagedBranch,
    examined: &BranchContents,
) -> Option<Diagnostic> {
    let base = examined.lost_base()?;
    let which = format!("which `{}` was staged on", branch.short_name());
    Some(
        RewrittenBranch {
            branch: &deploy_branch.branches.deploy,
            lost_commit: base,
            evidence: which,
            head: deploy_branch.head.id,
            config: &deploy_branch.config,
        }
        .to_diagnostic(),
    )
}

/// A deploy branch that was rewritten.
pub(super) struct RewrittenBranch<'a> {
    /// The deploy branch.
    pub(super) branch: &'a str,
    /// A commit that was in its history.
    pub(super) lost_commit: &'a Commit,
    /// How this is known.
    pub(super) evidence: String,
    /// Its new head.
    pub(super) head: ObjectId,
    /// pillion.yaml.
    pub(super) config: &'a Path,
}

impl RewrittenBranch<'_> {
    pub(super) fn to_diagnostic(&self) -> Diagnostic {
        let Self { branch, lost_commit, evidence: which, head, config } = self;
        let message = format!(
            "`{branch}` was rewritten: {} (\"{}\"), {which}, is no longer in its history",
            lost_commit.id.short(),
            lost_commit.subject()
        );
        let head = head.short();
        Diagnostic::error(Code::DeployBranchRewritten, message)
            .at(Span::whole_file(config.to_string_lossy()))
            .field("git.deploy")
            .because(format!("the head of `{branch}` is {head} now; what was released before may be undone by it"))
            .help(format!(
                "inspect the lost commits (`git log {head}..{}`); if this is intended, `pillion stage --accept-rewritten --push` continues from {head}, in every clone",
                lost_commit.id.short()
            ))
    }
}

/// Reports a staged branch that is left alone because it has commits of other authors.
pub fn foreign_commits(
    config: &Path,
    (branch, sidecar_set): (&str, &str),
    foreign: &[Commit],
    options: &str,
) -> Option<Diagnostic> {
    let newest = foreign.first()?;
    let more = match foreign.len() {
        1 => String::new(),
        n => format!(" and {}", pluralize(n as u64 - 1, "more commit")),
    };
    let message = format!(
        "`{branch}` contains {} (\"{}\") by {}{more}, not created by pillion",
        newest.id.short(),
        newest.subject(),
        newest.author
    );
    Some(
        Diagnostic::error(Code::ForeignCommits, message)
            .at(Span::whole_file(config.to_string_lossy()))
            .field("git.staged")
            .because("the branch is neither replaced nor removed; the rollout continues without it, because pillion never reads commits from it")
            .help(format!(
                "to keep these commits, `git branch NAME {}`; then `pillion stage {sidecar_set}{options} --force --push` replaces the branch",
                newest.id.short()
            )),
    )
}
