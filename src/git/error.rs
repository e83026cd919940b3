//! What can go wrong with a repository, whose fault it is, and what helps?

use super::ObjectId;

/// Why something could not be done in a repository. Each text says what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no repository.
    #[error("`{path}` is in no git repository: run pillion inside one, or make one with `git init`")]
    RepositoryNotFound {
        /// Where it was looked for.
        path: String,
    },
    /// A folder has the form of a bare repository, and does not count as one.
    #[error(
        "`{path}` has the form of a git repository, but {reason}: its configuration could start programs. Run pillion in another folder, or, if the repository is your own, name it: `GIT_DIR={path}`"
    )]
    BareRepository {
        /// The folder.
        path: String,
        /// Why it does not count.
        reason: String,
    },
    /// A file of the working tree says which program git starts.
    #[error(
        "`{key}` of git's configuration comes from `{file}`, which is in the working tree: a commit could have it start any program. Write it into `.git/config`, or into your own configuration (`git config --global`)"
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
    /// A revision names nothing.
    #[error("`{revision}` names no commit of this repository{hint}")]
    RevisionNotFound {
        /// As it was asked for.
        revision: String,
        /// What might be meant; begins with a colon or is empty.
        hint: String,
    },
    /// The history that a question needs was never fetched.
    #[error(
        "this is a shallow clone, and {question} cannot be told from the commits it has: run `git fetch --unshallow` (in CI: check out with the whole history)"
    )]
    Shallow {
        /// What was to be found out.
        question: String,
    },
    /// An object is not there.
    #[error("the object {id} is missing: {hint}")]
    MissingObject {
        /// Its name.
        id: ObjectId,
        /// What to do.
        hint: &'static str,
    },
    /// A tree has no end in sight.
    #[error(
        "the folder `{path}` of a commit {what}, more than pillion reads: no repository of manifests does; remove it"
    )]
    TreeTooLarge {
        /// The beginning of its path from the root of the tree.
        path: String,
        /// What is too much.
        what: &'static str,
    },
    /// A file is too long to be read.
    #[error("the file {id} of a commit is longer than 512 MiB: no manifest is; remove it")]
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
    /// A name is no ref.
    #[error("`{name}` cannot be the name of a ref: {reason}")]
    InvalidRefName {
        /// The name.
        name: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// Somebody works on the branch.
    #[error(
        "`{name}` is checked out in `{place}`, and moving it would leave the files there behind: check out something else (`git switch --detach`), or push to a remote"
    )]
    CheckedOut {
        /// The branch.
        name: String,
        /// The working tree.
        place: String,
    },
    /// A ref is no longer what it was when it was read.
    #[error("`{name}` was moved by somebody else: expected {expected}, found {found}; run the command again")]
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
        "`{name}` is locked by another process; where no git program and no pillion is running in this repository, one that was killed has left `{path}`: delete that file"
    )]
    Locked {
        /// The ref.
        name: String,
        /// The file.
        path: String,
        /// What libgit2 says.
        source: git2::Error,
    },
    /// A commit's author cannot be written.
    #[error("the {what} of git.identity in pillion.yaml {found}")]
    InvalidIdentity {
        /// `name` or `email`.
        what: &'static str,
        /// What is wrong with it.
        found: String,
    },
    /// A commit's message cannot be written.
    #[error("the commit message has a NUL character")]
    InvalidMessage,
    /// There is no such remote.
    #[error(
        "there is no remote `{name}`, only `{known}`: set `git.remote` in pillion.yaml, or run `git remote add {name} URL`"
    )]
    RemoteNotFound {
        /// The name.
        name: String,
        /// The remotes that there are.
        known: String,
    },
    /// The server does not let this user in.
    #[error(
        "nothing could be {doing} `{remote}`, because it does not accept the credentials of git ({said}): `git fetch {remote}` must work without a question, by a credential helper, an ssh key or `http.extraHeader`"
    )]
    AccessDenied {
        /// `fetched from` or `pushed to`.
        doing: &'static str,
        /// The remote.
        remote: String,
        /// What it says.
        said: String,
    },
    /// The server has no such repository.
    #[error(
        "nothing could be {doing} `{remote}`, because there is no such repository, or it is hidden from this user ({said}): `git remote get-url {remote}` shows its address"
    )]
    RemoteRepositoryNotFound {
        /// `fetched from` or `pushed to`.
        doing: &'static str,
        /// The remote.
        remote: String,
        /// What it says.
        said: String,
    },
    /// The server cannot be reached.
    #[error(
        "nothing could be {doing} `{remote}`, because it cannot be reached ({said}): run the command again"
    )]
    Unreachable {
        /// `fetched from` or `pushed to`.
        doing: &'static str,
        /// The remote.
        remote: String,
        /// What git says.
        said: String,
    },
    /// A file of git's own is in the way.
    #[error(
        "nothing could be {doing} `{remote}`, because `{path}` is there: another git program works in this repository, or one that was killed has left the file; where none is running, delete it and run the command again"
    )]
    LockFile {
        /// `fetched from` or `pushed to`.
        doing: &'static str,
        /// The remote.
        remote: String,
        /// The file.
        path: String,
    },
    /// git failed in another way.
    #[error("nothing could be {doing} `{remote}`: {said}")]
    RemoteFailed {
        /// `fetched from` or `pushed to`.
        doing: &'static str,
        /// The remote.
        remote: String,
        /// What git says.
        said: String,
    },
    /// The server keeps the branch for others.
    #[error(
        "`{name}` of `{remote}` is protected, and this user may not push to it ({said}): let it push there, or push to another branch and open a pull request from it"
    )]
    Protected {
        /// The remote.
        remote: String,
        /// The branch.
        name: String,
        /// What the server says.
        said: String,
    },
    /// A hook of the server does not like the commit.
    #[error(
        "`{remote}` does not take the commits for `{name}` ({said}): this is a rule of the server, not of pillion"
    )]
    Declined {
        /// The remote.
        remote: String,
        /// The branch.
        name: String,
        /// What the server says.
        said: String,
    },
    /// A push would rewrite history.
    #[error(
        "`{name}` is not moved from {from} to {to}, because that would take commits away from it: run the command again on its present head"
    )]
    NotFastForward {
        /// The ref.
        name: String,
        /// Where it is.
        from: String,
        /// Where it was to go.
        to: String,
    },
    /// A commit could not be signed.
    #[error(
        "a commit cannot be signed by `{program}`, as git is configured to (`commit.gpgsign`): {detail}; mend that, or set `commit.gpgsign` to false in this clone"
    )]
    SigningFailed {
        /// The program that signs.
        program: String,
        /// What it says.
        detail: String,
    },
    /// The repository's folder cannot be written.
    #[error(
        "`{path}` cannot be written: {source}; make room, or give the user that runs pillion the right to"
    )]
    WriteFailed {
        /// The folder.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A program is not installed.
    #[error("the program `{program}` is not found: install it, or put it on PATH")]
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
    /// A program did not end.
    #[error("`{doing}` was ended because it took longer than {seconds} s; run the command again")]
    Timeout {
        /// What was being done.
        doing: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// pillion is to end.
    #[error("`{doing}` was ended because pillion is to end")]
    Stopped {
        /// What was being done.
        doing: String,
    },
    /// Something else that libgit2 says.
    #[error("{what}: {source}")]
    Git {
        /// What was being done.
        what: String,
        /// What libgit2 says.
        source: git2::Error,
    },
}

impl Error {
    /// Returns whether the world failed, and the same command may succeed later: exit code 3, else 2.
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

    /// Returns whether somebody else was at the same ref at the same moment: the same may succeed right away.
    pub fn is_contention(&self) -> bool {
        match self {
            Self::RefMoved { .. } | Self::Locked { .. } | Self::LockFile { .. } => true,
            Self::Unreachable { said, .. } | Self::RemoteFailed { said, .. } => {
                said.contains("cannot lock ref") || said.contains(".lock': File exists")
            }
            _ => false,
        }
    }

    /// Returns whether something is asked for that is not in this clone: the history is cut off.
    pub fn is_beyond_history(&self) -> bool {
        matches!(self, Self::Shallow { .. } | Self::MissingObject { .. })
    }

    /// Returns a closure that says what was being done when libgit2 failed.
    pub(super) fn from_git(what: impl Into<String>) -> impl FnOnce(git2::Error) -> Self {
        |source| Self::Git { what: what.into(), source }
    }
}
