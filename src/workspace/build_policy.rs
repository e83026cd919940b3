//! Whether the `build` commands of pillion.yaml may run. Whoever may write that file can run any program by them, so
//! where nobody looks at the file first they are off until the owner of the machine turns them on.

/// Whether `build` commands may run here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildPolicy {
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

/// Why no build runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildDenial {
    /// Nobody has asked for it.
    NotRequested,
    /// It would be run by a watcher.
    Watch,
    /// Nothing is to be done at all.
    DryRun,
    /// It would be run by a CI system, as this variable says.
    Ci(&'static str),
}

impl BuildDenial {
    /// Returns why a build does not run, in words.
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

    /// Returns what to do about it.
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::DryRun => "hand over what it prints, with `--manifests FILE`",
            _ => {
                "read the command, then allow builds with `--allow-build` (or `PILLION_ALLOW_BUILD=true`), or hand over what it prints, with `--manifests FILE`"
            }
        }
    }
}
