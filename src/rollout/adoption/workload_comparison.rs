//! Compares the pods of a workload with its rendered template.

use super::pod_comparison::{PodComparison, SidecarOrigin, compare_pod, recorded_hash};
use super::snapshot::AdoptionSnapshot;
use super::{AdoptionVerdict, WorkloadAdoption};
use crate::model::pod_annotations::{INJECTED_LIST, parse_injected_list};
use crate::model::sidecar_set::SidecarSet;
use crate::model::workload::WorkloadKind;
use crate::rollout::live_fields::FieldDifference;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the pods of a workload would have if render put a SidecarSet into them.
pub(crate) struct ExpectedInjection<'a> {
    pub(crate) key: &'a Arc<str>,
    pub(crate) kind: &'a WorkloadKind,
    pub(crate) set: &'a SidecarSet,
    /// The rendered pod template.
    pub(crate) template: &'a Value,
    /// The manifest in git has the containers of the SidecarSet without a mark.
    pub(crate) is_foreign_in_git: bool,
    /// The SidecarSet in the cluster has the compared content.
    pub(crate) is_current_in_cluster: bool,
}

/// Compares the pods of a workload, and its template in the cluster.
pub(crate) fn compare_workload(
    expected: &ExpectedInjection<'_>,
    snapshot: &AdoptionSnapshot,
) -> WorkloadAdoption {
    let pods = snapshot.pods_of(expected.key);
    let compared: Vec<(&Arc<str>, PodComparison, AdoptionVerdict)> = pods
        .iter()
        .map(|pod| {
            let comparison = compare_pod(expected.set, expected.template, &pod.object);
            let verdict = verdict_of(expected, &comparison);
            (&pod.name, comparison, verdict)
        })
        .collect();
    let verdict = compared.iter().map(|(.., verdict)| *verdict).max().unwrap_or(AdoptionVerdict::NoPods);
    let live = live_template(expected, snapshot);
    let live = live.map(|template| compare_pod(expected.set, expected.template, template));
    let origin = live.as_ref().map(|comparison| comparison.origin).or_else(|| origin_of_pods(&compared));
    let is_template_same = match &live {
        Some(comparison) => comparison.differences.is_empty(),
        None => verdict == AdoptionVerdict::Same,
    };
    let affected_pods = compared.iter().filter(|(.., of_pod)| *of_pod == verdict).count();
    let first = compared.into_iter().find(|(.., of_pod)| *of_pod == verdict);
    let (example, differences) = match first {
        Some((name, comparison, _)) => {
            (Some(Arc::clone(name)), reported_differences(expected, comparison, verdict))
        }
        None => (None, Vec::new()),
    };
    WorkloadAdoption {
        key: Arc::clone(expected.key),
        is_in_cluster: snapshot.has_workload(expected.key),
        pods: pods.len(),
        affected_pods,
        example,
        verdict,
        template: origin,
        is_template_same,
        is_foreign_in_git: expected.is_foreign_in_git,
        differences,
    }
}

/// Returns the numbers of the pods that have a SidecarSet and belong to none of some workloads, by workload.
pub(crate) fn unmanaged_pods(
    set: &SidecarSet,
    selected: &BTreeSet<&str>,
    snapshot: &AdoptionSnapshot,
) -> Vec<(Arc<str>, usize)> {
    let mut found: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    for (key, pod) in snapshot.all_pods().filter(|(key, _)| !selected.contains(&***key)) {
        let list = pod.object["metadata"]["annotations"][INJECTED_LIST].as_str().unwrap_or_default();
        if parse_injected_list(list).contains(set.name.as_str())
            || recorded_hash(set, &pod.object).0.is_some()
        {
            *found.entry(key).or_default() += 1;
        }
    }
    found.into_iter().map(|(key, pods)| (Arc::clone(key), pods)).collect()
}

fn verdict_of(expected: &ExpectedInjection<'_>, pod: &PodComparison) -> AdoptionVerdict {
    let is_other_hash = pod.hash.as_ref().is_some_and(|hash| *hash != expected.set.hash);
    match pod.origin {
        SidecarOrigin::Absent => AdoptionVerdict::Missing,
        _ if is_other_hash && expected.is_current_in_cluster => AdoptionVerdict::Outdated,
        _ if is_other_hash || !pod.differences.is_empty() => AdoptionVerdict::Differs,
        SidecarOrigin::Foreign => AdoptionVerdict::Adoptable,
        SidecarOrigin::Webhook | SidecarOrigin::Rendered => AdoptionVerdict::Same,
    }
}

/// Returns the differences for people. Where the fields are the same, only the hash differs.
fn reported_differences(
    expected: &ExpectedInjection<'_>,
    pod: PodComparison,
    verdict: AdoptionVerdict,
) -> Vec<FieldDifference> {
    if !verdict.is_difference() || verdict == AdoptionVerdict::Missing {
        return Vec::new();
    }
    let mut found = pod.differences;
    if let Some(hash) = pod.hash.filter(|hash| found.is_empty() && *hash != expected.set.hash) {
        found.push(FieldDifference {
            path: "Kruise's hash".to_owned(),
            expected: Some(expected.set.hash.as_str().into()),
            live: Some(hash.into()),
        });
    }
    found
}

/// Returns the pod template that the cluster has for a workload.
fn live_template<'s>(expected: &ExpectedInjection<'_>, snapshot: &'s AdoptionSnapshot) -> Option<&'s Value> {
    // The API server has the pods of a bare Pod only with what webhooks added.
    if expected.kind.is_pod() {
        return None;
    }
    let object = snapshot.object(expected.key)?;
    expected.kind.template_paths.iter().find_map(|path| path.find(object)).filter(|value| value.is_object())
}

/// Returns what its pods say of the template: what the webhook injects, a template does not have.
fn origin_of_pods(compared: &[(&Arc<str>, PodComparison, AdoptionVerdict)]) -> Option<SidecarOrigin> {
    let origins = compared.iter().map(|(_, comparison, _)| match comparison.origin {
        SidecarOrigin::Webhook => SidecarOrigin::Absent,
        other => other,
    });
    origins.max()
}
