//! Edits that only add to some places of a value: what stays is not copied, compared or aligned.

use super::align::AlignStep;
use super::lines::{column, end_with_comments};
use super::{NodeEditor, NodeSlot};
use crate::yaml::canonical_numbers::has_noncanonical_number;
use crate::yaml::expected_value::{PartChange, PartContent};
use crate::yaml::shared_value::{ListItem, NewItems};
use crate::yaml::text_edits::TextEdits;
use crate::yaml::tree::{NodeId, NodeKind};
use crate::yaml::{Document, FieldPath, emit, verify};
use serde_json::Value;
use std::cell::RefCell;

thread_local! {
    /// The text that is checked: one after the other in the same memory.
    static EDITED_TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

impl PartContent<'_> {
    /// Returns whether it is a list or mapping without content.
    fn is_empty(&self) -> bool {
        match self {
            Self::Items(items) => items.is_empty(),
            Self::Value(Value::Object(entries)) => entries.is_empty(),
            Self::Value(value) => value.is_null(),
        }
    }

    fn has_noncanonical_number(&self) -> bool {
        match self {
            Self::Items(items) => items.iter().any(ListItem::has_noncanonical_number),
            Self::Value(value) => has_noncanonical_number(value),
        }
    }
}

impl Document {
    /// Returns the edits of the text that make the changes below a node; `None` where they do more than adding items and
    /// entries to block collections, or where the edited text is not certainly the intended one: then
    /// [`Document::rewrite`] decides.
    pub(crate) fn edit_parts(&self, at: &FieldPath, parts: &[PartChange<'_>]) -> Option<TextEdits> {
        let mut editor = NodeEditor::new(self);
        if !editor.is_plain() {
            return None;
        }
        let root = (self.tree.root()?, &self.value, editor.root_slot());
        editor.change_parts(root, at, parts)?;
        let edits = editor.into_edits();
        let is_certain = EDITED_TEXT.with_borrow_mut(|text| {
            text.clear();
            edits.append_to(text, &self.text);
            verify::certainly_has_parts(text, &self.value, at.segments(), parts)
        });
        is_certain.then_some(edits)
    }
}

impl<'a> NodeEditor<'a> {
    /// Returns whether the document has neither aliases nor carriage returns, and ends with a line end.
    pub(super) fn is_plain(&self) -> bool {
        self.aliases.is_empty()
            && self.text.ends_with('\n')
            && memchr::memchr(b'\r', self.text.as_bytes()).is_none()
    }

    /// Makes the changes below the node at a path from another node.
    pub(super) fn change_parts(
        &mut self,
        from: (NodeId, &'a Value, NodeSlot),
        at: &FieldPath,
        parts: &[PartChange<'_>],
    ) -> Option<()> {
        if parts.iter().any(|p| p.content.is_empty() || p.content.has_noncanonical_number()) {
            return None;
        }
        let mut node = from;
        for step in at.segments() {
            node = self.find_own_child(node.0, node.1, step, &node.2)?;
        }
        for of_parent in parts.chunk_by(|a, b| a.keys[0] == b.keys[0]) {
            let parent = self.find_own_child(node.0, node.1, &of_parent[0].keys[0].into(), &node.2)?;
            self.add_parts(parent, of_parent)?;
        }
        Some(())
    }

    /// Makes the changes below one mapping.
    pub(super) fn add_parts(
        &mut self,
        (map, old, slot): (NodeId, &'a Value, NodeSlot),
        parts: &[PartChange<'_>],
    ) -> Option<()> {
        let old = old.as_object()?;
        let (last_key, last_value) = self.tree.entries(map).last()?;
        if self.tree.node(map).kind != NodeKind::BlockMapping {
            return None;
        }
        let (at, style) = (column(self.text, self.tree.span(map).start), self.style(map));
        let mut added = String::new();
        for PartChange { keys: [_, key], content } in parts {
            let Some(old) = old.get(*key) else {
                match content {
                    PartContent::Items(items) => {
                        added.push_str(&emit::key_line(key, at));
                        let lines = items.iter().map(|item| item.lines(at + style.dashes, style));
                        lines.for_each(|lines| added.push_str(&lines));
                    }
                    PartContent::Value(new) => added.push_str(&emit::entry_lines(key, new, at, style)),
                }
                continue;
            };
            let entry = self.find_own_entry(map, key)?;
            let slot = self.entry_slot(map, entry, &slot);
            match content {
                PartContent::Items(items) => self.insert_items(entry.1, old.as_array()?, items)?,
                PartContent::Value(new) => self.edit_node(entry.1, old, new, slot).ok()?,
            }
        }
        let end = self.entry_end(last_key, last_value);
        self.insert(end_with_comments(self.text, end, at, false), added);
        Some(())
    }

    /// Adds the items of a block list that are not in it.
    fn insert_items(&mut self, list: NodeId, old: &[Value], new: &[ListItem<'_>]) -> Option<()> {
        let mut kept = 0;
        let mut steps = Vec::with_capacity(new.len());
        for (j, item) in new.iter().enumerate() {
            steps.push(match item {
                ListItem::Shared(_) | ListItem::New(_) => AlignStep::Insert(j),
                ListItem::Kept(item) => {
                    old.get(kept).filter(|old| std::ptr::eq(*old, *item))?;
                    kept += 1;
                    AlignStep::Keep(kept - 1, j)
                }
            });
        }
        let is_addition =
            kept > 0 && kept == old.len() && self.tree.node(list).kind == NodeKind::BlockSequence;
        if !is_addition {
            return None;
        }
        self.edit_items(list, &steps, old, NewItems::Items(new)).ok()
    }
}
