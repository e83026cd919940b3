//! Reads the flow collections of the plain block form.

use super::scalars::{FLOW_STOP, KEY_BYTE, PLAIN_START, is};
use super::{BlockReader, MAX_DEPTH};
use crate::yaml::tree::NodeKind;

impl BlockReader<'_> {
    /// Reads a flow collection that is on one line, at a depth; returns the byte behind it.
    pub(super) fn read_flow(&mut self, start: usize, depth: usize) -> Option<usize> {
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
        let end = self.before_spaces(at, stop);
        // yaml-rust2 takes the dash for the start of another scalar.
        if self.bytes[at..end].ends_with(b" -") {
            return None;
        }
        self.push(NodeKind::Plain, at, end);
        Some((end, false))
    }
}
