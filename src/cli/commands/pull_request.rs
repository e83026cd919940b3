//! Where the commit of a verb goes: to the deploy branch, to the outbox, or into a pull request.

use crate::cli::error::CommandError;
use crate::cli::repository::RepoContext;
use crate::git::{self, Identity, ObjectId};
use crate::rollout::RolloutPlan;
use crate::stage::{self, DeployBranch, ProposalBranch};
use clap::Args;

/// Where a commit goes.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(in crate::cli) struct DeliveryArgs {
    /// Write the commit to refs/pillion/outbox instead of pushing it to the deploy branch
    #[arg(long)]
    pub(in crate::cli) no_push: bool,
    /// Open a pull request instead of pushing to the deploy branch: merging it releases the commit
    #[arg(long, conflicts_with = "no_push")]
    pub(in crate::cli) pull_request: bool,
}

/// A commit of a verb, on top of the deploy branch, for a pull request.
#[cfg_attr(
    not(feature = "watch"),
    expect(dead_code, reason = "only a build with `watch` opens pull requests")
)]
pub(in crate::cli) struct PullRequestCommit<'a> {
    pub(in crate::cli) commit: ObjectId,
    /// The person who makes it; None: it is pillion's own.
    pub(in crate::cli) author: Option<&'a Identity>,
    pub(in crate::cli) branch: ProposalBranch,
    /// The plan that the commit is a step of.
    pub(in crate::cli) rollout: Option<&'a RolloutPlan<'a>>,
    /// What its release does not wait for: a paragraph of the message.
    pub(in crate::cli) note: Option<&'a str>,
}

/// A pull request of a verb.
pub(in crate::cli) struct ProposedCommit {
    /// The commit on its branch.
    pub(in crate::cli) commit: ObjectId,
    /// `pull request #7 opened: URL`, what is so until it is merged, and what merging does.
    pub(in crate::cli) text: String,
}

/// Opens or updates the pull request of a commit, in the name of its author.
#[cfg(feature = "watch")]
pub(in crate::cli) fn propose(
    context: &RepoContext,
    deploy_branch: &DeployBranch<'_>,
    made: &PullRequestCommit<'_>,
) -> Result<ProposedCommit, CommandError> {
    use crate::cli::clock;
    use crate::git::ReleaseStamp;
    use crate::watch::proposal::{CommitProposal, PROPOSAL_GLOB, ProposalOutcome, propose_commit};
    use crate::watch::providers::PullRequestChange;
    // What is missing is said before anything is pushed.
    let provider = super::watch::connect_provider(context)?;
    context.fetch_with(&[PROPOSAL_GLOB])?;
    let release = ReleaseStamp { at: clock::now(), by: made.author, note: made.note };
    let commit = context.repository.release_commit(made.commit, &release, &context.signing()?)?;
    let proposal = CommitProposal { commit, branch: &made.branch, rollout: made.rollout };
    let (commit, opened) = match propose_commit(context, deploy_branch, &*provider, &proposal)? {
        ProposalOutcome::Open(commit, opened) => (commit, opened),
        ProposalOutcome::Blocked(text) => {
            return Err(CommandError::findings(format!("nothing is proposed: {text}")));
        }
    };
    let change = match opened.change {
        PullRequestChange::Created => "opened",
        PullRequestChange::Updated => "updated",
        PullRequestChange::Unchanged => "unchanged",
    };
    let effect = stage::merging_effect(&context.repository.commit(commit)?);
    Ok(ProposedCommit {
        commit,
        text: format!(
            "{} {change}: {}\n`{}` is unchanged until it is merged. Merging it {effect}\n",
            provider.reference(opened.number),
            crate::diagnostics::escape::line(&opened.url),
            deploy_branch.branches.deploy,
        ),
    })
}

/// A build without the feature `watch` has no HTTP client.
#[cfg(not(feature = "watch"))]
pub(in crate::cli) fn propose(
    _: &RepoContext,
    _: &DeployBranch<'_>,
    _: &PullRequestCommit<'_>,
) -> Result<ProposedCommit, CommandError> {
    Err(CommandError::usage(
        "this build of pillion cannot open pull requests: it was built without the feature `watch`; use one with it, or `--no-push` and open the pull request by hand",
    ))
}

/// Adds what to do to the error of a push to a protected branch.
pub(in crate::cli) fn with_pull_request_hint(error: stage::Error) -> CommandError {
    let is_protected = matches!(&error, stage::Error::Git(git::Error::Protected { .. }));
    let error = CommandError::from(error);
    if !is_protected {
        return error;
    }
    error.hint("run the same command with `--pull-request`: it opens a pull request, and merging that releases the commit")
}
