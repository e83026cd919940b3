//! Does a pod carry what git says of its workload? By the revision that its controller wrote on it, and by the images
//! that it asks for.

use super::super::released::Expected;
use super::super::snapshot::{Container, Pod, Role, Workload};
use super::image;
use super::target::sidecars;
use crate::plan::how::How;

/// What a pod carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Carries {
    /// What git says.
    Target,
    /// The newest revision, and for this sidecar another image than git says: something changes pods as they are made.
    Changed(String),
    /// Another template.
    Other,
}

/// Tells what a pod carries.
pub(super) fn carries(expected: &Expected, live: &Workload, pod: &Pod) -> Carries {
    let revisions = pod.revision.as_deref().zip(live.update_revision.as_deref());
    if revisions.is_some_and(|(of_pod, newest)| !is_same_revision(of_pod, newest)) {
        return Carries::Other;
    }
    for sidecar in sidecars(expected) {
        let Some(container) = find(pod, sidecar.name, sidecar.is_init) else { return Carries::Other };
        if !image::is_same(sidecar.image, &container.image) {
            let text = format!("{} is {} in pods of the newest revision", sidecar.name, container.image);
            return if revisions.is_some() { Carries::Changed(text) } else { Carries::Other };
        }
    }
    // A pod of the newest revision is made from a template that does not have them.
    let has_leftover = || pod.containers.iter().any(|c| expected.gone.contains(&c.name));
    if revisions.is_none() && has_leftover() { Carries::Other } else { Carries::Target }
}

/// CloneSets write either a whole name or its last part, by version and feature gate.
fn is_same_revision(one: &str, other: &str) -> bool {
    let ends = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|rest| rest.ends_with('-'));
    one == other || (!one.is_empty() && !other.is_empty() && (ends(one, other) || ends(other, one)))
}

/// Returns a container of a pod by its name and list.
pub(super) fn find<'a>(pod: &'a Pod, name: &str, is_init: bool) -> Option<&'a Container> {
    pod.containers.iter().find(|c| *c.name == *name && (c.role != Role::Main) == is_init)
}

/// Tells whether the kubelet has done what a pod asks for: containers that are changed in place run their old image
/// for a while.
pub(super) fn is_done(expected: &Expected, live: &Workload, pod: &Pod) -> bool {
    if expected.how != How::InPlace {
        return true;
    }
    // Kruise writes down what it changes in place; a pod without that was made with what it has.
    let is_born = !is_bare(expected)
        && pod.changed.is_none()
        && pod.containers.iter().all(|c| c.image_id_before.is_none())
        && pod.created.zip(live.revision_created).is_some_and(|(pod, revision)| pod >= revision);
    !pod.is_unseen
        && sidecars(expected).iter().all(|sidecar| {
            find(pod, sidecar.name, sidecar.is_init)
                .is_some_and(|c| image::runs(c, sidecar.image, pod.changed, is_born))
        })
}

/// Tells whether a workload is a Pod by itself.
pub(super) fn is_bare(expected: &Expected) -> bool {
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
