//! Are the pods of what is out healthy? Pure, and without a memory: what git says, one snapshot, and the API
//! server's time give the answer, so that a restart and `--once` every minute judge alike.

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

/// How patient the judge is. Times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthLimits {
    /// How long the pods of a batch must stay healthy; counts for nothing while a rollout goes back.
    pub soak: u64,
    /// How long a batch may take without progress; a workload's own `progressDeadlineSeconds` counts where it is more.
    pub progress_deadline: u64,
    /// How long an image may fail to be pulled where the message does not say that it never will.
    pub pull_grace: u64,
    /// How long pods may be refused (quota, admission) before that is a failure.
    pub refusal_grace: u64,
    /// Restarts of a container from which on it counts as crashing.
    pub restarts: u32,
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self { soak: 120, progress_deadline: 600, pull_grace: 60, refusal_grace: 60, restarts: 3 }
    }
}

/// What the judge says of everything that is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// Of all of it.
    pub status: RolloutHealth,
    /// Of each workload that carries the target, in the order of keys.
    pub workloads: Vec<WorkloadHealth>,
    /// Pods that carry the target and are not ready, or on their way out: they use up `maxUnavailable`.
    pub unavailable: u32,
    /// The moment at which the verdict may change although nothing happens: the end of a soak, of a grace, of a
    /// deadline. None: only an event changes it.
    pub changes_at: Option<Timestamp>,
}

/// What may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutHealth {
    /// The next step.
    Healthy,
    /// Nothing yet.
    Progressing,
    /// A pause, or a rollback where the batch is to blame.
    Degraded(FailureCause),
}

/// Whose fault is it?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureCause {
    /// Cannot be told from what was so before: ground for a pause, never for a rollback.
    Unknown,
    /// The batch's.
    Batch,
}

/// What the judge says of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadHealth {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub key: Arc<str>,
    /// The batch that brought it to the target.
    pub batch: u32,
    /// How it does.
    pub status: HealthStatus,
    /// Pods that are to carry the target.
    pub desired: u32,
    /// Pods that do.
    pub updated: u32,
    /// Those of them that are ready.
    pub ready: u32,
    /// Why it is no further, for people; the most important first.
    pub reasons: Vec<String>,
    /// What was seen, pod by pod.
    pub evidence: Vec<HealthEvidence>,
}

/// How a workload does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthStatus {
    /// The cluster does not have what git says, or its controller has not looked at it.
    OutOfSync,
    /// Its pods are being replaced, and nothing is wrong so far.
    Progressing,
    /// A person has paused it, or replaces its pods by hand: nothing is wrong, and no deadline runs.
    Suspended,
    /// Nodes or evictions keep it back; nobody is blamed, and no deadline runs.
    Disrupted,
    /// All its pods are ready, until the soak is over.
    Soaking {
        /// When it will have lasted long enough.
        until: Timestamp,
    },
    /// All its pods are ready, and have been for the soak.
    Healthy,
    /// It has no pods that could show anything: none are wanted, or they come with its next run.
    Unknown,
    /// Something is wrong that will not mend itself.
    Degraded(FailureCause),
    /// Not failing, and not ready within its deadline.
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

/// What was seen of one pod, or of a workload that gets none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthEvidence {
    /// `NAMESPACE/NAME`; for conditions of a workload its key.
    pub subject: Arc<str>,
    /// The container.
    pub container: Option<Arc<str>>,
    /// The reason, in Kubernetes' words.
    pub reason: Arc<str>,
    /// What the kubelet or controller says, shortened to one line.
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
    /// Returns the workloads that fail because of what they carry: a rollback begins with them.
    pub fn degraded_workloads(&self) -> BTreeSet<Arc<str>> {
        let fails =
            |w: &&WorkloadHealth| matches!(w.status, HealthStatus::Degraded(_) | HealthStatus::Stalled);
        self.workloads.iter().filter(fails).map(|w| Arc::clone(&w.key)).collect()
    }
}

/// Judges everything that is out.
pub fn assess_health(released: &ExpectedState, snapshot: &Snapshot, limits: &HealthLimits) -> HealthReport {
    if released.batch == 0 {
        let (verdict, workloads) = (RolloutHealth::Healthy, Vec::new());
        return HealthReport { status: verdict, workloads, unavailable: 0, changes_at: None };
    }
    let shortage = capacity::unschedulable_pods(released, snapshot);
    let around = HealthContext {
        is_rollback: released.is_rollback,
        limits,
        now: snapshot.now,
        unschedulable_others: &shortage,
    };
    let mut told: Vec<WorkloadAssessment> = released
        .workloads
        .iter()
        .map(|expected| {
            let live = snapshot.workloads.get(&expected.key);
            let is_last = expected.batch >= released.batch;
            if is_last {
                workload::assess_workload(expected, live, &around)
            } else {
                workload::assess_earlier_workload(expected, live, &around)
            }
        })
        .collect();
    told.sort_by(|a, b| a.workload.key.cmp(&b.workload.key));
    let verdict = rollout_health(released.batch, &told);
    let changes_at = changes_at(released.batch, verdict, &told, snapshot.now);
    let unavailable = told.iter().fold(0_u32, |sum, t| sum.saturating_add(t.unavailable));
    HealthReport {
        status: verdict,
        workloads: told.into_iter().map(|t| t.workload).collect(),
        unavailable,
        changes_at,
    }
}

fn rollout_health(batch: u32, told: &[WorkloadAssessment]) -> RolloutHealth {
    let is_earlier = |t: &WorkloadAssessment| t.workload.batch < batch;
    let blame = |t: &WorkloadAssessment| match t.workload.status {
        HealthStatus::Degraded(blame) => Some(blame),
        HealthStatus::Stalled => Some(FailureCause::Unknown),
        _ => None,
    };
    let is_done =
        |t: &WorkloadAssessment| matches!(t.workload.status, HealthStatus::Healthy | HealthStatus::Unknown);
    match told.iter().filter_map(blame).max() {
        Some(blame) => RolloutHealth::Degraded(blame),
        None if told.iter().all(|t| is_earlier(t) || is_done(t)) => RolloutHealth::Healthy,
        None => RolloutHealth::Progressing,
    }
}

/// The first failure that time brings; or the end of the last soak, where nothing but soaks is waited for.
fn changes_at(
    batch: u32,
    verdict: RolloutHealth,
    told: &[WorkloadAssessment],
    now: Timestamp,
) -> Option<Timestamp> {
    if verdict == RolloutHealth::Degraded(FailureCause::Batch) {
        return None;
    }
    let soak = |t: &WorkloadAssessment| match t.workload.status {
        _ if t.workload.batch < batch => Some(Timestamp::MIN),
        HealthStatus::Soaking { until } => Some(until),
        HealthStatus::Healthy | HealthStatus::Unknown => Some(Timestamp::MIN),
        _ => None,
    };
    let healthy = told.iter().map(soak).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    told.iter().filter_map(|t| t.fails_at).chain(healthy).filter(|at| *at > now).min()
}
