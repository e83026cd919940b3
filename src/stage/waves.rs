//! Which clusters come first? A ledger opens when those of earlier waves are closed.

use super::{Live, gather_ledgers};
use crate::model::ledger::{Ledger, Name, decode};
use crate::read::Input;

/// Says which cluster of an earlier wave has not yet released a content of a SidecarSet; clusters marked away are
/// not waited for.
pub fn not_before(
    live: &Live<'_>,
    cluster: Option<&str>,
    sidecar_set: &str,
    source: &Name,
) -> Option<String> {
    let clusters = &live.configuration.repository.clusters;
    let wave = |name: &str| clusters.iter().find(|c| c.name == name).and_then(|c| c.wave).unwrap_or(0);
    let own = wave(cluster?);
    let earlier = clusters.iter().filter(|c| c.wave.unwrap_or(0) < own && !c.away);
    let mut waiting = earlier.filter(|c| {
        let ledger = ledger_of(live, &c.name, sidecar_set);
        ledger.is_some_and(|l| l.target.is_some() || l.released != *source)
    });
    let first = waiting.next()?;
    Some(format!(
        "cluster `{}` of wave {} comes first, and its rollout is not closed",
        first.name,
        first.wave.unwrap_or(0)
    ))
}

fn ledger_of(live: &Live<'_>, cluster: &str, sidecar_set: &str) -> Option<Ledger> {
    let (files, _) = live.configuration.layout.ledgers(live.rendered());
    let own = files.into_iter().filter(|l| l.cluster.as_deref() == Some(cluster));
    let own: Vec<Input> = own.map(|l| l.input).collect();
    let (gathered, _) = gather_ledgers(&own, live.rendered());
    let mut ledgers = gathered.ledgers.iter().filter_map(|(document, path)| decode(document, path).0);
    ledgers.find(|l| &*l.name == sidecar_set)
}
