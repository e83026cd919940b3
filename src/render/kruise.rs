//! What a cluster needs of SidecarSets and ledgers where Kruise injects the sidecars.

use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::ledger::{Ledger, revision_text};
use crate::model::sidecar_set::{SidecarMode, SidecarSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reports what Kruise cannot do, and SidecarSets that are deployed and have no file.
pub(super) fn check(sets: &[Arc<SidecarSet>], ledgers: &BTreeMap<Arc<str>, Ledger>) -> Vec<Diagnostic> {
    let unsupported = sets.iter().filter_map(|set| unsupported_by_kruise(set));
    let is_missing = |ledger: &&Ledger| sets.iter().all(|set| *set.name != *ledger.name);
    let in_use = ledgers.values().filter(|ledger| ledger.is_in_use());
    unsupported.chain(in_use.filter(is_missing).map(missing_set)).collect()
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
