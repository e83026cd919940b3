//! The environment of a program: pillion's own, without credentials.

use std::process::Command;

/// Variables with credentials, or with paths to them; `*` matches any text.
const CREDENTIAL_VARIABLES: &[&str] = &[
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "BITBUCKET_TOKEN",
    "CI_DEPLOY_PASSWORD",
    "CI_JOB_JWT*",
    "CI_JOB_TOKEN",
    "CI_REGISTRY_PASSWORD",
    "FORGEJO_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GH_TOKEN",
    "GITEA_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "KUBECONFIG",
];

/// Variables by which git gets credentials: headers, askpass programs, agents.
const GIT_CREDENTIAL_VARIABLES: &[&str] = &["GIT_ASKPASS", "GIT_CONFIG_*", "SSH_ASKPASS", "SSH_AUTH_SOCK"];

/// pillion's own variables, which git does not need.
const OWN_VARIABLES: &[&str] = &["PILLION_CHECK_URL", "PILLION_NOTIFY_*", "PILLION_*TOKEN"];

/// The credentials that a program may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CredentialAccess {
    /// None: the repository names the program, or the program reads files of the repository.
    None,
    /// Those of git: it fetches like git.
    Git,
}

/// Returns a command without pillion's credentials in its environment.
pub(crate) fn command_without_secrets(
    program: impl AsRef<std::ffi::OsStr>,
    trust: CredentialAccess,
) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if matches_any(OWN_VARIABLES, &text)
            || matches_any(CREDENTIAL_VARIABLES, &text)
            || (trust == CredentialAccess::None && matches_any(GIT_CREDENTIAL_VARIABLES, &text))
        {
            command.env_remove(&name);
        }
    }
    command
}

/// Removes pillion's own secrets and keeps everything else: for git, which may run the user's helpers.
pub(crate) fn remove_own_secrets(command: &mut Command) {
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| matches_any(OWN_VARIABLES, &name.to_string_lossy()))
    {
        command.env_remove(name);
    }
}

fn matches_any(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.split_once('*') {
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
        None => name == *pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_behind() {
        let is_secret = |name: &str| {
            [CREDENTIAL_VARIABLES, GIT_CREDENTIAL_VARIABLES, OWN_VARIABLES]
                .iter()
                .any(|list| matches_any(list, name))
        };
        for name in [
            "GH_TOKEN",
            "PILLION_NOTIFY_SLACK_URL",
            "PILLION_ANY_TOKEN",
            "PILLION_TOKEN",
            "SSH_AUTH_SOCK",
            "KUBECONFIG",
            "GIT_CONFIG_VALUE_0",
            "GIT_CONFIG_PARAMETERS",
            "CI_JOB_JWT_V2",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PATH", "HOME", "HTTPS_PROXY", "LC_ALL", "PILLION_PROVIDER_URL", "GIT_AUTHOR_NAME"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
