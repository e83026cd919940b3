//! A line on the terminal that shows how far a long run is; nothing anywhere else.

use super::{GlobalArgs, write_stderr};
use crate::diagnostics::format_count;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A shorter run shows nothing.
const FIRST_UPDATE: Duration = Duration::from_millis(500);
/// The time between updates.
const UPDATE_INTERVAL: Duration = Duration::from_millis(100);

/// Counts the steps of a run, and shows the count on a terminal from a thread of its own: also a step that takes long
/// shows that something happens.
#[derive(Debug)]
pub(super) struct Progress {
    line: Arc<ProgressLine>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread shows.
#[derive(Debug)]
struct ProgressLine {
    /// What is done: `Reading`.
    verb: &'static str,
    /// What is counted: `files`.
    noun: &'static str,
    total: usize,
    count: AtomicUsize,
    has_ended: Mutex<bool>,
    end: Condvar,
}

impl Progress {
    /// Starts to count up to `total`.
    pub(super) fn new(verb: &'static str, noun: &'static str, total: usize, common: &GlobalArgs) -> Self {
        let count = AtomicUsize::new(0);
        let line = Arc::new(ProgressLine {
            verb,
            noun,
            total,
            count,
            has_ended: Mutex::default(),
            end: Condvar::new(),
        });
        let is_shown = std::io::stderr().is_terminal() && !common.quiet;
        let shown = Arc::clone(&line);
        // A thread that cannot be started does not fail the run: there is only no line.
        let start = || std::thread::Builder::new().name("progress".into()).spawn(move || shown.show()).ok();
        let thread = if is_shown { start() } else { None };
        Self { line, thread }
    }

    /// One more step is done.
    pub(super) fn step(&self) {
        self.line.count.fetch_add(1, Ordering::Relaxed);
    }
}

impl ProgressLine {
    /// Updates the line until the end, and then erases it.
    fn show(&self) {
        let mut wait = FIRST_UPDATE;
        let mut has_ended = self.has_ended.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_visible = false;
        while !*has_ended {
            let woken = self.end.wait_timeout(has_ended, wait).unwrap_or_else(PoisonError::into_inner);
            has_ended = woken.0;
            if woken.1.timed_out() && !*has_ended {
                is_visible = true;
                wait = UPDATE_INTERVAL;
                write_stderr(&format!("\r{}\u{1b}[K", self.text()));
            }
        }
        if is_visible {
            // Carriage return, then erase to the end of the line (ECMA-48 EL).
            write_stderr("\r\u{1b}[K");
        }
    }

    fn text(&self) -> String {
        let count = self.count.load(Ordering::Relaxed).min(self.total);
        format!("{} {}/{} {}", self.verb, format_count(count), format_count(self.total), self.noun)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        *self.line.has_ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.line.end.notify_all();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_count_and_the_total() {
        let line = ProgressLine {
            verb: "Reading",
            noun: "files",
            total: 20_130,
            count: AtomicUsize::new(12_431),
            has_ended: Mutex::default(),
            end: Condvar::new(),
        };
        assert_eq!(line.text(), "Reading 12,431/20,130 files");
    }
}
