//! Locates the fields of a SidecarSet in its document, including fields that were read from another path.

use crate::diagnostics::Span;
use crate::yaml::{Document, EntryPart, FieldPath};
use std::sync::Arc;

/// The document of a set, and the fields at other paths than the API's.
#[derive(Debug, Clone)]
pub(crate) struct FieldLocations {
    /// The document.
    pub(crate) document: Arc<Document>,
    /// The path of the set in the document.
    pub(crate) root: FieldPath,
    /// Fields read from another path: the path in the API and in the document, both relative to the set.
    moved_fields: Vec<(FieldPath, FieldPath)>,
}

impl FieldLocations {
    pub(crate) fn new(document: &Arc<Document>, root: &FieldPath) -> Self {
        Self { document: document.clone(), root: root.clone(), moved_fields: Vec::new() }
    }

    /// Records that a field was read from another path.
    pub(crate) fn record_move(&mut self, field: FieldPath, written_at: FieldPath) {
        self.moved_fields.push((field, written_at));
    }

    /// Returns the path in the document of a field given by its path in the API.
    pub(crate) fn locate(&self, field: &FieldPath) -> FieldPath {
        let moved = self.moved_fields.iter().find(|(to, _)| field.segments().starts_with(to.segments()));
        match moved {
            Some((to, from)) => {
                let below = &field.segments()[to.segments().len()..];
                self.root.join(&below.iter().fold(from.clone(), |p, s| p.child(s.clone())))
            }
            None => self.root.join(field),
        }
    }

    /// Returns a labelled span at a field.
    pub(crate) fn label(&self, field: &FieldPath, part: EntryPart, text: impl Into<String>) -> Span {
        self.document.label(&self.locate(field), part, text)
    }
}
