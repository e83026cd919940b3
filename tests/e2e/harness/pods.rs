//! Questions to the JSON of pods.

use serde_json::Value;
use std::collections::BTreeSet;

/// The status of a container or of a native sidecar.
pub(crate) fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let lists = [&pod["status"]["containerStatuses"], &pod["status"]["initContainerStatuses"]];
    let mut all = lists.into_iter().filter_map(Value::as_array).flatten();
    all.find(|status| status["name"] == name).unwrap_or(&Value::Null)
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready") == "True"
}

/// Whether one of the containers is to run an image.
pub(crate) fn runs_image(pod: &Value, image: &str) -> bool {
    let containers = pod["spec"]["containers"].as_array();
    containers.is_some_and(|all| all.iter().any(|container| container["image"] == image))
}

/// The status of a condition, empty without one.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == kind);
    found.and_then(|condition| condition["status"].as_str()).unwrap_or_default()
}

/// The pods themselves, whatever their state.
pub(crate) fn uids(pods: &[Value]) -> BTreeSet<String> {
    pods.iter().map(|pod| pod["metadata"]["uid"].as_str().unwrap().to_owned()).collect()
}
