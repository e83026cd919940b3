//! A running program: collects its output on other threads, and waits for its end.

use super::process_group::{ProcessGroup, TerminationMode, notify_on_exit};
use super::{Error, OutputLimit, ProgramLimits, ProgramOutput, pipe};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long the rest of the output may take after the exit of a program.
const OUTPUT_DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// An event of a running program.
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

/// A running program.
pub(super) struct RunningProgram {
    group: ProcessGroup,
    child: Child,
    pub(super) started_at: Instant,
    output: pipe::PipeReceiver,
    errors: pipe::PipeReceiver,
    events: Receiver<ProgramEvent>,
}

impl RunningProgram {
    /// Starts a program and reads its output.
    pub(super) fn start(
        mut command: Command,
        input: Option<Vec<u8>>,
        limits: &ProgramLimits,
        mode: TerminationMode,
    ) -> Result<Self, Error> {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        super::signals::install_signal_handler();
        let start = Instant::now();
        let (group, mut child) = ProcessGroup::start(command, mode).map_err(Error::Start)?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // A program need not read its input.
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let (events, happened) = channel();
        let read = events.clone();
        let output = pipe::read_pipe(child.stdout.take(), limits.output, move |is_cut| {
            // Without a notification of the exit, the end of the output stands for it.
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

    /// Waits for an event until the program reaches an age; None: no event.
    pub(super) fn wait(&self, age: Duration) -> Option<ProgramEvent> {
        match self.events.recv_timeout(age.saturating_sub(self.started_at.elapsed())) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Disconnected) => Some(ProgramEvent::Exited),
            Err(RecvTimeoutError::Timeout) => None,
        }
    }

    /// Ends what is left of the program, and returns its output.
    pub(super) fn terminate(
        mut self,
        event: Result<ProgramEvent, TerminationCause>,
    ) -> Result<ProgramOutput, Error> {
        // It has not been reaped, so its process id is still its own.
        let status = self.group.terminate(&mut self.child).map_err(Error::Start)?;
        // The pipes are closed now, unless a descendant has left the group.
        let rest = |pipe: pipe::PipeReceiver| pipe.recv_timeout(OUTPUT_DRAIN_TIMEOUT).ok();
        let bytes = |pipe: pipe::PipeReceiver| rest(pipe).map(|e| e.bytes).unwrap_or_default();
        match event {
            Ok(ProgramEvent::Exited) => {}
            Ok(ProgramEvent::OutputTooLarge) => return Err(Error::OutputTooLarge(bytes(self.errors))),
            Err(TerminationCause::TimedOut) => return Err(Error::TimedOut(bytes(self.errors))),
            Err(TerminationCause::Stopped) => return Err(Error::Stopped),
        }
        let output = rest(self.output).ok_or(Error::OutputStillOpen)?;
        let errors = bytes(self.errors);
        if output.is_truncated {
            Err(Error::OutputTooLarge(errors))
        } else {
            Ok(ProgramOutput { status, stdout: output.bytes, stderr: errors })
        }
    }
}
