//! Formats a diagnostic as one line without source text, for plain-text places such as the user interface of Argo CD.

use super::{Diagnostic, escape};

/// Renders one diagnostic as one line, ending with a line end.
pub(crate) fn render(diagnostic: &Diagnostic) -> String {
    let place = diagnostic
        .spans
        .first()
        .map_or_else(String::new, |span| format!(" ({})", escape::line(&span.to_string())));
    let mut text = format!(
        "{}[{}]: {}{place}",
        diagnostic.severity.name(),
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
