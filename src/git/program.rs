//! How does another program run? Without a terminal to ask on, in English, and not for ever.

use super::{Failure, Repository};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The programs that pillion starts.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Name or path of git.
    pub git: OsString,
    /// Variables that are added to pillion's own environment.
    pub environment: Vec<(OsString, OsString)>,
    /// How long one program may take.
    pub patience: Duration,
}

impl Default for Programs {
    fn default() -> Self {
        Self { git: "git".into(), environment: Vec::new(), patience: Duration::from_secs(600) }
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

impl Repository {
    /// Runs git in this repository.
    pub(super) fn git(&self, args: &[&str]) -> Result<Answer, Failure> {
        let mut command = self.command(&self.programs.git);
        command.arg("--git-dir").arg(self.git_dir()).args(args);
        let doing = args.first().copied().unwrap_or_default();
        self.run(command, &format!("git {doing}"), Vec::new())
    }

    /// Begins a command in the working tree.
    pub(super) fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.root().unwrap_or(self.git_dir()));
        command.env("LC_ALL", "C").env("LANGUAGE", "").env("GIT_TERMINAL_PROMPT", "0");
        command.envs(self.programs.environment.iter().map(|(k, v)| (k, v)));
        for name in OF_ANOTHER {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command to its end.
    pub(super) fn run(&self, command: Command, name: &str, input: Vec<u8>) -> Result<Answer, Failure> {
        let program = command.get_program().to_string_lossy().into_owned();
        let (doing, patience) = (name.to_owned(), self.programs.patience);
        match run(command, input, patience) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(Failure::Slow { doing, seconds: patience.as_secs() }),
            Err(source) if source.kind() == ErrorKind::NotFound => Err(Failure::NoProgram { program }),
            Err(source) => Err(Failure::Start { program, source }),
        }
    }
}

/// Runs a command; none when it takes too long.
fn run(mut command: Command, input: Vec<u8>, patience: Duration) -> io::Result<Option<Answer>> {
    let deadline = Instant::now() + patience;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that stops reading early is judged by its answer.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let (out, err) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let rest = || deadline.saturating_duration_since(Instant::now());
    let texts = out.recv_timeout(rest()).and_then(|out| Ok((out, err.recv_timeout(rest())?)));
    let Ok((out, err)) = texts else {
        stop(&mut child)?;
        return Ok(None);
    };
    let code = child.wait()?.code();
    Ok(Some(Answer { code, out, err: String::from_utf8_lossy(&err).into_owned() }))
}

/// Reads a pipe to its end, elsewhere: a program that waits for one pipe to be read must not wait for ever.
fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is all that there will be.
            drop(pipe.read_to_end(&mut bytes));
        }
        drop(sender.send(bytes));
    });
    receiver
}

/// Ends a program; its own children notice that nobody reads them any more.
fn stop(child: &mut Child) -> io::Result<()> {
    child.kill()?;
    child.wait().map(drop)
}
