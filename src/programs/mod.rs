//! Runs every program that pillion starts: build commands, checks, kustomize, git. Each has a timeout, bounded output
//! and none of pillion's own credentials, and is ended with its process group at the timeout or when pillion shuts
//! down.

mod pager;
mod pipe;
mod process_group;
mod running_program;
mod search_path;
mod secrets;
#[cfg(unix)]
mod signals;
mod stop;

use process_group::TerminationMode;
use running_program::{RunningProgram, TerminationCause};
use std::io;
use std::process::{Command, ExitStatus};
use std::time::Duration;

pub(crate) use pager::{run_pager, terminal_size};
pub(crate) use process_group::terminate_all;
pub(crate) use search_path::{find_on_path, is_program};
pub(crate) use secrets::{CredentialAccess, command_without_secrets, remove_own_secrets};
#[cfg(unix)]
pub(crate) use signals::disable_signal_handler;
pub use stop::StopToken;

/// Bytes of the end of standard error that are kept.
pub(crate) const MAX_STDERR_BYTES: usize = 64 << 10;

/// How often a wait checks for a stop request.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long git may continue after a stop request: a push that has begun should end by itself.
const STOP_GRACE: Duration = Duration::from_millis(300);

/// How long a program may run, and how much it may print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProgramLimits {
    /// The timeout.
    pub(crate) timeout: Duration,
    /// What is kept of standard output.
    pub(crate) output: OutputLimit,
    /// Bytes of the end of standard error that are kept.
    pub(crate) stderr_bytes: usize,
}

/// What is kept of an output.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OutputLimit {
    /// Everything; a program that prints more than this many bytes is ended.
    All(usize),
    /// The end, of this many bytes.
    Tail(usize),
}

/// The output of a program.
#[derive(Debug)]
pub(crate) struct ProgramOutput {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// Its standard output.
    pub(crate) stdout: Vec<u8>,
    /// The end of its standard error.
    pub(crate) stderr: Vec<u8>,
}

/// Why a program was not run to its end.
#[derive(Debug)]
pub enum Error {
    /// It could not be started.
    Start(io::Error),
    /// It exceeded its timeout; the end of its standard error.
    TimedOut(Vec<u8>),
    /// It printed too much; the end of its standard error.
    OutputTooLarge(Vec<u8>),
    /// It has exited, but one of its descendants holds its output open.
    OutputStillOpen,
    /// A stop was requested.
    Stopped,
}

/// Runs a program of the user or the repository until it ends or reaches a limit; its process group is ended. `slow`
/// is called once, after its duration.
///
/// # Errors
/// When it cannot be started, or a limit ends it.
pub(crate) fn run_program(
    command: Command,
    input: Option<Vec<u8>>,
    limits: &ProgramLimits,
    slow: (Duration, impl FnOnce()),
) -> Result<ProgramOutput, Error> {
    let running = RunningProgram::start(command, input, limits, TerminationMode::Kill)?;
    let mut event = running.wait(slow.0.min(limits.timeout));
    if event.is_none() && slow.0 < limits.timeout {
        slow.1();
        event = running.wait(limits.timeout);
    }
    running.terminate(event.ok_or(TerminationCause::TimedOut))
}

/// Runs git, or a program that git would run, until it ends, reaches a limit or is stopped. If there is a terminal
/// and no stop token, it may prompt the person there.
///
/// # Errors
/// As for [`run_program`], and when it was asked to end.
pub(crate) fn run_git_program(
    command: Command,
    input: Vec<u8>,
    limits: &ProgramLimits,
    stop: Option<&StopToken>,
) -> Result<ProgramOutput, Error> {
    let is_requested = || stop.is_some_and(StopToken::is_requested);
    if is_requested() {
        return Err(Error::Stopped);
    }
    let mode = if stop.is_some() { TerminationMode::TerminateByWaiter } else { TerminationMode::Terminate };
    let running = RunningProgram::start(command, Some(input), limits, mode)?;
    let (mut limit, mut cause) = (limits.timeout, TerminationCause::TimedOut);
    let event = loop {
        let age = running.started_at.elapsed();
        if cause == TerminationCause::TimedOut && is_requested() {
            (limit, cause) = (limit.min(age + STOP_GRACE), TerminationCause::Stopped);
        }
        let glance = if stop.is_some() { age + POLL_INTERVAL } else { limit };
        match running.wait(limit.min(glance)) {
            None if running.started_at.elapsed() < limit => {}
            event => break event,
        }
    };
    running.terminate(event.ok_or(cause))
}

/// Never: for programs without a notice of slowness.
pub(crate) const NO_SLOW_NOTICE: (Duration, fn()) = (Duration::MAX, || {});

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{fs, thread};

    const LIMITS: ProgramLimits = ProgramLimits {
        timeout: Duration::from_secs(60),
        output: OutputLimit::All(1 << 20),
        stderr_bytes: MAX_STDERR_BYTES,
    };

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_outputs_and_the_status_come_back() {
        let ended =
            run_program(shell("cat; echo wrong >&2; exit 3"), Some(b"in".to_vec()), &LIMITS, NO_SLOW_NOTICE)
                .unwrap();
        assert_eq!(
            (ended.status.code(), &ended.stdout[..], &ended.stderr[..]),
            (Some(3), &b"in"[..], &b"wrong\n"[..])
        );
        assert!(matches!(
            run_program(Command::new("no-such-program"), None, &LIMITS, NO_SLOW_NOTICE),
            Err(Error::Start(_))
        ));
    }

    #[test]
    fn what_takes_too_long_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // The pipe ends when its last writer is gone: program and grandchild have ended.
        let read = pipe.clone();
        let reader = thread::spawn(move || fs::read(read).unwrap());
        let script = format!("exec 3>'{}'; echo waiting >&2; sleep 1000 & sleep 1000", pipe.display());
        let limits = ProgramLimits { timeout: Duration::from_secs(1), ..LIMITS };
        assert!(matches!(
            run_program(shell(&script), None, &limits, NO_SLOW_NOTICE),
            Err(Error::TimedOut(_))
        ));
        // If the shell was ended before it opened the pipe, the reader still waits for a writer.
        drop(fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap());
        assert_eq!(reader.join().unwrap(), b"");
    }

    #[test]
    fn what_prints_without_end_is_ended() {
        let limits = ProgramLimits { output: OutputLimit::All(1000), ..LIMITS };
        let flood = "while :; do echo flood; done";
        assert!(matches!(
            run_program(shell(flood), None, &limits, NO_SLOW_NOTICE),
            Err(Error::OutputTooLarge(_))
        ));
        let limits = ProgramLimits { output: OutputLimit::Tail(6), ..LIMITS };
        assert_eq!(
            run_program(shell("seq 100000"), None, &limits, NO_SLOW_NOTICE).unwrap().stdout,
            b"00000\n"[..].to_vec()
        );
    }

    #[test]
    fn what_takes_long_is_noted_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut cat = Command::new("cat");
        cat.arg(&pipe);
        // The program ends when the notice is given.
        let note = || drop(fs::OpenOptions::new().write(true).open(&pipe).unwrap());
        assert!(run_program(cat, None, &LIMITS, (Duration::ZERO, note)).unwrap().status.success());
    }
}
