//! `pillion cmp`: pillion as a config management plugin of Argo CD.
//!
//! `generate` runs in the folder of an Application, in a copy of its repository that may have no `.git`, with any user
//! and perhaps a read-only root. It reads below that repository only, and starts no program but `kustomize`.

use super::error::CommandError;
use super::kustomization;
use super::kustomize::{self, KustomizeError};
use super::kustomize_exec::dangling_references;
use super::reporter::Reporter;
use super::{EXIT_FINDINGS, EXIT_SUCCESS, cmp_parameters, print_data, print_text};
use crate::diagnostics::{Code, Diagnostic, Span, line};
use crate::integrations::{IntegrationSession, STREAM_NAME, StreamObjects, explain_patch_error};
use crate::model::config::function_config::FunctionConfig;
use crate::model::workload::type_meta;
use crate::programs;
use crate::read::{MAX_FILE_BYTES, decode_text, read_stream};
use crate::render::{CollectedObjects, collect_objects};
use crate::workspace::{FunctionOptions, find_application_root};
use crate::yaml::{Document, split_documents};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `pillion cmp`.
#[derive(Debug, Args)]
pub(super) struct CmpArgs {
    #[command(subcommand)]
    command: CmpCommand,
}

#[derive(Debug, Subcommand)]
enum CmpCommand {
    /// Print the manifests of the Application in the working folder, with their sidecars
    Generate {
        /// Folder of the Application; `-` reads manifests from standard input (`helm template . | pillion cmp generate
        /// -`)
        #[arg(default_value = ".")]
        path: PathBuf,
        /// Let kustomize fetch remote bases, as PILLION_ALLOW_REMOTE_BASES=true does
        #[arg(long)]
        allow_remote_bases: bool,
    },
    /// Print the parameters that an Application may set, as Argo CD's user interface shows them
    Parameters,
}

/// Where the manifests come from.
enum ManifestOrigin {
    Stdin,
    /// Built by the real kustomize.
    Kustomize,
    Folder,
}

/// Runs `pillion cmp`.
pub(super) fn run(args: &CmpArgs, reporter: &mut Reporter) -> Result<u8, CommandError> {
    let (path, allows_remote) = match &args.command {
        CmpCommand::Parameters => {
            print_text(&cmp_parameters::parameters_json())?;
            return Ok(EXIT_SUCCESS);
        }
        CmpCommand::Generate { path, allow_remote_bases } => (path, *allow_remote_bases),
    };
    let outcome = generate(path, allows_remote, reporter);
    // Argo CD shows what stands on standard error, all of it: one line a finding, without lines of the files.
    let mut told = reporter.take_diagnostics();
    if let Ok(outcome) = &outcome {
        for diagnostic in &mut told {
            explain_patch_error(diagnostic);
            outcome.items.locate(diagnostic);
        }
    }
    let text: String = told.iter().map(line::render).collect();
    if !text.is_empty() {
        reporter.print_note(text.trim_end());
    }
    match outcome {
        Ok(outcome) if !told.iter().any(Diagnostic::is_error) => {
            print_data(&outcome.text)?;
            Ok(EXIT_SUCCESS)
        }
        Ok(_) => Ok(EXIT_FINDINGS),
        Err(error) => Err(error),
    }
}

/// What was generated.
#[derive(Default)]
struct CmpOutput {
    text: String,
    /// What came on a stream, to name it in messages.
    items: StreamObjects,
}

/// Generates the manifests of an Application.
fn generate(path: &Path, allows_remote: bool, reporter: &mut Reporter) -> Result<CmpOutput, CommandError> {
    let text = std::env::var("ARGOCD_APP_PARAMETERS").unwrap_or_default();
    let (given, wrong) = cmp_parameters::read_parameters(&text);
    if !wrong.is_empty() {
        reporter.add(wrong);
        return Err(CommandError::invalid_config([]));
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
        ManifestOrigin::Stdin => match read_stream(&mut std::io::stdin().lock(), &STREAM_NAME.into()) {
            Ok(text) => Some(text),
            Err(wrong) => {
                reporter.add([wrong]);
                return Err(CommandError::from_diagnostics([]));
            }
        },
        ManifestOrigin::Kustomize => Some(build_kustomization(&folder, allows_remote, reporter)?),
        ManifestOrigin::Folder => None,
    };
    let mut spec = given.spec;
    if stream.is_none() {
        spec.sources = vec![".".to_owned()];
    }
    let told = FunctionOptions {
        folder,
        repository_root: repository_root(),
        is_application: true,
        namespace: given.namespace,
        fallback_namespace: std::env::var("ARGOCD_APP_NAMESPACE").ok(),
        cluster: given.cluster,
        ..FunctionOptions::in_working_folder(
            FunctionConfig { spec, inline: Vec::new() },
            Span::whole_file("the parameters of the Application"),
        )
    };
    let name: Arc<str> = STREAM_NAME.into();
    let found =
        stream.as_deref().map_or_else(CollectedObjects::default, |text| collect_objects(&name, text, true));
    let (door, wrong) = IntegrationSession::open(&told, found, false);
    reporter.add(wrong);
    let door = door.ok_or_else(|| CommandError::from_diagnostics([]))?;
    if reporter.has_errors() {
        reporter.suppress_error_locations();
    }
    let mut generated = CmpOutput::default();
    match &stream {
        Some(text) => {
            generated.items = StreamObjects::from_stream(text);
            let (text, wrong) = door.render(&name, text);
            reporter.add(wrong);
            append_manifests(&mut generated.text, &name, &text, reporter);
        }
        None => {
            let (texts, wrong) = door.render_sources();
            reporter.add(wrong);
            for (name, text) in &texts {
                append_manifests(&mut generated.text, name, text, reporter);
            }
        }
    }
    if reporter.has_errors() {
        return Ok(generated);
    }
    finish_output(generated, &door, &origin, reporter)
}

fn finish_output(
    generated: CmpOutput,
    door: &IntegrationSession,
    origin: &ManifestOrigin,
    reporter: &mut Reporter,
) -> Result<CmpOutput, CommandError> {
    if generated.text.is_empty() {
        // Argo CD would take it for an Application without resources, and with `prune` delete all it has.
        let wrong = Diagnostic::error(
            Code::EmptyOutput,
            "no manifests were generated: Argo CD would prune the Application",
        );
        reporter.add([match origin {
            ManifestOrigin::Stdin => wrong.help("the command before `| pillion cmp generate -` printed nothing"),
            ManifestOrigin::Kustomize => wrong.help("`kustomize build` printed SidecarSets at most: list applications in `resources:`"),
            ManifestOrigin::Folder => wrong.help(
                "check `path` of the Application; pillion.yaml names folders of rendered files and ledgers, which are no sources",
            ),
        }]);
        return Err(CommandError::from_diagnostics([]));
    }
    reporter.add(dangling_references(&generated.text, door));
    Ok(generated)
}

/// Adds the manifests of a text; Argo CD refuses documents without a kind, which other readers pass over.
fn append_manifests(output: &mut String, name: &Arc<str>, text: &str, reporter: &mut Reporter) {
    for (index, piece) in split_documents(name, text).0.into_iter().enumerate() {
        let part = &text[piece.span];
        let Ok(document) = Document::read(name, index, piece.first_line, part) else { continue };
        if document.value().is_null() {
            continue;
        }
        if type_meta(document.value()).is_none() {
            let message = "a document without `apiVersion` and `kind` is left out";
            reporter.add([Diagnostic::note(Code::FolderSkipped, message).at(document.label(
                &crate::yaml::FieldPath::root(),
                crate::yaml::EntryPart::Value,
                "",
            ))]);
            continue;
        }
        if !output.is_empty() && !part.starts_with("---") {
            output.push_str("---\n");
        }
        output.push_str(part);
        if !output.ends_with('\n') {
            output.push('\n');
        }
    }
}

/// Builds the kustomization of a folder. No plugins, functions or charts: what a repository names is not executed.
fn build_kustomization(
    folder: &Path,
    allows_remote: bool,
    reporter: &mut Reporter,
) -> Result<String, CommandError> {
    let at = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let may_fetch = kustomize::may_fetch(allows_remote).map_err(CommandError::usage)?;
    let built = kustomize::build(at, may_fetch, |time| {
        reporter.print_note(&format!(
            "pillion: `kustomize build {}` has not ended after {} s; what it takes from elsewhere may not answer",
            at.display(),
            time.as_secs()
        ));
    });
    match built {
        Ok(ended) if ended.status.success() => {
            decode_text(ended.stdout, &STREAM_NAME.into()).map_err(|wrong| {
                reporter.add([wrong]);
                CommandError::from_diagnostics([])
            })
        }
        Ok(ended) => {
            let said = String::from_utf8_lossy(&ended.stderr);
            let error =
                CommandError::findings(format!("`kustomize build {}` failed: {}", at.display(), said.trim()));
            Err(match said.contains("external plugins disabled") {
                true => error.hint("this plugin starts no functions of a repository: take pillion out of `transformers:`, it renders what kustomize builds"),
                false => error,
            })
        }
        Err(KustomizeError::InvalidKustomization(wrong)) => {
            reporter.add(wrong);
            Err(CommandError::from_diagnostics([]))
        }
        Err(KustomizeError::Program(failure)) => Err(kustomize_error(at, &failure)),
    }
}

/// Returns why kustomize was not started, or was stopped.
fn kustomize_error(at: &Path, failure: &programs::Error) -> CommandError {
    let at = at.display();
    match failure {
        programs::Error::Start(error) if error.kind() == std::io::ErrorKind::NotFound => {
            CommandError::environment(
                "the folder has a kustomization, and `kustomize` is not on PATH: put it into the image of the plugin",
            )
        }
        programs::Error::Start(error) => {
            CommandError::environment(format!("`kustomize` cannot be started: {error}"))
        }
        programs::Error::OutputTooLarge(_) => CommandError::findings(format!(
            "`kustomize build {at}` was ended: it printed more than {} MiB",
            MAX_FILE_BYTES >> 20
        )),
        programs::Error::TimedOut(_) | programs::Error::OutputStillOpen | programs::Error::Stopped => {
            CommandError::findings(format!(
                "`kustomize build {at}` was ended: it took longer than `{}` allows; what it takes from elsewhere may not answer",
                kustomize::TIMEOUT_VARIABLE
            ))
        }
    }
}

/// The root of the copied repository: Argo CD says which folder of it is the working one, and there may be no `.git`.
fn repository_root() -> Option<PathBuf> {
    find_application_root(&std::env::var("ARGOCD_APP_SOURCE_PATH").ok()?)
}
