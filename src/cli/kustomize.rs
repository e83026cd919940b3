//! Builds a kustomization for a plugin of Argo CD: by the real kustomize, for no longer than Argo CD says, and only from
//! what the repository holds.

use super::allowed::switch;
use super::kustomization_remote::remote_bases;
use crate::diag::Diagnostic;
use crate::model::duration;
use crate::programs::{self, Ended, Failure, KEPT_ERRORS, Kept, Limits, Trust};
use crate::read::MAX_FILE;
use std::path::Path;
use std::time::Duration;

/// After this time it is said what is waited for. Argo CD ends a plugin when its own time is over, after a minute by
/// default, and then shows what stands on standard error.
const SLOW: Duration = Duration::from_secs(10);

/// How long a build may take where nobody says less.
const MOST: Duration = Duration::from_secs(600);

/// The variable that Argo CD's documentation gives administrators for the time of a plugin. Its server does not read
/// it (v3.2.11 cmpserver/plugin/plugin.go runCommand).
pub(super) const LIMIT: &str = "ARGOCD_EXEC_TIMEOUT";

/// The variable with which an operator lets kustomize fetch. What an Application sets has a name that begins with
/// `ARGOCD_ENV_`.
pub(super) const ALLOW_REMOTE: &str = "PILLION_ALLOW_REMOTE_BASES";

/// Returns whether kustomize may fetch what a kustomization names elsewhere.
///
/// # Errors
/// When the variable says neither.
pub(super) fn may_fetch(flag: bool) -> Result<bool, String> {
    let variable = std::env::var_os(ALLOW_REMOTE).map_or(Ok(false), |value| switch(&value));
    variable.map(|allowed| allowed || flag).map_err(|why| format!("{ALLOW_REMOTE}: {why}"))
}

/// Returns how long a build may take.
pub(super) fn limit() -> Duration {
    let limit = std::env::var(LIMIT).ok().and_then(|text| duration::parse(&text)).filter(|limit| *limit > 0);
    limit.map_or(MOST, Duration::from_secs)
}

/// Why there is nothing built.
pub(super) enum NotBuilt {
    /// Something in the kustomizations is wrong.
    Refused(Vec<Diagnostic>),
    /// kustomize did not come to its end.
    Failed(Failure),
}

/// Builds the kustomization of a folder. `slow` is called when it takes long.
pub(super) fn build(folder: &Path, may_fetch: bool, slow: impl FnOnce(Duration)) -> Result<Ended, NotBuilt> {
    let trust = if may_fetch { Trust::Git } else { Trust::Nobody };
    let mut kustomize = programs::without_secrets("kustomize", trust);
    if !may_fetch {
        let found = remote_bases(folder);
        if !found.is_empty() {
            return Err(NotBuilt::Refused(found));
        }
        // kustomize clones by git: what was overlooked ends there.
        kustomize.env("GIT_ALLOW_PROTOCOL", "none");
    }
    kustomize.arg("build").arg(folder);
    let most = usize::try_from(MAX_FILE).unwrap_or(usize::MAX);
    let limits = Limits { time: limit(), output: Kept::All(most), errors: KEPT_ERRORS };
    programs::run(kustomize, None, &limits, (SLOW, || slow(SLOW))).map_err(NotBuilt::Failed)
}
