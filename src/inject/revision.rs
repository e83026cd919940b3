//! Which content of a SidecarSet a workload gets (`injectionStrategy.revision`).

use super::Work;
use super::sets::{PreparedSet, Sets};
use super::template::Pod;
use crate::diag::{Code, Diagnostic};
use crate::model::sidecar_set::{InjectRevision, IntOrPercent, SidecarSet};
use crate::yaml::{Part, Path};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// A set that applies, and the content it gives.
pub(super) struct Chosen<'s> {
    /// The set as it is now: name and selector.
    pub(super) current: &'s PreparedSet,
    /// Its content for this workload: containers, volumes, pull secrets, patches and hashes.
    pub(super) content: &'s PreparedSet,
    /// Why that content.
    pub(super) why: Why,
    /// Kruise would know this content by a ControllerRevision.
    pub(super) is_registered: bool,
}

impl Chosen<'_> {
    /// Returns the set's name.
    pub(super) fn name(&self) -> &str {
        self.current.name()
    }
}

/// Why a workload gets the content it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The set names no revision.
    Latest,
    /// The set names a revision, and for this workload that is the one.
    Named,
    /// The set names a revision for a part of the workloads, and this one is not among them.
    PartialLatest,
}

/// Chooses the content; None after an error.
pub(super) fn pick<'s>(
    pod: &Pod<'_>,
    prepared: &'s PreparedSet,
    sets: &'s Sets,
    work: &mut Work<'_>,
) -> Option<Chosen<'s>> {
    let set = prepared.set();
    // The controller records a revision soon after a set was created; without earlier states pillion renders
    // what a set just created gives, as nothing tells that a controller has seen it.
    let is_registered = !sets.earlier(&set.name).is_empty();
    let latest = |why| Some(Chosen { current: prepared, content: prepared, why, is_registered });
    let Some(wanted) = &set.injection_revision else { return latest(Why::Latest) };
    if wanted.revision_name.is_none() && wanted.custom_version.is_none() {
        return latest(Why::Latest);
    }
    // Kruise v1.9.0 getSuitableRevisionSidecarSet looks the revision up before it asks for the policy.
    let Some(content) = find(wanted, &set.name, sets) else {
        work.tell(not_found(set, wanted, sets));
        return None;
    };
    if wanted.is_partial && !is_held_back(pod, set, work) {
        return latest(Why::PartialLatest);
    }
    Some(Chosen { current: prepared, content, why: Why::Named, is_registered: true })
}

/// Kruise v1.9.0, policy Partial: a paused update and a missed canary selector keep the named revision; after
/// that only a percentage does, for a part of the pods; a number of pods keeps none.
fn is_held_back(pod: &Pod<'_>, set: &SidecarSet, work: &mut Work<'_>) -> bool {
    let strategy = &set.update_strategy;
    if strategy.is_paused {
        return true;
    }
    if let Some(selector) = &strategy.selector
        && !selector.matches(&labels(pod))
    {
        return true;
    }
    let Some(percent) = strategy.partition.as_ref().and_then(percentage) else { return false };
    if percent > 0 && percent < 100 {
        work.tell(decided_by_key(set, percent));
    }
    bucket(&set.name, pod.template.key) < percent
}

fn labels(pod: &Pod<'_>) -> BTreeMap<String, String> {
    let labels = pod.labels.and_then(Value::as_object);
    labels
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
        .collect()
}

fn percentage(partition: &IntOrPercent) -> Option<i64> {
    match partition {
        IntOrPercent::Int(_) => None,
        IntOrPercent::Text(text) => text.strip_suffix('%')?.parse().ok(),
    }
}

/// A number below 100 that a workload keeps for ever: where Kruise throws a coin for each pod, all pods of a
/// workload go one way, and a smaller partition only moves further workloads to the latest content.
fn bucket(set: &str, key: &str) -> i64 {
    let digest = Sha256::new().chain_update(set).chain_update([0]).chain_update(key).finalize();
    let head = digest.iter().take(7).fold(0, |n, byte| n << 8 | i64::from(*byte));
    head % 100
}

fn find<'s>(wanted: &InjectRevision, name: &str, sets: &'s Sets) -> Option<&'s PreparedSet> {
    let recorded = recorded(name, sets);
    let mut newest_first = recorded.iter().rev();
    match (&wanted.revision_name, &wanted.custom_version) {
        (Some(name), _) => newest_first.find(|r| r.content.set().revision_name == *name),
        (None, Some(version)) => newest_first.find(|r| r.version == Some(version)),
        (None, None) => None,
    }
    .map(|r| r.content)
}

/// A recorded revision.
struct Recorded<'s> {
    content: &'s PreparedSet,
    version: Option<&'s String>,
}

/// Kruise v1.9.0: going back to an older spec makes its revision the newest again, and the revision takes
/// over the version that the set has then, if it has one.
fn recorded<'s>(name: &str, sets: &'s Sets) -> Vec<Recorded<'s>> {
    let mut by_name: BTreeMap<&str, (usize, Recorded<'s>)> = BTreeMap::new();
    for (at, content) in sets.known(name).enumerate() {
        let version = content.set().custom_version.as_ref().filter(|v| !v.is_empty());
        let before = by_name.get(content.set().revision_name.as_str()).and_then(|(_, r)| r.version);
        let revision = Recorded { content, version: version.or(before) };
        by_name.insert(&content.set().revision_name, (at, revision));
    }
    let mut recorded: Vec<_> = by_name.into_values().collect();
    recorded.sort_by_key(|(at, _)| *at);
    recorded.into_iter().map(|(_, revision)| revision).collect()
}

fn not_found(set: &SidecarSet, wanted: &InjectRevision, sets: &Sets) -> Diagnostic {
    let (field, value, what) = match (&wanted.revision_name, &wanted.custom_version) {
        (Some(name), _) => ("revisionName", name.as_str(), "revision"),
        (None, version) => {
            ("customVersion", version.as_deref().unwrap_or_default(), "revision with the version")
        }
    };
    let known: Vec<_> = recorded(&set.name, sets)
        .iter()
        .map(|r| match r.version {
            Some(version) => format!("`{}` (`{version}`)", r.content.set().revision_name),
            None => format!("`{}`", r.content.set().revision_name),
        })
        .collect();
    let at = set.path.join(&Path::dotted("spec.injectionStrategy.revision")).then(field);
    Diagnostic::error(Code::RevisionNotFound, format!("SidecarSet `{}` has no {what} `{value}`", set.name))
        .at(set.document.label(&at, Part::Value, "no known state of the set has it"))
        .field(format!("spec.injectionStrategy.revision.{field}"))
        .because(format!("known are {}", known.join(", ")))
        .because("Kruise denies every pod that the set selects")
        .help("give the earlier states of the set with `--history FILE`, oldest first, or name a known revision")
}

fn decided_by_key(set: &SidecarSet, percent: i64) -> Diagnostic {
    let at = set.path.join(&Path::dotted("spec.updateStrategy.partition"));
    let message = format!("SidecarSet `{}` leaves it to chance which pods get the named revision", set.name);
    Diagnostic::warning(Code::PartialByKey, message)
        .at(set.document.label(
            &at,
            Part::Value,
            format!("{percent} of 100 pods, drawn one by one in a cluster"),
        ))
        .field("spec.updateStrategy.partition")
        .because("pillion decides by the key of the workload: always the same way, and for all its pods")
        .help("use `policy: Always`, or a selector, to say which workloads keep the named revision")
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn buckets_are_spread_and_stay() {
        let buckets: Vec<i64> = (0..1000).map(|i| bucket("log", &format!("Pod/default/web-{i}"))).collect();
        assert!(buckets.iter().all(|b| (0..100).contains(b)));
        let low = buckets.iter().filter(|b| **b < 30).count();
        assert!((250..350).contains(&low), "{low} of 1000 are below 30");
        assert_eq!(bucket("log", "Pod/default/web-0"), bucket("log", "Pod/default/web-0"));
        assert_ne!(
            (0..20).map(|i| bucket("a", &i.to_string())).collect::<Vec<_>>(),
            (0..20).map(|i| bucket("b", &i.to_string())).collect::<Vec<_>>()
        );
    }
}
