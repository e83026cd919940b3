//! Hot-upgrade pairs: one container of a SidecarSet becomes two containers of the pod, one of them active.

use super::template::{JsonObject, set_annotation, text_at};
use super::trace::ItemSource;
use super::types::{HotUpgradeTwin, NewContainer};
use crate::model::go_json::to_go_json;
use crate::model::image::tag;
use crate::model::pod_annotations::{WORKING_CONTAINERS, parse_working_containers};
use crate::model::sidecar_set::HotUpgradeState;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const VERSION_PREFIX: &str = "version.sidecarset.kruise.io/";
const VERSION_ALT_PREFIX: &str = "versionalt.sidecarset.kruise.io/";

impl HotUpgradeTwin {
    /// Returns the container of an index, 0 for `NAME-1`. At version 1 the pair is as Kruise injects it; each upgrade
    /// changes the version of one container only, which restarts anyway: Kruise restarts containers that read a
    /// changed annotation into their environment.
    fn of(state: &HotUpgradeState, index: usize) -> Self {
        let version = state.version;
        match (HotUpgradeState::working_index(version) == index, &state.previous_image) {
            (true, _) => Self { is_working: true, version, alternative: version.saturating_sub(1) },
            (false, Some(_)) => Self {
                is_working: false,
                version: version.saturating_sub(1),
                alternative: version.saturating_sub(2),
            },
            (false, None) => Self { is_working: false, version: 0, alternative: version },
        }
    }
}

/// Makes a built container one of a pair, by its index. The one that does not work has the empty image, and none where
/// the set gives none, as in Kruise; while an upgrade is half done it has the image from before.
pub(super) fn to_twin(mut one: NewContainer<'_>, index: usize) -> NewContainer<'_> {
    let state = &one.sidecar.hot_upgrade;
    let twin = HotUpgradeTwin::of(state, index);
    let [first, second] = one.sidecar.hot_upgrade_names();
    one.name = if index == 0 { first } else { second };
    one.hot_upgrade_twin = Some(twin);
    one.container.insert("name".to_owned(), Value::String(one.name.clone()));
    match &state.previous_image {
        _ if twin.is_working => {}
        Some(image) => {
            one.container.insert("image".to_owned(), Value::String(image.clone()));
        }
        None => {
            let empty = one.sidecar.hot_upgrade_empty_image.as_deref();
            set_empty_image(&mut one.container, empty.unwrap_or_default());
        }
    }
    // Kruise v1.9.0 appends the two without looking whether the names are there.
    if let Some(Value::Array(env)) = one.container.get_mut("env") {
        for variable in version_variables(&one.name) {
            one.sources.push(("env", env.len(), ItemSource::HotUpgrade));
            env.push(variable);
        }
    }
    one
}

/// Kruise v1.9.0 sets the pull policy by the image that the set writes, before the pair is made; where the
/// API server would set another one by the empty image, it is written.
fn set_empty_image(container: &mut JsonObject, empty: &str) {
    let pull_policy = |image: &str| if tag(image) == Some("latest") { "Always" } else { "IfNotPresent" };
    let policy = pull_policy(text_at(container, "image"));
    if empty.is_empty() {
        container.shift_remove("image");
    } else {
        container.insert("image".to_owned(), Value::String(empty.to_owned()));
    }
    if (empty.is_empty() || policy != pull_policy(empty)) && text_at(container, "imagePullPolicy").is_empty()
    {
        container.insert("imagePullPolicy".to_owned(), Value::String(policy.to_owned()));
    }
}

/// The variables by which the containers of a pair know which of them works.
fn version_variables(name: &str) -> [Value; 2] {
    [("SIDECARSET_VERSION", VERSION_PREFIX), ("SIDECARSET_VERSION_ALT", VERSION_ALT_PREFIX)].map(
        |(variable, annotation)| {
            let path = format!("metadata.annotations['{annotation}{name}']");
            json!({"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}})
        },
    )
}

/// Writes the annotations of all pairs, and removes those of containers that go.
pub(super) fn write_annotations(
    new_containers: &[NewContainer<'_>],
    removed: &BTreeSet<&str>,
    annotations: &mut JsonObject,
) {
    // Kruise v1.9.0: what the pod already says is kept, and dropped where it cannot be read.
    let mut working = parse_working_containers(text_at(annotations, WORKING_CONTAINERS));
    for name in removed {
        annotations.shift_remove(&format!("{VERSION_PREFIX}{name}"));
        annotations.shift_remove(&format!("{VERSION_ALT_PREFIX}{name}"));
    }
    working.retain(|_, container| !removed.contains(container.as_str()));
    for one in new_containers {
        let Some(twin) = one.hot_upgrade_twin else { continue };
        set_annotation(annotations, &format!("{VERSION_PREFIX}{}", one.name), &twin.version.to_string());
        let alternative = twin.alternative.to_string();
        set_annotation(annotations, &format!("{VERSION_ALT_PREFIX}{}", one.name), &alternative);
        if twin.is_working {
            working.insert(one.sidecar.name.clone(), one.name.clone());
        }
    }
    let has_pairs = new_containers.iter().any(|b| b.hot_upgrade_twin.is_some());
    if !has_pairs && removed.is_empty() {
        return;
    }
    if working.is_empty() {
        annotations.shift_remove(WORKING_CONTAINERS);
    } else {
        set_annotation(annotations, WORKING_CONTAINERS, &to_go_json(&json!(working)));
    }
}
