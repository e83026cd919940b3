//! How does another program run? Without a terminal to ask on, in English, and not for ever.

use super::{Failure, Repository, Stop};
use crate::programs::{self, KEPT_ERRORS, Kept, Limits};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Bytes of an answer of git: more than a list of branches ever has.
const MOST: usize = 64 << 20;

/// The programs that pillion starts.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Name or path of git.
    pub git: OsString,
    /// Variables that are added to pillion's own environment.
    pub environment: Vec<(OsString, OsString)>,
    /// How long one program may take.
    pub patience: Duration,
    /// Ends a program before that. With it programs have process groups of their own, so they cannot ask a person at a
    /// terminal: for runs without one.
    pub stop: Option<Stop>,
}

impl Default for Programs {
    fn default() -> Self {
        Self { git: "git".into(), environment: Vec::new(), patience: Duration::from_secs(600), stop: None }
    }
}

/// What a program said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: Option<i32>,
    pub(super) out: Vec<u8>,
    pub(super) err: String,
}

/// Variables by which git tells its hooks of *their* repository, which need not be the one that is meant. Those
/// that carry configuration (GIT_CONFIG_COUNT and so on) stay: CI systems pass credentials in them.
const OF_ANOTHER: &[&str] = &[
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

/// Settings of every call of git. What a repository says of programs that are not needed to fetch and push counts for
/// nothing: hooks, wherever they are, the monitor of files, and remotes that are programs. The programs by which git
/// reaches a remote and signs are those of the user.
const SETTINGS: &[&str] = &["core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.ext.allow=never"];

impl Repository {
    /// Runs git in this repository, which may fetch, push, or be asked for programs that sign.
    pub(super) fn git(&self, args: &[&str]) -> Result<Answer, Failure> {
        self.check_included()?;
        self.run_git(args)
    }

    /// The same, whatever git's configuration says.
    pub(super) fn run_git(&self, args: &[&str]) -> Result<Answer, Failure> {
        let command = git(Some(self.git_dir()), self.root(), args, &self.programs);
        let doing =
            args.iter().find(|a| !a.starts_with('-') && !a.contains('=')).copied().unwrap_or_default();
        run(command, &format!("git {doing}"), Vec::new(), &self.programs)
    }

    /// Begins a command in the working tree.
    pub(super) fn command(&self, program: &OsStr) -> Command {
        command(program, self.root().unwrap_or(self.git_dir()), &self.programs)
    }

    /// Runs a command to its end.
    pub(super) fn run(&self, command: Command, name: &str, input: Vec<u8>) -> Result<Answer, Failure> {
        run(command, name, input, &self.programs)
    }
}

/// Asks git something about a repository by its `.git` folder, or about its configuration where no repository is; None
/// when there is no git, or it says no.
pub fn ask(git_dir: Option<&Path>, args: &[&str], programs: &Programs) -> Option<String> {
    let answer = run(git(git_dir, None, args, programs), "git", Vec::new(), programs).ok()?;
    (answer.code == Some(0)).then(|| String::from_utf8_lossy(&answer.out).trim().to_owned())
}

/// Begins a call of git.
fn git(git_dir: Option<&Path>, root: Option<&Path>, args: &[&str], programs: &Programs) -> Command {
    let nowhere = std::env::temp_dir();
    let nowhere = nowhere.ancestors().last().unwrap_or(Path::new("/"));
    let mut command = command(&programs.git, root.or(git_dir).unwrap_or(nowhere), programs);
    if let Some(git_dir) = git_dir {
        command.arg("--git-dir").arg(git_dir);
    }
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command.args(args);
    command
}

/// Begins a command in a folder.
fn command(program: &OsStr, folder: &Path, programs: &Programs) -> Command {
    let mut command = Command::new(program);
    programs::without_own_secrets(&mut command);
    command.current_dir(folder);
    command.env("LC_ALL", "C").env("LANGUAGE", "").env("GIT_TERMINAL_PROMPT", "0");
    command.envs(programs.environment.iter().map(|(k, v)| (k, v)));
    for name in OF_ANOTHER {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
fn run(command: Command, name: &str, input: Vec<u8>, programs: &Programs) -> Result<Answer, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let Programs { patience, stop, .. } = programs;
    let limits = Limits { time: *patience, output: Kept::All(MOST), errors: KEPT_ERRORS };
    let doing = name.to_owned();
    match programs::run_for_git(command, input, &limits, stop.as_ref()) {
        Ok(ended) => Ok(Answer {
            code: ended.status.code(),
            out: ended.output,
            err: String::from_utf8_lossy(&ended.errors).into_owned(),
        }),
        Err(programs::Failure::TooLong(_) | programs::Failure::StillOpen) => {
            Err(Failure::Slow { doing, seconds: patience.as_secs() })
        }
        Err(programs::Failure::Stopped) => Err(Failure::Stopped { doing }),
        Err(programs::Failure::TooMuch(_)) => {
            let source = io::Error::other(format!("it printed more than {} MiB", MOST >> 20));
            Err(Failure::Start { program, source })
        }
        Err(programs::Failure::Start(source)) if source.kind() == ErrorKind::NotFound => {
            Err(Failure::NoProgram { program })
        }
        Err(programs::Failure::Start(source)) => Err(Failure::Start { program, source }),
    }
}
