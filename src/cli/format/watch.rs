//! What `pillion watch --once` and `pillion status --watch` print, as text and JSON.

use crate::diagnostics::{Diagnostic, escape};
use crate::git::Commit;
use crate::watch::decision::WatchDecision;
use crate::watch::environment::WatchError;
use crate::watch::events::EventSink;
use crate::watch::health::WorkloadHealth;
use crate::watch::report::{EvaluationReport, RolloutReport};
use serde_json::Value;
use std::fmt::Write as _;

/// The events that `--once` prints.
#[derive(Default)]
pub(in crate::cli) struct OnceOutput {
    released: Vec<RolloutReport>,
    staged: Vec<String>,
    /// Diagnostics about commits of others on staged branches.
    pub(in crate::cli) foreign_commits: Vec<Diagnostic>,
    /// Why a notification failed.
    pub(in crate::cli) notification_error: Option<String>,
}

impl EventSink for OnceOutput {
    fn on_evaluation(&mut self, report: &EvaluationReport) {
        self.released.extend(report.rollouts.iter().filter(|i| i.released_commit.is_some()).cloned());
    }

    fn on_staged_rewritten(&mut self, branch: &str, _: &[Commit]) {
        self.staged.push(branch.to_owned());
    }

    fn on_foreign_commits(&mut self, diagnostic: &Diagnostic) {
        self.foreign_commits.retain(|other| other.message != diagnostic.message);
        self.foreign_commits.push(diagnostic.clone());
    }

    fn on_notify_failed(&mut self, failure: &WatchError) {
        self.notification_error = Some(failure.to_string());
    }
}

impl OnceOutput {
    /// Returns whether anything was released.
    pub(in crate::cli) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// Returns what was released, and the state of every rollout.
    pub(in crate::cli) fn to_text(&self, report: &EvaluationReport, is_dry: bool) -> String {
        let mut text = String::new();
        for item in &self.released {
            if let Some((commit, subject)) = &item.released_commit {
                let _ = writeln!(text, "{} {subject}", commit.short());
                for reason in &item.reasons {
                    let _ = writeln!(text, "  {reason}");
                }
            }
        }
        for branch in &self.staged {
            let _ = writeln!(text, "{branch}: recreated");
        }
        for item in &report.rollouts {
            text.push_str(&describe_rollout(item, is_dry));
        }
        text
    }

    pub(in crate::cli) fn to_json(&self, report: &EvaluationReport) -> Value {
        let mut document = report.to_json();
        document["released"] = self
            .released
            .iter()
            .filter_map(|i| i.released_commit.as_ref())
            .map(|(id, subject)| serde_json::json!({"commit": id.to_string(), "subject": subject}))
            .collect();
        document
    }
}

/// Returns the state of a rollout, as lines of text.
fn describe_rollout(item: &RolloutReport, is_dry: bool) -> String {
    let mut text = String::new();
    let of = item.cluster.as_ref().map_or_else(String::new, |c| format!(" ({c})"));
    let at = match (&item.to, item.batch) {
        (None, _) => format!("{} is released", item.from),
        (Some(to), 0) => format!("{} -> {to}, started", item.from),
        (Some(to), n) => format!("{} -> {to}, batch {n} of {} is released", item.from, item.batches.max(n)),
    };
    let _ = writeln!(text, "{}{of}: {at}", item.sidecar_set);
    let what = match &item.decision {
        WatchDecision::Advance if is_dry => "would take the next step",
        WatchDecision::Pause(_) if is_dry => "would pause",
        WatchDecision::RollBack(_) if is_dry => "would roll back",
        WatchDecision::Advance => "advances",
        WatchDecision::Pause(_) => "pauses",
        WatchDecision::RollBack(_) => "rolls back",
        WatchDecision::Wait => "waiting",
        WatchDecision::Idle => "idle",
        WatchDecision::Blocked => "blocked",
    };
    let mut reasons = item.reasons.iter();
    let first = reasons.next().map_or_else(String::new, |r| format!(": {r}"));
    let _ = writeln!(text, "  {what}{first}");
    for reason in reasons {
        let _ = writeln!(text, "  {reason}");
    }
    text
}

/// Returns every rollout, each with the workloads of the released batch.
pub(in crate::cli) fn status_table(report: &EvaluationReport) -> String {
    let mut text = String::new();
    let clock =
        report.now.map_or_else(|| "the cluster's time is not known".to_owned(), |now| now.to_string());
    let _ = writeln!(text, "{} at {clock}\n", report.head.short());
    for item in &report.rollouts {
        text.push_str(&describe_rollout(item, true));
        if let Some(gate) = item.gate {
            let _ = writeln!(text, "  gate {gate}");
        }
        let Some(health) = item.health.as_ref().filter(|h| !h.workloads.is_empty()) else { continue };
        let sum = |count: fn(&WorkloadHealth) -> u32| {
            health.workloads.iter().map(count).fold(0, u32::saturating_add)
        };
        let _ = writeln!(
            text,
            "  in the cluster: {} of {} pods of the released workloads are updated, {} are ready",
            sum(|w| w.updated),
            sum(|w| w.desired),
            sum(|w| w.ready)
        );
        let own: Vec<_> = health.workloads.iter().filter(|w| w.batch == item.batch).collect();
        let width = own.iter().map(|w| w.key.len()).max().unwrap_or(0).max("WORKLOAD".len());
        let _ = writeln!(text, "  {:width$}  DESIRED  UPDATED  READY  HEALTH", "WORKLOAD");
        for w in own {
            let why = w.reasons.first().map_or_else(String::new, |r| format!(": {}", escape::line(r)));
            let _ = writeln!(
                text,
                "  {:width$}  {:>7}  {:>7}  {:>5}  {}{why}",
                w.key, w.desired, w.updated, w.ready, w.status
            );
        }
        text.push('\n');
    }
    text
}
