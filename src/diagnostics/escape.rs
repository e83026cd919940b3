//! Escapes untrusted text for display: names, messages of servers, lines of files. Only this file decides which
//! characters never reach terminals, logs and commit messages.

use std::borrow::Cow;

/// Returns whether a character moves the cursor, starts a line or turns the direction of text: control characters
/// (C0, DEL, C1), the line and paragraph separators, and the marks, embeddings, overrides and isolates of
/// bidirectional text.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns a text on one line: hidden characters are written as JSON writes them (`\n`, `\u001b`).
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escape_unless(text, |_| false)
}

/// Returns a text of several lines: line ends and tabs stay, all other hidden characters are written as JSON writes
/// them.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escape_unless(text, |c| matches!(c, '\n' | '\t'))
}

/// Returns a line of a file with as many characters as before: the picture of a control character (`␛`), or `�`,
/// refers to each hidden one; tabs stay.
pub(crate) fn columns(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| is_hidden(c) && c != '\t') {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match c {
        '\t' => '\t',
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        c if is_hidden(c) => '\u{fffd}',
        c => c,
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Returns the first characters of a text, with a mark where others follow.
pub(crate) fn truncate(text: &str, max_chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Returns a text as one word of a shell: quoted where it needs that.
pub(crate) fn shell_word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./@+=:%,".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(format!("'{}'", line(text).replace('\'', r"'\''"))),
    }
}

fn escape_unless(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_bad = |c: char| is_hidden(c) && !stays(c);
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !is_bad(c) => plain.push(c),
            '\n' => plain.push_str("\\n"),
            '\r' => plain.push_str("\\r"),
            '\t' => plain.push_str("\\t"),
            // Hidden characters all have four digits.
            c => plain.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "\0\u{1}\t\n\r\u{1b}\u{7f}\u{80}\u{9b}\u{9f}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}";

    #[test]
    fn nothing_hidden_is_left() {
        assert!(!line(ALL).contains(is_hidden));
        assert!(!lines(ALL).contains(|c| is_hidden(c) && c != '\n' && c != '\t'));
        assert_eq!(columns(ALL).chars().count(), ALL.chars().count());
        assert!(!columns(ALL).contains(|c| is_hidden(c) && c != '\t'));
    }

    #[test]
    fn a_shell_reads_a_word_as_it_is() {
        assert_eq!(shell_word("env/prod"), "env/prod");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("a b$(c)"), "'a b$(c)'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }

    #[test]
    fn escapes_are_those_of_json() {
        for text in [ALL, "a\u{1b}[31mb\u{202e}c", "plain é 日本 😀"] {
            let json = format!("\"{}\"", line(text));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
        assert_eq!(line("a\nb\u{1b}"), "a\\nb\\u001b");
        assert_eq!(lines("a\nb\u{202e}"), "a\nb\\u202e");
        assert_eq!(columns("a\u{1b}\u{202e}b"), "a␛�b");
    }
}
