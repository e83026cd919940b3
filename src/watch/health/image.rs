//! Compares images: runtimes spell image names in their own ways.

use super::super::snapshot::{ContainerState, LiveContainer};
use crate::model::image;
use jiff::Timestamp;

/// Returns whether two texts name the same image: `log:1` is `docker.io/library/log:1`.
pub(super) fn is_same_image(one: &str, other: &str) -> bool {
    let ((a, a_digest), (b, b_digest)) = (split(one), split(other));
    match (a_digest, b_digest) {
        (Some(x), Some(y)) => x == y && repository(a) == repository(b),
        (None, None) => repository(a) == repository(b) && tag(a) == tag(b),
        _ => false,
    }
}

/// Returns whether a container runs an image, even if it was changed in place. `changed` is the time of that change;
/// `is_born`: the pod was created with the image.
// Kruise v1.9.0 inplaceupdate DefaultCheckInPlaceUpdateCompleted: the image id differs from the previous one.
pub(super) fn runs_image(
    container: &LiveContainer,
    image: &str,
    changed: Option<Timestamp>,
    is_born: bool,
) -> bool {
    let Some(running) = container.running_image.as_deref() else { return false };
    let id = container.image_id.as_deref().filter(|id| !id.is_empty());
    let by_digest = split(image).1.zip(id).is_some_and(|(digest, id)| id.ends_with(digest));
    let is_other = container.previous_image_id.as_deref().zip(id).is_some_and(|(before, id)| before != id);
    by_digest
        || is_same_image(image, running)
        || is_other
        || (is_image_id(running) && has_restarted_since(container, changed))
        || is_born
}

/// If the running image is only an id, the time of the restart decides.
fn has_restarted_since(container: &LiveContainer, changed: Option<Timestamp>) -> bool {
    let last = container.last_termination.as_ref();
    let Some(changed) = changed else { return last.is_some() };
    let started = match &container.state {
        ContainerState::Running { since } => *since,
        ContainerState::Terminated(end) => end.started_at,
        ContainerState::Waiting { .. } | ContainerState::Unknown => last.and_then(|end| end.started_at),
    };
    started.is_some_and(|started| started >= changed)
}

/// Returns whether a message is about the previous image of a container only.
pub(super) fn is_about_previous_image(message: &str, container: &LiveContainer) -> bool {
    let before = container.running_image.as_deref().filter(|i| !is_same_image(i, &container.image));
    before.is_some_and(|before| message.contains(before) && !message.contains(&*container.image))
}

/// Returns the version of an image: its tag, or the start of its digest.
pub(super) fn image_version(text: &str) -> String {
    match (image::tag(text), split(text).1) {
        (Some(tag), _) => tag.to_owned(),
        (None, Some(digest)) => digest.chars().take("sha256:".len() + 12).collect(),
        (None, None) => text.to_owned(),
    }
}

fn split(image: &str) -> (&str, Option<&str>) {
    image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)))
}

fn tag(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split_once(':').map_or("latest", |(_, tag)| tag)
}

fn repository(name: &str) -> &str {
    let colon = name.rfind(':').filter(|at| !name[*at..].contains('/'));
    let name = &name[..colon.unwrap_or(name.len())];
    let name = ["docker.io/", "index.docker.io/"].iter().find_map(|p| name.strip_prefix(p)).unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

fn is_image_id(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::{image_version, is_same_image};

    #[test]
    fn spellings_of_one_image() {
        assert!(is_same_image("log:1", "docker.io/library/log:1"));
        assert!(is_same_image("a.example:5000/log", "a.example:5000/log:latest"));
        assert!(is_same_image("log:1@sha256:ab", "docker.io/library/log@sha256:ab"));
        assert!(!is_same_image("log:1", "log:2"));
        assert!(!is_same_image("log:1", "a.example/log:1"));
        assert!(!is_same_image("log@sha256:ab", "log:1"));
    }

    #[test]
    fn versions() {
        assert_eq!(image_version("a.example:5000/log:1.5.0"), "1.5.0");
        assert_eq!(image_version("log"), "latest");
        assert_eq!(image_version(&format!("log@sha256:{}", "ab".repeat(32))), "sha256:abababababab");
    }
}
