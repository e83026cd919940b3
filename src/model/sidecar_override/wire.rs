//! The file format of SidecarOverrides; the JSON Schema is generated from it.

use crate::model::document_schema::schema_of;
use crate::model::quantity::Quantity;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What one application changes in the sidecars of its workloads: a file beside its manifests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "SidecarOverride")]
pub(super) struct OverrideWire {
    /// `pillion.dev/v1alpha1`.
    #[serde(rename = "apiVersion")]
    pub(super) _api_version: String,
    /// `SidecarOverride`.
    #[serde(rename = "kind")]
    pub(super) _kind: String,
    /// Name, and the namespace of the workloads. Without a namespace, workloads of every namespace are meant.
    pub(super) metadata: Map<String, Value>,
    /// The workloads and the changes.
    pub(super) spec: OverrideSpecWire,
}

/// The workloads and the changes. Without `workload` and `selector`, all workloads in the folder of this file and below
/// are meant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OverrideSpecWire {
    /// Name of the SidecarSet.
    pub(super) sidecar_set: String,
    /// One workload. Its override has precedence over one with a `selector`.
    pub(super) workload: Option<OverrideWorkloadWire>,
    /// Workloads by the labels of their pod templates.
    #[serde(rename = "selector")]
    pub(super) _selector: Option<LabelSelectorWire>,
    /// Whether the workloads go without this SidecarSet.
    pub(super) exclude: Option<bool>,
    /// Keeps the workloads at the revision that they have, until a date.
    pub(super) hold: Option<OverrideHoldWire>,
    /// Changes of the containers of the SidecarSet, by their names.
    #[serde(default, rename = "containers")]
    pub(super) _containers: Vec<ContainerPatchWire>,
}

/// One workload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OverrideWorkloadWire {
    /// Kind (`Deployment`), with its group if several have it (`StatefulSet.apps.kruise.io`).
    pub(super) kind: String,
    /// Name.
    pub(super) name: String,
}

/// A label selector.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LabelSelectorWire {
    /// Labels that the pod template must have.
    #[serde(default, rename = "matchLabels")]
    pub(super) _match_labels: BTreeMap<String, String>,
    /// Requirements on labels.
    #[serde(default, rename = "matchExpressions")]
    pub(super) _match_expressions: Vec<LabelRequirementWire>,
}

/// A requirement on a label.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LabelRequirementWire {
    /// Label.
    #[serde(rename = "key")]
    pub(super) _key: String,
    /// What is required of it.
    #[serde(rename = "operator")]
    pub(super) _operator: OperatorWire,
    /// Values, for `In` and `NotIn`.
    #[serde(default, rename = "values")]
    pub(super) _values: Vec<String>,
}

/// What a requirement demands.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) enum OperatorWire {
    /// One of the values.
    In,
    /// None of the values.
    NotIn,
    /// Any value.
    Exists,
    /// No such label.
    DoesNotExist,
}

/// A hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OverrideHoldWire {
    /// Last day of the hold, `YYYY-MM-DD` in UTC.
    pub(super) until: String,
    /// Reason.
    pub(super) reason: Option<String>,
}

/// Changes of one container. `null` removes what the SidecarSet has.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ContainerPatchWire {
    /// Name of the container in the SidecarSet.
    #[serde(rename = "name")]
    pub(super) _name: String,
    /// Requests and limits, each by itself. They replace those of `resourcesPolicy` too.
    #[serde(rename = "resources")]
    pub(super) _resources: Option<ResourcesPatchWire>,
    /// Variables. One of the same name is replaced as a whole.
    #[serde(default, rename = "env")]
    pub(super) _env: Vec<VariablePatchWire>,
    /// Arguments, all of them.
    #[serde(rename = "args")]
    pub(super) _args: Option<Vec<String>>,
    /// Mounts. One with the same `mountPath` is replaced as a whole.
    #[serde(default, rename = "volumeMounts")]
    pub(super) _volume_mounts: Vec<MountPatchWire>,
}

/// Requests and limits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ResourcesPatchWire {
    /// Limits.
    #[serde(rename = "limits")]
    pub(super) _limits: Option<AmountsPatchWire>,
    /// Requests.
    #[serde(rename = "requests")]
    pub(super) _requests: Option<AmountsPatchWire>,
}

/// Amounts of resources.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AmountsPatchWire {
    /// `500m`, `1`.
    #[serde(default, rename = "cpu")]
    #[schemars(schema_with = "Quantity::schema")]
    pub(super) _cpu: Value,
    /// `256Mi`, `1Gi`.
    #[serde(default, rename = "memory")]
    #[schemars(schema_with = "Quantity::schema")]
    pub(super) _memory: Value,
    /// `1Gi`.
    #[serde(default, rename = "ephemeral-storage")]
    #[schemars(schema_with = "Quantity::schema")]
    pub(super) _ephemeral_storage: Value,
}

/// One variable.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct VariablePatchWire {
    /// Name.
    #[serde(rename = "name")]
    pub(super) _name: String,
    /// Value.
    #[serde(rename = "value")]
    pub(super) _value: Option<String>,
    /// Source of the value.
    #[serde(rename = "valueFrom")]
    pub(super) _value_from: Option<VariableSourceWire>,
    /// `delete` removes the variable.
    #[serde(rename = "$patch")]
    pub(super) _patch: Option<PatchDirectiveWire>,
}

/// What happens to an item of a list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum PatchDirectiveWire {
    /// It is removed.
    Delete,
}

/// Source of a value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct VariableSourceWire {
    /// A field of the pod.
    #[serde(rename = "fieldRef")]
    pub(super) _field_ref: Option<FieldRefWire>,
    /// Resources of a container.
    #[serde(rename = "resourceFieldRef")]
    pub(super) _resource_field_ref: Option<ResourceFieldRefWire>,
    /// A key of a ConfigMap.
    #[serde(rename = "configMapKeyRef")]
    pub(super) _config_map_key_ref: Option<KeyRefWire>,
    /// A key of a Secret.
    #[serde(rename = "secretKeyRef")]
    pub(super) _secret_key_ref: Option<KeyRefWire>,
}

/// A field of the pod.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FieldRefWire {
    /// Version of the path.
    #[serde(rename = "apiVersion")]
    pub(super) _api_version: Option<String>,
    /// Path of the field (`metadata.name`).
    #[serde(rename = "fieldPath")]
    pub(super) _field_path: String,
}

/// Resources of a container.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ResourceFieldRefWire {
    /// Name of the container.
    #[serde(rename = "containerName")]
    pub(super) _container_name: Option<String>,
    /// Resource (`limits.memory`).
    #[serde(rename = "resource")]
    pub(super) _resource: String,
    /// Divisor.
    #[serde(default, rename = "divisor")]
    #[schemars(schema_with = "Quantity::schema")]
    pub(super) _divisor: Value,
}

/// A key of a ConfigMap or Secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct KeyRefWire {
    /// Name of the object.
    #[serde(rename = "name")]
    pub(super) _name: String,
    /// Key.
    #[serde(rename = "key")]
    pub(super) _key: String,
    /// Whether the pod starts without it.
    #[serde(rename = "optional")]
    pub(super) _optional: Option<bool>,
}

/// One mount.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MountPatchWire {
    /// Path in the container.
    #[serde(rename = "mountPath")]
    pub(super) _mount_path: String,
    /// Name of a volume of the pod.
    #[serde(rename = "name")]
    pub(super) _name: Option<String>,
    /// Path in the volume.
    #[serde(rename = "subPath")]
    pub(super) _sub_path: Option<String>,
    /// Path in the volume, with variables.
    #[serde(rename = "subPathExpr")]
    pub(super) _sub_path_expr: Option<String>,
    /// Whether it cannot be written to.
    #[serde(rename = "readOnly")]
    pub(super) _read_only: Option<bool>,
    /// `Enabled`, `IfPossible` or `Disabled`.
    #[serde(rename = "recursiveReadOnly")]
    pub(super) _recursive_read_only: Option<String>,
    /// `None`, `HostToContainer` or `Bidirectional`.
    #[serde(rename = "mountPropagation")]
    pub(super) _mount_propagation: Option<String>,
    /// `delete` removes the mount.
    #[serde(rename = "$patch")]
    pub(super) _patch: Option<PatchDirectiveWire>,
}

/// Returns the JSON Schema of SidecarOverrides.
pub(crate) fn json_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<OverrideWire>);
    &SCHEMA
}
