//! Generates the manifests of an Application: pillion as a config management plugin of Argo CD.
//!
//! It runs in the folder of an Application, in a copy of its repository that may have no `.git`, with any user and
//! perhaps a read-only root. It reads only below that repository, and starts no program except `kustomize`.

mod kustomize;
mod parameters;
mod remote_bases;

pub(crate) use kustomize::KustomizeError;
pub(crate) use parameters::parameters_json;

use super::kustomization;
use super::kustomize_exec::dangling_references;
use crate::diagnostics::{Code, Diagnostic, DiagnosticSink, Span};
use crate::integrations::{IntegrationSession, STREAM_NAME, locate_in_stream, push_document};
use crate::model::config::function_config::FunctionConfig;
use crate::model::workload::type_meta;
use crate::read::read_stream;
use crate::render::{CollectedObjects, collect_objects, scan_type_meta};
use crate::workspace::{FunctionOptions, find_application_root};
use crate::yaml::{Document, split_documents};
use kustomize::build_kustomization;
use parameters::{PARAMETERS_NAME, read_parameters};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why no manifests were generated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Diagnostics report what is wrong with the parameters.
    #[error("the parameters of the Application are invalid")]
    InvalidParameters,
    /// Diagnostics report what is wrong with the manifests.
    #[error("the manifests are invalid")]
    InvalidManifests,
    /// kustomize failed.
    #[error(transparent)]
    Kustomize(#[from] KustomizeError),
}

/// The variable with which an operator lets kustomize fetch. The variables that an Application sets begin with
/// `ARGOCD_ENV_`.
const ALLOW_REMOTE_VARIABLE: &str = "PILLION_ALLOW_REMOTE_BASES";

/// The origin of the manifests.
enum ManifestOrigin {
    Stdin,
    /// Built by the real kustomize.
    Kustomize,
    Folder,
}

/// Generates the manifests of the Application in a folder; `-` reads manifests from standard input. `report_slow` gets a
/// message when kustomize takes long.
pub(crate) fn generate_manifests(
    path: &Path,
    allow_remote_bases: bool,
    report_slow: impl FnOnce(&str),
) -> (Result<String, Error>, Vec<Diagnostic>) {
    let mut sink = DiagnosticSink::default();
    let result = generate(path, allow_remote_bases, report_slow, &mut sink);
    let mut diagnostics = sink.take();
    if let Ok(output) = &result {
        locate_in_stream(output.stream.as_deref().unwrap_or_default(), &mut diagnostics);
    }
    let result = result.and_then(|output| match diagnostics.iter().any(Diagnostic::is_error) {
        true => Err(Error::InvalidManifests),
        false => Ok(output.text),
    });
    (result, diagnostics)
}

/// The generated manifests.
struct CmpOutput {
    text: String,
    /// The stream that came in.
    stream: Option<String>,
}

/// Generates the manifests of an Application.
fn generate(
    path: &Path,
    allow_remote_bases: bool,
    report_slow: impl FnOnce(&str),
    sink: &mut DiagnosticSink,
) -> Result<CmpOutput, Error> {
    let text = std::env::var("ARGOCD_APP_PARAMETERS").unwrap_or_default();
    let (parameters, diagnostics) = read_parameters(&text);
    if !diagnostics.is_empty() {
        sink.add(diagnostics);
        return Err(Error::InvalidParameters);
    }
    let folder = match path.as_os_str() == "-" {
        true => PathBuf::new(),
        false => crate::read::normalize_path(path),
    };
    let origin = match (path.as_os_str() == "-", kustomization::find_in_folder(&folder)) {
        (true, _) => ManifestOrigin::Stdin,
        (false, Some(_)) => ManifestOrigin::Kustomize,
        (false, None) => ManifestOrigin::Folder,
    };
    let stream = match origin {
        ManifestOrigin::Stdin => Some(read_stdin(sink)?),
        ManifestOrigin::Kustomize => Some(kustomize(&folder, allow_remote_bases, report_slow, sink)?),
        ManifestOrigin::Folder => None,
    };
    let mut spec = parameters.spec;
    if stream.is_none() {
        spec.sources = vec![".".to_owned()];
    }
    let options = FunctionOptions {
        folder,
        repository_root: repository_root(),
        is_application: true,
        namespace: parameters.namespace,
        fallback_namespace: std::env::var("ARGOCD_APP_NAMESPACE").ok(),
        cluster: parameters.cluster,
        ..FunctionOptions::in_working_folder(
            FunctionConfig { spec, inline: Vec::new() },
            Span::whole_file(PARAMETERS_NAME),
        )
    };
    let name: Arc<str> = STREAM_NAME.into();
    let found =
        stream.as_deref().map_or_else(CollectedObjects::default, |text| collect_objects(&name, text, true));
    let (session, diagnostics) = IntegrationSession::open(&options, found, false);
    sink.add(diagnostics);
    let session = session.ok_or(Error::InvalidManifests)?;
    sink.set_lint_levels(session.lint_levels.clone());
    if sink.has_errors() {
        sink.suppress_error_locations();
    }
    let text = render_manifests(&session, stream.as_deref().map(|text| (&name, text)), sink);
    let generated = CmpOutput { text, stream };
    if sink.has_errors() {
        return Ok(generated);
    }
    finish_output(generated, &session, &origin, sink)
}

fn read_stdin(sink: &mut DiagnosticSink) -> Result<String, Error> {
    read_stream(&mut std::io::stdin().lock(), &STREAM_NAME.into()).map_err(|error| {
        sink.add([error]);
        Error::InvalidManifests
    })
}

fn kustomize(
    folder: &Path,
    allow_remote_bases: bool,
    report_slow: impl FnOnce(&str),
    sink: &mut DiagnosticSink,
) -> Result<String, Error> {
    match build_kustomization(folder, allow_remote_bases, report_slow) {
        Err(KustomizeError::InvalidKustomization(diagnostics)) => {
            sink.add(diagnostics);
            Err(Error::InvalidManifests)
        }
        built => Ok(built?),
    }
}

/// Renders the stream that came in, or the sources that the configuration names.
fn render_manifests(
    session: &IntegrationSession,
    stream: Option<(&Arc<str>, &str)>,
    sink: &mut DiagnosticSink,
) -> String {
    let mut generated = String::new();
    match stream {
        Some((name, text)) => {
            let (text, diagnostics) = session.render(name, text);
            sink.add(diagnostics);
            append_manifests(&mut generated, name, &text, sink);
        }
        None => {
            let (texts, diagnostics) = session.render_sources();
            sink.add(diagnostics);
            for (name, text) in &texts {
                append_manifests(&mut generated, name, text, sink);
            }
        }
    }
    generated
}

fn finish_output(
    generated: CmpOutput,
    session: &IntegrationSession,
    origin: &ManifestOrigin,
    sink: &mut DiagnosticSink,
) -> Result<CmpOutput, Error> {
    if generated.text.is_empty() {
        // Argo CD would see an Application without resources, and with `prune` delete all of them.
        let error = Diagnostic::error(
            Code::EmptyOutput,
            "no manifests were generated: Argo CD would prune the Application",
        );
        sink.add([match origin {
            ManifestOrigin::Stdin => error.help("the command before `| pillion cmp generate -` printed nothing"),
            ManifestOrigin::Kustomize => error.help("`kustomize build` printed SidecarSets at most: list applications in `resources:`"),
            ManifestOrigin::Folder => error.help(
                "check `path` of the Application; pillion.yaml names folders of rendered files and ledgers, which are not sources",
            ),
        }]);
        return Err(Error::InvalidManifests);
    }
    sink.add(dangling_references(&generated.text, session));
    Ok(generated)
}

/// Appends the manifests of a text, without documents that have no kind: Argo CD rejects those.
fn append_manifests(output: &mut String, name: &Arc<str>, text: &str, sink: &mut DiagnosticSink) {
    for (index, piece) in split_documents(name, text).0.into_iter().enumerate() {
        let part = &text[piece.span];
        if scan_type_meta(part).is_none() {
            let Ok(document) = Document::read(name, index, piece.first_line, part) else { continue };
            if document.value().is_null() {
                continue;
            }
            if type_meta(document.value()).is_none() {
                let message = "a document without `apiVersion` and `kind` is left out";
                sink.add([Diagnostic::note(Code::FolderSkipped, message).at(document.label(
                    &crate::yaml::FieldPath::root(),
                    crate::yaml::EntryPart::Value,
                    "",
                ))]);
                continue;
            }
        }
        push_document(output, part);
    }
}

/// Returns the root of the copied repository from the path that Argo CD sets: there may be no `.git`.
fn repository_root() -> Option<PathBuf> {
    find_application_root(&std::env::var("ARGOCD_APP_SOURCE_PATH").ok()?)
}
