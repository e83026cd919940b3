//! A SidecarSet, decoded: the one form (v1beta1's) that the rest of pillion works with.

mod canonical;
mod decode;
mod defaults;
mod deprecated_syntax;
mod diagnostic_collector;
mod field_locations;
mod hash;
mod repair;
#[cfg(test)]
mod robustness;
mod schema;
mod spec_fields;
mod type_check;
mod v1alpha1;
mod validate;

pub(crate) use decode::decode_content;
pub use decode::{decode, decode_for};
pub(crate) use hash::content_revision_name;
pub use repair::{RepairedText, repair};
pub use validate::{ValidationContext, conflicts, validate};

use crate::diagnostics::Span;
use crate::model::json::JsonObject;
use crate::model::selector::Selector;
use crate::yaml::{Document, EntryPart, FieldPath};
use field_locations::FieldLocations;
use serde_json::Value;
use std::sync::Arc;

/// What a SidecarSet is decoded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeMode {
    /// To inject it: old forms are understood.
    Render,
    /// To say what Kruise would say to it.
    Validate,
}

/// Where containers of a set go (`podInjectPolicy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InjectPolicy {
    /// In front of the application's containers.
    BeforeAppContainer,
    /// Behind them.
    AfterAppContainer,
}

/// One container of a SidecarSet: the container for the pod, and what Kruise's own keys say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct SidecarContainer {
    /// `name`.
    pub name: String,
    /// The core/v1 Container as written: null, empty and unknown fields dropped, key order of the author,
    /// no defaults filled in, Kruise's own keys taken out.
    pub container: JsonObject,
    /// Where it goes.
    pub pod_inject_policy: InjectPolicy,
    /// `shareVolumePolicy.type` is `enabled`.
    pub share_volumes: bool,
    /// `shareVolumeDevicePolicy.type` is `enabled`.
    pub share_volume_devices: bool,
    /// `transferEnv`.
    pub transfer_env: Vec<TransferEnv>,
    /// `upgradeStrategy.upgradeType` is HotUpgrade: holds `hotUpgradeEmptyImage` (empty text where unset).
    pub hot_upgrade_empty_image: Option<String>,
    /// `resourcesPolicy`.
    pub resources_policy: Option<ResourcesPolicy>,
    /// `restartPolicy: Always` on an init container: a native sidecar.
    pub is_native_sidecar: bool,
    /// Where it stands in the set's document.
    pub path: FieldPath,
}

impl SidecarContainer {
    /// Returns the names that its two containers have in a pod if it is upgraded hot.
    pub fn hot_upgrade_names(&self) -> [String; 2] {
        [format!("{}-1", self.name), format!("{}-2", self.name)]
    }
}

/// One term of `transferEnv`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransferEnv {
    /// `sourceContainerName`.
    pub source_container_name: String,
    /// `sourceContainerNameFrom.fieldRef.fieldPath`, which replaces the name where it is written.
    pub source_container_name_from: Option<String>,
    /// `envName` and `envNames`, as written (`envName` first), empty ones left out.
    pub env_names: Vec<String>,
}

/// `resourcesPolicy`: resources computed from those of the application's containers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourcesPolicy {
    /// `targetContainersMode`: `sum` or `max`.
    pub mode: String,
    /// `targetContainersNameRegex`, defaulted to `.*`.
    pub name_regex: String,
    /// `resourcesExpr.limits.cpu`, where written.
    pub limits_cpu: Option<String>,
    /// `resourcesExpr.limits.memory`.
    pub limits_memory: Option<String>,
    /// `resourcesExpr.requests.cpu`.
    pub requests_cpu: Option<String>,
    /// `resourcesExpr.requests.memory`.
    pub requests_memory: Option<String>,
}

/// One term of `patchPodMetadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodMetadataPatch {
    /// `annotations`, in the author's order.
    pub annotations: Vec<(String, String)>,
    /// `patchPolicy`.
    pub policy: PatchPolicy,
}

/// `patchPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchPolicy {
    /// Set where the key is absent.
    Retain,
    /// Set.
    Overwrite,
    /// RFC 7386 on the JSON text of the annotation.
    MergePatchJson,
    /// Anything else: Kruise accepts it and does nothing.
    Unknown,
}

/// `injectionStrategy.revision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectionRevision {
    /// `revisionName`.
    pub revision_name: Option<String>,
    /// `customVersion`.
    pub custom_version: Option<String>,
    /// `policy` is Partial (else Always).
    pub is_partial: bool,
}

/// A number or a percentage, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntOrPercent {
    /// A number of pods.
    Int(i64),
    /// A text, `50%`; kept as written, validation says whether it is a percentage.
    Text(String),
}

/// `updateStrategy`, parsed; what it means for a rollout is said in `plan`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateStrategy {
    /// `type` (RollingUpdate where unset).
    pub kind: String,
    /// `paused`.
    pub is_paused: bool,
    /// `selector`.
    pub selector: Option<Selector>,
    /// `partition`, where written.
    pub partition: Option<IntOrPercent>,
    /// `maxUnavailable`, where written.
    pub max_unavailable: Option<IntOrPercent>,
    /// `priorityStrategy`, where written.
    pub priority_strategy: Option<PriorityStrategy>,
    /// `scatterStrategy`, in the author's order.
    pub scatter_strategy: Vec<ScatterTerm>,
}

/// `priorityStrategy`: what is updated first. Kruise refuses both lists together; its controller uses the weights.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PriorityStrategy {
    /// `weightPriority`: the weights of all terms that match are added up.
    pub weight_priority: Vec<WeightTerm>,
    /// `orderPriority`: the `orderedKey` of each term.
    pub order_priority: Vec<String>,
}

/// One term of `weightPriority`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightTerm {
    /// `weight`.
    pub weight: i64,
    /// `matchSelector`.
    pub match_selector: Selector,
}

/// One term of `scatterStrategy`: a label whose carriers are to be spread over the rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScatterTerm {
    /// `key`.
    pub key: String,
    /// `value`; `*` stands for every value that there is.
    pub value: String,
}

/// One SidecarSet as far as it changes pods.
#[derive(Debug, Clone)]
pub struct SidecarSet {
    /// `metadata.name`.
    pub name: String,
    /// The document it was read from, for labels.
    pub document: Arc<Document>,
    /// Where it stands in that document (the root, or an item of a List).
    pub path: FieldPath,
    /// `selector` over pod labels; matches nothing when empty.
    pub selector: Selector,
    /// `namespaceSelector`, also v1alpha1's `namespace`; None: every namespace.
    pub namespace_selector: Option<Selector>,
    /// `initContainers`.
    pub init_containers: Vec<SidecarContainer>,
    /// `containers`.
    pub containers: Vec<SidecarContainer>,
    /// `volumes` as written: null, empty and unknown fields dropped; a volume without a source has `emptyDir: {}`.
    pub volumes: Vec<JsonObject>,
    /// Names of `imagePullSecrets`.
    pub image_pull_secrets: Vec<String>,
    /// `patchPodMetadata`.
    pub patch_pod_metadata: Vec<PodMetadataPatch>,
    /// `injectionStrategy.paused`.
    pub is_injection_paused: bool,
    /// `injectionStrategy.revision`.
    pub injection_revision: Option<InjectionRevision>,
    /// `updateStrategy`.
    pub update_strategy: UpdateStrategy,
    /// `customVersion`, or v1alpha1's label `apps.kruise.io/sidecarset-custom-version`.
    pub custom_version: Option<String>,
    /// The spec with Kruise's defaults and in API order: what Kruise stores (`stored.yaml` of conformance/).
    pub canonical_spec: Value,
    /// The spec as written, in v1beta1's form, without what does not change what is rendered: the strategies,
    /// `revisionHistoryLimit` and `customVersion`.
    pub content: JsonObject,
    /// `revisionHistoryLimit`, where written.
    pub revision_history_limit: Option<i64>,
    /// Annotation `kruise.io/sidecarset-hash` (semantics/injection.md 9).
    pub hash: String,
    /// Annotation `kruise.io/sidecarset-hash-without-image`.
    pub hash_without_image: String,
    /// Name of Kruise's ControllerRevision for this content.
    pub revision_name: String,
    /// `metadata`, checked.
    pub(crate) metadata: JsonObject,
    /// Where the fields stand in the document.
    pub(crate) locations: FieldLocations,
}

impl SidecarSet {
    /// Returns an annotation of its own.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.get("annotations")?.get(key)?.as_str()
    }

    /// Returns a label at a field, named by its path in the API.
    pub fn label(&self, field: &str, text: &str) -> Span {
        self.locations.label(&FieldPath::dotted(field), EntryPart::Value, text)
    }

    /// Returns a label where a container says that it is upgraded hot; without such a container, at the set's name.
    pub fn hot_upgrade_label(&self, container: &str, text: &str) -> Span {
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
