//! Edits of a list of objects in one step: of items each by itself, of what is in the list, and of an entry beside it.

use super::align::AlignStep;
use super::{DocumentLayout, NodeEditor, NodeSlot, SlotContext, Splice};
use crate::diagnostics::Diagnostic;
use crate::yaml::canonical_numbers::has_noncanonical_number;
use crate::yaml::emit::ValueContext;
use crate::yaml::expected_value::{PartChange, PartContent};
use crate::yaml::shared_value::{ListItem, NewItems};
use crate::yaml::tree::{NodeId, NodeKind};
use crate::yaml::{Document, FieldPath, verify};
use serde_json::Value;
use std::sync::Arc;

/// What becomes of the list below a key of a document, and of an entry beside it.
#[derive(Debug)]
pub(crate) struct ListChange {
    /// The key of the list.
    pub(crate) key: &'static str,
    /// What becomes of each of its items.
    pub(crate) items: Vec<ItemChange>,
    /// Items that are put behind them.
    pub(crate) added: Vec<Value>,
    /// A key beside the list with its new value.
    pub(crate) entry: Option<(&'static str, Value)>,
}

/// What becomes of an item.
#[derive(Debug)]
pub(crate) enum ItemChange {
    /// It stays as it is.
    Keep,
    /// It is taken out.
    Remove,
    /// It gets another value, perhaps by these splices.
    Change(Value, Option<ItemSplices>),
}

/// The splices that make a change of an item.
#[derive(Debug)]
pub(crate) struct ItemSplices(Vec<Splice>);

impl ListChange {
    /// Returns the change that leaves the list of a document as it is.
    pub(crate) fn unchanged(document: &Document, key: &'static str) -> Self {
        let items = list_items(document, key).iter().map(|_| ItemChange::Keep).collect();
        Self { key, items, added: Vec::new(), entry: None }
    }

    /// Returns the values of the new list; `old` has those of the old one.
    pub(crate) fn values<'v>(&'v self, old: &'v [Value]) -> impl Iterator<Item = &'v Value> {
        let kept = self.items.iter().zip(old).filter_map(|(change, old)| match change {
            ItemChange::Keep => Some(old),
            ItemChange::Remove => None,
            ItemChange::Change(new, _) => Some(new),
        });
        kept.chain(&self.added)
    }

    /// Returns whether the list gets more or fewer items.
    fn moves_items(&self) -> bool {
        !self.added.is_empty() || self.items.iter().any(|change| matches!(change, ItemChange::Remove))
    }
}

/// The list below a key of a document, for changes of its items that are made one by one.
pub(crate) struct ListEditor<'d> {
    document: &'d Document,
    root: (NodeId, NodeSlot),
    list: NodeId,
    /// The items of the list: their nodes and their values.
    nodes: Vec<NodeId>,
    values: &'d [Value],
    slot: NodeSlot,
    layout: Arc<DocumentLayout>,
}

impl<'d> ListEditor<'d> {
    /// Looks at a document; `None` where only [`Document::rewrite`] can edit it.
    pub(crate) fn new(document: &'d Document, key: &str) -> Option<Self> {
        let editor = NodeEditor::new(document);
        let (root, slot) = (document.tree.root()?, editor.root_slot());
        let (list, value, _) = editor.find_own_child(root, &document.value, &key.into(), &slot)?;
        let is_block = |id, kind| document.tree.node(id).kind == kind;
        if !editor.is_plain()
            || !is_block(root, NodeKind::BlockMapping)
            || !is_block(list, NodeKind::BlockSequence)
        {
            return None;
        }
        let column = super::lines::column(&document.text, document.tree.span(list).start);
        let nodes: Vec<NodeId> = document.tree.children(list).collect();
        let values = value.as_array().filter(|values| values.len() == nodes.len())?;
        Some(Self {
            document,
            root: (root, slot),
            list,
            nodes,
            values,
            slot: NodeSlot {
                value_start: document.tree.span(list).start,
                context: SlotContext::Block(ValueContext::Dash(column)),
            },
            layout: editor.layout,
        })
    }

    /// Makes the changes below the node at a path of an item; `None` where they do more than adding to block collections.
    pub(crate) fn change_parts(
        &self,
        item: usize,
        at: &FieldPath,
        parts: &[PartChange<'_>],
    ) -> Option<ItemSplices> {
        let mut editor = self.node_editor();
        let from = (*self.nodes.get(item)?, self.values.get(item)?, self.slot.clone());
        editor.change_parts(from, at, parts)?;
        Some(ItemSplices(editor.splices))
    }

    fn node_editor(&self) -> NodeEditor<'d> {
        let Document { text, tree, value: root, .. } = self.document;
        let layout = Arc::clone(&self.layout);
        NodeEditor { text, tree, root, aliases: Vec::new(), line_end: "\n", layout, splices: Vec::new() }
    }

    /// Returns the text with a change; `None` where no old item stays or new ones come, or the text is not certainly the
    /// intended one.
    fn rewrite(self, change: &ListChange) -> Option<String> {
        let mut editor = self.node_editor();
        let (mut steps, mut edited, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (change, old)) in change.items.iter().zip(self.values).enumerate() {
            let (by_value, new) = match change {
                ItemChange::Remove => {
                    steps.push(AlignStep::Remove(i));
                    continue;
                }
                ItemChange::Keep => (old, old),
                ItemChange::Change(new, Some(ItemSplices(splices))) => {
                    editor.splices.extend(splices.iter().cloned());
                    (old, new)
                }
                ItemChange::Change(new, None) => (new, new),
            };
            steps.push(AlignStep::Keep(i, edited.len()));
            edited.push(ListItem::Kept(by_value));
            wanted.push(ListItem::Kept(new));
        }
        if edited.is_empty() || !change.added.is_empty() || change.items.len() != self.values.len() {
            return None;
        }
        editor.edit_items(self.list, &steps, self.values, NewItems::Items(&edited)).ok()?;
        let mut parts = vec![PartChange { keys: ["", change.key], content: PartContent::Items(wanted) }];
        if let Some((key, new)) = &change.entry {
            let entry = PartChange { keys: ["", key], content: PartContent::Value(new.clone()) };
            editor
                .add_parts((self.root.0, &self.document.value, self.root.1), std::slice::from_ref(&entry))?;
            parts.push(entry);
        }
        let text = editor.apply_splices();
        verify::certainly_has_entries(&text, &self.document.value, &parts).then_some(text)
    }
}

impl Document {
    /// Returns the text with a change of a list: at once where that is certain, else step by step.
    ///
    /// # Errors
    /// As [`Document::rewrite`].
    pub(crate) fn rewrite_list(&self, change: &ListChange) -> Result<String, Diagnostic> {
        // Splices are made of canonical numbers only, and new items are left to the steps.
        let values = change.items.iter().filter_map(|change| match change {
            ItemChange::Change(new, None) => Some(new),
            ItemChange::Change(_, Some(_)) | ItemChange::Keep | ItemChange::Remove => None,
        });
        let is_canonical =
            !values.chain(change.entry.as_ref().map(|(_, value)| value)).any(has_noncanonical_number);
        let editor = is_canonical.then(|| ListEditor::new(self, change.key)).flatten();
        match editor.and_then(|editor| editor.rewrite(change)) {
            Some(text) => {
                debug_assert_eq!(self.rewrite_list_in_steps(change).as_ref(), Ok(&text));
                Ok(text)
            }
            None => self.rewrite_list_in_steps(change),
        }
    }

    /// Changes items in a step, then what is in the list, so that each item that stays is known by its unchanged value and
    /// keeps its text, and then the entry beside it.
    fn rewrite_list_in_steps(&self, change: &ListChange) -> Result<String, Diagnostic> {
        let at = FieldPath::root().child(change.key);
        let old = list_items(self, change.key);
        let mut steps = Vec::new();
        if change.items.iter().any(|change| matches!(change, ItemChange::Change(..))) {
            let value = |(change, old): (&ItemChange, &Value)| match change {
                ItemChange::Change(new, _) => new.clone(),
                ItemChange::Keep | ItemChange::Remove => old.clone(),
            };
            steps.push((at.clone(), change.items.iter().zip(old).map(value).collect()));
        }
        if change.moves_items() {
            steps.push((at, change.values(old).cloned().collect()));
        }
        if let Some((key, value)) = &change.entry {
            steps.push((FieldPath::root().child(*key), value.clone()));
        }
        let (mut text, mut read): (Option<String>, _) = (None, None);
        for (at, new) in &steps {
            if let Some(text) = &text {
                read = Some(Self::read(&self.file, self.index, self.first_line, text)?);
            }
            text = Some(read.as_ref().unwrap_or(self).rewrite(at, new)?);
        }
        Ok(text.unwrap_or_else(|| self.text.to_string()))
    }
}

fn list_items<'d>(document: &'d Document, key: &str) -> &'d [Value] {
    document.value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LIST: &str = "\
# a list
kind: ResourceList
items: # of four
# the first
- kind: Deployment # one
  metadata: {name: a}
  spec:
    containers:
    - name: app
    # below a
# above b
-
  kind: Deployment
  metadata:
    name: b
  spec:
    containers:
    - name: app
      args: |
        text

    volumes: []
  # below b

- kind: ConfigMap
  metadata: {name: c}
  data: {key: text}
# above d
- kind: Deployment
  metadata:
    name: d
  spec: {containers: [{name: app}]}
# the end
functionConfig:
  kind: Sidecars
";

    /// Returns the change of an item that adds a container.
    fn add_container(document: &Document, item: usize) -> ItemChange {
        let old = &document.value()["items"][item];
        let added = json!({"name": "agent"});
        let mut new = old.clone();
        if let Some(containers) = new["spec"]["containers"].as_array_mut() {
            containers.push(added.clone());
        } else {
            new["data"]["more"] = json!("text");
            return ItemChange::Change(new, None);
        }
        let containers = old["spec"]["containers"].as_array().unwrap();
        let kept = containers.iter().map(ListItem::Kept);
        let content = PartContent::Items(kept.chain([ListItem::New(added)]).collect());
        let part = PartChange { keys: ["spec", "containers"], content };
        let editor = ListEditor::new(document, "items").unwrap();
        ItemChange::Change(new, editor.change_parts(item, &FieldPath::root(), &[part]))
    }

    #[test]
    fn one_step_writes_what_several_do() {
        let document = Document::read(&"f.yaml".into(), 0, 1, LIST).unwrap();
        let mut splices = 0;
        for choice in 0..2 * 3_usize.pow(4) {
            let item = |i: usize| match choice / 2 / 3_usize.pow(u32::try_from(i).unwrap()) % 3 {
                0 => ItemChange::Keep,
                1 => ItemChange::Remove,
                _ => add_container(&document, i),
            };
            let change = ListChange {
                key: "items",
                items: (0..4).map(item).collect(),
                added: Vec::new(),
                entry: (choice % 2 == 1).then(|| ("results", json!([{"message": "a"}]))),
            };
            let is_spliced = |item: &&ItemChange| matches!(item, ItemChange::Change(_, Some(_)));
            splices += change.items.iter().filter(is_spliced).count();
            let at_once = ListEditor::new(&document, "items").unwrap().rewrite(&change);
            let keeps_one = change.items.iter().any(|item| !matches!(item, ItemChange::Remove));
            assert_eq!(at_once.is_some(), keeps_one, "{change:?}");
            let in_steps = document.rewrite_list_in_steps(&change).unwrap();
            assert_eq!(at_once.unwrap_or(in_steps.clone()), in_steps, "{change:?}");
        }
        assert!(splices > 0);
    }
}
