//! Writes new YAML text that go-yaml v2, YAML 1.2 and PyYAML all read alike.

use super::scalar::{self, ScalarMeaning};
use serde_json::Value;
use std::fmt::Write as _;

/// Characters that a key may have before its `:`; longer ones need a `? `.
const MAX_KEY: usize = 1000;

/// How block text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockStyle {
    /// Columns from a key to the keys of its mapping.
    pub(super) step: usize,
    /// Columns from a key to the dashes of its list.
    pub(super) dashes: usize,
    /// Columns from a dash to what follows it.
    pub(super) gap: usize,
    /// Strings of several lines become block scalars. Not where comments follow that would become their content.
    pub(super) literal: bool,
}

impl Default for BlockStyle {
    fn default() -> Self {
        Self { step: 2, dashes: 2, gap: 2, literal: true }
    }
}

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueContext {
    /// It is the document.
    Root,
    /// Behind a key at a column.
    Key(usize),
    /// Behind a dash at a column.
    Dash(usize),
}

/// The text of a value: what goes behind the key or dash, and the lines below, each with a line break before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ValueText {
    pub(super) inline: String,
    pub(super) below: String,
}

/// How flow text is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FlowStyle {
    /// Only what JSON has.
    pub(super) json: bool,
    /// Behind a key: `: ` or `:`.
    pub(super) colon: &'static str,
    /// Between items on one line: `, ` or `,`.
    pub(super) comma: &'static str,
    /// The indentation of a level, where each item is on a line of its own.
    pub(super) unit: Option<String>,
}

impl FlowStyle {
    pub(super) const YAML: Self = Self { json: false, colon: ": ", comma: ", ", unit: None };
}

/// Returns a whole document in block style, with a line break at its end.
pub fn emit(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, ValueContext::Root, BlockStyle::default());
    out.push('\n');
    out
}

/// Returns a value on one line, in flow style.
pub fn emit_flow(value: &Value) -> String {
    let mut out = String::new();
    write_flow(&mut out, value, &FlowStyle::YAML, false, "");
    out
}

/// Returns the text of a value in block style.
pub(super) fn block_text(value: &Value, around: ValueContext, style: BlockStyle) -> ValueText {
    let mut text = String::new();
    write_value(&mut text, value, around, style);
    let below = text.split_off(text.find('\n').unwrap_or(text.len()));
    if matches!(around, ValueContext::Key(_)) && text.starts_with(' ') {
        text.remove(0);
    }
    ValueText { inline: text, below }
}

/// Returns the lines of a mapping entry, each with a line break before it.
pub(super) fn entry_lines(key: &str, value: &Value, column: usize, style: BlockStyle) -> String {
    let mut out = String::new();
    write_entry(&mut out, key, value, column, style, false);
    out
}

/// Returns the line of a key, with a line break before it and nothing behind its colon.
pub(super) fn key_line(key: &str, column: usize) -> String {
    let mut out = String::new();
    write_key(&mut out, key, column, false);
    out
}

/// Returns the lines of a list item, each with a line break before it.
pub(super) fn item_lines(value: &Value, column: usize, style: BlockStyle) -> String {
    let mut out = String::new();
    write_item(&mut out, value, column, style, false);
    out
}

/// Writes a value behind its key's colon, behind its dash and gap, or at the start of the document.
fn write_value(out: &mut String, value: &Value, around: ValueContext, style: BlockStyle) {
    let is_key = matches!(around, ValueContext::Key(_));
    let column = |root: usize, below_key: usize| match around {
        ValueContext::Root => root,
        ValueContext::Key(column) => column + below_key,
        ValueContext::Dash(column) => column + style.gap,
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (i, (key, value)) in map.iter().enumerate() {
                write_entry(out, key, value, column(0, style.step), style, i == 0 && !is_key);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                write_item(out, item, column(0, style.dashes), style, i == 0 && !is_key);
            }
        }
        other => {
            if is_key {
                out.push(' ');
            }
            match other {
                Value::String(text) if style.literal && is_block_safe(text) => {
                    out.push_str(block_header(text));
                    push_block_lines(out, text, column(2, style.step));
                }
                other => write_flow(out, other, &FlowStyle::YAML, false, ""),
            }
        }
    }
}

/// Starts a line, unless the text continues behind a dash or at the start of the document.
fn start_line(out: &mut String, column: usize, goes_on: bool) {
    if !goes_on {
        out.push('\n');
        push_blanks(out, column);
    }
}

fn push_blanks(out: &mut String, mut count: usize) {
    const BLANKS: &str = "                                                                ";
    while count > BLANKS.len() {
        out.push_str(BLANKS);
        count -= BLANKS.len();
    }
    out.push_str(&BLANKS[..count]);
}

fn write_entry(out: &mut String, key: &str, value: &Value, column: usize, style: BlockStyle, goes_on: bool) {
    write_key(out, key, column, goes_on);
    write_value(out, value, ValueContext::Key(column), style);
}

/// Writes a key with its colon.
fn write_key(out: &mut String, key: &str, column: usize, goes_on: bool) {
    start_line(out, column, goes_on);
    let start = out.len();
    push_scalar(out, key, false, true);
    if out.len() - start > MAX_KEY && out[start..].chars().count() > MAX_KEY {
        out.insert_str(start, "? ");
        start_line(out, column, false);
    }
    out.push(':');
}

fn write_item(out: &mut String, value: &Value, column: usize, style: BlockStyle, goes_on: bool) {
    start_line(out, column, goes_on);
    out.push('-');
    push_blanks(out, style.gap.max(2) - 1);
    write_value(out, value, ValueContext::Dash(column), style);
}

/// Returns whether a string can be written as a block scalar that every reader takes for the same.
pub(super) fn is_block_safe(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    // What `|+` would be needed for is quoted: the blank lines of its surroundings would become its content.
    (body.contains('\n') || body.len() < text.len())
        && !body.is_empty()
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n'])
        && body.split('\n').all(|l| !l.starts_with('\t') && !l.ends_with([' ', '\t']))
        && body.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
}

/// Returns the header of a block scalar.
pub(super) fn block_header(text: &str) -> &'static str {
    if text.ends_with('\n') { "|" } else { "|-" }
}

/// Writes the lines of a block scalar, each with a line break before it.
fn push_block_lines(out: &mut String, text: &str, column: usize) {
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            push_blanks(out, column);
            out.push_str(line);
        }
    }
}

/// Returns flow text with its further lines indented below a line with some indentation.
pub(super) fn indented_flow(value: &Value, style: &FlowStyle, indent: &str) -> String {
    let mut out = String::new();
    write_flow(&mut out, value, style, true, indent);
    out
}

fn write_flow(out: &mut String, value: &Value, style: &FlowStyle, nested: bool, indent: &str) {
    let deeper = style.unit.as_ref().map(|unit| format!("{indent}{unit}"));
    let separate = |out: &mut String, first: bool| {
        out.push_str(match (&deeper, first) {
            (Some(_), false) => ",",
            (None, false) => style.comma,
            _ => "",
        });
        if let Some(deeper) = &deeper {
            out.push('\n');
            out.push_str(deeper);
        }
    };
    let inner = deeper.as_deref().unwrap_or("");
    let close = |out: &mut String| {
        if deeper.is_some() {
            out.push('\n');
            out.push_str(indent);
        }
    };
    match value {
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Object(map) => {
            out.push('{');
            for (i, (key, value)) in map.iter().enumerate() {
                separate(out, i == 0);
                match style.json {
                    true => push_quoted(out, key),
                    false => push_scalar(out, key, true, true),
                }
                out.push_str(style.colon);
                write_flow(out, value, style, true, inner);
            }
            close(out);
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                separate(out, i == 0);
                write_flow(out, item, style, true, inner);
            }
            close(out);
            out.push(']');
        }
        Value::String(text) if style.json => push_quoted(out, text),
        Value::String(text) => push_scalar(out, text, nested, false),
        Value::Number(number) => out.push_str(number.as_str()),
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// Returns a string plain where every reader takes it for one, else in double quotes.
pub(super) fn scalar_text(text: &str, in_flow: bool, is_key: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_scalar(&mut out, text, in_flow, is_key);
    out
}

fn push_scalar(out: &mut String, text: &str, in_flow: bool, is_key: bool) {
    if is_plain_safe(text, in_flow, is_key) { out.push_str(text) } else { push_quoted(out, text) }
}

/// Returns whether a string can go without quotes.
pub(super) fn is_plain_safe(text: &str, in_flow: bool, is_key: bool) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let is_letter = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_alphabetic);
    let starts_well = match first {
        '_' | '/' | '$' | '(' => true,
        '-' => is_letter(1) || text.starts_with("--") && is_letter(2),
        '.' => text.starts_with("./") || text.starts_with("../"),
        // A letter that is part of no number in any notation shows that this is none.
        '0'..='9' => text.chars().any(|c| c.is_ascii_alphabetic() && !"abcdefxABCDEFXTZtzoO".contains(c)),
        c => c.is_alphabetic(),
    };
    if !starts_well {
        return false;
    }
    let mut before = first;
    for c in text.chars() {
        let is_inside = match c {
            ' ' => before != ':',
            '#' => before != ' ',
            ',' | '[' | ']' | '{' | '}' | '?' => !in_flow,
            ':' => !in_flow && !is_key,
            c => c.is_ascii_graphic() || c.is_alphanumeric(),
        };
        if !is_inside {
            return false;
        }
        before = c;
    }
    !matches!(before, ' ' | ':') && scalar::resolve_plain(text) == ScalarMeaning::Text && !is_word(text)
}

/// Returns whether some reader takes a text for a boolean or null, in whatever case.
fn is_word(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    text.len() <= 5 && WORDS.iter().any(|w| text.eq_ignore_ascii_case(w))
}

/// Returns whether a character can be in YAML text as it is, and breaks no line.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
        || c >= '\u{10000}'
}

/// Returns a string in double quotes, with escapes that YAML 1.1, 1.2 and JSON share.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_quoted(&mut out, text);
    out
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
        out.push_str(text);
        out.push('"');
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            c => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
        }
    }
    out.push('"');
}

/// Returns a string in single quotes, where that is possible on one line.
pub(super) fn single_quoted(text: &str) -> Option<String> {
    text.chars().all(is_printable).then(|| format!("'{}'", text.replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use indoc::indoc;
    use serde_json::json;

    #[test]
    fn documents_are_written_in_block_style() {
        let value = json!({"a": {"b": [1, {"name": "x", "env": [{"name": "E", "value": "1"}]}, [], [["q"]]], "c": {}},
            "s": "#!/bin/sh\nset -e\n", "t": "x\n\ny", "u": "x\n\n", "v": [" lead\nx", "a\nb\n"], "yes": "no"});
        let text = indoc! {r##"
            a:
              b:
                - 1
                - name: x
                  env:
                    - name: E
                      value: "1"
                - []
                - - - q
              c: {}
            s: |
              #!/bin/sh
              set -e
            t: |-
              x

              y
            u: "x\n\n"
            v:
              - " lead\nx"
              - |
                a
                b
            "yes": "no"
        "##};
        assert_eq!(emit(&value), text);
        assert_eq!(emit(&json!([1, [2]])), "- 1\n- - 2\n");
        assert_eq!(emit(&json!("x: y")), "\"x: y\"\n");
    }

    #[test]
    fn only_what_nobody_misreads_goes_without_quotes() {
        for plain in [
            "nginx:1.2",
            "/bin/sh",
            "-c",
            "--flag=x",
            "$(VAR)",
            "100m",
            "1Gi",
            "it's",
            "a#b",
            "x[0]",
            "héllo",
            "./x",
        ] {
            assert!(is_plain_safe(plain, false, false), "{plain}");
        }
        for unsafe_text in [
            "",
            "y",
            "N",
            "oN",
            "nULL",
            "~",
            "1",
            "1.0",
            "1_0",
            "0x1f",
            "1e3",
            "12:30",
            "2001-01-01",
            "2001-01-01T00:00:00Z",
            "=",
            "<<",
            "a: b",
            "a #b",
            "a:",
            " a",
            "a ",
            "-",
            "- a",
            "-1",
            "-.inf",
            "---",
            "...",
            ".5",
            ".inf",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "{a",
            "[a",
            "?a",
            "\u{feff}a",
            "a\u{a0}b",
            "#a",
            "|",
            ">",
            "a\tb",
            "a\nb",
            "😀",
            "0o7",
            "1.2.3",
            "+1",
            "'a'",
        ] {
            assert!(!is_plain_safe(unsafe_text, false, false), "{unsafe_text}");
        }
        assert!(
            !is_plain_safe("a:b", true, false)
                && !is_plain_safe("a,b", true, false)
                && !is_plain_safe("a:b", false, true)
        );
        assert_eq!(quoted("a\"\\\n\u{7}\u{2028}é😀\u{feff}"), "\"a\\\"\\\\\\n\\u0007\\u2028é😀\\ufeff\"");
    }
}
