//! Reads the typed fields of a SidecarSet from its checked spec.

use super::schema::SIDECAR_CONTAINER;
use super::{
    HotUpgradeState, InjectPolicy, InjectionRevision, PatchPolicy, PodMetadataPatch, PriorityStrategy,
    ResourcesPolicy, ScatterTerm, SidecarContainer, TransferEnv, UpdateStrategy, WeightTerm, defaults,
};
use crate::model::int_or_percent::IntOrPercent;
use crate::model::json::{
    JsonObject, bool_at, int_at, object_at, objects_at, string_at, string_entries, strings_at, text_at,
};
use crate::model::selector::Selector;
use crate::yaml::FieldPath;

/// Reads a list of sidecars; `key` is `containers` or `initContainers`.
pub(crate) fn read_sidecars(spec: &JsonObject, key: &str, root: &FieldPath) -> Vec<SidecarContainer> {
    let default = if key == "containers" { "BeforeAppContainer" } else { "AfterAppContainer" };
    let list = root.join(&FieldPath::dotted("spec").child(key));
    objects_at(spec, key).enumerate().map(|(i, c)| read_sidecar(c, default, list.child(i))).collect()
}

fn read_sidecar(written: &JsonObject, default_policy: &str, path: FieldPath) -> SidecarContainer {
    let is_own = |key: &str| SIDECAR_CONTAINER.fields.iter().any(|f| f.name == key);
    let policy = string_at(written, "podInjectPolicy").unwrap_or(default_policy);
    let is_enabled = |key| object_at(written, key).and_then(|p| string_at(p, "type")) == Some("enabled");
    let upgrade = object_at(written, "upgradeStrategy");
    let hot = upgrade.filter(|u| string_at(u, "upgradeType") == Some("HotUpgrade"));
    SidecarContainer {
        name: text_at(written, "name").into(),
        container: written.iter().filter(|(k, _)| !is_own(k)).map(|(k, v)| (k.clone(), v.clone())).collect(),
        // Kruise v1.9.0: every policy but BeforeAppContainer counts as AfterAppContainer.
        pod_inject_policy: match policy {
            "BeforeAppContainer" => InjectPolicy::BeforeAppContainer,
            _ => InjectPolicy::AfterAppContainer,
        },
        share_volumes: is_enabled("shareVolumePolicy"),
        share_volume_devices: is_enabled("shareVolumeDevicePolicy"),
        transfer_env: objects_at(written, "transferEnv").map(read_transfer_env).collect(),
        hot_upgrade_empty_image: hot.map(|u| text_at(u, "hotUpgradeEmptyImage").into()),
        hot_upgrade: HotUpgradeState::default(),
        resources_policy: object_at(written, "resourcesPolicy").map(read_resources_policy),
        is_native_sidecar: string_at(written, "restartPolicy") == Some("Always"),
        is_converted: false,
        path,
    }
}

fn read_transfer_env(term: &JsonObject) -> TransferEnv {
    let from = object_at(term, "sourceContainerNameFrom").and_then(|f| object_at(f, "fieldRef"));
    let names = string_at(term, "envName").into_iter().chain(strings_at(term, "envNames"));
    TransferEnv {
        source_container_name: text_at(term, "sourceContainerName").into(),
        source_container_name_from: from.map(|f| text_at(f, "fieldPath").into()),
        env_names: names.filter(|n| !n.is_empty()).map(str::to_owned).collect(),
    }
}

fn read_resources_policy(policy: &JsonObject) -> ResourcesPolicy {
    let expression = |part: &str, name: &str| {
        let part = object_at(policy, "resourcesExpr").and_then(|e| object_at(e, part))?;
        string_at(part, name).map(str::to_owned)
    };
    ResourcesPolicy {
        mode: text_at(policy, "targetContainersMode").into(),
        name_regex: string_at(policy, "targetContainersNameRegex").unwrap_or(".*").into(),
        limits_cpu: expression("limits", "cpu"),
        limits_memory: expression("limits", "memory"),
        requests_cpu: expression("requests", "cpu"),
        requests_memory: expression("requests", "memory"),
    }
}

/// Reads the volumes. A volume without a source gets an `emptyDir`.
pub(crate) fn read_volumes(spec: &JsonObject) -> Vec<JsonObject> {
    let mut volumes: Vec<JsonObject> = objects_at(spec, "volumes").cloned().collect();
    volumes.iter_mut().for_each(defaults::fill_volume_source);
    volumes
}

/// Reads the names of `imagePullSecrets`.
pub(crate) fn read_image_pull_secrets(spec: &JsonObject) -> Vec<String> {
    objects_at(spec, "imagePullSecrets").map(|s| text_at(s, "name").into()).collect()
}

/// Reads `patchPodMetadata`.
pub(crate) fn read_patch_pod_metadata(spec: &JsonObject) -> Vec<PodMetadataPatch> {
    let patch = |patch: &JsonObject| PodMetadataPatch {
        annotations: string_entries(patch, "annotations"),
        policy: match string_at(patch, "patchPolicy") {
            None | Some("Retain") => PatchPolicy::Retain,
            Some("Overwrite") => PatchPolicy::Overwrite,
            Some("MergePatchJson") => PatchPolicy::MergePatchJson,
            Some(_) => PatchPolicy::Unknown,
        },
    };
    objects_at(spec, "patchPodMetadata").map(patch).collect()
}

/// Reads `injectionStrategy`: whether it is paused, and the revision.
pub(crate) fn read_injection_strategy(spec: &JsonObject) -> (bool, Option<InjectionRevision>) {
    let Some(strategy) = object_at(spec, "injectionStrategy") else { return (false, None) };
    let revision = object_at(strategy, "revision").map(|r| InjectionRevision {
        revision_name: string_at(r, "revisionName").map(str::to_owned),
        custom_version: string_at(r, "customVersion").map(str::to_owned),
        is_partial: string_at(r, "policy") == Some("Partial"),
    });
    (bool_at(strategy, "paused"), revision)
}

/// Reads `updateStrategy`.
pub(crate) fn read_update_strategy(spec: &JsonObject) -> UpdateStrategy {
    let empty = JsonObject::new();
    let strategy = object_at(spec, "updateStrategy").unwrap_or(&empty);
    let amount = |key: &str| strategy.get(key).and_then(IntOrPercent::from_value);
    UpdateStrategy {
        kind: string_at(strategy, "type").unwrap_or("RollingUpdate").into(),
        is_paused: bool_at(strategy, "paused"),
        selector: read_selector(strategy, "selector"),
        partition: amount("partition"),
        max_unavailable: amount("maxUnavailable"),
        priority_strategy: object_at(strategy, "priorityStrategy").map(read_priority_strategy),
        scatter_strategy: objects_at(strategy, "scatterStrategy").map(read_scatter_term).collect(),
    }
}

fn read_priority_strategy(strategy: &JsonObject) -> PriorityStrategy {
    let weight = |term: &JsonObject| WeightTerm {
        weight: int_at(term, "weight"),
        match_selector: read_selector(term, "matchSelector").unwrap_or_default(),
    };
    let ordered_key = |term: &JsonObject| text_at(term, "orderedKey").to_owned();
    PriorityStrategy {
        weight_priority: objects_at(strategy, "weightPriority").map(weight).collect(),
        order_priority: objects_at(strategy, "orderPriority").map(ordered_key).collect(),
    }
}

fn read_scatter_term(term: &JsonObject) -> ScatterTerm {
    ScatterTerm { key: text_at(term, "key").into(), value: text_at(term, "value").into() }
}

/// Reads the label selector at a key.
pub(crate) fn read_selector(object: &JsonObject, key: &str) -> Option<Selector> {
    object_at(object, key).map(Selector::from_map)
}
