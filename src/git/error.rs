//! Errors of a repository, and how to fix them.

use super::ObjectId;

/// Why an operation in a repository failed. Each message says what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No repository was found.
    #[error("`{path}` is not in a git repository: run pillion inside one, or create one with `git init`")]
    RepositoryNotFound {
        /// Where it was looked for.
        path: String,
    },
    /// A folder has the form of a bare repository, and does not count as one.
    #[error(
        "`{path}` looks like a git repository, but {reason}: its configuration could start programs; run pillion in another folder, or set `GIT_DIR={path}` if the repository is yours"
    )]
    BareRepository {
        /// The folder.
        path: String,
        /// Why it does not count.
        reason: String,
    },
    /// A file of the working tree says which program git starts.
    #[error(
        "`{key}` of git's configuration comes from `{file}`, which is in the working tree: a commit could make it start any program; set it in `.git/config`, or in your own configuration (`git config --global`)"
    )]
    IncludedProgram {
        /// The key.
        key: String,
        /// Its file.
        file: String,
    },
    /// The repository uses something that libgit2 cannot read.
    #[error("the repository `{path}` {reason}")]
    Unsupported {
        /// The repository.
        path: String,
        /// What it uses, and what to do.
        reason: String,
    },
    /// A revision was not found.
    #[error("`{revision}` is not a commit of this repository{hint}")]
    RevisionNotFound {
        /// The revision as given.
        revision: String,
        /// Suggestions; begins with a colon or is empty.
        hint: String,
    },
    /// The answer needs history that was not fetched.
    #[error(
        "this is a shallow clone, and {question} cannot be determined from its commits: run `git fetch --unshallow` (in CI: check out with the whole history)"
    )]
    Shallow {
        /// What cannot be determined.
        question: String,
    },
    /// An object is missing.
    #[error("the object {id} is missing: {hint}")]
    MissingObject {
        /// Its id.
        id: ObjectId,
        /// What to do.
        hint: &'static str,
    },
    /// A tree exceeds a limit.
    #[error("the folder `{path}` of a commit {limit}, which is more than pillion reads: remove it")]
    TreeTooLarge {
        /// The start of its path from the root of the tree.
        path: String,
        /// The exceeded limit.
        limit: &'static str,
    },
    /// A file is too long to be read.
    #[error("the file {id} of a commit is larger than 512 MiB: remove it")]
    FileTooLarge {
        /// Its object.
        id: ObjectId,
    },
    /// A path cannot be written.
    #[error("`{path}` cannot be written into a tree: {reason}")]
    InvalidPath {
        /// The path, from the root of the tree.
        path: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// A name is not a valid ref.
    #[error("`{name}` cannot be the name of a ref: {reason}")]
    InvalidRefName {
        /// The name.
        name: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// The branch is checked out.
    #[error(
        "`{name}` is checked out in `{place}`, and moving it would leave its files outdated: check out something else (`git switch --detach`), or push to a remote"
    )]
    CheckedOut {
        /// The branch.
        name: String,
        /// The working tree.
        place: String,
    },
    /// A ref was updated concurrently.
    #[error("`{name}` was updated concurrently: expected {expected}, found {found}; run the command again")]
    RefMoved {
        /// The ref.
        name: String,
        /// What was read.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Another process has the ref locked.
    #[error(
        "`{name}` is locked by another process; if no git and no pillion is running in this repository, a killed process has left `{path}`: delete it"
    )]
    Locked {
        /// The ref.
        name: String,
        /// The file.
        path: String,
        /// The message of libgit2.
        source: git2::Error,
    },
    /// A commit's author cannot be written.
    #[error("the {field} of git.identity in pillion.yaml {problem}")]
    InvalidIdentity {
        /// `name` or `email`.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A commit's message cannot be written.
    #[error("the commit message has a NUL character")]
    InvalidMessage,
    /// The remote does not exist.
    #[error(
        "there is no remote `{name}`, only `{known}`: set `git.remote` in pillion.yaml, or run `git remote add {name} URL`"
    )]
    RemoteNotFound {
        /// The name.
        name: String,
        /// The existing remotes.
        known: String,
    },
    /// The server denies access.
    #[error(
        "nothing could be {action} `{remote}`: it does not accept git's credentials ({reason}); make `git fetch {remote}` work without a prompt, by a credential helper, an ssh key or `http.extraHeader`"
    )]
    AccessDenied {
        /// `fetched from` or `pushed to`.
        action: &'static str,
        /// The remote.
        remote: String,
        /// Its message.
        reason: String,
    },
    /// The repository does not exist on the server, or is hidden.
    #[error(
        "nothing could be {action} `{remote}`: the repository does not exist, or is hidden from this user ({reason}); `git remote get-url {remote}` shows its address"
    )]
    RemoteRepositoryNotFound {
        /// `fetched from` or `pushed to`.
        action: &'static str,
        /// The remote.
        remote: String,
        /// Its message.
        reason: String,
    },
    /// The server is unreachable.
    #[error("nothing could be {action} `{remote}`: it is unreachable ({reason}); run the command again")]
    Unreachable {
        /// `fetched from` or `pushed to`.
        action: &'static str,
        /// The remote.
        remote: String,
        /// The message of git.
        reason: String,
    },
    /// A lock file of git exists.
    #[error(
        "nothing could be {action} `{remote}`: `{path}` exists; another git program is running in this repository, or a killed one has left the file; if none is running, delete it and run the command again"
    )]
    LockFile {
        /// `fetched from` or `pushed to`.
        action: &'static str,
        /// The remote.
        remote: String,
        /// The file.
        path: String,
    },
    /// Another error of git.
    #[error("nothing could be {action} `{remote}`: {reason}")]
    RemoteFailed {
        /// `fetched from` or `pushed to`.
        action: &'static str,
        /// The remote.
        remote: String,
        /// The message of git.
        reason: String,
    },
    /// The branch is protected on the server.
    #[error(
        "`{name}` of `{remote}` is protected, and this user may not push to it ({reason}): allow it, or push to another branch and open a pull request"
    )]
    Protected {
        /// The remote.
        remote: String,
        /// The branch.
        name: String,
        /// The server's message.
        reason: String,
    },
    /// A hook of the server rejects the commits.
    #[error(
        "`{remote}` rejects the commits for `{name}` ({reason}): this is a rule of the server, not of pillion"
    )]
    Declined {
        /// The remote.
        remote: String,
        /// The branch.
        name: String,
        /// The server's message.
        reason: String,
    },
    /// A push would rewrite history.
    #[error(
        "`{name}` is not moved from {from} to {to}, because that would drop commits: run the command again on its current head"
    )]
    NotFastForward {
        /// The ref.
        name: String,
        /// The current commit.
        from: String,
        /// The rejected target.
        to: String,
    },
    /// A commit could not be signed.
    #[error(
        "a commit cannot be signed by `{program}`, as git is configured to (`commit.gpgsign`): {detail}; fix the signing configuration, or set `commit.gpgsign` to false in this clone"
    )]
    SigningFailed {
        /// The program that signs.
        program: String,
        /// Its message.
        detail: String,
    },
    /// The repository's folder cannot be written.
    #[error(
        "`{path}` cannot be written: {source}; free disk space, or grant write permission to the user that runs pillion"
    )]
    WriteFailed {
        /// The folder.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A program is not installed.
    #[error("the program `{program}` is not found: install it, or add it to PATH")]
    ProgramNotFound {
        /// Its name.
        program: String,
    },
    /// A program could not be started.
    #[error("the program `{program}` cannot be started: {source}")]
    ProgramStart {
        /// Its name.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A program exceeded its timeout.
    #[error("`{action}` was ended because it took longer than {seconds} s; run the command again")]
    Timeout {
        /// The program.
        action: String,
        /// The timeout.
        seconds: u64,
    },
    /// pillion is shutting down.
    #[error("`{action}` was ended because pillion is shutting down")]
    Stopped {
        /// The program.
        action: String,
    },
    /// Another error of libgit2.
    #[error("{action}: {source}")]
    Git {
        /// The failed action.
        action: String,
        /// The message of libgit2.
        source: git2::Error,
    },
}

impl Error {
    /// Returns whether the environment failed and the same command may succeed later: exit code 3, else 2.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RefMoved { .. }
            | Self::Locked { .. }
            | Self::LockFile { .. }
            | Self::Unreachable { .. }
            | Self::RemoteFailed { .. }
            | Self::WriteFailed { .. }
            | Self::ProgramStart { .. }
            | Self::Timeout { .. }
            | Self::Stopped { .. }
            | Self::Shallow { .. } => true,
            Self::Git { source, .. } => {
                matches!(source.class(), git2::ErrorClass::Os | git2::ErrorClass::Filesystem)
            }
            _ => false,
        }
    }

    /// Returns whether the cause is a concurrent update of the same ref: a retry may succeed at once.
    pub(crate) fn is_contention(&self) -> bool {
        match self {
            Self::RefMoved { .. } | Self::Locked { .. } | Self::LockFile { .. } => true,
            Self::Unreachable { reason, .. } | Self::RemoteFailed { reason, .. } => {
                reason.contains("cannot lock ref") || reason.contains(".lock': File exists")
            }
            _ => false,
        }
    }

    /// Returns whether the clone lacks the requested object because its history is cut off.
    pub(crate) fn is_beyond_history(&self) -> bool {
        matches!(self, Self::Shallow { .. } | Self::MissingObject { .. })
    }

    /// Returns a closure that wraps an error of libgit2 with the failed action.
    pub(super) fn from_git(action: impl Into<String>) -> impl FnOnce(git2::Error) -> Self {
        |source| Self::Git { action: action.into(), source }
    }
}
