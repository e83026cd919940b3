//! Reads which files a kustomization lists as patches: these are not manifests.

use crate::yaml::Document;
use serde_json::Value;
use std::sync::Arc;

/// Returns the files that a kustomization lists as patches, relative to it; unreadable text lists none.
pub(super) fn patch_files(file: &Arc<str>, text: &str) -> Vec<String> {
    let Ok(document) = Document::read(file, 0, 1, text) else { return Vec::new() };
    let listed = |key: &str| document.value().get(key).and_then(Value::as_array).into_iter().flatten();
    let merges = listed("patchesStrategicMerge");
    let paths = ["patches", "patchesJson6902"].into_iter().flat_map(listed).map(|p| &p["path"]);
    merges.chain(paths).filter_map(|p| p.as_str().map(str::to_owned)).collect()
}
