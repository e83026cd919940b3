//! `pillion plan --by pod --next`: the step that Kruise's own controller would take next.

use super::{PlanArgs, PlanOutput};
use crate::cli::error::CommandError;
use crate::cli::inputs::collect_inputs;
use crate::cli::reporter::Reporter;
use crate::cli::{EXIT_SUCCESS, GlobalArgs, OutputFormat, print_text};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::api::PILLION_API_VERSION;
use crate::model::sidecar_set::{DecodeMode, SidecarSet};
use crate::read::Disk;
use crate::render::{CollectedObjects, read_states, validate_sets};
use crate::rollout::pods::{NamespaceLabelMap, PodStep, PodStepKind, next_pod_step, read_pods};
use crate::workspace::{Workspace, collect_files, inputs_from_paths, read_documents};
use crate::yaml::{Document, EntryPart, FieldPath};
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Runs the pod-level form of `pillion plan`.
pub(super) fn run(args: &PlanArgs, common: &GlobalArgs, reporter: &mut Reporter) -> Result<u8, CommandError> {
    let observed = observed_file(args).map_err(CommandError::usage)?;
    let workspace = args.sources.open_workspace(&args.paths, common, None, reporter);
    let mut workspace = workspace.ok_or_else(|| CommandError::invalid_config([]))?;
    let (set, namespaces) = single_sidecar_set(args, common, &mut workspace, reporter);
    let step =
        set.and_then(|set| plan_next_step(&set, observed, &namespaces, reporter).map(|step| (set, step)));
    reporter.fail_on_errors()?;
    let (set, step) = step.ok_or_else(|| CommandError::from_diagnostics([]))?;
    print_text(&match args.output {
        PlanOutput::Json => to_json(&step),
        PlanOutput::Yaml => OutputFormat::Yaml.convert(to_json(&step)),
        _ => to_text(&set.name, &step),
    })?;
    Ok(EXIT_SUCCESS)
}

/// Returns the file with the pods, or what is wrong with the command line.
fn observed_file(args: &PlanArgs) -> Result<&PathBuf, &'static str> {
    match &args.cluster_state {
        _ if !args.next => Err("pods are only known as they are now: add `--next`, which plans one step"),
        None => Err(
            "which pods there are is not known: add `--cluster-state FILE` with `kubectl get pods -A -o json`",
        ),
        Some(file) => Ok(file),
    }
}

/// Finds the one SidecarSet among the inputs, sound by Kruise's rules, and the labels of namespaces.
fn single_sidecar_set(
    args: &PlanArgs,
    common: &GlobalArgs,
    workspace: &mut Workspace,
    reporter: &mut Reporter,
) -> (Option<Arc<SidecarSet>>, NamespaceLabelMap) {
    let mut inputs = collect_inputs(workspace, common);
    let mut collected = std::mem::take(&mut inputs.collected);
    // What the command line names is meant; pillion.yaml may name a folder with many.
    let named = if args.paths.is_empty() { Vec::new() } else { collected.sidecar_sets.clone() };
    collected.merge(inputs.collect_additional(&workspace.sidecar_sets));
    if !named.is_empty() {
        collected.sidecar_sets = named;
    }
    if let Some(name) = args.names.first() {
        let name_of = |(document, path): &(Arc<Document>, FieldPath)| {
            path.find(document.value())?["metadata"]["name"].as_str().map(str::to_owned)
        };
        collected.sidecar_sets.retain(|set| name_of(set).is_none_or(|n| n == *name));
    }
    let mut states = collect_files(&workspace.history, &Disk);
    for found in [&mut collected, &mut states] {
        reporter.add(found.diagnostics.drain(..));
        reporter.add(found.unreadable.drain(..));
    }
    let namespaces =
        crate::render::NamespaceIndex::from_inputs(&collected, &workspace.configuration.repository)
            .into_map();
    // A live cluster takes a set as Kruise reads it: what it does not know any more has no effect.
    let (history, diagnostics) = read_states(&states.sidecar_sets, DecodeMode::Validate);
    reporter.add(diagnostics);
    let (sets, diagnostics) = read_states(&collected.sidecar_sets, DecodeMode::Validate);
    reporter.add(diagnostics);
    let set = match &collected.sidecar_sets[..] {
        [] if reporter.has_errors() => None,
        [_] => sets.into_iter().next(),
        _ => {
            reporter.add([sidecar_set_count_error(&collected, &sets, args)]);
            None
        }
    };
    if let Some(set) = &set {
        reporter.add(validate_sets(std::slice::from_ref(set), &[], &history));
    }
    (set.filter(|_| !reporter.has_errors()), namespaces)
}

fn sidecar_set_count_error(
    collected: &CollectedObjects,
    sets: &[Arc<SidecarSet>],
    args: &PlanArgs,
) -> Diagnostic {
    if collected.sidecar_sets.is_empty() {
        let places = args.paths.iter().map(|p| Span::whole_file(p.to_string_lossy()));
        let nothing = Diagnostic::error(
            Code::NoSidecarSet,
            match args.names.first() {
                Some(name) => format!("there is no SidecarSet `{name}` among the inputs"),
                None => "no SidecarSet found among the inputs".to_owned(),
            },
        );
        return places.fold(nothing, Diagnostic::at).help("name the file of the SidecarSet with `-f FILE`");
    }
    let names: Vec<String> = sets.iter().map(|s| format!("`{}`", s.name)).collect();
    let several = Diagnostic::error(
        Code::SeveralSidecarSets,
        format!(
            "there are {} SidecarSets among the inputs: {}",
            collected.sidecar_sets.len(),
            names.join(", ")
        ),
    );
    let label = |(document, path): &(Arc<Document>, FieldPath)| {
        document.label(&path.join(&FieldPath::dotted("metadata.name")), EntryPart::Value, "")
    };
    let labels = collected.sidecar_sets.iter().map(label);
    labels
        .fold(several, Diagnostic::at)
        .help("name the one to plan: `pillion plan NAME`, or its file with `-f FILE`")
}

fn plan_next_step(
    set: &SidecarSet,
    file: &PathBuf,
    namespaces: &NamespaceLabelMap,
    reporter: &mut Reporter,
) -> Option<PodStep> {
    let input = inputs_from_paths(std::slice::from_ref(file)).pop()?;
    let (documents, diagnostics) = read_documents(&input, &Disk);
    reporter.add(diagnostics);
    let (pods, diagnostics) = read_pods(&documents);
    reporter.add(diagnostics);
    if reporter.has_errors() {
        return None;
    }
    let (step, found) = next_pod_step(set, &pods, namespaces);
    reporter.add(found);
    Some(step)
}

fn to_json(step: &PodStep) -> String {
    let mut next = json!({"kind": step.kind.name()});
    if step.kind == PodStepKind::Batch {
        next["pods"] = json!(step.pods);
    }
    next["reason"] = json!(step.reason);
    let document = json!({
        "apiVersion": PILLION_API_VERSION,
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

fn to_text(set: &str, step: &PodStep) -> String {
    let mut text = match (step.kind, step.pods.len()) {
        (PodStepKind::Batch, 1) => format!("{set}: batch of 1 pod\n"),
        (PodStepKind::Batch, count) => format!("{set}: batch of {count} pods\n"),
        (kind, _) => {
            format!("{set}: {}, {}\n", kind.name().to_lowercase(), step.reason.as_deref().unwrap_or_default())
        }
    };
    for pod in step.pods.iter().filter(|_| step.kind == PodStepKind::Batch) {
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
