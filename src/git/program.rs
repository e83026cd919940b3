//! How does another program run? Without a terminal to ask on, in English, and not for ever.

use super::{Failure, Repository, Stop};
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

impl Repository {
    /// Runs git in this repository.
    pub(super) fn git(&self, args: &[&str]) -> Result<Answer, Failure> {
        let mut command = self.command(&self.programs.git);
        command.arg("--git-dir").arg(self.git_dir()).args(args);
        let doing =
            args.iter().find(|a| !a.starts_with('-') && !a.contains('=')).copied().unwrap_or_default();
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
        let Programs { patience, stop, .. } = &self.programs;
        let doing = name.to_owned();
        match run(command, input, *patience, stop.as_ref()) {
            Ok(Outcome::Ended(answer)) => Ok(answer),
            Ok(Outcome::Slow) => Err(Failure::Slow { doing, seconds: patience.as_secs() }),
            Ok(Outcome::Stopped) => Err(Failure::Stopped { doing }),
            Err(source) if source.kind() == ErrorKind::NotFound => Err(Failure::NoProgram { program }),
            Err(source) => Err(Failure::Start { program, source }),
        }
    }
}

/// How a program ended.
enum Outcome {
    Ended(Answer),
    /// It took too long.
    Slow,
    /// pillion is to end.
    Stopped,
}

/// How often a wait looks whether it is to end.
const GLANCE: Duration = Duration::from_millis(50);

/// How long a program may go on when pillion is to end: a push that has begun is better ended by itself.
const GRACE: Duration = Duration::from_millis(300);

/// How long a program may take to remove its locks after it was asked to end.
#[cfg(unix)]
const TIDYING: Duration = Duration::from_millis(200);

/// Runs a command to its end, or until its time is over or pillion is to end.
fn run(mut command: Command, input: Vec<u8>, patience: Duration, stop: Option<&Stop>) -> io::Result<Outcome> {
    if stop.is_some_and(Stop::is_requested) {
        return Ok(Outcome::Stopped);
    }
    let mut wait = Wait { deadline: Instant::now() + patience, stop, is_stopped: false };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    if stop.is_some() {
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
    }
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that stops reading early is judged by its answer.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let (out, err) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let texts = wait.for_text(&out).and_then(|out| Some((out, wait.for_text(&err)?)));
    let Some((out, err)) = texts else {
        end(&mut child, stop.is_some())?;
        return Ok(if wait.is_stopped { Outcome::Stopped } else { Outcome::Slow });
    };
    let code = child.wait()?.code();
    Ok(Outcome::Ended(Answer { code, out, err: String::from_utf8_lossy(&err).into_owned() }))
}

/// Waiting for a program.
struct Wait<'a> {
    deadline: Instant,
    stop: Option<&'a Stop>,
    is_stopped: bool,
}

impl Wait<'_> {
    /// Waits for the end of a pipe; None: it does not come in time.
    fn for_text(&mut self, pipe: &mpsc::Receiver<Vec<u8>>) -> Option<Vec<u8>> {
        loop {
            let now = Instant::now();
            if !self.is_stopped && self.stop.is_some_and(Stop::is_requested) {
                self.is_stopped = true;
                self.deadline = self.deadline.min(now + GRACE);
            }
            let left = self.deadline.saturating_duration_since(now);
            let time = if self.stop.is_some() { left.min(GLANCE) } else { left };
            match pipe.recv_timeout(time) {
                Ok(text) => return Some(text),
                Err(mpsc::RecvTimeoutError::Timeout) if !left.is_zero() => {}
                Err(_) => return None,
            }
        }
    }
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

/// Ends a program. One with a group of its own is asked first, so that git removes its locks, and everything that it
/// has started is ended; the children of another notice that nobody reads them any more.
fn end(child: &mut Child, has_group: bool) -> io::Result<()> {
    #[cfg(unix)]
    if has_group {
        use rustix::process::{Pid, Signal, kill_process_group};
        let group = Pid::from_child(child);
        // It is not waited for yet, so its number still is its own. An error says that nothing of it is left.
        let _ = kill_process_group(group, Signal::TERM);
        let until = Instant::now() + TIDYING;
        while !has_ended(group) && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = kill_process_group(group, Signal::KILL);
        return child.wait().map(drop);
    }
    let _ = has_group;
    child.kill()?;
    child.wait().map(drop)
}

/// Tells whether a child has ended, and leaves it to be waited for.
#[cfg(unix)]
fn has_ended(child: rustix::process::Pid) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    matches!(waitid(WaitId::Pid(child), options), Ok(Some(_)))
}
