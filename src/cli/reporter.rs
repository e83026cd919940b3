//! Messages to standard error, in the form that was asked for.

use super::error::CommandError;
use super::{GlobalArgs, MessageFormat};
use crate::diagnostics::{Code, Diagnostic, DiagnosticSink, Severity, escape, github, human, json, short};
use std::fmt::Write as _;
use std::io::Write as _;

/// Collects diagnostics and shows them, sorted, when the work is done.
#[derive(Debug)]
pub(super) struct Reporter {
    format: MessageFormat,
    color: bool,
    quiet: bool,
    verbose: bool,
    sink: DiagnosticSink,
}

impl Reporter {
    pub(super) fn new(common: &GlobalArgs) -> Self {
        Self {
            format: common.format,
            color: common.has_colors(),
            quiet: common.quiet,
            verbose: common.verbose,
            sink: DiagnosticSink::default(),
        }
    }

    /// Suppresses diagnostics with these codes, except errors.
    pub(super) fn suppress_codes(&mut self, codes: &'static [Code]) {
        self.sink.suppress_codes(codes);
    }

    /// Adds diagnostics, to be printed at the end.
    pub(super) fn add(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        self.sink.add(diagnostics);
    }

    /// Suppresses further diagnostics at the locations of the errors so far.
    pub(super) fn suppress_error_locations(&mut self) {
        self.sink.suppress_error_locations();
    }

    /// Returns whether an error was added.
    pub(super) fn has_errors(&self) -> bool {
        self.sink.has_errors()
    }

    /// Returns the diagnostics so far, sorted, and removes them: for commands that print them as data.
    pub(super) fn take_diagnostics(&mut self) -> Vec<Diagnostic> {
        self.sink.take()
    }

    /// Prints what was done, if the user wants to know.
    pub(super) fn print_verbose(&self, text: &str) {
        if self.verbose && self.format == MessageFormat::Human {
            self.write_stderr(&format!("{}\n", escape::lines(text)));
        }
    }

    /// Says which state is read, where a person reads messages.
    pub(super) fn print_state(&self, text: &str) {
        if !self.quiet && self.format == MessageFormat::Human {
            self.write_stderr(&format!("{}\n", escape::lines(text)));
        }
    }

    /// Fails when any error was taken.
    pub(super) fn fail_on_errors(&self) -> Result<(), CommandError> {
        if self.has_errors() { Err(CommandError::from_diagnostics([])) } else { Ok(()) }
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
        // With a closed standard error, no message can be shown.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}
