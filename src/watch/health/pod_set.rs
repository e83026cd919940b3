//! Classifies the pods of a workload by revision and state.

use super::super::expected_state::ExpectedWorkload;
use super::super::snapshot::{LivePod, LiveWorkload};
use super::pod;
use super::revision_match::{RevisionMatch, is_bare_pod, is_update_complete, match_revision};
use crate::rollout::kept_by_percent;

/// A pod with its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassifiedPod<'a> {
    /// `metadata.name`.
    pub(crate) name: &'a str,
    /// The pod.
    pub(crate) pod: &'a LivePod,
    /// It is ready, and runs what its spec says.
    pub(crate) is_ready: bool,
}

/// The pods of a workload by class, each list by name.
#[derive(Debug, Clone, Default)]
pub(super) struct PodSet<'a> {
    /// Pods at the target revision.
    pub(crate) updated: Vec<ClassifiedPod<'a>>,
    /// Terminating pods at the target revision.
    pub(crate) terminating: Vec<ClassifiedPod<'a>>,
    /// Pods at the target revision that their node ended.
    pub(crate) disrupted: Vec<ClassifiedPod<'a>>,
    /// Pods at another revision: what fails there failed before.
    pub(crate) outdated: Vec<ClassifiedPod<'a>>,
    /// A bare pod that has completed.
    pub(crate) is_completed: bool,
    /// A change that something makes to new pods, if there is one.
    pub(crate) mutation: Option<String>,
}

/// Classifies the pods of a workload.
pub(super) fn classify_pods<'a>(expected: &ExpectedWorkload, live: &'a LiveWorkload) -> PodSet<'a> {
    let mut found = PodSet::default();
    for (name, pod) in &live.pods {
        let revision = match_revision(expected, live, pod);
        let is_target = revision == RevisionMatch::Target;
        if let RevisionMatch::Mutated(text) = revision {
            found.mutation.get_or_insert(text);
        }
        let is_ready = pod::is_ready(pod) && is_update_complete(expected, live, pod);
        let member = ClassifiedPod { name, pod, is_ready };
        let has_ended = pod.has_ended();
        match (is_target, has_ended, pod.deletion_time.is_some()) {
            (true, true, _) if pod::disruption(pod).is_some() => found.disrupted.push(member),
            (true, true, _) if is_bare_pod(expected) => found.is_completed = true,
            (true, false, true) => found.terminating.push(member),
            (true, false, false) => found.updated.push(member),
            (false, false, false) => found.outdated.push(member),
            _ => {}
        }
    }
    found
}

impl PodSet<'_> {
    /// Returns how many pods are at the target revision.
    pub(super) fn updated_count(&self) -> u32 {
        saturating_u32(self.updated.len())
    }

    /// Returns how many of them are ready.
    pub(super) fn ready_count(&self) -> u32 {
        saturating_u32(self.updated.iter().filter(|m| m.is_ready).count())
    }

    /// Returns how many pods use up `maxUnavailable`. A pod that its node ended counts until it is replaced, if the
    /// kind has a replica count.
    pub(super) fn unavailable_count(&self, expected: &ExpectedWorkload, live: &LiveWorkload) -> u32 {
        let desired = match &expected.set {
            Some(_) => desired_count(expected, live, self),
            None => live.desired.unwrap_or(0).saturating_sub(expected.kept_pods),
        };
        let missing = desired.saturating_sub(self.updated_count());
        (self.updated_count() - self.ready_count())
            .saturating_add(saturating_u32(self.terminating.len()))
            .saturating_add(saturating_u32(self.disrupted.len()).min(missing))
    }
}

/// Returns how many pods must be at the target revision. For a kind without a replica count these are the existing
/// ones.
pub(super) fn desired_count(expected: &ExpectedWorkload, live: &LiveWorkload, pods: &PodSet<'_>) -> u32 {
    match &expected.set {
        // Which pods are canaries depends on their labels: those that are updated have to be healthy, and without any
        // there is no evidence.
        Some(set) if set.is_canary => {
            let updatable = live.desired.unwrap_or(0).saturating_sub(live.not_upgradable);
            return pods.updated_count().max(1).min(updatable);
        }
        Some(set) => {
            let matched = live.desired.unwrap_or(0);
            let kept = kept_by_percent(set.kept_percent, matched);
            return matched.saturating_sub(kept).saturating_sub(live.not_upgradable);
        }
        None => {}
    }
    let desired = live
        .desired
        .unwrap_or_else(|| pods.updated_count().saturating_add(saturating_u32(pods.outdated.len())));
    desired.saturating_sub(expected.kept_pods)
}

fn saturating_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
