//! Finds tabs that libyaml, and so Kubernetes, refuses although newer parsers accept them.

use super::tree::{NodeId, NodeKind, SyntaxTree};
use memchr::{memchr2, memrchr};

/// Returns the first such tab: in the indentation of a block line, behind `-` or `?`, or in a line below a plain
/// scalar before the column where that could continue.
pub(super) fn misplaced_tab(text: &str, tree: &SyntaxTree) -> Option<usize> {
    let mut walk = TabFinder { bytes: text.as_bytes(), tree, open: Vec::new(), cursor: 0, flow_end: 0 };
    walk.cursor = super::tree::skipped_prefix_length(text);
    let found = (0..NodeId::try_from(tree.len()).unwrap_or(NodeId::MAX)).find_map(|id| walk.visit(id));
    found.or_else(|| walk.find_tab(walk.cursor, text.len()))
}

struct TabFinder<'a> {
    bytes: &'a [u8],
    tree: &'a SyntaxTree,
    /// Block collections around the place: the node after them and their column.
    open: Vec<(NodeId, usize)>,
    /// All before this is checked.
    cursor: usize,
    /// Where the outermost flow collection ends that was entered last.
    flow_end: usize,
}

impl TabFinder<'_> {
    fn visit(&mut self, id: NodeId) -> Option<usize> {
        while self.open.last().is_some_and(|&(next, _)| next <= id) {
            self.open.pop();
        }
        let node = *self.tree.node(id);
        let (start, end) = (node.start as usize, node.end as usize);
        let in_flow = self.cursor > 0 && start < self.flow_end;
        if !in_flow {
            let properties = self.tree.properties(id).and_then(|p| p.span());
            if let Some(bad) = self.find_tab(self.cursor, properties.as_ref().map_or(start, |p| p.start)) {
                return Some(bad);
            }
            self.cursor = properties.map_or(self.cursor, |p| p.end);
        }
        match node.kind {
            NodeKind::BlockMapping | NodeKind::BlockSequence => {
                let line = memrchr(b'\n', &self.bytes[..start]).map_or(0, |i| i + 1);
                self.open.push((node.next, start - line));
            }
            NodeKind::Plain if end > start => {
                let from = if in_flow { self.cursor } else { end };
                match self.below_plain(end) {
                    Err(bad) => return Some(bad),
                    Ok(stop) => self.cursor = if in_flow { from } else { stop },
                }
            }
            NodeKind::FlowMapping | NodeKind::FlowSequence | NodeKind::Pair if !in_flow => {
                (self.flow_end, self.cursor) = (end, end);
            }
            // What is not written leaves its dash to be looked at.
            _ if !in_flow && end > start => {
                if node.kind.is_block_scalar()
                    && let Some(bad) = self.below_header(start)
                {
                    return Some(bad);
                }
                self.cursor = self.cursor.max(end);
            }
            _ => {}
        }
        None
    }

    // scannerc.go yaml_parser_scan_plain_scalar: it looks at the lines below before it knows that it has ended.
    fn below_plain(&self, end: usize) -> Result<usize, usize> {
        let least = self.open.last().map_or(0, |&(_, column)| column + 1);
        let (mut at, mut line) = (end, None);
        while let Some(&b) = self.bytes.get(at) {
            match b {
                b'\n' | b'\r' => line = Some(at + 1),
                b'\t' if line.is_some_and(|l| at - l < least) => return Err(at),
                b' ' | b'\t' => {}
                _ => break,
            }
            at += 1;
        }
        Ok(at)
    }

    // scannerc.go yaml_parser_scan_block_scalar_breaks: no tabs while it looks for the indentation.
    fn below_header(&self, start: usize) -> Option<usize> {
        let header = memchr2(b'\n', b'\r', &self.bytes[start..]).map_or(self.bytes.len(), |i| start + i);
        if self.bytes[start..header].iter().take_while(|b| **b != b'#').any(u8::is_ascii_digit) {
            return None;
        }
        let first = self.bytes[header..].iter().position(|b| !matches!(b, b' ' | b'\n' | b'\r'))?;
        (self.bytes[header + first] == b'\t').then_some(header + first)
    }

    // scannerc.go yaml_parser_scan_to_next_token: no tabs where a key could start.
    fn find_tab(&self, from: usize, to: usize) -> Option<usize> {
        let mut at = from;
        let mut key_may_start = from == 0 || matches!(self.bytes.get(from - 1), Some(b'\n' | b'\r' | 0xbf));
        let mut line_is_blank = key_may_start;
        while at < to {
            match self.bytes[at] {
                b'\n' | b'\r' => (key_may_start, line_is_blank) = (true, true),
                b'\t' if key_may_start => return Some(at),
                b' ' | b'\t' => {}
                b'#' => {
                    at = memchr2(b'\n', b'\r', &self.bytes[at..to]).map_or(to, |i| at + i);
                    continue;
                }
                b'-' if line_is_blank && self.bytes[at..].starts_with(b"---") => {
                    (key_may_start, line_is_blank) = (false, false);
                    at += 2;
                }
                b'-' | b'?' => (key_may_start, line_is_blank) = (true, false),
                b':' => (key_may_start, line_is_blank) = (line_is_blank, false),
                _ => (key_may_start, line_is_blank) = (false, false),
            }
            at += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_are_found_where_libyaml_stops() {
        for bad in [
            "-\ta: 1\n",
            "- \t- a\n",
            "a: \"1\"\n\t\nb: 2\n",
            "a: 1\n\t\nb: 2\n",
            "a: |\n  x\n\t# c\nb: 1\n",
            "a: [\n\tx\n\t]\n",
            "a: |\n  \tx\n",
            "-\t\n- ",
        ] {
            let tree = SyntaxTree::parse(bad);
            assert!(tree.is_err() || misplaced_tab(bad, &tree.unwrap()).is_some(), "{bad:?}");
        }
        for good in [
            "a:\t1\t# c\n",
            "a: 1\n  \t\nb: 2\n",
            "---\t# c\n[\t\n\tx,\n\ty]\n",
            "- a\t\n- b: \t\"x\ty\"\t\n",
            "{\n\t\"a\": 1\n}\n",
        ] {
            assert_eq!(misplaced_tab(good, &SyntaxTree::parse(good).unwrap()), None, "{good:?}");
        }
    }
}
