//! Messages to standard error, in the form that was asked for.

use super::{Common, Format};
use crate::diag::{self, Code, Diagnostic, Severity, github, human, json, plain, short};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

/// File, line and column.
type Place = (Arc<str>, usize, usize);

/// Collects diagnostics and shows them, sorted, when the work is done.
#[derive(Debug)]
pub(super) struct Reporter {
    format: Format,
    color: bool,
    quiet: bool,
    verbose: bool,
    collected: Vec<Diagnostic>,
    /// Where the findings with a message and place stand among the collected ones.
    alike: BTreeMap<(String, Option<Place>), Vec<usize>>,
    /// Places about which nothing more is said.
    settled: BTreeSet<Place>,
    has_errors: bool,
    /// Codes of advice that this command does not pass on.
    left_out: &'static [Code],
}

impl Reporter {
    pub(super) fn new(common: &Common) -> Self {
        Self {
            format: common.format,
            color: common.has_colors(),
            quiet: common.quiet,
            verbose: common.verbose,
            collected: Vec::new(),
            alike: BTreeMap::new(),
            settled: BTreeSet::new(),
            has_errors: false,
            left_out: &[],
        }
    }

    /// Passes on nothing with these codes but errors.
    pub(super) fn leave_out(&mut self, codes: &'static [Code]) {
        self.left_out = codes;
    }

    /// Takes diagnostics to be shown.
    pub(super) fn add(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        let left_out = self.left_out;
        let passes_on = |d: &Diagnostic| d.is_error() || !left_out.contains(&d.code);
        for diagnostic in diagnostics.into_iter().filter(passes_on) {
            self.has_errors |= diagnostic.is_error();
            let place = place(&diagnostic);
            if place.as_ref().is_some_and(|p| self.settled.contains(p)) {
                continue;
            }
            // The same finding about a set comes with every workload that the set reaches.
            let alike = self.alike.entry((diagnostic.message.clone(), place)).or_default();
            if !alike.iter().any(|at| self.collected[*at] == diagnostic) {
                alike.push(self.collected.len());
                self.collected.push(diagnostic);
            }
        }
    }

    /// Takes the places of the errors so far as dealt with: nothing more is said about them.
    pub(super) fn settle(&mut self) {
        let errors = self.collected.iter().filter(|d| d.is_error());
        self.settled.extend(errors.filter_map(place));
    }

    /// Tells whether any error was taken.
    pub(super) fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// Hands back everything taken so far, sorted, for verbs whose data they are.
    pub(super) fn take(&mut self) -> Vec<Diagnostic> {
        diag::sort(&mut self.collected);
        self.alike.clear();
        self.settled.clear();
        std::mem::take(&mut self.collected)
    }

    /// Says what was done, where somebody wants to know.
    pub(super) fn done(&self, text: &str) {
        if self.verbose && self.format == Format::Human {
            self.print(&format!("{}\n", plain::lines(text)));
        }
    }

    /// Says what is wrong where that is not about a place in a file: whoever wants to hear of nothing hears of it.
    pub(super) fn error(&self, text: &str) {
        self.print(&format!("{text}\n"));
    }

    /// Says something that is good to know, and not about a place in a file.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            self.print(&format!("{}\n", plain::lines(text)));
        }
    }

    /// Says that the environment failed.
    pub(super) fn failure(&self, failure: &dyn std::error::Error) {
        self.print(&format!("pillion: {}\n", plain::lines(&failure.to_string())));
    }

    /// Shows everything taken.
    pub(super) fn finish(&mut self) {
        let mut diagnostics = self.take();
        if self.quiet {
            diagnostics.retain(Diagnostic::is_error);
        }
        let text = match self.format {
            Format::Human => self.human(&diagnostics),
            Format::Short => diagnostics.iter().map(short::render).collect(),
            Format::Github => diagnostics.iter().map(github::render).collect(),
            Format::Json if diagnostics.is_empty() => String::new(),
            Format::Json => json::render(&diagnostics),
        };
        self.print(&text);
    }

    fn human(&self, diagnostics: &[Diagnostic]) -> String {
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

    fn print(&self, text: &str) {
        // A closed standard error leaves nobody to tell.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

fn place(diagnostic: &Diagnostic) -> Option<Place> {
    diagnostic.labels.first().map(|l| (l.file.clone(), l.line, l.column))
}
