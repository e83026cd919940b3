//! Builds the tree from the events of granit-parser, unless the text has the plain block form. No other file runs that
//! parser.

use super::{
    AS_WRITTEN, INSIDE_QUOTES, MAX_DEPTH, NodeId, NodeKind, NodeProperties, SyntaxNode, SyntaxTree,
    skipped_prefix_length, to_offset,
};
use crate::yaml::block_reader::read_block_form;
use crate::yaml::scalar::ScalarTag;
use crate::yaml::syntax::{Characters, Error, check_libyaml_rules};
use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle};
use std::borrow::Cow;
use std::ops::Range;

/// Nodes that a document may have.
const MAX_NODES: usize = 8_000_000;

impl SyntaxTree {
    /// Reads the text of one document, which has such characters, and checks what libyaml refuses in it.
    pub(in crate::yaml) fn read(text: &str, characters: Characters) -> Result<Self, Box<Error>> {
        let parsed = || {
            let tree = Self::parse(text)?;
            check_libyaml_rules(text, &tree)?;
            Ok(tree)
        };
        let taken = (characters == Characters::Ordinary).then(|| read_block_form(text)).flatten();
        let Some(tree) = taken else { return parsed() };
        // What tests and fuzzing run reads every document in both ways.
        debug_assert_eq!(Some(&tree), parsed().ok().as_ref(), "{text}");
        Ok(tree)
    }

    /// Reads the text of one document with the parser, whatever form it has.
    pub(in crate::yaml) fn parse(text: &str) -> Result<Self, Box<Error>> {
        // The parser takes a line that is not ended as if it were; [`without_line_end`] takes that back.
        let ended = if text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) };
        let skip = skipped_prefix_length(text);
        let mut builder = TreeBuilder { text, skip, ..TreeBuilder::default() };
        builder.tree.nodes.reserve(text.len() / 16);
        let mut documents = 0;
        for next in Parser::new_from_str_with_options(&ended[skip..], parser_options()) {
            let (event, span) =
                next.map_err(|e| Error::from_scan_error(&e, skip, builder.closed, builder.open_flow()))?;
            if matches!(event, Event::DocumentStart(..)) {
                documents += 1;
                if documents > 1 {
                    return Err(Error::second_document(builder.closed));
                }
            }
            builder.push_event(event, span)?;
        }
        Ok(builder.tree)
    }
}

fn parser_options() -> Options {
    granit_parser::options! {
        emit_comments: false,
        emit_anchor_events: true,
        disallow_directives: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    }
}

/// Puts the tree together from events.
#[derive(Default)]
struct TreeBuilder<'t> {
    text: &'t str,
    /// Bytes before what the parser sees.
    skip: usize,
    tree: SyntaxTree,
    /// Collections that are still open, each with the number of its children so far.
    open: Vec<(NodeId, usize)>,
    /// The node of each anchor, by the parser's number.
    anchors: Vec<NodeId>,
    /// The end of the last token that was seen.
    cursor: usize,
    /// Where the document's last node ended.
    closed: usize,
}

impl TreeBuilder<'_> {
    /// Returns where the innermost flow collection starts that is still open.
    fn open_flow(&self) -> Option<usize> {
        let is_flow =
            |&id: &NodeId| matches!(self.tree.node(id).kind, NodeKind::FlowSequence | NodeKind::FlowMapping);
        let flow = self.open.iter().map(|&(id, _)| id).rfind(is_flow)?;
        Some(self.tree.node(flow).start as usize)
    }

    fn push_event(&mut self, event: Event<'_>, span: Span) -> Result<(), Box<Error>> {
        let at = self.range(span);
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let props = self.tag(span, tag.as_deref());
                let id = self.push_node(NodeKind::from_scalar_style(style), at, anchor, props)?;
                self.place_scalar(id, &value);
                self.close_leaf(id);
            }
            Event::Alias(target) => {
                let id = self.push_node(NodeKind::Alias, at, 0, None)?;
                self.tree.nodes[id as usize].extra = self.anchors.get(target).copied().unwrap_or(0);
                self.close_leaf(id);
            }
            Event::Anchor(_, name) => self.anchor(at, &name)?,
            Event::SequenceStart(style, anchor, tag) => {
                let props = self.tag(span, tag.as_deref());
                let kind = if style == StructureStyle::Flow {
                    NodeKind::FlowSequence
                } else {
                    NodeKind::BlockSequence
                };
                self.open_collection(kind, at, anchor, props)?;
            }
            Event::MappingStart(style, anchor, tag) => {
                let props = self.tag(span, tag.as_deref());
                let kind = match style {
                    StructureStyle::Block => NodeKind::BlockMapping,
                    StructureStyle::Flow if self.text[at.clone()].starts_with('{') => NodeKind::FlowMapping,
                    StructureStyle::Flow => NodeKind::Pair,
                };
                self.open_collection(kind, at, anchor, props)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close_collection(at),
            _ => {}
        }
        Ok(())
    }

    /// Returns the bytes of an event; the line end that was added for the parser does not count.
    fn range(&self, span: Span) -> Range<usize> {
        let most = self.text.len();
        let start = (self.skip + span.start.byte_offset().unwrap_or(0)).min(most);
        start..(self.skip + span.end.byte_offset().unwrap_or(0)).clamp(start, most)
    }

    fn tag(&mut self, span: Span, tag: Option<&granit_parser::Tag>) -> Option<NodeProperties> {
        let tag = tag?;
        let range = span.tag_span().map_or(0..0, |s| self.range(s));
        self.cursor = self.cursor.max(range.end);
        Some(NodeProperties {
            anchor: None,
            tag: Some((range, ScalarTag::from_parts(tag.handle(), tag.suffix()))),
        })
    }

    fn push_node(
        &mut self,
        kind: NodeKind,
        at: Range<usize>,
        anchor: usize,
        props: Option<NodeProperties>,
    ) -> Result<NodeId, Box<Error>> {
        let id = to_offset(self.tree.nodes.len());
        if self.tree.nodes.len() >= MAX_NODES {
            return Err(Error::too_many_nodes(at.start));
        }
        if let Some((_, children)) = self.open.last_mut() {
            *children += 1;
        }
        if anchor > 0 {
            self.anchors.resize(self.anchors.len().max(anchor + 1), 0);
            self.anchors[anchor] = id;
        }
        let extra = props.map_or(0, |p| {
            self.tree.properties.push(p);
            to_offset(self.tree.properties.len())
        });
        let (start, end) = (to_offset(at.start), to_offset(at.end));
        self.tree.nodes.push(SyntaxNode { kind, start, end, next: id + 1, extra, text: AS_WRITTEN });
        Ok(id)
    }

    /// Records the anchor of the node that was pushed last.
    fn anchor(&mut self, at: Range<usize>, name: &str) -> Result<(), Box<Error>> {
        // libyaml takes letters, digits, `-` and `_` only.
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return Err(Error::invalid_anchor_name(at));
        }
        let Some(node) = self.tree.nodes.last_mut() else { return Ok(()) };
        if node.extra == 0 {
            self.tree.properties.push(NodeProperties::default());
            node.extra = to_offset(self.tree.properties.len());
        }
        // An empty node is behind its properties.
        if node.kind == NodeKind::Plain && node.start == node.end {
            let tag = self
                .tree
                .properties
                .get(node.extra as usize - 1)
                .and_then(|p| p.tag.as_ref())
                .map_or(0, |(r, _)| r.end);
            node.start = to_offset(at.end.max(tag));
            node.end = node.start;
        }
        let end = node.end;
        self.cursor = self.cursor.max(at.end).max(end as usize);
        if let Some(props) = self.tree.properties.get_mut(node.extra as usize - 1) {
            props.anchor = Some(at);
        }
        Ok(())
    }

    fn open_collection(
        &mut self,
        kind: NodeKind,
        at: Range<usize>,
        anchor: usize,
        props: Option<NodeProperties>,
    ) -> Result<(), Box<Error>> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Error::too_deep(at.start));
        }
        let in_map = self
            .open
            .last()
            .is_some_and(|&(parent, _)| self.tree.node(parent).kind == NodeKind::BlockMapping);
        let id = self.push_node(kind, at.clone(), anchor, props)?;
        if kind == NodeKind::BlockSequence && in_map {
            // The parser points at the first item where the dashes are not indented.
            let dash = self.skip_to(|b| b == b'-', at.start);
            self.tree.nodes[id as usize].start = to_offset(dash);
        }
        if kind == NodeKind::BlockSequence {
            self.cursor = self.cursor.max(self.tree.node(id).start as usize);
        }
        // The cursor stays before the dash or key: what follows looks for its own indicator.
        if matches!(kind, NodeKind::FlowSequence | NodeKind::FlowMapping) {
            self.cursor = at.end;
        }
        self.open.push((id, 0));
        Ok(())
    }

    fn close_collection(&mut self, at: Range<usize>) {
        let Some((id, _)) = self.open.pop() else { return };
        if matches!(self.tree.node(id).kind, NodeKind::FlowSequence | NodeKind::FlowMapping) {
            self.cursor = at.end;
        }
        let (next, end) = (to_offset(self.tree.nodes.len()), to_offset(self.cursor));
        let node = &mut self.tree.nodes[id as usize];
        node.next = next;
        node.end = end.max(node.start);
        self.closed = end as usize;
    }

    fn close_leaf(&mut self, id: NodeId) {
        self.cursor = self.cursor.max(self.tree.node(id).end as usize);
        self.closed = self.cursor;
    }

    /// Sets where a scalar is and where its text is found.
    fn place_scalar(&mut self, id: NodeId, mut value: &str) {
        let SyntaxNode { kind, start, end, .. } = *self.tree.node(id);
        let (start, end) = (start as usize, end as usize);
        if kind == NodeKind::Plain && start == end {
            let at = self.empty_value_position(id, start);
            let node = &mut self.tree.nodes[id as usize];
            (node.start, node.end) = (to_offset(at), to_offset(at));
            return;
        }
        if kind.is_block_scalar() {
            let header = self.skip_to(|b| matches!(b, b'|' | b'>'), start);
            let node_end = block_scalar_end(self.text, header, start..end);
            value = without_line_end(self.text, header..node_end, value);
            let node = &mut self.tree.nodes[id as usize];
            (node.start, node.end) = (to_offset(header), to_offset(node_end));
        } else if self.text[start..end] == *value {
            return;
        } else if kind != NodeKind::Plain && self.text.get(start + 1..end - 1) == Some(value) {
            self.tree.nodes[id as usize].text = INSIDE_QUOTES;
            return;
        }
        self.tree.set_decoded(id, value);
    }

    /// Returns where a value belongs that is not written: behind its properties, `:`, `-` or key.
    fn empty_value_position(&self, id: NodeId, position: usize) -> usize {
        let parent = self.open.last().map(|&(parent, children)| (self.tree.node(parent).kind, children));
        let indicator = match parent {
            _ if self.tree.properties(id).is_some() => return self.cursor,
            Some((kind, children)) if kind.is_mapping() && children % 2 == 0 => b':',
            Some((NodeKind::BlockSequence, _)) => b'-',
            _ => return self.cursor.max(position),
        };
        let found = self.skip_to(|b| b == indicator, usize::MAX);
        let next = self.text.as_bytes().get(found.saturating_add(1));
        // What continues right behind it is the start of the next scalar.
        let is_indicator = next.is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b',' | b']' | b'}'));
        if found == usize::MAX || !is_indicator { self.cursor } else { found + 1 }
    }

    /// Goes on from the last token over blanks, comments, indicators and properties to a wanted indicator.
    fn skip_to(&self, wanted: impl Fn(u8) -> bool, otherwise: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = self.cursor;
        while let Some(&b) = bytes.get(at) {
            match b {
                _ if wanted(b) => return at,
                b'#' => at = memchr::memchr2(b'\n', b'\r', &bytes[at..]).map_or(bytes.len(), |i| at + i),
                b'&' | b'!' => {
                    at += bytes[at..].iter().position(u8::is_ascii_whitespace).unwrap_or(bytes.len() - at);
                }
                0xef if self.text[at..].starts_with('\u{feff}') => at += '\u{feff}'.len_utf8(),
                b' ' | b'\t' | b'\n' | b'\r' | b'-' | b'?' | b':' => at += 1,
                _ => return otherwise,
            }
        }
        otherwise
    }
}

impl NodeKind {
    fn from_scalar_style(style: ScalarStyle) -> Self {
        match style {
            ScalarStyle::Plain => Self::Plain,
            ScalarStyle::SingleQuoted => Self::SingleQuoted,
            ScalarStyle::DoubleQuoted => Self::DoubleQuoted,
            ScalarStyle::Literal => Self::Literal,
            ScalarStyle::Folded => Self::Folded,
        }
    }
}

/// Returns where the content of a block scalar ends, before the line end.
fn block_scalar_end(text: &str, header: usize, content: Range<usize>) -> usize {
    let line_end =
        |at: usize| memchr::memchr2(b'\n', b'\r', &text.as_bytes()[at..]).map_or(text.len(), |i| at + i);
    let header_end = line_end(header);
    let keeps = text[header..header_end].split('#').next().is_some_and(|h| h.contains('+'));
    let written = &text[header_end.min(content.end)..content.end];
    if keeps {
        // All blank lines are content; blanks behind the last line end are the next line's indentation.
        let trimmed = written.trim_end_matches([' ', '\t']);
        let trimmed = if trimmed.ends_with(['\n', '\r']) || trimmed.is_empty() { trimmed } else { written };
        let trimmed = trimmed.strip_suffix('\n').unwrap_or(trimmed);
        let trimmed = trimmed.strip_suffix('\r').unwrap_or(trimmed);
        return header_end + trimmed.len();
    }
    let last = written.trim_end_matches([' ', '\t', '\n', '\r']);
    if last.is_empty() { header_end } else { line_end(header_end + last.len()) }
}

/// Returns the text of a block scalar at the end of a file without a final line end: then the text has none either. `span` is from its header to where its content ends.
// go-yaml v2.4.2 scannerc.go yaml_parser_scan_block_scalar: what is not there is not kept.
fn without_line_end<'v>(text: &str, span: Range<usize>, value: &'v str) -> &'v str {
    let rest = &text[span.end..];
    let is_last = rest.bytes().all(|b| matches!(b, b' ' | b'\n' | b'\r'));
    if text.ends_with(['\n', '\r']) || !is_last || !text[span.start..].contains('\n') {
        return value;
    }
    let last = value.strip_suffix('\n').unwrap_or(value);
    let line = last.rsplit('\n').next().unwrap_or(last);
    let keeps = text[span.start..]
        .lines()
        .next()
        .is_some_and(|h| h.split('#').next().is_some_and(|h| h.contains('+')));
    // Blanks that are not content leave the line end before them.
    let is_content = rest.is_empty() || keeps || (!line.is_empty() && line.trim_matches(' ').is_empty());
    if is_content { last } else { value }
}
