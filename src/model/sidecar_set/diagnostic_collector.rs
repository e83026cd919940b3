//! Collects the diagnostics of a SidecarSet up to a limit for each severity.

use super::field_locations::FieldLocations;
use crate::diagnostics::{Code, Diagnostic, Severity};
use crate::yaml::{EntryPart, FieldPath};

/// The maximum number of errors, and of other diagnostics, for one document.
const MAX_PER_SEVERITY: usize = 200;

/// Diagnostics up to the limit, and the number of all of them.
#[derive(Debug, Default)]
pub(crate) struct DiagnosticCollector {
    diagnostics: Vec<Diagnostic>,
    error_count: usize,
    other_count: usize,
}

impl DiagnosticCollector {
    /// Adds a diagnostic of a severity. `make` runs only below the limit, because labels are slow in huge documents.
    /// Errors are counted apart from the rest, so that warnings never hide an error.
    pub(crate) fn add(&mut self, severity: Severity, make: impl FnOnce() -> Diagnostic) {
        let count = if severity == Severity::Error { &mut self.error_count } else { &mut self.other_count };
        *count += 1;
        if *count <= MAX_PER_SEVERITY {
            self.diagnostics.push(make());
        }
    }

    /// Returns whether there is an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.error_count > 0
    }

    /// Returns the number of all diagnostics, with those beyond the limit.
    pub(crate) fn count(&self) -> usize {
        self.error_count + self.other_count
    }

    /// Returns the diagnostics. If some are beyond the limit, the last one is a note about them.
    pub(crate) fn into_vec(mut self, locations: &FieldLocations) -> Vec<Diagnostic> {
        let omitted = self.count() - self.diagnostics.len();
        if omitted > 0 {
            let message = format!("{omitted} more findings in this SidecarSet are not shown");
            let note = Diagnostic::note(Code::TooManyFindings, message)
                .at(locations.label(&FieldPath::root(), EntryPart::Value, ""))
                .help("fix these errors and run the command again");
            self.diagnostics.push(note);
        }
        self.diagnostics
    }
}
