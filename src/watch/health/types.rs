//! Types of health: limits, reports, statuses and evidence.

use crate::model::defaults::{
    CRASH_RESTARTS, PROGRESS_DEADLINE_SECONDS, PULL_GRACE_SECONDS, REFUSAL_GRACE_SECONDS, SOAK_SECONDS,
};
use crate::model::int_or_percent::IntOrPercent;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Limits of the assessment, in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthLimits {
    /// How long the pods of a batch must stay healthy; ignored in a rollback.
    pub soak: u64,
    /// How long a batch may take without progress; a workload's own `progressDeadlineSeconds` counts if it is longer.
    pub progress_deadline: u64,
    /// How long the pull of an image may fail if the message does not say that it is permanent.
    pub pull_grace: u64,
    /// How long pods may be refused (quota, admission) before it is a failure.
    pub refusal_grace: u64,
    /// Restarts from which a container counts as crashing.
    pub restarts: u32,
    /// How many pods may fail, as a number or a percentage of the released ones; None: none.
    pub max_failures: Option<IntOrPercent>,
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self {
            soak: SOAK_SECONDS,
            progress_deadline: PROGRESS_DEADLINE_SECONDS,
            pull_grace: PULL_GRACE_SECONDS,
            refusal_grace: REFUSAL_GRACE_SECONDS,
            restarts: CRASH_RESTARTS,
            max_failures: None,
        }
    }
}

/// Health of everything that was released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// Overall health.
    pub status: RolloutHealth,
    /// Health of each workload at the target revision, by key.
    pub workloads: Vec<WorkloadHealth>,
    /// Pods at the target revision that are not ready or terminating: they use up `maxUnavailable`.
    pub unavailable: u32,
    /// When time alone may change the health: the end of a soak, a grace period or a deadline. None: only an event
    /// changes it.
    pub changes_at: Option<Timestamp>,
}

/// Health of a rollout: it determines the next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutHealth {
    /// The next step may follow.
    Healthy,
    /// Not yet.
    Progressing,
    /// The rollout is paused, or rolled back if the batch is the cause.
    Degraded(FailureCause),
}

/// The cause of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureCause {
    /// Not known to be the batch: a reason to pause, never to roll back.
    Unknown,
    /// The batch.
    Batch,
}

/// Health of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadHealth {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub key: Arc<str>,
    /// The batch that updated it.
    pub batch: u32,
    /// Its status.
    pub status: HealthStatus,
    /// Pods that must be at the target revision.
    pub desired: u32,
    /// Pods that are.
    pub updated: u32,
    /// Those that are ready.
    pub ready: u32,
    /// The reasons for people, the most important first.
    pub reasons: Vec<String>,
    /// The evidence, pod by pod.
    pub evidence: Vec<HealthEvidence>,
}

/// Health status of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthStatus {
    /// The cluster differs from git, or the controller has not observed the change.
    OutOfSync,
    /// Its pods are being replaced, without a failure so far.
    Progressing,
    /// It is paused, or its pods are replaced by hand: no deadline counts.
    Suspended,
    /// Nodes or evictions delay it: no deadline counts, and the batch is not the cause.
    Disrupted,
    /// All its pods are ready; the soak is not over.
    Soaking {
        /// The end of the soak.
        until: Timestamp,
    },
    /// All its pods have been ready for the soak.
    Healthy,
    /// It has no pods that could show its health: none are desired, or they come with its next run.
    Unknown,
    /// A failure that will not recover by itself.
    Degraded(FailureCause),
    /// Not failing, but not ready by its deadline.
    Stalled,
}

impl HealthStatus {
    /// Returns the name in data: the word of Argo CD where it has one.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OutOfSync => "OutOfSync",
            Self::Progressing => "Progressing",
            Self::Suspended => "Suspended",
            Self::Disrupted => "Disrupted",
            Self::Soaking { .. } => "Soaking",
            Self::Healthy => "Healthy",
            Self::Unknown => "Unknown",
            Self::Degraded(_) => "Degraded",
            Self::Stalled => "Stalled",
        }
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Evidence from one pod, or from a workload that gets none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthEvidence {
    /// `NAMESPACE/NAME` of a pod; for conditions the key of the workload.
    pub(crate) subject: Arc<str>,
    /// The container.
    pub(crate) container: Option<Arc<str>>,
    /// The reason, in Kubernetes' words.
    pub(crate) reason: Arc<str>,
    /// The message of the kubelet or controller, shortened to one line.
    pub(crate) message: Option<String>,
    /// `restartCount`.
    pub(crate) restarts: Option<u32>,
}

impl HealthEvidence {
    /// Returns one line of JSON, the value of a `Pillion-Evidence` trailer.
    pub fn to_json(&self) -> Value {
        let mut object = json!({"pod": &*self.subject});
        if let Some(container) = &self.container {
            object["container"] = json!(&**container);
        }
        object["reason"] = json!(&*self.reason);
        if let Some(restarts) = self.restarts {
            object["restarts"] = json!(restarts);
        }
        object
    }
}

impl HealthReport {
    /// Returns the workloads that fail at their current revision: a rollback starts with them.
    pub(crate) fn degraded_workloads(&self) -> BTreeSet<Arc<str>> {
        let fails =
            |w: &&WorkloadHealth| matches!(w.status, HealthStatus::Degraded(_) | HealthStatus::Stalled);
        self.workloads.iter().filter(fails).map(|w| Arc::clone(&w.key)).collect()
    }
}

/// What is the same for all workloads.
#[derive(Debug, Clone, Copy)]
pub(super) struct HealthContext<'a> {
    /// The rollout is a rollback.
    pub(crate) is_rollback: bool,
    /// The limits.
    pub(crate) limits: &'a HealthLimits,
    /// The API server's clock.
    pub(crate) now: Timestamp,
    /// Unschedulable pods that are not at the target revision.
    pub(crate) unschedulable_others: &'a [String],
}

/// The assessment of a workload.
#[derive(Debug, Clone)]
pub(super) struct WorkloadAssessment {
    /// The published part.
    pub(crate) workload: WorkloadHealth,
    /// Its unavailable pods.
    pub(crate) unavailable: u32,
    /// When time alone makes it fail.
    pub(crate) fails_at: Option<Timestamp>,
    /// Its failing pods.
    pub(crate) failing: FailingPods,
}

/// The failing pods of a workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FailingPods {
    /// Names of the pods at the target revision that fail.
    pub(super) pods: BTreeSet<String>,
    /// Pods that do not exist by the deadline.
    pub(super) missing: u32,
    /// The workload fails as a whole, for example because a quota refuses its pods.
    pub(super) is_whole_workload: bool,
    /// The reasons for people.
    pub(super) reasons: Vec<String>,
}
