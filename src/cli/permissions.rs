//! What the owner of a machine allows: programs and addresses that the files of a repository name.

use super::GlobalArgs;
use crate::workspace::{BuildDenial, BuildPolicy, parse_switch};
use std::ffi::OsStr;

/// Variables of which one is set wherever a CI system runs something.
const CI_VARIABLES: &[&str] = &[
    "CI",
    "GITHUB_ACTIONS",
    "GITHUB_EVENT_NAME",
    "GITLAB_CI",
    "CI_MERGE_REQUEST_IID",
    "TF_BUILD",
    "JENKINS_URL",
    "TEAMCITY_VERSION",
    "BUILDKITE",
    "CODEBUILD_BUILD_ID",
];

impl GlobalArgs {
    /// Returns whether `build` commands of pillion.yaml run. A person has chosen what is checked out; a CI system has not.
    pub(super) fn build_policy(&self) -> BuildPolicy {
        match ci_variable() {
            Some(variable) if !self.allow_build => BuildPolicy::Deny(BuildDenial::Ci(variable)),
            _ => BuildPolicy::Allow,
        }
    }

    /// The same for a watcher, which takes whatever is merged.
    #[cfg(feature = "watch")]
    pub(super) fn watch_build_policy(&self, is_dry_run: bool) -> BuildPolicy {
        match (is_dry_run, self.allow_build) {
            (true, _) => BuildPolicy::Deny(BuildDenial::DryRun),
            (false, true) => BuildPolicy::Allow,
            (false, false) => BuildPolicy::Deny(BuildDenial::Watch),
        }
    }
}

/// Returns the variable that says that a CI system is at work.
fn ci_variable() -> Option<&'static str> {
    let is_set = |name: &&&str| std::env::var_os(name).is_some_and(|value| parse_switch(&value) != Ok(false));
    CI_VARIABLES.iter().find(is_set).copied()
}

/// Reads the switch of a flag that has a variable.
pub(super) fn parse_flag(text: &str) -> Result<bool, String> {
    parse_switch(OsStr::new(text))
}
