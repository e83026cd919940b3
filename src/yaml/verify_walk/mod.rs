//! Checks that an edited text says a value by walking along both at once: no tree is made, and every byte of the text
//! has to be one that the value allows at its place.
//!
//! [`certainly_says`] knows few spellings of each value; "false" means "not certain" and leaves the text to
//! yaml-rust2 (`verify.rs`). The spellings:
//!
//! ```text
//! text      ended by LF; no other control character, no DEL, NEL, NBSP, line or paragraph separator, byte order mark,
//!           U+FFFE, U+FFFF
//! document  [ "---" rest ] value                  a value that is an object or array with content
//! object    its keys, each once, in one column, in any order (at most 128) | flow
//! array     its items behind dashes in one column; below a key also in the column of the key | flow
//! key       [A-Za-z0-9_./-]+ but no leading "-", where that means a string | '...' or "..." as it is; at most 512 bytes
//! string    plain, where that means a string | '...' with '' for ' | "..." with \n \t \" \\ | literal
//! literal   "|" or "|-" without a digit or comment; its first line has content
//! others    plain, with the meaning that Kubernetes gives it | null: nothing
//! flow      on one line, "{key: value, ...}" in the order of the value, "[item, ...]"
//! rest      blanks, and after a blank a comment
//! ```
//!
//! A scalar is one line: what follows deeper than its key or dash would continue it, and is "not certain". So is every
//! other spelling: tabs, CR, anchors, aliases, tags, merge keys, `? ` keys, scalars of several lines, folded scalars,
//! indentation indicators, other escapes, a doubled key, `...` and whatever follows the value.
//!
//! It shares no code with `tree/builder.rs` and `block_reader/` but the resolver of plain scalars: these follow the text and keep
//! a stack of columns, this follows the value, which says what has to come. The documentation of `block_reader` compares
//! the two rule by rule, and says why both cannot be wrong alike.

mod scalars;

use super::expected_value::{ExpectedValue, PartContent, ValueStep};
use super::scalar;
use serde_json::{Map, Value};

/// Collections in one another that are walked here.
const MAX_DEPTH: usize = 100;

/// Keys of one mapping: the bits of a `u128` say which were there.
const MAX_KEYS: usize = 128;

/// Bytes of a key.
const MAX_KEY_BYTES: usize = 512;

/// The bytes of plain keys.
static WORD_BYTES: [bool; 256] = word_bytes();

const fn word_bytes() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
        byte += 1;
    }
    table
}

/// Returns whether a text certainly says what is wanted.
pub(super) fn certainly_says(text: &str, want: ExpectedValue<'_>) -> bool {
    let bytes = text.as_bytes();
    if bytes.last() != Some(&b'\n')
        || !bytes.chunks(256).enumerate().all(|(n, chunk)| is_ordinary(bytes, n * 256, chunk))
    {
        return false;
    }
    let mut walk = TextWalk { bytes, at: 0, column: None, depth: 0 };
    walk.document(want.resolve()).is_some()
}

/// Returns whether the bytes of a text from one on have no character that readers of YAML treat alone.
fn is_ordinary(text: &[u8], start: usize, chunk: &[u8]) -> bool {
    // Nearly every byte is visible ASCII; without a branch, this compiles to vector instructions.
    if chunk.iter().fold(true, |visible, &b| visible & matches!(b, b' '..=b'~' | b'\n')) {
        return true;
    }
    let may_be_excluded = |b: u8| (b < b' ' && b != b'\n') || matches!(b, 0x7f | 0xc2 | 0xe2 | 0xef);
    chunk.iter().zip(start..).filter(|(b, _)| may_be_excluded(**b)).all(|(_, at)| match text[at..] {
        // NEL, other control characters and NBSP; the line and paragraph separators; the byte order mark, U+FFFE, U+FFFF.
        [0xc2, second, ..] => second > 0xa0,
        [0xe2, 0x80, third, ..] => !matches!(third, 0xa8 | 0xa9),
        [0xef, 0xbb, third, ..] => third != 0xbf,
        [0xef, 0xbf, third, ..] => third < 0xbe,
        [0xe2 | 0xef, ..] => true,
        _ => false,
    })
}

/// Where in its parent a value is.
#[derive(Clone, Copy)]
enum Place {
    /// Behind the key of a mapping in this column.
    Entry(usize),
    /// Behind a dash in this column.
    Item(usize),
}

impl Place {
    fn column(self) -> usize {
        match self {
            Self::Entry(column) | Self::Item(column) => column,
        }
    }
}

struct TextWalk<'t> {
    bytes: &'t [u8],
    /// The next byte that is not explained.
    at: usize,
    /// Its column, where it is the first visible byte of a line, or behind a dash; `None` at the end of the text.
    column: Option<usize>,
    depth: usize,
}

impl<'t> TextWalk<'t> {
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(b'\n')
    }

    fn is_blank(&self, at: usize) -> bool {
        matches!(self.byte(at), b' ' | b'\n')
    }

    /// Returns the first byte from one on that is not a space.
    fn after_spaces(&self, mut at: usize) -> usize {
        // Eight at a time: the first byte of another value tells how many there are.
        while let Some(bytes) = self.bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let others = u64::from_le_bytes(*bytes) ^ u64::from_le_bytes(*b"        ");
            if others != 0 {
                return at + (others.trailing_zeros() / 8) as usize;
            }
            at += 8;
        }
        while self.byte(at) == b' ' {
            at += 1;
        }
        at
    }

    /// Returns the bytes of a line from one on, without its LF.
    fn line_from(&self, at: usize) -> &'t [u8] {
        let rest = self.bytes.get(at..).unwrap_or_default();
        &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())]
    }

    /// Goes to the first byte of the next line that is neither blank nor a comment.
    fn go_to_line(&mut self, mut line: usize) {
        while line < self.bytes.len() {
            let at = self.after_spaces(line);
            match self.byte(at) {
                b'\n' => line = at + 1,
                b'#' => line = at + self.line_from(at).len() + 1,
                _ => {
                    (self.at, self.column) = (at, Some(at - line));
                    return;
                }
            }
        }
        (self.at, self.column) = (self.bytes.len(), None);
    }

    /// Goes to the next line; on this one only blanks, and behind a blank a comment, may follow.
    fn end_line(&mut self, from: usize) -> Option<()> {
        if self.byte(from) == b'\n' {
            self.go_to_line(from + 1);
            return Some(());
        }
        let at = self.after_spaces(from);
        match self.byte(at) {
            b'\n' => self.go_to_line(at + 1),
            b'#' if at > from => self.go_to_line(at + self.line_from(at).len() + 1),
            _ => return None,
        }
        Some(())
    }

    fn document(&mut self, want: ExpectedValue<'_>) -> Option<()> {
        self.go_to_line(0);
        if self.column == Some(0) && self.bytes[self.at..].starts_with(b"---") {
            self.end_line(self.at + 3)?;
        }
        let column = self.column?;
        match want.value {
            Value::Object(map) if !map.is_empty() => self.block_object(map, want, column)?,
            Value::Array(items) if !items.is_empty() => {
                self.block_array(items.len(), |n| want.item(n), column)?;
            }
            _ => return None,
        }
        self.column.is_none().then_some(())
    }

    fn is_dash(&self) -> bool {
        self.byte(self.at) == b'-' && self.is_blank(self.at + 1)
    }

    /// Walks the keys of a mapping in a column.
    fn block_object<'v>(
        &mut self,
        map: &'v Map<String, Value>,
        want: ExpectedValue<'v>,
        column: usize,
    ) -> Option<()> {
        self.deeper()?;
        let added = || want.own_parts().filter(|(key, _)| !map.contains_key(*key));
        let mut missing = map.len() + added().count();
        if missing > MAX_KEYS {
            return None;
        }
        let mut found = 0_u128;
        let mut ahead = map.iter().enumerate();
        while self.column == Some(column) {
            let here = |(i, (key, value)): (usize, (&'v String, &'v Value))| {
                Some((i, key.as_str(), Some(value), self.colon_of(key)?))
            };
            // Nearly always the keys are in the order of the value.
            let (index, key, value, colon) = match ahead.next().and_then(here) {
                Some(entry) => entry,
                None => {
                    let added = || {
                        let mut added = added().zip(map.len()..);
                        added.find_map(|((key, _), i)| Some((i, key, None, self.colon_of(key)?)))
                    };
                    let entry = map.iter().enumerate().find_map(here).or_else(added)?;
                    ahead = map.iter().enumerate();
                    ahead.nth(entry.0);
                    entry
                }
            };
            let bit = 1 << index;
            if found & bit != 0 {
                return None;
            }
            found |= bit;
            missing -= 1;
            match (want.own_parts().find(|(own, _)| *own == key), value) {
                (Some((_, PartContent::Items(items))), _) => {
                    self.end_line(colon + 1)?;
                    let dashes = self.column.filter(|next| *next >= column && self.is_dash())?;
                    let item = |n: usize| items.get(n).map(|item| ExpectedValue::unchanged(item));
                    self.block_array(items.len(), item, dashes)?;
                }
                (Some((_, PartContent::Value(new))), _) => {
                    self.value_behind(colon + 1, ExpectedValue::unchanged(new), Place::Entry(column))?;
                }
                (None, Some(value)) => {
                    let want = want.below(value, ValueStep::Key(key));
                    self.value_behind(colon + 1, want, Place::Entry(column))?;
                }
                (None, None) => return None,
            }
        }
        let is_over = self.column.is_none_or(|next| next < column);
        self.depth -= 1;
        (is_over && missing == 0).then_some(())
    }

    /// Returns where the `:` behind a key is, if that key is here, plain or in quotes without escapes.
    fn colon_of(&self, key: &str) -> Option<usize> {
        let end = self.at + key.len();
        // Another plain key has its `:` elsewhere, nearly always.
        if !self.is_colon(end) || key.len() > MAX_KEY_BYTES {
            return self.colon_of_quoted(key);
        }
        let mut bytes = self.bytes.get(self.at..end)?.iter().zip(key.as_bytes());
        let is_key = bytes.all(|(here, wanted)| here == wanted && WORD_BYTES[usize::from(*here)])
            && !key.starts_with('-')
            && scalar::is_plain_text(key);
        is_key.then_some(end)
    }

    fn colon_of_quoted(&self, key: &str) -> Option<usize> {
        let quote = Some(self.byte(self.at)).filter(|b| matches!(b, b'"' | b'\''))?;
        let start = self.at + 1;
        let end = start + key.len();
        let is_key = self.bytes.get(start..end) == Some(key.as_bytes())
            && key.len() <= MAX_KEY_BYTES
            && self.byte(end) == quote
            && self.is_colon(end + 1)
            && key.bytes().all(|b| b != quote && !matches!(b, b'\\' | b'\n'));
        is_key.then_some(end + 1)
    }

    /// Returns whether a byte is a `:` that ends a key.
    fn is_colon(&self, at: usize) -> bool {
        self.byte(at) == b':' && self.is_blank(at + 1)
    }

    /// Walks the items of a list with its dashes in a column.
    fn block_array<'v>(
        &mut self,
        length: usize,
        item: impl Fn(usize) -> Option<ExpectedValue<'v>>,
        column: usize,
    ) -> Option<()> {
        self.deeper()?;
        let mut count = 0;
        while self.column == Some(column) && self.is_dash() {
            self.value_behind(self.at + 1, item(count)?, Place::Item(column))?;
            count += 1;
        }
        let is_over = self.column.is_none_or(|next| next <= column);
        self.depth -= 1;
        (is_over && count == length).then_some(())
    }

    /// Walks a value behind a colon or dash: on its line, or below it.
    fn value_behind(&mut self, from: usize, want: ExpectedValue<'_>, place: Place) -> Option<()> {
        let at = self.after_spaces(from);
        if !matches!(self.byte(at), b'\n' | b'#') {
            if at == from {
                return None;
            }
            return match place {
                Place::Entry(_) => {
                    self.at = at;
                    self.one_line_value(want, place)
                }
                Place::Item(column) => {
                    let dash = from - 1;
                    self.at = at;
                    self.node(want, column + (at - dash), place)
                }
            };
        }
        self.end_line(from)?;
        let is_below = self.column.is_some_and(|next| match place {
            Place::Entry(column) => next > column || (next == column && self.is_dash()),
            Place::Item(column) => next > column,
        });
        match (is_below, self.column) {
            (true, Some(next)) => self.node(want, next, place),
            _ => want.value.is_null().then_some(()),
        }
    }

    /// Walks a value that starts here, in a column.
    fn node(&mut self, want: ExpectedValue<'_>, column: usize, place: Place) -> Option<()> {
        let is_flow = matches!(self.byte(self.at), b'{' | b'[');
        match want.value {
            Value::Object(map) if !map.is_empty() && !is_flow => {
                self.column = Some(column);
                self.block_object(map, want, column)
            }
            Value::Array(items) if !items.is_empty() && !is_flow => {
                self.column = Some(column);
                self.block_array(items.len(), |n| want.item(n), column)
            }
            _ => self.one_line_value(want, place),
        }
    }

    /// Walks a scalar, a block scalar or a flow collection, and goes to the next line.
    fn one_line_value(&mut self, want: ExpectedValue<'_>, place: Place) -> Option<()> {
        match (self.byte(self.at), want.value) {
            (b'{' | b'[', _) => {
                let end = self.flow(want)?;
                self.end_line(end)?;
            }
            (b'|', Value::String(text)) => self.literal(text, place.column())?,
            (b'"', Value::String(text)) => {
                let end = self.double_quoted(text)?;
                self.end_line(end)?;
            }
            (b'\'', Value::String(text)) => {
                let end = self.single_quoted(text)?;
                self.end_line(end)?;
            }
            (b'"' | b'\'' | b'|', _) => return None,
            (_, value) => {
                let end = self.plain_end()?;
                self.has_meaning(self.at, end, value)?;
                self.end_line(end)?;
            }
        }
        // What is deeper than the key or dash would go on with the scalar.
        self.column.is_none_or(|next| next <= place.column()).then_some(())
    }

    fn deeper(&mut self) -> Option<()> {
        self.depth += 1;
        (self.depth <= MAX_DEPTH).then_some(())
    }
}
