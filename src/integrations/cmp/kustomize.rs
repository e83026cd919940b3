//! Builds a kustomization for a plugin of Argo CD: with the real kustomize, within the time limit of Argo CD, and only
//! from files of the repository.

use super::ALLOW_REMOTE_VARIABLE;
use super::remote_bases::find_remote_bases;
use crate::diagnostics::Diagnostic;
use crate::integrations::STREAM_NAME;
use crate::model::duration;
use crate::programs::{self, CredentialAccess, MAX_STDERR_BYTES, OutputLimit, ProgramLimits};
use crate::read::{MAX_FILE_BYTES, decode_text};
use crate::sandbox::or_current_dir;
use crate::workspace::parse_switch;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// After this time pillion reports the wait. Argo CD ends a plugin at its own timeout, one minute by default, and then
/// shows its standard error.
const SLOW_BUILD: Duration = Duration::from_secs(10);

/// The timeout of a build without a configured one.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// The variable that Argo CD documents for the timeout of a plugin. Its server does not read it (v3.2.11
/// cmpserver/plugin/plugin.go runCommand).
const TIMEOUT_VARIABLE: &str = "ARGOCD_EXEC_TIMEOUT";

/// Returns whether kustomize may fetch remote bases: a flag or [`ALLOW_REMOTE_VARIABLE`] allows it.
fn may_fetch(flag: bool) -> Result<bool, KustomizeError> {
    let variable = std::env::var_os(ALLOW_REMOTE_VARIABLE).map_or(Ok(false), |value| parse_switch(&value));
    variable.map(|allowed| allowed || flag).map_err(KustomizeError::InvalidSwitch)
}

/// Returns the timeout of a build.
fn build_timeout() -> Duration {
    let limit = std::env::var(TIMEOUT_VARIABLE)
        .ok()
        .and_then(|text| duration::parse(&text))
        .filter(|limit| *limit > 0);
    limit.map_or(DEFAULT_TIMEOUT, Duration::from_secs)
}

/// Why a kustomization was not built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KustomizeError {
    /// [`ALLOW_REMOTE_VARIABLE`] has another value than a switch.
    #[error("{ALLOW_REMOTE_VARIABLE}: {0}")]
    InvalidSwitch(String),
    /// The kustomization, or the output, is invalid.
    #[error("the kustomization is invalid")]
    InvalidKustomization(Vec<Diagnostic>),
    /// kustomize is not installed.
    #[error(
        "the folder has a kustomization, and `kustomize` is not on PATH: put it into the image of the plugin"
    )]
    NotInstalled,
    /// kustomize cannot be started.
    #[error("`kustomize` cannot be started: {0}")]
    Start(#[source] io::Error),
    /// kustomize failed; its folder, and its standard error or the signal that ended it.
    #[error("`kustomize build {}` failed: {reason}", folder.display())]
    Failed { folder: PathBuf, reason: String },
    /// kustomize printed too much.
    #[error("`kustomize build {}` was ended: it printed more than {} MiB", .0.display(), MAX_FILE_BYTES >> 20)]
    OutputTooLarge(PathBuf),
    /// A program that kustomize started outlives it.
    #[error(
        "`kustomize build {}` does not end: a program that it started still holds its output open",
        .0.display()
    )]
    OutputStillOpen(PathBuf),
    /// pillion was stopped meanwhile.
    #[error("`kustomize build {}` was ended, because pillion was stopped", .0.display())]
    Stopped(PathBuf),
    /// kustomize did not end in time.
    #[error(
        "`kustomize build {}` was ended: it took longer than `{TIMEOUT_VARIABLE}` allows; a remote base may not respond",
        .0.display()
    )]
    TimedOut(PathBuf),
}

impl KustomizeError {
    fn from_program(error: programs::Error, folder: &Path) -> Self {
        match error {
            programs::Error::Start(error) if error.kind() == io::ErrorKind::NotFound => Self::NotInstalled,
            programs::Error::Start(error) => Self::Start(error),
            programs::Error::OutputTooLarge(_) => Self::OutputTooLarge(folder.to_owned()),
            programs::Error::OutputStillOpen => Self::OutputStillOpen(folder.to_owned()),
            programs::Error::Stopped => Self::Stopped(folder.to_owned()),
            programs::Error::TimedOut(_) => Self::TimedOut(folder.to_owned()),
        }
    }
}

/// Builds the kustomization of a folder, without plugins, functions or charts: no program that a repository names is
/// run. `report_slow` gets a message when it takes long.
///
/// # Errors
/// When the kustomization is invalid, or kustomize fails.
pub(super) fn build_kustomization(
    folder: &Path,
    allow_remote_bases: bool,
    report_slow: impl FnOnce(&str),
) -> Result<String, KustomizeError> {
    let folder = or_current_dir(folder);
    let may_fetch = may_fetch(allow_remote_bases)?;
    let access = if may_fetch { CredentialAccess::Git } else { CredentialAccess::None };
    let mut kustomize = programs::command_without_secrets("kustomize", access);
    if !may_fetch {
        let found = find_remote_bases(folder);
        if !found.is_empty() {
            return Err(KustomizeError::InvalidKustomization(found));
        }
        // kustomize clones with git: a base that the search missed fails there.
        kustomize.env("GIT_ALLOW_PROTOCOL", "none");
    }
    kustomize.arg("build").arg(folder);
    let limits = ProgramLimits {
        timeout: build_timeout(),
        output: OutputLimit::All(usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX)),
        stderr_bytes: MAX_STDERR_BYTES,
    };
    let report_slow = || {
        report_slow(&format!(
            "pillion: `kustomize build {}` has not ended after {} s; a remote base may not respond",
            folder.display(),
            SLOW_BUILD.as_secs()
        ));
    };
    let output = programs::run_program(kustomize, None, &limits, (SLOW_BUILD, report_slow))
        .map_err(|error| KustomizeError::from_program(error, folder))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let reason = match output.status.code() {
            Some(_) => stderr,
            // A program that is killed says nothing: `signal: 9 (SIGKILL)`.
            None => format!("{} {stderr}", output.status).trim().to_owned(),
        };
        return Err(KustomizeError::Failed { folder: folder.to_owned(), reason });
    }
    decode_text(output.stdout, &STREAM_NAME.into())
        .map_err(|diagnostic| KustomizeError::InvalidKustomization(vec![diagnostic]))
}
