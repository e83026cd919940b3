//! Where the parts of a SidecarSet stand in its document, also those that were read from another place.

use crate::diagnostics::Span;
use crate::yaml::{Document, EntryPart, FieldPath};
use std::sync::Arc;

/// The document of a set, and the fields that were found elsewhere than where the API has them.
#[derive(Debug, Clone)]
pub(crate) struct FieldLocations {
    /// The document.
    pub(crate) document: Arc<Document>,
    /// Where the set stands in it.
    pub(crate) root: FieldPath,
    /// For fields read from another place: the API's place and the document's, both from the set's root.
    moved_fields: Vec<(FieldPath, FieldPath)>,
}

impl FieldLocations {
    pub(crate) fn new(document: &Arc<Document>, root: &FieldPath) -> Self {
        Self { document: document.clone(), root: root.clone(), moved_fields: Vec::new() }
    }

    /// Remembers that a field was read from another place.
    pub(crate) fn record_move(&mut self, field: FieldPath, written_at: FieldPath) {
        self.moved_fields.push((field, written_at));
    }

    /// Returns where a field, named by its path in the API, stands in the document.
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

    /// Returns a label at a field.
    pub(crate) fn label(&self, field: &FieldPath, part: EntryPart, text: impl Into<String>) -> Span {
        self.document.label(&self.locate(field), part, text)
    }
}
