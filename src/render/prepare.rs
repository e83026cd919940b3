//! From what was found among the inputs and what pillion.yaml says to a renderer.

use super::{Gathered, Namespaces, Renderer, check_sets, read_sets, read_states};
use crate::diag::{Code, Diagnostic, Label};
use crate::inject::{Annotations, Options, PreparedSet, Sets};
use crate::model::repository::{self, Repository};
use crate::model::sidecar_set::{Mode, SidecarSet};
use crate::model::workload::Kinds;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What a renderer is made of.
#[derive(Debug)]
pub struct Ingredients<'a> {
    /// What was found in the files that are rendered.
    pub manifests: Gathered,
    /// What was found in files that only add SidecarSets.
    pub sidecar_sets: Gathered,
    /// What was found in files with earlier states of SidecarSets, oldest first.
    pub history: Gathered,
    /// Files and folders of which somebody said that they hold SidecarSets.
    pub named_for_sets: &'a [PathBuf],
    /// What pillion.yaml says.
    pub repository: &'a Repository,
    /// Which annotations are written, where that is not left to pillion.yaml.
    pub annotations: Option<repository::Annotations>,
    /// SidecarSets stay in the output.
    pub keeps_sidecar_sets: bool,
    /// Injection tells where each line comes from.
    pub trace: bool,
}

/// Prepares a renderer, and says what is wrong with the sets.
pub fn prepare(from: Ingredients<'_>) -> (Renderer, Vec<Diagnostic>) {
    let has_sets_to_find = !from.named_for_sets.is_empty() && from.sidecar_sets.sidecar_sets.is_empty();
    let mut gathered = from.manifests;
    // Text of the inputs that cannot be read is judged where it is rendered; here it may hide a set.
    gathered.unreadable.clear();
    gathered.merge(from.sidecar_sets);
    gathered.accept_repaired();
    let mut history = from.history;
    history.accept_repaired();
    let mut diagnostics = gathered.diagnostics;
    diagnostics.extend(gathered.unreadable.into_iter().chain(history.diagnostics).chain(history.unreadable));
    if has_sets_to_find && gathered.sidecar_sets.is_empty() && diagnostics.is_empty() {
        diagnostics.push(no_set(from.named_for_sets));
    }
    let (sets, wrong) = read_sets(&gathered.sidecar_sets, Mode::Render);
    diagnostics.extend(wrong);
    let (history, wrong) = read_states(&history.sidecar_sets, Mode::Render);
    diagnostics.extend(wrong);
    diagnostics.extend(check_sets(&sets, &[], &history));
    let mut kinds = Kinds::default();
    from.repository.kinds().for_each(|k| kinds.add(k));
    let renderer = Renderer::new(
        Sets::new(prepared(sets), prepared(history)),
        kinds,
        namespaces(&gathered.namespaces, from.repository),
        Options { annotations: annotations(from.annotations, from.repository), trace: from.trace },
        from.keeps_sidecar_sets,
    );
    (renderer, diagnostics)
}

fn no_set(places: &[PathBuf]) -> Diagnostic {
    let nothing = Diagnostic::error(
        Code::NoSidecarSet,
        "there is no SidecarSet where `--sidecarsets` or pillion.yaml names some",
    )
    .help("a SidecarSet says `apiVersion: apps.kruise.io/v1beta1` (or v1alpha1) and `kind: SidecarSet`");
    places.iter().map(|p| Label::whole_file(p.to_string_lossy())).fold(nothing, Diagnostic::at)
}

fn prepared(sets: Vec<Arc<SidecarSet>>) -> Vec<Arc<PreparedSet>> {
    sets.into_iter().map(|set| Arc::new(PreparedSet::new(set))).collect()
}

/// What Namespace manifests say of a namespace wins over pillion.yaml.
fn namespaces(found: &[(String, BTreeMap<String, String>)], repository: &Repository) -> Namespaces {
    let mut namespaces = Namespaces::default();
    for (name, labels) in found {
        namespaces.add(name, labels);
    }
    for rule in &repository.namespaces {
        if let Some(labels) = &rule.labels {
            namespaces.add(&rule.name, labels);
        }
    }
    namespaces
}

fn annotations(wanted: Option<repository::Annotations>, repository: &Repository) -> Annotations {
    match wanted.or(repository.annotations) {
        None | Some(repository::Annotations::Minimal) => Annotations::Minimal,
        Some(repository::Annotations::Kruise) => Annotations::Kruise,
        Some(repository::Annotations::None) => Annotations::None,
    }
}
