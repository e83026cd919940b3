//! `pillion adopt --context`: reads the objects of a cluster. Every request only reads.

use crate::cli::error::CommandError;
use crate::model::workload::WorkloadKind;
use crate::rollout::adoption::AdoptionSnapshot;
use crate::stage::ClusterView;
use crate::watch::observe::{KubeContext, read_object_pages, runtime};
use crate::watch::snapshot::ObservationScope;
use std::sync::Arc;

/// Reads the pods, the SidecarSets and the workloads of the kinds in git.
///
/// # Errors
/// When the cluster cannot be read, or has no pod.
pub(super) fn read_live_state(context: &str, view: &ClusterView) -> Result<AdoptionSnapshot, CommandError> {
    let in_git = view.planned_workloads().map(|workload| Arc::clone(&workload.kind));
    let scope = ObservationScope::of_kinds(in_git.chain([Arc::new(WorkloadKind::sidecar_set())]));
    let settings = KubeContext { context: Some(context.to_owned()), ..KubeContext::default() };
    let runtime =
        runtime().map_err(|error| CommandError::environment(format!("no thread can be started: {error}")))?;
    let pages = runtime.block_on(read_object_pages(&settings, &scope)).map_err(|error| {
        let message = format!("cannot read the pods of the cluster: {error}");
        if error.is_retryable() { CommandError::environment(message) } else { CommandError::usage(message) }
    })?;
    let name = format!("the cluster of the context `{context}`").into();
    AdoptionSnapshot::read(&name, &pages.join("\n"))
        .map_err(|diagnostic| CommandError::from_diagnostics([diagnostic]))
}
