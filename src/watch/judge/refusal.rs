//! Why does a workload get no pods, as far as its conditions say?

use super::super::released::Expected;
use super::super::snapshot::{Complaint, Workload};
use super::words::{after, line};
use super::{Blame, Evidence, Limits};
use jiff::Timestamp;
use std::sync::Arc;

/// A condition that says why no pods come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal<'a> {
    /// The condition.
    pub complaint: &'a Complaint,
    /// From when on it is a failure.
    pub due: Timestamp,
    /// Whose fault it is then.
    pub blame: Blame,
}

/// Words of quotas and of LimitRanges, in lower case.
const AMOUNTS: &[&str] = &[
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
pub(super) fn refusals<'a>(
    expected: &Expected,
    live: &'a Workload,
    limits: &Limits,
    now: Timestamp,
) -> Vec<Refusal<'a>> {
    let begun = [live.revision_created, live.changed].into_iter().flatten().max();
    let refusal = |complaint: &'a Complaint| {
        let since = [complaint.since, begun].into_iter().flatten().max().unwrap_or(now);
        // What was refused before the template came was so before.
        let is_new = complaint.since.zip(live.revision_created).is_none_or(|(s, made)| s >= made);
        let is_ours = is_new && expected.more_requests.is_some() && is_about_amounts(&complaint.message);
        let blame = if is_ours { Blame::Batch } else { Blame::Unclear };
        Refusal { complaint, due: after(since, limits.refusal_grace), blame }
    };
    live.complaints.iter().filter(|c| !is_about_time(c)).map(refusal).collect()
}

/// A deadline that a controller keeps itself says nothing new: the judge has its own, which is never shorter.
fn is_about_time(complaint: &Complaint) -> bool {
    &*complaint.kind == "Progressing" && &*complaint.reason == "ProgressDeadlineExceeded"
}

fn is_about_amounts(message: &str) -> bool {
    let message = message.to_lowercase();
    AMOUNTS.iter().any(|words| message.contains(words))
}

impl Refusal<'_> {
    /// Tells whether it matters to a workload whose pods are all there: only where its controller gives it up.
    pub(super) fn outlives_readiness(&self) -> bool {
        &*self.complaint.kind == "Degraded"
    }

    /// Returns the sentence for people.
    pub(super) fn words(&self, expected: &Expected) -> String {
        let Complaint { kind, reason, message, .. } = self.complaint;
        let reason = if reason.is_empty() { kind } else { reason };
        let said = line(message).map(|m| format!(": {m}")).unwrap_or_default();
        let more = expected.more_requests.as_ref().filter(|_| is_about_amounts(message));
        let more = more.map(|more| format!("; a pod asks for more than before: {more}")).unwrap_or_default();
        format!("{kind}{}{said}{more}", if reason == kind { String::new() } else { format!(" ({reason})") })
    }

    /// Returns what was seen.
    pub(super) fn evidence(&self, key: &Arc<str>) -> Evidence {
        let Complaint { kind, reason, message, .. } = self.complaint;
        Evidence {
            subject: Arc::clone(key),
            container: None,
            reason: Arc::clone(if reason.is_empty() { kind } else { reason }),
            message: line(message),
            restarts: None,
        }
    }
}
