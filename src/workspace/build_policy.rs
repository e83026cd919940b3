//! Decides whether the `build` commands of pillion.yaml may run. A person who can write that file can run any program
//! with them, so where no person reviews the file first they are off until the owner of the machine allows them.

use std::ffi::OsStr;

/// Whether `build` commands may run here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuildPolicy {
    /// They run.
    Allow,
    /// They do not.
    Deny(BuildDenial),
}

impl Default for BuildPolicy {
    fn default() -> Self {
        Self::Deny(BuildDenial::NotRequested)
    }
}

/// The reason why no build runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuildDenial {
    /// The caller did not ask for it.
    NotRequested,
    /// A watcher would run it.
    Watch,
    /// A dry run starts no programs.
    DryRun,
    /// A CI system would run it; this variable is set.
    Ci(&'static str),
}

impl BuildDenial {
    /// Returns the reason as text.
    pub(super) fn reason(self) -> String {
        let only =
            "only where its operator allows it: whoever can write pillion.yaml could run any program here";
        match self {
            Self::NotRequested => format!("a build runs {only}"),
            Self::Watch => format!("a watcher runs a build {only}"),
            Self::DryRun => "a dry run runs no program that pillion.yaml names".to_owned(),
            Self::Ci(variable) => format!(
                "in CI (`{variable}` is set) a build runs only where the workflow allows it: a pull request could run any program here"
            ),
        }
    }

    /// Returns the next step.
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::DryRun => "pass its output with `--manifests FILE`",
            _ => {
                "read the command, then allow builds with `--allow-build` (or `PILLION_ALLOW_BUILD=true`), or pass its output with `--manifests FILE`"
            }
        }
    }
}

/// Reads a switch of the environment, such as `true` or `off`.
///
/// # Errors
/// When it is neither on nor off.
pub(crate) fn parse_switch(text: &OsStr) -> Result<bool, String> {
    match text.to_string_lossy().trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "" | "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("write `true` or `false`".to_owned()),
    }
}
