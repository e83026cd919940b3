//! Health of released workloads. Pure and without memory: git, one snapshot and the API server's time determine it,
//! so that a restart and `--once` every minute come to the same result.

mod baseline;
mod capacity;
mod conditions;
mod deadline;
mod disruption;
mod expected_sidecars;
mod failure;
mod finding;
mod format;
mod image;
mod pod;
mod pod_set;
mod pull;
mod revision_match;
mod soak;
mod sync_status;
mod template_match;
mod workload;

use self::workload::{HealthContext, WorkloadAssessment};
use super::expected_state::ExpectedState;
use super::snapshot::Snapshot;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Limits of the assessment, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self { soak: 120, progress_deadline: 600, pull_grace: 60, refusal_grace: 60, restarts: 3 }
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
    pub fn name(self) -> &'static str {
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
    pub subject: Arc<str>,
    /// The container.
    pub container: Option<Arc<str>>,
    /// The reason, in Kubernetes' words.
    pub reason: Arc<str>,
    /// The message of the kubelet or controller, shortened to one line.
    pub message: Option<String>,
    /// `restartCount`.
    pub restarts: Option<u32>,
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
    pub fn degraded_workloads(&self) -> BTreeSet<Arc<str>> {
        let fails =
            |w: &&WorkloadHealth| matches!(w.status, HealthStatus::Degraded(_) | HealthStatus::Stalled);
        self.workloads.iter().filter(fails).map(|w| Arc::clone(&w.key)).collect()
    }
}

/// Assesses everything that was released.
pub fn assess_health(released: &ExpectedState, snapshot: &Snapshot, limits: &HealthLimits) -> HealthReport {
    if released.batch == 0 {
        let (status, workloads) = (RolloutHealth::Healthy, Vec::new());
        return HealthReport { status, workloads, unavailable: 0, changes_at: None };
    }
    let unschedulable = capacity::unschedulable_pods(released, snapshot);
    let context = HealthContext {
        is_rollback: released.is_rollback,
        limits,
        now: snapshot.now,
        unschedulable_others: &unschedulable,
    };
    let mut assessments: Vec<WorkloadAssessment> = released
        .workloads
        .iter()
        .map(|expected| {
            let live = snapshot.workloads.get(&expected.key);
            let is_last = expected.batch >= released.batch;
            if is_last {
                workload::assess_workload(expected, live, &context)
            } else {
                workload::assess_earlier_workload(expected, live, &context)
            }
        })
        .collect();
    assessments.sort_by(|a, b| a.workload.key.cmp(&b.workload.key));
    let status = rollout_health(released.batch, &assessments);
    let changes_at = changes_at(released.batch, status, &assessments, snapshot.now);
    let unavailable = assessments.iter().fold(0_u32, |sum, t| sum.saturating_add(t.unavailable));
    HealthReport {
        status,
        workloads: assessments.into_iter().map(|t| t.workload).collect(),
        unavailable,
        changes_at,
    }
}

fn rollout_health(batch: u32, assessments: &[WorkloadAssessment]) -> RolloutHealth {
    let is_earlier = |t: &WorkloadAssessment| t.workload.batch < batch;
    let cause = |t: &WorkloadAssessment| match t.workload.status {
        HealthStatus::Degraded(cause) => Some(cause),
        HealthStatus::Stalled => Some(FailureCause::Unknown),
        _ => None,
    };
    let is_done =
        |t: &WorkloadAssessment| matches!(t.workload.status, HealthStatus::Healthy | HealthStatus::Unknown);
    match assessments.iter().filter_map(cause).max() {
        Some(cause) => RolloutHealth::Degraded(cause),
        None if assessments.iter().all(|t| is_earlier(t) || is_done(t)) => RolloutHealth::Healthy,
        None => RolloutHealth::Progressing,
    }
}

/// Returns the first failure that time brings, or the end of the last soak if only soaks are pending.
fn changes_at(
    batch: u32,
    status: RolloutHealth,
    assessments: &[WorkloadAssessment],
    now: Timestamp,
) -> Option<Timestamp> {
    if status == RolloutHealth::Degraded(FailureCause::Batch) {
        return None;
    }
    let soak = |t: &WorkloadAssessment| match t.workload.status {
        _ if t.workload.batch < batch => Some(Timestamp::MIN),
        HealthStatus::Soaking { until } => Some(until),
        HealthStatus::Healthy | HealthStatus::Unknown => Some(Timestamp::MIN),
        _ => None,
    };
    let healthy =
        assessments.iter().map(soak).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    assessments.iter().filter_map(|t| t.fails_at).chain(healthy).filter(|at| *at > now).min()
}
