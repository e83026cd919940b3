//! How is a document written? What is added follows it.

use super::lines::{column, is_first, line_start};
use crate::yaml::emit::{Flow, Style};
use crate::yaml::tree::{Id, Kind, Tree};

/// Nodes that are looked at for a style.
const LOOK: usize = 2000;

/// What has been seen of a document's block style.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    step: Option<usize>,
    dashes: Option<usize>,
    gap: Option<usize>,
}

impl Seen {
    /// Looks at the first nodes of a document, until all is known.
    pub(super) fn of_document(text: &str, tree: &Tree) -> Self {
        let mut seen = Self::default();
        let mut looks = 0;
        for id in 0..Id::try_from(tree.len().min(LOOK)).unwrap_or(0) {
            looks += seen.look(text, tree, id);
            if looks > LOOK || seen.step.is_some() && seen.dashes.is_some() && seen.gap.is_some() {
                break;
            }
        }
        seen
    }

    /// Returns the layout at a node: its own where it shows one, else the document's, else two columns each.
    pub(super) fn near(self, text: &str, tree: &Tree, id: Id) -> Style {
        let mut own = Self::default();
        own.look(text, tree, id);
        let step = own.step.or(self.step).unwrap_or(2);
        let dashes = own.dashes.or(self.dashes).unwrap_or(step);
        Style { step, dashes, gap: own.gap.or(self.gap).unwrap_or(2), literal: true }
    }

    /// Looks at one node and its children; returns how many there were.
    fn look(&mut self, text: &str, tree: &Tree, id: Id) -> usize {
        let node = tree.node(id);
        match node.kind {
            Kind::BlockMap => {
                let own = column(text, node.start as usize);
                let entries = tree.entries(id).take(LOOK);
                entries.map(|(_, value)| self.look_at_value(text, tree, value, own)).count()
            }
            Kind::BlockSeq => {
                self.gap = self.gap.or_else(|| gap(text, tree, id));
                1
            }
            _ => 1,
        }
    }

    fn look_at_value(&mut self, text: &str, tree: &Tree, value: Id, own: usize) {
        let node = tree.node(value);
        let offset = || column(text, node.start as usize).checked_sub(own);
        match node.kind {
            Kind::BlockMap if self.step.is_none() => self.step = offset().filter(|&o| o > 0),
            Kind::BlockSeq if self.dashes.is_none() => self.dashes = offset(),
            _ => {}
        }
    }
}

/// Returns the columns from a list's dashes to its items.
pub(super) fn gap(text: &str, tree: &Tree, list: Id) -> Option<usize> {
    let dash = column(text, tree.node(list).start as usize);
    let line = line_start(text, tree.node(list).start as usize);
    let mut gaps = tree.children(list).take(16).filter_map(|item| {
        let start = tree.full_start(item);
        let same_line = line_start(text, start) >= line
            && text[line_start(text, start)..start].trim_start_matches(' ').starts_with('-');
        column(text, start)
            .checked_sub(dash)
            .filter(|&g| same_line && g > 1 && tree.node(item).kind == Kind::BlockMap)
    });
    gaps.next()
}

/// Tells whether a flow collection is written as JSON: its first key or string is in double quotes.
pub(super) fn is_json(text: &str, tree: &Tree, id: Id) -> bool {
    let end = tree.node(id).next;
    let first = (id + 1..end).find(|&n| {
        let kind = tree.node(n).kind;
        !matches!(kind, Kind::FlowMap | Kind::FlowSeq) && !tree.span(n).is_empty()
    });
    match first {
        Some(leaf) => tree.node(leaf).kind == Kind::Double,
        None => id == 0 && text.trim_start().starts_with(['{', '[']),
    }
}

/// Returns how a flow collection is written.
pub(super) fn flow(text: &str, tree: &Tree, id: Id) -> Flow {
    if !is_json(text, tree, id) {
        return Flow::YAML;
    }
    let entry = (id..tree.node(id).next)
        .take(LOOK)
        .find_map(|n| if tree.node(n).kind == Kind::FlowMap { tree.entries(n).next() } else { None });
    let tight =
        entry.is_some_and(|(key, value)| text[tree.span(key).end..tree.full_start(value)].ends_with(':'));
    Flow {
        json: true,
        colon: if tight { ":" } else { ": " },
        comma: if tight { "," } else { ", " },
        unit: unit(text, tree, id),
    }
}

/// Returns the indentation of one level, where items stand on lines of their own.
fn unit(text: &str, tree: &Tree, id: Id) -> Option<String> {
    let indent = |at: usize| {
        let line = &text[line_start(text, at)..at];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    };
    (id..tree.node(id).next).take(LOOK).find_map(|n| {
        let first = tree.children(n).next()?;
        let (open, start) = (tree.span(n).start, tree.full_start(first));
        if !matches!(tree.node(n).kind, Kind::FlowMap | Kind::FlowSeq) || !is_first(text, start) {
            return None;
        }
        indent(start).strip_prefix(indent(open)).filter(|u| !u.is_empty()).map(str::to_owned)
    })
}
