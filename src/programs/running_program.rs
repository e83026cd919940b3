//! A program that runs: its output is collected on threads of its own, and its end is waited for.

use super::process_group::{ProcessGroup, TerminationMode, notify_on_exit};
use super::{Error, OutputLimit, ProgramLimits, ProgramOutput, pipe};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long the rest of the output is waited for once a program has ended.
const OUTPUT_DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Something that is worth noticing while a program runs.
pub(super) enum ProgramEvent {
    Exited,
    OutputTooLarge,
}

/// Why a program is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TerminationCause {
    TimedOut,
    Stopped,
}

/// A program that was started.
pub(super) struct RunningProgram {
    group: ProcessGroup,
    child: Child,
    pub(super) started_at: Instant,
    output: pipe::PipeReceiver,
    errors: pipe::PipeReceiver,
    events: Receiver<ProgramEvent>,
}

impl RunningProgram {
    /// Starts a program, and begins to read what it prints.
    pub(super) fn start(
        mut command: Command,
        input: Option<Vec<u8>>,
        limits: &ProgramLimits,
        ending: TerminationMode,
    ) -> Result<Self, Error> {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        let (group, mut child) = ProcessGroup::start(command, ending).map_err(Error::Start)?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // A program need not read what it gets.
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let (events, happened) = channel();
        let read = events.clone();
        let output = pipe::read_pipe(child.stdout.take(), limits.output, move |is_cut| {
            // Where nobody says when a program has ended, the end of its output does.
            let event = if is_cut {
                Some(ProgramEvent::OutputTooLarge)
            } else {
                cfg!(not(unix)).then_some(ProgramEvent::Exited)
            };
            event.into_iter().for_each(|event| drop(read.send(event)));
        });
        let errors = pipe::read_pipe(child.stderr.take(), OutputLimit::Tail(limits.stderr_bytes), |_| {});
        notify_on_exit(&child, move || drop(events.send(ProgramEvent::Exited)));
        Ok(Self { group, child, started_at: start, output, errors, events: happened })
    }

    /// Waits until something happens; None: nothing has, by this age of the program.
    pub(super) fn wait(&self, age: Duration) -> Option<ProgramEvent> {
        match self.events.recv_timeout(age.saturating_sub(self.started_at.elapsed())) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Disconnected) => Some(ProgramEvent::Exited),
            Err(RecvTimeoutError::Timeout) => None,
        }
    }

    /// Ends what is left of the program, and returns what it left behind.
    pub(super) fn terminate(
        mut self,
        event: Result<ProgramEvent, TerminationCause>,
    ) -> Result<ProgramOutput, Error> {
        // It is not waited for yet, so its number still is its own.
        let status = self.group.terminate(&mut self.child).map_err(Error::Start)?;
        // Pipes are closed by now, unless something has left the group.
        let rest = |pipe: pipe::PipeReceiver| pipe.recv_timeout(OUTPUT_DRAIN_TIMEOUT).ok();
        let said = |pipe: pipe::PipeReceiver| rest(pipe).map(|e| e.bytes).unwrap_or_default();
        match event {
            Ok(ProgramEvent::Exited) => {}
            Ok(ProgramEvent::OutputTooLarge) => return Err(Error::OutputTooLarge(said(self.errors))),
            Err(TerminationCause::TimedOut) => return Err(Error::TimedOut(said(self.errors))),
            Err(TerminationCause::Stopped) => return Err(Error::Stopped),
        }
        let output = rest(self.output).ok_or(Error::OutputStillOpen)?;
        let errors = said(self.errors);
        if output.is_truncated {
            Err(Error::OutputTooLarge(errors))
        } else {
            Ok(ProgramOutput { status, stdout: output.bytes, stderr: errors })
        }
    }
}
