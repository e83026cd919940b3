//! Does a pod carry what git says of its workload? By the revision that its controller wrote on it, and by the images
//! that it asks for.

use super::super::expected_state::ExpectedWorkload;
use super::super::snapshot::{ContainerRole, LiveContainer, LivePod, LiveWorkload};
use super::expected_sidecars::expected_sidecars;
use super::image;
use crate::rollout::update_method::UpdateMethod;

/// What a pod carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RevisionMatch {
    /// What git says.
    Target,
    /// The newest revision, and for this sidecar another image than git says: something changes pods as they are made.
    Mutated(String),
    /// Another template.
    Other,
}

/// Tells what a pod carries.
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
            let text = format!("{} is {} in pods of the newest revision", sidecar.name, container.image);
            return if revisions.is_some() { RevisionMatch::Mutated(text) } else { RevisionMatch::Other };
        }
    }
    // A pod of the newest revision is made from a template that does not have them.
    let has_leftover = || pod.containers.iter().any(|c| expected.removed_sidecars.contains(&c.name));
    if revisions.is_none() && has_leftover() { RevisionMatch::Other } else { RevisionMatch::Target }
}

/// CloneSets write either a whole name or its last part, by version and feature gate.
fn is_same_revision(one: &str, other: &str) -> bool {
    let ends = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|rest| rest.ends_with('-'));
    one == other || (!one.is_empty() && !other.is_empty() && (ends(one, other) || ends(other, one)))
}

/// Returns a container of a pod by its name and list.
pub(super) fn find_container<'a>(pod: &'a LivePod, name: &str, is_init: bool) -> Option<&'a LiveContainer> {
    pod.containers.iter().find(|c| *c.name == *name && (c.role != ContainerRole::Main) == is_init)
}

/// Tells whether the kubelet has done what a pod asks for: containers that are changed in place run their old image
/// for a while.
pub(super) fn is_update_complete(expected: &ExpectedWorkload, live: &LiveWorkload, pod: &LivePod) -> bool {
    if expected.update_method != UpdateMethod::InPlace {
        return true;
    }
    // Kruise writes down what it changes in place; a pod without that was made with what it has.
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

/// Tells whether a workload is a Pod by itself.
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
