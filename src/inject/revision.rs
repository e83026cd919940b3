//! Selects the revision of a SidecarSet for a workload (`injectionStrategy.revision`).

use super::set_store::{PreparedSet, SidecarSetStore};
use super::template::PodView;
use super::types::{InjectionContext, RevisionReason, SelectedSet};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::int_or_percent::IntOrPercent;
use crate::model::sidecar_override::ResolvedOverrides;
use crate::model::sidecar_set::{InjectionRevision, SidecarSet};
use crate::yaml::{EntryPart, FieldPath};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Chooses the content; None after an error.
pub(super) fn select_revision<'s>(
    pod: &PodView<'_>,
    prepared: &'s PreparedSet,
    sets: &'s SidecarSetStore,
    context: &mut InjectionContext<'_>,
) -> Option<SelectedSet<'s>> {
    let set = prepared.set();
    // The controller records a revision soon after a set was created; without earlier states pillion renders
    // what a set just created gives, as nothing tells that a controller has seen it.
    let is_registered = !sets.earlier_contents(&set.name).is_empty();
    let latest = |why| {
        Some(SelectedSet {
            current: prepared,
            content: prepared,
            reason: why,
            native_reason: None,
            is_registered,
            overrides: ResolvedOverrides::default(),
        })
    };
    let Some(wanted) = &set.injection_revision else { return latest(RevisionReason::LatestRevision) };
    if wanted.revision_name.is_none() && wanted.custom_version.is_none() {
        return latest(RevisionReason::LatestRevision);
    }
    // Kruise v1.9.0 getSuitableRevisionSidecarSet looks the revision up before it asks for the policy.
    let Some(content) = find_revision(wanted, &set.name, sets) else {
        context.report(revision_not_found(set, wanted, sets));
        return None;
    };
    if wanted.is_partial && !is_held_back(pod, set, context) {
        return latest(RevisionReason::PartialLatest);
    }
    Some(SelectedSet {
        current: prepared,
        content,
        reason: RevisionReason::NamedRevision,
        native_reason: None,
        is_registered: true,
        overrides: ResolvedOverrides::default(),
    })
}

/// Kruise v1.9.0, policy Partial: a paused update and a missed canary selector keep the named revision; after
/// that only a percentage does, for a part of the pods; a number of pods keeps none.
fn is_held_back(pod: &PodView<'_>, set: &SidecarSet, context: &mut InjectionContext<'_>) -> bool {
    let strategy = &set.update_strategy;
    if strategy.is_paused {
        return true;
    }
    if let Some(selector) = &strategy.selector
        && !selector.matches(&pod_labels(pod))
    {
        return true;
    }
    let Some(percent) = strategy.partition.as_ref().and_then(parse_percentage) else { return false };
    if percent > 0 && percent < 100 {
        context.report(percentage_by_workload(set, percent));
    }
    hash_bucket(&set.name, pod.template.key) < percent
}

fn pod_labels(pod: &PodView<'_>) -> BTreeMap<String, String> {
    let labels = pod.labels.and_then(Value::as_object);
    labels
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
        .collect()
}

fn parse_percentage(partition: &IntOrPercent) -> Option<i64> {
    match partition {
        IntOrPercent::Int(_) => None,
        IntOrPercent::Text(text) => text.strip_suffix('%')?.parse().ok(),
    }
}

/// A number below 100 that a workload keeps forever: where Kruise throws a coin for each pod, all pods of a
/// workload go one way, and a smaller partition only moves further workloads to the latest content.
fn hash_bucket(set: &str, key: &str) -> i64 {
    let digest = Sha256::new().chain_update(set).chain_update([0]).chain_update(key).finalize();
    let head = digest.iter().take(7).fold(0, |n, byte| n << 8 | i64::from(*byte));
    head % 100
}

fn find_revision<'s>(
    wanted: &InjectionRevision,
    name: &str,
    sets: &'s SidecarSetStore,
) -> Option<&'s PreparedSet> {
    let recorded = recorded_revisions(name, sets);
    let mut newest_first = recorded.iter().rev();
    match (&wanted.revision_name, &wanted.custom_version) {
        (Some(name), _) => newest_first.find(|r| r.content.set().revision_name == *name),
        (None, Some(version)) => newest_first.find(|r| r.version == Some(version)),
        (None, None) => None,
    }
    .map(|r| r.content)
}

/// A recorded revision.
struct RecordedRevision<'s> {
    content: &'s PreparedSet,
    version: Option<&'s String>,
}

/// Kruise v1.9.0: going back to an older spec makes its revision the newest again, and the revision takes
/// over the version that the set has then, if it has one.
fn recorded_revisions<'s>(name: &str, sets: &'s SidecarSetStore) -> Vec<RecordedRevision<'s>> {
    let mut by_name: BTreeMap<&str, (usize, RecordedRevision<'s>)> = BTreeMap::new();
    for (at, content) in sets.all_contents(name).enumerate() {
        let version = content.set().custom_version.as_ref().filter(|v| !v.is_empty());
        let before = by_name.get(content.set().revision_name.as_str()).and_then(|(_, r)| r.version);
        let revision = RecordedRevision { content, version: version.or(before) };
        by_name.insert(&content.set().revision_name, (at, revision));
    }
    let mut recorded: Vec<_> = by_name.into_values().collect();
    recorded.sort_by_key(|(at, _)| *at);
    recorded.into_iter().map(|(_, revision)| revision).collect()
}

fn revision_not_found(set: &SidecarSet, wanted: &InjectionRevision, sets: &SidecarSetStore) -> Diagnostic {
    let (field, value, what) = match (&wanted.revision_name, &wanted.custom_version) {
        (Some(name), _) => ("revisionName", name.as_str(), "revision"),
        (None, version) => {
            ("customVersion", version.as_deref().unwrap_or_default(), "revision with the version")
        }
    };
    let known: Vec<_> = recorded_revisions(&set.name, sets)
        .iter()
        .map(|r| match r.version {
            Some(version) => format!("`{}` (`{version}`)", r.content.set().revision_name),
            None => format!("`{}`", r.content.set().revision_name),
        })
        .collect();
    let at = set.path.join(&FieldPath::dotted("spec.injectionStrategy.revision")).child(field);
    Diagnostic::error(Code::RevisionNotFound, format!("SidecarSet `{}` has no {what} `{value}`", set.name))
        .at(set.document.label(&at, EntryPart::Value, "no known revision of the set has it"))
        .field(format!("spec.injectionStrategy.revision.{field}"))
        .because(format!("known are {}", known.join(", ")))
        .because("Kruise denies every pod that the set selects")
        .help("pass the earlier revisions of the set with `--history FILE`, oldest first, or name a known revision")
}

fn percentage_by_workload(set: &SidecarSet, percent: i64) -> Diagnostic {
    let at = set.path.join(&FieldPath::dotted("spec.updateStrategy.partition"));
    let message = format!("SidecarSet `{}` selects the pods that get the named revision at random", set.name);
    Diagnostic::warning(Code::PercentageByWorkload, message)
        .at(set.document.label(
            &at,
            EntryPart::Value,
            format!("{percent} of 100 pods, drawn one by one in a cluster"),
        ))
        .field("spec.updateStrategy.partition")
        .because("pillion decides by the key of the workload, once for all its pods")
        .help("use `policy: Always`, or a selector, to select the workloads that keep the named revision")
}

#[cfg(test)]
mod tests {
    use super::hash_bucket;

    #[test]
    fn buckets_are_spread_and_stay() {
        let buckets: Vec<i64> =
            (0..1000).map(|i| hash_bucket("log", &format!("Pod/default/web-{i}"))).collect();
        assert!(buckets.iter().all(|b| (0..100).contains(b)));
        let low = buckets.iter().filter(|b| **b < 30).count();
        assert!((250..350).contains(&low), "{low} of 1000 are below 30");
        assert_eq!(hash_bucket("log", "Pod/default/web-0"), hash_bucket("log", "Pod/default/web-0"));
        assert_ne!(
            (0..20).map(|i| hash_bucket("a", &i.to_string())).collect::<Vec<_>>(),
            (0..20).map(|i| hash_bucket("b", &i.to_string())).collect::<Vec<_>>()
        );
    }
}
