//! Failing conditions of a workload: why it gets no pods.

use super::super::expected_state::ExpectedWorkload;
use super::super::snapshot::{LiveWorkload, WorkloadCondition};
use super::format::{add_seconds, single_line};
use super::{FailureCause, HealthEvidence, HealthLimits};
use jiff::Timestamp;
use std::sync::Arc;

/// A condition that explains missing pods.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConditionFailure<'a> {
    /// The condition.
    pub(crate) condition: &'a WorkloadCondition,
    /// When it counts as a failure.
    pub(crate) due: Timestamp,
    /// The cause, then.
    pub(crate) cause: FailureCause,
}

/// Phrases of quota and LimitRange errors, in lower case.
const QUOTA_PHRASES: &[&str] = &[
    "exceeded quota",
    "failed quota",
    "limitrange",
    "limit range",
    "maximum cpu usage",
    "maximum memory usage",
    "minimum cpu usage",
    "minimum memory usage",
    "limit to request ratio",
];

/// Returns the conditions that explain missing pods.
pub(super) fn condition_failures<'a>(
    expected: &ExpectedWorkload,
    live: &'a LiveWorkload,
    limits: &HealthLimits,
    now: Timestamp,
) -> Vec<ConditionFailure<'a>> {
    let begun = [live.revision_created, live.spec_changed].into_iter().flatten().max();
    let to_failure = |condition: &'a WorkloadCondition| {
        let since = [condition.since, begun].into_iter().flatten().max().unwrap_or(now);
        // A condition that is older than the template is not caused by it.
        let is_new = condition.since.zip(live.revision_created).is_none_or(|(s, made)| s >= made);
        let is_ours = is_new && expected.request_increase.is_some() && is_about_quota(&condition.message);
        let cause = if is_ours { FailureCause::Batch } else { FailureCause::Unknown };
        ConditionFailure { condition, due: add_seconds(since, limits.refusal_grace), cause }
    };
    live.conditions.iter().filter(|c| !is_progress_deadline(c)).map(to_failure).collect()
}

/// The controller's own deadline adds nothing: the deadline of this module is never shorter.
fn is_progress_deadline(condition: &WorkloadCondition) -> bool {
    &*condition.kind == "Progressing" && &*condition.reason == "ProgressDeadlineExceeded"
}

fn is_about_quota(message: &str) -> bool {
    let message = message.to_lowercase();
    QUOTA_PHRASES.iter().any(|words| message.contains(words))
}

impl ConditionFailure<'_> {
    /// Returns whether the condition matters when all pods are ready: only if the controller gives up.
    pub(super) fn matters_when_ready(&self) -> bool {
        &*self.condition.kind == "Degraded"
    }

    /// Returns the text for people.
    pub(super) fn describe(&self, expected: &ExpectedWorkload) -> String {
        let WorkloadCondition { kind, reason, message, .. } = self.condition;
        let reason = if reason.is_empty() { kind } else { reason };
        let detail = single_line(message).map(|m| format!(": {m}")).unwrap_or_default();
        let more = expected.request_increase.as_ref().filter(|_| is_about_quota(message));
        let more = more.map(|more| format!("; a pod requests more than before: {more}")).unwrap_or_default();
        format!("{kind}{}{detail}{more}", if reason == kind { String::new() } else { format!(" ({reason})") })
    }

    /// Returns the evidence.
    pub(super) fn evidence(&self, key: &Arc<str>) -> HealthEvidence {
        let WorkloadCondition { kind, reason, message, .. } = self.condition;
        HealthEvidence {
            subject: Arc::clone(key),
            container: None,
            reason: Arc::clone(if reason.is_empty() { kind } else { reason }),
            message: single_line(message),
            restarts: None,
        }
    }
}
