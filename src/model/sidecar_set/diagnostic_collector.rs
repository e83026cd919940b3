//! A list of diagnostics that stays short however much is wrong.

use crate::diagnostics::{Diagnostic, Severity};

/// Findings of each severity that are shown for one document; one with more is better mended from the top.
const MAX_PER_SEVERITY: usize = 200;

/// Diagnostics, and how many more there would be.
#[derive(Debug, Default)]
pub(crate) struct DiagnosticCollector {
    diagnostics: Vec<Diagnostic>,
    error_count: usize,
    other_count: usize,
}

impl DiagnosticCollector {
    /// Adds a finding of a severity, made only if there is room: labels cost time in huge documents. Errors and the
    /// rest are counted apart, so that warnings never hide an error.
    pub(crate) fn add(&mut self, severity: Severity, make: impl FnOnce() -> Diagnostic) {
        let count = if severity == Severity::Error { &mut self.error_count } else { &mut self.other_count };
        *count += 1;
        if *count <= MAX_PER_SEVERITY {
            self.diagnostics.push(make());
        }
    }

    /// Tells whether there is an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.error_count > 0
    }

    /// Returns how many findings there were.
    pub(crate) fn count(&self) -> usize {
        self.error_count + self.other_count
    }

    /// Returns the findings, with a note by `last` where some were left out.
    pub(crate) fn into_vec(mut self, last: impl FnOnce(String) -> Diagnostic) -> Vec<Diagnostic> {
        let left_out = self.count() - self.diagnostics.len();
        if left_out > 0 {
            self.diagnostics
                .push(last(format!("{left_out} further findings about this SidecarSet are not shown")));
        }
        self.diagnostics
    }
}
