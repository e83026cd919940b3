//! Why can a rollout not be read from a repository, or not be written into it?

use crate::git;

/// Why a rollout cannot be read or written. Each text says what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// There is no deploy branch.
    #[error(
        "there is no branch `{branch}`, which `git.deploy` of pillion.yaml says the cluster follows: neither `{tracking}` nor `{local}` exists; `git fetch` brings the branches of the remote{more}"
    )]
    NoDeployBranch {
        /// Its short name.
        branch: String,
        /// The ref of the remote's branch.
        tracking: String,
        /// The ref of the local branch.
        local: String,
        /// What makes the branch, with two of them.
        more: String,
    },
    /// The remote has no deploy branch.
    #[error("`{remote}` has no branch `{branch}` yet: {how}")]
    NotPushed {
        /// The remote.
        remote: String,
        /// The deploy branch.
        branch: String,
        /// The command that makes it.
        how: String,
    },
    /// Nobody knows who does this.
    #[error(
        "git does not know who you are, and the commit is to say who did this: `git config --global user.name \"Your Name\"` and `git config --global user.email you@example.com`; in CI, GIT_AUTHOR_NAME and GIT_AUTHOR_EMAIL say it"
    )]
    NoIdentity,
    /// No commit says where the rendered files come from.
    #[error(
        "no commit of `{place}` has a trailer `Pillion-Source`, which says the commit of `{source_branch}` that its files come from: `pillion render --branch {branch}` makes such a commit on `{branch}`"
    )]
    NoSourceTrailer {
        /// Where it was looked for.
        place: String,
        /// The deploy branch.
        branch: String,
        /// The branch of the sources.
        source_branch: String,
    },
    /// Nobody knows the branch of the sources.
    #[error(
        "there is no branch `{source_branch}`, which `git.source` of pillion.yaml says `{branch}` is rendered from: push it, or correct `git.source`"
    )]
    NoSourceBranch {
        /// The deploy branch.
        branch: String,
        /// The branch of the sources.
        source_branch: String,
    },
    /// The branch of the sources cannot be asked.
    #[error(
        "the commit {}, which `{branch}` was rendered from, is not on `{source_branch}` as far as this clone knows, and that cannot be fetched: {why}",
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
    /// What is to be rendered is not on the branch of the sources.
    #[error(
        "{} is not on {source_branch}, and only what is there is rendered onto `{branch}`: bring it onto `{name}` first (merge it, `git push`)",
        commit.short()
    )]
    NotOnSource {
        /// The commit.
        commit: git::ObjectId,
        /// The deploy branch.
        branch: String,
        /// The branch of the sources, and of what.
        source_branch: String,
        /// The branch of the sources.
        name: String,
    },
    /// A commit has no configuration.
    #[error("the commit {} has no `{path}`: commit it there, or name another file with `--config`", commit.short())]
    NoConfiguration {
        /// The commit.
        commit: git::ObjectId,
        /// Where pillion.yaml was looked for.
        path: String,
    },
    /// There is no place for ledgers.
    #[error(
        "pillion.yaml names no folder of ledgers (`ledgers: ledgers`), and a rollout is written into one; `pillion init rollout` makes them"
    )]
    NoLedgers,
    /// There is no place for rendered files.
    #[error(
        "pillion.yaml names no folder of rendered files (`rendered: .` is the root of the deploy branch), so there is nothing to write onto a branch"
    )]
    NoRenderedFolder,
    /// The deploy branch was rendered from a commit that is not in the history of this one.
    #[error("`{branch}` was rendered from {}, which is not in the history of {}: an older or another line of the sources is not rendered over it; merge that commit first", deploy_branch.short(), commit.short())]
    NewerSource {
        /// The deploy branch.
        branch: String,
        /// What it was rendered from.
        deploy_branch: git::ObjectId,
        /// What was to be rendered.
        commit: git::ObjectId,
    },
    /// This repository and the remote have gone different ways.
    #[error(
        "`{branch}` here and on `{remote}` have gone different ways: pillion renders on top of one of them; `git branch -f {branch} {remote}/{branch}` takes the remote's"
    )]
    Diverged {
        /// The deploy branch.
        branch: String,
        /// The remote.
        remote: String,
    },
    /// The remote had the deploy branch, and has it no longer.
    #[error(
        "`{remote}` has no branch `{branch}` any more; it was at {} when it was last fetched. `git push {remote} {last}:refs/heads/{branch}` restores it; where it is gone on purpose, `git fetch --prune {remote}` forgets it here",
        last.short()
    )]
    DeployBranchDeleted {
        /// The remote.
        remote: String,
        /// The deploy branch.
        branch: String,
        /// Where it was.
        last: git::ObjectId,
    },
}

impl Error {
    /// Returns whether somebody else was at the same ref at the same moment: the same may succeed right away.
    pub fn is_contention(&self) -> bool {
        matches!(self, Self::Git(failure) if failure.is_contention())
    }

    /// Returns whether the world failed, and the same command may succeed later: exit code 3, else 2.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Git(failure) => failure.is_retryable(),
            Self::SourceUnknown { .. } | Self::DeployBranchDeleted { .. } => true,
            _ => false,
        }
    }
}
