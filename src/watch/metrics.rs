//! How far is it, in numbers? What `/metrics` shows, in the text form of OpenMetrics 1.0. docs/watch.md lists them.

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

/// What the text form is, for the header `Content-Type`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Which rollout a number is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Of {
    /// Empty where pillion.yaml names none.
    cluster: String,
    sidecarset: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    cluster: String,
    sidecarset: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    cluster: String,
    sidecarset: String,
    decision: &'static str,
}

/// What follows from an evaluation: the values of the label `decision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A rollout was opened.
    Open,
    /// A batch was released.
    Batch,
    /// A rollout was closed.
    Close,
    /// It was paused.
    Pause,
    /// It was turned back.
    RollBack,
    /// Nothing yet.
    Wait,
    /// There is nothing to be done.
    Rest,
    /// Something failed: the next evaluation tries again.
    Retry,
}

impl Decision {
    /// Every one of them.
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::Batch,
        Self::Close,
        Self::Pause,
        Self::RollBack,
        Self::Wait,
        Self::Rest,
        Self::Retry,
    ];

    /// Returns the value of the label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Batch => "batch",
            Self::Close => "close",
            Self::Pause => "pause",
            Self::RollBack => "rollback",
            Self::Wait => "wait",
            Self::Rest => "rest",
            Self::Retry => "retry",
        }
    }
}

/// Pods by what they are: pods that are to carry the target and do not yet, that do and are not ready, that are.
const STATES: [&str; 3] = ["pending", "unready", "ready"];

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    batch: Family<Of, Gauge>,
    batches: Family<Of, Gauge>,
    pods: Family<InState, Gauge>,
    unavailable: Family<Of, Gauge>,
    not_applied: Family<Of, Gauge>,
    evaluations: Family<Of, Counter>,
    decisions: Family<Decided, Counter>,
    push_conflicts: Family<Of, Counter>,
    soak_resets: Family<Of, Counter>,
    last: Arc<LastEvaluations>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("pillion");
        let mut made = Self {
            registry: Registry::default(),
            batch: Family::default(),
            batches: Family::default(),
            pods: Family::default(),
            unavailable: Family::default(),
            not_applied: Family::default(),
            evaluations: Family::default(),
            decisions: Family::default(),
            push_conflicts: Family::default(),
            soak_resets: Family::default(),
            last: Arc::default(),
        };
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of pillion", version);
        registry.register("batch", "The batch that was released last; 0: none is open", made.batch.clone());
        registry.register("batches", "The batches that the rollout has in all", made.batches.clone());
        registry.register(
            "pods",
            "Pods that are to carry the target: pending do not yet, unready do and are not ready, ready are",
            made.pods.clone(),
        );
        let help = "Pods that use up maxUnavailable";
        registry.register("unavailable_pods", help, made.unavailable.clone());
        let help = "Workloads of released batches that the cluster does not have as git says";
        registry.register("not_applied_workloads", help, made.not_applied.clone());
        registry.register("evaluations", "Evaluations that were completed", made.evaluations.clone());
        registry.register("decisions", "What followed from evaluations", made.decisions.clone());
        let help = "Pushes that somebody else was faster than";
        registry.register("push_conflicts", help, made.push_conflicts.clone());
        registry.register("soak_resets", "Soaks that began anew", made.soak_resets.clone());
        registry.register_collector(Box::new(Arc::clone(&made.last)));
        made.registry = registry;
        made
    }
}

impl Metrics {
    /// Returns what is counted of one rollout.
    pub fn of(&self, cluster: Option<&str>, sidecar_set: &str) -> Series<'_> {
        let of = Of { cluster: escaped(cluster.unwrap_or_default()), sidecarset: escaped(sidecar_set) };
        Series { metrics: self, of }
    }

    /// Returns everything as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

/// Returns a label's value as the text form wants it: prometheus-client 0.24 writes it as it is.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// What is counted of one rollout.
#[derive(Debug)]
pub struct Series<'a> {
    metrics: &'a Metrics,
    of: Of,
}

impl Series<'_> {
    /// Says where it stands: the batch that was released last (0: none), of how many.
    pub fn stands_at(&self, batch: u32, batches: u32) {
        self.metrics.batch.get_or_create(&self.of).set(batch.into());
        self.metrics.batches.get_or_create(&self.of).set(batches.into());
    }

    /// Says how its pods are: how many are to carry the target, do, and are ready with it.
    pub fn pods(&self, wanted: u32, carrying: u32, ready: u32) {
        let counts = [wanted.saturating_sub(carrying), carrying.saturating_sub(ready), ready];
        for (state, count) in STATES.into_iter().zip(counts) {
            self.metrics.pods.get_or_create(&self.in_state(state)).set(count.into());
        }
    }

    /// Says how many pods use up `maxUnavailable`.
    pub fn unavailable(&self, pods: u32) {
        self.metrics.unavailable.get_or_create(&self.of).set(pods.into());
    }

    /// Says how many workloads are not applied.
    pub fn not_applied(&self, workloads: u32) {
        self.metrics.not_applied.get_or_create(&self.of).set(workloads.into());
    }

    /// An evaluation was completed.
    pub fn evaluated(&self, decision: Decision) {
        self.metrics.evaluations.get_or_create(&self.of).inc();
        // All kinds are there from the first time on: a rate over a series that appears later misses its first step.
        for kind in Decision::ALL {
            let counter = self.metrics.decisions.get_or_create_owned(&self.decided(kind));
            if kind == decision {
                counter.inc();
            }
        }
        // They are there from the first time on, too.
        drop(self.metrics.push_conflicts.get_or_create(&self.of));
        drop(self.metrics.soak_resets.get_or_create(&self.of));
        self.metrics.last.set(self.of.clone(), Instant::now());
    }

    /// Somebody else was faster.
    pub fn push_conflict(&self) {
        self.metrics.push_conflicts.get_or_create(&self.of).inc();
    }

    /// A soak began anew.
    pub fn soak_reset(&self) {
        self.metrics.soak_resets.get_or_create(&self.of).inc();
    }

    /// It is gone: its numbers are no longer shown.
    pub fn forget(&self) {
        let metrics = self.metrics;
        for family in [&metrics.batch, &metrics.batches, &metrics.unavailable, &metrics.not_applied] {
            family.remove(&self.of);
        }
        for family in [&metrics.evaluations, &metrics.push_conflicts, &metrics.soak_resets] {
            family.remove(&self.of);
        }
        for state in STATES {
            metrics.pods.remove(&self.in_state(state));
        }
        for decision in Decision::ALL {
            metrics.decisions.remove(&self.decided(decision));
        }
        metrics.last.forget(&self.of);
    }

    fn in_state(&self, state: &'static str) -> InState {
        InState { cluster: self.of.cluster.clone(), sidecarset: self.of.sidecarset.clone(), state }
    }

    fn decided(&self, decision: Decision) -> Decided {
        let Of { cluster, sidecarset } = self.of.clone();
        Decided { cluster, sidecarset, decision: decision.name() }
    }
}

/// When each rollout was evaluated last: its age is measured when somebody asks.
#[derive(Debug, Default)]
struct LastEvaluations(Mutex<BTreeMap<Of, Instant>>);

impl LastEvaluations {
    fn set(&self, of: Of, at: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(of, at);
    }

    fn forget(&self, of: &Of) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(of);
    }
}

impl Collector for LastEvaluations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if last.is_empty() {
            return Ok(());
        }
        let kind = prometheus_client::metrics::MetricType::Gauge;
        let help = "Time since the last evaluation was completed";
        let name = "since_last_evaluation";
        let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), kind)?;
        for (of, at) in &last {
            ConstGauge::new(at.elapsed().as_secs_f64()).encode(family.encode_family(of)?)?;
        }
        Ok(())
    }
}
