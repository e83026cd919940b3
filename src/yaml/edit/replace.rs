//! Replaces a value by another one of any kind.

use super::lines::{column, end_with_comments, is_first_on_line, line_end, line_start, next_line};
use super::{EditResult, NodeEditor, NodeSlot, SlotContext};
use crate::yaml::emit::{self, BlockStyle, FlowStyle, ValueContext, ValueText};
use crate::yaml::scalar::ScalarTag;
use crate::yaml::tree::{NodeId, NodeKind};
use serde_json::Value;

impl NodeEditor<'_> {
    /// Puts a value in the place of a node, in the node's style as far as that goes.
    pub(super) fn replace(&mut self, id: NodeId, new: &Value, slot: &NodeSlot) -> EditResult {
        self.check_not_aliased(id)?;
        match &slot.context {
            SlotContext::Flow(flow) => self.replace_in_flow(id, new, flow, slot.value_start),
            SlotContext::Block(around) => self.replace_in_block(id, new, *around, slot.value_start),
        }
        Ok(())
    }

    /// Returns the first byte that a replacement removes: a tag that does not fit the new value goes too.
    fn replaced_start(&self, id: NodeId, new: &Value) -> usize {
        let is_scalar = self.tree.node(id).next == id + 1 && !is_collection(self.tree.node(id).kind);
        let fits = match self.tree.tag(id) {
            None => true,
            Some(ScalarTag::Str | ScalarTag::Other | ScalarTag::NonSpecific) if is_scalar => new.is_string(),
            Some(_) => !is_scalar && (new.is_array() || new.is_object()),
        };
        if fits { self.tree.span(id).start } else { self.tree.full_start(id) }
    }

    fn replace_in_flow(&mut self, id: NodeId, new: &Value, flow: &FlowStyle, head: usize) {
        let span = self.tree.span(id);
        // Text on one line needs no indentation, and its line may be as long as a file.
        let line = if flow.unit.is_some() { line_start(self.text, span.start) } else { span.start };
        let indent = &self.text[line..];
        let indent = &indent[..indent.len() - indent.trim_start_matches([' ', '\t']).len()];
        let from = self.replaced_start(id, new);
        let text = match new {
            Value::String(s) if !flow.json => self.keep_quotes(id, s, true),
            _ => emit::indented_flow(new, flow, indent),
        };
        if from < span.end {
            self.splice(from..span.end, text);
        } else if self.text[..head].ends_with(':') || head < span.start {
            self.insert(span.end, format!(" {text}"));
        } else {
            self.insert(span.end, format!(": {text}"));
        }
    }

    /// Returns a string on one line, in the quotes that a node has.
    fn keep_quotes(&self, id: NodeId, text: &str, in_flow: bool) -> String {
        match self.tree.node(id).kind {
            NodeKind::SingleQuoted => emit::single_quoted(text).unwrap_or_else(|| emit::quoted(text)),
            NodeKind::DoubleQuoted => emit::quoted(text),
            _ => emit::scalar_text(text, in_flow, false),
        }
    }

    fn replace_in_block(&mut self, id: NodeId, new: &Value, around: ValueContext, head: usize) {
        let kind = self.tree.node(id).kind;
        let span = self.tree.span(id);
        let from = self.replaced_start(id, new);
        let on_own_lines = is_block_collection(kind) && line_start(self.text, span.start) > head;
        let mut style = self.style_for(id, new, around, from);
        style.literal = !self.has_comments_below(head, span.clone(), around, on_own_lines);
        let mut parts = emit::block_text(new, around, style);
        if let Value::String(text) = new
            && parts.below.is_empty()
        {
            parts.inline = self.keep_quotes(id, text, false);
        }
        // Behind `- ` a collection starts on the same line, if nothing else is there.
        let has_props = from > self.tree.full_start(id);
        let commented = !is_block_collection(kind)
            && !self.text[span.end..line_end(self.text, span.end)].trim().is_empty();
        if let ValueContext::Dash(at) = around
            && is_nonempty_collection(new)
            && (has_props || on_own_lines || commented)
        {
            let below = BlockStyle { step: style.gap, dashes: style.gap, ..style };
            parts = emit::block_text(new, ValueContext::Key(at), below);
        }
        if from == span.end {
            self.insert_value(span.end, head, around, parts);
        } else if on_own_lines {
            self.replace_lines(span, from, head, parts);
        } else if kind.is_block_scalar() {
            self.replace_block_scalar(from..span.end, parts);
        } else {
            self.replace_inline(from..span.end, head, parts);
        }
    }

    /// Returns whether comments stand where the lines of a block scalar would come, or right below.
    fn has_comments_below(
        &self,
        head: usize,
        span: std::ops::Range<usize>,
        around: ValueContext,
        on_own_lines: bool,
    ) -> bool {
        let column = match around {
            ValueContext::Root => return true,
            ValueContext::Key(column) | ValueContext::Dash(column) => column,
        };
        let between = on_own_lines && next_line(self.text, head) != line_start(self.text, span.start);
        between || end_with_comments(self.text, span.end, column, false) != line_end(self.text, span.end)
    }

    /// Returns the layout for a value in the place of a node: at the node's own column, where both are of a kind.
    fn style_for(&self, id: NodeId, new: &Value, around: ValueContext, from: usize) -> BlockStyle {
        let mut style = self.style(id);
        let own = column(self.text, self.tree.span(id).start);
        match (around, self.tree.node(id).kind, new) {
            (ValueContext::Key(key), NodeKind::BlockMapping, Value::Object(_)) if own > key => {
                style.step = own - key
            }
            (ValueContext::Key(key), NodeKind::BlockSequence, Value::Array(_)) if own >= key => {
                style.dashes = own - key
            }
            // What shares the line of the dash starts where the node did.
            (ValueContext::Dash(_), ..) if from == self.tree.span(id).end => style.gap = 2,
            (ValueContext::Dash(dash), ..) if column(self.text, from) > dash + 1 => {
                style.gap = column(self.text, from) - dash;
            }
            _ => {}
        }
        style
    }

    /// Puts a value where nothing is written.
    fn insert_value(&mut self, at: usize, head: usize, around: ValueContext, parts: ValueText) {
        let space = if parts.inline.is_empty() { "" } else { " " };
        if let ValueContext::Key(column) = around
            && !self.text[..head].ends_with(':')
        {
            // A `? key` without its `:`.
            let indent = " ".repeat(column);
            self.insert(
                line_end(self.text, head),
                format!("\n{indent}:{space}{}{}", parts.inline, parts.below),
            );
            return;
        }
        self.insert(at, format!("{space}{}", parts.inline));
        self.insert(line_end(self.text, at), parts.below);
    }

    /// Replaces a block collection that is on lines of its own.
    fn replace_lines(&mut self, span: std::ops::Range<usize>, from: usize, head: usize, parts: ValueText) {
        let lines = line_start(self.text, span.start)..line_end(self.text, span.end);
        let behind = self.properties_end(span.start, head);
        let behind = if from < span.start {
            // A tag that does not fit goes.
            self.splice(head..behind, "");
            head
        } else {
            behind
        };
        if parts.inline.is_empty() {
            self.splice(lines, parts.below.strip_prefix('\n').unwrap_or(&parts.below).to_owned());
            return;
        }
        self.insert(behind, format!(" {}", parts.inline));
        if parts.below.is_empty() {
            let range = self.whole_lines(lines);
            self.splice(range, "");
        } else {
            self.splice(lines, parts.below.strip_prefix('\n').unwrap_or(&parts.below).to_owned());
        }
    }

    /// Returns where the anchor and tag end that stand between a key or dash and a collection.
    fn properties_end(&self, start: usize, head: usize) -> usize {
        let line = &self.text[head..line_end(self.text, head).min(start)];
        let comment =
            if line.starts_with('#') { Some(0) } else { line.find(" #").or_else(|| line.find("\t#")) };
        head + line[..comment.unwrap_or(line.len())].trim_end().len()
    }

    /// Replaces a block scalar: its header where it is, and the lines of its content.
    fn replace_block_scalar(&mut self, range: std::ops::Range<usize>, parts: ValueText) {
        let header =
            self.text[range.start..range.end].find(['|', '>']).map_or(range.start, |i| range.start + i);
        let header_line = line_end(self.text, header);
        let token = self.text[header..header_line].find([' ', '\t']).map_or(header_line, |i| header + i);
        let start = if parts.inline.is_empty() {
            self.text[..range.start].trim_end_matches([' ', '\t']).len()
        } else {
            range.start
        };
        self.splice(start..token, parts.inline);
        self.splice(header_line..range.end.max(header_line), parts.below);
    }

    /// Replaces what starts on the line of its key or dash, or a scalar or flow collection on its own line.
    fn replace_inline(&mut self, range: std::ops::Range<usize>, head: usize, parts: ValueText) {
        let end = line_end(self.text, range.end);
        if !parts.inline.is_empty() {
            self.splice(range, parts.inline);
        } else if line_start(self.text, range.start) > head
            && is_first_on_line(self.text, range.start)
            && self.text[range.end..end].trim().is_empty()
        {
            let lines = self.whole_lines(line_start(self.text, range.start)..end);
            self.splice(lines, parts.below);
            return;
        } else {
            let blank = self.text[head..range.start].trim_end_matches([' ', '\t']).len();
            // Kubernetes' reader takes no tab behind a dash.
            let rest = &self.text[range.end..end];
            let tabs = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            let (tabs, space) = if rest[..tabs].contains('\t') { (tabs, " ") } else { (0, "") };
            self.splice(head + blank..range.end + tabs, space);
        }
        self.insert(end, parts.below);
    }
}

fn is_collection(kind: NodeKind) -> bool {
    kind.is_mapping() || kind.is_sequence()
}

fn is_block_collection(kind: NodeKind) -> bool {
    matches!(kind, NodeKind::BlockMapping | NodeKind::BlockSequence)
}

fn is_nonempty_collection(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}
