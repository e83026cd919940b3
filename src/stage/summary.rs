//! Summarizes a rollout in a phrase, for messages.

use crate::model::ledger::{Ledger, RevisionName, revision_text};
use crate::model::sidecar_set::SidecarSet;
use crate::rollout::report::shorten_images;
use serde_json::{Map, Value};

/// A summary of a rollout.
pub(super) struct RolloutSummary {
    /// The change: `logtail 1.4.2 -> 1.5.0`.
    pub(super) change: String,
    /// The target: `logtail 1.5.0`.
    pub(super) target: String,
    /// What updated pods have: `carry 1.5.0`.
    pub(super) pod_state: String,
}

/// Returns the change of a rollout in progress: `logtail 1.4.2 -> 1.5.0`.
pub(crate) fn change_text(ledger: &Ledger) -> String {
    RolloutSummary::from_ledger(ledger).change
}

/// Returns the versions of a revision of a ledger: `logtail 1.4.2`; its name where it is not there, `nothing` for none.
pub(crate) fn versions_text(ledger: &Ledger, revision: &RevisionName) -> String {
    match revision.as_ref().and_then(|name| ledger.revision(name)) {
        Some(revision) => revision.versions_text(),
        None => revision.as_deref().unwrap_or("nothing").to_owned(),
    }
}

impl RolloutSummary {
    /// Summarizes the rollout of a ledger with a target.
    pub(super) fn from_ledger(ledger: &Ledger) -> Self {
        let target = ledger.target.clone().unwrap_or_default();
        let set = |name: &RevisionName| name.as_ref().and_then(|n| ledger.revision(n)).map(|r| &*r.set);
        let images = set(&ledger.released).zip(set(&target)).and_then(|(old, new)| image_changes(old, new));
        match (&target, images) {
            (_, Some(images)) => Self::from_images(&images),
            (Some(name), None) => Self {
                change: match &ledger.replaces[..] {
                    olds if !olds.is_empty() && ledger.released.is_none() => {
                        format!("{} -> {name}", olds.join(", "))
                    }
                    _ => format!("{} -> {name}", revision_text(&ledger.released)),
                },
                target: name.to_string(),
                pod_state: format!("carry {name}"),
            },
            (None, None) => Self {
                change: format!("{} -> nothing", revision_text(&ledger.released)),
                target: "removal".to_owned(),
                pod_state: format!("carry nothing of {}", ledger.name),
            },
        }
    }

    fn from_images(images: &[(String, String, String)]) -> Self {
        let each = |text: &dyn Fn(&(String, String, String)) -> String| {
            images.iter().map(text).collect::<Vec<_>>().join(", ")
        };
        let state = match images {
            [(_, _, new)] => new.clone(),
            _ => each(&|(name, _, new)| format!("{name} {new}")),
        };
        Self {
            change: each(&|(name, old, new)| format!("{name} {old} -> {new}")),
            target: each(&|(name, _, new)| format!("{name} {new}")),
            pod_state: format!("carry {state}"),
        }
    }
}

/// Returns the containers with changed images, with both images, where nothing else differs; of images with the same
/// name only the tags.
fn image_changes(old: &SidecarSet, new: &SidecarSet) -> Option<Vec<(String, String, String)>> {
    const LISTS: [&str; 2] = ["initContainers", "containers"];
    let without = |content: &Map<String, Value>| {
        let mut content = content.clone();
        for list in LISTS {
            for container in content.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                container.as_object_mut().map(|c| c.insert("image".into(), Value::Null));
            }
        }
        content
    };
    if without(&old.revision_content()) != without(&new.revision_content()) {
        return None;
    }
    let containers = |set: &SidecarSet| -> Vec<(String, String)> {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let lists = LISTS.iter().filter_map(|list| set.content.get(*list)?.as_array());
        lists.flatten().map(|c| (text(&c["name"]), text(&c["image"]))).collect()
    };
    let pairs = containers(old).into_iter().zip(containers(new));
    let differing = pairs.filter(|((_, old), (_, new))| old != new);
    let found: Vec<_> = differing
        .map(|((name, old), (_, new))| {
            let (old, new) = shorten_images(&old, &new);
            (name, old.to_owned(), new.to_owned())
        })
        .collect();
    (!found.is_empty()).then_some(found)
}
