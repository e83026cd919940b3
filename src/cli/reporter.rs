//! Messages to standard error, in the form that was asked for.

use super::error::CommandError;
use super::{GlobalArgs, MessageFormat};
use crate::diagnostics::{self, Code, Diagnostic, Severity, escape, github, human, json, short};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

/// File, line and column.
type SourceLocation = (Arc<str>, usize, usize);

/// Collects diagnostics and shows them, sorted, when the work is done.
#[derive(Debug)]
pub(super) struct Reporter {
    format: MessageFormat,
    color: bool,
    quiet: bool,
    verbose: bool,
    diagnostics: Vec<Diagnostic>,
    /// Where the findings with a message and place stand among the collected ones.
    indices_by_message: BTreeMap<(String, Option<SourceLocation>), Vec<usize>>,
    /// Places about which nothing more is said.
    suppressed_locations: BTreeSet<SourceLocation>,
    has_errors: bool,
    /// Codes of advice that this command does not pass on.
    suppressed_codes: &'static [Code],
}

impl Reporter {
    pub(super) fn new(common: &GlobalArgs) -> Self {
        Self {
            format: common.format,
            color: common.has_colors(),
            quiet: common.quiet,
            verbose: common.verbose,
            diagnostics: Vec::new(),
            indices_by_message: BTreeMap::new(),
            suppressed_locations: BTreeSet::new(),
            has_errors: false,
            suppressed_codes: &[],
        }
    }

    /// Passes on nothing with these codes but errors.
    pub(super) fn suppress_codes(&mut self, codes: &'static [Code]) {
        self.suppressed_codes = codes;
    }

    /// Takes diagnostics to be shown.
    pub(super) fn add(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        let left_out = self.suppressed_codes;
        let passes_on = |d: &Diagnostic| d.is_error() || !left_out.contains(&d.code);
        for diagnostic in diagnostics.into_iter().filter(passes_on) {
            self.has_errors |= diagnostic.is_error();
            let place = source_location(&diagnostic);
            if place.as_ref().is_some_and(|p| self.suppressed_locations.contains(p)) {
                continue;
            }
            // The same finding about a set comes with every workload that the set reaches.
            let alike = self.indices_by_message.entry((diagnostic.message.clone(), place)).or_default();
            if !alike.iter().any(|at| self.diagnostics[*at] == diagnostic) {
                alike.push(self.diagnostics.len());
                self.diagnostics.push(diagnostic);
            }
        }
    }

    /// Takes the places of the errors so far as dealt with: nothing more is said about them.
    pub(super) fn suppress_error_locations(&mut self) {
        let errors = self.diagnostics.iter().filter(|d| d.is_error());
        self.suppressed_locations.extend(errors.filter_map(source_location));
    }

    /// Tells whether any error was taken.
    pub(super) fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// Hands back everything taken so far, sorted, for verbs whose data they are.
    pub(super) fn take_diagnostics(&mut self) -> Vec<Diagnostic> {
        diagnostics::sort(&mut self.diagnostics);
        self.indices_by_message.clear();
        self.suppressed_locations.clear();
        std::mem::take(&mut self.diagnostics)
    }

    /// Says what was done, where somebody wants to know.
    pub(super) fn print_verbose(&self, text: &str) {
        if self.verbose && self.format == MessageFormat::Human {
            self.write_stderr(&format!("{}\n", escape::lines(text)));
        }
    }

    /// Fails when any error was taken.
    pub(super) fn fail_on_errors(&self) -> Result<(), CommandError> {
        if self.has_errors { Err(CommandError::from_diagnostics([])) } else { Ok(()) }
    }

    /// Prints an error that has no place in a file, also with `--quiet`.
    pub(super) fn print_error(&self, message: &str) {
        self.write_stderr(&format!("pillion: {}\n", escape::lines(message)));
    }

    /// Prints what to do about an error.
    pub(super) fn print_hint(&self, hint: &str) {
        self.write_stderr(&format!("hint: {}\n", escape::lines(hint)));
    }

    /// Says something that is good to know, and not about a place in a file.
    pub(super) fn print_note(&self, text: &str) {
        if !self.quiet {
            self.write_stderr(&format!("{}\n", escape::lines(text)));
        }
    }

    /// Shows everything taken.
    pub(super) fn print_diagnostics(&mut self) {
        let mut diagnostics = self.take_diagnostics();
        if self.quiet {
            diagnostics.retain(Diagnostic::is_error);
        }
        let text = match self.format {
            MessageFormat::Human => self.render_human(&diagnostics),
            MessageFormat::Short => diagnostics.iter().map(short::render).collect(),
            MessageFormat::Github => diagnostics.iter().map(github::render).collect(),
            MessageFormat::Json if diagnostics.is_empty() => String::new(),
            MessageFormat::Json => json::render(&diagnostics),
        };
        self.write_stderr(&text);
    }

    fn render_human(&self, diagnostics: &[Diagnostic]) -> String {
        let mut text = String::new();
        for diagnostic in diagnostics {
            text.push_str(&human::render(diagnostic, self.color));
            text.push('\n');
        }
        let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        if errors + warnings > 1 {
            let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
            let _ = writeln!(text, "{}, {}", plural(errors, "error"), plural(warnings, "warning"));
        }
        text
    }

    fn write_stderr(&self, text: &str) {
        // A closed standard error leaves nobody to tell.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

fn source_location(diagnostic: &Diagnostic) -> Option<SourceLocation> {
    diagnostic.spans.first().map(|l| (l.file.clone(), l.line, l.column))
}
