//! Health of released workloads. Pure and without memory: git, one snapshot and the API server's time determine it,
//! so that a restart and `--once` every minute come to the same result.

mod baseline;
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
mod sync_status;
mod tolerance;
mod types;
mod workload;

pub use self::types::{
    FailureCause, HealthEvidence, HealthLimits, HealthReport, HealthStatus, RolloutHealth, WorkloadHealth,
};

use self::types::{FailingPods, HealthContext, WorkloadAssessment};
use super::expected_state::{ExpectedState, ExpectedWorkload};
use super::snapshot::Snapshot;
use jiff::Timestamp;

/// Assesses everything that was released.
pub fn assess_health(released: &ExpectedState, snapshot: &Snapshot, limits: &HealthLimits) -> HealthReport {
    if released.workloads.is_empty() && released.batch == 0 {
        let (status, workloads) = (RolloutHealth::Healthy, Vec::new());
        return HealthReport { status, workloads, unavailable: 0, changes_at: None };
    }
    let unschedulable = disruption::unschedulable_pods(released, snapshot);
    let context = HealthContext {
        is_rollback: released.is_rollback,
        limits,
        now: snapshot.now,
        unschedulable_others: &unschedulable,
    };
    // Workloads that took the revision with their own change are judged as an earlier batch, also before the first one.
    let batch = released.batch.max(1);
    let assess = |expected: &ExpectedWorkload, tolerated: &FailingPods| {
        let live = snapshot.workloads.get(&expected.key);
        if expected.batch >= batch {
            workload::assess_workload(expected, live, tolerated, &context)
        } else {
            workload::assess_earlier_workload(expected, live, tolerated, &context)
        }
    };
    let none = FailingPods::default();
    let mut assessments: Vec<WorkloadAssessment> =
        released.workloads.iter().map(|expected| assess(expected, &none)).collect();
    if tolerance::are_failures_tolerated(batch, &assessments, limits) {
        for (expected, assessment) in released.workloads.iter().zip(&mut assessments) {
            *assessment = assess(expected, &assessment.failing);
        }
    }
    assessments.sort_by(|a, b| a.workload.key.cmp(&b.workload.key));
    let status = rollout_health(batch, &assessments);
    let changes_at = changes_at(batch, status, &assessments, snapshot.now);
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
