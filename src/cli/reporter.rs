//! Prints messages to standard error, in the format of `--message-format`.

use super::error::CommandError;
use super::{GlobalArgs, MessageFormat, write_stderr};
use crate::diagnostics::grouping::{self, DiagnosticGroup};
use crate::diagnostics::{
    Code, Diagnostic, DiagnosticSink, LintLevels, Severity, escape, github, human, json, short,
};

/// Groups of diagnostics that are printed without `-v`.
const MAX_GROUPS: usize = 20;

/// Collects diagnostics and shows them, sorted, when the work is done.
#[derive(Debug)]
pub(super) struct Reporter {
    format: MessageFormat,
    color: bool,
    quiet: bool,
    verbose: bool,
    strict: bool,
    sink: DiagnosticSink,
    /// What was done, for the last line.
    summary: Option<String>,
    /// Errors without a place in a file, and what to do about them. They are printed after the diagnostics.
    errors: String,
}

impl Reporter {
    pub(super) fn new(common: &GlobalArgs) -> Self {
        let mut sink = DiagnosticSink::default();
        sink.set_lint_levels(LintLevels { is_strict: common.strict, ..LintLevels::default() });
        Self {
            format: common.format,
            color: common.colors_stderr(),
            quiet: common.quiet,
            verbose: common.verbose,
            strict: common.strict,
            sink,
            summary: None,
            errors: String::new(),
        }
    }

    /// Suppresses diagnostics with these codes, except errors.
    pub(super) fn suppress_codes(&mut self, codes: &'static [Code]) {
        self.sink.suppress_codes(codes);
    }

    /// Suppresses notes with these codes.
    pub(super) fn suppress_notes(&mut self, codes: &'static [Code]) {
        self.sink.suppress_notes(codes);
    }

    /// Sets the levels of codes: those of `lint:` in pillion.yaml, and `--strict`.
    pub(super) fn set_lint_levels(&mut self, levels: LintLevels) {
        self.sink.set_lint_levels(LintLevels { is_strict: self.strict, ..levels });
    }

    /// Returns diagnostics with their levels, for commands that print them as data.
    pub(super) fn apply_lint_levels(&self, diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let levels = self.sink.lint_levels();
        diagnostics.into_iter().filter_map(|diagnostic| levels.apply(diagnostic)).collect()
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

    /// Prints what was done, with `--verbose`.
    pub(super) fn print_verbose(&self, text: &str) {
        if self.verbose {
            self.print_state(text);
        }
    }

    /// Prints which state is read, where a person reads messages.
    pub(super) fn print_state(&self, text: &str) {
        if !self.quiet && self.format == MessageFormat::Human {
            write_stderr(&format!("{}\n", escape::lines(text)));
        }
    }

    /// Fails when any error was taken.
    pub(super) fn fail_on_errors(&self) -> Result<(), CommandError> {
        if self.has_errors() { Err(CommandError::from_diagnostics([])) } else { Ok(()) }
    }

    /// Sets what was done, for the last line of messages for people: `Rendered 3 workloads: 2 with sidecars`.
    pub(super) fn set_summary(&mut self, summary: impl Into<String>) {
        self.summary = Some(summary.into());
    }

    /// Removes what was done.
    pub(super) fn clear_summary(&mut self) {
        self.summary = None;
    }

    /// Adds the error of a command, and returns its exit code.
    pub(super) fn add_command_error(&mut self, error: CommandError) -> u8 {
        let code = error.exit_code();
        self.add(error.diagnostics);
        if let Some(message) = &error.message {
            self.add_error(message);
        }
        if let Some(hint) = &error.hint {
            self.errors.push_str(&format!("hint: {}\n", escape::lines(hint)));
        }
        code
    }

    /// Adds an error that has no place in a file. It is printed last, also with `--quiet`.
    fn add_error(&mut self, message: &str) {
        self.errors.push_str(&format!("pillion: {}\n", escape::lines(message)));
    }

    /// Prints a note that is not about a place in a file.
    pub(super) fn print_note(&self, text: &str) {
        if !self.quiet {
            write_stderr(&format!("{}\n", escape::lines(text)));
        }
    }

    /// Prints everything added.
    pub(super) fn print_diagnostics(&mut self) {
        let mut diagnostics = self.take_diagnostics();
        if self.quiet {
            diagnostics.retain(Diagnostic::is_error);
        }
        let groups = match self.verbose {
            true => grouping::ungrouped(&diagnostics),
            false => grouping::group_by_cause(&diagnostics),
        };
        let mut text = match self.format {
            MessageFormat::Human => self.render_human(groups),
            MessageFormat::Short => diagnostics.iter().map(short::render).collect(),
            MessageFormat::Github => groups.iter().map(|g| github::render(&g.to_diagnostic())).collect(),
            MessageFormat::Json if diagnostics.is_empty() => String::new(),
            MessageFormat::Json => json::render(&diagnostics),
        };
        text.push_str(&std::mem::take(&mut self.errors));
        write_stderr(&text);
    }

    /// Renders the groups, errors last, and a line that counts them.
    fn render_human(&mut self, groups: Vec<DiagnosticGroup<'_>>) -> String {
        let counts = grouping::summarize(&groups);
        let is_counted = groups.iter().filter(|g| g.severity() != Severity::Note).count() > 1;
        let limit = if self.verbose { usize::MAX } else { MAX_GROUPS };
        let (printed, left_out) = grouping::split_by_limit(groups, limit);
        let mut text = String::new();
        for group in printed {
            text.push_str(&human::render(&group.to_diagnostic(), self.color));
            text.push('\n');
        }
        if !left_out.is_empty() {
            let counts = grouping::summarize(&left_out);
            text.push_str(&format!("not shown: {counts}; `-v` shows all\n\n"));
        }
        match self.summary.take().filter(|_| !self.quiet) {
            Some(summary) if counts.is_empty() => text.push_str(&format!("{}\n", escape::line(&summary))),
            Some(summary) => text.push_str(&format!("{}; {counts}\n", escape::line(&summary))),
            None if is_counted => text.push_str(&format!("{counts}\n")),
            None => {}
        }
        text
    }
}
