//! `maxFailures`: which failing pods a rollout accepts.

use super::HealthLimits;
use super::finding::HealthFinding;
use super::pod_set::PodSet;
use super::types::{FailingPods, HealthContext, WorkloadAssessment};
use crate::diagnostics::pluralize;
use crate::model::int_or_percent::RoundingMode;

impl FailingPods {
    /// Returns the pods of findings that count.
    pub(super) fn of_findings(counting: &[&HealthFinding], context: &HealthContext<'_>) -> Self {
        Self {
            pods: counting.iter().flat_map(|f| f.pods.iter().cloned()).collect(),
            missing: 0,
            is_whole_workload: counting.iter().any(|f| f.pods.is_empty()),
            reasons: counting.iter().map(|f| f.describe(context.now)).collect(),
        }
    }

    /// Returns what is not ready at the deadline.
    pub(super) fn at_deadline(
        findings: &[&HealthFinding],
        desired: u32,
        pods: &PodSet<'_>,
        context: &HealthContext<'_>,
    ) -> Self {
        let late = pods.updated.iter().filter(|m| !m.is_ready).map(|m| m.name.to_owned());
        Self {
            pods: late.collect(),
            missing: desired.saturating_sub(pods.updated_count()),
            ..Self::of_findings(findings, context)
        }
    }

    /// Returns how many there are.
    fn count(&self) -> u32 {
        u32::try_from(self.pods.len()).unwrap_or(u32::MAX).saturating_add(self.missing)
    }

    /// Takes them out of the pods of the workload, and returns how many pods are left to be updated.
    pub(super) fn exclude_from(&self, pods: &mut PodSet<'_>, desired: u32) -> u32 {
        pods.updated.retain(|m| !self.pods.contains(m.name));
        desired.saturating_sub(self.count())
    }

    /// Returns the reasons for people.
    pub(super) fn tolerated_reasons(&self, limits: &HealthLimits) -> Vec<String> {
        let Some(max_failures) = limits.max_failures.as_ref().filter(|_| self.count() > 0) else {
            return Vec::new();
        };
        let count = pluralize(self.count().into(), "failing pod");
        let verb = if self.count() == 1 { "is" } else { "are" };
        let note = format!("{count} {verb} tolerated (`maxFailures: {max_failures}`)");
        std::iter::once(note).chain(self.reasons.iter().cloned()).collect()
    }
}

/// Returns whether the rollout goes on although pods fail: there are at most `maxFailures` of them, and the last batch
/// has a ready pod.
///
/// A percentage is one of the pods released so far, rounded down, so that a large fleet does not excuse a first batch
/// of one pod.
pub(super) fn are_failures_tolerated(
    batch: u32,
    assessments: &[WorkloadAssessment],
    limits: &HealthLimits,
) -> bool {
    let Some(max_failures) = &limits.max_failures else { return false };
    if assessments.iter().any(|a| a.failing.is_whole_workload) {
        return false;
    }
    let failing: u64 = assessments.iter().map(|a| u64::from(a.failing.count())).sum();
    let released = assessments.iter().map(|a| u64::from(a.workload.desired)).sum();
    let budget = max_failures.pods(released, RoundingMode::Down).unwrap_or(0);
    let has_ready = assessments.iter().any(|a| a.workload.batch == batch && a.workload.ready > 0);
    failing > 0 && failing <= budget && has_ready
}
