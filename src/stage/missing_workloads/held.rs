//! Checks that held workloads are still present. A hold ends when its workload is removed from git, not when a
//! mistake hides the manifest: the workload would be updated once it is found again.

use super::{LedgerHistory, TreeFiles, unaccounted_workloads};
use crate::diagnostics::{Code, Diagnostic, pluralize};
use crate::model::ledger::{Ledger, LedgerEntry};
use crate::rollout::cluster_option;
use crate::stage::ClusterView;
use crate::stage::cluster_view::held_by_people;
use crate::workspace::WorkloadFiles;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Reports held workloads that are missing, where no commit has removed them.
pub(super) fn missing_held(
    view: &ClusterView,
    now: &TreeFiles<'_>,
    past: Option<&LedgerHistory<'_>>,
    ledger: &Ledger,
) -> Option<Diagnostic> {
    let held = held_by_people(ledger, |_| true);
    let stand = view.present_workloads(&held);
    let absent = held.into_iter().filter(|key| !stand.contains(key));
    let missing: Vec<_> = absent.flat_map(|key| find_missing(view, now, past, ledger, key)).collect();
    (!missing.is_empty()).then(|| missing_held_error(view, ledger, &missing))
}

/// Returns the workload with the file that still contains it, where no commit has removed it.
fn find_missing(
    view: &ClusterView,
    now: &TreeFiles<'_>,
    past: Option<&LedgerHistory<'_>>,
    ledger: &Ledger,
    key: Arc<str>,
) -> Vec<(Arc<str>, Option<PathBuf>)> {
    let only = BTreeSet::from([Arc::clone(&key)]);
    let entry = ledger.entries.get(&key);
    let is_same_hold = |other: &LedgerEntry| {
        entry.is_some_and(|l| (&l.held_by, &l.held_since) == (&other.held_by, &other.held_since))
    };
    let is_held =
        |ledger: Option<&Ledger>| ledger.and_then(|l| l.entries.get(&key)).is_some_and(is_same_hold);
    let then = past.and_then(|past| {
        let written = past.oldest_commit_with(view, now, &ledger.name, is_held)?;
        past.read_rollout(written, view, &ledger.name)
    });
    if let Some(then) = then.filter(|then| then.view.inputs_of_workloads().any(|(k, _)| *k == key)) {
        return unaccounted_workloads(view, now, &then, &only);
    }
    // Its state when it was held cannot be built again: only the present state counts.
    let holders = WorkloadFiles::find(now, &view.configuration.layout, &only);
    match holders.files_of(&key).first() {
        Some(holder) => vec![(key, Some(holder.file.clone()))],
        None if view.is_built => vec![(key, None)],
        None => Vec::new(),
    }
}

fn missing_held_error(
    view: &ClusterView,
    ledger: &Ledger,
    missing: &[(Arc<str>, Option<PathBuf>)],
) -> Diagnostic {
    let (name, number) = (&ledger.name, missing.len() as u64);
    let message = format!(
        "SidecarSet `{name}` holds {} that {} missing",
        pluralize(number, "workload"),
        if number == 1 { "is" } else { "are" }
    );
    let error = Diagnostic::error(Code::WorkloadsMissing, message);
    let error =
        super::add_missing(error, missing, view.configuration.ledger_path(view.cluster.as_deref(), name));
    let cluster = cluster_option(view.cluster.as_deref());
    let key = missing.first().map_or("WORKLOAD", |(key, _)| key);
    error.help(format!(
        "{}; if it was removed on purpose, `pillion hold {key} --sidecarset {name} --off{cluster}` ends the hold",
        super::missing_help(view)
    ))
}
