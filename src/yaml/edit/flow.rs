//! Mappings and lists in flow style, and JSON: entries and items added, removed and changed.

use super::align::{Step, align};
use super::block::Fate;
use super::lines::{is_first, is_last, line_end, line_start, skip_blank};
use super::{Done, Editor, Slot, Stands};
use crate::yaml::emit::{self, Flow};
use crate::yaml::tree::Id;
use serde_json::{Map, Value};
use std::ops::Range;

/// What becomes of the items or entries of a flow collection.
#[derive(Default)]
struct Units {
    ranges: Vec<Range<usize>>,
    gone: Vec<bool>,
    /// New text, each with the number of the old unit that it goes behind; `None` at the front.
    added: Vec<(Option<usize>, String)>,
}

impl Editor<'_> {
    /// Changes a flow mapping entry by entry.
    pub(super) fn flow_map(
        &mut self,
        map: Id,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        slot: &Slot,
    ) -> Done {
        let entries = self.list_entries(map);
        let plan = self.plan_map(&entries, old, new)?;
        let Some(last) = plan.fates.iter().rposition(|f| !matches!(f, Fate::Goes)) else {
            return self.replace(map, &Value::Object(new.clone()), slot);
        };
        self.change_entries(map, &entries, &plan, slot)?;
        let mut units = Units {
            ranges: entries.iter().map(|e| e.start..self.entry_end(e.key, e.value)).collect(),
            gone: plan.fates.iter().map(|f| matches!(f, Fate::Goes)).collect(),
            added: Vec::new(),
        };
        let (flow, indent) = self.flow_of(map, slot, &units.ranges);
        for (key, value) in plan.added {
            let key = if flow.json { emit::quoted(key) } else { emit::string(key, true, true) };
            let value = emit::flow_below(value, &flow, &indent);
            units.added.push((Some(last), format!("{key}{}{value}", flow.colon)));
        }
        self.write_units(map, &units, &flow);
        Ok(())
    }

    /// Changes a flow list item by item.
    pub(super) fn flow_seq(&mut self, list: Id, old: &[Value], new: &[Value], slot: &Slot) -> Done {
        let items: Vec<Id> = self.tree.children(list).collect();
        let ranges: Vec<Range<usize>> =
            items.iter().map(|&i| self.tree.full_start(i)..self.tree.span(i).end).collect();
        let (flow, indent) = self.flow_of(list, slot, &ranges);
        let mut units = Units { gone: vec![false; items.len()], ranges, added: Vec::new() };
        let (mut stayed, mut removed): (Option<usize>, Vec<usize>) = (None, Vec::new());
        for step in align(old, new) {
            match step {
                Step::Keep(i, j) => {
                    removed.clear();
                    let slot = self.item_slot(list, items[i], i, slot);
                    self.change(items[i], &old[i], &new[j], slot)?;
                    stayed = Some(i);
                }
                Step::Remove(i) => {
                    self.not_needed(items[i])?;
                    units.gone[i] = true;
                    removed.push(i);
                }
                // A new item takes the place of one that goes, so that the commas stay.
                Step::Insert(j) if !removed.is_empty() => {
                    let i = removed.remove(0);
                    units.gone[i] = false;
                    let slot = self.item_slot(list, items[i], i, slot);
                    self.replace(items[i], &new[j], &slot)?;
                    stayed = Some(i);
                }
                Step::Insert(j) => units.added.push((stayed, emit::flow_below(&new[j], &flow, &indent))),
            }
        }
        self.write_units(list, &units, &flow);
        Ok(())
    }

    /// Returns how a flow collection is written, and the indentation of its items where they stand on own lines.
    fn flow_of(&self, id: Id, slot: &Slot, units: &[Range<usize>]) -> (Flow, String) {
        let mut flow = match &slot.around {
            Stands::Flow(flow) => flow.clone(),
            Stands::Block(_) => super::style::flow(self.text, self.tree, id),
        };
        if !self.is_lined(id, units) {
            flow.unit = None;
            return (flow, String::new());
        }
        let start = units.first().map_or(0, |u| u.start);
        (flow, self.text[line_start(self.text, start)..start].to_owned())
    }

    /// Tells whether the units of a collection stand on lines of their own.
    fn is_lined(&self, id: Id, units: &[Range<usize>]) -> bool {
        let close = self.tree.span(id).end.saturating_sub(1);
        let (Some(first), Some(last)) = (units.first(), units.last()) else { return false };
        is_first(self.text, first.start) && self.text[last.end.min(close)..close].contains('\n')
    }

    fn write_units(&mut self, id: Id, units: &Units, flow: &Flow) {
        let lined = self.is_lined(id, &units.ranges);
        self.remove_flow_units(units, lined);
        let front: Vec<&String> = units.added.iter().filter(|(at, _)| at.is_none()).map(|(_, t)| t).collect();
        if let (Some(first), false) = (units.ranges.first(), front.is_empty()) {
            if lined {
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
            self.add_behind(units, at, &texts, lined, flow);
        }
    }

    /// Returns the comma behind a unit.
    fn comma(&self, unit: &Range<usize>) -> Option<usize> {
        let at = skip_blank(self.text, unit.end);
        self.text[at..].starts_with(',').then_some(at)
    }

    fn add_behind(&mut self, units: &Units, at: usize, texts: &[&String], lined: bool, flow: &Flow) {
        let unit = &units.ranges[at];
        let comma = self.comma(unit);
        let behind = comma.map_or(unit.end, |c| c + 1);
        let same_line = !self.text[unit.end..behind].contains('\n');
        if lined && same_line && is_last(self.text, behind) {
            let indent = &self.text[line_start(self.text, units.ranges[0].start)..units.ranges[0].start];
            if comma.is_none() {
                self.insert(unit.end, ",");
            }
            // Where all behind goes, the last comma is that of the last one that went.
            let all_gone = units.gone[at + 1..].iter().all(|g| *g);
            let last = if all_gone { units.ranges.last().and_then(|u| self.comma(u)) } else { comma };
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

    fn remove_flow_units(&mut self, units: &Units, lined: bool) {
        let count = units.ranges.len();
        let mut i = 0;
        while i < count {
            if !units.gone[i] {
                i += 1;
                continue;
            }
            let end = (i..count).find(|&n| !units.gone[n]).unwrap_or(count);
            let last = &units.ranges[end - 1];
            let behind = self.comma(last).map_or(last.end, |c| c + 1);
            let own_lines = lined && is_first(self.text, units.ranges[i].start) && is_last(self.text, behind);
            if own_lines {
                let lines = self
                    .whole_lines(line_start(self.text, units.ranges[i].start)..line_end(self.text, behind));
                self.splice(lines, "");
                let keeps_comma = self.comma(last).is_some()
                    || units.added.iter().any(|(at, _)| at.is_some_and(|a| a + 1 == i));
                if end == count
                    && !keeps_comma
                    && let Some(comma) = i.checked_sub(1).and_then(|p| self.comma(&units.ranges[p]))
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
