//! Reads the syntax tree of a document in the plain block form that nearly all manifests have: one pass over its lines,
//! without a general parser.
//!
//! [`read_block_form`] returns either the very tree that the parser of `tree.rs` makes of the text, or `None`, which
//! means "not certain" and nothing else. The part of YAML that it takes:
//!
//! ```text
//! text      at most 64 MiB, ended by LF; no other control character, no DEL, none of the bytes C2, E2 and EF
//!           (with which NEL, NBSP, the line separators and the byte order mark start)
//! document  [ "---" rest ] node                   the mark only before the first node
//! node      mapping | sequence | value            a node of a document is a mapping or a sequence
//! mapping   { key ":" ( " " value | rest [ node ] ) }        the keys of one mapping in one column
//! sequence  { "-" ( " " ( node | value ) | rest [ node ] ) } the dashes of one sequence in one column; below a key
//!                                                            also in the column of the key
//! key       [A-Za-z0-9_./-]+ but no leading "-"   | quoted; at most 256 bytes
//! value     plain | quoted | flow, then rest      | literal
//! plain     one line; no ": ", no " #", no ":" at its end; first byte a letter, a digit or one of _./$()+~=<^;\
//!           or "-" before another byte than a blank
//! quoted    '...' or "...", on one line, without an escape and without a doubled quote
//! flow      "{" or "[" to its bracket, on one line; entries "key: value", no empty entry, no comment, no "?"
//! literal   "|" or "|-" without a digit or comment; its first line has content
//! rest      blanks, and after a blank a comment
//! ```
//!
//! Anchors, aliases, tags, merge keys, `? ` keys, folded scalars, scalars of several lines, escapes, tabs, CR and the
//! end of a document (`...`) are outside of it.

use super::tree::{NodeId, NodeKind, SyntaxTree};
use memchr::memchr;

/// Collections in one another that are read here.
const MAX_DEPTH: usize = 100;

/// Bytes of a key.
const MAX_KEY_BYTES: usize = 256;

/// Bytes of a text.
const MAX_BYTES: usize = 64 << 20;

/// Bits of [`CLASSES`]: what a byte may be part of.
const KEY_BYTE: u8 = 1;
/// A plain scalar is looked at more closely here.
const PLAIN_STOP: u8 = 1 << 1;
/// The same in a flow collection.
const FLOW_STOP: u8 = 1 << 2;
/// A plain scalar may start with it.
const PLAIN_START: u8 = 1 << 3;

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

fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// Returns whether a byte is a blank or a line end, which make an indicator of the byte before them.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n')
}

/// Reads the tree of a text in the plain block form; `None` where that is not certain.
pub(super) fn read_block_form(text: &str) -> Option<SyntaxTree> {
    let bytes = text.as_bytes();
    if bytes.last() != Some(&b'\n') || bytes.len() > MAX_BYTES || !has_ordinary_bytes(bytes) {
        return None;
    }
    let mut reader = BlockReader {
        text,
        bytes,
        tree: SyntaxTree::with_capacity(bytes.len() / 12),
        open: Vec::with_capacity(16),
        last_end: 0,
        awaited: None,
    };
    reader.read_document()?;
    // A document of comments alone is empty or null, which the parser tells.
    (reader.tree.len() > 0).then_some(reader.tree)
}

/// Returns whether no byte is a control character but the line feed, or may start a character that readers of YAML
/// treat alone: NEL, NBSP, the line and paragraph separators, the byte order mark.
fn has_ordinary_bytes(bytes: &[u8]) -> bool {
    let is_unusual = |b: u8| (b < 0x20 && b != b'\n') || matches!(b, 0x7f | 0xc2 | 0xe2 | 0xef);
    // Without a branch in the inner loop, which compiles to vector instructions.
    bytes.chunks(256).all(|chunk| !chunk.iter().fold(false, |found, &b| found | is_unusual(b)))
}

/// A block collection that is not complete.
struct UnfinishedBlock {
    id: NodeId,
    /// The column of its keys or dashes.
    column: usize,
    is_sequence: bool,
}

struct BlockReader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    tree: SyntaxTree,
    open: Vec<UnfinishedBlock>,
    /// The end of the last token.
    last_end: usize,
    /// Where the value of the last key or dash would be, while none has come.
    awaited: Option<usize>,
}

impl BlockReader<'_> {
    /// Returns a byte; behind the text a line end.
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(b'\n')
    }

    fn skip_spaces(&self, mut at: usize) -> usize {
        while self.byte(at) == b' ' {
            at += 1;
        }
        at
    }

    /// Returns where the line of a byte ends, before its LF.
    fn line_end(&self, at: usize) -> usize {
        memchr(b'\n', &self.bytes[at..]).map_or(self.bytes.len(), |i| at + i)
    }

    fn is_dash(&self, at: usize) -> bool {
        self.byte(at) == b'-' && is_blank(self.byte(at + 1))
    }

    /// Returns the start of the next line where only blanks, or a comment after a blank, follow `end` on its line.
    fn end_line(&self, end: usize) -> Option<usize> {
        let rest = self.skip_spaces(end);
        match self.byte(rest) {
            b'\n' => Some(rest + 1),
            b'#' if rest > end => Some(self.line_end(rest) + 1),
            _ => None,
        }
    }

    fn push(&mut self, kind: NodeKind, start: usize, end: usize) -> NodeId {
        self.last_end = end;
        self.tree.push_leaf(kind, start, end)
    }

    fn open_collection(&mut self, is_sequence: bool, at: usize, column: usize) -> Option<()> {
        if self.open.len() >= MAX_DEPTH {
            return None;
        }
        let kind = if is_sequence { NodeKind::BlockSequence } else { NodeKind::BlockMapping };
        let id = self.tree.push_leaf(kind, at, at);
        self.open.push(UnfinishedBlock { id, column, is_sequence });
        Some(())
    }

    fn close_collection(&mut self) {
        if let Some(UnfinishedBlock { id, .. }) = self.open.pop() {
            self.tree.close(id, self.last_end);
        }
    }

    /// Writes the empty value of a key or dash for which none has come.
    fn end_awaited(&mut self) {
        if let Some(at) = self.awaited.take() {
            self.push(NodeKind::Plain, at, at);
        }
    }

    fn read_document(&mut self) -> Option<()> {
        let (mut line, mut may_be_marked) = (0, true);
        while line < self.bytes.len() {
            let first = self.skip_spaces(line);
            let column = first - line;
            line = match self.byte(first) {
                b'\n' => first + 1,
                b'#' => self.line_end(first) + 1,
                b'-' if column == 0 && self.bytes[first..].starts_with(b"---") => {
                    if !std::mem::take(&mut may_be_marked) {
                        return None;
                    }
                    self.end_line(first + 3)?
                }
                b'.' if column == 0 && self.bytes[first..].starts_with(b"...") => return None,
                _ => {
                    may_be_marked = false;
                    self.read_line(first, column)?
                }
            };
        }
        self.end_awaited();
        while !self.open.is_empty() {
            self.close_collection();
        }
        Some(())
    }

    /// Reads what starts at the first byte of a line; returns where the next line to be read starts.
    fn read_line(&mut self, at: usize, column: usize) -> Option<usize> {
        let is_dash = self.is_dash(at);
        let Some(innermost) = self.open.last() else {
            return if self.tree.len() == 0 { self.read_node(at, column, None) } else { None };
        };
        if self.awaited.is_some() {
            let is_below_key = column == innermost.column && is_dash && !innermost.is_sequence;
            if column > innermost.column || is_below_key {
                self.awaited = None;
                let owner = innermost.column;
                return self.read_node(at, column, Some(owner));
            }
            self.end_awaited();
        }
        while let Some(innermost) = self.open.last() {
            let is_over = column < innermost.column
                || (column == innermost.column && innermost.is_sequence && !is_dash);
            if !is_over {
                break;
            }
            self.close_collection();
        }
        let innermost = self.open.last()?;
        if innermost.column != column || innermost.is_sequence != is_dash {
            return None;
        }
        if is_dash {
            return self.read_item(at, column);
        }
        let key = self.find_key(at)?;
        self.read_entry(at, column, key)
    }

    /// Reads a node that starts in a column; `owner` is the column of the key or dash that it belongs to.
    fn read_node(&mut self, at: usize, column: usize, owner: Option<usize>) -> Option<usize> {
        if self.is_dash(at) {
            self.open_collection(true, at, column)?;
            return self.read_item(at, column);
        }
        if let Some(key) = self.find_key(at) {
            self.open_collection(false, at, column)?;
            return self.read_entry(at, column, key);
        }
        self.read_value(at, owner?)
    }

    /// Reads an item of the innermost sequence, from its dash.
    fn read_item(&mut self, dash: usize, column: usize) -> Option<usize> {
        self.last_end = self.last_end.max(dash);
        let at = self.skip_spaces(dash + 1);
        if matches!(self.byte(at), b'\n' | b'#') {
            self.awaited = Some(dash + 1);
            return self.end_line(dash + 1);
        }
        self.read_node(at, column + (at - dash), Some(column))
    }

    /// Reads an entry of the innermost mapping, from its key, which has a kind and an end.
    fn read_entry(&mut self, at: usize, column: usize, (kind, end): (NodeKind, usize)) -> Option<usize> {
        let key = self.push(kind, at, end);
        if kind != NodeKind::Plain {
            self.tree.set_inside_quotes(key);
        }
        let value = self.skip_spaces(end + 1);
        if matches!(self.byte(value), b'\n' | b'#') {
            self.awaited = Some(end + 1);
            return self.end_line(end + 1);
        }
        self.read_value(value, column)
    }

    /// Returns the kind of the key at a byte, and its end, behind which its `:` is.
    fn find_key(&self, at: usize) -> Option<(NodeKind, usize)> {
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

    fn read_quoted(&mut self, at: usize) -> Option<usize> {
        let end = self.quoted_end(at)?;
        let kind = if self.byte(at) == b'"' { NodeKind::DoubleQuoted } else { NodeKind::SingleQuoted };
        let id = self.push(kind, at, end);
        self.tree.set_inside_quotes(id);
        Some(end)
    }

    /// Reads a scalar or flow collection behind a key or dash in column `owner`.
    fn read_value(&mut self, at: usize, owner: usize) -> Option<usize> {
        match self.byte(at) {
            b'|' => self.read_literal(at, owner),
            b'"' | b'\'' => {
                let end = self.read_quoted(at)?;
                self.end_line(end)
            }
            b'{' | b'[' => {
                let end = self.read_flow(at, self.open.len())?;
                self.end_line(end)
            }
            _ => self.read_plain(at),
        }
    }

    fn read_plain(&mut self, at: usize) -> Option<usize> {
        let first = self.byte(at);
        let is_start = is(first, PLAIN_START) || (first == b'-' && !is_blank(self.byte(at + 1)));
        if !is_start {
            return None;
        }
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
        let end = at + self.text[at..stop].trim_end_matches(' ').len();
        self.push(NodeKind::Plain, at, end);
        Some(next_line)
    }

    /// Reads a flow collection that is on one line, at a depth; returns the byte behind it.
    fn read_flow(&mut self, start: usize, depth: usize) -> Option<usize> {
        if depth >= MAX_DEPTH {
            return None;
        }
        let (kind, bracket) = match self.byte(start) {
            b'{' => (NodeKind::FlowMapping, b'}'),
            _ => (NodeKind::FlowSequence, b']'),
        };
        let id = self.push(kind, start, start + 1);
        let mut at = self.skip_spaces(start + 1);
        while self.byte(at) != bracket {
            if kind == NodeKind::FlowMapping {
                let (colon, is_quoted) = self.read_flow_scalar(at)?;
                // Behind a quoted key the value may follow without a blank.
                if self.byte(colon) != b':' || !(is_quoted || self.byte(colon + 1) == b' ') {
                    return None;
                }
                at = self.skip_spaces(colon + 1);
            }
            at = match self.byte(at) {
                b'{' | b'[' => self.read_flow(at, depth + 1)?,
                _ => self.read_flow_scalar(at)?.0,
            };
            at = self.skip_spaces(at);
            match self.byte(at) {
                // A comma before the bracket is left to the parser.
                b',' => {
                    at = self.skip_spaces(at + 1);
                    if self.byte(at) == bracket {
                        return None;
                    }
                }
                b if b == bracket => {}
                _ => return None,
            }
        }
        self.last_end = at + 1;
        self.tree.close(id, at + 1);
        Some(at + 1)
    }

    /// Reads a scalar in a flow collection; returns the byte behind it, and whether it is quoted.
    fn read_flow_scalar(&mut self, at: usize) -> Option<(usize, bool)> {
        let first = self.byte(at);
        if matches!(first, b'"' | b'\'') {
            return Some((self.read_quoted(at)?, true));
        }
        let is_start =
            is(first, PLAIN_START) || (first == b'-' && is(self.byte(at + 1), PLAIN_START | KEY_BYTE));
        if !is_start {
            return None;
        }
        let mut stop = at;
        loop {
            stop += self.bytes[stop..].iter().take_while(|&&b| !is(b, FLOW_STOP)).count();
            match self.byte(stop) {
                b',' | b']' | b'}' => break,
                b':' if self.byte(stop + 1) == b' ' => break,
                b':' if is(self.byte(stop + 1), KEY_BYTE) => stop += 1,
                _ => return None,
            }
        }
        let end = at + self.text[at..stop].trim_end_matches(' ').len();
        self.push(NodeKind::Plain, at, end);
        Some((end, false))
    }

    /// Reads a literal block scalar from its `|`.
    fn read_literal(&mut self, at: usize, owner: usize) -> Option<usize> {
        let strips = self.byte(at + 1) == b'-';
        let header_end = at + 1 + usize::from(strips);
        if self.byte(header_end) != b'\n' {
            return None;
        }
        let mut line = header_end + 1;
        let first = self.skip_spaces(line);
        let indent = first - line;
        if first >= self.bytes.len() || self.byte(first) == b'\n' || indent <= owner {
            return None;
        }
        let mut content = String::new();
        let (mut end, mut kept) = (header_end, 0);
        while line < self.bytes.len() {
            let line_end = self.line_end(line);
            let visible = self.skip_spaces(line);
            if visible >= line_end {
                // Blanks beyond the indentation are content.
                if line_end - line > indent {
                    return None;
                }
                content.push('\n');
            } else if visible - line < indent {
                break;
            } else {
                content.push_str(&self.text[line + indent..line_end]);
                content.push('\n');
                (end, kept) = (line_end, content.len());
            }
            line = line_end + 1;
        }
        // Blank lines at the end are no content, and `-` takes the last line end off.
        content.truncate(kept - usize::from(strips));
        let id = self.push(NodeKind::Literal, at, end);
        self.tree.set_decoded(id, &content);
        Some(line.min(self.bytes.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::tests::{corpus, count, mutated, random};

    /// Fails where this takes a text that the parser refuses, or reads it otherwise.
    fn compare(text: &str) -> bool {
        let Some(tree) = read_block_form(text) else { return false };
        match SyntaxTree::parse(text) {
            Ok(parsed) => assert_eq!(tree, parsed, "{text:?}"),
            Err(_) => panic!("the parser refuses {text:?}"),
        }
        true
    }

    #[test]
    fn manifests_have_the_tree_of_the_parser() {
        let texts = corpus();
        let taken = texts.iter().filter(|text| compare(text)).count();
        assert!(taken * 2 > texts.len(), "{taken} of {} texts are in the form", texts.len());
    }

    #[test]
    fn mutated_manifests_have_the_tree_of_the_parser_or_are_left_to_it() {
        let (texts, mut random, count) = (corpus(), random(), count(20_000));
        let taken = (0..count).filter(|_| compare(&mutated(&texts, &mut random))).count();
        assert!(taken * 10 > count, "{taken} of {count} texts are in the form");
    }
}
