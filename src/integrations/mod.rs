//! Integrations with other tools, one file or folder each, and what they share: the objects of a stream, and the session
//! that renders them.

pub(crate) mod cmp;
pub(crate) mod krm;
pub(crate) mod kustomization;
pub(crate) mod kustomize_exec;
mod session;
mod stream_objects;
pub(crate) mod template_merge;
pub(crate) mod templates;

use crate::diagnostics::{Code, Diagnostic, Span};
use session::locate_in_stream;
pub(crate) use session::{IntegrationSession, explain_patch_error};
pub(crate) use stream_objects::{STREAM_NAME, StreamObjects, is_from_file, is_function_config};

/// Appends a document to a stream, with a separator where it needs one.
fn push_document(stream: &mut String, document: &str) {
    if !stream.is_empty() && !document.starts_with("---") {
        stream.push_str("---\n");
    }
    stream.push_str(document);
    if !stream.ends_with('\n') {
        stream.push('\n');
    }
}

/// Reports an output without a manifest: the caller would delete everything.
pub(crate) fn empty_output(span: Span, reason: &str) -> Diagnostic {
    Diagnostic::error(Code::EmptyOutput, "the output would be empty").at(span).because(reason)
}
