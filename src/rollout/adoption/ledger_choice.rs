//! Chooses the first ledger of a SidecarSet with which no pod changes.

use super::{AdoptionVerdict, ClusterSetState, SetAdoption, SidecarOrigin, WorkloadAdoption};
use std::sync::Arc;

/// What the first ledger of a SidecarSet releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LedgerChoice {
    /// Nothing: each workload gets the sidecar in a batch.
    Nothing,
    /// The content in git: every template in the cluster has it, or Kruise injects it.
    Current,
}

/// Why no first ledger keeps every pod as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LedgerObstacle {
    /// The SidecarSet in the cluster has another content than the one in git.
    OtherContent,
    /// It has another `updateStrategy` or `injectionStrategy`, by which Kruise would update pods.
    OtherStrategy,
    /// Kruise has injected pods, and the cluster state does not say with which SidecarSet.
    SetNotInState,
    /// Kruise has injected pods of a SidecarSet that the cluster no longer has.
    SetNotInCluster,
    /// Pods differ from what render writes.
    PodsDiffer(Vec<Arc<str>>),
    /// Some templates in the cluster have the sidecar, others do not.
    SomeTemplates(Vec<Arc<str>>),
    /// Templates in the cluster have sidecars that render changes or removes.
    TemplatesDiffer(Vec<Arc<str>>),
    /// Sidecars that a person wrote run, and the manifests in git no longer have them.
    ForeignRemoved(Vec<Arc<str>>),
    /// The templates in the cluster have the sidecar, and those that git makes do not.
    TemplatesLoseSidecar(Vec<Arc<str>>),
}

/// Chooses the first ledger. `is_kruise`: Kruise keeps injecting the SidecarSet.
///
/// # Errors
/// When every ledger would change a pod, or what runs is not known well enough.
pub(crate) fn choose_ledger(found: &SetAdoption, is_kruise: bool) -> Result<LedgerChoice, LedgerObstacle> {
    if is_kruise { choose_for_kruise(found) } else { choose_for_render(found) }
}

/// Render writes the templates: the ledger has to release what the templates in the cluster have.
fn choose_for_render(found: &SetAdoption) -> Result<LedgerChoice, LedgerObstacle> {
    if matches!(found.cluster_set, ClusterSetState::Differs(_)) {
        return Err(LedgerObstacle::OtherContent);
    }
    refuse(found, LedgerObstacle::PodsDiffer, |w| w.verdict == AdoptionVerdict::Differs)?;
    refuse(found, LedgerObstacle::ForeignRemoved, |w| {
        w.template == Some(SidecarOrigin::Foreign) && !w.is_foreign_in_git
    })?;
    let is_rendered = |w: &WorkloadAdoption| w.template == Some(SidecarOrigin::Rendered);
    refuse(found, LedgerObstacle::TemplatesDiffer, |w| is_rendered(w) && !w.is_template_same)?;
    let mut known = found.workloads.iter().filter(|w| w.template.is_some()).peekable();
    if known.peek().is_none() || known.clone().all(|w| !is_rendered(w)) {
        return Ok(LedgerChoice::Nothing);
    }
    refuse(found, LedgerObstacle::SomeTemplates, |w| w.template.is_some() && !is_rendered(w))?;
    Ok(LedgerChoice::Current)
}

/// Kruise injects: the SidecarSet that git deploys has to be the one that the cluster has.
fn choose_for_kruise(found: &SetAdoption) -> Result<LedgerChoice, LedgerObstacle> {
    let is_injected = found.workloads.iter().any(|w| {
        w.pods > 0 && w.template != Some(SidecarOrigin::Rendered) && w.verdict != AdoptionVerdict::Missing
    });
    let choice = match &found.cluster_set {
        ClusterSetState::Differs(_) => return Err(LedgerObstacle::OtherContent),
        ClusterSetState::Same { has_same_strategy: false } => return Err(LedgerObstacle::OtherStrategy),
        ClusterSetState::Unknown => return Err(LedgerObstacle::SetNotInState),
        ClusterSetState::Absent if is_injected => return Err(LedgerObstacle::SetNotInCluster),
        ClusterSetState::Absent => LedgerChoice::Nothing,
        ClusterSetState::Same { has_same_strategy: true } => LedgerChoice::Current,
    };
    refuse(found, LedgerObstacle::TemplatesLoseSidecar, |w| w.template == Some(SidecarOrigin::Rendered))?;
    Ok(choice)
}

/// Refuses a ledger because of workloads.
fn refuse(
    found: &SetAdoption,
    reason: impl Fn(Vec<Arc<str>>) -> LedgerObstacle,
    is_reason: impl Fn(&WorkloadAdoption) -> bool,
) -> Result<(), LedgerObstacle> {
    let workloads = found.workloads.iter().filter(|workload| is_reason(workload));
    let keys: Vec<Arc<str>> = workloads.map(|workload| Arc::clone(&workload.key)).collect();
    if keys.is_empty() { Ok(()) } else { Err(reason(keys)) }
}
