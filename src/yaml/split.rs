//! Splits a file into documents as Kubernetes' own reader does: at every line that starts with `---`.

use super::source_text::SourceText;
use crate::diagnostics::{Code, Diagnostic};
use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

static SEPARATOR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n---"));
static DOCUMENT_END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n..."));

/// The part of a file that makes one document: its `---` line, where it has one, and all up to the next one.
///
/// The pieces of a file lie side by side: put together they are the file, byte for byte. An empty file has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentSlice {
    /// The bytes of the file.
    pub span: Range<usize>,
    /// The number of the first line, from 1.
    pub first_line: usize,
}

/// Cuts a file into its documents, and says what Kubernetes' reader would refuse or silently drop.
pub fn split_documents(file: &Arc<str>, text: &str) -> (Vec<DocumentSlice>, Vec<Diagnostic>) {
    let place = SourceText { file, first_line: 1, text, line_starts: None };
    let starts = find_separators(text.as_bytes());
    let mut diagnostics = Vec::new();
    let mut pieces = Vec::with_capacity(starts.len() + 1);
    let (mut from, mut line) = (0, 1);
    for &at in &starts {
        diagnostics.extend(check_separator(&place, at));
        if at > from {
            pieces.push(DocumentSlice { span: from..at, first_line: line });
            line += memchr_iter(b'\n', &text.as_bytes()[from..at]).count();
            from = at;
        }
    }
    if text.len() > from {
        pieces.push(DocumentSlice { span: from..text.len(), first_line: line });
    }
    diagnostics.extend(find_dropped_text(&place, &starts));
    (pieces, diagnostics)
}

/// Returns where the lines start that begin with `---`.
fn find_separators(bytes: &[u8]) -> Vec<usize> {
    // Kubernetes compares before the byte order mark is taken off: a separator after one is content.
    let first = bytes.starts_with(b"---").then_some(0);
    first.into_iter().chain(SEPARATOR.find_iter(bytes).map(|i| i + 1)).collect()
}

// apimachinery pkg/util/yaml YAMLReader.Read: only blanks and a comment may follow the dashes.
fn check_separator(place: &SourceText<'_>, at: usize) -> Option<Diagnostic> {
    let line = place.line_around(at);
    let rest = place.text[at + 3..line.end].trim();
    if rest.is_empty() || rest.starts_with('#') {
        return None;
    }
    let mark = line.end - place.text[at + 3..line.end].trim_start().len();
    let help = if rest.starts_with('-') {
        "a line of more than three dashes is not a separator: make it a comment with `#`, or write `---`"
    } else {
        "move it to the next line"
    };
    Some(
        Diagnostic::error(Code::InvalidYaml, "only a comment may follow `---` on its line")
            .at(place.label(mark..line.end, "Kubernetes refuses this"))
            .help(help),
    )
}

/// Finds text between a `...` line and the next `---`, which Kubernetes would drop without a word.
fn find_dropped_text(place: &SourceText<'_>, separators: &[usize]) -> Vec<Diagnostic> {
    let bytes = place.text.as_bytes();
    let first = bytes.starts_with(b"...").then_some(0);
    let ends = first.into_iter().chain(DOCUMENT_END.find_iter(bytes).map(|i| i + 1));
    let mut diagnostics = Vec::new();
    let mut checked_to = 0;
    for end in ends.filter(|&e| matches!(bytes.get(e + 3), None | Some(b' ' | b'\t' | b'\r' | b'\n'))) {
        let next = separators.partition_point(|&s| s < end);
        let next = separators.get(next).copied().unwrap_or(bytes.len());
        if end < checked_to {
            continue;
        }
        checked_to = next;
        if let Some(at) = first_content(bytes, end + 3..next) {
            diagnostics.push(
                Diagnostic::error(
                    Code::InvalidYaml,
                    "text after `...` without a `---` line is dropped by Kubernetes",
                )
                .at(place.label(at..place.line_around(at).end, "this would be lost"))
                .help("write `---` above it"),
            );
        }
    }
    diagnostics
}

/// Returns the first byte in a range that is neither blank nor in a comment nor in a further `...`.
fn first_content(bytes: &[u8], range: Range<usize>) -> Option<usize> {
    let mut at = range.start;
    while at < range.end {
        let end = memchr(b'\n', &bytes[at..range.end]).map_or(range.end, |i| at + i);
        let line = bytes[at..end].trim_ascii();
        if !line.is_empty() && line[0] != b'#' && line != b"..." {
            return Some(end - bytes[at..end].trim_ascii_start().len());
        }
        at = end + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    type SliceStarts = Vec<(usize, usize)>;

    fn cut(text: &str) -> (Vec<(&str, usize)>, SliceStarts) {
        let (pieces, diagnostics) = split_documents(&"f".into(), text);
        assert_eq!(pieces.iter().map(|p| &text[p.span.clone()]).collect::<String>(), text);
        let pieces = pieces.into_iter().map(|p| (&text[p.span], p.first_line)).collect();
        (pieces, diagnostics.iter().map(|d| (d.spans[0].line, d.spans[0].column)).collect())
    }

    #[test]
    fn separators_belong_to_the_document_they_open() {
        assert_eq!(cut(""), (vec![], vec![]));
        assert_eq!(cut("a: 1\n--- # two\r\nb: 2"), (vec![("a: 1\n", 1), ("--- # two\r\nb: 2", 2)], vec![]));
        assert_eq!(cut("---\n---\na: 1\n"), (vec![("---\n", 1), ("---\na: 1\n", 2)], vec![]));
        assert_eq!(
            cut("# c\n\n---\na: 1\n...\n---\n"),
            (vec![("# c\n\n", 1), ("---\na: 1\n...\n", 3), ("---\n", 6)], vec![])
        );
        assert_eq!(cut("a: |\n  x\n  ---\n---\nb"), (vec![("a: |\n  x\n  ---\n", 1), ("---\nb", 4)], vec![]));
    }

    #[test]
    fn what_kubernetes_refuses_or_drops_is_reported() {
        assert_eq!(cut("--- a: 1\n").1, [(1, 5)]);
        assert_eq!(cut("a: 1\n---x\n").1, [(2, 4)]);
        assert_eq!(cut("--- |\n").1, [(1, 5)]);
        assert_eq!(cut("a: 1\n...\n# c\n\n  b: 1\n---\n").1, [(5, 3)]);
        assert_eq!(cut("a: 1\n...\n...\n---\nb: 1\n...").1, []);
        assert_eq!(cut("a: ...\n...x\n").1, []);
    }
}
