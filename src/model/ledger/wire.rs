//! The file format of ledgers; the JSON Schema is generated from it.

use crate::model::document_schema::schema_of;
use crate::model::int_or_percent::IntOrPercent;
use crate::model::sidecar_set::SidecarMode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A ledger: which workload runs which revision of a SidecarSet. Written by pillion.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "SidecarRollout")]
pub(super) struct LedgerWire {
    /// `pillion.dev/v1alpha1`.
    #[serde(rename = "apiVersion")]
    pub(super) _api_version: String,
    /// `SidecarRollout`.
    #[serde(rename = "kind")]
    pub(super) _kind: String,
    /// Name and annotations.
    pub(super) metadata: LedgerMetadataWire,
    /// The contents of the ledger.
    pub(super) spec: LedgerSpecWire,
}

/// Name and annotations.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LedgerMetadataWire {
    /// Name of the SidecarSet.
    pub(super) name: String,
    /// Annotations; `config.kubernetes.io/local-config: "true"` keeps it out of clusters.
    #[serde(default, rename = "annotations")]
    pub(super) _annotations: BTreeMap<String, String>,
}

/// The contents of the ledger.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LedgerSpecWire {
    /// Revision of workloads without an entry; `-` for none.
    pub(super) released: Option<String>,
    /// Target of the running rollout; `-` for none. Absent if no rollout is running.
    pub(super) target: Option<String>,
    /// Pause of the rollout.
    pub(super) paused: Option<PauseWire>,
    /// Targets that are not staged again.
    #[serde(default)]
    pub(super) rejected: Vec<String>,
    /// Revisions in use, in full.
    #[serde(default)]
    pub(super) revisions: Vec<RevisionWire>,
    /// Revisions that were in use, oldest first.
    #[serde(default)]
    pub(super) history: Vec<RevisionWire>,
    /// Scope of the running rollout.
    pub(super) scope: Option<RolloutScopeWire>,
    /// SidecarSets that no longer select workloads to which this one adds their containers.
    #[serde(default)]
    pub(super) replaces: Vec<String>,
    /// Replica counts of workloads that git does not have.
    #[serde(default)]
    pub(super) replicas: Vec<WorkloadReplicasWire>,
    /// Batches that a person has approved.
    #[serde(default)]
    pub(super) approved: Vec<BatchApprovalWire>,
    /// Workloads with another revision than the released one, and those that were upgraded hot.
    #[serde(default)]
    pub(super) workloads: Vec<LedgerEntryWire>,
}

/// Pause of the rollout.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PauseWire {
    /// The batch that was out.
    pub(super) batch: u32,
    /// Why.
    pub(super) reason: String,
    /// Who paused it.
    pub(super) by: Option<String>,
}

/// The workloads of a rollout.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RolloutScopeWire {
    /// Their number.
    pub(super) workloads: u32,
    /// Their pods, as far as known.
    pub(super) pods: u32,
    /// Digest of their keys, eight hexadecimal digits.
    pub(super) digest: String,
    /// They came from a build or from `--manifests`.
    #[serde(default)]
    pub(super) built: bool,
    /// Workloads that lose the sidecar in this rollout.
    #[serde(default)]
    pub(super) removed: u32,
}

/// One content of the SidecarSet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RevisionWire {
    /// Name: a hash of the content.
    pub(super) name: String,
    /// Kruise's hash of the containers.
    pub(super) hash: String,
    /// The same without images.
    pub(super) hash_without_image: String,
    /// How its containers are injected; absent for `Container`.
    pub(super) sidecar_mode: Option<SidecarMode>,
    /// Containers, each with those that it starts after.
    #[serde(default)]
    pub(super) after: BTreeMap<String, Vec<String>>,
    /// The spec as written, without its strategies.
    pub(super) sidecar_set: Map<String, Value>,
}

/// The replica count of a workload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WorkloadReplicasWire {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub(super) workload: String,
    /// Number of pods.
    pub(super) pods: u32,
}

/// A batch that a person has approved.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BatchApprovalWire {
    /// The batch.
    pub(super) batch: u32,
    /// Digest of its plan.
    pub(super) plan: String,
}

/// The entry of one workload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LedgerEntryWire {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub(super) workload: String,
    /// Name of the revision; `-` for none.
    pub(super) revision: String,
    /// The batch that changed it.
    pub(super) batch: Option<u32>,
    /// Pods that the workload's own partition keeps old; of a SidecarSet a percentage (`75%`).
    pub(super) partition: Option<IntOrPercent>,
    /// Hash of the source's pod template.
    pub(super) template: Option<String>,
    /// The revision that the workload takes with its own next change: when `template` is no longer the hash of its source.
    pub(super) piggyback: Option<String>,
    /// Why no rollout changes it.
    pub(super) held: Option<String>,
    /// The person who holds it.
    pub(super) by: Option<String>,
    /// The day on which the hold began, `YYYY-MM-DD`.
    pub(super) since: Option<String>,
    /// The last day of the hold, `YYYY-MM-DD`.
    pub(super) until: Option<String>,
    /// Emergency images, by container.
    #[serde(default)]
    pub(super) images: BTreeMap<String, String>,
    /// How often its hot-upgrade pairs were upgraded, from 2; `NAME-2` works at even numbers, else `NAME-1`.
    #[serde(default)]
    pub(super) hot_upgrades: BTreeMap<String, u32>,
    /// The revision of the containers that worked before, while its hot upgrade is half done.
    pub(super) upgraded_from: Option<String>,
}

/// Returns the JSON Schema of a ledger.
pub(crate) fn json_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<LedgerWire>);
    &SCHEMA
}
