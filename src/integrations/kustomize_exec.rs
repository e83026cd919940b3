//! Renders a stream of documents with a configuration file: pillion as an exec plugin of kustomize, the older form.
//!
//! kustomize calls it as `…/pillion.dev/v1alpha1/sidecars/Sidecars CONFIG`, with the resources on standard input;
//! as a generator it gets none.

use super::krm::{is_manifest, is_sidecar_set, read_values};
use crate::diagnostics::{Diagnostic, DiagnosticSink, Span};
use crate::integrations::{self, IntegrationSession, STREAM_NAME, locate_in_stream, push_document};
use crate::model::api::LOCAL_CONFIG_ANNOTATION;
use crate::model::config::function_config::{self, KeepSidecarSets, SidecarsSpec};
use crate::read::{map_in_order, read_file};
use crate::render::{
    DanglingReference, collect_objects, find_dangling_references, may_concern_references, scan_type_meta,
};
use crate::workspace::FunctionOptions;
use crate::yaml::{Document, DocumentSlice, FieldPath, emit, split_documents};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// The name of the configuration in messages: its file is a temporary one of kustomize.
const CONFIG_NAME: &str = "the plugin's configuration";

/// Renders the resources of a stream with the configuration in a file; without errors only.
pub(crate) fn render_resources(config: &Path, text: &str) -> (Option<String>, Vec<Diagnostic>) {
    let mut sink = DiagnosticSink::default();
    let output = transform(config, text, &mut sink);
    let mut diagnostics = sink.take();
    locate_in_stream(text, &mut diagnostics);
    (output.filter(|_| !sink.has_errors()), diagnostics)
}

fn transform(config: &Path, text: &str, sink: &mut DiagnosticSink) -> Option<String> {
    let name: Arc<str> = CONFIG_NAME.into();
    let document = match read_file(config, &name).and_then(|text| Document::read(&name, 0, 1, &text)) {
        Ok(document) => Arc::new(document),
        Err(error) => {
            sink.add([error]);
            return None;
        }
    };
    let (decoded, diagnostics) = function_config::decode(&document, &FieldPath::root());
    sink.add(diagnostics);
    let decoded = decoded?;
    let spec = decoded.spec.clone();
    let at = document.label(&FieldPath::root(), crate::yaml::EntryPart::Value, "");
    let options = FunctionOptions {
        config_path: Some((Arc::clone(&document), FieldPath::root())),
        ..FunctionOptions::in_working_folder(decoded, at.clone())
    };
    let stdin: Arc<str> = STREAM_NAME.into();
    let (session, diagnostics) =
        IntegrationSession::open(&options, collect_objects(&stdin, text, true), false);
    sink.add(diagnostics);
    let session = session?;
    sink.set_lint_levels(session.lint_levels.clone());
    if sink.has_errors() {
        sink.suppress_error_locations();
    }
    if text.trim().is_empty() {
        return render_sources(&session, &spec, &at, sink);
    }
    let (rendered, diagnostics) = session.render(&stdin, text);
    sink.add(diagnostics);
    if sink.has_errors() {
        return None;
    }
    let output = mark_local_sidecar_sets(&rendered, &spec);
    if output.trim().is_empty() {
        sink.add([empty_output(at, "the resources are SidecarSets only, and these are left out")]);
        return None;
    }
    sink.add(dangling_references(&output, &session));
    Some(output)
}

/// Renders the manifests of `sources:` as one stream.
fn render_sources(
    session: &IntegrationSession,
    spec: &SidecarsSpec,
    at: &Span,
    sink: &mut DiagnosticSink,
) -> Option<String> {
    let (texts, diagnostics) = session.render_sources();
    sink.add(diagnostics);
    let mut output = String::new();
    for (name, text) in &texts {
        let (found, diagnostics) = read_values(name, text);
        sink.add(diagnostics);
        for value in found.iter().filter(|v| is_manifest(v, spec)) {
            output.push_str("---\n");
            output.push_str(&emit(value));
        }
    }
    let output = mark_local_sidecar_sets(&output, spec);
    if output.is_empty() && !sink.has_errors() {
        sink.add([empty_output(at.clone(), "no resource came in, and `sources:` names none")]);
    }
    Some(output)
}

/// Marks SidecarSets as local if the configuration says so. Removed ones are absent already.
fn mark_local_sidecar_sets(text: &str, spec: &SidecarsSpec) -> String {
    let name: Arc<str> = STREAM_NAME.into();
    let is_local = spec.keep_sidecar_sets == Some(KeepSidecarSets::LocalConfig);
    let mut output = String::new();
    for (index, piece) in split_documents(&name, text).0.into_iter().enumerate() {
        let part = &text[piece.span];
        if !is_local && scan_type_meta(part).is_some() && !part.contains('*') {
            push_document(&mut output, part);
            continue;
        }
        let Ok(document) = Document::read(&name, index, piece.first_line, part) else { continue };
        let value = document.value();
        let part = match is_local && is_sidecar_set(value) {
            _ if value.is_null() => continue,
            true => with_local_config(value),
            false if document.has_aliases() => emit(value),
            false => part.to_owned(),
        };
        push_document(&mut output, &part);
    }
    output
}

fn with_local_config(value: &Value) -> String {
    let mut value = value.clone();
    if let Some(metadata) = value["metadata"].as_object_mut() {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        annotations[LOCAL_CONFIG_ANNOTATION] = "true".into();
    }
    emit(&value)
}

/// Finds dangling references in a stream of documents.
pub(super) fn dangling_references(text: &str, session: &IntegrationSession) -> Vec<Diagnostic> {
    let name: Arc<str> = STREAM_NAME.into();
    let pieces: Vec<DocumentSlice> = split_documents(&name, text).0;
    let read = |piece: &DocumentSlice| {
        let part = &text[piece.span.clone()];
        may_concern_references(part).then(|| Document::read(&name, 0, piece.first_line, part).ok()).flatten()
    };
    let mut documents = Vec::new();
    map_in_order(&pieces, read, |document| documents.extend(document));
    let objects = documents.iter().map(Document::value);
    let found =
        find_dangling_references(objects, &session.renderer, &super::kustomization::name_reference_kinds());
    let place = |found: DanglingReference| {
        let document = &documents[found.object];
        found.into_diagnostic(document, &FieldPath::root())
    };
    let mut found: Vec<Diagnostic> = found.into_iter().map(place).collect();
    // The output has other lines than the input.
    locate_in_stream(text, &mut found);
    found
}

fn empty_output(at: Span, why: &str) -> Diagnostic {
    integrations::empty_output(at, why)
        .help("list applications among the resources; as a generator, name manifests in `sources:`")
}
