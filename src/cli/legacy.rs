//! A stream of documents and a configuration file: pillion as an exec plugin of kustomize, the older form.
//!
//! kustomize calls it as `…/pillion.dev/v1alpha1/sidecars/Sidecars CONFIG`, with the resources on standard input;
//! as a generator it gets none.

use super::door::{self, Door, Told, explain_patches};
use super::items::{Items, STREAM};
use super::krm::{is_manifest, is_sidecar_set, values};
use super::report::Reporter;
use super::{DONE, FINDINGS, data_to_stdout};
use crate::diag::{Code, Diagnostic, Label};
use crate::model::sidecars::{self, KeepSidecarSets, Spec};
use crate::read::read_file;
use crate::render::{dangling, gather};
use crate::write::Failure;
use crate::yaml::{Document, Path, emit, split};
use serde_json::{Value, json};
use std::sync::Arc;

/// What the configuration is called in messages: its file is a temporary one of kustomize.
const CONFIG: &str = "the plugin's configuration";

/// Runs as a plugin.
pub(super) fn run(config: &std::path::Path, text: &str, reporter: &mut Reporter) -> Result<u8, Failure> {
    let items = Items::of_stream(text);
    let output = transform(config, text, reporter);
    let mut told = reporter.take();
    for diagnostic in &mut told {
        explain_patches(diagnostic);
        items.place(diagnostic);
    }
    reporter.add(told);
    match output {
        Some(output) if !reporter.has_errors() => {
            data_to_stdout(&output)?;
            Ok(DONE)
        }
        _ => Ok(FINDINGS),
    }
}

fn transform(config: &std::path::Path, text: &str, reporter: &mut Reporter) -> Option<String> {
    let name: Arc<str> = CONFIG.into();
    let document = match read_file(config, &name).and_then(|text| Document::read(&name, 0, 1, &text)) {
        Ok(document) => Arc::new(document),
        Err(error) => {
            reporter.add([error]);
            return None;
        }
    };
    let (decoded, wrong) = sidecars::decode(&document, &Path::root());
    reporter.add(wrong);
    let decoded = decoded?;
    let spec = decoded.spec.clone();
    let at = document.label(&Path::root(), crate::yaml::Part::Value, "");
    let told = Told {
        written: Some((Arc::clone(&document), Path::root())),
        ..Told::in_working_folder(decoded, at.clone())
    };
    let stdin: Arc<str> = STREAM.into();
    let (door, wrong) = door::open(&told, gather(&stdin, text, true));
    reporter.add(wrong);
    let door = door?;
    if reporter.has_errors() {
        reporter.settle();
    }
    if text.trim().is_empty() {
        return generate(&door, &spec, &at, reporter);
    }
    let (rendered, wrong) = door.render(&stdin, text);
    reporter.add(wrong);
    if reporter.has_errors() {
        return None;
    }
    let output = shape(&rendered, &spec);
    if output.trim().is_empty() {
        reporter.add([nothing_left(at, "the resources are SidecarSets only, and these are left out")]);
        return None;
    }
    reporter.add(dangling_in(&output, &door));
    Some(output)
}

/// The manifests of `sources:`, as one stream.
fn generate(door: &Door, spec: &Spec, at: &Label, reporter: &mut Reporter) -> Option<String> {
    let (texts, wrong) = door.render_sources();
    reporter.add(wrong);
    let mut output = String::new();
    for (name, text) in &texts {
        let (found, wrong) = values(name, text);
        reporter.add(wrong);
        for value in found.iter().filter(|v| is_manifest(v, spec)) {
            output.push_str("---\n");
            output.push_str(&emit(value));
        }
    }
    let output = shape(&output, spec);
    if output.is_empty() && !reporter.has_errors() {
        reporter.add([nothing_left(at.clone(), "no resource came in, and `sources:` names none")]);
    }
    Some(output)
}

/// Marks SidecarSets as local where the configuration says so. What is left out is left out already.
fn shape(text: &str, spec: &Spec) -> String {
    let name: Arc<str> = STREAM.into();
    let is_local = spec.keep_sidecar_sets == Some(KeepSidecarSets::LocalConfig);
    let mut output = String::new();
    for (index, piece) in split(&name, text).0.into_iter().enumerate() {
        let part = &text[piece.span];
        let Ok(document) = Document::read(&name, index, piece.first_line, part) else { continue };
        let value = document.value();
        let part = match is_local && is_sidecar_set(value) {
            _ if value.is_null() => continue,
            true => as_local(value),
            false if document.has_aliases() => emit(value),
            false => part.to_owned(),
        };
        if !output.is_empty() && !part.starts_with("---") {
            output.push_str("---\n");
        }
        output.push_str(&part);
        if !output.ends_with('\n') {
            output.push('\n');
        }
    }
    output
}

fn as_local(value: &Value) -> String {
    let mut value = value.clone();
    if let Some(metadata) = value["metadata"].as_object_mut() {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        annotations["config.kubernetes.io/local-config"] = "true".into();
    }
    emit(&value)
}

/// Finds references that lead nowhere in a stream of documents.
pub(super) fn dangling_in(text: &str, door: &Door) -> Vec<Diagnostic> {
    let name: Arc<str> = STREAM.into();
    let pieces = split(&name, text).0.into_iter().enumerate();
    let read = pieces.filter_map(|(i, p)| Document::read(&name, i, p.first_line, &text[p.span]).ok());
    let documents: Vec<Document> = read.collect();
    let places: Vec<(&Document, Path)> = documents.iter().map(|d| (d, Path::root())).collect();
    let mut found = dangling(&places, &door.renderer, &super::kustomization::names_followed());
    // Lines of what came in are no longer those of what goes out.
    let items = Items::of_stream(text);
    for diagnostic in &mut found {
        items.place(diagnostic);
    }
    found
}

fn nothing_left(at: Label, why: &str) -> Diagnostic {
    Diagnostic::error(Code::EmptyOutput, "nothing would be left of what came in")
        .at(at)
        .because(why)
        .help("list applications among the resources; as a generator, name manifests in `sources:`")
}
