//! Runs programs of the user: a build command, a check. Each has a time limit, bounded output and a process group of
//! its own, which is ended as a whole.
//!
//! Programs of pillion's own choosing (`git`) are run by the room that needs them.

mod group;
mod pipe;

use group::{Group, wait};
use std::io::{self, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

pub use group::end_all;

/// Bytes of the end of standard error that are kept.
pub const KEPT_ERRORS: usize = 64 << 10;

/// How long the rest of the output is waited for once a program has ended.
const REST: Duration = Duration::from_secs(10);

/// Variables that hold credentials, or lead to some; names that end in a star stand for all that begin so.
const SECRETS: &[&str] = &[
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "CI_JOB_TOKEN",
    "GH_TOKEN",
    "GITEA_TOKEN",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "KUBECONFIG",
    "PILLION_CHECK_URL",
    "PILLION_FORGE_TOKEN",
    "PILLION_NOTIFY_*",
    "SSH_AUTH_SOCK",
];

/// How long a program may run, and how much it may print.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Its time.
    pub time: Duration,
    /// What is kept of standard output.
    pub output: Kept,
    /// Bytes of the end of standard error that are kept.
    pub errors: usize,
}

/// What is kept of an output.
#[derive(Debug, Clone, Copy)]
pub enum Kept {
    /// Everything; a program that prints more than this many bytes is ended.
    All(usize),
    /// The end, of this many bytes.
    End(usize),
}

/// What a program left behind.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub output: Vec<u8>,
    /// The end of its standard error.
    pub errors: Vec<u8>,
}

/// Why a program did not come to its end.
#[derive(Debug)]
pub enum Failure {
    /// It could not be started.
    Start(io::Error),
    /// Its time was over; the end of its standard error.
    TooLong(Vec<u8>),
    /// It printed more than it may; the end of its standard error.
    TooMuch(Vec<u8>),
    /// It has ended, and something that it started still holds its output open.
    StillOpen,
}

/// Something that is worth noticing while a program runs.
enum Event {
    Ended,
    TooMuch,
}

/// Returns the command of a program that is started without pillion's credentials.
pub fn without_secrets(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_secret(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
}

/// Tells whether a variable holds a credential: by its name, or because it is a token of pillion's own.
fn is_secret(name: &str) -> bool {
    let is_listed = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == *pattern,
    };
    SECRETS.iter().any(is_listed) || (name.starts_with("PILLION_") && name.ends_with("TOKEN"))
}

/// Runs a command to its end, or until a limit; nothing that it has started is left running. `slow` is called once,
/// after its time.
///
/// # Errors
/// When it cannot be started, or a limit ends it.
pub fn run(
    mut command: Command,
    input: Option<Vec<u8>>,
    limits: &Limits,
    slow: (Duration, impl FnOnce()),
) -> Result<Ended, Failure> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let (mut group, mut child) = Group::start(command).map_err(Failure::Start)?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // A program need not read what it gets.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let (events, happened) = channel();
    let read = events.clone();
    let output = pipe::read(child.stdout.take(), limits.output, move |is_cut| {
        // Where nobody says when a program has ended, the end of its output does.
        let event = if is_cut { Some(Event::TooMuch) } else { cfg!(not(unix)).then_some(Event::Ended) };
        event.into_iter().for_each(|event| drop(read.send(event)));
    });
    let errors = pipe::read(child.stderr.take(), Kept::End(limits.errors), |_| {});
    wait(&child, move || drop(events.send(Event::Ended)));
    let until = |time: Duration| happened.recv_timeout(time.saturating_sub(start.elapsed()));
    let mut event = until(slow.0.min(limits.time));
    if event.is_err() && slow.0 < limits.time {
        slow.1();
        event = until(limits.time);
    }
    // It is not waited for yet, so its number still is its own.
    let status = group.end(&mut child).map_err(Failure::Start)?;
    // Pipes are closed by now, unless something has left the group.
    let rest = |pipe: pipe::Reader| pipe.recv_timeout(REST).ok();
    match event {
        Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => {}
        Ok(Event::TooMuch) => {
            return Err(Failure::TooMuch(rest(errors).map(|e| e.bytes).unwrap_or_default()));
        }
        Err(RecvTimeoutError::Timeout) => {
            return Err(Failure::TooLong(rest(errors).map(|e| e.bytes).unwrap_or_default()));
        }
    }
    let output = rest(output).ok_or(Failure::StillOpen)?;
    let errors = rest(errors).map(|e| e.bytes).unwrap_or_default();
    if output.is_cut {
        Err(Failure::TooMuch(errors))
    } else {
        Ok(Ended { status, output: output.bytes, errors })
    }
}

/// Never: for programs of which it is not said when they take long.
pub const NEVER: (Duration, fn()) = (Duration::MAX, || {});

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;

    const LIMITS: Limits =
        Limits { time: Duration::from_secs(60), output: Kept::All(1 << 20), errors: KEPT_ERRORS };

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_outputs_and_the_status_come_back() {
        let ended = run(shell("cat; echo wrong >&2; exit 3"), Some(b"in".to_vec()), &LIMITS, NEVER).unwrap();
        assert_eq!(
            (ended.status.code(), &ended.output[..], &ended.errors[..]),
            (Some(3), &b"in"[..], &b"wrong\n"[..])
        );
        assert!(matches!(run(Command::new("no-such-program"), None, &LIMITS, NEVER), Err(Failure::Start(_))));
    }

    #[test]
    fn what_takes_too_long_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // The pipe has its end when nobody can write to it any more: program and grandchild are gone.
        let read = pipe.clone();
        let reader = thread::spawn(move || fs::read(read).unwrap());
        let script = format!("exec 3>'{}'; echo waiting >&2; sleep 1000 & sleep 1000", pipe.display());
        let limits = Limits { time: Duration::from_secs(1), ..LIMITS };
        assert!(matches!(run(shell(&script), None, &limits, NEVER), Err(Failure::TooLong(_))));
        // Should the shell have been ended before it opened the pipe, the reader still waits for a writer.
        drop(fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap());
        assert_eq!(reader.join().unwrap(), b"");
    }

    #[test]
    fn what_prints_without_end_is_ended() {
        let limits = Limits { output: Kept::All(1000), ..LIMITS };
        let flood = "while :; do echo flood; done";
        assert!(matches!(run(shell(flood), None, &limits, NEVER), Err(Failure::TooMuch(_))));
        let limits = Limits { output: Kept::End(6), ..LIMITS };
        assert_eq!(run(shell("seq 100000"), None, &limits, NEVER).unwrap().output, b"00000\n"[..].to_vec());
    }

    #[test]
    fn what_takes_long_is_noted_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut cat = Command::new("cat");
        cat.arg(&pipe);
        // This program ends when it is noted that it has not.
        let note = || drop(fs::OpenOptions::new().write(true).open(&pipe).unwrap());
        assert!(run(cat, None, &LIMITS, (Duration::ZERO, note)).unwrap().status.success());
    }

    #[test]
    fn credentials_stay_behind() {
        for name in
            ["GH_TOKEN", "PILLION_NOTIFY_SLACK_URL", "PILLION_ANY_TOKEN", "SSH_AUTH_SOCK", "KUBECONFIG"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PATH", "HOME", "HTTPS_PROXY", "LC_ALL", "PILLION_FORGE_URL"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
