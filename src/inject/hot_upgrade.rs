//! Hot-upgrade pairs: one container of a SidecarSet becomes two containers of the pod, one of them active.

use super::template::{JsonObject, set_annotation, text_at};
use super::trace::ItemSource;
use super::types::{HotUpgradeRole, NewContainer};
use crate::model::go_json::to_go_json;
use crate::model::image::tag;
use crate::model::pod_annotations::{WORKING_CONTAINERS, parse_working_containers};
use crate::model::sidecar_set::SidecarContainer;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const VERSION_PREFIX: &str = "version.sidecarset.kruise.io/";
const VERSION_ALT_PREFIX: &str = "versionalt.sidecarset.kruise.io/";

/// Returns the name of one container of a pair.
pub(super) fn role_name(sidecar: &SidecarContainer, role: HotUpgradeRole) -> String {
    let [working, empty] = sidecar.hot_upgrade_names();
    match role {
        HotUpgradeRole::Working => working,
        HotUpgradeRole::Empty => empty,
    }
}

/// Makes a built container one of a pair. The second has no image where the set gives none, as in Kruise.
pub(super) fn assign_role(mut one: NewContainer<'_>, role: HotUpgradeRole) -> NewContainer<'_> {
    one.name = role_name(one.sidecar, role);
    one.hot_upgrade_role = Some(role);
    one.container.insert("name".to_owned(), Value::String(one.name.clone()));
    if role == HotUpgradeRole::Empty {
        replace_image(&mut one.container, one.sidecar.hot_upgrade_empty_image.as_deref().unwrap_or_default());
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
fn replace_image(container: &mut JsonObject, empty: &str) {
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
        let Some(role) = one.hot_upgrade_role else { continue };
        let (version, alternative) = if role == HotUpgradeRole::Working { ("1", "0") } else { ("0", "1") };
        set_annotation(annotations, &format!("{VERSION_PREFIX}{}", one.name), version);
        set_annotation(annotations, &format!("{VERSION_ALT_PREFIX}{}", one.name), alternative);
        if role == HotUpgradeRole::Working {
            working.insert(one.sidecar.name.clone(), one.name.clone());
        }
    }
    let has_pairs = new_containers.iter().any(|b| b.hot_upgrade_role.is_some());
    if !has_pairs && removed.is_empty() {
        return;
    }
    if working.is_empty() {
        annotations.shift_remove(WORKING_CONTAINERS);
    } else {
        set_annotation(annotations, WORKING_CONTAINERS, &to_go_json(&json!(working)));
    }
}
