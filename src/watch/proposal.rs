//! Proposes a commit as a pull request: pushes it to a branch of its own, and creates or updates the pull request.

use super::environment::WatchError;
use super::providers::{
    Description, OpenPullRequest, ProviderError, PullRequest, PullRequestProvider, PullRequestState,
};
use crate::diagnostics::escape;
use crate::git::{self, ExpectedRef, ObjectId, RefMove, RefUpdate, Upstream};
use crate::model::config::branch_names::invalid_branch_reason;
use crate::rollout::RolloutPlan;
use crate::stage::{DeployBranch, Error, ProposalBranch, RepoContext, describe_proposal, examine_ref};

/// All branches of pull requests, for a fetch.
pub(crate) const PROPOSAL_GLOB: &str = "pillion/next/*";

/// A commit on top of the deploy branch that is proposed.
pub(crate) struct CommitProposal<'a> {
    pub(crate) commit: ObjectId,
    pub(crate) branch: &'a ProposalBranch,
    /// The plan that the commit is a step of.
    pub(crate) rollout: Option<&'a RolloutPlan<'a>>,
}

/// The outcome of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProposalOutcome {
    /// The pull request is open, with this commit.
    Open(ObjectId, OpenPullRequest),
    /// It cannot be proposed; the text says why and what to do.
    Blocked(String),
}

/// Proposes a commit; the branches of pull requests were fetched before. A commit with the same parent, tree and message
/// that is on the branch already stays.
///
/// # Errors
/// When git or the provider fails, or another process has pushed to the branch meanwhile.
pub(crate) fn propose_commit(
    repo: &RepoContext,
    deploy: &DeployBranch<'_>,
    provider: &dyn PullRequestProvider,
    proposal: &CommitProposal<'_>,
) -> Result<ProposalOutcome, WatchError> {
    let CommitProposal { branch, rollout, .. } = *proposal;
    if let Some(reason) = invalid_branch_reason(&branch.name) {
        let name = escape::line(&branch.name);
        return Ok(ProposalOutcome::Blocked(format!("`{name}` is not a valid branch name: {reason}")));
    }
    let upstream = repo.repository.upstream(&repo.branches.remote)?;
    if upstream == Upstream::Local {
        return Ok(ProposalOutcome::Blocked(
            "there is no remote to open a pull request on: `git remote add origin URL` adds one".to_owned(),
        ));
    }
    if let Some(text) = foreign_commit_reason(repo, deploy.head.id, branch)? {
        return Ok(ProposalOutcome::Blocked(text));
    }
    let found = repo.repository.tracked_branch(&upstream, &branch.name);
    let commit = match found {
        Some(tip) if is_same_change(repo, tip, proposal.commit)? => tip,
        _ => {
            let (to, expected) = (Some(proposal.commit), ExpectedRef::from_found(found));
            push_ref(repo, RefUpdate { name: ref_name(branch), to, expected, kind: RefMove::Force })?;
            proposal.commit
        }
    };
    let text = describe_proposal(deploy, (commit, branch), rollout)?;
    let description = Description {
        summary: text.summary,
        diff: text.diff,
        changed_files: text.changed_files,
        commands: text.commands,
        message: repo.repository.commit(commit)?.message,
    };
    let request = PullRequest::new(&branch.name, &repo.branches.deploy, description);
    let opened = provider.open_or_update(&request).map_err(provider_error)?;
    Ok(ProposalOutcome::Open(commit, opened))
}

/// Closes the open pull request of a branch with a reason, and deletes the branch. Commits of others on it keep both; the
/// text says so.
///
/// # Errors
/// When git or the provider fails.
pub(crate) fn withdraw_commit(
    repo: &RepoContext,
    head: ObjectId,
    provider: &dyn PullRequestProvider,
    (branch, reason): (&ProposalBranch, &str),
) -> Result<Option<String>, WatchError> {
    let upstream = repo.repository.upstream(&repo.branches.remote)?;
    let Some(found) = repo.repository.tracked_branch(&upstream, &branch.name) else { return Ok(None) };
    if let Some(text) = foreign_commit_reason(repo, head, branch)? {
        return Ok(Some(text));
    }
    let open = provider.find(&branch.name, &repo.branches.deploy).map_err(provider_error)?;
    if let Some(request) = open.filter(|request| request.state == PullRequestState::Open) {
        provider.close(request.number, reason).map_err(provider_error)?;
    }
    let expected = ExpectedRef::At(found);
    push_ref(repo, RefUpdate { name: ref_name(branch), to: None, expected, kind: RefMove::Force })?;
    Ok(None)
}

fn ref_name(branch: &ProposalBranch) -> String {
    format!("refs/heads/{}", branch.name)
}

/// Describes the first commit of others on the branch of a pull request: such a branch is neither replaced nor
/// deleted.
pub(super) fn foreign_commit_reason(
    repo: &RepoContext,
    head: ObjectId,
    branch: &ProposalBranch,
) -> Result<Option<String>, Error> {
    let upstream = repo.repository.upstream(&repo.branches.remote)?;
    let Some(tip) = repo.repository.tracked_branch(&upstream, &branch.name) else { return Ok(None) };
    let owner = (branch.sidecar_set.as_deref(), &repo.branches.identity);
    let side = examine_ref(&repo.repository, (head, tip), owner)?;
    Ok(side.foreign.first().map(|commit| {
        format!(
            "`{0}` has {1} (\"{2}\") by {3}, which pillion did not create; once it is no longer needed, run `git push {4} --delete {0}`",
            branch.name,
            commit.id.short(),
            escape::line(commit.subject()),
            escape::line(&commit.author.to_string()),
            repo.branches.remote
        )
    }))
}

/// Returns whether two commits change the same in the same words: one that a person makes again has another date only.
fn is_same_change(repo: &RepoContext, a: ObjectId, b: ObjectId) -> Result<bool, git::Error> {
    let (a, b) = (repo.repository.commit(a)?, repo.repository.commit(b)?);
    Ok(a.tree == b.tree && a.parents == b.parents && a.message == b.message)
}

/// Pushes one ref to the remote.
pub(super) fn push_ref(repo: &RepoContext, update: RefUpdate) -> Result<(), WatchError> {
    let upstream = repo.repository.upstream(&repo.branches.remote)?;
    for outcome in repo.repository.push(&upstream, &[update])? {
        outcome?;
    }
    Ok(())
}

fn provider_error(error: ProviderError) -> WatchError {
    WatchError::service(error.message, error.is_retryable, error.retry_after)
}
