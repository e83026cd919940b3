//! SidecarSets, decoded to v1beta1, the form that all other modules use.

mod canonical;
mod decode;
mod defaults;
mod deprecated_syntax;
mod diagnostic_collector;
mod field_locations;
mod hash;
mod lifecycle;
mod lints;
mod repair;
#[cfg(test)]
mod robustness;
mod schema;
mod spec_fields;
mod type_check;
mod v1alpha1;
mod validate;

pub(crate) use decode::ROLLOUT_FIELDS;
pub use decode::decode_content;
pub use decode::{decode, decode_for};
pub(crate) use defaults::{fill_container, fill_probe, fill_volume};
pub(crate) use hash::content_revision_name;
pub use lifecycle::{LaunchOrder, SidecarMode};
pub(crate) use lifecycle::{is_native_sidecar, parse_launch_order};
pub(crate) use lints::lint;
pub use repair::repair;
pub use validate::{ValidationContext, conflicts, validate};

use crate::diagnostics::Span;
use crate::model::api::{AFTER_ANNOTATION, SIDECAR_MODE_ANNOTATION};
use crate::model::int_or_percent::IntOrPercent;
use crate::model::json::JsonObject;
use crate::model::selector::Selector;
use crate::yaml::{Document, EntryPart, FieldPath};
use field_locations::FieldLocations;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// The purpose of decoding a SidecarSet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeMode {
    /// Injection. Deprecated syntax is migrated.
    Render,
    /// Validation as by Kruise. Deprecated syntax is reported.
    Validate,
}

/// `podInjectPolicy`: where a container is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InjectPolicy {
    /// Before the application's containers.
    BeforeAppContainer,
    /// After the application's containers.
    AfterAppContainer,
}

/// A container of a SidecarSet: the container for the pod, and Kruise's fields.
#[derive(Debug, Clone, PartialEq)]
pub struct SidecarContainer {
    /// `name`.
    pub name: String,
    /// The core/v1 Container in source order, without null, empty and unknown fields, Kruise's fields and defaults.
    pub container: JsonObject,
    /// `podInjectPolicy`.
    pub(crate) pod_inject_policy: InjectPolicy,
    /// `shareVolumePolicy.type` is `enabled`.
    pub share_volumes: bool,
    /// `shareVolumeDevicePolicy.type` is `enabled`.
    pub(crate) share_volume_devices: bool,
    /// `transferEnv`.
    pub transfer_env: Vec<TransferEnv>,
    /// `hotUpgradeEmptyImage` (empty if unset) if `upgradeStrategy.upgradeType` is HotUpgrade.
    pub hot_upgrade_empty_image: Option<String>,
    /// How often it was upgraded hot in a workload, and what the container runs that worked before.
    pub(crate) hot_upgrade: HotUpgradeState,
    /// `resourcesPolicy`.
    pub(crate) resources_policy: Option<ResourcesPolicy>,
    /// `restartPolicy: Always` on an init container: a native sidecar.
    pub(crate) is_native_sidecar: bool,
    /// It is a native sidecar by the mode of the set, and one of `containers` in the set.
    pub(crate) is_converted: bool,
    /// Its path in the document of the set.
    pub(crate) path: FieldPath,
}

/// The state of a hot-upgrade pair in a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotUpgradeState {
    /// From 1, as Kruise injects it: `NAME-2` works at even versions, else `NAME-1`.
    pub(crate) version: u32,
    /// The image that the other container still runs: the upgrade to this version is half done. None: it has the
    /// empty image.
    pub(crate) previous_image: Option<String>,
}

impl Default for HotUpgradeState {
    fn default() -> Self {
        Self { version: 1, previous_image: None }
    }
}

impl HotUpgradeState {
    /// Returns the index of the container that works at a version, 0 for `NAME-1`.
    pub(crate) fn working_index(version: u32) -> usize {
        usize::from(version.is_multiple_of(2))
    }
}

impl SidecarContainer {
    /// Returns the names of its two containers in a pod if it uses hot upgrades.
    pub fn hot_upgrade_names(&self) -> [String; 2] {
        [format!("{}-1", self.name), format!("{}-2", self.name)]
    }

    /// Returns the names of its containers in a pod.
    pub(crate) fn pod_names(&self) -> Vec<String> {
        match self.hot_upgrade_empty_image {
            Some(_) => self.hot_upgrade_names().into(),
            None => vec![self.name.clone()],
        }
    }
}

/// A term of `transferEnv`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransferEnv {
    /// `sourceContainerName`.
    pub(crate) source_container_name: String,
    /// `sourceContainerNameFrom.fieldRef.fieldPath`, which overrides the name.
    pub(crate) source_container_name_from: Option<String>,
    /// `envName`, then `envNames`, without empty names.
    pub env_names: Vec<String>,
}

/// `resourcesPolicy`: resources computed from the resources of the application's containers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ResourcesPolicy {
    /// `targetContainersMode`: `sum` or `max`.
    pub(crate) mode: String,
    /// `targetContainersNameRegex`; `.*` by default.
    pub(crate) name_regex: String,
    /// `resourcesExpr.limits.cpu`.
    pub(crate) limits_cpu: Option<String>,
    /// `resourcesExpr.limits.memory`.
    pub(crate) limits_memory: Option<String>,
    /// `resourcesExpr.requests.cpu`.
    pub(crate) requests_cpu: Option<String>,
    /// `resourcesExpr.requests.memory`.
    pub(crate) requests_memory: Option<String>,
}

/// A term of `patchPodMetadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodMetadataPatch {
    /// `annotations`, in source order.
    pub annotations: Vec<(String, String)>,
    /// `patchPolicy`.
    pub(crate) policy: PatchPolicy,
}

/// `patchPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchPolicy {
    /// Set the annotation if it is absent.
    Retain,
    /// Set the annotation.
    Overwrite,
    /// Merge the JSON text of the annotation by RFC 7386.
    MergePatchJson,
    /// Any other value: Kruise accepts it and patches nothing.
    Unknown,
}

/// `injectionStrategy.revision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectionRevision {
    /// `revisionName`.
    pub(crate) revision_name: Option<String>,
    /// `customVersion`.
    pub(crate) custom_version: Option<String>,
    /// Whether `policy` is Partial rather than Always.
    pub(crate) is_partial: bool,
}

/// `updateStrategy`. The module `rollout` implements it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateStrategy {
    /// `type`; RollingUpdate by default.
    pub(crate) kind: String,
    /// `paused`.
    pub is_paused: bool,
    /// `selector`.
    pub(crate) selector: Option<Selector>,
    /// `partition`.
    pub partition: Option<IntOrPercent>,
    /// `maxUnavailable`.
    pub max_unavailable: Option<IntOrPercent>,
    /// `priorityStrategy`.
    pub(crate) priority_strategy: Option<PriorityStrategy>,
    /// `scatterStrategy`, in source order.
    pub(crate) scatter_strategy: Vec<ScatterTerm>,
}

/// `priorityStrategy`: the order of updates. Kruise rejects both lists together; its controller uses the weights.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PriorityStrategy {
    /// `weightPriority`: the weights of all matching terms are added.
    pub(crate) weight_priority: Vec<WeightTerm>,
    /// `orderPriority`: the `orderedKey` of each term.
    pub(crate) order_priority: Vec<String>,
}

/// A term of `weightPriority`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WeightTerm {
    /// `weight`.
    pub(crate) weight: i64,
    /// `matchSelector`.
    pub(crate) match_selector: Selector,
}

/// A term of `scatterStrategy`: pods with this label are spread over the rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScatterTerm {
    /// `key`.
    pub key: String,
    /// `value`; `*` means every value.
    pub value: String,
}

/// A SidecarSet, without the fields that do not affect pods.
#[derive(Debug, Clone)]
pub struct SidecarSet {
    /// `metadata.name`.
    pub name: String,
    /// The document of the set, for spans.
    pub(crate) document: Arc<Document>,
    /// Its path in the document: the root, or an item of a List.
    pub(crate) path: FieldPath,
    /// `selector` over pod labels; matches nothing when empty.
    pub(crate) selector: Selector,
    /// `namespaceSelector`, or v1alpha1's `namespace`; None selects every namespace.
    pub namespace_selector: Option<Selector>,
    /// `initContainers`.
    pub(crate) init_containers: Vec<SidecarContainer>,
    /// `containers`.
    pub containers: Vec<SidecarContainer>,
    /// `volumes` without null, empty and unknown fields. A volume without a source has `emptyDir: {}`.
    pub volumes: Vec<JsonObject>,
    /// Names of `imagePullSecrets`.
    pub image_pull_secrets: Vec<String>,
    /// `patchPodMetadata`.
    pub patch_pod_metadata: Vec<PodMetadataPatch>,
    /// `injectionStrategy.paused`.
    pub(crate) is_injection_paused: bool,
    /// `injectionStrategy.revision`.
    pub injection_revision: Option<InjectionRevision>,
    /// `updateStrategy`.
    pub update_strategy: UpdateStrategy,
    /// `customVersion`, or v1alpha1's label `apps.kruise.io/sidecarset-custom-version`.
    pub custom_version: Option<String>,
    /// The spec with Kruise's defaults, in API order, as Kruise stores it (`stored.yaml` of conformance/).
    pub canonical_spec: Value,
    /// The v1beta1 spec as in the source, without the fields that do not affect rendering: the strategies,
    /// `revisionHistoryLimit` and `customVersion`.
    pub(crate) content: JsonObject,
    /// Annotation `pillion.dev/sidecar-mode`, else `sidecarMode` of pillion.yaml. Part of the revision.
    pub(crate) mode: SidecarMode,
    /// The set has a mode of its own: that of the annotation, or of its revision in a ledger.
    pub(crate) has_own_mode: bool,
    /// Annotation `pillion.dev/after`. Part of the revision.
    pub(crate) after: LaunchOrder,
    /// `revisionHistoryLimit`.
    pub(crate) revision_history_limit: Option<i64>,
    /// Annotation `kruise.io/sidecarset-hash` (semantics/injection.md 9).
    pub hash: String,
    /// Annotation `kruise.io/sidecarset-hash-without-image`.
    pub hash_without_image: String,
    /// The name of Kruise's ControllerRevision for this content.
    pub revision_name: String,
    /// `metadata`, checked.
    pub(crate) metadata: JsonObject,
    /// The locations of the fields in the document.
    pub(crate) locations: FieldLocations,
}

impl SidecarSet {
    /// Returns an annotation of the set.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.get("annotations")?.get(key)?.as_str()
    }

    /// Returns the set with the mode of pillion.yaml, unless it has its own.
    #[must_use]
    pub fn with_default_mode(self: Arc<Self>, mode: SidecarMode) -> Arc<Self> {
        if self.has_own_mode || self.mode == mode {
            return self;
        }
        Arc::new(Self { mode, ..Self::clone(&self) })
    }

    /// Returns all that its revision names: its content, and where they are not the default, its mode and its order.
    pub(crate) fn revision_content(&self) -> Cow<'_, JsonObject> {
        if self.mode == SidecarMode::default() && self.after.is_empty() {
            return Cow::Borrowed(&self.content);
        }
        let mut content = self.content.clone();
        if self.mode != SidecarMode::default() {
            content.insert(SIDECAR_MODE_ANNOTATION.to_owned(), self.mode.name().into());
        }
        if !self.after.is_empty() {
            content.insert(AFTER_ANNOTATION.to_owned(), self.after.to_value());
        }
        Cow::Owned(content)
    }

    /// Returns a labelled span at the annotation with its mode, where it has one.
    pub(crate) fn mode_label(&self, text: &str) -> Option<Span> {
        let path = lifecycle::annotation_path(SIDECAR_MODE_ANNOTATION);
        self.has_own_mode.then(|| self.locations.label(&path, EntryPart::Value, text))
    }

    /// Returns a labelled span at the annotation with its launch order.
    pub(crate) fn after_label(&self, text: &str) -> Span {
        let path = lifecycle::annotation_path(AFTER_ANNOTATION);
        self.locations.label(&path, EntryPart::Value, text)
    }

    /// Returns whether one of its init containers is a native sidecar.
    pub(crate) fn has_native_sidecars(&self) -> bool {
        self.init_containers.iter().any(|c| c.is_native_sidecar)
    }

    /// Returns a labelled span at a field given by its path in the API.
    pub(crate) fn label(&self, field: &str, text: &str) -> Span {
        self.locations.label(&FieldPath::dotted(field), EntryPart::Value, text)
    }

    /// Returns a labelled span at the upgrade type of a container with hot upgrades, or at the name of the set.
    pub(crate) fn hot_upgrade_label(&self, container: &str, text: &str) -> Span {
        let mut all = self.containers.iter().chain(&self.init_containers);
        match all.find(|c| c.name == container && c.hot_upgrade_empty_image.is_some()) {
            Some(c) => self.document.label(
                &c.path.join(&FieldPath::dotted("upgradeStrategy.upgradeType")),
                EntryPart::Value,
                text,
            ),
            None => self.label("metadata.name", text),
        }
    }
}
