//! `rollout` of pillion.yaml, and the annotation `pillion.dev/rollout` of a SidecarSet with the same keys.

use crate::diagnostics::Diagnostic;
use crate::model::defaults::{
    MAX_BATCHES, PROGRESS_DEADLINE_SECONDS, SOAK_SECONDS, STEPS, SYNC_TIMEOUT_SECONDS, UNKNOWN_PER_BATCH,
};
use crate::model::document_schema::{SchemaCheck, schema_of};
use crate::model::int_or_percent::IntOrPercent;
use crate::yaml::{Document, FieldPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Settings of rollouts.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct RolloutConfig {
    /// Whether a SidecarSet without a ledger is an error. Without it, `true` if `ledgers` is set.
    pub(crate) require_ledger: Option<bool>,
    /// Who starts a rollout.
    #[schemars(extend("default" = StartMode::default()))]
    pub(crate) start: Option<StartMode>,
    /// Cumulative numbers or percentages of pods. Without it, a SidecarSet with `maxUnavailable` has no steps.
    #[schemars(extend("default" = STEPS.map(IntOrPercent::parse)))]
    pub(crate) steps: Option<Vec<IntOrPercent>>,
    /// Whether a workload can be split over several batches.
    #[schemars(extend("default" = SplitMode::default()))]
    pub(crate) split: Option<SplitMode>,
    /// Maximum number of batches of a plan.
    #[schemars(extend("default" = MAX_BATCHES))]
    pub(crate) max_batches: Option<u32>,
    /// How many workloads with an unknown number of pods a batch updates: a number, or a percentage of all of them.
    #[schemars(extend("default" = IntOrPercent::parse(UNKNOWN_PER_BATCH)))]
    pub(crate) unknown_per_batch: Option<IntOrPercent>,
    /// How long the pods of a batch must stay healthy before the next batch; at most 8784h.
    #[schemars(extend("default" = seconds(SOAK_SECONDS)))]
    pub(crate) soak: Option<String>,
    /// Maximum time for a batch to become healthy; at most 8784h.
    #[schemars(extend("default" = seconds(PROGRESS_DEADLINE_SECONDS)))]
    pub(crate) progress_deadline: Option<String>,
    /// Maximum time until the cluster has applied a batch; at most 8784h.
    #[schemars(extend("default" = seconds(SYNC_TIMEOUT_SECONDS)))]
    pub(crate) sync_timeout: Option<String>,
    /// Action after an unhealthy batch.
    #[schemars(extend("default" = OnFailure::default()))]
    pub(crate) on_failure: Option<OnFailure>,
    /// How many pods may fail without stopping the rollout: a number, or a percentage of the pods released so far,
    /// rounded down.
    #[schemars(extend("default" = 0))]
    pub(crate) max_failures: Option<IntOrPercent>,
    /// Replica counts of workloads, used if neither git nor the ledger has them.
    pub(crate) pods: BTreeMap<String, u32>,
    /// Windows in which no batch is released.
    pub(crate) freeze: Vec<FreezeRule>,
    /// Numbers of the batches that wait for `pillion approve`.
    pub(crate) approve: Vec<u32>,
    /// Maximum number of pods per minute that batches begin to replace, on average since the last batch; at least 1.
    pub(crate) pods_per_minute: Option<u32>,
    /// Before the first batch, workloads take the target with their own next change.
    pub(crate) piggyback: Option<PiggybackConfig>,
}

/// Workloads take the target of a rollout with their own next change, so that their pods restart once.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PiggybackConfig {
    /// How long after Start the batches wait; at most 8784h. `0s` turns it off.
    pub(crate) until: String,
}

/// Who starts a rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum StartMode {
    /// A person.
    #[default]
    Manual,
    /// The watcher.
    Auto,
}

/// Whether a workload can be split over several batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum SplitMode {
    /// By the native partition of the workload, if its kind has one.
    #[default]
    Auto,
    /// Never.
    Never,
}

/// Action after an unhealthy batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum OnFailure {
    /// Release no further batch.
    #[default]
    Pause,
    /// Roll back to the released revision.
    RollBack,
}

/// A window in which no batch is released.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FreezeRule {
    /// Start: five fields as in crontab(5), with `L` for the last day of a month.
    pub(crate) cron: String,
    /// Duration (`63h`, `1h30m`), at most 8784h. It is exact even when clocks change.
    pub(crate) length: String,
    /// IANA time zone of `cron`.
    #[schemars(extend("default" = "UTC"))]
    pub(crate) time_zone: Option<String>,
}

/// Reads the annotation `pillion.dev/rollout` of a SidecarSet: YAML with the keys of `rollout`.
pub(crate) fn decode_rollout(document: &Document) -> (Option<RolloutConfig>, Vec<Diagnostic>) {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<RolloutConfig>);
    let (rollout, mut found) =
        SchemaCheck::new(document, "pillion schema", &SCHEMA).decode_fragment::<RolloutConfig>();
    found.extend(rollout.iter().flat_map(|r| r.validate(document, &FieldPath::root())));
    (rollout, found)
}

impl RolloutConfig {
    /// Returns these settings, overridden by those that `over` has.
    #[must_use]
    pub(crate) fn with_overrides(&self, over: &Self) -> Self {
        let mut pods = self.pods.clone();
        pods.extend(over.pods.clone());
        Self {
            require_ledger: over.require_ledger.or(self.require_ledger),
            start: over.start.or(self.start),
            steps: over.steps.clone().or_else(|| self.steps.clone()),
            split: over.split.or(self.split),
            max_batches: over.max_batches.or(self.max_batches),
            unknown_per_batch: over.unknown_per_batch.clone().or_else(|| self.unknown_per_batch.clone()),
            soak: over.soak.clone().or_else(|| self.soak.clone()),
            progress_deadline: over.progress_deadline.clone().or_else(|| self.progress_deadline.clone()),
            sync_timeout: over.sync_timeout.clone().or_else(|| self.sync_timeout.clone()),
            on_failure: over.on_failure.or(self.on_failure),
            max_failures: over.max_failures.clone().or_else(|| self.max_failures.clone()),
            pods,
            freeze: if over.freeze.is_empty() { self.freeze.clone() } else { over.freeze.clone() },
            approve: if over.approve.is_empty() { self.approve.clone() } else { over.approve.clone() },
            pods_per_minute: over.pods_per_minute.or(self.pods_per_minute),
            piggyback: over.piggyback.clone().or_else(|| self.piggyback.clone()),
        }
    }
}

fn seconds(number: u64) -> String {
    format!("{number}s")
}
