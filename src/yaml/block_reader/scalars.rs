//! Reads the scalars and keys of the plain block form.

use super::{BlockReader, is_blank};
use crate::yaml::tree::NodeKind;
use memchr::{memchr_iter, memchr2, memchr3};

/// Bytes of a key.
const MAX_KEY_BYTES: usize = 256;

/// Bits of [`CLASSES`]: what a byte may be part of.
pub(super) const KEY_BYTE: u8 = 1;
/// A plain scalar is looked at more closely here.
const PLAIN_STOP: u8 = 1 << 1;
/// The same in a flow collection.
pub(super) const FLOW_STOP: u8 = 1 << 2;
/// A plain scalar may start with it.
pub(super) const PLAIN_START: u8 = 1 << 3;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let byte = i as u8;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b'-') {
            table[i] |= KEY_BYTE;
        }
        if matches!(byte, b':' | b'#' | b'\n') {
            table[i] |= PLAIN_STOP | FLOW_STOP;
        }
        if matches!(byte, b',' | b'[' | b']' | b'{' | b'}' | b'"' | b'\'' | b'?' | b'&' | b'*' | b'!') {
            table[i] |= FLOW_STOP;
        }
        let is_sign = matches!(
            byte,
            b'_' | b'.' | b'/' | b'$' | b'(' | b')' | b'+' | b'~' | b'=' | b'<' | b'^' | b';' | b'\\'
        );
        if byte.is_ascii_alphanumeric() || byte >= 0x80 || is_sign {
            table[i] |= PLAIN_START;
        }
        i += 1;
    }
    table
}

pub(super) fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

impl BlockReader<'_> {
    /// Returns the kind of the key at a byte, and its end, behind which its `:` is.
    pub(super) fn find_key(&self, at: usize) -> Option<(NodeKind, usize)> {
        let (kind, end) = match self.byte(at) {
            b'"' => (NodeKind::DoubleQuoted, self.quoted_end(at)?),
            b'\'' => (NodeKind::SingleQuoted, self.quoted_end(at)?),
            b'-' => return None,
            _ => {
                let length = self.bytes[at..].iter().take_while(|&&b| is(b, KEY_BYTE)).count();
                (NodeKind::Plain, at + length)
            }
        };
        let is_key = self.byte(end) == b':' && is_blank(self.byte(end + 1));
        (is_key && (1..=MAX_KEY_BYTES).contains(&(end - at))).then_some((kind, end))
    }

    /// Returns the byte behind a quoted scalar of one line without escapes.
    fn quoted_end(&self, at: usize) -> Option<usize> {
        let quote = self.byte(at);
        let is_double = quote == b'"';
        let mut end = at + 1;
        loop {
            match self.byte(end) {
                b if b == quote => break,
                b'\n' => return None,
                b'\\' if is_double => return None,
                _ => end += 1,
            }
        }
        // Behind a doubled quote the scalar goes on.
        (is_double || self.byte(end + 1) != quote).then_some(end + 1)
    }

    /// Reads a quoted scalar of one line; returns the byte behind it.
    pub(super) fn read_quoted(&mut self, at: usize) -> Option<usize> {
        let kind = if self.byte(at) == b'"' { NodeKind::DoubleQuoted } else { NodeKind::SingleQuoted };
        if let Some(end) = self.quoted_end(at) {
            let id = self.push(kind, at, end);
            self.tree.set_inside_quotes(id);
            return Some(end);
        }
        let (content, end) = if kind == NodeKind::DoubleQuoted {
            self.decode_double_quoted(at + 1)?
        } else {
            self.decode_single_quoted(at + 1)?
        };
        let id = self.push(kind, at, end);
        self.tree.set_decoded(id, &content);
        Some(end)
    }

    /// Decodes a double-quoted scalar from the byte behind its quote; returns its text and the byte behind it.
    fn decode_double_quoted(&self, from: usize) -> Option<(String, usize)> {
        let (mut content, mut at) = (String::new(), from);
        loop {
            let stop = at + memchr3(b'"', b'\\', b'\n', &self.bytes[at..])?;
            content.push_str(&self.text[at..stop]);
            if self.byte(stop) != b'\\' {
                return (self.byte(stop) == b'"').then_some((content, stop + 1));
            }
            content.push(match self.byte(stop + 1) {
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'"' => '"',
                b'\\' => '\\',
                _ => return None,
            });
            at = stop + 2;
        }
    }

    /// Decodes a single-quoted scalar in the same way.
    fn decode_single_quoted(&self, from: usize) -> Option<(String, usize)> {
        let (mut content, mut at) = (String::new(), from);
        loop {
            let stop = at + memchr2(b'\'', b'\n', &self.bytes[at..])?;
            content.push_str(&self.text[at..stop]);
            match (self.byte(stop), self.byte(stop + 1)) {
                (b'\'', b'\'') => content.push('\''),
                (b'\'', _) => return Some((content, stop + 1)),
                _ => return None,
            }
            at = stop + 2;
        }
    }

    /// Reads a plain scalar up to the end of its line; what follows deeper continues it.
    pub(super) fn read_plain(&mut self, at: usize) -> Option<usize> {
        let first = self.byte(at);
        let is_start = is(first, PLAIN_START) || (first == b'-' && !is_blank(self.byte(at + 1)));
        if !is_start {
            return None;
        }
        let (end, next_line) = self.plain_end(at)?;
        self.push(NodeKind::Plain, at, end);
        Some(next_line)
    }

    /// Adds a line to the plain scalar that was read last; its first byte is deeper than the scalar's key or dash.
    pub(super) fn continue_plain(&mut self, at: usize) -> Option<usize> {
        let (id, end) = self.tree.last_plain().filter(|&(_, end)| end == self.last_end)?;
        let between = &self.bytes[end..at];
        // A comment would end the scalar.
        if !between.iter().all(|&b| is_blank(b)) {
            return None;
        }
        let line_ends = memchr_iter(b'\n', between).count();
        let (end, next_line) = self.plain_end(at)?;
        let separator = if line_ends == 1 { " " } else { &"\n".repeat(line_ends - 1) };
        self.tree.extend_plain(id, self.text, separator, at..end);
        self.last_end = end;
        Some(next_line)
    }

    /// Returns where a line of a plain scalar ends, and the start of the next line.
    fn plain_end(&self, at: usize) -> Option<(usize, usize)> {
        let mut stop = at;
        let next_line = loop {
            stop += self.bytes[stop..].iter().take_while(|&&b| !is(b, PLAIN_STOP)).count();
            match self.byte(stop) {
                b'\n' => break stop + 1,
                b':' if is_blank(self.byte(stop + 1)) => return None,
                b'#' if self.bytes[stop - 1] == b' ' => break self.line_end(stop) + 1,
                _ => stop += 1,
            }
        };
        Some((self.before_spaces(at, stop), next_line))
    }

    /// Reads a block scalar from its `|` or `>`.
    pub(super) fn read_block_scalar(&mut self, at: usize, owner: usize) -> Option<usize> {
        let (folds, strips) = (self.byte(at) == b'>', self.byte(at + 1) == b'-');
        let header_end = at + 1 + usize::from(strips);
        if self.byte(header_end) != b'\n' || self.bytes.last() != Some(&b'\n') {
            return None;
        }
        let mut line = header_end + 1;
        let first = self.skip_spaces(line);
        let indent = first - line;
        if first >= self.bytes.len() || self.byte(first) == b'\n' || indent <= owner {
            return None;
        }
        let content = self.tree.decoded_mut();
        // Enough for all texts that are decoded from here on.
        content.reserve(self.bytes.len() - header_end);
        let from = content.len();
        let mut end = header_end;
        // Blank lines since the last line with content; they count once another one comes.
        let mut blank_lines = 0;
        while line < self.bytes.len() {
            let visible = self.skip_spaces(line);
            let line_end = self.line_end(visible);
            if visible == line_end {
                // Blanks beyond the indentation are content.
                if line_end - line > indent {
                    return None;
                }
                blank_lines += 1;
            } else if visible - line < indent {
                break;
            } else {
                let content = self.tree.decoded_mut();
                match (folds && content.len() > from, blank_lines) {
                    // Deeper lines are not folded.
                    _ if folds && visible - line > indent => return None,
                    (true, 0) => {
                        content.pop();
                        content.push(' ');
                    }
                    (true, blank_lines) => (1..blank_lines).for_each(|_| content.push('\n')),
                    (false, blank_lines) => (0..blank_lines).for_each(|_| content.push('\n')),
                }
                content.push_str(&self.text[line + indent..=line_end]);
                (end, blank_lines) = (line_end, 0);
            }
            line = line_end + 1;
        }
        if strips {
            self.tree.decoded_mut().pop();
        }
        let id = self.push(if folds { NodeKind::Folded } else { NodeKind::Literal }, at, end);
        self.tree.set_decoded_from(id, from);
        Some(line)
    }
}
