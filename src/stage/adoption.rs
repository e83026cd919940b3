//! Compares the SidecarSets and workloads of a cluster in git with what runs there.

use super::ClusterView;
use crate::diagnostics::Diagnostic;
use crate::model::ledger::{Ledger, Revision};
use crate::model::sidecar_set::{DecodeMode, ROLLOUT_FIELDS, SidecarSet, decode_for};
use crate::read::map_in_order;
use crate::render::{Renderer, WorkloadOutline, unsupported_by_kruise};
use crate::rollout::adoption::{
    AdoptionDirection, AdoptionSnapshot, ClusterSetState, ExpectedInjection, SetAdoption, WorkloadAdoption,
    compare_workload, unmanaged_pods, without_foreign_containers,
};
use crate::rollout::live_fields::two_way_differences;
use crate::yaml::{Document, FieldPath, emit};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The fields of a SidecarSet that decide which running pods Kruise updates, and which content new ones get.
const STRATEGY_FIELDS: [&str; 2] = ["updateStrategy", "injectionStrategy"];

/// Compares a SidecarSet of a view with a cluster: what its ledger releases, or its file where nothing is released, and
/// its file where Kruise takes over. Workloads that cannot be rendered are errors.
pub(crate) fn compare_set(
    view: &ClusterView,
    set: &Arc<SidecarSet>,
    snapshot: &AdoptionSnapshot,
    direction: AdoptionDirection,
) -> (SetAdoption, Vec<Diagnostic>) {
    let ledger = view.prepared.ledgers.get(set.name.as_str());
    let is_to_git = direction == AdoptionDirection::ToGit;
    let released =
        ledger.filter(|_| is_to_git).and_then(|ledger| ledger.revision(ledger.released.as_deref()?));
    let compared = released.cloned().unwrap_or_else(|| Revision::from_set(set));
    let (cluster_set, mut diagnostics) = compare_cluster_set(&compared.set, set, snapshot);
    if !is_to_git {
        diagnostics.extend(unsupported_by_kruise(set));
    }
    let renderer = renderer_of(view, &compared);
    let context = SetComparison {
        renderer: if is_to_git { renderer } else { renderer.without_overrides() },
        set: &compared.set,
        snapshot,
        is_current_in_cluster: matches!(cluster_set, ClusterSetState::Same { .. }),
    };
    let selected: Vec<&Arc<WorkloadOutline>> =
        view.workloads().iter().filter(|w| context.renderer.selects(w, &compared.set)).collect();
    let mut workloads = Vec::new();
    map_in_order(
        &selected,
        |outline| context.compare(outline),
        |(workload, problems)| {
            workloads.extend(workload);
            diagnostics.extend(problems);
        },
    );
    let keys: BTreeSet<&str> = selected.iter().map(|workload| &*workload.manifest.key).collect();
    let found = SetAdoption {
        name: set.name.as_str().into(),
        hash: compared.set.hash.as_str().into(),
        revision: compared.name,
        has_ledger: ledger.is_some(),
        cluster_set,
        unmanaged: unmanaged_pods(&compared.set, &keys, snapshot),
        workloads,
    };
    (found, diagnostics)
}

/// Returns the names of the SidecarSets in a cluster that git does not have.
pub(crate) fn unknown_sets<'s>(view: &ClusterView, snapshot: &'s AdoptionSnapshot) -> Vec<&'s Arc<str>> {
    let known = view.sidecar_set_names();
    snapshot.sidecar_sets().keys().filter(|name| !known.contains(*name)).collect()
}

/// What the workloads of a SidecarSet are compared with.
struct SetComparison<'a> {
    renderer: Renderer,
    set: &'a Arc<SidecarSet>,
    snapshot: &'a AdoptionSnapshot,
    is_current_in_cluster: bool,
}

impl SetComparison<'_> {
    /// Compares a workload; None: it cannot be rendered, and a diagnostic says why.
    fn compare(&self, outline: &WorkloadOutline) -> (Option<WorkloadAdoption>, Vec<Diagnostic>) {
        let manifest = &outline.manifest;
        let written = outline.source.read();
        let without = without_foreign_containers(&written, &manifest.template_path, self.set);
        let document = match &without {
            Some(Ok(document)) => document,
            Some(Err(error)) => return (None, vec![error.clone()]),
            None => &*written,
        };
        let injected = self.renderer.inject(document, manifest);
        let mut problems = injected.outcome.diagnostics.clone();
        problems.retain(Diagnostic::is_error);
        if !problems.is_empty() {
            return (None, problems);
        }
        let object = injected.object(document, &manifest.path);
        let template = manifest.template_path.relative_to(&manifest.path);
        let expected = ExpectedInjection {
            key: &manifest.key,
            kind: &manifest.kind,
            set: self.set,
            template: template.find(&object).unwrap_or(&Value::Null),
            is_foreign_in_git: without.is_some(),
            is_current_in_cluster: self.is_current_in_cluster,
        };
        (Some(compare_workload(&expected, self.snapshot)), Vec::new())
    }
}

/// Returns a renderer that gives a revision to every workload that it selects, also where Kruise injects.
fn renderer_of(view: &ClusterView, revision: &Revision) -> Renderer {
    let mut ledger = Ledger::new(&revision.set.name);
    ledger.released = Some(Arc::clone(&revision.name));
    ledger.revisions.insert(Arc::clone(&revision.name), revision.clone());
    view.prepared.renderer_with(&ledger, None).without_kruise()
}

/// Compares the SidecarSet in the cluster with a revision, and its strategies with those of the file.
fn compare_cluster_set(
    compared: &SidecarSet,
    written: &SidecarSet,
    snapshot: &AdoptionSnapshot,
) -> (ClusterSetState, Vec<Diagnostic>) {
    let Some(object) = snapshot.sidecar_sets().get(compared.name.as_str()) else {
        let is_unknown = snapshot.sidecar_sets().is_empty();
        return (if is_unknown { ClusterSetState::Unknown } else { ClusterSetState::Absent }, Vec::new());
    };
    let live = match decode_cluster_set(&compared.name, object) {
        Ok(live) => live,
        Err(problems) => return (ClusterSetState::Unknown, problems),
    };
    let content = |set: &SidecarSet| {
        let mut spec = set.canonical_spec.clone();
        if let Some(spec) = spec.as_object_mut() {
            spec.retain(|key, _| !ROLLOUT_FIELDS.contains(&key.as_str()));
        }
        spec
    };
    let [expected, found] = [compared, &live].map(content);
    let differences = two_way_differences(&expected, &expected, &found);
    if !differences.is_empty() || live.hash != compared.hash {
        return (ClusterSetState::Differs(differences), Vec::new());
    }
    let has_same_strategy =
        STRATEGY_FIELDS.iter().all(|field| written.canonical_spec[*field] == live.canonical_spec[*field]);
    (ClusterSetState::Same { has_same_strategy }, Vec::new())
}

/// Decodes a SidecarSet of the cluster, without what the API server adds to it.
fn decode_cluster_set(name: &str, object: &Value) -> Result<SidecarSet, Vec<Diagnostic>> {
    let annotations = &object["metadata"]["annotations"];
    let written = json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"],
        "metadata": {"name": name, "annotations": annotations, "labels": object["metadata"]["labels"]},
        "spec": object["spec"],
    });
    let file = format!("SidecarSet {name} of the cluster state").into();
    let document = Document::read(&file, 0, 1, &emit(&written)).map_err(|error| vec![error])?;
    let (set, mut diagnostics) = decode_for(DecodeMode::Validate, &Arc::new(document), &FieldPath::root());
    diagnostics.retain(Diagnostic::is_error);
    set.filter(|_| diagnostics.is_empty()).ok_or(diagnostics)
}
