//! Detects the style of a document; added text follows it.

use super::lines::{column, is_first_on_line, line_start};
use crate::yaml::emit::{BlockStyle, FlowStyle};
use crate::yaml::tree::{NodeId, NodeKind, SyntaxTree};

/// Nodes that are looked at for a style.
const MAX_SAMPLED_NODES: usize = 2000;

/// What has been seen of a document's block style.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ObservedStyle {
    step: Option<usize>,
    dashes: Option<usize>,
    gap: Option<usize>,
}

impl ObservedStyle {
    /// Looks at the first nodes of a document, until all is known.
    pub(super) fn from_document(text: &str, tree: &SyntaxTree) -> Self {
        let mut seen = Self::default();
        let mut looks = 0;
        for id in 0..NodeId::try_from(tree.len().min(MAX_SAMPLED_NODES)).unwrap_or(0) {
            looks += seen.sample_node(text, tree, id);
            if looks > MAX_SAMPLED_NODES || seen.step.is_some() && seen.dashes.is_some() && seen.gap.is_some()
            {
                break;
            }
        }
        seen
    }

    /// Returns the layout at a node: its own where it shows one, else the document's, else two columns each.
    pub(super) fn at_node(self, text: &str, tree: &SyntaxTree, id: NodeId) -> BlockStyle {
        let mut own = Self::default();
        own.sample_node(text, tree, id);
        let step = own.step.or(self.step).unwrap_or(2);
        let dashes = own.dashes.or(self.dashes).unwrap_or(step);
        BlockStyle { step, dashes, gap: own.gap.or(self.gap).unwrap_or(2), literal: true }
    }

    /// Looks at one node and its children; returns how many there were.
    fn sample_node(&mut self, text: &str, tree: &SyntaxTree, id: NodeId) -> usize {
        let node = tree.node(id);
        match node.kind {
            NodeKind::BlockMapping => {
                let own = column(text, node.start as usize);
                let entries = tree.entries(id).take(MAX_SAMPLED_NODES);
                entries.map(|(_, value)| self.sample_value(text, tree, value, own)).count()
            }
            NodeKind::BlockSequence => {
                self.gap = self.gap.or_else(|| dash_gap(text, tree, id));
                1
            }
            _ => 1,
        }
    }

    fn sample_value(&mut self, text: &str, tree: &SyntaxTree, value: NodeId, own: usize) {
        let node = tree.node(value);
        let offset = || column(text, node.start as usize).checked_sub(own);
        match node.kind {
            NodeKind::BlockMapping if self.step.is_none() => self.step = offset().filter(|&o| o > 0),
            NodeKind::BlockSequence if self.dashes.is_none() => self.dashes = offset(),
            _ => {}
        }
    }
}

/// Returns the columns from a list's dashes to its items.
pub(super) fn dash_gap(text: &str, tree: &SyntaxTree, list: NodeId) -> Option<usize> {
    let dash = column(text, tree.node(list).start as usize);
    let line = line_start(text, tree.node(list).start as usize);
    let mut gaps = tree.children(list).take(16).filter_map(|item| {
        let start = tree.full_start(item);
        let same_line = line_start(text, start) >= line
            && text[line_start(text, start)..start].trim_start_matches(' ').starts_with('-');
        column(text, start)
            .checked_sub(dash)
            .filter(|&g| same_line && g > 1 && tree.node(item).kind == NodeKind::BlockMapping)
    });
    gaps.next()
}

/// Returns whether a flow collection is written as JSON: its first key or string is in double quotes.
pub(super) fn is_json(text: &str, tree: &SyntaxTree, id: NodeId) -> bool {
    let end = tree.node(id).next;
    let first = (id + 1..end).find(|&n| {
        let kind = tree.node(n).kind;
        !matches!(kind, NodeKind::FlowMapping | NodeKind::FlowSequence) && !tree.span(n).is_empty()
    });
    match first {
        Some(leaf) => tree.node(leaf).kind == NodeKind::DoubleQuoted,
        None => id == 0 && text.trim_start().starts_with(['{', '[']),
    }
}

/// Returns how a flow collection is written.
pub(super) fn flow_style(text: &str, tree: &SyntaxTree, id: NodeId) -> FlowStyle {
    if !is_json(text, tree, id) {
        return FlowStyle::YAML;
    }
    let entry = (id..tree.node(id).next)
        .take(MAX_SAMPLED_NODES)
        .find_map(|n| if tree.node(n).kind == NodeKind::FlowMapping { tree.entries(n).next() } else { None });
    let tight =
        entry.is_some_and(|(key, value)| text[tree.span(key).end..tree.full_start(value)].ends_with(':'));
    FlowStyle {
        json: true,
        colon: if tight { ":" } else { ": " },
        comma: if tight { "," } else { ", " },
        unit: flow_indent(text, tree, id),
    }
}

/// Returns the indentation of one level, where items are on separate lines.
fn flow_indent(text: &str, tree: &SyntaxTree, id: NodeId) -> Option<String> {
    let indent = |at: usize| {
        let line = &text[line_start(text, at)..at];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    };
    (id..tree.node(id).next).take(MAX_SAMPLED_NODES).find_map(|n| {
        let first = tree.children(n).next()?;
        let (open, start) = (tree.span(n).start, tree.full_start(first));
        if !matches!(tree.node(n).kind, NodeKind::FlowMapping | NodeKind::FlowSequence)
            || !is_first_on_line(text, start)
        {
            return None;
        }
        indent(start).strip_prefix(indent(open)).filter(|u| !u.is_empty()).map(str::to_owned)
    })
}
