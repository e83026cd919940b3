//! Edits a text so that one node gets a new value and every other byte stays.
//!
//! The old value of the node is compared with the new one. Equal parts stay; the rest becomes splices: ranges of the
//! text with their replacements.

mod align;
mod block;
mod flow;
mod lines;
mod list;
mod parts;
mod replace;
mod style;
#[cfg(test)]
mod tests;

use super::canonical_numbers::canonical_numbers;
use super::emit::{BlockStyle, FlowStyle, ValueContext};
use super::syntax::Error;
use super::text_edits::TextEdits;
use super::tree::{NodeId, NodeKind, SyntaxTree};
use super::{Document, FieldPath, PathSegment, syntax, value, verify};
use crate::diagnostics::{Code, Diagnostic};
pub(crate) use list::{ItemChange, ItemSplices, ListChange, ListEditor};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Why an edit is refused, or that it is done.
type EditResult = Result<(), Box<Error>>;

impl Document {
    /// Returns the text in which the node at a path means `new`, as Kubernetes reads it; all other bytes stay.
    ///
    /// Mapping entries that are missing on the way are added, and so is the item behind the last one of a list.
    ///
    /// # Errors
    /// A diagnostic with both places when the node is shared by an alias, or when an independent parser reads
    /// something else in the new text than was meant.
    pub fn rewrite(&self, at: &FieldPath, new: &Value) -> Result<String, Diagnostic> {
        self.try_rewrite(at, &canonical_numbers(new)).map_err(|f| f.into_diagnostic(&self.source()))
    }

    fn try_rewrite(&self, at: &FieldPath, new: &Value) -> Result<String, Box<Error>> {
        let mut editor = NodeEditor::new(self);
        let target = editor.locate(at.segments(), new)?;
        if target.old == &*target.new {
            return Ok(self.text.to_string());
        }
        if has_lone_carriage_return(&self.text) {
            return Err(Error::new(
                Code::InvalidYaml,
                "lines that end with a carriage return alone cannot be edited",
                0..1,
            )
            .help("convert the file to line feeds"));
        }
        match target.id.filter(|&id| target.depth > 0 || !self.tree.span(id).is_empty()) {
            Some(id) => editor.edit_node(id, target.old, &target.new, target.slot)?,
            None => editor.fill_empty(&target.new),
        }
        editor.keep_last_scalar();
        let eol = editor.line_end;
        let mut text = editor.apply_splices();
        let check = |text: &str| {
            let read = verify::verify_edit(text, &self.value, &at.segments()[..target.depth], &target.new);
            read.and_then(|()| check_tabs(text))
        };
        let mut checked = check(&text);
        if checked.is_err() && !text.ends_with('\n') {
            // A block scalar that has become the last one needs the end of its last line.
            text.push_str(eol);
            checked = check(&text);
        }
        match checked {
            Ok(()) => Ok(text),
            Err(what) => {
                let at = target.id.map_or(0..0, |id| self.tree.span(id));
                Err(Error::new(
                    Code::EditCheckFailed,
                    format!("the edited text does not have the intended value: {what}"),
                    at,
                )
                .note("nothing was written; this is a bug in pillion")
                .help("please report it with this document"))
            }
        }
    }
}

/// Kubernetes' reader takes fewer tabs than the parser that checks edits.
fn check_tabs(text: &str) -> Result<(), String> {
    if memchr::memchr(b'\t', text.as_bytes()).is_none() {
        return Ok(());
    }
    let read = SyntaxTree::parse(text).and_then(|tree| syntax::check_libyaml_rules(text, &tree));
    read.map_err(|_| "a tab ended up in the indentation".to_owned())
}

/// The deepest node on the way to a path that can be edited by itself, and what it is to mean.
struct EditTarget<'a> {
    /// `None` where the document is empty.
    id: Option<NodeId>,
    /// Steps of the path that lead to it.
    depth: usize,
    old: &'a Value,
    new: Cow<'a, Value>,
    slot: NodeSlot,
}

/// Where a node is.
#[derive(Debug, Clone)]
struct NodeSlot {
    /// The byte behind the key's `:` or the dash; the node's start where there is neither.
    value_start: usize,
    context: SlotContext,
}

/// What a node is in.
#[derive(Debug, Clone)]
enum SlotContext {
    Block(ValueContext),
    Flow(FlowStyle),
}

/// A range of the text, and what is there instead.
#[derive(Debug, Clone)]
struct Splice {
    range: Range<usize>,
    text: Arc<str>,
}

/// Collects the splices of one edit.
struct NodeEditor<'a> {
    text: &'a str,
    tree: &'a SyntaxTree,
    root: &'a Value,
    /// Anchored nodes with the aliases that refer to them, in order.
    aliases: Vec<(NodeId, NodeId)>,
    line_end: &'static str,
    layout: Arc<DocumentLayout>,
    splices: Vec<Splice>,
}

/// What edits ask of a whole document, computed on demand.
#[derive(Debug, Default)]
struct DocumentLayout {
    /// Its block style.
    style: OnceLock<style::ObservedStyle>,
    /// The lines below block scalars that keep their blank lines.
    kept_blank_lines: OnceLock<Vec<usize>>,
}

impl<'a> NodeEditor<'a> {
    fn new(document: &'a Document) -> Self {
        let (text, tree) = (&*document.text, &document.tree);
        let ids = 0..NodeId::try_from(tree.len()).unwrap_or(NodeId::MAX);
        let mut aliases: Vec<(NodeId, NodeId)> = ids.filter_map(|id| Some((tree.target(id)?, id))).collect();
        aliases.sort_unstable();
        let eol = if text.find('\n').is_some_and(|i| text[..i].ends_with('\r')) { "\r\n" } else { "\n" };
        Self {
            text,
            tree,
            root: &document.value,
            aliases,
            line_end: eol,
            layout: Arc::default(),
            splices: Vec::new(),
        }
    }

    /// Walks a path as far as its nodes refer to themselves: not into aliases, nor to keys that `<<` adds.
    fn locate(&self, steps: &[PathSegment], new: &'a Value) -> Result<EditTarget<'a>, Box<Error>> {
        let (mut id, mut old, mut depth) = (self.tree.root(), self.root, 0);
        let mut slot = self.root_slot();
        while let (Some(here), Some(segment)) = (id, steps.get(depth)) {
            let Some((value_id, value, value_slot)) = self.find_own_child(here, old, segment, &slot) else {
                break;
            };
            self.check_not_shared(here)?;
            (id, old, slot) = (Some(value_id), value, value_slot);
            depth += 1;
        }
        let rest = &steps[depth..];
        let new = if rest.is_empty() {
            Cow::Borrowed(new)
        } else {
            Cow::Owned(with_value_at(old, rest, new).ok_or_else(|| self.missing_path_error(id, rest))?)
        };
        Ok(EditTarget { id, depth, old, new, slot })
    }

    /// Returns the block style at a node.
    fn style(&self, near: NodeId) -> BlockStyle {
        self.layout
            .style
            .get_or_init(|| style::ObservedStyle::from_document(self.text, self.tree))
            .at_node(self.text, self.tree, near)
    }

    fn root_slot(&self) -> NodeSlot {
        let root = self.tree.root();
        let around = match root.map(|r| self.tree.node(r).kind) {
            Some(NodeKind::FlowMapping | NodeKind::FlowSequence) => {
                let root = root.unwrap_or_default();
                if style::is_json(self.text, self.tree, root) {
                    SlotContext::Flow(style::flow_style(self.text, self.tree, root))
                } else {
                    SlotContext::Block(ValueContext::Root)
                }
            }
            _ => SlotContext::Block(ValueContext::Root),
        };
        NodeSlot { value_start: root.map_or(0, |r| self.tree.full_start(r)), context: around }
    }

    fn find_own_child(
        &self,
        id: NodeId,
        old: &'a Value,
        segment: &PathSegment,
        slot: &NodeSlot,
    ) -> Option<(NodeId, &'a Value, NodeSlot)> {
        match (self.tree.node(id).kind, segment) {
            (NodeKind::BlockMapping | NodeKind::FlowMapping, PathSegment::Key(name)) => {
                let value = old.get(name)?;
                let entry = self.find_own_entry(id, name)?;
                Some((entry.1, value, self.entry_slot(id, entry, slot)))
            }
            (NodeKind::BlockSequence | NodeKind::FlowSequence, PathSegment::Index(n)) => {
                let item = self.tree.children(id).nth(*n)?;
                Some((item, old.get(*n)?, self.item_slot(id, item, *n, slot)))
            }
            _ => None,
        }
    }

    /// Returns the entry of a mapping that decides about a key, where that is the mapping's own.
    fn find_own_entry(&self, map: NodeId, name: &str) -> Option<(NodeId, NodeId)> {
        let mut found = None;
        for (key, value) in self.tree.entries(map) {
            if value::is_merge(self.text, self.tree, key) {
                // A later `<<` wins over a key, in Kubernetes' reading.
                found = found.filter(|_| !self.merge_contains(value, name));
            } else if value::key_text(self.text, self.tree, key).as_deref() == Some(name) {
                found = Some((key, value));
            }
        }
        found
    }

    /// Returns whether the value of a merge key adds a key.
    fn merge_contains(&self, value: NodeId, name: &str) -> bool {
        let mut found = false;
        self.visit_merged_keys(value, &mut |key| found |= key == name);
        found
    }

    /// Tells all keys that the value of a merge key adds.
    fn visit_merged_keys(&self, value: NodeId, visit: &mut dyn FnMut(&str)) {
        for map in value::merged_mappings(self.tree, value) {
            for (key, value) in self.tree.entries(map) {
                if value::is_merge(self.text, self.tree, key) {
                    self.visit_merged_keys(value, visit);
                } else if let Some(key) = value::key_text(self.text, self.tree, key) {
                    visit(&key);
                }
            }
        }
    }

    /// Makes a node mean something else.
    fn edit_node(&mut self, id: NodeId, old: &Value, new: &Value, slot: NodeSlot) -> EditResult {
        if old == new {
            return Ok(());
        }
        self.check_not_shared(id)?;
        match (self.tree.node(id).kind, old, new) {
            (NodeKind::BlockMapping, Value::Object(a), Value::Object(b)) if !b.is_empty() => {
                self.edit_block_map(id, a, b, &slot)
            }
            (NodeKind::BlockSequence, Value::Array(a), Value::Array(b)) if !b.is_empty() => {
                self.edit_block_sequence(id, a, b, &slot)
            }
            (NodeKind::FlowMapping, Value::Object(a), Value::Object(b)) if !a.is_empty() && !b.is_empty() => {
                self.edit_flow_map(id, a, b, &slot)
            }
            (NodeKind::FlowSequence, Value::Array(a), Value::Array(b)) if !a.is_empty() && !b.is_empty() => {
                self.edit_flow_sequence(id, a, b, &slot)
            }
            _ => self.replace(id, new, &slot),
        }
    }

    /// Returns the aliases that refer to nodes in a range.
    fn aliases_into(&self, nodes: Range<NodeId>) -> &[(NodeId, NodeId)] {
        let from = self.aliases.partition_point(|(target, _)| *target < nodes.start);
        let to = self.aliases.partition_point(|(target, _)| *target < nodes.end);
        &self.aliases[from..to.max(from)]
    }

    /// Refuses to change a node that an alias refers to as well.
    fn check_not_shared(&self, id: NodeId) -> EditResult {
        match self.aliases_into(id..id + 1).first() {
            Some(&(_, alias)) => Err(self.shared_node_error(id, alias)),
            None => Ok(()),
        }
    }

    /// Refuses to remove a node when an alias elsewhere refers to it or something in it.
    fn check_not_aliased(&self, id: NodeId) -> EditResult {
        let inside = id..self.tree.node(id).next;
        match self.aliases_into(inside.clone()).iter().find(|(_, alias)| !inside.contains(alias)) {
            Some(&(target, alias)) => Err(self.shared_node_error(target, alias)),
            None => Ok(()),
        }
    }

    fn shared_node_error(&self, target: NodeId, alias: NodeId) -> Box<Error> {
        let anchor = self
            .tree
            .properties(target)
            .and_then(|p| p.anchor.clone())
            .unwrap_or_else(|| self.tree.span(target));
        let name = &self.text[self.tree.span(alias)];
        Error::new(
            Code::AliasedNode,
            format!("this cannot be changed here alone: `{name}` refers to it elsewhere"),
            anchor,
        )
        .with_label(self.tree.span(alias), "and this would change with it")
        .help("write the value out in one of the two places")
    }

    fn missing_path_error(&self, id: Option<NodeId>, rest: &[PathSegment]) -> Box<Error> {
        let at = id.map_or(0..0, |id| self.tree.span(id));
        let missing = rest.iter().fold(FieldPath::root(), |p, s| p.child(s.clone()));
        Error::new(Code::EditCheckFailed, format!("there is no place for `{missing}` here"), at)
            .help("this is a bug in pillion: please report it with this document")
    }

    fn splice(&mut self, range: Range<usize>, text: impl Into<Arc<str>>) {
        let text = text.into();
        if !(range.is_empty() && text.is_empty()) {
            self.splices.push(Splice { range, text });
        }
    }

    fn insert(&mut self, at: usize, text: impl Into<Arc<str>>) {
        self.splice(at..at, text);
    }

    /// Keeps the text of a block scalar without a final line end, now that lines follow it: its header says that
    /// the line end does not count.
    fn keep_last_scalar(&mut self) {
        let last = NodeId::try_from(self.tree.len()).ok().and_then(|n| n.checked_sub(1));
        let Some(id) = last.filter(|&id| self.tree.node(id).kind.is_block_scalar()) else { return };
        let header = self.tree.span(id).start;
        let is_ended = self.text.ends_with(['\n', '\r']);
        let follows = |s: &Splice| s.range.start >= self.tree.span(id).end && !s.text.is_empty();
        let is_replaced = |s: &Splice| s.range.start <= header && header < s.range.end;
        if is_ended || !self.splices.iter().any(follows) || self.splices.iter().any(is_replaced) {
            return;
        }
        let end = lines::line_end(self.text, header);
        let token = self.text[header..end].find([' ', '\t']).map_or(end, |i| header + i);
        let indicator = &self.text[header..token];
        // A text that ends a line is of `|+` with blanks alone below it: they stay behind what follows.
        let ends_line = self.tree.text(id, self.text).ends_with('\n');
        if !ends_line && !indicator.contains('-') {
            self.splice(header..token, format!("{}-", indicator.replace('+', "")));
        }
    }

    /// Puts a value into a document that has none.
    fn fill_empty(&mut self, new: &Value) {
        let text = super::emit(new);
        let break_before = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
        self.insert(self.text.len(), format!("{break_before}{text}"));
    }

    /// Returns the text with all splices made.
    fn apply_splices(self) -> String {
        let text = self.text;
        self.into_edits().apply(text)
    }

    /// Returns all splices in order, each without what another one has replaced already.
    fn into_edits(mut self) -> TextEdits {
        // Stable: what was found first stays first at the same place, and deeper nodes are found first.
        self.splices.sort_by_key(|s| s.range.start);
        let mut edits = TextEdits::default();
        let mut at = 0;
        for Splice { range, text } in self.splices {
            // What is in a range that is gone already is gone with it.
            let start = range.start.max(at);
            at = range.end.max(start);
            match self.line_end {
                "\n" => edits.push(start..at, text),
                line_end => edits.push(start..at, text.replace('\n', line_end)),
            }
        }
        edits
    }
}

/// Returns a value with another put at a path below it; `None` where the path leads past a list's end.
fn with_value_at(old: &Value, steps: &[PathSegment], new: &Value) -> Option<Value> {
    let Some((segment, rest)) = steps.split_first() else { return Some(new.clone()) };
    match (segment, old) {
        (PathSegment::Key(key), Value::Object(map)) => {
            let mut map = map.clone();
            let inner = with_value_at(map.get(key).unwrap_or(&Value::Null), rest, new)?;
            map.insert(key.clone(), inner);
            Some(Value::Object(map))
        }
        (PathSegment::Key(key), Value::Null) => {
            let inner = with_value_at(&Value::Null, rest, new)?;
            Some(Value::Object(Map::from_iter([(key.clone(), inner)])))
        }
        (PathSegment::Index(n), Value::Array(items)) if *n <= items.len() => {
            let mut items = items.clone();
            let inner = with_value_at(items.get(*n).unwrap_or(&Value::Null), rest, new)?;
            if *n == items.len() {
                items.push(inner)
            } else {
                items[*n] = inner
            }
            Some(Value::Array(items))
        }
        (PathSegment::Index(0), Value::Null) => {
            Some(Value::Array(vec![with_value_at(&Value::Null, rest, new)?]))
        }
        _ => None,
    }
}

fn has_lone_carriage_return(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'\r', bytes).any(|i| bytes.get(i + 1) != Some(&b'\n'))
}
