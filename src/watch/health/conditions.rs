//! Why does a workload get no pods, as far as its conditions say?

use super::super::expected_state::ExpectedWorkload;
use super::super::snapshot::{LiveWorkload, WorkloadCondition};
use super::format::{add_seconds, single_line};
use super::{FailureCause, HealthEvidence, HealthLimits};
use jiff::Timestamp;
use std::sync::Arc;

/// A condition that says why no pods come.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConditionFailure<'a> {
    /// The condition.
    pub condition: &'a WorkloadCondition,
    /// From when on it is a failure.
    pub due: Timestamp,
    /// Whose fault it is then.
    pub cause: FailureCause,
}

/// Words of quotas and of LimitRanges, in lower case.
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

/// Returns the conditions that say why no pods come.
pub(super) fn condition_failures<'a>(
    expected: &ExpectedWorkload,
    live: &'a LiveWorkload,
    limits: &HealthLimits,
    now: Timestamp,
) -> Vec<ConditionFailure<'a>> {
    let begun = [live.revision_created, live.spec_changed].into_iter().flatten().max();
    let refusal = |complaint: &'a WorkloadCondition| {
        let since = [complaint.since, begun].into_iter().flatten().max().unwrap_or(now);
        // What was refused before the template came was so before.
        let is_new = complaint.since.zip(live.revision_created).is_none_or(|(s, made)| s >= made);
        let is_ours = is_new && expected.request_increase.is_some() && is_about_quota(&complaint.message);
        let blame = if is_ours { FailureCause::Batch } else { FailureCause::Unknown };
        ConditionFailure { condition: complaint, due: add_seconds(since, limits.refusal_grace), cause: blame }
    };
    live.conditions.iter().filter(|c| !is_progress_deadline(c)).map(refusal).collect()
}

/// A deadline that a controller keeps itself says nothing new: the judge has its own, which is never shorter.
fn is_progress_deadline(complaint: &WorkloadCondition) -> bool {
    &*complaint.kind == "Progressing" && &*complaint.reason == "ProgressDeadlineExceeded"
}

fn is_about_quota(message: &str) -> bool {
    let message = message.to_lowercase();
    QUOTA_PHRASES.iter().any(|words| message.contains(words))
}

impl ConditionFailure<'_> {
    /// Tells whether it matters to a workload whose pods are all there: only where its controller gives it up.
    pub(super) fn matters_when_ready(&self) -> bool {
        &*self.condition.kind == "Degraded"
    }

    /// Returns the sentence for people.
    pub(super) fn describe(&self, expected: &ExpectedWorkload) -> String {
        let WorkloadCondition { kind, reason, message, .. } = self.condition;
        let reason = if reason.is_empty() { kind } else { reason };
        let said = single_line(message).map(|m| format!(": {m}")).unwrap_or_default();
        let more = expected.request_increase.as_ref().filter(|_| is_about_quota(message));
        let more = more.map(|more| format!("; a pod asks for more than before: {more}")).unwrap_or_default();
        format!("{kind}{}{said}{more}", if reason == kind { String::new() } else { format!(" ({reason})") })
    }

    /// Returns what was seen.
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
