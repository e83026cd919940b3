//! Kruise's two hashes of a SidecarSet and the name of its ControllerRevision.

use super::lifecycle::is_native_sidecar;
use crate::model::go_json::{to_go_json, to_sorted_go_json};
use crate::model::json::JsonObject;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Returns the annotations `kruise.io/sidecarset-hash` and `kruise.io/sidecarset-hash-without-image` of a stored spec.
/// `has_containers` is whether the key `containers` is in the source, even with an empty list.
pub(crate) fn hashes(spec: &Value, has_containers: bool) -> (String, String) {
    let list = |key: &str| spec.get(key).and_then(Value::as_array).cloned();
    let containers = list("containers").or(has_containers.then(Vec::new));
    let init = list("initContainers").unwrap_or_default();
    let hash = hash_containers(containers.as_ref(), &init);
    let without_image = hash_containers(containers.map(without_images).as_ref(), &without_images(init));
    (hash, without_image)
}

/// Returns the name of the ControllerRevision that Kruise creates for this content.
pub(crate) fn revision_name(set: &str, spec: &Value) -> String {
    let mut content = JsonObject::new();
    content.insert("$patch".into(), "replace".into());
    for key in ["containers", "imagePullSecrets", "initContainers", "patchPodMetadata", "volumes"] {
        content.insert(key.into(), spec.get(key).cloned().unwrap_or(Value::Null));
    }
    content_revision_name(set, &content)
}

/// Returns the name of a ControllerRevision with exactly this content.
pub(crate) fn content_revision_name(set: &str, content: &JsonObject) -> String {
    // Kruise hashes the revision with its number of name collisions, which is 0 for a new revision.
    let text = to_sorted_go_json(&json!({ "spec": content })) + "0";
    format!("{set}-{}", safe_encode_string(&fnv1_32(text.as_bytes()).to_string()))
}

fn hash_containers(containers: Option<&Vec<Value>>, init: &[Value]) -> String {
    let mut content = JsonObject::new();
    content.insert("containers".into(), containers.map_or(Value::Null, |c| Value::Array(c.clone())));
    if init.iter().any(is_native_sidecar) {
        content.insert("initContainers".into(), Value::Array(init.to_vec()));
    }
    let digest = Sha256::digest(to_go_json(&Value::Object(content)));
    safe_encode_string(&digest.iter().map(|b| format!("{b:02x}")).collect::<String>())
}

fn without_images(mut containers: Vec<Value>) -> Vec<Value> {
    for container in containers.iter_mut().filter_map(Value::as_object_mut) {
        container.shift_remove("image");
    }
    containers
}

/// apimachinery v0.32 util/rand.SafeEncodeString: encodes a text in letters and digits that form no words.
fn safe_encode_string(text: &str) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    text.bytes().map(|b| char::from(ALPHABET[usize::from(b) % ALPHABET.len()])).collect()
}

fn fnv1_32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash: u32, b| hash.wrapping_mul(0x0100_0193) ^ u32::from(*b))
}
