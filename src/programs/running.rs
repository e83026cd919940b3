//! A program that runs: its output is collected on threads of its own, and its end is waited for.

use super::group::{Ending, Group, wait};
use super::{Ended, Failure, Kept, Limits, pipe};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long the rest of the output is waited for once a program has ended.
const REST: Duration = Duration::from_secs(10);

/// Something that is worth noticing while a program runs.
pub(super) enum Event {
    Ended,
    TooMuch,
}

/// Why a program is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    TooLong,
    Stopped,
}

/// A program that was started.
pub(super) struct Running {
    group: Group,
    child: Child,
    pub(super) start: Instant,
    output: pipe::Reader,
    errors: pipe::Reader,
    happened: Receiver<Event>,
}

impl Running {
    /// Starts a program, and begins to read what it prints.
    pub(super) fn start(
        mut command: Command,
        input: Option<Vec<u8>>,
        limits: &Limits,
        ending: Ending,
    ) -> Result<Self, Failure> {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        let (group, mut child) = Group::start(command, ending).map_err(Failure::Start)?;
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
        Ok(Self { group, child, start, output, errors, happened })
    }

    /// Waits until something happens; None: nothing has, by this age of the program.
    pub(super) fn wait(&self, age: Duration) -> Option<Event> {
        match self.happened.recv_timeout(age.saturating_sub(self.start.elapsed())) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Disconnected) => Some(Event::Ended),
            Err(RecvTimeoutError::Timeout) => None,
        }
    }

    /// Ends what is left of the program, and returns what it left behind.
    pub(super) fn end(mut self, event: Result<Event, Cut>) -> Result<Ended, Failure> {
        // It is not waited for yet, so its number still is its own.
        let status = self.group.end(&mut self.child).map_err(Failure::Start)?;
        // Pipes are closed by now, unless something has left the group.
        let rest = |pipe: pipe::Reader| pipe.recv_timeout(REST).ok();
        let said = |pipe: pipe::Reader| rest(pipe).map(|e| e.bytes).unwrap_or_default();
        match event {
            Ok(Event::Ended) => {}
            Ok(Event::TooMuch) => return Err(Failure::TooMuch(said(self.errors))),
            Err(Cut::TooLong) => return Err(Failure::TooLong(said(self.errors))),
            Err(Cut::Stopped) => return Err(Failure::Stopped),
        }
        let output = rest(self.output).ok_or(Failure::StillOpen)?;
        let errors = said(self.errors);
        if output.is_cut {
            Err(Failure::TooMuch(errors))
        } else {
            Ok(Ended { status, output: output.bytes, errors })
        }
    }
}
