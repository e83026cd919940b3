//! Generates docs/codes.md: every code with its meaning and a minimal example.

use super::Code;

/// Returns the text of docs/codes.md.
pub fn code_reference() -> String {
    let mut codes: Vec<Code> = Code::ALL.to_vec();
    codes.sort_by_key(|c| c.name());
    let mut text = String::from(
        "# Diagnostic codes\n\nMade from `src/diagnostics/codes.rs`; a test compares them.\nCodes are never renamed.\n",
    );
    for code in codes {
        let meaning: Vec<&str> = code.meaning().lines().map(str::trim).collect();
        text.push_str(&format!(
            "\n## {}\n\n{}\n\n```text\n{}\n```\n",
            code.name(),
            meaning.join("\n"),
            code.example()
        ));
    }
    text
}
