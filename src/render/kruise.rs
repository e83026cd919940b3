//! What a cluster needs of SidecarSets and ledgers where Kruise injects the sidecars.

use super::DocumentObject;
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::ledger::{Ledger, revision_text};
use crate::model::sidecar_set::{SidecarMode, SidecarSet};
use crate::model::workload::{is_sidecar_set_key, sidecar_set_key};
use crate::yaml::EntryPart;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reports what Kruise cannot do, and SidecarSets that are deployed and have no file.
pub(super) fn check(sets: &[Arc<SidecarSet>], ledgers: &BTreeMap<Arc<str>, Ledger>) -> Vec<Diagnostic> {
    let unsupported = sets.iter().filter_map(|set| unsupported_by_kruise(set));
    let is_missing = |ledger: &&Ledger| sets.iter().all(|set| *set.name != *ledger.name);
    let in_use = ledgers.values().filter(|ledger| ledger.is_in_use());
    unsupported.chain(in_use.filter(is_missing).map(missing_set)).collect()
}

/// Reports open rollouts that began with another `runtime`: their batches are of other things, and a render would take
/// the sidecars out of all pod templates at once, or put them into all.
pub(super) fn changed_runtimes(
    is_kruise: bool,
    ledgers: &BTreeMap<Arc<str>, Ledger>,
    documents: &[DocumentObject],
) -> Vec<Diagnostic> {
    let is_of_other = |ledger: &&Ledger| match is_kruise {
        true => ledger.entries.iter().any(|(key, entry)| {
            !is_sidecar_set_key(key)
                && entry.batch.is_some()
                && ledger.target.as_ref() == Some(&entry.revision)
        }),
        false => ledger.entries.get(&*sidecar_set_key(&ledger.name)).is_some(),
    };
    let open = ledgers.values().filter(|ledger| ledger.target.is_some());
    open.filter(is_of_other).map(|ledger| changed_runtime(is_kruise, ledger, documents)).collect()
}

fn changed_runtime(is_kruise: bool, ledger: &Ledger, documents: &[DocumentObject]) -> Diagnostic {
    let name = &ledger.name;
    let is_of_ledger = |found: &&DocumentObject| {
        let (document, path) = found;
        path.find(document.value()).is_some_and(|value| value["metadata"]["name"] == **name)
    };
    let span = match documents.iter().find(is_of_ledger) {
        Some((document, path)) => document.label(&path.child("spec").child("target"), EntryPart::Value, ""),
        None => Span::whole_file(format!("{name}.yaml")),
    };
    let (message, what, undo) = match is_kruise {
        true => (
            format!(
                "the rollout of `{name}` has released batches of workloads, and pillion.yaml has `runtime: Kruise` now"
            ),
            "with `runtime: Kruise`, the next render takes the sidecars out of all pod templates",
            "remove `runtime: Kruise` again",
        ),
        false => (
            format!("the rollout of `{name}` began with `runtime: Kruise`, which pillion.yaml no longer has"),
            "without it, the next render writes the sidecars into all pod templates",
            "write `runtime: Kruise` again",
        ),
    };
    Diagnostic::error(Code::RuntimeChanged, message).at(span).because(what).help(format!(
        "{undo}, complete the rollout or go back (`pillion rollback {name}`), and change `runtime` afterwards"
    ))
}

/// Reports a mode or a launch order: they are pillion's own, and it would have to inject the containers.
pub(crate) fn unsupported_by_kruise(set: &SidecarSet) -> Option<Diagnostic> {
    let what = match (set.mode != SidecarMode::Container, set.after.is_empty()) {
        (false, true) => return None,
        (true, _) => format!("the sidecar mode `{}`", set.mode.name()),
        (false, false) => "a launch order".to_owned(),
    };
    let message = format!("SidecarSet `{}` has {what}, and Kruise injects it without", set.name);
    Some(
        Diagnostic::error(Code::UnsupportedByKruise, message)
            .at(set.label("metadata.annotations", ""))
            .because("with `runtime: Kruise` in pillion.yaml, pods get the containers as the SidecarSet has them")
            .help("remove the annotation; `initContainers` with `restartPolicy: Always` are native sidecars in Kruise, too"),
    )
}

/// Without its file the next render would take the SidecarSet out of the cluster.
fn missing_set(ledger: &Ledger) -> Diagnostic {
    let revision = ledger.released.as_ref().or_else(|| ledger.target.as_ref().and_then(Option::as_ref));
    let message = format!(
        "SidecarSet `{}` has no file, and its ledger has `{}` deployed",
        ledger.name,
        revision_text(&revision.cloned())
    );
    Diagnostic::error(Code::DeployedSetMissing, message)
        .at(Span::whole_file(format!("{}.yaml", ledger.name)))
        .because("`runtime: Kruise` in pillion.yaml: without its file, the SidecarSet would leave the cluster, and new pods would have no sidecar")
        .help("restore its file; to take it out of the cluster, remove the file and its ledger in one commit")
}
