//! `pillion plan --by pod --next`: the step that Kruise's own controller would take next.

use super::{Output, PlanArgs};
use crate::cli::inputs::{self, Inputs};
use crate::cli::pipeline::{first_pass, gather_files, read_documents};
use crate::cli::report::Reporter;
use crate::cli::{Common, DONE, FINDINGS, USAGE, to_stdout};
use crate::diag::{Code, Diagnostic, Label};
use crate::model::sidecar_set::{Mode, SidecarSet};
use crate::plan::pods::{Kind, Namespaces, NextStep, next_step, observed};
use crate::read::{Disk, named};
use crate::render::{Gathered, check_sets, read_states};
use crate::write::Failure;
use crate::yaml::{Part, Path};
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Runs the pod-level form of `pillion plan`.
pub(super) fn run(args: &PlanArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, Failure> {
    let observed = match observed_file(args) {
        Ok(file) => file,
        Err(wrong) => {
            reporter.error(&format!("pillion: {wrong}"));
            return Ok(USAGE);
        }
    };
    let mut inputs = inputs::find(&args.inputs, common, None);
    reporter.add(std::mem::take(&mut inputs.diagnostics));
    if inputs.is_unusable {
        return Ok(USAGE);
    }
    let (set, namespaces) = only_set(args, common, &mut inputs, reporter);
    let step = set.and_then(|set| next(&set, observed, &namespaces, reporter).map(|step| (set, step)));
    match step.filter(|_| !reporter.has_errors()) {
        Some((set, step)) => {
            to_stdout(&match args.output {
                Output::Json => json_of(&step),
                _ => text_of(&set.name, &step),
            })?;
            Ok(DONE)
        }
        None => Ok(FINDINGS),
    }
}

/// Returns the file with the pods, or what is wrong with the command line.
fn observed_file(args: &PlanArgs) -> Result<&PathBuf, &'static str> {
    match &args.observed {
        _ if !args.next => Err("pods are only known as they are now: add `--next`, which plans one step"),
        None => {
            Err("which pods there are is not known: add `--observed FILE` with `kubectl get pods -A -o json`")
        }
        Some(file) => Ok(file),
    }
}

/// Finds the one SidecarSet among the inputs, sound by Kruise's rules, and the labels of namespaces.
fn only_set(
    args: &PlanArgs,
    common: &Common,
    inputs: &mut Inputs<'_>,
    reporter: &mut Reporter,
) -> (Option<Arc<SidecarSet>>, Namespaces) {
    let mut first = first_pass(inputs, common);
    let mut gathered = std::mem::take(&mut first.gathered);
    // What the command line names is meant; pillion.yaml may name a folder with many.
    let named = if args.inputs.paths.is_empty() { Vec::new() } else { gathered.sidecar_sets.clone() };
    gathered.merge(first.gather_further(&inputs.sidecar_sets));
    if !named.is_empty() {
        gathered.sidecar_sets = named;
    }
    let mut states = gather_files(&inputs.history, inputs.files);
    for found in [&mut gathered, &mut states] {
        reporter.add(found.diagnostics.drain(..));
        reporter.add(found.unreadable.drain(..));
    }
    let namespaces = crate::render::Namespaces::known(&gathered, &inputs.repository).into_map();
    // A live cluster takes a set as Kruise reads it: what it does not know any more has no effect.
    let (history, wrong) = read_states(&states.sidecar_sets, Mode::Validate);
    reporter.add(wrong);
    let (sets, wrong) = read_states(&gathered.sidecar_sets, Mode::Validate);
    reporter.add(wrong);
    let set = match &gathered.sidecar_sets[..] {
        [] if reporter.has_errors() => None,
        [_] => sets.into_iter().next(),
        _ => {
            reporter.add([not_one(&gathered, &sets, args)]);
            None
        }
    };
    if let Some(set) = &set {
        reporter.add(check_sets(std::slice::from_ref(set), &[], &history));
    }
    (set.filter(|_| !reporter.has_errors()), namespaces)
}

fn not_one(gathered: &Gathered, sets: &[Arc<SidecarSet>], args: &PlanArgs) -> Diagnostic {
    if gathered.sidecar_sets.is_empty() {
        let places = args.inputs.paths.iter().map(|p| Label::whole_file(p.to_string_lossy()));
        let nothing = Diagnostic::error(Code::NoSidecarSet, "there is no SidecarSet among the inputs");
        return places
            .fold(nothing, Diagnostic::at)
            .help("name the file of the SidecarSet that is rolled out");
    }
    let names: Vec<String> = sets.iter().map(|s| format!("`{}`", s.name)).collect();
    let several = Diagnostic::error(
        Code::SeveralSidecarSets,
        format!(
            "there are {} SidecarSets among the inputs: {}",
            gathered.sidecar_sets.len(),
            names.join(", ")
        ),
    );
    let label = |(document, path): &(Arc<crate::yaml::Document>, Path)| {
        document.label(&path.join(&Path::dotted("metadata.name")), Part::Value, "")
    };
    let labels = gathered.sidecar_sets.iter().map(label);
    labels
        .fold(several, Diagnostic::at)
        .help("a rollout is of one SidecarSet: name the file that holds it alone")
}

fn next(
    set: &SidecarSet,
    file: &PathBuf,
    namespaces: &Namespaces,
    reporter: &mut Reporter,
) -> Option<NextStep> {
    let input = named(std::slice::from_ref(file)).pop()?;
    let (documents, wrong) = read_documents(&input, &Disk);
    reporter.add(wrong);
    let (pods, wrong) = observed(&documents);
    reporter.add(wrong);
    if reporter.has_errors() {
        return None;
    }
    let (step, found) = next_step(set, &pods, namespaces);
    reporter.add(found);
    Some(step)
}

fn json_of(step: &NextStep) -> String {
    let mut next = json!({"kind": step.kind.name()});
    if step.kind == Kind::Batch {
        next["pods"] = json!(step.pods);
    }
    next["reason"] = json!(step.reason);
    let document = json!({
        "apiVersion": "pillion.dev/v1alpha1",
        "kind": "NextStep",
        "next": next,
        "status": {
            "matchedPods": step.status.matched_pods,
            "updatedPods": step.status.updated_pods,
            "readyPods": step.status.ready_pods,
            "updatedReadyPods": step.status.updated_ready_pods,
        },
        "notUpgradable": step.not_upgradable,
    });
    format!("{document}\n")
}

fn text_of(set: &str, step: &NextStep) -> String {
    let mut text = match (step.kind, step.pods.len()) {
        (Kind::Batch, 1) => format!("{set}: batch of 1 pod\n"),
        (Kind::Batch, count) => format!("{set}: batch of {count} pods\n"),
        (kind, _) => {
            format!("{set}: {}, {}\n", kind.name().to_lowercase(), step.reason.as_deref().unwrap_or_default())
        }
    };
    for pod in step.pods.iter().filter(|_| step.kind == Kind::Batch) {
        let _ = writeln!(text, "  {pod}");
    }
    if !step.not_upgradable.is_empty() {
        let _ =
            writeln!(text, "not upgradable, more than images differs: {}", step.not_upgradable.join(", "));
    }
    let status = step.status;
    let _ = writeln!(
        text,
        "before this step: {} matched, {} updated, {} ready, {} updated and ready",
        status.matched_pods, status.updated_pods, status.ready_pods, status.updated_ready_pods
    );
    text
}
