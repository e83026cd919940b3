//! Where does the text of a ledger differ from what pillion would have written?

use crate::diagnostics::{Code, Diagnostic, MAX_LINE_CHARS, Span};
use std::sync::Arc;

/// Compares a text with what it should be: a label at the first byte that differs.
pub(super) fn first_difference(file: &Arc<str>, found: &str, wanted: &str, what: &str) -> Option<Diagnostic> {
    let at = found.bytes().zip(wanted.bytes()).position(|(a, b)| a != b);
    let at = at.or((found.len() != wanted.len()).then(|| found.len().min(wanted.len())))?;
    let start = found[..floor_char_boundary(found, at)].rfind('\n').map_or(0, |n| n + 1);
    let line = |text: &str| text.get(start..).and_then(|t| t.lines().next()).unwrap_or_default().to_owned();
    let source: String = line(found).chars().take(MAX_LINE_CHARS).collect();
    let column = found[start..floor_char_boundary(found, at)].chars().count() + 1;
    let label = Span {
        file: Arc::clone(file),
        line: found[..start].matches('\n').count() + 1,
        column,
        width: 1,
        source_line: source.into(),
        label: match line(wanted) {
            planned if planned.is_empty() => "nothing more would stand here".to_owned(),
            planned => {
                format!(
                    "here would stand `{}`",
                    planned.trim().chars().take(MAX_LINE_CHARS).collect::<String>()
                )
            }
        },
    };
    Some(
        Diagnostic::error(Code::UnplannedLedgerChange, what)
            .at(label)
            .because(
                "a ledger changes by `pillion stage`, `watch`, `init rollout` and the verbs, never by hand",
            )
            .help("take the change back, and let pillion make it"),
    )
}

fn floor_char_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
