//! What does a tree mean? Its JSON value as Kubernetes reads it: aliases, merge keys, doubled keys.

use super::scalar::{self, Key, Meaning, Tag};
use super::syntax::Failure;
use super::tree::{Id, Kind, MAX_DEPTH, Tree};
use crate::diag::Code;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Doubled keys that are reported in one document.
const MAX_DUPLICATES: usize = 20;

/// Bytes of text that aliases may repeat.
const MAX_REPEATED: usize = 64 << 20;

/// What a document means.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) value: Value,
    /// Keys that stand twice in one mapping: the first place and the second.
    pub(super) duplicates: Vec<(Id, Id)>,
}

/// Reads the value of a document.
pub(super) fn read(text: &str, tree: &Tree) -> Result<Reading, Box<Failure>> {
    let Some(root) = tree.root() else { return Ok(Reading::default()) };
    // Kubernetes counts the document itself as well.
    let mut reader =
        Reader { text, tree, nodes: 1, through_aliases: 0, repeated: 0, aliases: 0, duplicates: Vec::new() };
    let value = reader.value(root, 0)?;
    Ok(Reading { value, duplicates: reader.duplicates })
}

/// Returns the key that a scalar node is in JSON; `None` where the node cannot be a key.
pub(super) fn key<'a>(text: &'a str, tree: &'a Tree, id: Id) -> Option<Cow<'a, str>> {
    let id = tree.target(id).unwrap_or(id);
    let node = tree.node(id);
    if node.kind.is_map() || node.kind.is_seq() {
        return None;
    }
    let written = tree.text(id, text);
    match scalar::key(meaning(text, tree, id).ok()?)? {
        Key::AsWritten => Some(Cow::Borrowed(written)),
        Key::Made(made) => Some(Cow::Owned(made)),
    }
}

/// Tells whether a key is `<<`, and so asks for a merge.
// go-yaml v2.4.2 decode.go isMerge.
pub(super) fn is_merge(text: &str, tree: &Tree, id: Id) -> bool {
    let node = tree.node(id);
    let tagged = || matches!(tree.tag(id), Some(Tag::Merge | Tag::NonSpecific));
    match node.kind {
        Kind::Plain => tree.text(id, text) == "<<" && (tree.tag(id).is_none() || tagged()),
        Kind::Single | Kind::Double | Kind::Literal | Kind::Folded => tree.text(id, text) == "<<" && tagged(),
        _ => false,
    }
}

/// Returns the mappings that a merge key's value names, in the order in which they win.
pub(super) fn merged(tree: &Tree, id: Id) -> Vec<Id> {
    let one = |id: Id| tree.target(id).unwrap_or(id);
    if tree.node(id).kind.is_seq() { tree.children(id).map(one).collect() } else { vec![one(id)] }
}

/// Returns what a scalar means, or why its tag does not fit.
fn meaning(text: &str, tree: &Tree, id: Id) -> Result<Meaning, String> {
    let written = tree.text(id, text);
    match tree.tag(id) {
        Some(tag) => scalar::tagged(tag, written),
        None if tree.node(id).kind == Kind::Plain => Ok(scalar::plain(written)),
        None => Ok(Meaning::Text),
    }
}

struct Reader<'a> {
    text: &'a str,
    tree: &'a Tree,
    /// Nodes read, those behind aliases each time.
    nodes: usize,
    through_aliases: usize,
    /// Bytes of scalars read behind aliases.
    repeated: usize,
    /// Aliases we are inside of.
    aliases: usize,
    duplicates: Vec<(Id, Id)>,
}

impl<'a> Reader<'a> {
    fn value(&mut self, id: Id, depth: usize) -> Result<Value, Box<Failure>> {
        self.count(id, depth)?;
        match self.tree.node(id).kind {
            Kind::Alias => self.inside_alias(id, |reader, target| reader.value(target, depth + 1)),
            Kind::BlockSeq | Kind::FlowSeq => {
                let tree = self.tree;
                let mut items = Vec::with_capacity(tree.children(id).count());
                for child in tree.children(id) {
                    items.push(self.value(child, depth + 1)?);
                }
                Ok(Value::Array(items))
            }
            Kind::BlockMap | Kind::FlowMap | Kind::Pair => {
                let mut map = Map::with_capacity(self.tree.entries(id).count());
                self.mapping(id, depth, &mut map)?;
                Ok(Value::Object(map))
            }
            _ => self.scalar(id),
        }
    }

    /// Reads a mapping into one that may have entries already.
    // go-yaml v2.4.2 decode.go mapping: in order, so that what comes later wins, merged or not.
    fn mapping(&mut self, id: Id, depth: usize, into: &mut Map<String, Value>) -> Result<(), Box<Failure>> {
        let tree = self.tree;
        let mut merges = !into.is_empty();
        for (key, value) in tree.entries(id) {
            if is_merge(self.text, tree, key) {
                merges = true;
                self.merge(value, depth, into)?;
                continue;
            }
            let name = self.key(key, depth + 1)?;
            let read = self.value(value, depth + 1)?;
            let doubled = into.insert(name.clone().into_owned(), read).is_some();
            if doubled && self.aliases == 0 && self.duplicates.len() < MAX_DUPLICATES {
                self.duplicate(id, key, &name, merges);
            }
        }
        Ok(())
    }

    fn duplicate(&mut self, map: Id, second: Id, name: &str, merges: bool) {
        let tree = self.tree;
        let first = tree
            .entries(map)
            .map(|(k, _)| k)
            .take_while(|&k| k != second)
            .find(|&k| !is_merge(self.text, tree, k) && key(self.text, tree, k).as_deref() == Some(name));
        match first {
            Some(first) => self.duplicates.push((first, second)),
            None => debug_assert!(merges, "only a merged key can be there without a first place"),
        }
    }

    fn key(&mut self, id: Id, depth: usize) -> Result<Cow<'a, str>, Box<Failure>> {
        self.count(id, depth)?;
        let target = self.tree.target(id);
        if let Some(target) = target {
            self.inside_alias(id, |reader, _| reader.count(target, depth).map(|()| Value::Null))?;
        }
        let node = self.tree.node(target.unwrap_or(id));
        let at = self.tree.span(id);
        if node.kind.is_map() || node.kind.is_seq() {
            return Err(Failure::new(
                Code::InvalidYaml,
                "a list or mapping cannot be a key",
                at.start..at.end.min(at.start + 1),
            ));
        }
        // libyaml takes a key of several lines behind a `?` only.
        let is_long = !self.tree.is_as_written(target.unwrap_or(id));
        if is_long && target.is_none() && self.text[at.clone()].contains('\n') && !self.is_explicit(id) {
            return Err(Failure::new(Code::InvalidYaml, "a key must stand on one line", at)
                .help("close the quote, or join the lines"));
        }
        let found = key(self.text, self.tree, id);
        found.ok_or_else(|| {
            let text = self.tree.text(target.unwrap_or(id), self.text);
            match meaning(self.text, self.tree, target.unwrap_or(id)) {
                Err(why) => Failure::new(Code::InvalidYaml, why, at.clone())
                    .help("remove the tag, or correct the text"),
                Ok(_) if text.is_empty() => {
                    Failure::new(Code::InvalidYaml, "an empty key is not allowed", at.clone())
                        .help("write the key before the `:`")
                }
                Ok(_) => Failure::new(Code::InvalidYaml, format!("`{text}` cannot be a key"), at.clone())
                    .help("put the key in quotes"),
            }
        })
    }

    /// Tells whether a key stands behind a `?`.
    fn is_explicit(&self, id: Id) -> bool {
        self.text[..self.tree.full_start(id)].trim_end().ends_with('?')
    }

    // go-yaml v2.4.2 decode.go merge: of a list, the earlier mappings win.
    fn merge(&mut self, id: Id, depth: usize, into: &mut Map<String, Value>) -> Result<(), Box<Failure>> {
        let tree = self.tree;
        let sources = match tree.node(id).kind {
            Kind::BlockSeq | Kind::FlowSeq => tree.children(id).collect(),
            _ => vec![id],
        };
        for &source in sources.iter().rev() {
            self.count(source, depth + 1)?;
            let target = tree.target(source);
            if !tree.node(target.unwrap_or(source)).kind.is_map() {
                let at = tree.span(source);
                return Err(Failure::new(
                    Code::InvalidYaml,
                    "`<<` takes a mapping or a list of mappings",
                    at,
                )
                .help("name the anchor of a mapping here"));
            }
            match target {
                None => self.mapping(source, depth + 1, into)?,
                Some(_) => {
                    let mut taken = std::mem::take(into);
                    self.inside_alias(source, |reader, target| {
                        reader.count(target, depth + 1)?;
                        reader.mapping(target, depth + 1, &mut taken).map(|()| Value::Null)
                    })?;
                    *into = taken;
                }
            }
        }
        Ok(())
    }

    fn inside_alias(
        &mut self,
        alias: Id,
        read: impl FnOnce(&mut Self, Id) -> Result<Value, Box<Failure>>,
    ) -> Result<Value, Box<Failure>> {
        let target = self.tree.target(alias).unwrap_or(alias);
        let within = target <= alias && alias < self.tree.node(target).next;
        if within {
            let at = self.tree.span(alias);
            return Err(Failure::new(Code::InvalidYaml, "this alias lies inside its own anchor", at)
                .and(self.tree.span(target), "the anchor is here")
                .help("write the value out"));
        }
        self.aliases += 1;
        let value = read(self, target);
        self.aliases -= 1;
        value
    }

    /// Counts one node, and stops what grows out of hand.
    // go-yaml v2.4.2 decode.go unmarshal and allowedAliasRatio.
    fn count(&mut self, id: Id, depth: usize) -> Result<(), Box<Failure>> {
        self.nodes += 1;
        if depth > MAX_DEPTH {
            return Err(Failure::too_deep(self.tree.span(id).start));
        }
        if self.aliases == 0 {
            return Ok(());
        }
        self.through_aliases += 1;
        let is_leaf = self.tree.node(id).next == id + 1;
        self.repeated += if is_leaf { self.tree.span(id).len() } else { 0 };
        #[expect(clippy::cast_precision_loss, reason = "the counts are far below 2^52")]
        let (all, through) = (self.nodes as f64, self.through_aliases as f64);
        let allowed = 0.99 - 0.89 * ((all - 400_000.0) / 3_600_000.0).clamp(0.0, 1.0);
        let bomb = self.through_aliases > 100 && self.nodes > 1000 && through / all > allowed;
        if bomb || self.repeated > MAX_REPEATED {
            return Err(Failure::new(
                Code::AliasBomb,
                "aliases make this document far larger than its text",
                self.tree.span(id),
            )
            .note("Kubernetes refuses such documents too")
            .help("write out what is meant, or use fewer aliases"));
        }
        Ok(())
    }

    fn scalar(&self, id: Id) -> Result<Value, Box<Failure>> {
        let written = self.tree.text(id, self.text);
        let at = || self.tree.span(id);
        let meaning = meaning(self.text, self.tree, id).map_err(|why| {
            Failure::new(Code::InvalidYaml, why, at()).help("remove the tag, or correct the text")
        })?;
        scalar::value(meaning, written).ok_or_else(|| {
            Failure::new(Code::InvalidYaml, format!("Kubernetes cannot store the number `{written}`"), at())
                .help("put it in quotes if it is meant as text")
        })
    }
}
