//! A value put in the place of another one, whatever the two are.

use super::lines::{column, end_with_comments, is_first, line_end, line_start, next_line};
use super::{Done, Editor, Slot, Stands};
use crate::yaml::emit::{self, Around, Flow, Parts, Style};
use crate::yaml::scalar::Tag;
use crate::yaml::tree::{Id, Kind};
use serde_json::Value;

impl Editor<'_> {
    /// Puts a value in the place of a node, in the node's style as far as that goes.
    pub(super) fn replace(&mut self, id: Id, new: &Value, slot: &Slot) -> Done {
        self.not_needed(id)?;
        match &slot.around {
            Stands::Flow(flow) => self.replace_in_flow(id, new, flow, slot.head),
            Stands::Block(around) => self.replace_in_block(id, new, *around, slot.head),
        }
        Ok(())
    }

    /// Returns the first byte that a replacement takes away: a tag that does not fit the new value goes too.
    fn taken_from(&self, id: Id, new: &Value) -> usize {
        let is_scalar = self.tree.node(id).next == id + 1 && !is_collection(self.tree.node(id).kind);
        let fits = match self.tree.tag(id) {
            None => true,
            Some(Tag::Str | Tag::Other | Tag::NonSpecific) if is_scalar => new.is_string(),
            Some(_) => !is_scalar && (new.is_array() || new.is_object()),
        };
        if fits { self.tree.span(id).start } else { self.tree.full_start(id) }
    }

    fn replace_in_flow(&mut self, id: Id, new: &Value, flow: &Flow, head: usize) {
        let span = self.tree.span(id);
        // Text on one line needs no indentation, and its line may be as long as a file.
        let line = if flow.unit.is_some() { line_start(self.text, span.start) } else { span.start };
        let indent = &self.text[line..];
        let indent = &indent[..indent.len() - indent.trim_start_matches([' ', '\t']).len()];
        let from = self.taken_from(id, new);
        let text = match new {
            Value::String(s) if !flow.json => self.same_quotes(id, s, true),
            _ => emit::flow_below(new, flow, indent),
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
    fn same_quotes(&self, id: Id, text: &str, in_flow: bool) -> String {
        match self.tree.node(id).kind {
            Kind::Single => emit::single_quoted(text).unwrap_or_else(|| emit::quoted(text)),
            Kind::Double => emit::quoted(text),
            _ => emit::string(text, in_flow, false),
        }
    }

    fn replace_in_block(&mut self, id: Id, new: &Value, around: Around, head: usize) {
        let kind = self.tree.node(id).kind;
        let span = self.tree.span(id);
        let from = self.taken_from(id, new);
        let on_own_lines = is_block_collection(kind) && line_start(self.text, span.start) > head;
        let mut style = self.style_for(id, new, around, from);
        style.literal = !self.comments_come(head, span.clone(), around, on_own_lines);
        let mut parts = emit::parts(new, around, style);
        if let Value::String(text) = new
            && parts.below.is_empty()
        {
            parts.inline = self.same_quotes(id, text, false);
        }
        // Behind `- ` a collection starts on the same line, if nothing else is there.
        let has_props = from > self.tree.full_start(id);
        let commented = !is_block_collection(kind)
            && !self.text[span.end..line_end(self.text, span.end)].trim().is_empty();
        if let Around::Dash(at) = around
            && is_nonempty_collection(new)
            && (has_props || on_own_lines || commented)
        {
            let below = Style { step: style.gap, dashes: style.gap, ..style };
            parts = emit::parts(new, Around::Key(at), below);
        }
        if from == span.end {
            self.fill(span.end, head, around, parts);
        } else if on_own_lines {
            self.replace_lines(span, from, head, parts);
        } else if kind.is_block_scalar() {
            self.replace_block_scalar(from..span.end, parts);
        } else {
            self.replace_inline(from..span.end, head, parts);
        }
    }

    /// Tells whether comments stand where the lines of a block scalar would come, or right below.
    fn comments_come(
        &self,
        head: usize,
        span: std::ops::Range<usize>,
        around: Around,
        on_own_lines: bool,
    ) -> bool {
        let column = match around {
            Around::Root => return true,
            Around::Key(column) | Around::Dash(column) => column,
        };
        let between = on_own_lines && next_line(self.text, head) != line_start(self.text, span.start);
        between || end_with_comments(self.text, span.end, column, false) != line_end(self.text, span.end)
    }

    /// Returns the layout for a value in the place of a node: at the node's own column, where both are of a kind.
    fn style_for(&self, id: Id, new: &Value, around: Around, from: usize) -> Style {
        let mut style = self.style(id);
        let own = column(self.text, self.tree.span(id).start);
        match (around, self.tree.node(id).kind, new) {
            (Around::Key(key), Kind::BlockMap, Value::Object(_)) if own > key => style.step = own - key,
            (Around::Key(key), Kind::BlockSeq, Value::Array(_)) if own >= key => style.dashes = own - key,
            // What shares the line of the dash starts where the node did.
            (Around::Dash(_), ..) if from == self.tree.span(id).end => style.gap = 2,
            (Around::Dash(dash), ..) if column(self.text, from) > dash + 1 => {
                style.gap = column(self.text, from) - dash;
            }
            _ => {}
        }
        style
    }

    /// Puts a value where nothing is written.
    fn fill(&mut self, at: usize, head: usize, around: Around, parts: Parts) {
        let space = if parts.inline.is_empty() { "" } else { " " };
        if let Around::Key(column) = around
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

    /// Replaces a block collection that stands on lines of its own.
    fn replace_lines(&mut self, span: std::ops::Range<usize>, from: usize, head: usize, parts: Parts) {
        let lines = line_start(self.text, span.start)..line_end(self.text, span.end);
        let behind = self.props_end(span.start, head);
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
    fn props_end(&self, start: usize, head: usize) -> usize {
        let line = &self.text[head..line_end(self.text, head).min(start)];
        let comment =
            if line.starts_with('#') { Some(0) } else { line.find(" #").or_else(|| line.find("\t#")) };
        head + line[..comment.unwrap_or(line.len())].trim_end().len()
    }

    /// Replaces a block scalar: its header where it stands, and the lines of its content.
    fn replace_block_scalar(&mut self, range: std::ops::Range<usize>, parts: Parts) {
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
    fn replace_inline(&mut self, range: std::ops::Range<usize>, head: usize, parts: Parts) {
        let end = line_end(self.text, range.end);
        if !parts.inline.is_empty() {
            self.splice(range, parts.inline);
        } else if line_start(self.text, range.start) > head
            && is_first(self.text, range.start)
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

fn is_collection(kind: Kind) -> bool {
    kind.is_map() || kind.is_seq()
}

fn is_block_collection(kind: Kind) -> bool {
    matches!(kind, Kind::BlockMap | Kind::BlockSeq)
}

fn is_nonempty_collection(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}
