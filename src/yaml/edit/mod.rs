//! How does a text change so that a node means something else, and every other byte stays?
//!
//! The value of the node is compared with the one wanted. Equal parts are not touched; the rest becomes splices:
//! ranges of the text with what stands there instead.

mod align;
mod block;
mod flow;
mod lines;
mod replace;
mod style;
#[cfg(test)]
mod tests;

use super::emit::{Around, Flow, Style};
use super::syntax::Failure;
use super::tree::{Id, Kind, Tree};
use super::{Document, Path, Seg, check, reading, scalar, syntax};
use crate::diag::{Code, Diagnostic};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::ops::Range;

/// Why an edit is refused, or that it is done.
type Done = Result<(), Box<Failure>>;

impl Document {
    /// Returns the text in which the node at a path means `new`, as Kubernetes reads it; all other bytes stay.
    ///
    /// Mapping entries that are missing on the way are added, and so is the item behind the last one of a list.
    ///
    /// # Errors
    /// A diagnostic with both places when the node is shared by an alias, or when an independent parser reads
    /// something else in the new text than was meant.
    pub fn rewrite(&self, at: &Path, new: &Value) -> Result<String, Diagnostic> {
        self.edited(at, &canonical(new)).map_err(|f| f.diagnostic(&self.place()))
    }

    fn edited(&self, at: &Path, new: &Value) -> Result<String, Box<Failure>> {
        let mut editor = Editor::new(self);
        let target = editor.locate(at.steps(), new)?;
        if target.old == &*target.new {
            return Ok(self.text.to_string());
        }
        if lone_carriage_return(&self.text) {
            return Err(Failure::new(
                Code::InvalidYaml,
                "lines that end with a carriage return alone cannot be edited",
                0..1,
            )
            .help("convert the file to line feeds"));
        }
        match target.id.filter(|&id| target.depth > 0 || !self.tree.span(id).is_empty()) {
            Some(id) => editor.change(id, target.old, &target.new, target.slot)?,
            None => editor.fill_empty(&target.new),
        }
        editor.keep_last_scalar();
        let eol = editor.eol;
        let mut text = editor.spliced();
        let check = |text: &str| {
            let read = check::same(text, &self.value, &at.steps()[..target.depth], &target.new);
            read.and_then(|()| tabs_are_well(text))
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
                Err(Failure::new(
                    Code::EditCheckFailed,
                    format!("the edited text does not read as it should: {what}"),
                    at,
                )
                .note("nothing was written; this is a bug in pillion")
                .help("please report it with this document"))
            }
        }
    }
}

/// Kubernetes' reader takes fewer tabs than the parser that checks edits.
fn tabs_are_well(text: &str) -> Result<(), String> {
    if memchr::memchr(b'\t', text.as_bytes()).is_none() {
        return Ok(());
    }
    let read = Tree::read(text).and_then(|tree| syntax::older_rules(text, &tree));
    read.map_err(|_| "a tab ended up in the indentation".to_owned())
}

/// The deepest node on the way to a path that can be edited by itself, and what it is to mean.
struct Target<'a> {
    /// `None` where the document is empty.
    id: Option<Id>,
    /// Steps of the path that lead to it.
    depth: usize,
    old: &'a Value,
    new: Cow<'a, Value>,
    slot: Slot,
}

/// Where a node stands.
#[derive(Debug, Clone)]
struct Slot {
    /// The byte behind the key's `:` or the dash; the node's start where there is neither.
    head: usize,
    around: Stands,
}

/// What a node stands in.
#[derive(Debug, Clone)]
enum Stands {
    Block(Around),
    Flow(Flow),
}

/// A range of the text, and what stands there instead.
#[derive(Debug)]
struct Splice {
    range: Range<usize>,
    text: String,
}

/// Collects the splices of one edit.
struct Editor<'a> {
    text: &'a str,
    tree: &'a Tree,
    root: &'a Value,
    /// Anchored nodes with the aliases that stand for them, in order.
    aliases: Vec<(Id, Id)>,
    eol: &'static str,
    /// The document's block style, once somebody asks.
    seen: std::cell::OnceCell<style::Seen>,
    /// The lines below block scalars that keep their blank lines, once somebody asks.
    kept: std::cell::OnceCell<Vec<usize>>,
    splices: Vec<Splice>,
}

impl<'a> Editor<'a> {
    fn new(document: &'a Document) -> Self {
        let (text, tree) = (&*document.text, &document.tree);
        let ids = 0..Id::try_from(tree.len()).unwrap_or(Id::MAX);
        let mut aliases: Vec<(Id, Id)> = ids.filter_map(|id| Some((tree.target(id)?, id))).collect();
        aliases.sort_unstable();
        let eol = if text.find('\n').is_some_and(|i| text[..i].ends_with('\r')) { "\r\n" } else { "\n" };
        Self {
            text,
            tree,
            root: &document.value,
            aliases,
            eol,
            seen: std::cell::OnceCell::new(),
            kept: std::cell::OnceCell::new(),
            splices: Vec::new(),
        }
    }

    /// Walks a path as far as its nodes stand for themselves: not into aliases, nor to keys that `<<` brings.
    fn locate(&self, steps: &[Seg], new: &'a Value) -> Result<Target<'a>, Box<Failure>> {
        let (mut id, mut old, mut depth) = (self.tree.root(), self.root, 0);
        let mut slot = self.root_slot();
        while let (Some(here), Some(step)) = (id, steps.get(depth)) {
            let Some((value_id, value, value_slot)) = self.own_child(here, old, step, &slot) else { break };
            self.not_shared(here)?;
            (id, old, slot) = (Some(value_id), value, value_slot);
            depth += 1;
        }
        let rest = &steps[depth..];
        let new = if rest.is_empty() {
            Cow::Borrowed(new)
        } else {
            Cow::Owned(put(old, rest, new).ok_or_else(|| self.no_place(id, rest))?)
        };
        Ok(Target { id, depth, old, new, slot })
    }

    /// Returns the block style at a node.
    fn style(&self, near: Id) -> Style {
        self.seen
            .get_or_init(|| style::Seen::of_document(self.text, self.tree))
            .near(self.text, self.tree, near)
    }

    fn root_slot(&self) -> Slot {
        let root = self.tree.root();
        let around = match root.map(|r| self.tree.node(r).kind) {
            Some(Kind::FlowMap | Kind::FlowSeq) => {
                let root = root.unwrap_or_default();
                if style::is_json(self.text, self.tree, root) {
                    Stands::Flow(style::flow(self.text, self.tree, root))
                } else {
                    Stands::Block(Around::Root)
                }
            }
            _ => Stands::Block(Around::Root),
        };
        Slot { head: root.map_or(0, |r| self.tree.full_start(r)), around }
    }

    fn own_child(&self, id: Id, old: &'a Value, step: &Seg, slot: &Slot) -> Option<(Id, &'a Value, Slot)> {
        match (self.tree.node(id).kind, step) {
            (Kind::BlockMap | Kind::FlowMap, Seg::Key(name)) => {
                let value = old.get(name)?;
                let entry = self.own_entry(id, name)?;
                Some((entry.1, value, self.entry_slot(id, entry, slot)))
            }
            (Kind::BlockSeq | Kind::FlowSeq, Seg::Index(n)) => {
                let item = self.tree.children(id).nth(*n)?;
                Some((item, old.get(*n)?, self.item_slot(id, item, *n, slot)))
            }
            _ => None,
        }
    }

    /// Returns the entry of a mapping that decides about a key, where that is the mapping's own.
    fn own_entry(&self, map: Id, name: &str) -> Option<(Id, Id)> {
        let mut found = None;
        for (key, value) in self.tree.entries(map) {
            if reading::is_merge(self.text, self.tree, key) {
                // A later `<<` wins over a key, in Kubernetes' reading.
                found = found.filter(|_| !self.merge_has(value, name));
            } else if reading::key(self.text, self.tree, key).as_deref() == Some(name) {
                found = Some((key, value));
            }
        }
        found
    }

    /// Tells whether the value of a merge key brings a key.
    fn merge_has(&self, value: Id, name: &str) -> bool {
        let mut found = false;
        self.merged_keys(value, &mut |key| found |= key == name);
        found
    }

    /// Tells all keys that the value of a merge key brings.
    fn merged_keys(&self, value: Id, tell: &mut dyn FnMut(&str)) {
        for map in reading::merged(self.tree, value) {
            for (key, value) in self.tree.entries(map) {
                if reading::is_merge(self.text, self.tree, key) {
                    self.merged_keys(value, tell);
                } else if let Some(key) = reading::key(self.text, self.tree, key) {
                    tell(&key);
                }
            }
        }
    }

    /// Makes a node mean something else.
    fn change(&mut self, id: Id, old: &Value, new: &Value, slot: Slot) -> Done {
        if old == new {
            return Ok(());
        }
        self.not_shared(id)?;
        match (self.tree.node(id).kind, old, new) {
            (Kind::BlockMap, Value::Object(a), Value::Object(b)) if !b.is_empty() => {
                self.block_map(id, a, b, &slot)
            }
            (Kind::BlockSeq, Value::Array(a), Value::Array(b)) if !b.is_empty() => {
                self.block_seq(id, a, b, &slot)
            }
            (Kind::FlowMap, Value::Object(a), Value::Object(b)) if !a.is_empty() && !b.is_empty() => {
                self.flow_map(id, a, b, &slot)
            }
            (Kind::FlowSeq, Value::Array(a), Value::Array(b)) if !a.is_empty() && !b.is_empty() => {
                self.flow_seq(id, a, b, &slot)
            }
            _ => self.replace(id, new, &slot),
        }
    }

    /// Returns the aliases that stand for nodes in a range.
    fn aliases_into(&self, nodes: Range<Id>) -> &[(Id, Id)] {
        let from = self.aliases.partition_point(|(target, _)| *target < nodes.start);
        let to = self.aliases.partition_point(|(target, _)| *target < nodes.end);
        &self.aliases[from..to.max(from)]
    }

    /// Refuses to change a node that an alias stands for as well.
    fn not_shared(&self, id: Id) -> Done {
        match self.aliases_into(id..id + 1).first() {
            Some(&(_, alias)) => Err(self.shared(id, alias)),
            None => Ok(()),
        }
    }

    /// Refuses to take away a node when an alias elsewhere stands for it or something in it.
    fn not_needed(&self, id: Id) -> Done {
        let inside = id..self.tree.node(id).next;
        match self.aliases_into(inside.clone()).iter().find(|(_, alias)| !inside.contains(alias)) {
            Some(&(target, alias)) => Err(self.shared(target, alias)),
            None => Ok(()),
        }
    }

    fn shared(&self, target: Id, alias: Id) -> Box<Failure> {
        let anchor =
            self.tree.props(target).and_then(|p| p.anchor.clone()).unwrap_or_else(|| self.tree.span(target));
        let name = &self.text[self.tree.span(alias)];
        Failure::new(
            Code::SharedNode,
            format!("this cannot be changed here alone: `{name}` stands for it elsewhere"),
            anchor,
        )
        .and(self.tree.span(alias), "and this would change with it")
        .help("write the value out in one of the two places")
    }

    fn no_place(&self, id: Option<Id>, rest: &[Seg]) -> Box<Failure> {
        let at = id.map_or(0..0, |id| self.tree.span(id));
        let missing = rest.iter().fold(Path::root(), |p, s| p.then(s.clone()));
        Failure::new(Code::EditCheckFailed, format!("there is no place for `{missing}` here"), at)
            .help("this is a bug in pillion: please report it with this document")
    }

    fn splice(&mut self, range: Range<usize>, text: impl Into<String>) {
        let text = text.into();
        if !(range.is_empty() && text.is_empty()) {
            self.splices.push(Splice { range, text });
        }
    }

    fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.splice(at..at, text);
    }

    /// Keeps the text of a block scalar whose last line had no end, where lines now follow it: its header says that
    /// the line end does not count.
    fn keep_last_scalar(&mut self) {
        let last = Id::try_from(self.tree.len()).ok().and_then(|n| n.checked_sub(1));
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
    fn spliced(mut self) -> String {
        // Stable: what was found first stays first at the same place, and deeper nodes are found first.
        self.splices.sort_by_key(|s| s.range.start);
        let more: usize = self.splices.iter().map(|s| s.text.len()).sum();
        let mut out = String::with_capacity(self.text.len() + more + more / 8);
        let mut at = 0;
        for splice in &self.splices {
            // What lies in a range that is gone already is gone with it.
            let start = splice.range.start.max(at);
            out.push_str(&self.text[at..start]);
            if self.eol == "\n" {
                out.push_str(&splice.text)
            } else {
                out.push_str(&splice.text.replace('\n', self.eol))
            }
            at = splice.range.end.max(start);
        }
        out.push_str(&self.text[at..]);
        out
    }
}

/// Returns a value with another put at a path below it; `None` where the path leads past a list's end.
fn put(old: &Value, steps: &[Seg], new: &Value) -> Option<Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(new.clone()) };
    match (step, old) {
        (Seg::Key(key), Value::Object(map)) => {
            let mut map = map.clone();
            let inner = put(map.get(key).unwrap_or(&Value::Null), rest, new)?;
            map.insert(key.clone(), inner);
            Some(Value::Object(map))
        }
        (Seg::Key(key), Value::Null) => {
            let inner = put(&Value::Null, rest, new)?;
            Some(Value::Object(Map::from_iter([(key.clone(), inner)])))
        }
        (Seg::Index(n), Value::Array(items)) if *n <= items.len() => {
            let mut items = items.clone();
            let inner = put(items.get(*n).unwrap_or(&Value::Null), rest, new)?;
            if *n == items.len() {
                items.push(inner)
            } else {
                items[*n] = inner
            }
            Some(Value::Array(items))
        }
        (Seg::Index(0), Value::Null) => Some(Value::Array(vec![put(&Value::Null, rest, new)?])),
        _ => None,
    }
}

/// Returns a value with its numbers written as Kubernetes' reading writes them.
fn canonical(value: &Value) -> Cow<'_, Value> {
    if has_odd_number(value) { Cow::Owned(with_canonical_numbers(value)) } else { Cow::Borrowed(value) }
}

fn has_odd_number(value: &Value) -> bool {
    match value {
        Value::Number(n) => canonical_number(n).is_some(),
        Value::Array(items) => items.iter().any(has_odd_number),
        Value::Object(map) => map.values().any(has_odd_number),
        _ => false,
    }
}

fn with_canonical_numbers(value: &Value) -> Value {
    match value {
        Value::Number(n) => Value::Number(canonical_number(n).unwrap_or_else(|| n.clone())),
        Value::Array(items) => items.iter().map(with_canonical_numbers).collect(),
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), with_canonical_numbers(v))).collect(),
        other => other.clone(),
    }
}

/// Returns another form of a number, where it is not in the one that reading makes.
fn canonical_number(number: &Number) -> Option<Number> {
    let text = number.as_str();
    if text.len() < 18 && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0') {
        return None;
    }
    match scalar::value(scalar::plain(text), text) {
        Some(Value::Number(n)) if n != *number => Some(n),
        _ => None,
    }
}

fn lone_carriage_return(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'\r', bytes).any(|i| bytes.get(i + 1) != Some(&b'\n'))
}
