//! Computes the JSON value of a tree as Kubernetes reads it, with aliases, merge keys and duplicate keys.

use super::scalar::{self, ScalarKey, ScalarMeaning, ScalarTag};
use super::syntax::Error;
use super::tree::{MAX_DEPTH, NodeId, NodeKind, SyntaxTree};
use crate::diagnostics::Code;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Doubled keys that are reported in one document.
const MAX_DUPLICATES: usize = 20;

/// Bytes of text that aliases may repeat.
const MAX_ALIASED_BYTES: usize = 64 << 20;

/// What a document means.
#[derive(Debug, Default)]
pub(super) struct DocumentValue {
    pub(super) value: Value,
    /// Keys duplicated in one mapping: the first place and the second.
    pub(super) duplicates: Vec<(NodeId, NodeId)>,
}

/// Reads the value of a document.
pub(super) fn read_value(text: &str, tree: &SyntaxTree) -> Result<DocumentValue, Box<Error>> {
    let Some(root) = tree.root() else { return Ok(DocumentValue::default()) };
    // Kubernetes counts the document itself as well.
    let mut reader = ValueReader {
        text,
        tree,
        nodes: 1,
        through_aliases: 0,
        aliased_bytes: 0,
        alias_depth: 0,
        duplicates: Vec::new(),
    };
    let value = reader.read_node(root, 0)?;
    Ok(DocumentValue { value, duplicates: reader.duplicates })
}

/// Returns the key that a scalar node is in JSON; `None` where the node cannot be a key.
pub(super) fn key_text<'a>(text: &'a str, tree: &'a SyntaxTree, id: NodeId) -> Option<Cow<'a, str>> {
    let id = tree.target(id).unwrap_or(id);
    let node = tree.node(id);
    if node.kind.is_mapping() || node.kind.is_sequence() {
        return None;
    }
    let written = tree.text(id, text);
    match scalar::to_key(scalar_meaning(written, tree, id).ok()?)? {
        ScalarKey::AsWritten => Some(Cow::Borrowed(written)),
        ScalarKey::Converted(made) => Some(Cow::Owned(made)),
    }
}

/// Returns whether a key is `<<`, and so asks for a merge.
// go-yaml v2.4.2 decode.go isMerge.
pub(super) fn is_merge(text: &str, tree: &SyntaxTree, id: NodeId) -> bool {
    let node = tree.node(id);
    let tagged = || matches!(tree.tag(id), Some(ScalarTag::Merge | ScalarTag::NonSpecific));
    match node.kind {
        NodeKind::Plain => tree.text(id, text) == "<<" && (tree.tag(id).is_none() || tagged()),
        NodeKind::SingleQuoted | NodeKind::DoubleQuoted | NodeKind::Literal | NodeKind::Folded => {
            tree.text(id, text) == "<<" && tagged()
        }
        _ => false,
    }
}

/// Returns the mappings that a merge key's value names, in the order in which they win.
pub(super) fn merged_mappings(tree: &SyntaxTree, id: NodeId) -> Vec<NodeId> {
    let one = |id: NodeId| tree.target(id).unwrap_or(id);
    if tree.node(id).kind.is_sequence() { tree.children(id).map(one).collect() } else { vec![one(id)] }
}

/// Returns what a scalar with a text means, or why its tag does not fit.
fn scalar_meaning(written: &str, tree: &SyntaxTree, id: NodeId) -> Result<ScalarMeaning, String> {
    match tree.tag(id) {
        Some(tag) => scalar::resolve_tagged(tag, written),
        None if tree.node(id).kind == NodeKind::Plain => Ok(scalar::resolve_plain(written)),
        None => Ok(ScalarMeaning::Text),
    }
}

struct ValueReader<'a> {
    text: &'a str,
    tree: &'a SyntaxTree,
    /// Nodes read, those behind aliases each time.
    nodes: usize,
    through_aliases: usize,
    /// Bytes of scalars read behind aliases.
    aliased_bytes: usize,
    /// Aliases we are inside of.
    alias_depth: usize,
    duplicates: Vec<(NodeId, NodeId)>,
}

impl<'a> ValueReader<'a> {
    fn read_node(&mut self, id: NodeId, depth: usize) -> Result<Value, Box<Error>> {
        self.count_node(id, depth)?;
        match self.tree.node(id).kind {
            NodeKind::Alias => self.read_alias(id, |reader, target| reader.read_node(target, depth + 1)),
            NodeKind::BlockSequence | NodeKind::FlowSequence => {
                let tree = self.tree;
                let mut items = Vec::with_capacity(tree.children(id).count());
                for child in tree.children(id) {
                    items.push(self.read_node(child, depth + 1)?);
                }
                Ok(Value::Array(items))
            }
            NodeKind::BlockMapping | NodeKind::FlowMapping | NodeKind::Pair => {
                let mut map = Map::with_capacity(self.tree.entries(id).count());
                self.read_mapping(id, depth, &mut map)?;
                Ok(Value::Object(map))
            }
            _ => match self.plain_string(id) {
                Some(text) => Ok(Value::String(text.to_owned())),
                None => self.read_scalar(id),
            },
        }
    }

    /// Reads a mapping into one that may have entries already.
    // go-yaml v2.4.2 decode.go mapping: in order, so that what comes later wins, merged or not.
    fn read_mapping(
        &mut self,
        id: NodeId,
        depth: usize,
        into: &mut Map<String, Value>,
    ) -> Result<(), Box<Error>> {
        let tree = self.tree;
        let mut merges = !into.is_empty();
        for (key, value) in tree.entries(id) {
            let name = match self.plain_string(key) {
                Some(name) if name != "<<" => {
                    self.count_node(key, depth + 1)?;
                    name.to_owned()
                }
                _ if is_merge(self.text, tree, key) => {
                    merges = true;
                    self.read_merge(value, depth, into)?;
                    continue;
                }
                _ => self.read_key(key, depth + 1)?.into_owned(),
            };
            let read = self.read_node(value, depth + 1)?;
            let doubled = into.insert(name, read).is_some();
            if doubled && self.alias_depth == 0 && self.duplicates.len() < MAX_DUPLICATES {
                self.record_duplicate(id, key, merges);
            }
        }
        Ok(())
    }

    /// Returns the text of a plain scalar that is a string, of one line and without anchor and tag.
    fn plain_string(&self, id: NodeId) -> Option<&'a str> {
        self.tree.plain_word(id, self.text).filter(|word| scalar::is_plain_text(word))
    }

    fn record_duplicate(&mut self, map: NodeId, second: NodeId, merges: bool) {
        let tree = self.tree;
        let name = key_text(self.text, tree, second);
        let mut before = tree.entries(map).map(|(k, _)| k).take_while(|&k| k != second);
        let first = before.find(|&k| !is_merge(self.text, tree, k) && key_text(self.text, tree, k) == name);
        match first {
            Some(first) => self.duplicates.push((first, second)),
            None => debug_assert!(merges, "only a merged key can be there without a first place"),
        }
    }

    fn read_key(&mut self, id: NodeId, depth: usize) -> Result<Cow<'a, str>, Box<Error>> {
        self.count_node(id, depth)?;
        let target = self.tree.target(id);
        if let Some(target) = target {
            self.read_alias(id, |reader, _| reader.count_node(target, depth).map(|()| Value::Null))?;
        }
        let node = self.tree.node(target.unwrap_or(id));
        let at = self.tree.span(id);
        if node.kind.is_mapping() || node.kind.is_sequence() {
            return Err(Error::new(
                Code::InvalidYaml,
                "a list or mapping cannot be a key",
                at.start..at.end.min(at.start + 1),
            ));
        }
        // libyaml takes a key of several lines behind a `?` only.
        let is_long = !self.tree.is_as_written(target.unwrap_or(id));
        if is_long
            && target.is_none()
            && self.text[at.clone()].contains(['\n', '\r'])
            && !self.is_explicit_key(id)
        {
            return Err(Error::new(Code::InvalidYaml, "a key must be on one line", at)
                .help("close the quote, or join the lines"));
        }
        let found = key_text(self.text, self.tree, id);
        found.ok_or_else(|| {
            let text = self.tree.text(target.unwrap_or(id), self.text);
            match scalar_meaning(text, self.tree, target.unwrap_or(id)) {
                Err(why) => {
                    Error::new(Code::InvalidYaml, why, at.clone()).help("remove the tag, or correct the text")
                }
                Ok(_) if text.is_empty() => {
                    Error::new(Code::InvalidYaml, "an empty key is not allowed", at.clone())
                        .help("write the key before the `:`")
                }
                Ok(_) => Error::new(Code::InvalidYaml, format!("`{text}` cannot be a key"), at.clone())
                    .help("put the key in quotes"),
            }
        })
    }

    /// Returns whether a key is behind a `?`.
    fn is_explicit_key(&self, id: NodeId) -> bool {
        self.text[..self.tree.full_start(id)].trim_end().ends_with('?')
    }

    // go-yaml v2.4.2 decode.go merge: of a list, the earlier mappings win.
    fn read_merge(
        &mut self,
        id: NodeId,
        depth: usize,
        into: &mut Map<String, Value>,
    ) -> Result<(), Box<Error>> {
        let tree = self.tree;
        let sources = match tree.node(id).kind {
            NodeKind::BlockSequence | NodeKind::FlowSequence => tree.children(id).collect(),
            _ => vec![id],
        };
        for &source in sources.iter().rev() {
            self.count_node(source, depth + 1)?;
            let target = tree.target(source);
            if !tree.node(target.unwrap_or(source)).kind.is_mapping() {
                let at = tree.span(source);
                return Err(Error::new(Code::InvalidYaml, "`<<` takes a mapping or a list of mappings", at)
                    .help("name the anchor of a mapping here"));
            }
            match target {
                None => self.read_mapping(source, depth + 1, into)?,
                Some(_) => {
                    let mut taken = std::mem::take(into);
                    self.read_alias(source, |reader, target| {
                        reader.count_node(target, depth + 1)?;
                        reader.read_mapping(target, depth + 1, &mut taken).map(|()| Value::Null)
                    })?;
                    *into = taken;
                }
            }
        }
        Ok(())
    }

    fn read_alias(
        &mut self,
        alias: NodeId,
        read: impl FnOnce(&mut Self, NodeId) -> Result<Value, Box<Error>>,
    ) -> Result<Value, Box<Error>> {
        let target = self.tree.target(alias).unwrap_or(alias);
        let within = target <= alias && alias < self.tree.node(target).next;
        if within {
            let at = self.tree.span(alias);
            return Err(Error::new(Code::InvalidYaml, "this alias is inside its own anchor", at)
                .with_label(self.tree.span(target), "the anchor is here")
                .help("write the value out"));
        }
        self.alias_depth += 1;
        let value = read(self, target);
        self.alias_depth -= 1;
        value
    }

    /// Counts one node, and stops what grows out of hand.
    #[inline]
    fn count_node(&mut self, id: NodeId, depth: usize) -> Result<(), Box<Error>> {
        self.nodes += 1;
        if depth <= MAX_DEPTH && self.alias_depth == 0 { Ok(()) } else { self.check_limits(id, depth) }
    }

    // go-yaml v2.4.2 decode.go unmarshal and allowedAliasRatio.
    fn check_limits(&mut self, id: NodeId, depth: usize) -> Result<(), Box<Error>> {
        if depth > MAX_DEPTH {
            return Err(Error::too_deep(self.tree.span(id).start));
        }
        self.through_aliases += 1;
        let is_leaf = self.tree.node(id).next == id + 1;
        self.aliased_bytes += if is_leaf { self.tree.span(id).len() } else { 0 };
        #[expect(clippy::cast_precision_loss, reason = "the counts are far below 2^52")]
        let (all, through) = (self.nodes as f64, self.through_aliases as f64);
        let allowed = 0.99 - 0.89 * ((all - 400_000.0) / 3_600_000.0).clamp(0.0, 1.0);
        let bomb = self.through_aliases > 100 && self.nodes > 1000 && through / all > allowed;
        if bomb || self.aliased_bytes > MAX_ALIASED_BYTES {
            return Err(Error::new(
                Code::AliasBomb,
                "aliases make this document far larger than its text",
                self.tree.span(id),
            )
            .note("Kubernetes refuses such documents too")
            .help("write the values in full, or use fewer aliases"));
        }
        Ok(())
    }

    fn read_scalar(&self, id: NodeId) -> Result<Value, Box<Error>> {
        let written = self.tree.text(id, self.text);
        let at = || self.tree.span(id);
        let meaning = scalar_meaning(written, self.tree, id).map_err(|why| {
            Error::new(Code::InvalidYaml, why, at()).help("remove the tag, or correct the text")
        })?;
        scalar::to_json(meaning, written).ok_or_else(|| {
            Error::new(Code::InvalidYaml, format!("Kubernetes cannot store the number `{written}`"), at())
                .help("put it in quotes if it is meant as text")
        })
    }
}
