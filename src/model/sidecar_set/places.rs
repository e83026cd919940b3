//! Where the parts of a SidecarSet stand in its document, also those that were read from another place.

use crate::diag::Label;
use crate::yaml::{Document, Part, Path};
use std::sync::Arc;

/// The document of a set, and the fields that were found elsewhere than where the API has them.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The document.
    pub(crate) document: Arc<Document>,
    /// Where the set stands in it.
    pub(crate) root: Path,
    /// For fields read from another place: the API's place and the document's, both from the set's root.
    moved: Vec<(Path, Path)>,
}

impl Places {
    pub(crate) fn new(document: &Arc<Document>, root: &Path) -> Self {
        Self { document: document.clone(), root: root.clone(), moved: Vec::new() }
    }

    /// Remembers that a field was read from another place.
    pub(crate) fn note_move(&mut self, field: Path, written_at: Path) {
        self.moved.push((field, written_at));
    }

    /// Returns where a field, named by its path in the API, stands in the document.
    pub(crate) fn find(&self, field: &Path) -> Path {
        let moved = self.moved.iter().find(|(to, _)| field.steps().starts_with(to.steps()));
        match moved {
            Some((to, from)) => {
                let below = &field.steps()[to.steps().len()..];
                self.root.join(&below.iter().fold(from.clone(), |p, s| p.then(s.clone())))
            }
            None => self.root.join(field),
        }
    }

    /// Returns a label at a field.
    pub(crate) fn label(&self, field: &Path, part: Part, text: impl Into<String>) -> Label {
        self.document.label(&self.find(field), part, text)
    }
}
