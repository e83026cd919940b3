//! Runs git and the programs that it would run: without a terminal prompt, in English, and with a timeout.

use super::{Error, StopToken};
use crate::programs::{self, MAX_STDERR_BYTES, OutputLimit, ProgramLimits};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Bytes of git's output: more than any list of branches.
const MAX_OUTPUT_BYTES: usize = 64 << 20;

/// How git and signing programs are started.
#[derive(Debug, Clone)]
pub struct GitCommand {
    /// Name or path of git.
    pub git: OsString,
    /// Variables that are added to pillion's own environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Timeout of one program.
    pub timeout: Duration,
    /// Stops a program earlier. With it programs have their own process groups, so they cannot prompt a person at a
    /// terminal: for runs without one.
    pub stop: Option<StopToken>,
}

impl Default for GitCommand {
    fn default() -> Self {
        Self { git: "git".into(), environment: Vec::new(), timeout: Duration::from_secs(600), stop: None }
    }
}

/// The output of a program.
#[derive(Debug)]
pub(super) struct GitOutput {
    pub(super) code: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

/// Variables by which git names another repository, as for its hooks. Those with configuration (GIT_CONFIG_COUNT and
/// so on) stay: CI systems pass credentials in them.
const REPOSITORY_VARIABLES: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Settings of every call of git. Programs in the configuration that fetch and push do not need are disabled: hooks,
/// the file system monitor, and remotes that are programs. The programs by which git reaches a remote and signs are
/// those of the user.
const CONFIG_OVERRIDES: &[&str] =
    &["core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.ext.allow=never"];

/// Runs a git query for a `.git` folder, or for the configuration outside of a repository; None if there is no git or
/// it fails.
pub fn query_git(git_dir: Option<&Path>, args: &[&str], git_command: &GitCommand) -> Option<String> {
    let command = git_subcommand(git_dir, None, args, git_command);
    let output = run_command(command, "git", Vec::new(), git_command).ok()?;
    (output.code == Some(0)).then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Builds a call of git.
pub(super) fn git_subcommand(
    git_dir: Option<&Path>,
    root: Option<&Path>,
    args: &[&str],
    git_command: &GitCommand,
) -> Command {
    let nowhere = std::env::temp_dir();
    let nowhere = nowhere.ancestors().last().unwrap_or(Path::new("/"));
    let mut command = base_command(&git_command.git, root.or(git_dir).unwrap_or(nowhere), git_command);
    if let Some(git_dir) = git_dir {
        command.arg("--git-dir").arg(git_dir);
    }
    for setting in CONFIG_OVERRIDES {
        command.args(["-c", setting]);
    }
    command.args(args);
    command
}

/// Builds a command in a folder.
pub(super) fn base_command(program: &OsStr, folder: &Path, git_command: &GitCommand) -> Command {
    let mut command = Command::new(program);
    programs::remove_own_secrets(&mut command);
    command.current_dir(folder);
    command.env("LC_ALL", "C").env("LANGUAGE", "").env("GIT_TERMINAL_PROMPT", "0");
    command.envs(git_command.environment.iter().map(|(k, v)| (k, v)));
    for name in REPOSITORY_VARIABLES {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub(super) fn run_command(
    command: Command,
    name: &str,
    input: Vec<u8>,
    git_command: &GitCommand,
) -> Result<GitOutput, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let GitCommand { timeout, stop, .. } = git_command;
    let limits = ProgramLimits {
        timeout: *timeout,
        output: OutputLimit::All(MAX_OUTPUT_BYTES),
        stderr_bytes: MAX_STDERR_BYTES,
    };
    let action = name.to_owned();
    match programs::run_git_program(command, input, &limits, stop.as_ref()) {
        Ok(ended) => Ok(GitOutput {
            code: ended.status.code(),
            stdout: ended.stdout,
            stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
        }),
        Err(programs::Error::TimedOut(_) | programs::Error::OutputStillOpen) => {
            Err(Error::Timeout { action, seconds: timeout.as_secs() })
        }
        Err(programs::Error::Stopped) => Err(Error::Stopped { action }),
        Err(programs::Error::OutputTooLarge(_)) => {
            let source = io::Error::other(format!("it printed more than {} MiB", MAX_OUTPUT_BYTES >> 20));
            Err(Error::ProgramStart { program, source })
        }
        Err(programs::Error::Start(source)) if source.kind() == ErrorKind::NotFound => {
            Err(Error::ProgramNotFound { program })
        }
        Err(programs::Error::Start(source)) => Err(Error::ProgramStart { program, source }),
    }
}
