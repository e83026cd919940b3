//! Detects pods that are delayed by nodes, evictions or a full cluster. Such a delay is not attributed to the batch.

use super::super::expected_state::ExpectedState;
use super::super::snapshot::Snapshot;
use super::format::{count_pods, join_names, pod_subject};
use super::pod;
use super::pod_set::PodSet;
use super::revision_match::{RevisionMatch, match_revision};
use super::types::HealthContext;
use std::collections::BTreeMap;

/// Returns the disruptions of a workload as texts for people.
pub(super) fn workload_disruptions(
    pods: &PodSet<'_>,
    desired: u32,
    context: &HealthContext<'_>,
) -> Vec<String> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    // Pods that are terminating or gone matter until they are replaced.
    let is_short = pods.updated_count() < desired;
    let unavailable = pods.terminating.iter().chain(&pods.disrupted).filter(|_| is_short);
    for member in pods.updated.iter().chain(unavailable) {
        if let Some(reason) = pod::disruption(member.pod) {
            found.entry(reason).or_default().push(member.name);
        }
    }
    let mut texts: Vec<String> = found
        .into_iter()
        .map(|(reason, names)| {
            format!(
                "{} ({}): {reason}; not attributed to the batch",
                count_pods(names.len()),
                join_names(&names)
            )
        })
        .collect();
    let full = pods.updated.iter().filter(|m| pod::unschedulable_since(m.pod).is_some()).count();
    if full > 0 && !context.unschedulable_others.is_empty() {
        texts.push(format!(
            "no node has capacity for {}, nor for {} with the previous template ({}): the cluster is full",
            count_pods(full),
            count_pods(context.unschedulable_others.len()),
            join_names(context.unschedulable_others),
        ));
    }
    texts
}

/// Returns the unschedulable pods that are not at the target revision, as `NAMESPACE/NAME`.
pub(super) fn unschedulable_pods(released: &ExpectedState, snapshot: &Snapshot) -> Vec<String> {
    let expected: BTreeMap<&str, _> = released.workloads.iter().map(|e| (&*e.key, e)).collect();
    let mut found = Vec::new();
    for (key, live) in &snapshot.workloads {
        let expected = expected.get(&**key);
        for (name, pod) in &live.pods {
            let is_target = || expected.is_some_and(|e| match_revision(e, live, pod) != RevisionMatch::Other);
            if pod::unschedulable_since(pod).is_some() && !is_target() {
                found.push(pod_subject(key, name));
            }
        }
    }
    found
}
