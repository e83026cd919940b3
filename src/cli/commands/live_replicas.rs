//! `--context` of `pillion plan`, `stage` and `start`: counts the pods of the workloads in a cluster. Every request only
//! reads.

use crate::cli::commands::watch::wait_for_clusters;
use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::diagnostics::pluralize;
use crate::stage::ClusterView;
use crate::watch::observe::{MemoryBudget, Observer, ObserverSettings, StaleData, runtime};
use crate::watch::snapshot::{LiveWorkload, ObservationScope, Snapshot};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// Maximum time until every list is read.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The memory limit of the lists, in MiB: more pods than a cluster of Kubernetes' largest supported size has.
const LIST_MEMORY: usize = 2048;

/// Counts the pods of the workloads of a plan in the cluster of a kubeconfig context.
///
/// # Errors
/// When the plan is for several clusters, the cluster cannot be read, or it has none of the workloads: then it is
/// another cluster.
pub(super) fn count_live_replicas(
    context: &str,
    views: &[ClusterView],
    reporter: &Reporter,
) -> Result<BTreeMap<Arc<str>, u32>, CommandError> {
    let [view] = views else {
        return Err(CommandError::usage(
            "`--context` names one cluster, and pillion.yaml names several: add `--cluster NAME`",
        ));
    };
    let planned: Vec<_> = view.planned_workloads().collect();
    let scope = ObservationScope::of_kinds(planned.iter().map(|workload| Arc::clone(&workload.kind)));
    let snapshot = observe(context, scope)?;
    let found: BTreeMap<Arc<str>, Option<u32>> = planned
        .iter()
        .filter_map(|w| Some((Arc::clone(&w.key), replica_count(snapshot.workloads.get(&w.key)?))))
        .collect();
    let named = match view.context() {
        Some(named) if named != context => format!(" (pillion.yaml names the context `{named}`)"),
        _ => String::new(),
    };
    let total = pluralize(planned.len() as u64, "workload");
    if found.is_empty() && !planned.is_empty() {
        return Err(CommandError::usage(format!(
            "the cluster of the context `{context}`{named} has none of the {total} of the plan: is it another cluster? `kubectl config get-contexts` lists the contexts"
        )));
    }
    reporter.print_state(&format!(
        "pods are counted in the cluster of the context `{context}`{named}, which has {} of {total}",
        found.len()
    ));
    Ok(found.into_iter().filter_map(|(key, pods)| Some((key, pods?))).collect())
}

/// Reads a cluster once.
fn observe(context: &str, scope: ObservationScope) -> Result<Snapshot, CommandError> {
    let runtime =
        runtime().map_err(|error| CommandError::environment(format!("no thread can be started: {error}")))?;
    let settings =
        ObserverSettings { memory: MemoryBudget::from_mebibytes(LIST_MEMORY), ..ObserverSettings::default() };
    let (sender, wakes) = sync_channel(1);
    let wake = move || {
        let _ = sender.try_send(());
    };
    let observer = Observer::start(runtime.handle(), Some(context), scope, settings, wake)
        .map_err(|error| CommandError::usage(format!("cannot count the pods of the cluster: {error}")))?;
    let observers = BTreeMap::from([(None, observer)]);
    wait_for_clusters(&observers, &wakes, TIMEOUT);
    observers[&None].snapshot().map_err(|stale| unreadable(&stale))
}

fn unreadable(stale: &StaleData) -> CommandError {
    let message = format!("cannot count the pods of the cluster: {stale}");
    match &stale.error {
        Some(error) if !error.is_retryable() => CommandError::usage(message),
        _ => CommandError::environment(message),
    }
}

/// Returns the desired pods of a workload; where its kind does not say, those that it has.
fn replica_count(workload: &LiveWorkload) -> Option<u32> {
    let pods = || workload.pods.values().filter(|pod| pod.is_active()).count();
    workload.desired.or_else(|| u32::try_from(pods()).ok().filter(|pods| *pods > 0))
}
