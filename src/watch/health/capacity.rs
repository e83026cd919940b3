//! Detects pods that are unschedulable because the cluster is full.

use super::super::expected_state::ExpectedState;
use super::super::snapshot::Snapshot;
use super::pod;
use super::revision_match::{RevisionMatch, match_revision};
use std::collections::BTreeMap;

/// Returns the unschedulable pods that are not at the target revision, as `NAMESPACE/NAME`.
pub(super) fn unschedulable_pods(released: &ExpectedState, snapshot: &Snapshot) -> Vec<String> {
    let expected: BTreeMap<&str, _> = released.workloads.iter().map(|e| (&*e.key, e)).collect();
    let mut found = Vec::new();
    for (key, live) in &snapshot.workloads {
        let expected = expected.get(&**key);
        for (name, pod) in &live.pods {
            let is_target = || expected.is_some_and(|e| match_revision(e, live, pod) != RevisionMatch::Other);
            if pod::unschedulable_since(pod).is_some() && !is_target() {
                found.push(format!("{}/{name}", namespace_of_key(key)));
            }
        }
    }
    found
}

/// Returns the namespace of a workload key.
pub(super) fn namespace_of_key(key: &str) -> &str {
    key.split('/').nth(1).unwrap_or_default()
}
