//! A document that is read again when it is needed, so that its tree and its value need no memory in between.

use super::{Document, EntryPart, FieldPath};
use crate::diagnostics::Span;
use std::ops::Range;
use std::sync::Arc;

/// Where a document that Kubernetes accepts is read from.
#[derive(Debug, Clone)]
pub struct DocumentSource {
    file: Arc<str>,
    index: usize,
    content: SourceContent,
}

#[derive(Debug, Clone)]
enum SourceContent {
    /// The text of the file, the part of it, and the line that this part starts on.
    Text { file_text: Arc<str>, span: Range<usize>, first_line: usize },
    /// The document: reading it again for each of its objects would take too long.
    Document(Arc<Document>),
}

impl DocumentSource {
    /// Returns the source of a document: a part of the text of its file.
    pub(crate) fn from_text(document: &Document, file_text: &Arc<str>, span: Range<usize>) -> Self {
        let (file_text, first_line) = (Arc::clone(file_text), document.first_line);
        let content = SourceContent::Text { file_text, span, first_line };
        Self { file: Arc::clone(&document.file), index: document.index, content }
    }

    /// Returns a source that keeps the document.
    pub fn from_document(document: Arc<Document>) -> Self {
        let file = Arc::clone(&document.file);
        Self { file, index: document.index, content: SourceContent::Document(document) }
    }

    /// Returns the file's name as the user wrote it.
    pub(crate) fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// Returns the number of the document in its file, from 0.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Reads the document.
    pub(crate) fn read(&self) -> Arc<Document> {
        match &self.content {
            SourceContent::Document(document) => Arc::clone(document),
            SourceContent::Text { file_text, span, first_line } => {
                let document = Document::read(&self.file, self.index, *first_line, &file_text[span.clone()]);
                Arc::new(document.expect("the same text was read before"))
            }
        }
    }

    /// Returns a label at a path, as [`Document::label`] does.
    pub(crate) fn label(&self, path: &FieldPath, part: EntryPart, text: &str) -> Span {
        self.read().label(path, part, text)
    }
}
