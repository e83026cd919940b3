//! Explains codes: docs/codes.md, and `pillion explain CODE`.

use super::{Code, Severity};

/// Returns the text of docs/codes.md.
pub fn code_reference() -> String {
    let mut codes: Vec<Code> = Code::ALL.to_vec();
    codes.sort_by_key(|c| c.name());
    let mut text = String::from(
        "# Diagnostic codes

This page is generated from `src/diagnostics/codes.rs`; a test compares them.
Codes are never renamed.

`pillion explain CODE` prints the section of a code.
`lint:` of pillion.yaml sets the level of warnings and notes ([configuration.md](configuration.md)), and `--strict` makes every warning an error.
",
    );
    for code in codes {
        text.push_str(&format!(
            "\n## {}\n\nSeverity: {}.\n\n{}\n\n```text\n{}\n```\n\n{}\n",
            code.name(),
            severity_names(code),
            one_sentence_per_line(&meaning_of(code)),
            code.example(),
            one_sentence_per_line(code.fix()),
        ));
    }
    text
}

/// Returns what a code means, an example, what to do about it, and how to silence it.
pub(crate) fn explain_code(code: Code) -> String {
    let name = code.name();
    let example: Vec<String> = code.example().lines().map(|line| format!("    {line}")).collect();
    let level = match code.is_always_error() {
        true => "It is an error, so `lint:` cannot allow it.\n".to_owned(),
        false => format!(
            "To silence it, write in pillion.yaml (`deny` makes it an error):\n\n    lint:\n      {name}: allow\n"
        ),
    };
    format!(
        "{name} ({})\n\n{}\n\nExample:\n\n{}\n\nTo fix it:\n\n{}\n\n{level}",
        severity_names(code),
        meaning_of(code),
        example.join("\n"),
        code.fix(),
    )
}

fn severity_names(code: Code) -> String {
    let names: Vec<&str> = code.severities().iter().copied().map(Severity::name).collect();
    names.join(" or ")
}

/// Returns the meaning on one line.
fn meaning_of(code: Code) -> String {
    let lines: Vec<&str> = code.meaning().lines().map(str::trim).collect();
    lines.join(" ")
}

/// Puts each sentence on a line of its own, as in all Markdown of the repository.
fn one_sentence_per_line(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(end) = rest.find(". ") {
        let (sentence, next) = rest.split_at(end + 1);
        lines.push_str(sentence);
        lines.push('\n');
        rest = next.trim_start();
    }
    lines + rest
}
