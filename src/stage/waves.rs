//! Waves: a rollout starts in a cluster when those of earlier waves are complete.

use super::DeployBranch;
use crate::diagnostics::Diagnostic;
use crate::model::ledger::{Ledger, RevisionName, decode};
use crate::workspace::read_ledgers;

/// Returns the cluster of an earlier wave that has not released a content of a SidecarSet yet; disabled clusters are
/// skipped.
pub(crate) fn wave_block_reason(
    deploy_branch: &DeployBranch<'_>,
    cluster: Option<&str>,
    sidecar_set: &str,
    source: &RevisionName,
) -> Option<String> {
    let clusters = &deploy_branch.configuration.repository.clusters;
    let wave = |name: &str| clusters.iter().find(|c| c.name == name).and_then(|c| c.wave).unwrap_or(0);
    let own = wave(cluster?);
    let earlier = clusters.iter().filter(|c| c.wave.unwrap_or(0) < own && !c.disabled);
    let mut waiting = earlier.filter_map(|c| match ledger_of(deploy_branch, &c.name, sidecar_set) {
        Ok(ledger) => ledger
            .is_some_and(|l| l.target.is_some() || l.released != *source)
            .then_some((c, "its rollout is not complete")),
        Err(()) => Some((c, "its ledgers cannot be read")),
    });
    let (first, why) = waiting.next()?;
    Some(format!("waiting for cluster `{}` (wave {}): {why}", first.name, first.wave.unwrap_or(0)))
}

/// Returns the ledger of a SidecarSet in a cluster.
///
/// # Errors
/// When some ledger of the cluster cannot be read: it may be this one.
fn ledger_of(
    deploy_branch: &DeployBranch<'_>,
    cluster: &str,
    sidecar_set: &str,
) -> Result<Option<Ledger>, ()> {
    let layout = &deploy_branch.configuration.layout;
    let (collected, mut diagnostics) = read_ledgers(layout, deploy_branch.rendered_files(), Some(cluster));
    diagnostics.extend(collected.diagnostics.into_iter().chain(collected.unreadable));
    let mut found = None;
    for (document, path) in &collected.ledgers {
        let (ledger, more) = decode(document, path);
        diagnostics.extend(more);
        found = ledger.filter(|l| &*l.name == sidecar_set).or(found);
    }
    if diagnostics.iter().any(Diagnostic::is_error) { Err(()) } else { Ok(found) }
}
