//! Locates the first difference between a ledger and the text that pillion writes.

use crate::diagnostics::{Code, Diagnostic, MAX_LINE_CHARS, Span};
use std::sync::Arc;

/// Compares a text with the expected one: labels the first byte that differs.
pub(super) fn ledger_difference(
    file: &Arc<str>,
    found: &str,
    wanted: &str,
    what: &str,
) -> Option<Diagnostic> {
    let at = found.bytes().zip(wanted.bytes()).position(|(a, b)| a != b);
    let at = at.or((found.len() != wanted.len()).then(|| found.len().min(wanted.len())))?;
    let start = found[..found.floor_char_boundary(at)].rfind('\n').map_or(0, |n| n + 1);
    let line = |text: &str| text.get(start..).and_then(|t| t.lines().next()).unwrap_or_default().to_owned();
    let source: String = line(found).chars().take(MAX_LINE_CHARS).collect();
    let column = found[start..found.floor_char_boundary(at)].chars().count() + 1;
    let label = Span {
        file: Arc::clone(file),
        line: found[..start].matches('\n').count() + 1,
        column,
        width: 1,
        source_line: source.into(),
        label: match line(wanted) {
            planned if planned.is_empty() => "expected end of file".to_owned(),
            planned => {
                format!("expected `{}`", planned.trim().chars().take(MAX_LINE_CHARS).collect::<String>())
            }
        },
    };
    Some(
        Diagnostic::error(Code::LedgerNotPlanned, what)
            .at(label)
            .because("ledgers are changed by pillion commands, never by hand")
            .help("undo the change, and use a pillion command"),
    )
}
