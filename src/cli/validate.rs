//! `pillion validate`: the verdict of Kruise's own validation on every SidecarSet.

use super::inputs::{self, InputArgs, Inputs};
use super::pipeline::{collect_files, collect_inputs};
use super::reporter::Reporter;
use super::{EXIT_FINDINGS, EXIT_SUCCESS, EXIT_USAGE, GlobalArgs, print_text};
use crate::diagnostics::{Code, Diagnostic, Span, json, sarif};
use crate::model::ledger::decode;
use crate::model::sidecar_set::DecodeMode;
use crate::render::{read_sets, read_states, validate_sets};
use crate::stage::{ClusterView, ViewSources, unmatched_selector};
use crate::workspace::{Configuration, Input, gather_ledgers};
use crate::write::Error;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Arguments of `pillion validate`.
#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    inputs: InputArgs,
    /// The SidecarSets as they were: checks the rules of an update as well
    #[arg(long, value_name = "FILE")]
    old: Vec<PathBuf>,
    /// How the findings are printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: ValidateOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ValidateOutput {
    /// Messages on standard error
    Text,
    /// A `Diagnostics` document on standard output
    Json,
    /// A SARIF 2.1.0 log on standard output
    Sarif,
}

/// Runs `pillion validate`.
pub(super) fn run(args: &ValidateArgs, common: &GlobalArgs, reporter: &mut Reporter) -> Result<u8, Error> {
    let mut inputs = inputs::find_inputs(&args.inputs.paths, &args.inputs.sources, common, None);
    reporter.add(std::mem::take(&mut inputs.diagnostics));
    let is_unusable = inputs.is_invalid;
    let mut checked = 0;
    if !is_unusable {
        let (sets, found) = validate_inputs(args, common, &mut inputs);
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
            "{checked} SidecarSet{} without an error\n",
            if checked == 1 { "" } else { "s" }
        ))?,
        ValidateOutput::Text => {}
        ValidateOutput::Json => print_text(&json::render(&reporter.take_diagnostics()))?,
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
    inputs: &mut Inputs<'_>,
) -> (usize, Vec<Diagnostic>) {
    let mut first = collect_inputs(inputs, common);
    let mut gathered = std::mem::take(&mut first.collected);
    gathered.merge(first.collect_additional(&inputs.sidecar_sets));
    let states = collect_files(&inputs.history, inputs.files);
    let old = collect_files(&crate::workspace::inputs_from_paths(&args.old), inputs.files);
    let mut diagnostics = gathered.diagnostics;
    for unreadable in
        [gathered.unreadable, states.diagnostics, states.unreadable, old.diagnostics, old.unreadable]
    {
        diagnostics.extend(unreadable);
    }
    if gathered.sidecar_sets.is_empty() && !diagnostics.iter().any(Diagnostic::is_error) {
        let nothing = Diagnostic::error(Code::NoSidecarSet, "there is no SidecarSet among the inputs").help(
            "a SidecarSet says `apiVersion: apps.kruise.io/v1beta1` (or v1alpha1) and `kind: SidecarSet`",
        );
        let places = args.inputs.paths.iter().map(|p| Span::whole_file(p.to_string_lossy()));
        diagnostics.push(places.fold(nothing, Diagnostic::at));
    }
    let (sets, wrong) = read_sets(&gathered.sidecar_sets, DecodeMode::Validate);
    diagnostics.extend(wrong);
    let (history, wrong) = read_states(&states.sidecar_sets, DecodeMode::Validate);
    diagnostics.extend(wrong);
    // What is wrong with an old state cannot be mended any more.
    let (old, _) = read_states(&old.sidecar_sets, DecodeMode::Validate);
    diagnostics.extend(validate_sets(&sets, &old, &history));
    if inputs.is_complete {
        diagnostics.extend(check_ledgers(inputs));
    }
    if inputs.is_complete && !diagnostics.iter().any(Diagnostic::is_error) {
        diagnostics.extend(check_selections(inputs));
    }
    (sets.len(), diagnostics)
}

/// Finds SidecarSets that select nothing, in a repository that has workloads; what a command builds is not looked at.
fn check_selections(inputs: &Inputs<'_>) -> Vec<Diagnostic> {
    let (repository, layout) = (inputs.repository.clone(), inputs.layout.clone());
    if repository.build.is_some() || repository.clusters.iter().any(|cluster| cluster.build.is_some()) {
        return Vec::new();
    }
    let configuration = Configuration { repository, layout, document: None };
    let mut sites = Vec::new();
    for cluster in inputs.selected_clusters() {
        let cluster = cluster.as_ref().map(|c| &*c.name);
        let from = ViewSources { files: inputs.files, ledgers: inputs.files, built: None, cluster };
        sites.push(ClusterView::load(&configuration, &from).0);
    }
    let all: Vec<&ClusterView> = sites.iter().collect();
    let mut found: Vec<Diagnostic> = Vec::new();
    for site in &sites {
        for set in &site.prepared.sets {
            let wrong = unmatched_selector(site, &all, &set.name);
            found.extend(wrong.filter(|wrong| !found.contains(wrong)));
        }
    }
    found
}

/// Reads the ledgers that pillion.yaml names, and returns what is wrong with them.
fn check_ledgers(inputs: &Inputs<'_>) -> Vec<Diagnostic> {
    let (ledgers, mut wrong) = inputs.layout.find_ledgers(inputs.files);
    let ledgers: Vec<Input> = ledgers.into_iter().map(|ledger| ledger.input).collect();
    let (gathered, more) = gather_ledgers(&ledgers, inputs.files);
    wrong.extend(more.into_iter().chain(gathered.diagnostics).chain(gathered.unreadable));
    wrong.extend(gathered.ledgers.iter().flat_map(|(document, path)| decode(document, path).1));
    wrong
}
