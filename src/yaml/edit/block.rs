//! Adds, removes and changes entries of block mappings and items of block lists.

use super::align::{AlignStep, align_items};
use super::lines::{
    column, end_with_comments, is_first_on_line, line_end, line_start, next_line, skip_blank,
    start_with_comments,
};
use super::{EditResult, NodeEditor, NodeSlot, SlotContext};
use crate::diagnostics::Code;
use crate::yaml::emit::{self, ValueContext};
use crate::yaml::shared_value::NewItems;
use crate::yaml::syntax::Error;
use crate::yaml::tree::{NodeId, NodeKind};
use crate::yaml::value;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::Range;

/// The own entries of a block or flow mapping, in the order of the text.
pub(super) struct MapEntry {
    /// The first byte: of `? `, of the key's anchor, or of the key.
    pub(super) start: usize,
    pub(super) key: NodeId,
    pub(super) value: NodeId,
    /// `None` for `<<`.
    pub(super) name: Option<String>,
}

impl NodeEditor<'_> {
    /// Returns the entries of a mapping.
    pub(super) fn map_entries(&self, map: NodeId) -> Vec<MapEntry> {
        let mut from = self.tree.full_start(map).max(self.tree.span(map).start);
        from += usize::from(self.tree.node(map).kind == NodeKind::FlowMapping);
        let mut entries = Vec::new();
        for (key, value) in self.tree.entries(map) {
            let start = self.skip_commas(from).min(self.tree.full_start(key));
            let merge = value::is_merge(self.text, self.tree, key);
            let name = if merge {
                None
            } else {
                value::key_text(self.text, self.tree, key).map(std::borrow::Cow::into_owned)
            };
            entries.push(MapEntry { start, key, value, name });
            from = self.entry_end(key, value);
        }
        entries
    }

    fn skip_commas(&self, from: usize) -> usize {
        let at = skip_blank(self.text, from);
        if self.text[at..].starts_with(',') { skip_blank(self.text, at + 1) } else { at }
    }

    /// Returns the end of an entry: of its value, or of its key where there is not a value.
    pub(super) fn entry_end(&self, key: NodeId, value: NodeId) -> usize {
        let properties = self.tree.properties(value).and_then(|p| p.span()).map_or(0, |s| s.end);
        self.tree.span(value).end.max(self.tree.span(key).end).max(properties)
    }

    /// Returns where a value of a mapping is.
    pub(super) fn entry_slot(
        &self,
        map: NodeId,
        (key, value): (NodeId, NodeId),
        slot: &NodeSlot,
    ) -> NodeSlot {
        let from = self.tree.span(key).end;
        let written = !self.tree.span(value).is_empty() || self.tree.properties(value).is_some();
        let head = match find_colon(self.text, from) {
            Some(colon) if written => colon + 1,
            _ => self.tree.span(value).start,
        };
        let around = match (&slot.context, self.tree.node(map).kind) {
            (_, NodeKind::BlockMapping) => {
                SlotContext::Block(ValueContext::Key(column(self.text, self.tree.span(map).start)))
            }
            (SlotContext::Flow(flow), _) => SlotContext::Flow(flow.clone()),
            (SlotContext::Block(_), _) => {
                SlotContext::Flow(super::style::flow_style(self.text, self.tree, map))
            }
        };
        NodeSlot { value_start: head, context: around }
    }

    /// Returns where an item of a list is.
    pub(super) fn item_slot(&self, list: NodeId, item: NodeId, index: usize, slot: &NodeSlot) -> NodeSlot {
        if self.tree.node(list).kind == NodeKind::BlockSequence {
            let previous = index.checked_sub(1).and_then(|p| self.tree.children(list).nth(p));
            let dash = self.find_dash(list, previous);
            return NodeSlot {
                value_start: dash + 1,
                context: SlotContext::Block(ValueContext::Dash(column(self.text, dash))),
            };
        }
        let around = match &slot.context {
            SlotContext::Flow(flow) => SlotContext::Flow(flow.clone()),
            SlotContext::Block(_) => SlotContext::Flow(super::style::flow_style(self.text, self.tree, list)),
        };
        NodeSlot { value_start: self.tree.full_start(item), context: around }
    }

    /// Returns the dash of the item behind another one.
    fn find_dash(&self, list: NodeId, previous: Option<NodeId>) -> usize {
        match previous {
            None => self.tree.span(list).start,
            Some(item) => skip_blank(self.text, self.item_end(item)),
        }
    }

    fn item_end(&self, item: NodeId) -> usize {
        let properties = self.tree.properties(item).and_then(|p| p.span()).map_or(0, |s| s.end);
        self.tree.span(item).end.max(properties)
    }

    /// Changes a block mapping entry by entry, adds what is new at its end, and removes what is gone.
    pub(super) fn edit_block_map(
        &mut self,
        map: NodeId,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        slot: &NodeSlot,
    ) -> EditResult {
        let entries = self.map_entries(map);
        let plan = self.plan_map(&entries, old, new)?;
        let Some(last) = plan.changes.iter().rposition(|f| !matches!(f, EntryChange::Remove)) else {
            return self.replace(map, &Value::Object(new.clone()), slot);
        };
        let at = column(self.text, self.tree.span(map).start);
        self.change_entries(map, &entries, &plan, slot)?;
        let units: Vec<Range<usize>> =
            entries.iter().map(|e| e.start..self.entry_end(e.key, e.value)).collect();
        let removed: Vec<bool> = plan.changes.iter().map(|f| matches!(f, EntryChange::Remove)).collect();
        self.remove_units(&units, &removed, at, false);
        let style = self.style(map);
        let added: String =
            plan.added.iter().map(|(key, value)| emit::entry_lines(key, value, at, style)).collect();
        self.insert(end_with_comments(self.text, units[last].end, at, false), added);
        Ok(())
    }

    /// Changes the values of the entries that stay with another one.
    pub(super) fn change_entries(
        &mut self,
        map: NodeId,
        entries: &[MapEntry],
        plan: &MapPlan<'_>,
        slot: &NodeSlot,
    ) -> EditResult {
        for (entry, fate) in entries.iter().zip(&plan.changes) {
            if let EntryChange::Change(old, new) = fate {
                let slot = self.entry_slot(map, (entry.key, entry.value), slot);
                self.edit_node(entry.value, old, new, slot)?;
            }
        }
        Ok(())
    }

    /// Decides what becomes of each entry.
    pub(super) fn plan_map<'v>(
        &self,
        entries: &[MapEntry],
        old: &'v Map<String, Value>,
        new: &'v Map<String, Value>,
    ) -> Result<MapPlan<'v>, Box<Error>> {
        let mut plan = MapPlan { changes: Vec::with_capacity(entries.len()), added: Vec::new() };
        // What `<<` adds below each entry, and where each key is last.
        let mut merged: BTreeMap<String, usize> = BTreeMap::new();
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for (i, entry) in entries.iter().enumerate() {
            match &entry.name {
                Some(name) => _ = last.insert(name, i),
                None => {
                    self.visit_merged_keys(entry.value, &mut |name| _ = merged.insert(name.to_owned(), i))
                }
            }
        }
        let over = |name: &str| merged.get(name).map(|&i| &entries[i]);
        for (i, entry) in entries.iter().enumerate() {
            let Some(name) = entry.name.as_deref() else {
                plan.changes.push(EntryChange::Keep);
                continue;
            };
            let fate = match (old.get(name), new.get(name)) {
                (Some(a), Some(b)) if a == b => EntryChange::Keep,
                // Of duplicate keys, the last one counts; a later `<<` wins over a key, in Kubernetes' reading.
                (Some(_), Some(_)) if last.get(name) != Some(&i) => EntryChange::Keep,
                (Some(a), Some(b)) => match over(name).filter(|m| m.start > entry.start) {
                    Some(merge) => return Err(self.merge_override_error(entry.key, merge.value)),
                    None => EntryChange::Change(a, b),
                },
                _ => match over(name) {
                    Some(merge) => return Err(self.merge_override_error(entry.key, merge.value)),
                    None => {
                        self.check_not_aliased(entry.key)?;
                        self.check_not_aliased(entry.value)?;
                        EntryChange::Remove
                    }
                },
            };
            plan.changes.push(fate);
        }
        plan.added =
            new.iter().filter(|(k, v)| !last.contains_key(k.as_str()) && old.get(*k) != Some(v)).collect();
        // What only `<<` adds cannot be removed here.
        let lost = old.keys().find(|k| !new.contains_key(*k) && !last.contains_key(k.as_str()));
        match lost.and_then(|k| over(k)) {
            Some(merge) => Err(self.merge_override_error(merge.key, merge.value)),
            None => Ok(plan),
        }
    }

    fn merge_override_error(&self, key: NodeId, merge: NodeId) -> Box<Error> {
        let message = "this cannot be changed here alone: `<<` brings the key as well";
        Error::new(Code::AliasedNode, message, self.tree.span(key))
            .with_label(self.tree.span(merge), "it is merged from here")
            .help("write the mapping out without `<<`")
    }

    /// Changes a block list item by item.
    pub(super) fn edit_block_sequence(
        &mut self,
        list: NodeId,
        old: &[Value],
        new: &[Value],
        slot: &NodeSlot,
    ) -> EditResult {
        let steps = align_items(old, new);
        if !steps.iter().any(|s| matches!(s, AlignStep::Keep(..))) {
            return self.replace(list, &Value::Array(new.to_vec()), slot);
        }
        self.edit_items(list, &steps, old, NewItems::Values(new))
    }

    /// Changes a block list in known steps, of which one keeps an item.
    pub(super) fn edit_items(
        &mut self,
        list: NodeId,
        steps: &[AlignStep],
        old: &[Value],
        new: NewItems<'_>,
    ) -> EditResult {
        let items: Vec<NodeId> = self.tree.children(list).collect();
        let first = self.tree.span(list).start;
        let at = column(self.text, first);
        let mut style = self.style(list);
        style.gap = super::style::dash_gap(self.text, self.tree, list).unwrap_or(style.gap);
        let mut dashes = Vec::with_capacity(items.len());
        let mut from = first;
        for &item in &items {
            from = skip_blank(self.text, from);
            dashes.push(from);
            from = self.item_end(item).max(from + 1);
        }
        let units: Vec<Range<usize>> =
            items.iter().zip(&dashes).map(|(&i, &d)| d..self.item_end(i).max(d + 1)).collect();
        let mut removed = vec![false; items.len()];
        // New items go behind the last old one that stays before them.
        let (mut stayed, mut front) = (None, String::new());
        for &alignment in steps {
            match alignment {
                AlignStep::Keep(i, j) if std::ptr::eq(&old[i], new.value(j)) => stayed = Some(i),
                AlignStep::Keep(i, j) => {
                    let slot = NodeSlot {
                        value_start: dashes[i] + 1,
                        context: SlotContext::Block(ValueContext::Dash(at)),
                    };
                    self.edit_node(items[i], &old[i], new.value(j), slot)?;
                    stayed = Some(i);
                }
                AlignStep::Remove(i) => {
                    self.check_not_aliased(items[i])?;
                    removed[i] = true;
                }
                AlignStep::Insert(j) => {
                    let text = new.lines(j, at, style);
                    match stayed {
                        None => front.push_str(&text),
                        Some(i) => self.insert(end_with_comments(self.text, units[i].end, at, true), text),
                    }
                }
            }
        }
        self.insert_front(first, at, &front);
        self.remove_units(&units, &removed, at, true);
        Ok(())
    }

    /// Puts items before the first one of a list: above its comments, or behind a dash or key it shares a line with.
    fn insert_front(&mut self, first: usize, at: usize, text: &str) {
        let Some(lines) = text.strip_prefix('\n') else { return };
        if is_first_on_line(self.text, first) {
            let start = start_with_comments(self.text, line_start(self.text, first), at);
            let range = self.whole_lines(start..start);
            if range.start < start {
                self.insert(range.start, text)
            } else {
                self.insert(start, format!("{lines}\n"))
            }
        } else {
            self.insert(first, format!("{}\n{}", lines.get(at..).unwrap_or_default(), " ".repeat(at)));
        }
    }

    /// Removes entries or items with their lines and the comments that are their own; at least one must stay.
    ///
    /// Comments deeper than a unit, behind and below it, go with it. Comments right above it at its column go too,
    /// but not those above the first one of a collection, which may speak for all of it.
    fn remove_units(&mut self, units: &[Range<usize>], removed: &[bool], at: usize, is_list: bool) {
        let mut next = 0;
        if removed.first() == Some(&true) && !is_first_on_line(self.text, units[0].start) {
            // The first one shares its line with a dash: what comes next moves up, or the dash stays alone.
            next = removed.iter().position(|g| !g).unwrap_or(removed.len());
            let own_end = line_end(self.text, units[next - 1].end);
            let stays = units.get(next).map_or(own_end, |u| u.start);
            let moves_up = self.text[own_end..stays].trim().is_empty();
            self.splice(units[0].start..if moves_up { stays } else { own_end }, "");
        }
        let mut run: Option<Range<usize>> = None;
        for i in (next..units.len()).filter(|&i| removed[i]) {
            let line = line_start(self.text, units[i].start);
            let from = match i.checked_sub(1) {
                None => line,
                Some(before) => {
                    let least = end_with_comments(self.text, units[before].end, at, is_list);
                    start_with_comments(self.text, line, at).max(next_line(self.text, least))
                }
            };
            let end = end_with_comments(self.text, units[i].end, at, false);
            match &mut run {
                Some(lines) if from <= next_line(self.text, lines.end) => lines.end = end,
                _ => {
                    self.remove_lines(run.take());
                    run = Some(from..end);
                }
            }
        }
        self.remove_lines(run);
    }

    fn remove_lines(&mut self, lines: Option<Range<usize>>) {
        let Some(mut lines) = lines else { return };
        if self.keeps_blank_lines(lines.start) {
            // The blank lines below would become content of the `|+` above.
            while lines.end < self.text.len() {
                let next = next_line(self.text, lines.end);
                let end = line_end(self.text, next);
                if next == lines.end || next == self.text.len() || !self.text[next..end].trim().is_empty() {
                    break;
                }
                lines.end = end;
            }
            if next_line(self.text, lines.end) == self.text.len() && !self.text.ends_with('\n') {
                self.splice(lines.start..self.text.len(), "");
                return;
            }
        }
        let range = self.whole_lines(lines);
        self.splice(range, "");
    }

    /// Returns whether a line is right below a block scalar that keeps the blank lines at its end.
    fn keeps_blank_lines(&self, line: usize) -> bool {
        let ends = self.layout.kept_blank_lines.get_or_init(|| {
            let ids = 0..NodeId::try_from(self.tree.len()).unwrap_or(NodeId::MAX);
            let keeps = |id: &NodeId| {
                let node = self.tree.node(*id);
                node.kind.is_block_scalar() && {
                    let start = node.start as usize;
                    let header = &self.text[start..line_end(self.text, start)];
                    header.split('#').next().is_some_and(|h| h.contains('+'))
                }
            };
            ids.filter(keeps).map(|id| next_line(self.text, self.tree.span(id).end)).collect()
        });
        ends.binary_search(&line).is_ok()
    }

    /// Returns lines with the line break before them; at the start of the text, where there is none, with the one behind.
    ///
    /// What is put behind a line is before its line break, and so is not hindered when the next lines go.
    pub(super) fn whole_lines(&self, lines: Range<usize>) -> Range<usize> {
        if lines.start > 0 && self.text.as_bytes()[lines.start - 1] == b'\n' {
            line_end(self.text, line_start(self.text, lines.start - 1))..line_end(self.text, lines.end)
        } else {
            lines.start..next_line(self.text, lines.end)
        }
    }
}

/// Finds the `:` of a key that ends at a byte.
pub(super) fn find_colon(text: &str, from: usize) -> Option<usize> {
    let at = skip_blank(text, from);
    text[at..].starts_with(':').then_some(at)
}

/// What becomes of an entry.
pub(super) enum EntryChange<'v> {
    Keep,
    Remove,
    Change(&'v Value, &'v Value),
}

/// What becomes of a mapping.
pub(super) struct MapPlan<'v> {
    pub(super) changes: Vec<EntryChange<'v>>,
    pub(super) added: Vec<(&'v String, &'v Value)>,
}
