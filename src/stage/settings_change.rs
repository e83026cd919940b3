//! Finds workloads that another pillion.yaml renders differently: their pods would be recreated at once, outside of
//! every batch.

use super::{ClusterView, DeployBranch};
use crate::diagnostics::{Code, Diagnostic, Severity, Span};
use crate::render::{FileRenderOptions, SourceFile, render_file};
use crate::workspace::{Configuration, Input, manifests_of};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Compares what the sources of the deploy branch become with its pillion.yaml and with another one, each with the same
/// ledgers. `lint:` of the new one says whether a difference is an error.
pub(super) fn check_settings_change(
    before: &DeployBranch<'_>,
    configuration: &Configuration,
) -> Vec<Diagnostic> {
    let text_of = |configuration: &Configuration| Some(configuration.document.as_ref()?.text().to_owned());
    let level = configuration.repository.lint_levels().severity_of(Code::SettingsChangeWorkloads);
    let Some(severity) = level.unwrap_or(Some(Severity::Error)) else { return Vec::new() };
    if text_of(&before.configuration) == text_of(configuration) {
        return Vec::new();
    }
    let clusters = configuration.layout.cluster_names();
    let known = before.clusters();
    let both = clusters.into_iter().filter(|cluster| known.contains(cluster));
    let found = both.flat_map(|cluster| check_cluster(before, configuration, cluster));
    found.map(|diagnostic| Diagnostic { severity: diagnostic.severity.max(severity), ..diagnostic }).collect()
}

fn check_cluster(
    before: &DeployBranch<'_>,
    configuration: &Configuration,
    cluster: Option<&str>,
) -> Vec<Diagnostic> {
    let (old, problems) = before.unchecked_cluster_view(cluster);
    if problems.iter().any(Diagnostic::is_error) {
        // There is no valid state to keep.
        return Vec::new();
    }
    let (new, problems) = before.cluster_view_configured(configuration, cluster);
    if let Some(error) = problems.iter().find(|problem| problem.is_error()) {
        return vec![not_compared(before, error)];
    }
    let numbers: BTreeMap<&str, usize> =
        old.inputs().iter().enumerate().map(|(number, (input, _))| (&*input.name, number)).collect();
    let compared = new.inputs().iter().enumerate().filter_map(|(number, (input, text))| {
        let old_number = *numbers.get(&*input.name)?;
        let (before, after) = (render(&old, old_number), render(&new, number));
        (before != after).then(|| changed_workloads((&old, &old.inputs()[old_number].0), (&new, input), text))
    });
    compared.flatten().collect()
}

fn render(view: &ClusterView, number: usize) -> Option<String> {
    view.render_input(number, &view.prepared.renderer).text
}

/// Reports each workload of a file that the views render differently.
fn changed_workloads(
    (old, old_input): (&ClusterView, &Input),
    (new, input): (&ClusterView, &Input),
    text: &str,
) -> Vec<Diagnostic> {
    let documents = manifests_of(input, text).filter_map(|manifest| {
        let render = |view: &ClusterView, input| {
            let file = SourceFile::of_input(input, manifest.text);
            render_file(&file, &view.prepared.renderer, FileRenderOptions::default())
        };
        let (before, after) = (render(old, old_input), render(new, input));
        if before.text == after.text {
            return None;
        }
        let keys = before.workloads.into_iter().chain(after.workloads).map(|(key, _)| key);
        let keys: BTreeSet<String> = keys.collect();
        let at = Span::whole_line(Arc::clone(&input.name), text, manifest.first_line, String::new());
        Some(keys.into_iter().map(move |key| changed_workload(&key, at.clone())).collect::<Vec<_>>())
    });
    documents.flatten().collect()
}

fn changed_workload(key: &str, at: Span) -> Diagnostic {
    let message = format!("the change of pillion.yaml changes the pod template of `{key}`");
    Diagnostic::error(Code::SettingsChangeWorkloads, message)
        .at(at)
        .because("no plan, batch or approval names this change: all pods of these workloads are recreated at once")
        .help("undo it in pillion.yaml; if that restart is wanted now, add `lint: {settings-change-workloads: warn}` in the same commit, and remove it afterwards")
}

/// Reports sources that cannot be read with the new pillion.yaml.
fn not_compared(before: &DeployBranch<'_>, error: &Diagnostic) -> Diagnostic {
    let message = format!(
        "it is unknown whether the change of pillion.yaml changes pod templates: with the sources of {}, {}",
        before.source.id.short(),
        error.message
    );
    let warning = Diagnostic::warning(Code::SettingsChangeWorkloads, message)
        .because("the commit changes settings and the files that they are for")
        .help("make two commits, and change settings in a commit of their own");
    Diagnostic { spans: error.spans.clone(), ..warning }
}
