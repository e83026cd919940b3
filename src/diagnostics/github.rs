//! Formats diagnostics as workflow commands of GitHub Actions: annotations on the lines of a pull request.

use super::{Diagnostic, Severity};

/// Renders one diagnostic as one workflow command, ending with a line end.
pub(crate) fn render(diagnostic: &Diagnostic) -> String {
    let command = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = Vec::new();
    if let Some(l) = diagnostic.spans.first() {
        properties.push(format!("file={}", escape_property(&l.file)));
        properties.push(format!("line={}", l.line));
        properties.push(format!("col={}", l.column));
        properties.push(format!("endColumn={}", l.column + l.width));
    }
    properties.push(format!("title={}", diagnostic.code.name()));
    let mut message = diagnostic.message.clone();
    for further in diagnostic
        .notes
        .iter()
        .map(|n| format!("note: {n}"))
        .chain(diagnostic.help.iter().map(|h| format!("help: {h}")))
    {
        message.push('\n');
        message.push_str(&further);
    }
    format!("::{command} {}::{}\n", properties.join(","), escape_data(&message))
}

/// Escapes the message, as the runner's toolkit does (actions/toolkit core command.ts, escapeData).
fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property value (actions/toolkit core command.ts, escapeProperty).
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::{Code, Span};

    #[test]
    fn hostile_file_names_cannot_end_the_command() {
        let label = Span {
            file: "a,b::warning\n.yaml".into(),
            line: 2,
            column: 3,
            width: 1,
            source_line: "".into(),
            label: String::new(),
        };
        let d = Diagnostic::warning(Code::WrongType, "50% of\nit").at(label);
        assert_eq!(
            render(&d),
            "::warning file=a%2Cb%3A%3Awarning%0A.yaml,line=2,col=3,endColumn=4,title=wrong-type::50%25 of%0Ait\n"
        );
    }
}
