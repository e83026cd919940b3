//! Errors of reading rollouts from a repository, and of writing them.

use crate::git;

/// Why a rollout cannot be read or written. Each text says what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// There is no deploy branch.
    #[error(
        "deploy branch `{branch}` (`git.deploy` of pillion.yaml) not found: neither `{tracking}` nor `{local}` exists; `git fetch` fetches the branches of the remote{more}"
    )]
    NoDeployBranch {
        /// Its short name.
        branch: String,
        /// The ref of the remote's branch.
        tracking: String,
        /// The ref of the local branch.
        local: String,
        /// How to create the branch, with two branches.
        more: String,
    },
    /// The remote has no deploy branch.
    #[error("`{remote}` has no branch `{branch}` yet: {how}")]
    NotPushed {
        /// The remote.
        remote: String,
        /// The deploy branch.
        branch: String,
        /// The command that creates it.
        how: String,
    },
    /// The author of a commit is unknown.
    #[error(
        "git identity is not configured, and the commit records its author: `git config --global user.name \"Your Name\"` and `git config --global user.email you@example.com`; in CI, set GIT_AUTHOR_NAME and GIT_AUTHOR_EMAIL"
    )]
    NoIdentity,
    /// No commit names the source of the rendered files.
    #[error(
        "no commit of `{place}` has a trailer `Pillion-Source`, which names the commit of `{source_branch}` that its files come from: `pillion render --branch {branch}` creates such a commit on `{branch}`"
    )]
    NoSourceTrailer {
        /// The searched ref.
        place: String,
        /// The deploy branch.
        branch: String,
        /// The branch of the sources.
        source_branch: String,
    },
    /// The branch of the sources is missing.
    #[error(
        "source branch `{source_branch}` of `{branch}` (`git.source` of pillion.yaml) not found: push it, or correct `git.source`"
    )]
    NoSourceBranch {
        /// The deploy branch.
        branch: String,
        /// The branch of the sources.
        source_branch: String,
    },
    /// The branch of the sources cannot be fetched.
    #[error(
        "the commit {}, which `{branch}` was rendered from, is not on `{source_branch}` in this clone, and the branch cannot be fetched: {why}",
        commit.short()
    )]
    SourceUnknown {
        /// The commit.
        commit: git::ObjectId,
        /// The deploy branch.
        branch: String,
        /// The branch of the sources.
        source_branch: String,
        /// Why it cannot be fetched.
        why: String,
    },
    /// The commit to render is not on the branch of the sources.
    #[error(
        "{} is not on {source_branch}, and only its commits are rendered onto `{branch}`: merge it into `{name}` and push first",
        commit.short()
    )]
    NotOnSource {
        /// The commit.
        commit: git::ObjectId,
        /// The deploy branch.
        branch: String,
        /// The branch of the sources, with its remote.
        source_branch: String,
        /// The branch of the sources.
        name: String,
    },
    /// A commit has no configuration.
    #[error("the commit {} has no `{path}`: `pillion init` writes one; commit and push it, or name another file with `--config`", commit.short())]
    NoConfiguration {
        /// The commit.
        commit: git::ObjectId,
        /// The path of pillion.yaml.
        path: String,
    },
    /// There is no folder for ledgers.
    #[error(
        "pillion.yaml sets no `ledgers` folder (`ledgers: ledgers`), which rollouts are written into; `pillion init rollout` creates the first ledgers"
    )]
    NoLedgers,
    /// There is no folder for rendered files.
    #[error(
        "pillion.yaml sets no `rendered` folder (`rendered: .` is the root of the deploy branch), so there is nothing to write onto a branch"
    )]
    NoRenderedFolder,
    /// The deploy branch was rendered from a commit that is not in the history of this one.
    #[error("`{branch}` was rendered from {}, which is not in the history of {}: the commit to render is not a descendant; merge that commit first", deploy_branch.short(), commit.short())]
    NewerSource {
        /// The deploy branch.
        branch: String,
        /// The commit that it was rendered from.
        deploy_branch: git::ObjectId,
        /// The commit to render.
        commit: git::ObjectId,
    },
    /// The local deploy branch and the one of the remote have diverged.
    #[error(
        "local `{branch}` and `{remote}/{branch}` have diverged: pillion renders on top of one of them; `git branch -f {branch} {remote}/{branch}` resets the local one"
    )]
    Diverged {
        /// The deploy branch.
        branch: String,
        /// The remote.
        remote: String,
    },
    /// There is no remote, and the deploy branch is checked out.
    #[error(
        "`{branch}` is checked out in `{place}`, and pillion never changes files of a working tree: run the command with `--no-push`, then `git merge --ff-only refs/pillion/outbox`; or leave the branch with `git switch --detach`; or add a remote"
    )]
    DeployBranchCheckedOut {
        /// The deploy branch.
        branch: String,
        /// The working tree.
        place: String,
    },
    /// The remote no longer has the deploy branch.
    #[error(
        "`{remote}` no longer has a branch `{branch}`; it was at {} when it was last fetched. `git push {remote} {last}:refs/heads/{branch}` restores it; if it was deleted on purpose, `git fetch --prune {remote}` forgets it here",
        last.short()
    )]
    DeployBranchDeleted {
        /// The remote.
        remote: String,
        /// The deploy branch.
        branch: String,
        /// The commit that it was at.
        last: git::ObjectId,
    },
}

impl Error {
    /// Returns whether a concurrent update caused the error: a retry may succeed right away.
    pub(crate) fn is_contention(&self) -> bool {
        matches!(self, Self::Git(failure) if failure.is_contention())
    }

    /// Returns whether the environment failed and a retry may succeed later: exit code 3, else 2.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Git(failure) => failure.is_retryable(),
            Self::SourceUnknown { .. } | Self::DeployBranchDeleted { .. } => true,
            _ => false,
        }
    }
}
