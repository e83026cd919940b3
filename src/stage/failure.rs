//! Why can a rollout not be read from a repository, or not be written into it?

use crate::git;

/// Why a rollout cannot be read or written. Each text says what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The repository failed.
    #[error(transparent)]
    Git(#[from] git::Failure),
    /// There is no live branch.
    #[error(
        "there is no branch `{branch}`, which `git.live` of pillion.yaml says the cluster follows: neither `{tracking}` nor `{local}` exists; `git fetch` brings the branches of the remote{more}"
    )]
    NoLiveBranch {
        /// Its short name.
        branch: String,
        /// The ref of the remote's branch.
        tracking: String,
        /// The ref of the local branch.
        local: String,
        /// What makes the branch, with two of them.
        more: String,
    },
    /// The remote has no live branch.
    #[error("`{remote}` has no branch `{branch}` yet: {how}")]
    NotPushed {
        /// The remote.
        remote: String,
        /// The live branch.
        branch: String,
        /// The command that makes it.
        how: String,
    },
    /// Nobody knows who does this.
    #[error(
        "git does not know who you are, and the commit is to say who did this: `git config --global user.name \"Your Name\"` and `git config --global user.email you@example.com`; in CI, GIT_AUTHOR_NAME and GIT_AUTHOR_EMAIL say it"
    )]
    NoPerson,
    /// No commit says where the rendered files come from.
    #[error(
        "no commit of `{place}` has a trailer `Pillion-Source`, which says the commit of `{source_branch}` that its files come from: `pillion render --branch {branch}` makes such a commit on `{branch}`"
    )]
    NoSource {
        /// Where it was looked for.
        place: String,
        /// The live branch.
        branch: String,
        /// The branch of the sources.
        source_branch: String,
    },
    /// Nobody knows the branch of the sources.
    #[error(
        "there is no branch `{source_branch}`, which `git.source` of pillion.yaml says `{branch}` is rendered from: push it, or correct `git.source`"
    )]
    NoSourceBranch {
        /// The live branch.
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
        commit: git::Id,
        /// The live branch.
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
        commit: git::Id,
        /// The live branch.
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
        commit: git::Id,
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
        "pillion.yaml names no folder of rendered files (`rendered: .` is the root of the live branch), so there is nothing to write onto a branch"
    )]
    NothingRendered,
    /// The live branch was rendered from a commit that is not in the history of this one.
    #[error("`{branch}` was rendered from {}, which is not in the history of {}: an older or another line of the sources is not rendered over it; merge that commit first", live.short(), commit.short())]
    NewerSource {
        /// The live branch.
        branch: String,
        /// What it was rendered from.
        live: git::Id,
        /// What was to be rendered.
        commit: git::Id,
    },
    /// This repository and the remote have gone different ways.
    #[error(
        "`{branch}` here and on `{remote}` have gone different ways: pillion renders on top of one of them; `git branch -f {branch} {remote}/{branch}` takes the remote's"
    )]
    Diverged {
        /// The live branch.
        branch: String,
        /// The remote.
        remote: String,
    },
    /// The remote had the live branch, and has it no longer.
    #[error(
        "`{remote}` has no branch `{branch}` any more; it was at {} when it was last fetched. `git push {remote} {last}:refs/heads/{branch}` restores it; where it is gone on purpose, `git fetch --prune {remote}` forgets it here",
        last.short()
    )]
    LiveGone {
        /// The remote.
        remote: String,
        /// The live branch.
        branch: String,
        /// Where it was.
        last: git::Id,
    },
}

impl Failure {
    /// Returns whether somebody else was at the same ref at the same moment: the same may succeed right away.
    pub fn is_contention(&self) -> bool {
        matches!(self, Self::Git(failure) if failure.is_contention())
    }

    /// Returns whether the world failed, and the same command may succeed later: exit code 3, else 2.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Git(failure) => failure.is_retryable(),
            Self::SourceUnknown { .. } | Self::LiveGone { .. } => true,
            _ => false,
        }
    }
}
