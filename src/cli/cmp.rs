//! `pillion cmp`: pillion as a config management plugin of Argo CD.
//!
//! `generate` runs in the folder of an Application, in a copy of its repository that may have no `.git`, with any user
//! and perhaps a read-only root. It reads below that repository only, and starts no program but `kustomize`.

use super::door::{self, Door, Told, explain_patches};
use super::items::{Items, STREAM};
use super::kustomization;
use super::kustomize::{self, NotBuilt};
use super::legacy::dangling_in;
use super::report::Reporter;
use super::topmost::root_of_application;
use super::{DONE, ENVIRONMENT, FINDINGS, USAGE, data_to_stdout, parameters, to_stdout};
use crate::diag::{Code, Diagnostic, Label, line};
use crate::model::sidecars::Decoded;
use crate::model::workload::type_of;
use crate::programs;
use crate::read::{MAX_FILE, read_stream, text_of};
use crate::render::{Gathered, gather};
use crate::write::Failure;
use crate::yaml::{Document, split};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `pillion cmp`.
#[derive(Debug, Args)]
pub(super) struct CmpArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the manifests of the Application in the working folder, with their sidecars
    Generate {
        /// `-`: manifests come on standard input (`helm template . | pillion cmp generate -`); else the folder of
        /// the Application
        #[arg(default_value = ".")]
        path: PathBuf,
        /// Let kustomize fetch what a kustomization names elsewhere, as PILLION_ALLOW_REMOTE_BASES=true does
        #[arg(long)]
        allow_remote_bases: bool,
    },
    /// Print the parameters that an Application may set, as Argo CD's user interface shows them
    Parameters,
}

/// Where the manifests come from.
enum Origin {
    Stdin,
    /// Built by the real kustomize.
    Kustomize,
    Folder,
}

/// Runs `pillion cmp`.
pub(super) fn run(args: &CmpArgs, reporter: &mut Reporter) -> Result<u8, Failure> {
    let (path, allows_remote) = match &args.what {
        What::Parameters => {
            to_stdout(&parameters::announcement())?;
            return Ok(DONE);
        }
        What::Generate { path, allow_remote_bases } => (path, *allow_remote_bases),
    };
    let outcome = generate(path, allows_remote, reporter);
    // Argo CD shows what stands on standard error, all of it: one line a finding, without lines of the files.
    let mut told = reporter.take();
    if let Ok(outcome) = &outcome {
        for diagnostic in &mut told {
            explain_patches(diagnostic);
            outcome.items.place(diagnostic);
        }
    }
    let text: String = told.iter().map(line::render).collect();
    if !text.is_empty() {
        reporter.say(text.trim_end());
    }
    match outcome {
        Ok(outcome) if !told.iter().any(Diagnostic::is_error) => {
            data_to_stdout(&outcome.text)?;
            Ok(DONE)
        }
        Ok(_) => Ok(FINDINGS),
        Err(code) => Ok(code),
    }
}

/// What was generated.
#[derive(Default)]
struct Generated {
    text: String,
    /// What came on a stream, to name it in messages.
    items: Items,
}

/// Generates manifests; an error is the exit code of what was said already.
fn generate(path: &Path, allows_remote: bool, reporter: &mut Reporter) -> Result<Generated, u8> {
    let text = std::env::var("ARGOCD_APP_PARAMETERS").unwrap_or_default();
    let (given, wrong) = parameters::read(&text);
    if !wrong.is_empty() {
        reporter.add(wrong);
        return Err(USAGE);
    }
    let folder = match path.as_os_str() == "-" {
        true => PathBuf::new(),
        false => crate::read::plain(path),
    };
    let origin = match (path.as_os_str() == "-", kustomization::in_folder(&folder)) {
        (true, _) => Origin::Stdin,
        (false, Some(_)) => Origin::Kustomize,
        (false, None) => Origin::Folder,
    };
    let stream = match origin {
        Origin::Stdin => match read_stream(&mut std::io::stdin().lock(), &STREAM.into()) {
            Ok(text) => Some(text),
            Err(wrong) => {
                reporter.add([wrong]);
                return Err(FINDINGS);
            }
        },
        Origin::Kustomize => Some(built(&folder, allows_remote, reporter)?),
        Origin::Folder => None,
    };
    let mut spec = given.spec;
    if stream.is_none() {
        spec.sources = vec![".".to_owned()];
    }
    let told = Told {
        folder,
        top: top(),
        is_application: true,
        namespace: given.namespace,
        otherwise: std::env::var("ARGOCD_APP_NAMESPACE").ok(),
        cluster: given.cluster,
        ..Told::in_working_folder(
            Decoded { spec, inline: Vec::new() },
            Label::whole_file("the parameters of the Application"),
        )
    };
    let name: Arc<str> = STREAM.into();
    let found = stream.as_deref().map_or_else(Gathered::default, |text| gather(&name, text, true));
    let (door, wrong) = door::open(&told, found);
    reporter.add(wrong);
    let Some(door) = door else { return Err(FINDINGS) };
    if reporter.has_errors() {
        reporter.settle();
    }
    let mut generated = Generated::default();
    match &stream {
        Some(text) => {
            generated.items = Items::of_stream(text);
            let (text, wrong) = door.render(&name, text);
            reporter.add(wrong);
            append(&mut generated.text, &name, &text, reporter);
        }
        None => {
            let (texts, wrong) = door.render_sources();
            reporter.add(wrong);
            for (name, text) in &texts {
                append(&mut generated.text, name, text, reporter);
            }
        }
    }
    if reporter.has_errors() {
        return Ok(generated);
    }
    finish(generated, &door, &origin, reporter)
}

fn finish(
    generated: Generated,
    door: &Door,
    origin: &Origin,
    reporter: &mut Reporter,
) -> Result<Generated, u8> {
    if generated.text.is_empty() {
        // Argo CD would take it for an Application without resources, and with `prune` delete all it has.
        let wrong =
            Diagnostic::error(Code::EmptyOutput, "there is no manifest, and nothing is not an answer");
        reporter.add([match origin {
            Origin::Stdin => wrong.help("what stands before `| pillion cmp generate -` printed nothing"),
            Origin::Kustomize => wrong.help("`kustomize build` printed SidecarSets at most: list applications in `resources:`"),
            Origin::Folder => wrong.help(
                "check `path` of the Application; pillion.yaml names folders of rendered files and ledgers, which are no sources",
            ),
        }]);
        return Err(FINDINGS);
    }
    reporter.add(dangling_in(&generated.text, door));
    Ok(generated)
}

/// Adds the manifests of a text; Argo CD refuses documents without a kind, which other readers pass over.
fn append(output: &mut String, name: &Arc<str>, text: &str, reporter: &mut Reporter) {
    for (index, piece) in split(name, text).0.into_iter().enumerate() {
        let part = &text[piece.span];
        let Ok(document) = Document::read(name, index, piece.first_line, part) else { continue };
        if document.value().is_null() {
            continue;
        }
        if type_of(document.value()).is_none() {
            let message = "a document without `apiVersion` and `kind` is left out";
            reporter.add([Diagnostic::note(Code::FolderSkipped, message).at(document.label(
                &crate::yaml::Path::root(),
                crate::yaml::Part::Value,
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
fn built(folder: &Path, allows_remote: bool, reporter: &mut Reporter) -> Result<String, u8> {
    let at = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let may_fetch = kustomize::may_fetch(allows_remote).map_err(|why| {
        reporter.error(&format!("pillion: {why}"));
        USAGE
    })?;
    let built = kustomize::build(at, may_fetch, |time| {
        reporter.say(&format!(
            "pillion: `kustomize build {}` has not ended after {} s; what it takes from elsewhere may not answer",
            at.display(),
            time.as_secs()
        ));
    });
    match built {
        Ok(ended) if ended.status.success() => text_of(ended.output, &STREAM.into()).map_err(|wrong| {
            reporter.add([wrong]);
            FINDINGS
        }),
        Ok(ended) => {
            let said = String::from_utf8_lossy(&ended.errors);
            reporter.error(&format!("pillion: `kustomize build {}` failed: {}", at.display(), said.trim()));
            if said.contains("external plugins disabled") {
                reporter.error("pillion: this plugin starts no functions of a repository: take pillion out of `transformers:`, it renders what kustomize builds");
            }
            Err(FINDINGS)
        }
        Err(NotBuilt::Refused(wrong)) => {
            reporter.add(wrong);
            Err(FINDINGS)
        }
        Err(NotBuilt::Failed(failure)) => Err(not_built(at, &failure, reporter)),
    }
}

/// Says why kustomize did not come to its end, and returns the exit code.
fn not_built(at: &Path, failure: &programs::Failure, reporter: &Reporter) -> u8 {
    let at = at.display();
    let (why, code) = match failure {
        programs::Failure::Start(error) if error.kind() == std::io::ErrorKind::NotFound => (
            "the folder has a kustomization, and `kustomize` is not on PATH: put it into the image of the plugin".to_owned(),
            ENVIRONMENT,
        ),
        programs::Failure::Start(error) => (format!("`kustomize` cannot be started: {error}"), ENVIRONMENT),
        programs::Failure::TooMuch(_) => {
            (format!("`kustomize build {at}` was ended: it printed more than {} MiB", MAX_FILE >> 20), FINDINGS)
        }
        programs::Failure::TooLong(_) | programs::Failure::StillOpen | programs::Failure::Stopped => (
            format!(
                "`kustomize build {at}` was ended: it took longer than `{}` allows; what it takes from elsewhere may not answer",
                kustomize::LIMIT
            ),
            FINDINGS,
        ),
    };
    reporter.error(&format!("pillion: {why}"));
    code
}

/// The root of the copied repository: Argo CD says which folder of it is the working one, and there may be no `.git`.
fn top() -> Option<PathBuf> {
    root_of_application(&std::env::var("ARGOCD_APP_SOURCE_PATH").ok()?)
}
