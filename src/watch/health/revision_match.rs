//! Matches a pod to the revision in git, by controller revision and images.

use super::super::expected_state::ExpectedWorkload;
use super::super::snapshot::{ContainerRole, LiveContainer, LivePod, LiveWorkload};
use super::expected_sidecars::expected_sidecars;
use super::image;
use crate::rollout::update_method::UpdateMethod;

/// The revision of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RevisionMatch {
    /// The revision in git.
    Target,
    /// The newest revision, but a sidecar has another image than in git: something changes pods on creation.
    Mutated(String),
    /// Another revision.
    Other,
}

/// Returns the revision of a pod.
pub(super) fn match_revision(
    expected: &ExpectedWorkload,
    live: &LiveWorkload,
    pod: &LivePod,
) -> RevisionMatch {
    let revisions = pod.revision.as_deref().zip(live.update_revision.as_deref());
    if revisions.is_some_and(|(of_pod, newest)| !is_same_revision(of_pod, newest)) {
        return RevisionMatch::Other;
    }
    for sidecar in expected_sidecars(expected) {
        let Some(container) = find_container(pod, sidecar.name, sidecar.is_init) else {
            return RevisionMatch::Other;
        };
        if !image::is_same_image(sidecar.image, &container.image) {
            let text =
                format!("{} has image {} in pods of the newest revision", sidecar.name, container.image);
            return if revisions.is_some() { RevisionMatch::Mutated(text) } else { RevisionMatch::Other };
        }
    }
    // A pod of the newest revision comes from a template without them.
    let has_leftover = || pod.containers.iter().any(|c| expected.removed_sidecars.contains(&c.name));
    if revisions.is_none() && has_leftover() { RevisionMatch::Other } else { RevisionMatch::Target }
}

/// CloneSets write the whole name or its last part, depending on version and feature gate.
fn is_same_revision(one: &str, other: &str) -> bool {
    let ends = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|rest| rest.ends_with('-'));
    one == other || (!one.is_empty() && !other.is_empty() && (ends(one, other) || ends(other, one)))
}

/// Returns a container of a pod by its name and list.
pub(super) fn find_container<'a>(pod: &'a LivePod, name: &str, is_init: bool) -> Option<&'a LiveContainer> {
    pod.containers.iter().find(|c| *c.name == *name && (c.role != ContainerRole::Main) == is_init)
}

/// Returns whether the kubelet has applied the pod's spec: containers that are changed in place run their old image
/// for a while.
pub(super) fn is_update_complete(expected: &ExpectedWorkload, live: &LiveWorkload, pod: &LivePod) -> bool {
    if expected.update_method != UpdateMethod::InPlace {
        return true;
    }
    // Kruise records what it changes in place; a pod without a record was created as it is.
    let is_born = !is_bare_pod(expected)
        && pod.updated_in_place.is_none()
        && pod.containers.iter().all(|c| c.previous_image_id.is_none())
        && pod.created.zip(live.revision_created).is_some_and(|(pod, revision)| pod >= revision);
    !pod.is_update_unobserved
        && expected_sidecars(expected).iter().all(|sidecar| {
            find_container(pod, sidecar.name, sidecar.is_init)
                .is_some_and(|c| image::runs_image(c, sidecar.image, pod.updated_in_place, is_born))
        })
}

/// Returns whether a workload is a bare Pod.
pub(super) fn is_bare_pod(expected: &ExpectedWorkload) -> bool {
    expected.key.starts_with("Pod/")
}

#[cfg(test)]
mod tests {
    use super::is_same_revision;

    #[test]
    fn revisions_are_names_or_hashes() {
        assert!(is_same_revision("web-7d9f", "web-7d9f"));
        assert!(is_same_revision("web-7d9f", "7d9f"));
        assert!(is_same_revision("7d9f", "web-7d9f"));
        assert!(!is_same_revision("web-7d9f", "9f"));
        assert!(!is_same_revision("", "web-"));
    }
}
