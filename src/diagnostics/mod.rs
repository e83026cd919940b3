//! Problems in the user's files, as data.
//!
//! A [`Diagnostic`] is self-contained: its spans hold the lines they point at, so nothing else has to be kept in memory
//! to show it. Output formats are in the files beside this one.

mod codes;
pub mod escape;
pub(crate) mod github;
pub(crate) mod grouping;
pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod krm;
pub(crate) mod line;
mod lint;
mod reference;
pub(crate) mod sarif;
pub(crate) mod short;
mod sink;

pub use codes::Code;
pub use lint::LintLevels;
pub use reference::code_reference;
pub(crate) use reference::explain_code;
pub use sink::DiagnosticSink;

use std::fmt;
use std::sync::Arc;

/// The severity of a diagnostic. Only errors make a command fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The input cannot be handled as it is.
    Error,
    /// The result may not be what the author wants.
    Warning,
    /// Information.
    Note,
}

impl Severity {
    /// Returns the name that users read.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A place in a file, with its line and a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Path of the file as the user named it; `<stdin>` for standard input.
    pub file: Arc<str>,
    /// Line number, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Number of characters marked, never past the end of the line; 0 when the file as a whole is meant.
    pub(crate) width: usize,
    /// The text of that line, without its line end; long lines are cut (see [`MAX_LINE_CHARS`]).
    pub(crate) source_line: Arc<str>,
    /// Text at the place; empty if the message is enough.
    pub label: String,
}

impl Span {
    /// Returns a label for a file as a whole.
    pub(crate) fn whole_file(name: impl Into<Arc<str>>) -> Self {
        Self { file: name.into(), line: 1, column: 1, width: 0, source_line: "".into(), label: String::new() }
    }

    /// Returns a label for a line, from 1, of a text; an empty one if the text has fewer lines.
    pub(crate) fn whole_line(name: impl Into<Arc<str>>, text: &str, line: usize, label: String) -> Self {
        let source = text.lines().nth(line - 1).unwrap_or_default();
        let source_line: String = source.chars().take(MAX_LINE_CHARS).collect();
        let width = source_line.chars().count();
        Self { file: name.into(), line, column: 1, width, source_line: source_line.into(), label }
    }
}

impl fmt::Display for Span {
    /// Writes `file:line:column`; of a file as a whole its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.width {
            0 => f.write_str(&self.file),
            _ => write!(f, "{}:{}:{}", self.file, self.line, self.column),
        }
    }
}

/// Returns a number with its noun: `1 pod`, `2 pods`, `3 batches`.
pub(crate) fn pluralize(n: u64, noun: &str) -> String {
    let ending = match (n, noun.ends_with("ch")) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{n} {noun}{ending}")
}

/// Returns a number with its thousands apart: `1,387`.
pub(crate) fn format_count(n: usize) -> String {
    let digits = n.to_string();
    let first = digits.len() % 3;
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && i % 3 == first {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns the number of the first line that differs between two texts, from 1; None if they are equal.
pub(crate) fn first_differing_line(old: &str, new: &str) -> Option<usize> {
    let same = old.split('\n').zip(new.split('\n')).take_while(|(a, b)| a == b).count();
    (old != new).then_some(same + 1)
}

/// Characters of a source line that a label keeps.
pub(crate) const MAX_LINE_CHARS: usize = 400;

/// Sorts as users read: by file, line, column, then errors first, then by message; drops exact repetitions.
pub(crate) fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    diagnostics.dedup();
}

fn sort_key(d: &Diagnostic) -> (Option<(&str, usize, usize)>, Severity, Code, &str) {
    (d.spans.first().map(|l| (&*l.file, l.line, l.column)), d.severity, d.code, &d.message)
}

/// One finding about the user's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of finding this is; never renamed.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The problem, lower-case start, no full stop.
    pub message: String,
    /// Where: the first is the primary place.
    pub spans: Vec<Span>,
    /// The API field, as Kubernetes prints paths (`spec.containers[0].name`), where there is one.
    pub field: Option<String>,
    /// What follows from it, where the rule comes from.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Returns an error with a message and no place yet.
    pub(crate) fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message)
    }

    /// Returns a warning with a message and no place yet.
    pub(crate) fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message)
    }

    /// Returns a note with a message and no place yet.
    pub(crate) fn note(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Note, message)
    }

    fn new(code: Code, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            spans: Vec::new(),
            field: None,
            notes: Vec::new(),
            help: None,
        }
    }

    /// Adds a place; the first one added is the primary one.
    #[must_use]
    pub(crate) fn at(mut self, label: Span) -> Self {
        self.spans.push(label);
        self
    }

    /// Names the API field.
    #[must_use]
    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds a line about what follows or where the rule comes from.
    #[must_use]
    pub(crate) fn because(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Sets the help: what to do.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Returns whether this makes the command fail.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
