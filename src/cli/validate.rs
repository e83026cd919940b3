//! `pillion validate`: the verdict of Kruise's own validation on every SidecarSet.

use super::inputs::{self, InputArgs, Inputs};
use super::pipeline::{first_pass, gather_files};
use super::report::Reporter;
use super::{Common, DONE, FINDINGS, USAGE, to_stdout};
use crate::diag::{Code, Diagnostic, Label, json, sarif};
use crate::model::ledger::decode;
use crate::model::sidecar_set::Mode;
use crate::read::Input;
use crate::render::{check_sets, read_sets, read_states};
use crate::stage::{Configuration, Site, Sources, gather_ledgers, selects_nothing};
use crate::write::Failure;
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
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Messages on standard error
    Text,
    /// A `Diagnostics` document on standard output
    Json,
    /// A SARIF 2.1.0 log on standard output
    Sarif,
}

/// Runs `pillion validate`.
pub(super) fn run(args: &ValidateArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, Failure> {
    let mut inputs = inputs::find(&args.inputs, common, None);
    reporter.add(std::mem::take(&mut inputs.diagnostics));
    let is_unusable = inputs.is_unusable;
    let mut checked = 0;
    if !is_unusable {
        let (sets, found) = findings(args, common, &mut inputs);
        checked = sets;
        reporter.add(found);
    }
    let code = match (is_unusable, reporter.has_errors()) {
        (true, _) => USAGE,
        (false, true) => FINDINGS,
        (false, false) => DONE,
    };
    match args.output {
        Output::Text if code == DONE => to_stdout(&format!(
            "{checked} SidecarSet{} without an error\n",
            if checked == 1 { "" } else { "s" }
        ))?,
        Output::Text => {}
        Output::Json => to_stdout(&json::render(&reporter.take()))?,
        Output::Sarif => to_stdout(&sarif::render(&reporter.take(), env!("CARGO_PKG_VERSION")))?,
    }
    Ok(code)
}

/// Returns how many sets were checked, and what is wrong with them.
fn findings(args: &ValidateArgs, common: &Common, inputs: &mut Inputs<'_>) -> (usize, Vec<Diagnostic>) {
    let mut first = first_pass(inputs, common);
    let mut gathered = std::mem::take(&mut first.gathered);
    gathered.merge(first.gather_further(&inputs.sidecar_sets));
    let states = gather_files(&inputs.history, inputs.files);
    let old = gather_files(&crate::read::named(&args.old), inputs.files);
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
        let places = args.inputs.paths.iter().map(|p| Label::whole_file(p.to_string_lossy()));
        diagnostics.push(places.fold(nothing, Diagnostic::at));
    }
    let (sets, wrong) = read_sets(&gathered.sidecar_sets, Mode::Validate);
    diagnostics.extend(wrong);
    let (history, wrong) = read_states(&states.sidecar_sets, Mode::Validate);
    diagnostics.extend(wrong);
    // What is wrong with an old state cannot be mended any more.
    let (old, _) = read_states(&old.sidecar_sets, Mode::Validate);
    diagnostics.extend(check_sets(&sets, &old, &history));
    if inputs.is_whole {
        diagnostics.extend(wrong_with_ledgers(inputs));
    }
    if inputs.is_whole && !diagnostics.iter().any(Diagnostic::is_error) {
        diagnostics.extend(selections(inputs));
    }
    (sets.len(), diagnostics)
}

/// Finds SidecarSets that select nothing, in a repository that has workloads; what a command builds is not looked at.
fn selections(inputs: &Inputs<'_>) -> Vec<Diagnostic> {
    let (repository, layout) = (inputs.repository.clone(), inputs.layout.clone());
    if repository.build.is_some() || repository.clusters.iter().any(|cluster| cluster.build.is_some()) {
        return Vec::new();
    }
    let configuration = Configuration { repository, layout, document: None };
    let mut sites = Vec::new();
    for cluster in inputs.clusters() {
        let cluster = cluster.as_ref().map(|c| &*c.name);
        let from = Sources { files: inputs.files, ledgers: inputs.files, built: None, cluster };
        sites.push(Site::load(&configuration, &from).0);
    }
    let all: Vec<&Site> = sites.iter().collect();
    let mut found: Vec<Diagnostic> = Vec::new();
    for site in &sites {
        for set in &site.prepared.sets {
            let wrong = selects_nothing(site, &all, &set.name);
            found.extend(wrong.filter(|wrong| !found.contains(wrong)));
        }
    }
    found
}

/// Reads the ledgers that pillion.yaml names, and returns what is wrong with them.
fn wrong_with_ledgers(inputs: &Inputs<'_>) -> Vec<Diagnostic> {
    let (ledgers, mut wrong) = inputs.layout.ledgers(inputs.files);
    let ledgers: Vec<Input> = ledgers.into_iter().map(|ledger| ledger.input).collect();
    let (gathered, more) = gather_ledgers(&ledgers, inputs.files);
    wrong.extend(more.into_iter().chain(gathered.diagnostics).chain(gathered.unreadable));
    wrong.extend(gathered.ledgers.iter().flat_map(|(document, path)| decode(document, path).1));
    wrong
}
