//! Reads and edits one YAML document: its value as Kubernetes reads it, and the place of every node.
//!
//! This module knows nothing of Kubernetes' objects, but that an edit of a list of them tells them apart by their names.

mod block_reader;
mod canonical_numbers;
mod differential;
mod document_source;
mod edit;
mod emit;
mod expected_value;
mod fast_check;
mod field_path;
mod scalar;
mod shared_value;
mod source_text;
mod split;
mod syntax;
mod syntax_hints;
mod tabs;
mod text_edits;
mod tree;
mod value;
mod verify;
mod verify_walk;

pub use differential::{compare_block_reader, compare_verify_walk};
pub use document_source::DocumentSource;
pub(crate) use edit::{ItemChange, ItemSplices, ListChange, ListEditor};
pub use emit::{emit, emit_flow};
pub(crate) use expected_value::{PartChange, PartContent};
pub use fast_check::is_certainly_readable;
pub use field_path::{FieldPath, PathSegment};
pub(crate) use shared_value::{ListItem, SharedValue};
pub use split::{DocumentSlice, split_documents};
pub(crate) use text_edits::{TextEdits, TextPart};

use crate::diagnostics::{Code, Diagnostic, Span};
use serde_json::Value;
use source_text::{SourceText, line_starts};
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use tree::{NodeId, SyntaxTree};

#[cfg(test)]
mod tests;

/// Which part of a mapping entry or sequence item a label marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryPart {
    /// The key of the entry (the value where there is not a key).
    Key,
    /// The value.
    Value,
}

/// One YAML document with the places of its nodes.
#[derive(Debug, Clone)]
pub struct Document {
    file: Arc<str>,
    index: usize,
    first_line: usize,
    text: Arc<str>,
    tree: SyntaxTree,
    value: Value,
    diagnostics: Vec<Diagnostic>,
    /// Where its lines start, once something is labelled.
    line_starts: OnceLock<Box<[usize]>>,
}

impl Document {
    /// Reads one document: `text` is the `index`-th of `file` and starts at line `first_line` (from 1) of it.
    ///
    /// # Errors
    /// A diagnostic with the place when the text is not YAML that Kubernetes accepts.
    pub fn read(file: &Arc<str>, index: usize, first_line: usize, text: &str) -> Result<Self, Diagnostic> {
        let place = SourceText { file, first_line, text, line_starts: None };
        let read = || {
            let characters = syntax::check_characters(text)?;
            let tree = SyntaxTree::read(text, characters)?;
            let reading = value::read_value(text, &tree)?;
            Ok((tree, reading))
        };
        let (tree, reading) = read().map_err(|f: Box<syntax::Error>| f.into_diagnostic(&place))?;
        let doubled = reading.duplicates.iter();
        let diagnostics =
            doubled.map(|&(first, second)| duplicate_key(&place, &tree, first, second)).collect();
        Ok(Self {
            file: file.clone(),
            index,
            first_line,
            text: text.into(),
            tree,
            value: reading.value,
            diagnostics,
            line_starts: OnceLock::new(),
        })
    }

    /// Returns the file's name as the user wrote it.
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// Returns the number of the document in its file, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the text of the document.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the document as Kubernetes reads it.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns whether it has aliases (`*name`).
    pub(crate) fn has_aliases(&self) -> bool {
        let ids = 0..NodeId::try_from(self.tree.len()).unwrap_or(NodeId::MAX);
        ids.into_iter().any(|id| self.tree.target(id).is_some())
    }

    /// Returns the problems that Kubernetes tolerates: duplicate keys, at most twenty.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Returns a label at a path; where the path leads nowhere, at its longest part that exists.
    pub fn label(&self, path: &FieldPath, part: EntryPart, text: impl Into<String>) -> Span {
        self.source().label(self.range(path, part), text)
    }

    /// Returns the labels of all items of the list at a path.
    pub(crate) fn item_labels(&self, list: &FieldPath) -> impl Iterator<Item = Span> + use<'_> {
        let source = self.source();
        let below = |node, segment| self.find_child(node, segment).map(|(_, value)| value);
        let found = self.tree.root().and_then(|root| list.segments().iter().try_fold(root, below));
        let found = found.filter(|&list| self.tree.node(list).kind.is_sequence());
        let items = found.into_iter().flat_map(|list| self.tree.children(list));
        items.map(move |item| source.label(self.tree.span(item), ""))
    }

    fn source(&self) -> SourceText<'_> {
        let line_starts = self.line_starts.get_or_init(|| line_starts(&self.text));
        let Self { file, first_line, text, .. } = self;
        SourceText { file, first_line: *first_line, text, line_starts: Some(line_starts) }
    }

    /// Returns the bytes that a label at a path marks.
    fn range(&self, path: &FieldPath, part: EntryPart) -> Range<usize> {
        let Some(root) = self.tree.root() else { return 0..0 };
        let (mut key, mut value) = (None, root);
        for segment in path.segments() {
            let Some(found) = self.find_child(value, segment) else { break };
            (key, value) = found;
        }
        let marked = match (part, key) {
            (EntryPart::Key, Some(key)) => key,
            _ => value,
        };
        let range = self.tree.span(marked);
        // A missing value is shown at its key.
        if range.is_empty() { key.map_or(range, |k| self.tree.span(k)) } else { range }
    }

    /// Goes one step down: the key, where there is one, and the value. Aliases and merge keys are followed.
    fn find_child(&self, from: NodeId, segment: &PathSegment) -> Option<(Option<NodeId>, NodeId)> {
        let from = self.tree.target(from).unwrap_or(from);
        let kind = self.tree.node(from).kind;
        match segment {
            PathSegment::Index(n) if kind.is_sequence() => {
                self.tree.children(from).nth(*n).map(|item| (None, item))
            }
            PathSegment::Key(name) if kind.is_mapping() => {
                self.find_entry(from, name).map(|(k, v)| (Some(k), v))
            }
            _ => None,
        }
    }

    /// Returns the entry of a mapping that decides what a key means: the last one, merged or not.
    fn find_entry(&self, map: NodeId, name: &str) -> Option<(NodeId, NodeId)> {
        let entries: Vec<(NodeId, NodeId)> = self.tree.entries(map).collect();
        entries.into_iter().rev().find_map(|(key, value)| {
            if value::is_merge(&self.text, &self.tree, key) {
                return value::merged_mappings(&self.tree, value)
                    .into_iter()
                    .find_map(|m| self.find_entry(m, name));
            }
            (value::key_text(&self.text, &self.tree, key)? == name).then_some((key, value))
        })
    }
}

fn duplicate_key(place: &SourceText<'_>, tree: &SyntaxTree, first: NodeId, second: NodeId) -> Diagnostic {
    let name = &place.text[tree.span(second)];
    Diagnostic::error(Code::DuplicateKey, format!("duplicate key `{name}` in one mapping"))
        .at(place.label(tree.span(second), "and keeps this one"))
        .at(place.label(tree.span(first), "Kubernetes drops this one"))
        .help("remove one of the two")
}
