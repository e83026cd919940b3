//! Hot-upgrade pairs: one container of a set becomes two of the pod, of which one works.

use super::containers::{Brought, List};
use super::metadata::put;
use super::template::{Object, text};
use super::trace::Source;
use crate::model::annotations::{WORKING, read_working};
use crate::model::go_json::to_go_json;
use crate::model::image::tag;
use crate::model::sidecar_set::SidecarContainer;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const VERSION: &str = "version.sidecarset.kruise.io/";
const VERSION_ALT: &str = "versionalt.sidecarset.kruise.io/";

/// One container of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twin {
    /// `NAME-1`, which has the image and works at first.
    Working,
    /// `NAME-2`, which has the empty image.
    Empty,
}

/// Tells whether a container becomes a pair. Kruise v1.9.0 ignores the setting on plain init containers.
pub(super) fn is_pair(sidecar: &SidecarContainer, list: List) -> bool {
    sidecar.hot_upgrade_empty_image.is_some() && (list == List::Main || sidecar.is_native_sidecar)
}

/// Returns the names a container has in the pod.
pub(super) fn names(sidecar: &SidecarContainer, list: List) -> [Option<String>; 2] {
    if is_pair(sidecar, list) {
        [Twin::Working, Twin::Empty].map(|twin| Some(name(sidecar, twin)))
    } else {
        [Some(sidecar.name.clone()), None]
    }
}

/// Returns the name of one container of a pair.
pub(super) fn name(sidecar: &SidecarContainer, twin: Twin) -> String {
    let [working, empty] = sidecar.pair_names();
    match twin {
        Twin::Working => working,
        Twin::Empty => empty,
    }
}

/// Makes a built container one of a pair. The second has no image where the set gives none, as in Kruise.
pub(super) fn twin(mut one: Brought<'_>, twin: Twin) -> Brought<'_> {
    one.name = name(one.sidecar, twin);
    one.twin = Some(twin);
    one.container.insert("name".to_owned(), Value::String(one.name.clone()));
    if twin == Twin::Empty {
        replace_image(&mut one.container, one.sidecar.hot_upgrade_empty_image.as_deref().unwrap_or_default());
    }
    // Kruise v1.9.0 appends the two without looking whether the names are there.
    if let Some(Value::Array(env)) = one.container.get_mut("env") {
        for variable in version_variables(&one.name) {
            one.sources.push(("env", env.len(), Source::HotUpgrade));
            env.push(variable);
        }
    }
    one
}

/// Kruise v1.9.0 sets the pull policy by the image that the set writes, before the pair is made; where the
/// API server would set another one by the empty image, it is written.
fn replace_image(container: &mut Object, empty: &str) {
    let pull_policy = |image: &str| if tag(image) == Some("latest") { "Always" } else { "IfNotPresent" };
    let policy = pull_policy(text(container, "image"));
    if empty.is_empty() {
        container.shift_remove("image");
    } else {
        container.insert("image".to_owned(), Value::String(empty.to_owned()));
    }
    if (empty.is_empty() || policy != pull_policy(empty)) && text(container, "imagePullPolicy").is_empty() {
        container.insert("imagePullPolicy".to_owned(), Value::String(policy.to_owned()));
    }
}

/// The variables by which the containers of a pair know which of them works.
fn version_variables(name: &str) -> [Value; 2] {
    [("SIDECARSET_VERSION", VERSION), ("SIDECARSET_VERSION_ALT", VERSION_ALT)].map(
        |(variable, annotation)| {
            let path = format!("metadata.annotations['{annotation}{name}']");
            json!({"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}})
        },
    )
}

/// Writes the annotations of all pairs, and takes out those of containers that go.
pub(super) fn annotate(brought: &[Brought<'_>], gone: &BTreeSet<&str>, annotations: &mut Object) {
    // Kruise v1.9.0: what the pod already says is kept, and dropped where it cannot be read.
    let mut working = read_working(text(annotations, WORKING));
    for name in gone {
        annotations.shift_remove(&format!("{VERSION}{name}"));
        annotations.shift_remove(&format!("{VERSION_ALT}{name}"));
    }
    working.retain(|_, container| !gone.contains(container.as_str()));
    for one in brought {
        let Some(twin) = one.twin else { continue };
        let (version, alternative) = if twin == Twin::Working { ("1", "0") } else { ("0", "1") };
        put(annotations, &format!("{VERSION}{}", one.name), version);
        put(annotations, &format!("{VERSION_ALT}{}", one.name), alternative);
        if twin == Twin::Working {
            working.insert(one.sidecar.name.clone(), one.name.clone());
        }
    }
    let has_pairs = brought.iter().any(|b| b.twin.is_some());
    if !has_pairs && gone.is_empty() {
        return;
    }
    if working.is_empty() {
        annotations.shift_remove(WORKING);
    } else {
        put(annotations, WORKING, &to_go_json(&json!(working)));
    }
}
