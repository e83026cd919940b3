//! Collects diagnostics, without duplicates and without what follows from an error at the same place.

use super::{Code, Diagnostic, LintLevels, Severity, sort};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// File, line and column.
type SourceLocation = (Arc<str>, usize, usize);

/// The diagnostics of a command or of an integration.
#[derive(Debug, Default)]
pub struct DiagnosticSink {
    diagnostics: Vec<Diagnostic>,
    /// The indices of the diagnostics with a message and location.
    indices_by_message: BTreeMap<(String, Option<SourceLocation>), Vec<usize>>,
    /// Locations about which nothing more is reported.
    suppressed_locations: BTreeSet<SourceLocation>,
    has_errors: bool,
    /// Codes that are reported as errors only.
    suppressed_codes: &'static [Code],
    /// Codes that are not reported as notes.
    suppressed_notes: &'static [Code],
    lint_levels: LintLevels,
}

impl DiagnosticSink {
    /// Suppresses diagnostics with these codes, except errors.
    pub fn suppress_codes(&mut self, codes: &'static [Code]) {
        self.suppressed_codes = codes;
    }

    /// Suppresses notes with these codes, but no warnings and errors.
    pub fn suppress_notes(&mut self, codes: &'static [Code]) {
        self.suppressed_notes = codes;
    }

    /// Sets the levels of codes, also for the diagnostics so far.
    pub fn set_lint_levels(&mut self, levels: LintLevels) {
        self.lint_levels = levels;
        self.indices_by_message.clear();
        let diagnostics = std::mem::take(&mut self.diagnostics);
        self.add(diagnostics);
    }

    /// Returns the levels of codes.
    pub(crate) fn lint_levels(&self) -> &LintLevels {
        &self.lint_levels
    }

    /// Adds diagnostics.
    pub fn add(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        let codes = self.suppressed_codes;
        let is_reported = |d: &Diagnostic| d.is_error() || !codes.contains(&d.code);
        for diagnostic in diagnostics.into_iter().filter(is_reported) {
            let Some(diagnostic) = self.lint_levels.apply(diagnostic) else { continue };
            if diagnostic.severity == Severity::Note && self.suppressed_notes.contains(&diagnostic.code) {
                continue;
            }
            self.has_errors |= diagnostic.is_error();
            let location = source_location(&diagnostic);
            if location.as_ref().is_some_and(|l| self.suppressed_locations.contains(l)) {
                continue;
            }
            // The same finding about a set comes with every workload that the set reaches.
            let alike = self.indices_by_message.entry((diagnostic.message.clone(), location)).or_default();
            if !alike.iter().any(|i| self.diagnostics[*i] == diagnostic) {
                alike.push(self.diagnostics.len());
                self.diagnostics.push(diagnostic);
            }
        }
    }

    /// Suppresses further diagnostics at the locations of the errors so far.
    pub fn suppress_error_locations(&mut self) {
        let errors = self.diagnostics.iter().filter(|d| d.is_error());
        self.suppressed_locations.extend(errors.filter_map(source_location));
    }

    /// Returns whether an error was added.
    pub fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// Returns everything added so far, sorted, and removes it.
    pub fn take(&mut self) -> Vec<Diagnostic> {
        self.remove_repeated_fields();
        sort(&mut self.diagnostics);
        self.indices_by_message.clear();
        self.suppressed_locations.clear();
        std::mem::take(&mut self.diagnostics)
    }
}

impl DiagnosticSink {
    /// Removes warnings about unknown fields with which an error at the same place begins.
    fn remove_repeated_fields(&mut self) {
        let errors: Vec<(Option<SourceLocation>, String)> = self
            .diagnostics
            .iter()
            .filter(|d| d.code == Code::MissingField && d.is_error())
            .map(|d| (source_location(d), d.message.clone()))
            .collect();
        let is_repeated = |d: &Diagnostic| {
            let begins =
                |(at, message): &(_, String)| *at == source_location(d) && message.starts_with(&d.message);
            d.code == Code::UnknownField && errors.iter().any(begins)
        };
        self.diagnostics.retain(|d| !is_repeated(d));
    }
}

fn source_location(diagnostic: &Diagnostic) -> Option<SourceLocation> {
    diagnostic.spans.first().map(|l| (l.file.clone(), l.line, l.column))
}
