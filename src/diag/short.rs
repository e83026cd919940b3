//! One line a diagnostic: `path:line:column: error[code]: message`.

use super::{Diagnostic, Severity, plain};

/// Renders one diagnostic as one line, ending with a line end.
pub fn render(diagnostic: &Diagnostic) -> String {
    let place = match diagnostic.labels.first() {
        Some(l) => format!("{}:{}:{}: ", plain::line(&l.file), l.line, l.column),
        None => String::new(),
    };
    let message = diagnostic.message.replace('\n', " ");
    let message = plain::line(&message);
    format!("{place}{}[{}]: {message}\n", word(diagnostic.severity), diagnostic.code.name())
}

/// Returns the severity as users read it.
pub fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
