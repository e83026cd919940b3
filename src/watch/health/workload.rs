//! Assesses the workloads of the latest batch.

use super::super::expected_state::ExpectedWorkload;
use super::super::snapshot::LiveWorkload;
use super::failure::pod_failures;
use super::finding::{self, HealthFinding};
use super::format::{add_seconds, join_names, pod_counts, seconds_between, time_of_day};
use super::pod;
use super::pod_set::{self, PodSet};
use super::sync_status::{SyncStatus, sync_status};
use super::{
    FailureCause, HealthEvidence, HealthLimits, HealthStatus, WorkloadHealth, deadline, disruption, soak,
};
use crate::rollout::update_method::UpdateMethod;
use jiff::Timestamp;
use std::sync::Arc;

/// Seconds after its grace period from which a terminating pod is reported.
const DELETION_OVERDUE_SECONDS: u64 = 60;

/// What is the same for all workloads.
#[derive(Debug, Clone, Copy)]
pub(super) struct HealthContext<'a> {
    /// The rollout is a rollback.
    pub is_rollback: bool,
    /// The limits.
    pub limits: &'a HealthLimits,
    /// The API server's clock.
    pub now: Timestamp,
    /// Unschedulable pods that are not at the target revision.
    pub unschedulable_others: &'a [String],
}

/// The assessment of a workload.
#[derive(Debug, Clone)]
pub(super) struct WorkloadAssessment {
    /// The published part.
    pub workload: WorkloadHealth,
    /// Its unavailable pods.
    pub unavailable: u32,
    /// When time alone makes it fail.
    pub fails_at: Option<Timestamp>,
}

/// Assesses a workload of the latest batch.
pub(super) fn assess_workload(
    expected: &ExpectedWorkload,
    live: Option<&LiveWorkload>,
    around: &HealthContext<'_>,
) -> WorkloadAssessment {
    let Some(live) = live else {
        return assess_without_pods(
            expected,
            HealthStatus::OutOfSync,
            "not applied: it does not exist in the cluster",
        );
    };
    if expected.update_method == UpdateMethod::Never {
        return assess_without_pods(expected, HealthStatus::Unknown, "its pods cannot be updated");
    }
    let unobserved = match sync_status(expected, live) {
        SyncStatus::OutOfSync(reason) => {
            return assess_without_pods(expected, HealthStatus::OutOfSync, &reason);
        }
        SyncStatus::Unobserved(reason) => Some(reason),
        SyncStatus::Synced => None,
    };
    let roster = pod_set::classify_pods(expected, live);
    let wanted = pod_set::desired_count(expected, live, &roster);
    let case = WorkloadCase { expected, live, pods: roster, desired: wanted, context: around };
    match unobserved {
        Some(reason) => case.assessment(HealthStatus::OutOfSync, vec![reason], Vec::new(), None),
        None => case.assess(),
    }
}

/// Returns the assessment of a workload whose pods do not count.
pub(super) fn assess_without_pods(
    expected: &ExpectedWorkload,
    health: HealthStatus,
    reason: &str,
) -> WorkloadAssessment {
    let judged = WorkloadHealth {
        key: Arc::clone(&expected.key),
        batch: expected.batch,
        status: health,
        desired: 0,
        updated: 0,
        ready: 0,
        reasons: vec![reason.to_owned()],
        evidence: Vec::new(),
    };
    WorkloadAssessment { workload: judged, unavailable: 0, fails_at: None }
}

struct WorkloadCase<'a> {
    expected: &'a ExpectedWorkload,
    live: &'a LiveWorkload,
    pods: PodSet<'a>,
    desired: u32,
    context: &'a HealthContext<'a>,
}

impl WorkloadCase<'_> {
    fn assess(&self) -> WorkloadAssessment {
        let now = self.context.now;
        if let Some(reason) = self.no_pods_reason() {
            return self.assessment(HealthStatus::Unknown, vec![reason.to_owned()], Vec::new(), None);
        }
        let disturbed = disruption::workload_disruptions(&self.pods, self.desired, self.context);
        let grounds = self.findings();
        let comes_at = grounds.iter().filter_map(|g| g.due_at(now)).min();
        let notes = || grounds.iter().map(|g| g.describe(now));
        let fails = grounds.iter().any(|g| g.active_cause(now).is_some());
        if !disturbed.is_empty() && !fails {
            let reasons = disturbed.into_iter().chain(notes()).collect();
            return self.assessment(HealthStatus::Disrupted, reasons, Vec::new(), comes_at);
        }
        if self.is_complete() && !fails {
            return self.assess_soak(notes().collect(), comes_at);
        }
        if self.live.is_update_manual && !fails {
            let paused = "paused or OnDelete in the cluster: its pods are updated when someone resumes it or deletes them";
            let paused = paused.to_owned();
            let reasons = std::iter::once(paused).chain(notes()).collect();
            return self.assessment(HealthStatus::Suspended, reasons, Vec::new(), comes_at);
        }
        let is_timed = disturbed.is_empty() && !self.is_complete() && !self.live.is_update_manual;
        self.assess_progress(&grounds, comes_at, is_timed)
    }

    fn no_pods_reason(&self) -> Option<&'static str> {
        match () {
            () if self.expected.update_method == UpdateMethod::NextRun => {
                Some("its next pods get the template: no health evidence until then")
            }
            () if self.pods.is_completed => Some("the pod has completed: no health evidence"),
            () if self.desired == 0 => Some("no pods are desired: no health evidence"),
            () => None,
        }
    }

    fn is_complete(&self) -> bool {
        self.pods.updated_count() >= self.desired && self.pods.updated.iter().all(|m| m.is_ready)
    }

    /// Returns the findings that count or may count as failures, the most important first.
    fn findings(&self) -> Vec<HealthFinding> {
        let (expected, roster, around) = (self.expected, &self.pods, self.context);
        let mut grounds = finding::container_findings(expected, roster, around, false);
        grounds.extend(finding::condition_findings(expected, self.live, around, self.is_complete()));
        grounds.extend(
            finding::scheduling_finding(expected, roster, around)
                .filter(|_| around.unschedulable_others.is_empty()),
        );
        grounds.sort_by_key(|g| std::cmp::Reverse(g.active_cause(around.now)));
        grounds
    }

    fn assess_soak(&self, notes: Vec<String>, comes_at: Option<Timestamp>) -> WorkloadAssessment {
        let HealthContext { is_rollback: goes_back, limits, now, .. } = *self.context;
        let until = soak::soak_until(&self.pods, self.live.min_ready_seconds, goes_back, limits, now);
        if until <= now {
            return self.assessment(HealthStatus::Healthy, notes, Vec::new(), comes_at);
        }
        let left =
            format!("soaking until {}, {} s left", time_of_day(until, now), seconds_between(now, until));
        let reasons = std::iter::once(left).chain(self.early_ready_note()).chain(notes).collect();
        self.assessment(HealthStatus::Soaking { until }, reasons, Vec::new(), comes_at)
    }

    /// Pods that claim to be ready since before their creation do not soak.
    fn early_ready_note(&self) -> Option<String> {
        let early = self.pods.updated.iter().filter(|m| pod::is_ready_before_creation(m.pod));
        let names: Vec<&str> = early.map(|m| m.name).collect();
        (!names.is_empty()).then(|| {
            let names = join_names(&names);
            format!("the soak does not start for {names}, ready since before its creation: check the clock of its node")
        })
    }

    /// Assesses an update in progress. Findings that count now and those of the deadline are combined, so that a
    /// later one never improves the result.
    fn assess_progress(
        &self,
        grounds: &[HealthFinding],
        comes_at: Option<Timestamp>,
        is_timed: bool,
    ) -> WorkloadAssessment {
        let HealthContext { is_rollback: goes_back, limits, now, .. } = *self.context;
        let deadline = deadline::workload_deadline(self.expected, goes_back, self.live, &self.pods, limits);
        let deadline = deadline.filter(|_| is_timed);
        let waits = finding::readiness_findings(self.expected, &self.pods, self.context);
        let all: Vec<&HealthFinding> = grounds.iter().chain(&waits).collect();
        let is_ours = all.iter().any(|g| g.deadline_cause == FailureCause::Batch);
        let counted = grounds.iter().filter_map(|g| g.active_cause(now)).max();
        // If a finding counts already, the deadline matters only if it changes the cause.
        let matters = deadline.filter(|_| counted.is_none() || is_ours);
        let fails_at = comes_at.into_iter().chain(matters).filter(|at| *at > now).min();
        if let Some(passed) = deadline.filter(|at| *at <= now) {
            let blame = counted.max(is_ours.then_some(FailureCause::Batch));
            let passed = format!("not ready by its deadline, {}", time_of_day(passed, now));
            return self.assess_failure(
                blame.map_or(HealthStatus::Stalled, HealthStatus::Degraded),
                Some(passed),
                &all,
                fails_at,
            );
        }
        if let Some(blame) = counted {
            let counting: Vec<&HealthFinding> =
                grounds.iter().filter(|g| g.active_cause(now).is_some()).collect();
            return self.assess_failure(HealthStatus::Degraded(blame), None, &counting, fails_at);
        }
        let mut reasons: Vec<String> = all.iter().map(|g| g.describe(now)).collect();
        reasons.extend(self.stuck_outdated_pods_note());
        let mut told = self.assessment(HealthStatus::Progressing, reasons, Vec::new(), fails_at);
        let until = deadline.map(|at| format!("its deadline is {}", time_of_day(at, now)));
        told.workload.reasons.extend(until);
        told
    }

    fn assess_failure(
        &self,
        health: HealthStatus,
        passed: Option<String>,
        grounds: &[&HealthFinding],
        comes_at: Option<Timestamp>,
    ) -> WorkloadAssessment {
        let mut reasons: Vec<String> = grounds.iter().map(|g| g.describe(self.context.now)).collect();
        reasons.extend(passed);
        reasons.extend(self.pods.mutation.clone());
        reasons.extend(self.stuck_pods_note());
        reasons.extend(self.stuck_outdated_pods_note());
        let mut evidence: Vec<HealthEvidence> = Vec::new();
        for seen in grounds.iter().flat_map(|g| &g.evidence) {
            let is_known = |e: &HealthEvidence| e.subject == seen.subject && e.container == seen.container;
            if !evidence.iter().any(is_known) {
                evidence.push(seen.clone());
            }
        }
        self.assessment(health, reasons, evidence, comes_at)
    }

    /// A StatefulSet waits for its broken pod even after git has another template.
    fn stuck_pods_note(&self) -> Option<String> {
        let broken: Vec<&str> = self.pods.updated.iter().filter(|m| !m.is_ready).map(|m| m.name).collect();
        (self.expected.is_ordered && !broken.is_empty()).then(|| {
            let names = join_names(&broken);
            format!("git alone cannot fix it: delete {names} after the template in git has changed")
        })
    }

    fn stuck_outdated_pods_note(&self) -> Option<String> {
        let limits = self.context.limits;
        let is_broken =
            |m: &&pod_set::ClassifiedPod<'_>| !pod_failures(m.name, m.pod, false, limits).is_empty();
        let broken: Vec<&str> = self.pods.outdated.iter().filter(is_broken).map(|m| m.name).collect();
        (self.expected.is_ordered && !broken.is_empty()).then(|| {
            let names = join_names(&broken);
            format!("it waits for {names}, broken with the previous template, to be deleted")
        })
    }

    /// Pods that outlive their grace period block their replacement.
    fn overdue_deletion_note(&self) -> Option<String> {
        let now = self.context.now;
        let is_late = |at: &Timestamp| add_seconds(*at, DELETION_OVERDUE_SECONDS) <= now;
        let late = |p: &super::super::snapshot::LivePod| p.deletion_time.as_ref().is_some_and(is_late);
        let names: Vec<&str> = self.live.pods.iter().filter(|(_, p)| late(p)).map(|(n, _)| &**n).collect();
        (!names.is_empty()).then(|| {
            format!("still terminating past the grace period: {} (check finalizers)", join_names(&names))
        })
    }

    fn assessment(
        &self,
        health: HealthStatus,
        mut reasons: Vec<String>,
        evidence: Vec<HealthEvidence>,
        fails_at: Option<Timestamp>,
    ) -> WorkloadAssessment {
        let (carrying, ready) = (self.pods.updated_count(), self.pods.ready_count());
        if health != HealthStatus::Unknown {
            reasons.push(pod_counts(self.expected, self.desired, carrying, ready));
        }
        // Until the controller has observed the change, the newest revision is that of another template.
        if !matches!(health, HealthStatus::Degraded(_) | HealthStatus::Stalled | HealthStatus::OutOfSync) {
            reasons.extend(self.pods.mutation.clone());
        }
        reasons.extend(self.overdue_deletion_note());
        let judged = WorkloadHealth {
            key: Arc::clone(&self.expected.key),
            batch: self.expected.batch,
            status: health,
            desired: self.desired,
            updated: carrying,
            ready,
            reasons,
            evidence,
        };
        WorkloadAssessment {
            workload: judged,
            unavailable: self.pods.unavailable_count(self.expected, self.live),
            fails_at,
        }
    }
}

/// Assesses a workload of an earlier batch: its sidecars only.
pub(super) fn assess_earlier_workload(
    expected: &ExpectedWorkload,
    live: Option<&LiveWorkload>,
    around: &HealthContext<'_>,
) -> WorkloadAssessment {
    let Some(live) = live else {
        return assess_without_pods(expected, HealthStatus::OutOfSync, "it does not exist in the cluster");
    };
    if let SyncStatus::OutOfSync(reason) = sync_status(expected, live) {
        return assess_without_pods(expected, HealthStatus::OutOfSync, &reason);
    }
    let roster = pod_set::classify_pods(expected, live);
    let wanted = pod_set::desired_count(expected, live, &roster);
    let grounds = finding::container_findings(expected, &roster, around, true);
    let case = WorkloadCase { expected, live, pods: roster, desired: wanted, context: around };
    if let Some(reason) = case.no_pods_reason() {
        return case.assessment(HealthStatus::Unknown, vec![reason.to_owned()], Vec::new(), None);
    }
    let comes_at = grounds.iter().filter_map(|g| g.due_at(around.now)).min();
    let counting: Vec<&HealthFinding> =
        grounds.iter().filter(|g| g.active_cause(around.now).is_some()).collect();
    if let Some(blame) = counting.iter().filter_map(|g| g.active_cause(around.now)).max() {
        return case.assess_failure(HealthStatus::Degraded(blame), None, &counting, comes_at);
    }
    let health = if case.is_complete() { HealthStatus::Healthy } else { HealthStatus::Progressing };
    case.assessment(health, grounds.iter().map(|g| g.describe(around.now)).collect(), Vec::new(), comes_at)
}
