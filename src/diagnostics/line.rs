//! Formats a diagnostic as one line without source text, for plain-text places such as the user interface of Argo CD.

use super::{Diagnostic, escape, short::severity_name};

/// Renders one diagnostic as one line, ending with a line end.
pub(crate) fn render(diagnostic: &Diagnostic) -> String {
    let place = match diagnostic.spans.first() {
        Some(l) if l.width > 0 => format!(" ({}:{}:{})", escape::line(&l.file), l.line, l.column),
        Some(l) => format!(" ({})", escape::line(&l.file)),
        None => String::new(),
    };
    let mut text = format!(
        "{}[{}]: {}{place}",
        severity_name(diagnostic.severity),
        diagnostic.code.name(),
        escape::line(&diagnostic.message.replace('\n', " "))
    );
    for further in diagnostic.notes.iter().chain(&diagnostic.help) {
        text.push_str("; ");
        text.push_str(&escape::line(&further.replace('\n', " ")));
    }
    text.push('\n');
    text
}
