//! Formats a diagnostic as one line: `path:line:column: error[code]: message`.

use super::{Diagnostic, Severity, escape};

/// Renders one diagnostic as one line, ending with a line end.
pub(crate) fn render(diagnostic: &Diagnostic) -> String {
    let place = match diagnostic.spans.first() {
        Some(l) => format!("{}:{}:{}: ", escape::line(&l.file), l.line, l.column),
        None => String::new(),
    };
    let message = diagnostic.message.replace('\n', " ");
    let message = escape::line(&message);
    format!("{place}{}[{}]: {message}\n", severity_name(diagnostic.severity), diagnostic.code.name())
}

/// Returns the severity as users read it.
pub(crate) fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
