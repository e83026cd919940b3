//! Metrics of all rollouts in the text format of OpenMetrics 1.0, for `/metrics`. docs/watch.md lists them.

use crate::rollout::{Gate, RolloutState};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// `Content-Type` of the text format.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct RolloutLabels {
    /// Empty if pillion.yaml names no clusters.
    cluster: String,
    sidecar_set: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PodStateLabels {
    cluster: String,
    sidecar_set: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GateLabels {
    cluster: String,
    sidecar_set: String,
    gate: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RolloutStateLabels {
    cluster: String,
    sidecar_set: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    cluster: String,
    sidecar_set: String,
    decision: &'static str,
}

/// What followed from an evaluation: the values of the label `decision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvaluationOutcome {
    /// A rollout was started.
    Start,
    /// A batch was released.
    Batch,
    /// A rollout was completed.
    Complete,
    /// A rollout was paused.
    Pause,
    /// A rollback was started.
    RollBack,
    /// The rollout waits.
    Wait,
    /// There is nothing to roll out.
    Idle,
    /// Something bars the rollout until git changes.
    Blocked,
    /// Something failed; the next evaluation retries.
    Retry,
}

impl EvaluationOutcome {
    /// All values.
    pub(crate) const ALL: [Self; 9] = [
        Self::Start,
        Self::Batch,
        Self::Complete,
        Self::Pause,
        Self::RollBack,
        Self::Wait,
        Self::Idle,
        Self::Blocked,
        Self::Retry,
    ];

    /// Returns the value of the label.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Batch => "batch",
            Self::Complete => "complete",
            Self::Pause => "pause",
            Self::RollBack => "rollback",
            Self::Wait => "wait",
            Self::Idle => "idle",
            Self::Blocked => "blocked",
            Self::Retry => "retry",
        }
    }
}

/// States of pods: to be updated, updated and not ready, updated and ready.
const POD_STATES: [&str; 3] = ["pending", "unready", "ready"];

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    batch: Family<RolloutLabels, Gauge>,
    batches: Family<RolloutLabels, Gauge>,
    pods: Family<PodStateLabels, Gauge>,
    unavailable: Family<RolloutLabels, Gauge>,
    out_of_sync: Family<RolloutLabels, Gauge>,
    evaluations: Family<RolloutLabels, Counter>,
    decisions: Family<DecisionLabels, Counter>,
    gates: Family<GateLabels, Gauge>,
    states: Family<RolloutStateLabels, Gauge>,
    push_conflicts: Family<RolloutLabels, Counter>,
    soak_resets: Family<RolloutLabels, Counter>,
    last_evaluations: Arc<LastEvaluations>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("pillion");
        let mut metrics = Self {
            registry: Registry::default(),
            batch: Family::default(),
            batches: Family::default(),
            pods: Family::default(),
            unavailable: Family::default(),
            out_of_sync: Family::default(),
            evaluations: Family::default(),
            decisions: Family::default(),
            gates: Family::default(),
            states: Family::default(),
            push_conflicts: Family::default(),
            soak_resets: Family::default(),
            last_evaluations: Arc::default(),
        };
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of pillion", version);
        registry.register("batch", "The latest batch; 0: no rollout is in progress", metrics.batch.clone());
        registry.register("batches", "The number of batches of the rollout", metrics.batches.clone());
        registry.register(
            "pods",
            "Pods of the latest batch: pending are not updated yet, unready are updated, ready are updated and ready",
            metrics.pods.clone(),
        );
        let help = "Pods that use up maxUnavailable";
        registry.register("unavailable_pods", help, metrics.unavailable.clone());
        let help = "Workloads of released batches that differ from git";
        registry.register("out_of_sync_workloads", help, metrics.out_of_sync.clone());
        registry.register("evaluations", "Completed evaluations", metrics.evaluations.clone());
        registry.register("decisions", "Decisions of evaluations", metrics.decisions.clone());
        let help = "1: the rollout waits at this gate";
        registry.register("gate_waiting", help, metrics.gates.clone());
        registry.register("rollout_state", "1: the rollout is in this state", metrics.states.clone());
        let help = "Pushes rejected as non-fast-forward";
        registry.register("push_conflicts", help, metrics.push_conflicts.clone());
        registry.register("soak_resets", "Soak periods that were restarted", metrics.soak_resets.clone());
        registry.register_collector(Box::new(Arc::clone(&metrics.last_evaluations)));
        metrics.registry = registry;
        metrics
    }
}

impl Metrics {
    /// Returns the metrics of one rollout.
    pub fn rollout(&self, cluster: Option<&str>, sidecar_set: &str) -> RolloutMetrics<'_> {
        let labels = RolloutLabels {
            cluster: escape_label(cluster.unwrap_or_default()),
            sidecar_set: escape_label(sidecar_set),
        };
        RolloutMetrics { metrics: self, labels }
    }

    /// Returns all metrics as text.
    pub fn encode_text(&self) -> String {
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

/// Escapes the value of a label, which prometheus-client 0.24 does not.
fn escape_label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The metrics of one rollout.
#[derive(Debug)]
pub struct RolloutMetrics<'a> {
    metrics: &'a Metrics,
    labels: RolloutLabels,
}

impl RolloutMetrics<'_> {
    /// Sets the latest batch (0: none) and the number of batches.
    pub fn set_progress(&self, batch: u32, batches: u32) {
        self.metrics.batch.get_or_create(&self.labels).set(batch.into());
        self.metrics.batches.get_or_create(&self.labels).set(batches.into());
    }

    /// Sets how many pods are desired, updated and ready.
    pub fn set_pods(&self, desired: u32, updated: u32, ready: u32) {
        let counts = [desired.saturating_sub(updated), updated.saturating_sub(ready), ready];
        for (state, count) in POD_STATES.into_iter().zip(counts) {
            self.metrics.pods.get_or_create(&self.pod_state_labels(state)).set(count.into());
        }
    }

    /// Sets how many pods use up `maxUnavailable`.
    pub fn set_unavailable(&self, pods: u32) {
        self.metrics.unavailable.get_or_create(&self.labels).set(pods.into());
    }

    /// Sets how many workloads are out of sync.
    pub fn set_out_of_sync(&self, workloads: u32) {
        self.metrics.out_of_sync.get_or_create(&self.labels).set(workloads.into());
    }

    /// Counts an evaluation.
    pub fn record_evaluation(&self, decision: EvaluationOutcome) {
        self.metrics.evaluations.get_or_create(&self.labels).inc();
        // All series exist from the first evaluation on: a rate over a series that appears later misses its first
        // step.
        for kind in EvaluationOutcome::ALL {
            let counter = self.metrics.decisions.get_or_create_owned(&self.decision_labels(kind));
            if kind == decision {
                counter.inc();
            }
        }
        // These, too.
        drop(self.metrics.push_conflicts.get_or_create(&self.labels));
        drop(self.metrics.soak_resets.get_or_create(&self.labels));
        self.metrics.last_evaluations.set(self.labels.clone(), Instant::now());
    }

    /// Sets the gate at which the rollout waits; None: it waits at none.
    pub fn set_gate(&self, waiting: Option<Gate>) {
        for gate in Gate::ALL {
            let gauge = self.metrics.gates.get_or_create_owned(&self.gate_labels(gate));
            gauge.set(i64::from(waiting == Some(gate)));
        }
    }

    /// Sets the state of the rollout.
    pub fn set_state(&self, present: RolloutState) {
        for state in RolloutState::ALL {
            let gauge = self.metrics.states.get_or_create_owned(&self.state_labels(state));
            gauge.set(i64::from(state == present));
        }
    }

    /// Counts a push that was rejected as non-fast-forward.
    pub fn record_push_conflict(&self) {
        self.metrics.push_conflicts.get_or_create(&self.labels).inc();
    }

    /// Counts a soak period that was restarted.
    pub fn record_soak_reset(&self) {
        self.metrics.soak_resets.get_or_create(&self.labels).inc();
    }

    /// Removes its series.
    pub fn remove(&self) {
        let metrics = self.metrics;
        for family in [&metrics.batch, &metrics.batches, &metrics.unavailable, &metrics.out_of_sync] {
            family.remove(&self.labels);
        }
        for family in [&metrics.evaluations, &metrics.push_conflicts, &metrics.soak_resets] {
            family.remove(&self.labels);
        }
        for state in POD_STATES {
            metrics.pods.remove(&self.pod_state_labels(state));
        }
        for decision in EvaluationOutcome::ALL {
            metrics.decisions.remove(&self.decision_labels(decision));
        }
        for gate in Gate::ALL {
            metrics.gates.remove(&self.gate_labels(gate));
        }
        for state in RolloutState::ALL {
            metrics.states.remove(&self.state_labels(state));
        }
        metrics.last_evaluations.remove(&self.labels);
    }

    fn pod_state_labels(&self, state: &'static str) -> PodStateLabels {
        PodStateLabels {
            cluster: self.labels.cluster.clone(),
            sidecar_set: self.labels.sidecar_set.clone(),
            state,
        }
    }

    fn gate_labels(&self, gate: Gate) -> GateLabels {
        let RolloutLabels { cluster, sidecar_set } = self.labels.clone();
        GateLabels { cluster, sidecar_set, gate: gate.name() }
    }

    fn state_labels(&self, state: RolloutState) -> RolloutStateLabels {
        let RolloutLabels { cluster, sidecar_set } = self.labels.clone();
        RolloutStateLabels { cluster, sidecar_set, state: state.name() }
    }

    fn decision_labels(&self, decision: EvaluationOutcome) -> DecisionLabels {
        let RolloutLabels { cluster, sidecar_set } = self.labels.clone();
        DecisionLabels { cluster, sidecar_set, decision: decision.name() }
    }
}

/// When each rollout was evaluated last; its age is computed when it is scraped.
#[derive(Debug, Default)]
struct LastEvaluations(Mutex<BTreeMap<RolloutLabels, Instant>>);

impl LastEvaluations {
    fn set(&self, labels: RolloutLabels, at: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(labels, at);
    }

    fn remove(&self, labels: &RolloutLabels) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(labels);
    }
}

impl Collector for LastEvaluations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if last.is_empty() {
            return Ok(());
        }
        let kind = prometheus_client::metrics::MetricType::Gauge;
        let help = "Time since the last completed evaluation";
        let name = "since_last_evaluation";
        let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), kind)?;
        for (labels, at) in &last {
            ConstGauge::new(at.elapsed().as_secs_f64()).encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }
}
