//! Is a workload kept back by nodes, evictions or a full cluster? Then nobody is blamed.

use super::latest::Around;
use super::pod;
use super::roster::Roster;
use super::words::{list, pods};
use std::collections::BTreeMap;

/// Returns what keeps a workload back, in sentences for people; empty where nothing does.
pub(super) fn disturbances(roster: &Roster<'_>, wanted: u32, around: &Around<'_>) -> Vec<String> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    // Pods that are gone or going matter until others have come in their place.
    let is_short = roster.carrying() < wanted;
    let gone = roster.leaving.iter().chain(&roster.taken).filter(|_| is_short);
    for member in roster.carrying.iter().chain(gone) {
        if let Some(reason) = pod::disturbance(member.pod) {
            found.entry(reason).or_default().push(member.name);
        }
    }
    let mut said: Vec<String> = found
        .into_iter()
        .map(|(reason, names)| {
            format!("{} ({}): {reason}; nobody is blamed", pods(names.len()), list(&names))
        })
        .collect();
    let full = roster.carrying.iter().filter(|m| pod::unschedulable_since(m.pod).is_some()).count();
    if full > 0 && !around.shortage.is_empty() {
        said.push(format!(
            "no node has room for {}, and none for {} with the template before ({}): the cluster is full",
            pods(full),
            pods(around.shortage.len()),
            list(around.shortage),
        ));
    }
    said
}
