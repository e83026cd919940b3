//! Finds workloads that are rendered differently although neither their sources nor the ledgers changed: pillion.yaml, or
//! the labels of a Namespace. Their pods would be recreated at once, outside of every batch.

use super::{ClusterView, DeployBranch};
use crate::diagnostics::{Code, Diagnostic, Severity};
use crate::git::ObjectId;
use crate::read::{CommitListing, FileSource as _, map_in_order};
use crate::render::WorkloadOutline;
use crate::workspace::Configuration;
use crate::yaml::EntryPart;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Returns whether other sources than the workloads may change what render makes of them: pillion.yaml, or a file that
/// mentions a Namespace.
pub(super) fn may_change_templates(
    before: &DeployBranch<'_>,
    configuration: &Configuration,
    sources: &CommitListing<'_, ObjectId>,
) -> bool {
    let mentions = |files: &CommitListing<'_, ObjectId>, path: &Path| {
        let text = || files.read_text(path, &path.to_string_lossy().into());
        files.file_id(path).is_some() && text().is_ok_and(|text| text.contains("Namespace"))
    };
    settings_text(&before.configuration) != settings_text(configuration)
        || before
            .source_files()
            .differing_paths(sources)
            .iter()
            .any(|path| mentions(before.source_files(), path) || mentions(sources, path))
}

fn settings_text(configuration: &Configuration) -> Option<&str> {
    configuration.document.as_ref().map(|document| document.text())
}

/// Compares two states of the deploy branch with the same ledgers.
pub(super) fn template_changes_between(old: &DeployBranch<'_>, new: &DeployBranch<'_>) -> Vec<Diagnostic> {
    if !may_change_templates(old, &new.configuration, new.source_files()) {
        return Vec::new();
    }
    let known = old.clusters();
    let both = new.clusters().into_iter().filter(|cluster| known.contains(cluster));
    let compared = both.map(|cluster| {
        let (view, problems) = new.unchecked_cluster_view(cluster);
        // What is wrong with it is reported where it is checked.
        let is_sound = !problems.iter().any(Diagnostic::is_error);
        if is_sound { template_changes_since(old, &view) } else { Vec::new() }
    });
    compared.flatten().collect()
}

/// Compares a cluster with its state on the deploy branch before; it has the same ledgers.
pub(super) fn template_changes_since(before: &DeployBranch<'_>, view: &ClusterView) -> Vec<Diagnostic> {
    let cluster = view.cluster.as_deref();
    if !before.clusters().contains(&cluster) {
        return Vec::new();
    }
    let (old, problems) = before.unchecked_cluster_view(cluster);
    // With an error there is no valid state to keep.
    if problems.iter().any(Diagnostic::is_error) { Vec::new() } else { check_template_changes(&old, view) }
}

/// Compares how two views render the workloads with the same sources and SidecarOverrides; both have the same ledgers.
/// `lint:` of the new view says whether a difference is an error. Without ledgers every change counts at once anyway.
fn check_template_changes(old: &ClusterView, new: &ClusterView) -> Vec<Diagnostic> {
    let level = new.configuration.repository.lint_levels().severity_of(Code::TemplateNotPlanned);
    let Some(severity) = level.unwrap_or(Some(Severity::Error)) else { return Vec::new() };
    if new.prepared.ledgers.is_empty() {
        return Vec::new();
    }
    let (before, after) = (outlines_by_key(old), outlines_by_key(new));
    let keys: BTreeSet<&Arc<str>> = before.keys().chain(after.keys()).copied().collect();
    let keys: Vec<&Arc<str>> = keys.into_iter().collect();
    let mut diagnostics = Vec::new();
    map_in_order(
        &keys,
        |key| changed_workload((old, before.get(key).copied()), (new, after.get(key).copied())),
        |changed| diagnostics.extend(changed.map(|workload| template_not_planned(workload, severity))),
    );
    diagnostics
}

/// Returns a workload, each time with its view, if it is rendered differently from the same source.
fn changed_workload<'w>(
    (old, before): (&ClusterView, Option<&'w WorkloadOutline>),
    (new, after): (&ClusterView, Option<&'w WorkloadOutline>),
) -> Option<&'w WorkloadOutline> {
    match (before, after) {
        (Some(before), Some(after)) => {
            let is_same = before.template_hash() == after.template_hash();
            (is_same && render(old, before) != render(new, after)).then_some(after)
        }
        // No SidecarSet can select it in one of the views, for example because its kind is not known there.
        (None, Some(only)) => (is_source_of(old, only) && is_injected(new, only)).then_some(only),
        (Some(only), None) => (is_source_of(new, only) && is_injected(old, only)).then_some(only),
        (None, None) => None,
    }
}

fn outlines_by_key(view: &ClusterView) -> BTreeMap<&Arc<str>, &WorkloadOutline> {
    view.workloads().iter().map(|workload| (&workload.manifest.key, &**workload)).collect()
}

/// Returns the rendered object of a workload.
fn render(view: &ClusterView, workload: &WorkloadOutline) -> Value {
    let document = workload.source.read();
    let injected = view.prepared.renderer.inject(&document, &workload.manifest);
    injected.object(&document, &workload.manifest.path).into_owned()
}

fn is_injected(view: &ClusterView, workload: &WorkloadOutline) -> bool {
    let document = workload.source.read();
    view.prepared.renderer.inject(&document, &workload.manifest).change.is_some()
}

/// Returns whether the document of a workload of another view is in the same file of this one.
fn is_source_of(view: &ClusterView, workload: &WorkloadOutline) -> bool {
    let document = workload.source.read();
    let mut files = view.inputs().iter().filter(|(input, _)| input.name == *workload.source.file());
    files.any(|(_, text)| text.contains(document.text()))
}

fn template_not_planned(workload: &WorkloadOutline, severity: Severity) -> Diagnostic {
    let manifest = &workload.manifest;
    let message =
        format!("the pod template of `{}` changes, and neither its source nor a ledger does", manifest.key);
    let at = manifest.path.child("metadata").child("name");
    let diagnostic = Diagnostic::error(Code::TemplateNotPlanned, message)
        .at(workload.source.label(&at, EntryPart::Value, ""))
        .because("pillion.yaml or the labels of its Namespace change what render makes of it")
        .because("no plan, batch or approval names that, and its pods would be recreated at once")
        .help("undo that change; if the restart is wanted now, add `lint: {template-not-planned: warn}` to pillion.yaml in the same commit, and remove it afterwards");
    Diagnostic { severity, ..diagnostic }
}
