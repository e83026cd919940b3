//! Runs every program that pillion starts: a build command, a check, kustomize, git. Each has a time limit, bounded
//! output and none of pillion's own credentials, and is ended with all that it has started when its time is over or
//! pillion is to end.

mod group;
mod pipe;
mod running;
mod secrets;
#[cfg(unix)]
mod signals;
mod stop;

use group::Ending;
use running::{Cut, Running};
use std::io;
use std::process::{Command, ExitStatus};
use std::time::Duration;

pub use group::end_all;
pub use secrets::{Trust, without_own_secrets, without_secrets};
#[cfg(unix)]
pub use signals::heed_signals_elsewhere;
pub use stop::Stop;

/// Bytes of the end of standard error that are kept.
pub const KEPT_ERRORS: usize = 64 << 10;

/// How often a wait looks whether somebody has asked for the end.
const GLANCE: Duration = Duration::from_millis(50);

/// How long git may go on when it is to end: a push that has begun is better ended by itself.
const GRACE: Duration = Duration::from_millis(300);

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
    /// Somebody has asked for the end.
    Stopped,
}

/// Runs a command of the user or the repository to its end, or until a limit; nothing that it has started is left
/// running. `slow` is called once, after its time.
///
/// # Errors
/// When it cannot be started, or a limit ends it.
pub fn run(
    command: Command,
    input: Option<Vec<u8>>,
    limits: &Limits,
    slow: (Duration, impl FnOnce()),
) -> Result<Ended, Failure> {
    let running = Running::start(command, input, limits, Ending::Kill)?;
    let mut event = running.wait(slow.0.min(limits.time));
    if event.is_none() && slow.0 < limits.time {
        slow.1();
        event = running.wait(limits.time);
    }
    running.end(event.ok_or(Cut::TooLong))
}

/// Runs git, or a program that git would run, to its end, until a limit or until somebody asks for its end. Where there
/// is a terminal and nobody can ask, it may itself ask the person there.
///
/// # Errors
/// As for [`run`], and when it was asked to end.
pub fn run_for_git(
    command: Command,
    input: Vec<u8>,
    limits: &Limits,
    stop: Option<&Stop>,
) -> Result<Ended, Failure> {
    let is_requested = || stop.is_some_and(Stop::is_requested);
    if is_requested() {
        return Err(Failure::Stopped);
    }
    let ending = if stop.is_some() { Ending::AskByWaiter } else { Ending::Ask };
    let running = Running::start(command, Some(input), limits, ending)?;
    let (mut most, mut cut) = (limits.time, Cut::TooLong);
    let event = loop {
        let age = running.start.elapsed();
        if cut == Cut::TooLong && is_requested() {
            (most, cut) = (most.min(age + GRACE), Cut::Stopped);
        }
        let glance = if stop.is_some() { age + GLANCE } else { most };
        match running.wait(most.min(glance)) {
            None if running.start.elapsed() < most => {}
            event => break event,
        }
    };
    running.end(event.ok_or(cut))
}

/// Never: for programs of which it is not said when they take long.
pub const NEVER: (Duration, fn()) = (Duration::MAX, || {});

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{fs, thread};

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
}
