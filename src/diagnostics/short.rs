//! Formats a diagnostic as one line: `path:line:column: error[code]: message`.

use super::{Diagnostic, escape};

/// Renders one diagnostic as one line, ending with a line end.
pub(crate) fn render(diagnostic: &Diagnostic) -> String {
    let place = match diagnostic.spans.first() {
        Some(l) => format!("{}:{}:{}: ", escape::line(&l.file), l.line, l.column),
        None => String::new(),
    };
    let message = diagnostic.message.replace('\n', " ");
    let message = escape::line(&message);
    format!("{place}{}[{}]: {message}\n", diagnostic.severity.name(), diagnostic.code.name())
}
