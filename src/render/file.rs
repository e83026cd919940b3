//! Renders each document of a file and joins the texts again.

use super::renderer::Renderer;
use super::{DocumentOutput, Manifest, OverridePlace, RenderedDocument};
use crate::diagnostics::Diagnostic;
use crate::inject::InjectionOutcome;
use crate::yaml::{TextEdits, split_documents};
use std::borrow::Cow;
use std::sync::Arc;

/// A file to be rendered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceFile<'a> {
    /// Its name, as users call it.
    pub(crate) name: &'a Arc<str>,
    /// The namespace of its manifests that name none.
    pub(crate) namespace: &'a str,
    /// A person named this very file, so that text that is not a YAML is an error whatever it holds.
    pub(crate) is_named: bool,
    /// Its text.
    pub(crate) text: &'a str,
}

/// How files are rendered.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FileRenderOptions {
    /// Workloads that no set can select are looked at too: what `explain` needs.
    pub(crate) explains: bool,
    /// Foreign objects are checked for what Kubernetes cannot read, because `collect_own_objects` did not.
    pub(crate) checks_foreign: bool,
}

/// A file after rendering.
#[derive(Debug, Default)]
pub struct RenderedFile {
    /// The edits of its text.
    pub(crate) edits: TextEdits,
    /// Nothing of it belongs to the output.
    pub(crate) is_dropped: bool,
    /// What is wrong or worth knowing.
    pub diagnostics: Vec<Diagnostic>,
    /// The workloads that were looked at, with what injection did to each.
    pub(crate) workloads: Vec<(String, InjectionOutcome)>,
    /// The SidecarOverrides that are for one of them.
    pub(crate) reached_overrides: Vec<OverridePlace>,
}

impl RenderedFile {
    /// Returns its new text; None when nothing changed.
    pub(crate) fn new_text(&self, original: &str) -> Option<String> {
        (!self.edits.is_empty()).then(|| self.edits.apply(original))
    }

    /// Returns its text, rendered or unchanged.
    pub fn text<'t>(&self, original: &'t str) -> Cow<'t, str> {
        self.new_text(original).map_or(Cow::Borrowed(original), Cow::Owned)
    }
}

/// Renders the documents of a file one by one.
pub(crate) fn render_file(
    file: &SourceFile<'_>,
    renderer: &Renderer,
    how: FileRenderOptions,
) -> RenderedFile {
    let (pieces, diagnostics) = split_documents(file.name, file.text);
    let mut whole = RenderedFile { diagnostics, ..RenderedFile::default() };
    let mut kept = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let text = &file.text[piece.span.clone()];
        let manifest = Manifest {
            file: file.name,
            index,
            first_line: piece.first_line,
            start: piece.span.start,
            text,
            namespace: file.namespace,
            is_named: file.is_named,
        };
        let RenderedDocument { output, diagnostics, workloads, reached_overrides } =
            renderer.render_document(&manifest, how);
        whole.diagnostics.extend(diagnostics);
        whole.workloads.extend(workloads);
        whole.reached_overrides.extend(reached_overrides);
        kept += usize::from(match output {
            DocumentOutput::Unchanged => true,
            DocumentOutput::Excluded => {
                whole.edits.push(piece.span.clone(), "");
                false
            }
            DocumentOutput::Changed(edits) => {
                let is_kept = !edits.removes_all(text.len());
                whole.edits.extend_at(piece.span.start, edits);
                is_kept
            }
        });
    }
    whole.is_dropped = kept == 0 && !pieces.is_empty();
    whole
}
