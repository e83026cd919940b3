//! Adds, removes and changes entries and items in flow style and JSON.

use super::align::{AlignStep, align_items};
use super::block::EntryChange;
use super::lines::{is_first_on_line, is_last_on_line, line_end, line_start, skip_blank};
use super::{EditResult, NodeEditor, NodeSlot, SlotContext};
use crate::yaml::emit::{self, FlowStyle};
use crate::yaml::tree::NodeId;
use serde_json::{Map, Value};
use std::ops::Range;

/// What becomes of the items or entries of a flow collection.
#[derive(Default)]
struct FlowUnits {
    ranges: Vec<Range<usize>>,
    is_removed: Vec<bool>,
    /// New text, each with the number of the old unit that it goes behind; `None` at the front.
    added: Vec<(Option<usize>, String)>,
}

impl NodeEditor<'_> {
    /// Changes a flow mapping entry by entry.
    pub(super) fn edit_flow_map(
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
        self.change_entries(map, &entries, &plan, slot)?;
        let mut units = FlowUnits {
            ranges: entries.iter().map(|e| e.start..self.entry_end(e.key, e.value)).collect(),
            is_removed: plan.changes.iter().map(|f| matches!(f, EntryChange::Remove)).collect(),
            added: Vec::new(),
        };
        let (flow, indent) = self.flow_layout(map, slot, &units.ranges);
        for (key, value) in plan.added {
            let key = if flow.json { emit::quoted(key) } else { emit::scalar_text(key, true, true) };
            let value = emit::indented_flow(value, &flow, &indent);
            units.added.push((Some(last), format!("{key}{}{value}", flow.colon)));
        }
        self.splice_units(map, &units, &flow);
        Ok(())
    }

    /// Changes a flow list item by item.
    pub(super) fn edit_flow_sequence(
        &mut self,
        list: NodeId,
        old: &[Value],
        new: &[Value],
        slot: &NodeSlot,
    ) -> EditResult {
        let items: Vec<NodeId> = self.tree.children(list).collect();
        let ranges: Vec<Range<usize>> =
            items.iter().map(|&i| self.tree.full_start(i)..self.tree.span(i).end).collect();
        let (flow, indent) = self.flow_layout(list, slot, &ranges);
        let mut units = FlowUnits { is_removed: vec![false; items.len()], ranges, added: Vec::new() };
        let (mut stayed, mut removed): (Option<usize>, Vec<usize>) = (None, Vec::new());
        for alignment in align_items(old, new) {
            match alignment {
                AlignStep::Keep(i, j) => {
                    removed.clear();
                    let slot = self.item_slot(list, items[i], i, slot);
                    self.edit_node(items[i], &old[i], &new[j], slot)?;
                    stayed = Some(i);
                }
                AlignStep::Remove(i) => {
                    self.check_not_aliased(items[i])?;
                    units.is_removed[i] = true;
                    removed.push(i);
                }
                // A new item takes the place of one that goes, so that the commas stay.
                AlignStep::Insert(j) if !removed.is_empty() => {
                    let i = removed.remove(0);
                    units.is_removed[i] = false;
                    let slot = self.item_slot(list, items[i], i, slot);
                    self.replace(items[i], &new[j], &slot)?;
                    stayed = Some(i);
                }
                AlignStep::Insert(j) => {
                    units.added.push((stayed, emit::indented_flow(&new[j], &flow, &indent)))
                }
            }
        }
        self.splice_units(list, &units, &flow);
        Ok(())
    }

    /// Returns how a flow collection is written, and the indentation of its items where they are on separate lines.
    fn flow_layout(&self, id: NodeId, slot: &NodeSlot, units: &[Range<usize>]) -> (FlowStyle, String) {
        let mut flow = match &slot.context {
            SlotContext::Flow(flow) => flow.clone(),
            SlotContext::Block(_) => super::style::flow_style(self.text, self.tree, id),
        };
        if !self.is_multi_line(id, units) {
            flow.unit = None;
            return (flow, String::new());
        }
        let start = units.first().map_or(0, |u| u.start);
        (flow, self.text[line_start(self.text, start)..start].to_owned())
    }

    /// Returns whether the units of a collection are on separate lines.
    fn is_multi_line(&self, id: NodeId, units: &[Range<usize>]) -> bool {
        let close = self.tree.span(id).end.saturating_sub(1);
        let (Some(first), Some(last)) = (units.first(), units.last()) else { return false };
        is_first_on_line(self.text, first.start) && self.text[last.end.min(close)..close].contains('\n')
    }

    fn splice_units(&mut self, id: NodeId, units: &FlowUnits, flow: &FlowStyle) {
        let is_multi_line = self.is_multi_line(id, &units.ranges);
        self.remove_flow_units(units, is_multi_line);
        let front: Vec<&String> = units.added.iter().filter(|(at, _)| at.is_none()).map(|(_, t)| t).collect();
        if let (Some(first), false) = (units.ranges.first(), front.is_empty()) {
            if is_multi_line {
                let line = line_start(self.text, first.start);
                let indent = &self.text[line..first.start];
                let text: String = front.iter().map(|t| format!("{indent}{t},\n")).collect();
                self.insert(line, text);
            } else {
                let text: String = front.iter().map(|t| format!("{t}{}", flow.comma)).collect();
                self.insert(first.start, text);
            }
        }
        let mut rest = units.added.iter().filter_map(|(at, text)| at.map(|at| (at, text))).peekable();
        while let Some((at, text)) = rest.next() {
            let mut texts = vec![text];
            while let Some((_, text)) = rest.next_if(|(next, _)| *next == at) {
                texts.push(text);
            }
            self.insert_after(units, at, &texts, is_multi_line, flow);
        }
    }

    /// Returns the comma behind a unit.
    fn comma_after(&self, unit: &Range<usize>) -> Option<usize> {
        let at = skip_blank(self.text, unit.end);
        self.text[at..].starts_with(',').then_some(at)
    }

    fn insert_after(
        &mut self,
        units: &FlowUnits,
        at: usize,
        texts: &[&String],
        is_multi_line: bool,
        flow: &FlowStyle,
    ) {
        let unit = &units.ranges[at];
        let comma = self.comma_after(unit);
        let behind = comma.map_or(unit.end, |c| c + 1);
        let same_line = !self.text[unit.end..behind].contains('\n');
        if is_multi_line && same_line && is_last_on_line(self.text, behind) {
            let indent = &self.text[line_start(self.text, units.ranges[0].start)..units.ranges[0].start];
            if comma.is_none() {
                self.insert(unit.end, ",");
            }
            // Where all behind goes, the last comma is that of the last one that went.
            let all_gone = units.is_removed[at + 1..].iter().all(|g| *g);
            let last = if all_gone { units.ranges.last().and_then(|u| self.comma_after(u)) } else { comma };
            let mut text: String = texts.iter().map(|t| format!("\n{indent}{t},")).collect();
            if last.is_none() {
                text.pop();
            }
            self.insert(line_end(self.text, behind), text);
            return;
        }
        // A key without a value ends in its `:`, which a comma must not touch.
        let text: String = texts.iter().map(|t| format!("{}{t}", flow.comma)).collect();
        if self.text[..unit.end].ends_with(':') {
            let blank = self.text[unit.end..].len() - self.text[unit.end..].trim_start_matches(' ').len();
            self.insert(unit.end + blank, if blank == 0 { format!(" {text}") } else { text });
        } else {
            self.insert(unit.end, text);
        }
    }

    fn remove_flow_units(&mut self, units: &FlowUnits, is_multi_line: bool) {
        let count = units.ranges.len();
        let mut i = 0;
        while i < count {
            if !units.is_removed[i] {
                i += 1;
                continue;
            }
            let end = (i..count).find(|&n| !units.is_removed[n]).unwrap_or(count);
            let last = &units.ranges[end - 1];
            let behind = self.comma_after(last).map_or(last.end, |c| c + 1);
            let own_lines = is_multi_line
                && is_first_on_line(self.text, units.ranges[i].start)
                && is_last_on_line(self.text, behind);
            if own_lines {
                let lines = self
                    .whole_lines(line_start(self.text, units.ranges[i].start)..line_end(self.text, behind));
                self.splice(lines, "");
                let keeps_comma = self.comma_after(last).is_some()
                    || units.added.iter().any(|(at, _)| at.is_some_and(|a| a + 1 == i));
                if end == count
                    && !keeps_comma
                    && let Some(comma) = i.checked_sub(1).and_then(|p| self.comma_after(&units.ranges[p]))
                {
                    self.splice(comma..comma + 1, "");
                }
            } else if let Some(next) = units.ranges.get(end) {
                self.splice(units.ranges[i].start..next.start, "");
            } else if let Some(before) = i.checked_sub(1) {
                self.splice(units.ranges[before].end..last.end, "");
            }
            i = end;
        }
    }
}
