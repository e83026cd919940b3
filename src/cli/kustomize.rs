//! Builds a kustomization for a plugin of Argo CD: by the real kustomize, for no longer than Argo CD says, and only from
//! what the repository holds.

use super::permissions::parse_switch;
use super::remote_bases::find_remote_bases;
use crate::diagnostics::Diagnostic;
use crate::model::duration;
use crate::programs::{
    self, CredentialAccess, Error, MAX_STDERR_BYTES, OutputLimit, ProgramLimits, ProgramOutput,
};
use crate::read::MAX_FILE_BYTES;
use std::path::Path;
use std::time::Duration;

/// After this time it is said what is waited for. Argo CD ends a plugin when its own time is over, after a minute by
/// default, and then shows what stands on standard error.
const SLOW_BUILD: Duration = Duration::from_secs(10);

/// How long a build may take where nobody says less.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// The variable that Argo CD's documentation gives administrators for the time of a plugin. Its server does not read
/// it (v3.2.11 cmpserver/plugin/plugin.go runCommand).
pub(super) const TIMEOUT_VARIABLE: &str = "ARGOCD_EXEC_TIMEOUT";

/// The variable with which an operator lets kustomize fetch. What an Application sets has a name that begins with
/// `ARGOCD_ENV_`.
pub(super) const ALLOW_REMOTE_VARIABLE: &str = "PILLION_ALLOW_REMOTE_BASES";

/// Returns whether kustomize may fetch what a kustomization names elsewhere.
///
/// # Errors
/// When the variable says neither.
pub(super) fn may_fetch(flag: bool) -> Result<bool, String> {
    let variable = std::env::var_os(ALLOW_REMOTE_VARIABLE).map_or(Ok(false), |value| parse_switch(&value));
    variable.map(|allowed| allowed || flag).map_err(|why| format!("{ALLOW_REMOTE_VARIABLE}: {why}"))
}

/// Returns how long a build may take.
pub(super) fn build_timeout() -> Duration {
    let limit = std::env::var(TIMEOUT_VARIABLE)
        .ok()
        .and_then(|text| duration::parse(&text))
        .filter(|limit| *limit > 0);
    limit.map_or(DEFAULT_TIMEOUT, Duration::from_secs)
}

/// Why there is nothing built.
pub(super) enum KustomizeError {
    /// Something in the kustomizations is wrong.
    InvalidKustomization(Vec<Diagnostic>),
    /// kustomize did not come to its end.
    Program(Error),
}

/// Builds the kustomization of a folder. `slow` is called when it takes long.
pub(super) fn build(
    folder: &Path,
    may_fetch: bool,
    slow: impl FnOnce(Duration),
) -> Result<ProgramOutput, KustomizeError> {
    let trust = if may_fetch { CredentialAccess::Git } else { CredentialAccess::None };
    let mut kustomize = programs::command_without_secrets("kustomize", trust);
    if !may_fetch {
        let found = find_remote_bases(folder);
        if !found.is_empty() {
            return Err(KustomizeError::InvalidKustomization(found));
        }
        // kustomize clones by git: what was overlooked ends there.
        kustomize.env("GIT_ALLOW_PROTOCOL", "none");
    }
    kustomize.arg("build").arg(folder);
    let most = usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX);
    let limits = ProgramLimits {
        timeout: build_timeout(),
        output: OutputLimit::All(most),
        stderr_bytes: MAX_STDERR_BYTES,
    };
    programs::run_program(kustomize, None, &limits, (SLOW_BUILD, || slow(SLOW_BUILD)))
        .map_err(KustomizeError::Program)
}
