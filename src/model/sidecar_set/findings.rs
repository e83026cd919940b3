//! A list of diagnostics that stays short however much is wrong.

use crate::diag::{Diagnostic, Severity};

/// Findings of each severity that are shown for one document; one with more is better mended from the top.
const MOST: usize = 200;

/// Diagnostics, and how many more there would be.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: Vec<Diagnostic>,
    errors: usize,
    others: usize,
}

impl Findings {
    /// Adds a finding of a severity, made only if there is room: labels cost time in huge documents. Errors and the
    /// rest are counted apart, so that warnings never hide an error.
    pub(crate) fn add(&mut self, severity: Severity, make: impl FnOnce() -> Diagnostic) {
        let count = if severity == Severity::Error { &mut self.errors } else { &mut self.others };
        *count += 1;
        if *count <= MOST {
            self.found.push(make());
        }
    }

    /// Tells whether there is an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Returns how many findings there were.
    pub(crate) fn count(&self) -> usize {
        self.errors + self.others
    }

    /// Returns the findings, with a note by `last` where some were left out.
    pub(crate) fn into_vec(mut self, last: impl FnOnce(String) -> Diagnostic) -> Vec<Diagnostic> {
        let left_out = self.count() - self.found.len();
        if left_out > 0 {
            self.found.push(last(format!("{left_out} further findings about this SidecarSet are not shown")));
        }
        self.found
    }
}
