//! Finds lines, comments and indicators around a node.

use memchr::{memchr, memrchr};

/// Returns where the line of a byte starts; a byte order mark at the start of the text is not part of its line.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    let start = memrchr(b'\n', &text.as_bytes()[..at]).map_or(0, |i| i + 1);
    let mark = '\u{feff}'.len_utf8();
    if text[start..].starts_with('\u{feff}') && at >= start + mark { start + mark } else { start }
}

/// Returns where the line of a byte ends, before its line break.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let end = memchr(b'\n', &text.as_bytes()[at..]).map_or(text.len(), |i| at + i);
    if end > at && text.as_bytes()[end - 1] == b'\r' { end - 1 } else { end }
}

/// Returns where the line behind a byte starts, or the end of the text.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    memchr(b'\n', &text.as_bytes()[at..]).map_or(text.len(), |i| at + i + 1)
}

/// Returns the column of a byte in its line.
pub(super) fn column(text: &str, at: usize) -> usize {
    at - line_start(text, at)
}

/// Returns whether only blanks are before a byte in its line.
pub(super) fn is_first_on_line(text: &str, at: usize) -> bool {
    // Lines can be as long as a file: only the blanks are looked at.
    let before = text[..at].trim_end_matches([' ', '\t']);
    before.is_empty() || before.ends_with('\n') || before == "\u{feff}"
}

/// Returns whether only blanks and a comment follow a byte in its line.
pub(super) fn is_last_on_line(text: &str, at: usize) -> bool {
    let rest = text[at..].trim_start_matches([' ', '\t']);
    rest.is_empty() || rest.starts_with(['\n', '\r', '#'])
}

/// Goes from a byte over blanks, line breaks and comments to the next token.
pub(super) fn skip_blank(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(&b) = bytes.get(at) {
        match b {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            b'#' => at = line_end(text, at),
            _ => break,
        }
    }
    at
}

/// Returns the end of what belongs to a node that ends at a byte: its line, and further lines of comments that
/// are deeper than a column. Blank lines count where such a comment follows.
///
/// In a list, comments at the column that look like an item belong to it too.
pub(super) fn end_with_comments(text: &str, end: usize, column: usize, is_list: bool) -> usize {
    let mut last = line_end(text, end);
    let mut at = next_line(text, end);
    let mut in_item = false;
    while at < text.len() {
        let line = &text[at..line_end(text, at)];
        let content = line.trim_start_matches([' ', '\t']);
        let here = line.len() - content.len();
        let is_item = is_list && here == column && (in_item || is_commented_out_item(content));
        if content.is_empty() {
            in_item = false;
        } else if content.starts_with('#') && (here > column || is_item) {
            in_item |= is_item;
            last = at + line.len();
        } else {
            break;
        }
        at = next_line(text, at);
    }
    last
}

fn is_commented_out_item(comment: &str) -> bool {
    comment.trim_start_matches('#').trim_start_matches(' ').starts_with("- ")
}

/// Returns where the lines of comments start that are right above a line, at a column.
pub(super) fn start_with_comments(text: &str, start_of_line: usize, column: usize) -> usize {
    let mut start = start_of_line;
    while start > 0 {
        let above = line_start(text, start - 1);
        let line = &text[above..line_end(text, above)];
        let content = line.trim_start_matches(' ');
        if line.len() - content.len() != column || !content.starts_with('#') {
            break;
        }
        start = above;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_that_stand_deeper_belong_to_the_node() {
        let text = "- a # x\n  # deep\n\n    # deeper\n\n# same\n- b\n";
        assert_eq!(&text[..end_with_comments(text, 3, 0, true)], "- a # x\n  # deep\n\n    # deeper");
        let text = "- a\n# - b\n#   c\n# d\n\n# e\n";
        assert_eq!(&text[..end_with_comments(text, 3, 0, true)], "- a\n# - b\n#   c\n# d");
        assert_eq!(&text[..end_with_comments(text, 3, 0, false)], "- a");
        assert_eq!(end_with_comments("a", 1, 0, false), 1);
    }

    #[test]
    fn comments_right_above_belong_to_the_line() {
        let text = "x\n# a\n\n  # no\n# b\n# c\n- y\n";
        let at = text.find("- y").unwrap();
        assert_eq!(&text[start_with_comments(text, at, 0)..at], "# b\n# c\n");
    }
}
