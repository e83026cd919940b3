//! A line on the terminal that says how far a long run is; nothing anywhere else.

use super::GlobalArgs;
use std::io::{IsTerminal as _, Write as _};

/// Files between two updates of the line.
const UPDATE_INTERVAL: usize = 512;

/// Counts files, and shows the count on a terminal.
#[derive(Debug)]
pub(super) struct Progress {
    verb: &'static str,
    total: usize,
    count: usize,
    is_shown: bool,
}

impl Progress {
    pub(super) fn new(verb: &'static str, total: usize, common: &GlobalArgs) -> Self {
        let is_shown = std::io::stderr().is_terminal() && !common.quiet && total > UPDATE_INTERVAL;
        Self { verb, total, count: 0, is_shown }
    }

    /// One more file is done.
    pub(super) fn step(&mut self) {
        self.count += 1;
        if self.is_shown && self.count.is_multiple_of(UPDATE_INTERVAL) {
            let _ = write!(std::io::stderr(), "\r{} {} of {} files", self.verb, self.count, self.total);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            // Carriage return, then erase to the end of the line (ECMA-48 EL).
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
