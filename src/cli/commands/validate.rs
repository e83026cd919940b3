//! `pillion validate`: the verdict of Kruise's own validation on every SidecarSet.

use crate::cli::error::CommandError;
use crate::cli::inputs::{InputArgs, collect_inputs};
use crate::cli::reporter::Reporter;
use crate::cli::{EXIT_FINDINGS, EXIT_SUCCESS, EXIT_USAGE, GlobalArgs, OutputFormat, print_text};
use crate::diagnostics::{Code, Diagnostic, Span, json, pluralize, sarif};
use crate::model::ledger::decode;
use crate::model::sidecar_set::{DecodeMode, SidecarSet, lint};
use crate::read::Disk;
use crate::render::{CollectedObjects, KnownSets, OverrideIndex, read_sets, read_states, validate_sets};
use crate::stage::{ClusterView, settings_of_set, unmatched_selector, unreached_in_clusters};
use crate::workspace::{
    ClusterSources, Configuration, Workspace, collect_files, inputs_from_paths, read_ledger_files,
};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::sync::Arc;

/// Arguments of `pillion validate`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ValidateArgs {
    #[command(flatten)]
    inputs: InputArgs,
    /// SidecarSets before the change, to check the rules of an update as well (repeatable)
    #[arg(long, value_name = "FILE")]
    old: Vec<PathBuf>,
    /// Format of the findings
    #[arg(short, long, value_enum, default_value = "text")]
    output: ValidateOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ValidateOutput {
    /// Messages on standard error
    Text,
    /// A `Diagnostics` document on standard output
    Json,
    /// The same document as YAML
    Yaml,
    /// A SARIF 2.1.0 log on standard output
    Sarif,
}

/// Runs `pillion validate`.
pub(in crate::cli) fn run(
    args: &ValidateArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let workspace = args.inputs.sources.open_workspace(&args.inputs.paths, common, None, reporter);
    let is_unusable = workspace.is_none();
    let mut checked = 0;
    if let Some(mut workspace) = workspace {
        let (sets, found) = validate_inputs(args, common, &mut workspace);
        checked = sets;
        reporter.add(found);
    }
    let code = match (is_unusable, reporter.has_errors()) {
        (true, _) => EXIT_USAGE,
        (false, true) => EXIT_FINDINGS,
        (false, false) => EXIT_SUCCESS,
    };
    match args.output {
        ValidateOutput::Text if code == EXIT_SUCCESS => print_text(&format!(
            "{} {} valid\n",
            pluralize(checked as u64, "SidecarSet"),
            if checked == 1 { "is" } else { "are" }
        ))?,
        ValidateOutput::Text => {}
        ValidateOutput::Json => print_text(&json::render(&reporter.take_diagnostics()))?,
        ValidateOutput::Yaml => {
            print_text(&OutputFormat::Yaml.convert(json::render(&reporter.take_diagnostics())))?
        }
        ValidateOutput::Sarif => {
            print_text(&sarif::render(&reporter.take_diagnostics(), env!("CARGO_PKG_VERSION")))?
        }
    }
    Ok(code)
}

/// Returns how many sets were checked, and what is wrong with them.
fn validate_inputs(
    args: &ValidateArgs,
    common: &GlobalArgs,
    workspace: &mut Workspace,
) -> (usize, Vec<Diagnostic>) {
    let mut inputs = collect_inputs(workspace, common);
    let mut collected = std::mem::take(&mut inputs.collected);
    collected.merge(inputs.collect_additional(&workspace.sidecar_sets));
    let states = collect_files(&workspace.history, &Disk);
    let old = collect_files(&inputs_from_paths(&args.old), &Disk);
    let mut diagnostics = std::mem::take(&mut collected.diagnostics);
    for unreadable in [
        std::mem::take(&mut collected.unreadable),
        states.diagnostics,
        states.unreadable,
        old.diagnostics,
        old.unreadable,
    ] {
        diagnostics.extend(unreadable);
    }
    if collected.sidecar_sets.is_empty() && !diagnostics.iter().any(Diagnostic::is_error) {
        let nothing = Diagnostic::error(Code::NoSidecarSet, "no SidecarSet found among the inputs").help(
            "a SidecarSet has `apiVersion: apps.kruise.io/v1beta1` (or v1alpha1) and `kind: SidecarSet`",
        );
        let places = args.inputs.paths.iter().map(|p| Span::whole_file(p.to_string_lossy()));
        diagnostics.push(places.fold(nothing, Diagnostic::at));
    }
    let (sets, problems) = read_sets(&collected.sidecar_sets, DecodeMode::Validate);
    diagnostics.extend(problems);
    let (history, problems) = read_states(&states.sidecar_sets, DecodeMode::Validate);
    diagnostics.extend(problems);
    // What is wrong with an old state can no longer be fixed.
    let (old, _) = read_states(&old.sidecar_sets, DecodeMode::Validate);
    diagnostics.extend(validate_sets(&sets, &old, &history));
    let rollout = workspace.configuration.repository.rollout.clone().unwrap_or_default();
    diagnostics.extend(sets.iter().flat_map(|set| settings_of_set(set, &rollout).1));
    if workspace.is_complete {
        diagnostics.extend(check_ledgers(&workspace.configuration));
    }
    diagnostics.extend(check_overrides(workspace, &collected, &sets));
    if !diagnostics.iter().any(Diagnostic::is_error) {
        diagnostics.extend(sets.iter().flat_map(|set| lint(set)));
        if workspace.is_complete {
            diagnostics.extend(check_selections(workspace));
        }
    }
    (sets.len(), diagnostics)
}

/// Reports what is wrong with SidecarOverrides, whatever the workloads are.
fn check_overrides(
    workspace: &Workspace,
    collected: &CollectedObjects,
    sets: &[Arc<SidecarSet>],
) -> Vec<Diagnostic> {
    if collected.overrides.is_empty() {
        return Vec::new();
    }
    let configuration = &workspace.configuration;
    let (ledgers, _) = configuration.layout.find_ledgers(&Disk);
    let (gathered, _) = read_ledger_files(ledgers.iter().map(|ledger| &ledger.input), &Disk);
    let ledgers = gathered.ledgers.iter().filter_map(|(document, path)| decode(document, path).0);
    let ledgers = ledgers.map(|ledger| (Arc::clone(&ledger.name), ledger)).collect();
    let known = KnownSets {
        written: sets,
        ledgers: &ledgers,
        expects_ledgers: configuration.repository.ledgers.is_some(),
    };
    OverrideIndex::read(&collected.overrides, &configuration.override_rules(), &known).1
}

/// Finds SidecarSets that select nothing, in a repository that has workloads; what a command builds is not looked at.
fn check_selections(workspace: &Workspace) -> Vec<Diagnostic> {
    let configuration = &workspace.configuration;
    let repository = &configuration.repository;
    if repository.build.is_some() || repository.clusters.iter().any(|cluster| cluster.build.is_some()) {
        return Vec::new();
    }
    let mut views = Vec::new();
    for cluster in workspace.selected_clusters() {
        let cluster = cluster.as_ref().map(|c| &*c.name);
        let from = ClusterSources { files: &Disk, ledgers: &Disk, built: None, cluster };
        views.push(ClusterView::load(configuration, &from).0);
    }
    let all: Vec<&ClusterView> = views.iter().collect();
    let mut found: Vec<Diagnostic> = Vec::new();
    for view in &views {
        for set in &view.prepared.sets {
            let unmatched = unmatched_selector(view, &all, &set.name);
            found.extend(unmatched.filter(|diagnostic| !found.contains(diagnostic)));
        }
    }
    found.extend(unreached_in_clusters(&all));
    found
}

/// Reads the ledgers that pillion.yaml names, and returns what is wrong with them.
fn check_ledgers(configuration: &Configuration) -> Vec<Diagnostic> {
    let (ledgers, mut diagnostics) = configuration.layout.find_ledgers(&Disk);
    let (gathered, more) = read_ledger_files(ledgers.iter().map(|ledger| &ledger.input), &Disk);
    diagnostics.extend(more.into_iter().chain(gathered.diagnostics).chain(gathered.unreadable));
    diagnostics.extend(gathered.ledgers.iter().flat_map(|(document, path)| decode(document, path).1));
    diagnostics
}
