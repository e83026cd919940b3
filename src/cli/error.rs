//! The error of a command: every command returns it, and [`super::run`] reports it once.

use super::{EXIT_ENVIRONMENT, EXIT_FINDINGS, EXIT_USAGE};
use crate::diagnostics::Diagnostic;
use crate::git;
use crate::integrations::cmp::{self, KustomizeError};
use crate::rollout::transitions::TransitionError;
use crate::stage;
use crate::write;
use std::io::ErrorKind as IoErrorKind;

/// The party at fault; it decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorKind {
    /// The files, or what a person asked of them.
    Findings,
    /// The command line or pillion.yaml.
    Usage,
    /// The environment; a retry may help.
    Environment,
}

/// A cause that makes a difference to the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorCause {
    /// Another push came first; this commit was not pushed.
    Conflict,
    /// Another process has a lock.
    Contention,
    /// The clone is shallow and lacks a commit.
    MissingHistory,
}

/// Why a command did not do what it was run for, and what to do about it.
#[derive(Debug)]
pub(super) struct CommandError {
    kind: ErrorKind,
    /// What is wrong; None where diagnostics say it.
    pub(super) message: Option<String>,
    /// What to do next, on a line of its own.
    pub(super) hint: Option<String>,
    /// What is wrong with files, beside what the reporter has.
    pub(super) diagnostics: Vec<Diagnostic>,
    cause: Option<ErrorCause>,
}

impl CommandError {
    /// The command line or pillion.yaml is wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, Some(message.into()))
    }

    /// A person asked for something that the files do not allow.
    pub(super) fn findings(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Findings, Some(message.into()))
    }

    /// The environment failed.
    pub(super) fn environment(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Environment, Some(message.into()))
    }

    /// Diagnostics say what is wrong with the files.
    pub(super) fn from_diagnostics(diagnostics: impl IntoIterator<Item = Diagnostic>) -> Self {
        Self { diagnostics: diagnostics.into_iter().collect(), ..Self::new(ErrorKind::Findings, None) }
    }

    /// Diagnostics say what is wrong with the configuration.
    pub(super) fn invalid_config(diagnostics: impl IntoIterator<Item = Diagnostic>) -> Self {
        Self { kind: ErrorKind::Usage, ..Self::from_diagnostics(diagnostics) }
    }

    /// Another push to the branch came first.
    pub(super) fn conflict(branch: &str) -> Self {
        let message = format!(
            "pushes to `{branch}` were rejected (non-fast-forward) for one minute; nothing was changed, try again"
        );
        Self { cause: Some(ErrorCause::Conflict), ..Self::environment(message) }
    }

    fn new(kind: ErrorKind, message: Option<String>) -> Self {
        Self { kind, message, hint: None, diagnostics: Vec::new(), cause: None }
    }

    /// Adds what to do next.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Returns the cause, where it makes a difference.
    pub(super) fn cause(&self) -> Option<ErrorCause> {
        self.cause
    }

    /// Takes missing history as a failure of the environment: in a full clone the same command succeeds.
    pub(super) fn or_missing_history(self) -> Self {
        match self.cause {
            Some(ErrorCause::MissingHistory) => Self { kind: ErrorKind::Environment, ..self },
            _ => self,
        }
    }

    /// Returns the exit code.
    pub(super) fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Findings => EXIT_FINDINGS,
            ErrorKind::Usage => EXIT_USAGE,
            ErrorKind::Environment => EXIT_ENVIRONMENT,
        }
    }
}

impl From<stage::Error> for CommandError {
    fn from(error: stage::Error) -> Self {
        let kind = if error.is_retryable() { ErrorKind::Environment } else { ErrorKind::Usage };
        let cause = match &error {
            stage::Error::Git(error) if error.is_beyond_history() => Some(ErrorCause::MissingHistory),
            error => error.is_contention().then_some(ErrorCause::Contention),
        };
        Self { cause, ..Self::new(kind, Some(error.to_string())) }
    }
}

impl From<git::Error> for CommandError {
    fn from(error: git::Error) -> Self {
        stage::Error::from(error).into()
    }
}

impl From<cmp::Error> for CommandError {
    fn from(error: cmp::Error) -> Self {
        match error {
            cmp::Error::InvalidParameters => Self::invalid_config([]),
            cmp::Error::InvalidManifests => Self::from_diagnostics([]),
            cmp::Error::Kustomize(error) => error.into(),
        }
    }
}

impl From<KustomizeError> for CommandError {
    fn from(error: KustomizeError) -> Self {
        let message = error.to_string();
        match error {
            KustomizeError::InvalidKustomization(diagnostics) => Self::from_diagnostics(diagnostics),
            KustomizeError::InvalidSwitch(_) => Self::usage(message),
            KustomizeError::NotInstalled | KustomizeError::Start(_) => Self::environment(message),
            KustomizeError::Failed { reason, .. } if reason.contains("external plugins disabled") => {
                Self::findings(message).hint("this plugin starts no functions of a repository: take pillion out of `transformers:`, it renders what kustomize builds")
            }
            KustomizeError::Failed { .. }
            | KustomizeError::OutputTooLarge(_)
            | KustomizeError::OutputStillOpen(_)
            | KustomizeError::Stopped(_)
            | KustomizeError::TimedOut(_) => {
                Self::findings(message)
            }
        }
    }
}

impl From<TransitionError> for CommandError {
    fn from(error: TransitionError) -> Self {
        Self::findings(error.to_string())
    }
}

impl From<write::Error> for CommandError {
    fn from(error: write::Error) -> Self {
        match error {
            // Whoever read the output has seen enough of it.
            write::Error::Stdout(error) if error.kind() == IoErrorKind::BrokenPipe => {
                Self::new(ErrorKind::Environment, None)
            }
            error => Self::environment(error.to_string()),
        }
    }
}

#[cfg(feature = "watch")]
impl From<crate::watch::environment::WatchError> for CommandError {
    fn from(error: crate::watch::environment::WatchError) -> Self {
        use crate::watch::environment::WatchError;
        match error {
            WatchError::Git(error) => error.into(),
            error if error.is_retryable() => Self::environment(error.to_string()),
            error => Self::usage(error.to_string()),
        }
    }
}
