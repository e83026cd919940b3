//! From a checked spec to the typed SidecarSet.

use super::schema::SIDECAR_CONTAINER;
use super::{
    InjectPolicy, InjectRevision, IntOrPercent, PatchPolicy, PodMetadataPatch, PriorityStrategy,
    ResourcesPolicy, ScatterTerm, SidecarContainer, TransferEnv, UpdateStrategy, WeightTerm, defaults,
};
use crate::model::selector::Selector;
use crate::yaml::Path;
use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// Reads a list of sidecars; `key` is `containers` or `initContainers`.
pub(crate) fn sidecars(spec: &Object, key: &str, root: &Path) -> Vec<SidecarContainer> {
    let default = if key == "containers" { "BeforeAppContainer" } else { "AfterAppContainer" };
    let list = root.join(&Path::dotted("spec").then(key));
    objects(spec, key).enumerate().map(|(i, c)| sidecar(c, default, list.then(i))).collect()
}

fn sidecar(written: &Object, default_policy: &str, path: Path) -> SidecarContainer {
    let is_own = |key: &str| SIDECAR_CONTAINER.fields.iter().any(|f| f.name == key);
    let policy = text(written, "podInjectPolicy").unwrap_or(default_policy);
    let is_enabled = |key| inside(written, key).and_then(|p| text(p, "type")) == Some("enabled");
    let upgrade = inside(written, "upgradeStrategy");
    let hot = upgrade.filter(|u| text(u, "upgradeType") == Some("HotUpgrade"));
    SidecarContainer {
        name: text(written, "name").unwrap_or_default().into(),
        container: written.iter().filter(|(k, _)| !is_own(k)).map(|(k, v)| (k.clone(), v.clone())).collect(),
        // Kruise v1.9.0: every policy but BeforeAppContainer counts as AfterAppContainer.
        pod_inject_policy: match policy {
            "BeforeAppContainer" => InjectPolicy::BeforeAppContainer,
            _ => InjectPolicy::AfterAppContainer,
        },
        share_volumes: is_enabled("shareVolumePolicy"),
        share_volume_devices: is_enabled("shareVolumeDevicePolicy"),
        transfer_env: objects(written, "transferEnv").map(transfer_env).collect(),
        hot_upgrade_empty_image: hot.map(|u| text(u, "hotUpgradeEmptyImage").unwrap_or_default().into()),
        resources_policy: inside(written, "resourcesPolicy").map(resources_policy),
        is_native_sidecar: text(written, "restartPolicy") == Some("Always"),
        path,
    }
}

fn transfer_env(term: &Object) -> TransferEnv {
    let from = inside(term, "sourceContainerNameFrom").and_then(|f| inside(f, "fieldRef"));
    let names = text(term, "envName").into_iter().chain(texts(term, "envNames"));
    TransferEnv {
        source_container_name: text(term, "sourceContainerName").unwrap_or_default().into(),
        source_container_name_from: from.map(|f| text(f, "fieldPath").unwrap_or_default().into()),
        env_names: names.filter(|n| !n.is_empty()).map(str::to_owned).collect(),
    }
}

fn resources_policy(policy: &Object) -> ResourcesPolicy {
    let expression = |part: &str, name: &str| {
        let part = inside(policy, "resourcesExpr").and_then(|e| inside(e, part))?;
        text(part, name).map(str::to_owned)
    };
    ResourcesPolicy {
        mode: text(policy, "targetContainersMode").unwrap_or_default().into(),
        name_regex: text(policy, "targetContainersNameRegex").unwrap_or(".*").into(),
        limits_cpu: expression("limits", "cpu"),
        limits_memory: expression("limits", "memory"),
        requests_cpu: expression("requests", "cpu"),
        requests_memory: expression("requests", "memory"),
    }
}

/// Reads the volumes; one without a source gets an `emptyDir`.
pub(crate) fn volumes(spec: &Object) -> Vec<Object> {
    let mut volumes: Vec<Object> = objects(spec, "volumes").cloned().collect();
    volumes.iter_mut().for_each(defaults::fill_volume_source);
    volumes
}

/// Reads the names of `imagePullSecrets`.
pub(crate) fn image_pull_secrets(spec: &Object) -> Vec<String> {
    objects(spec, "imagePullSecrets").map(|s| text(s, "name").unwrap_or_default().into()).collect()
}

/// Reads `patchPodMetadata`.
pub(crate) fn patch_pod_metadata(spec: &Object) -> Vec<PodMetadataPatch> {
    let patch = |patch: &Object| PodMetadataPatch {
        annotations: pairs(patch, "annotations"),
        policy: match text(patch, "patchPolicy") {
            None | Some("Retain") => PatchPolicy::Retain,
            Some("Overwrite") => PatchPolicy::Overwrite,
            Some("MergePatchJson") => PatchPolicy::MergePatchJson,
            Some(_) => PatchPolicy::Unknown,
        },
    };
    objects(spec, "patchPodMetadata").map(patch).collect()
}

/// Reads `injectionStrategy`: whether it is paused, and the revision.
pub(crate) fn injection(spec: &Object) -> (bool, Option<InjectRevision>) {
    let Some(strategy) = inside(spec, "injectionStrategy") else { return (false, None) };
    let revision = inside(strategy, "revision").map(|r| InjectRevision {
        revision_name: text(r, "revisionName").map(str::to_owned),
        custom_version: text(r, "customVersion").map(str::to_owned),
        is_partial: text(r, "policy") == Some("Partial"),
    });
    (flag(strategy, "paused"), revision)
}

/// Reads `updateStrategy`.
pub(crate) fn update_strategy(spec: &Object) -> UpdateStrategy {
    let empty = Object::new();
    let strategy = inside(spec, "updateStrategy").unwrap_or(&empty);
    UpdateStrategy {
        kind: text(strategy, "type").unwrap_or("RollingUpdate").into(),
        is_paused: flag(strategy, "paused"),
        selector: selector(strategy, "selector"),
        partition: int_or_percent(strategy, "partition"),
        max_unavailable: int_or_percent(strategy, "maxUnavailable"),
        priority_strategy: inside(strategy, "priorityStrategy").map(priority_strategy),
        scatter_strategy: objects(strategy, "scatterStrategy").map(scatter_term).collect(),
    }
}

fn priority_strategy(strategy: &Object) -> PriorityStrategy {
    let weight = |term: &Object| WeightTerm {
        weight: term.get("weight").and_then(Value::as_i64).unwrap_or(0),
        match_selector: selector(term, "matchSelector").unwrap_or_default(),
    };
    let ordered_key = |term: &Object| text(term, "orderedKey").unwrap_or_default().to_owned();
    PriorityStrategy {
        weight_priority: objects(strategy, "weightPriority").map(weight).collect(),
        order_priority: objects(strategy, "orderPriority").map(ordered_key).collect(),
    }
}

fn scatter_term(term: &Object) -> ScatterTerm {
    ScatterTerm {
        key: text(term, "key").unwrap_or_default().into(),
        value: text(term, "value").unwrap_or_default().into(),
    }
}

fn int_or_percent(object: &Object, key: &str) -> Option<IntOrPercent> {
    match object.get(key)? {
        Value::String(s) => Some(IntOrPercent::Text(s.clone())),
        value => value.as_i64().map(IntOrPercent::Int),
    }
}

/// Reads a label selector, where there is one.
pub(crate) fn selector(object: &Object, key: &str) -> Option<Selector> {
    inside(object, key).map(Selector::read)
}

/// Returns the object at a key.
pub(crate) fn inside<'a>(object: &'a Object, key: &str) -> Option<&'a Object> {
    object.get(key).and_then(Value::as_object)
}

/// Returns the string at a key.
pub(crate) fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

/// Returns the objects of a list.
pub(crate) fn objects<'a>(object: &'a Object, key: &str) -> impl Iterator<Item = &'a Object> {
    object.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// Returns the strings of a list.
pub(crate) fn texts<'a>(object: &'a Object, key: &str) -> impl Iterator<Item = &'a str> {
    object.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Returns the entries of a map of strings, in their order.
pub(crate) fn pairs(object: &Object, key: &str) -> Vec<(String, String)> {
    let entries = inside(object, key).into_iter().flatten();
    entries.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}

fn flag(object: &Object, key: &str) -> bool {
    object.get(key).and_then(Value::as_bool).unwrap_or(false)
}
