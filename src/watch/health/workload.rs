//! Assesses the workloads of the latest batch.

use super::super::expected_state::ExpectedWorkload;
use super::super::snapshot::LiveWorkload;
use super::failure::pod_failures;
use super::finding::{self, HealthFinding};
use super::format::{add_seconds, join_names, pod_counts, seconds_between, time_of_day};
use super::pod;
use super::pod_set::{self, PodSet};
use super::sync_status::{SyncStatus, sync_status};
use super::types::{FailingPods, HealthContext, WorkloadAssessment};
use super::{FailureCause, HealthEvidence, HealthStatus, WorkloadHealth, deadline, disruption};
use crate::model::ledger::PIGGYBACK_BATCH;
use crate::rollout::update_method::UpdateMethod;
use jiff::Timestamp;
use std::sync::Arc;

/// Seconds after its grace period from which a terminating pod is reported.
const DELETION_OVERDUE_SECONDS: u64 = 60;

/// Assesses a workload of the latest batch.
pub(super) fn assess_workload(
    expected: &ExpectedWorkload,
    live: Option<&LiveWorkload>,
    tolerated: &FailingPods,
    context: &HealthContext<'_>,
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
    let case = WorkloadCase::new(expected, live, tolerated, context);
    match unobserved {
        Some(reason) => case.assessment(HealthStatus::OutOfSync, vec![reason], Vec::new(), None),
        None => case.assess(),
    }
}

/// Returns the assessment of a workload without looking at its pods.
pub(super) fn assess_without_pods(
    expected: &ExpectedWorkload,
    status: HealthStatus,
    reason: &str,
) -> WorkloadAssessment {
    let workload = WorkloadHealth {
        key: Arc::clone(&expected.key),
        batch: expected.batch,
        status,
        desired: 0,
        updated: 0,
        ready: 0,
        reasons: vec![reason.to_owned()],
        evidence: Vec::new(),
    };
    WorkloadAssessment { workload, unavailable: 0, fails_at: None, failing: FailingPods::default() }
}

struct WorkloadCase<'a> {
    expected: &'a ExpectedWorkload,
    live: &'a LiveWorkload,
    /// Without the pods that may fail.
    pods: PodSet<'a>,
    /// Without the pods that may fail.
    desired: u32,
    /// Of all pods.
    counts: AssessedPodCounts,
    tolerated: &'a FailingPods,
    context: &'a HealthContext<'a>,
}

struct AssessedPodCounts {
    desired: u32,
    updated: u32,
    ready: u32,
    unavailable: u32,
}

impl<'a> WorkloadCase<'a> {
    fn new(
        expected: &'a ExpectedWorkload,
        live: &'a LiveWorkload,
        tolerated: &'a FailingPods,
        context: &'a HealthContext<'a>,
    ) -> Self {
        let mut pods = pod_set::classify_pods(expected, live);
        let counts = AssessedPodCounts {
            desired: pod_set::desired_count(expected, live, &pods),
            updated: pods.updated_count(),
            ready: pods.ready_count(),
            unavailable: pods.unavailable_count(expected, live),
        };
        let desired = tolerated.exclude_from(&mut pods, counts.desired);
        Self { expected, live, pods, desired, counts, tolerated, context }
    }

    fn assess(&self) -> WorkloadAssessment {
        let now = self.context.now;
        if let Some(reason) = self.no_pods_reason() {
            return self.assessment(HealthStatus::Unknown, vec![reason.to_owned()], Vec::new(), None);
        }
        let disruptions = disruption::workload_disruptions(&self.pods, self.desired, self.context);
        let findings = self.findings();
        let next_due = findings.iter().filter_map(|g| g.due_at(now)).min();
        let notes = || findings.iter().map(|g| g.describe(now));
        let fails = findings.iter().any(|g| g.active_cause(now).is_some());
        if !disruptions.is_empty() && !fails {
            let reasons = disruptions.into_iter().chain(notes()).collect();
            return self.assessment(HealthStatus::Disrupted, reasons, Vec::new(), next_due);
        }
        if self.is_complete() && !fails {
            return self.assess_soak(notes().collect(), next_due);
        }
        if self.live.is_update_manual && !fails {
            let paused = "paused or OnDelete in the cluster: its pods are updated when someone resumes it or deletes them";
            let paused = paused.to_owned();
            let reasons = std::iter::once(paused).chain(notes()).collect();
            return self.assessment(HealthStatus::Suspended, reasons, Vec::new(), next_due);
        }
        let is_timed = disruptions.is_empty() && !self.is_complete() && !self.live.is_update_manual;
        self.assess_progress(&findings, next_due, is_timed)
    }

    fn no_pods_reason(&self) -> Option<&'static str> {
        match () {
            () if self.expected.update_method == UpdateMethod::NextRun => {
                Some("its next pods get the template: no health evidence until then")
            }
            () if self.pods.is_completed => Some("the pod has completed: no health evidence"),
            () if self.counts.desired == 0 => Some("no pods are desired: no health evidence"),
            () if self.desired == 0 => Some("all its pods fail: no health evidence"),
            () => None,
        }
    }

    fn is_complete(&self) -> bool {
        self.pods.updated_count() >= self.desired && self.pods.updated.iter().all(|m| m.is_ready)
    }

    /// Returns the findings that count or may count as failures, the most important first.
    fn findings(&self) -> Vec<HealthFinding> {
        let (expected, pods, context) = (self.expected, &self.pods, self.context);
        let mut findings = finding::container_findings(expected, pods, context, false);
        findings.extend(finding::condition_findings(expected, self.live, context, self.is_complete()));
        findings.extend(
            finding::scheduling_finding(expected, pods, context)
                .filter(|_| context.unschedulable_others.is_empty()),
        );
        findings.sort_by_key(|g| std::cmp::Reverse(g.active_cause(context.now)));
        findings
    }

    fn assess_soak(&self, notes: Vec<String>, next_due: Option<Timestamp>) -> WorkloadAssessment {
        let HealthContext { is_rollback, limits, now, .. } = *self.context;
        let until = deadline::soak_until(&self.pods, self.live.min_ready_seconds, is_rollback, limits, now);
        if until <= now {
            return self.assessment(HealthStatus::Healthy, notes, Vec::new(), next_due);
        }
        let left =
            format!("soaking until {}, {} s left", time_of_day(until, now), seconds_between(now, until));
        let reasons = std::iter::once(left).chain(self.early_ready_note()).chain(notes).collect();
        self.assessment(HealthStatus::Soaking { until }, reasons, Vec::new(), next_due)
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
        findings: &[HealthFinding],
        next_due: Option<Timestamp>,
        is_timed: bool,
    ) -> WorkloadAssessment {
        let HealthContext { is_rollback, limits, now, .. } = *self.context;
        let deadline = deadline::workload_deadline(self.expected, is_rollback, self.live, &self.pods, limits);
        let deadline = deadline.filter(|_| is_timed);
        let waits = finding::readiness_findings(self.expected, &self.pods, self.context);
        let all: Vec<&HealthFinding> = findings.iter().chain(&waits).collect();
        let is_ours = all.iter().any(|g| g.deadline_cause == FailureCause::Batch);
        let counted = findings.iter().filter_map(|g| g.active_cause(now)).max();
        // If a finding counts already, the deadline matters only if it changes the cause.
        let matters = deadline.filter(|_| counted.is_none() || is_ours);
        let fails_at = next_due.into_iter().chain(matters).filter(|at| *at > now).min();
        if let Some(passed) = deadline.filter(|at| *at <= now) {
            let cause = counted.max(is_ours.then_some(FailureCause::Batch));
            let passed = format!("not ready by its deadline, {}", time_of_day(passed, now));
            let status = cause.map_or(HealthStatus::Stalled, HealthStatus::Degraded);
            let failing = FailingPods::at_deadline(&all, self.desired, &self.pods, self.context);
            return self.assess_failure(status, Some(passed), &all, failing, fails_at);
        }
        if let Some(cause) = counted {
            let counting: Vec<&HealthFinding> =
                findings.iter().filter(|g| g.active_cause(now).is_some()).collect();
            let failing = FailingPods::of_findings(&counting, self.context);
            return self.assess_failure(HealthStatus::Degraded(cause), None, &counting, failing, fails_at);
        }
        let mut reasons: Vec<String> = all.iter().map(|g| g.describe(now)).collect();
        reasons.extend(self.stuck_outdated_pods_note());
        let mut assessment = self.assessment(HealthStatus::Progressing, reasons, Vec::new(), fails_at);
        let until = deadline.map(|at| format!("its deadline is {}", time_of_day(at, now)));
        assessment.workload.reasons.extend(until);
        assessment
    }

    fn assess_failure(
        &self,
        status: HealthStatus,
        passed: Option<String>,
        findings: &[&HealthFinding],
        failing: FailingPods,
        next_due: Option<Timestamp>,
    ) -> WorkloadAssessment {
        let mut reasons: Vec<String> = findings.iter().map(|g| g.describe(self.context.now)).collect();
        reasons.extend(passed);
        reasons.extend(self.pods.mutation.clone());
        reasons.extend(self.stuck_pods_note());
        reasons.extend(self.stuck_outdated_pods_note());
        let mut evidence: Vec<HealthEvidence> = Vec::new();
        for seen in findings.iter().flat_map(|g| &g.evidence) {
            let is_known = |e: &HealthEvidence| e.subject == seen.subject && e.container == seen.container;
            if !evidence.iter().any(is_known) {
                evidence.push(seen.clone());
            }
        }
        WorkloadAssessment { failing, ..self.assessment(status, reasons, evidence, next_due) }
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
        status: HealthStatus,
        mut reasons: Vec<String>,
        evidence: Vec<HealthEvidence>,
        fails_at: Option<Timestamp>,
    ) -> WorkloadAssessment {
        let AssessedPodCounts { desired, updated, ready, unavailable } = self.counts;
        reasons.extend(self.tolerated.tolerated_reasons(self.context.limits));
        if status != HealthStatus::Unknown {
            reasons.push(pod_counts(self.expected, desired, updated, ready));
        }
        // Until the controller has observed the change, the newest revision is that of another template.
        if !matches!(status, HealthStatus::Degraded(_) | HealthStatus::Stalled | HealthStatus::OutOfSync) {
            reasons.extend(self.pods.mutation.clone());
        }
        reasons.extend(self.overdue_deletion_note());
        let workload = WorkloadHealth {
            key: Arc::clone(&self.expected.key),
            batch: self.expected.batch,
            status,
            desired,
            updated,
            ready,
            reasons,
            evidence,
        };
        WorkloadAssessment { workload, unavailable, fails_at, failing: FailingPods::default() }
    }
}

/// Assesses a workload of an earlier batch: its sidecars only.
pub(super) fn assess_earlier_workload(
    expected: &ExpectedWorkload,
    live: Option<&LiveWorkload>,
    tolerated: &FailingPods,
    context: &HealthContext<'_>,
) -> WorkloadAssessment {
    let Some(live) = live else {
        return assess_without_pods(expected, HealthStatus::OutOfSync, "it does not exist in the cluster");
    };
    if let SyncStatus::OutOfSync(reason) = sync_status(expected, live) {
        return assess_without_pods(expected, HealthStatus::OutOfSync, &reason);
    }
    let case = WorkloadCase::new(expected, live, tolerated, context);
    let findings = finding::container_findings(expected, &case.pods, context, true);
    if let Some(reason) = case.no_pods_reason() {
        return case.assessment(HealthStatus::Unknown, vec![reason.to_owned()], Vec::new(), None);
    }
    let next_due = findings.iter().filter_map(|g| g.due_at(context.now)).min();
    let counting: Vec<&HealthFinding> =
        findings.iter().filter(|g| g.active_cause(context.now).is_some()).collect();
    if let Some(cause) = counting.iter().filter_map(|g| g.active_cause(context.now)).max() {
        let failing = FailingPods::of_findings(&counting, context);
        if expected.batch == PIGGYBACK_BATCH {
            return with_own_change(case.assess_failure(
                HealthStatus::Degraded(FailureCause::Unknown),
                None,
                &counting,
                failing,
                next_due,
            ));
        }
        return case.assess_failure(HealthStatus::Degraded(cause), None, &counting, failing, next_due);
    }
    let status = if case.is_complete() { HealthStatus::Healthy } else { HealthStatus::Progressing };
    case.assessment(status, findings.iter().map(|g| g.describe(context.now)).collect(), Vec::new(), next_due)
}

/// Adds that the workload took the revision with its own change: either may be the cause.
fn with_own_change(mut assessment: WorkloadAssessment) -> WorkloadAssessment {
    let note = "it took the new sidecar with its own change: either may be the cause";
    assessment.workload.reasons.push(note.to_owned());
    assessment
}
