//! Reads the syntax tree of a document in the plain block form that nearly all manifests have: one pass over its lines,
//! without a general parser.
//!
//! [`read_block_form`] returns either the very tree that the parser of `tree/builder.rs` makes of the text, or `None`, which
//! means "not certain" and nothing else. The part of YAML that it takes:
//!
//! ```text
//! text      of ordinary characters only (`syntax.rs`): no tab, no CR, no other control character but LF, no NEL, NBSP,
//!           line or paragraph separator, byte order mark
//! document  [ "---" rest ] node                   the mark only before the first node
//! node      mapping | sequence | value            a node of a document is a mapping or a sequence
//! mapping   { key ":" ( " " value | rest [ node ] ) }        the keys of one mapping in one column
//! sequence  { "-" ( " " ( node | value ) | rest [ node ] ) } the dashes of one sequence in one column; below a key
//!                                                            also in the column of the key
//! key       [A-Za-z0-9_./-]+ but no leading "-"   | quoted, without an escape; at most 256 bytes
//! value     plain | quoted, then rest | flow, then rest | block
//! plain     no ": ", no " #", no ":" at the end of a line; first byte a letter, a digit or one of _./$()+~=<^;\
//!           or "-" before another byte than a blank; further lines deeper than the key or dash, up to a comment
//! quoted    '...' or "...", on one line; as escapes only '' and \n \r \t \" \\
//! flow      "{" or "[" to its bracket, on one line; entries "key: value", no empty entry, no comment, no "?", quotes
//!           without an escape, no plain scalar that ends with " -"
//! block     "|" | "|-" | ">" | ">-" without a digit or comment; its first line has content; behind ">" no line is
//!           indented deeper than the first; not in a text without a final LF
//! rest      blanks, and after a blank a comment
//! ```
//!
//! What libyaml refuses and other parsers take (`syntax.rs`, `check_libyaml_rules`) is outside of it, too.
//! Anchors, aliases, tags, merge keys, `? ` keys, `|+`, quoted scalars of several lines, `%` directives, tabs, CR and the
//! end of a document (`...`) are outside of it. No rule looks ahead further than a line, and no rule repairs: the first
//! byte that none of them allows ends the reading with "not certain".
//!
//! # Why this and the walk of `verify_walk/` cannot be wrong alike
//!
//! A text is written to disk only after a second reader has found the intended value in it. Where this reader
//! misunderstands a text, the edit is made for a wrong value, and the second reader has to notice. The two share the
//! resolver of plain scalars (`scalar.rs`) and nothing else; they would have to make the same mistake independently:
//!
//! | | here | `verify_walk/` |
//! |---|---|---|
//! | direction | from the text: each byte decides what is read next | from the value: it decides which few spellings may stand at a place |
//! | quotes | the scalar ends at the first quote that is not escaped; the text between is kept or decoded | each byte is compared with the next byte of the value; there is no end to find, and an early or late quote is a difference |
//! | indentation | a stack of columns, closed by the first shallower line | no stack: the calls for the value; a collection with more or fewer entries than its value is a difference |
//! | tabs, CR, anchors, aliases, tags, merge keys, `? `, `...` | not taken | not taken: no spelling of any value contains them |
//! | comments | skipped behind a blank, and on their own lines | the same rule; a `#` that one took for a comment and the other for content changes the bytes of the value |
//! | block scalars | decoded by their first line's indentation | the wanted text is consumed line by line; each LF of it has to be a line end of the text |
//! | folded scalars, plain scalars of several lines | taken | not taken: yaml-rust2 reads these texts |
//! | document ends | a second `---`, or `...`, is not taken | what follows the value has to be the end of the text |
//!
//! An entry that this reader loses, doubles or moves to another parent is one that the value lacks or has elsewhere, and
//! the walk accounts for every byte and every key. The fuzz targets `read_block_form` and `verify_walk` compare each with
//! granit-parser and yaml-rust2, and an end-to-end test with Go's reader.

mod flow;
mod scalars;

use super::tree::{NodeId, NodeKind, SyntaxTree};
use memchr::memchr;

/// Collections in one another that are read here.
const MAX_DEPTH: usize = 100;

/// Returns whether a byte is a blank or a line end, which make an indicator of the byte before them.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n')
}

/// Reads the tree of a text of ordinary characters in the plain block form; `None` where that is not certain.
pub(super) fn read_block_form(text: &str) -> Option<SyntaxTree> {
    let bytes = text.as_bytes();
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

    /// Returns the first byte from one on that is not a space.
    fn skip_spaces(&self, mut at: usize) -> usize {
        // Eight at a time: the first other byte tells how many there are.
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

    /// Returns the end of some bytes without the spaces there.
    fn before_spaces(&self, start: usize, mut end: usize) -> usize {
        while end > start && self.bytes[end - 1] == b' ' {
            end -= 1;
        }
        end
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
        } else if column > innermost.column {
            return self.continue_plain(at);
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

    /// Reads a scalar or flow collection behind a key or dash in column `owner`.
    fn read_value(&mut self, at: usize, owner: usize) -> Option<usize> {
        match self.byte(at) {
            b'|' | b'>' => self.read_block_scalar(at, owner),
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
}
