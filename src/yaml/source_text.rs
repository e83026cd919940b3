//! Maps bytes of a text to lines and columns.

use crate::diagnostics::{MAX_LINE_CHARS, Span};
use memchr::{memchr, memchr_iter, memrchr};
use std::ops::Range;
use std::sync::Arc;

/// A text with the name of its file and the number of its first line there.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceText<'a> {
    pub(super) file: &'a Arc<str>,
    pub(super) first_line: usize,
    pub(super) text: &'a str,
    /// Where its lines start, except the first one, if that is known: a large text has many labels.
    pub(super) line_starts: Option<&'a [usize]>,
}

impl SourceText<'_> {
    /// Returns a label over a range of bytes, cut at the end of its line.
    pub(super) fn label(&self, range: Range<usize>, text: impl Into<String>) -> Span {
        let start = floor_char_boundary(self.text, range.start);
        let line = self.line_around(start);
        let source = &self.text[line.clone()];
        // A byte order mark takes no column.
        let shown = source.strip_prefix('\u{feff}').unwrap_or(source);
        let from = start.clamp(line.end - shown.len(), line.end);
        let to = floor_char_boundary(self.text, range.end).clamp(from, line.end);
        Span {
            file: self.file.clone(),
            line: self.first_line + self.lines_before(line.start),
            column: self.text[line.end - shown.len()..from].chars().count() + 1,
            width: self.text[from..to].chars().count().max(1),
            source_line: shown.chars().take(MAX_LINE_CHARS).collect::<String>().into(),
            label: text.into(),
        }
    }

    /// Returns how many lines end before the start of a line.
    fn lines_before(&self, line_start: usize) -> usize {
        match self.line_starts {
            Some(starts) => starts.partition_point(|start| *start <= line_start),
            None => memchr_iter(b'\n', &self.text.as_bytes()[..line_start]).count(),
        }
    }

    /// Returns the range of the line that holds a byte, without its line end.
    pub(super) fn line_around(&self, at: usize) -> Range<usize> {
        let bytes = self.text.as_bytes();
        let at = at.min(bytes.len());
        let start = memrchr(b'\n', &bytes[..at]).map_or(0, |i| i + 1);
        let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |i| at + i);
        let end = if end > start && bytes[end - 1] == b'\r' { end - 1 } else { end };
        start..end
    }
}

/// Returns where the lines of a text start, except the first one.
pub(super) fn line_starts(text: &str) -> Box<[usize]> {
    memchr_iter(b'\n', text.as_bytes()).map(|end| end + 1).collect()
}

/// Returns the nearest character boundary at or before a byte.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters_and_widths_stop_at_the_line_end() {
        let file: Arc<str> = "a.yaml".into();
        let text = "\u{feff}é: 1\r\nbé: xy\r\n";
        let starts = line_starts(text);
        for line_starts in [None, Some(&*starts)] {
            let place = SourceText { file: &file, first_line: 10, text, line_starts };
            let label = place.label(0..5, "");
            assert_eq!((label.line, label.column, label.width, &*label.source_line), (10, 1, 1, "é: 1"));
            let at = place.text.find("xy").unwrap();
            let label = place.label(at..at + 4, "");
            assert_eq!((label.line, label.column, label.width, &*label.source_line), (11, 5, 2, "bé: xy"));
            let end = place.label(text.len()..text.len(), "");
            assert_eq!((end.line, end.column), (12, 1));
        }
    }
}
