//! A compact tree of the nodes of one document, each with its bytes in the text.

mod builder;

use super::scalar::ScalarTag;
use std::ops::Range;

/// How deep collections may be nested, aliases followed.
pub(super) const MAX_DEPTH: usize = 200;

/// What a node is and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeKind {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
    Folded,
    BlockSequence,
    FlowSequence,
    BlockMapping,
    FlowMapping,
    /// A mapping of one entry that is written without braces in a flow sequence: `[a: 1]`.
    Pair,
    Alias,
}

impl NodeKind {
    pub(super) fn is_sequence(self) -> bool {
        matches!(self, Self::BlockSequence | Self::FlowSequence)
    }

    pub(super) fn is_mapping(self) -> bool {
        matches!(self, Self::BlockMapping | Self::FlowMapping | Self::Pair)
    }

    pub(super) fn is_block_scalar(self) -> bool {
        matches!(self, Self::Literal | Self::Folded)
    }
}

/// The number of a node in its tree; the root has 0.
pub(super) type NodeId = u32;

/// One node. Nodes are in the order of the text, each before its children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyntaxNode {
    pub(super) kind: NodeKind,
    /// The first byte: of a block scalar its `|`, of a block sequence its first `-`, of a block mapping its first key.
    /// An anchor or tag is before it. A value that is not written is empty, right behind its `:` or `-`.
    pub(super) start: u32,
    /// The byte after the last one. Block collections end with their last leaf, block scalars before the line end
    /// of their last line of content.
    pub(super) end: u32,
    /// The number of the node after this one and all below it.
    pub(super) next: NodeId,
    /// The node an alias refers to; for others 1 + the index of its properties, or 0.
    extra: u32,
    /// Where the scalar's text is: [`AS_WRITTEN`], [`INSIDE_QUOTES`] or 2 + an index into the decoded texts.
    text: u32,
}

const AS_WRITTEN: u32 = 0;
const INSIDE_QUOTES: u32 = 1;

/// The anchor and the tag of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct NodeProperties {
    pub(super) anchor: Option<Range<usize>>,
    pub(super) tag: Option<(Range<usize>, ScalarTag)>,
}

impl NodeProperties {
    /// Returns the first byte and the byte after the last one.
    pub(super) fn span(&self) -> Option<Range<usize>> {
        let ranges = || self.anchor.iter().chain(self.tag.iter().map(|(r, _)| r));
        Some(ranges().map(|r| r.start).min()?..ranges().map(|r| r.end).max()?)
    }
}

/// The nodes of one document; none where it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SyntaxTree {
    nodes: Vec<SyntaxNode>,
    properties: Vec<NodeProperties>,
    decoded: String,
    ranges: Vec<Range<u32>>,
}

impl SyntaxTree {
    /// Returns an empty tree with capacity for some nodes.
    pub(super) fn with_capacity(nodes: usize) -> Self {
        Self { nodes: Vec::with_capacity(nodes), ..Self::default() }
    }

    /// Adds a node without children, anchor and tag; its text is as written.
    pub(super) fn push_leaf(&mut self, kind: NodeKind, start: usize, end: usize) -> NodeId {
        let id = to_offset(self.nodes.len());
        let (start, end) = (to_offset(start), to_offset(end));
        self.nodes.push(SyntaxNode { kind, start, end, next: id + 1, extra: 0, text: AS_WRITTEN });
        id
    }

    /// Completes a collection: all nodes after it are below it, and it ends with the last of them.
    pub(super) fn close(&mut self, id: NodeId, end: usize) {
        let (next, end) = (to_offset(self.nodes.len()), to_offset(end));
        let node = &mut self.nodes[id as usize];
        (node.next, node.end) = (next, end.max(node.start));
    }

    /// Sets the text of a quoted scalar to what its quotes enclose.
    pub(super) fn set_inside_quotes(&mut self, id: NodeId) {
        self.nodes[id as usize].text = INSIDE_QUOTES;
    }

    /// Sets the text of a scalar that is written in another way.
    pub(super) fn set_decoded(&mut self, id: NodeId, text: &str) {
        let from = self.decoded.len();
        self.decoded.push_str(text);
        self.set_decoded_from(id, from);
    }

    /// Returns the texts of the scalars that are written in another way, so that the next one is decoded behind them.
    pub(super) fn decoded_mut(&mut self) -> &mut String {
        &mut self.decoded
    }

    /// Sets the text of a scalar to what was decoded from a byte on.
    pub(super) fn set_decoded_from(&mut self, id: NodeId, from: usize) {
        self.ranges.push(to_offset(from)..to_offset(self.decoded.len()));
        self.nodes[id as usize].text = to_offset(self.ranges.len()) + 1;
    }

    /// Returns the last node and its end, where it is a plain scalar.
    pub(super) fn last_plain(&self) -> Option<(NodeId, usize)> {
        let last = self.nodes.last().filter(|node| node.kind == NodeKind::Plain)?;
        Some((to_offset(self.nodes.len()) - 1, last.end as usize))
    }

    /// Adds another line of the text to a plain scalar, which is the last node.
    pub(super) fn extend_plain(&mut self, id: NodeId, source: &str, separator: &str, line: Range<usize>) {
        if self.is_as_written(id) {
            self.set_decoded(id, &source[self.span(id)]);
        }
        self.decoded.push_str(separator);
        self.decoded.push_str(&source[line.clone()]);
        if let Some(range) = self.ranges.last_mut() {
            range.end = to_offset(self.decoded.len());
        }
        self.nodes[id as usize].end = to_offset(line.end);
    }

    /// Returns a node.
    pub(super) fn node(&self, id: NodeId) -> &SyntaxNode {
        &self.nodes[id as usize]
    }

    /// Returns the number of nodes.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the root, where there is one.
    pub(super) fn root(&self) -> Option<NodeId> {
        (!self.nodes.is_empty()).then_some(0)
    }

    /// Returns the nodes right below one: items, or keys and values in turn.
    pub(super) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let (mut next, end) = (id + 1, self.node(id).next);
        std::iter::from_fn(move || {
            let child = Some(next).filter(|&child| child < end)?;
            next = self.node(child).next;
            Some(child)
        })
    }

    /// Returns the entries of a mapping.
    pub(super) fn entries(&self, id: NodeId) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        let mut children = self.children(id);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// Returns the anchor and tag of a node.
    pub(super) fn properties(&self, id: NodeId) -> Option<&NodeProperties> {
        let node = self.node(id);
        if node.kind == NodeKind::Alias || node.extra == 0 {
            None
        } else {
            self.properties.get(node.extra as usize - 1)
        }
    }

    /// Returns the tag of a node.
    pub(super) fn tag(&self, id: NodeId) -> Option<ScalarTag> {
        self.properties(id)?.tag.as_ref().map(|(_, tag)| *tag)
    }

    /// Returns the node that an alias refers to.
    pub(super) fn target(&self, id: NodeId) -> Option<NodeId> {
        let node = self.node(id);
        (node.kind == NodeKind::Alias).then_some(node.extra)
    }

    /// Returns the bytes of a node without its anchor and tag.
    pub(super) fn span(&self, id: NodeId) -> Range<usize> {
        let node = self.node(id);
        node.start as usize..node.end as usize
    }

    /// Returns the first byte of a node, its anchor and tag included.
    pub(super) fn full_start(&self, id: NodeId) -> usize {
        let start = self.node(id).start as usize;
        self.properties(id).and_then(NodeProperties::span).map_or(start, |s| s.start.min(start))
    }

    /// Returns whether a scalar's text is in the document as it is.
    pub(super) fn is_as_written(&self, id: NodeId) -> bool {
        matches!(self.node(id).text, AS_WRITTEN | INSIDE_QUOTES)
    }

    /// Returns the text of a plain scalar of one line without anchor and tag, as nearly all scalars are.
    pub(super) fn plain_word<'a>(&self, id: NodeId, source: &'a str) -> Option<&'a str> {
        let node = self.node(id);
        let is_simple = node.kind == NodeKind::Plain && node.extra == 0 && node.text == AS_WRITTEN;
        is_simple.then(|| &source[self.span(id)])
    }

    /// Returns the text of a scalar, escapes and folds resolved.
    pub(super) fn text<'a>(&'a self, id: NodeId, source: &'a str) -> &'a str {
        let node = self.node(id);
        let (start, end) = (node.start as usize, node.end as usize);
        match node.text {
            AS_WRITTEN => &source[start..end],
            INSIDE_QUOTES => &source[start + 1..end - 1],
            decoded => {
                let range = &self.ranges[decoded as usize - 2];
                &self.decoded[range.start as usize..range.end as usize]
            }
        }
    }
}

/// Returns how much of a text Kubernetes takes off: a `---` line in front of a byte order mark, and the mark.
pub(super) fn skipped_prefix_length(text: &str) -> usize {
    let line = if text.starts_with("---") { text.find('\n').map_or(text.len(), |i| i + 1) } else { 0 };
    if text[line..].starts_with('\u{feff}') { line + '\u{feff}'.len_utf8() } else { 0 }
}

/// Returns an offset as the tree keeps it; texts are at most 64 MiB long.
fn to_offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
