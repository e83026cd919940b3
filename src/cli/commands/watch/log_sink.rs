//! Logs and counts what a watcher does.

use crate::diagnostics::{Diagnostic, short};
use crate::git::Commit;
use crate::rollout::Gate;
use crate::watch::decision::WatchDecision;
use crate::watch::environment::WatchError;
use crate::watch::events::{EventSink, ServiceEventSink};
use crate::watch::health::{HealthStatus as PodHealth, RolloutHealth};
use crate::watch::metrics::{EvaluationOutcome, Metrics};
use crate::watch::report::{EvaluationReport, RolloutReport};
use crate::watch::serve::Liveness;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// Logs what is new, and counts everything.
pub(super) struct LogSink {
    metrics: Arc<Metrics>,
    liveness: Arc<Liveness>,
    /// What was logged last of each rollout: a line is written when it changes.
    last_logged: BTreeMap<(Option<String>, String), String>,
    /// The end of each workload's soak, by rollout, batch and workload.
    soak_ends: BTreeMap<(Option<String>, String, u32, Arc<str>), jiff::Timestamp>,
    /// The errors of the deploy head that were logged last.
    invalid_head: Vec<String>,
    /// Senders to the threads that send notifications: the deploy branch may have moved.
    notify_senders: Vec<SyncSender<()>>,
}

impl LogSink {
    pub(super) fn new(
        metrics: Arc<Metrics>,
        liveness: Arc<Liveness>,
        notify_senders: Vec<SyncSender<()>>,
    ) -> Self {
        Self {
            metrics,
            liveness,
            last_logged: BTreeMap::new(),
            soak_ends: BTreeMap::new(),
            invalid_head: Vec::new(),
            notify_senders,
        }
    }

    fn record_item(&mut self, item: &RolloutReport, moved: bool) {
        let key = (item.cluster.clone(), item.sidecar_set.clone());
        let series = self.metrics.rollout(item.cluster.as_deref(), &item.sidecar_set);
        series.set_progress(item.batch, item.batches);
        series.record_evaluation(decision_label(item, moved));
        let waits = item.decision == WatchDecision::Wait;
        series.set_gate(item.gate.filter(|_| waits));
        series.set_state(item.state);
        if item.is_push_conflict {
            series.record_push_conflict();
        }
        if let Some(health) = &item.health {
            let own = health.workloads.iter().filter(|w| w.batch == item.batch);
            let sum =
                |count: fn(&crate::watch::health::WorkloadHealth) -> u32| own.clone().map(count).sum::<u32>();
            series.set_pods(sum(|w| w.desired), sum(|w| w.updated), sum(|w| w.ready));
            series.set_unavailable(health.unavailable);
            let missing = health.workloads.iter().filter(|w| w.status == PodHealth::OutOfSync).count();
            series.set_out_of_sync(u32::try_from(missing).unwrap_or(u32::MAX));
            for workload in &health.workloads {
                let PodHealth::Soaking { until } = workload.status else { continue };
                let (cluster, set) = key.clone();
                let soak = (cluster, set, workload.batch, Arc::clone(&workload.key));
                // A soak that ends later than before was restarted.
                if self.soak_ends.insert(soak, until).is_some_and(|before| before < until) {
                    series.record_soak_reset();
                }
            }
            if item.to.is_none() {
                self.soak_ends
                    .retain(|(cluster, set, ..), _| (cluster, set) != (&item.cluster, &item.sidecar_set));
            }
        }
        let cluster = item.cluster.as_deref();
        let reasons = item.reasons.join("; ");
        if let Some((commit, subject)) = &item.released_commit {
            tracing::info!(cluster, sidecar_set = item.sidecar_set, commit = %commit, subject, reasons, "released");
        }
        let new_key = log_key(item);
        if self.last_logged.get(&key) != Some(&new_key) {
            tracing::info!(
                cluster,
                sidecar_set = item.sidecar_set,
                state = %item.state,
                batch = item.batch,
                batches = item.batches,
                decision = %item.decision,
                gate = item.gate.map(Gate::name),
                reasons,
                "evaluated"
            );
            self.last_logged.insert(key, new_key);
        }
    }
}

/// Returns what a line of the log depends on: neither the seconds of a soak nor the number of ready pods.
fn log_key(item: &RolloutReport) -> String {
    let mut text = format!("{} {} {}", item.state, item.decision, item.batch);
    let progressing = item.health.as_ref().filter(|health| health.status == RolloutHealth::Progressing);
    match progressing {
        Some(health) => {
            for workload in &health.workloads {
                let _ = write!(text, " {} {}", workload.key, workload.status);
            }
        }
        None => text.push_str(&item.reasons.join("; ")),
    }
    text
}

/// Returns the outcome that is counted: only the watcher that took a step counts it.
fn decision_label(item: &RolloutReport, moved: bool) -> EvaluationOutcome {
    let is_done = item.released_commit.is_some() || item.is_proposed || !moved;
    match &item.decision {
        WatchDecision::Advance | WatchDecision::Pause(_) | WatchDecision::RollBack(_) if !is_done => {
            EvaluationOutcome::Retry
        }
        WatchDecision::Advance => item.step,
        WatchDecision::Pause(_) => EvaluationOutcome::Pause,
        WatchDecision::RollBack(_) => EvaluationOutcome::RollBack,
        WatchDecision::Wait => EvaluationOutcome::Wait,
        WatchDecision::Idle => EvaluationOutcome::Idle,
        WatchDecision::Blocked => EvaluationOutcome::Blocked,
    }
}

impl EventSink for LogSink {
    fn on_evaluation(&mut self, report: &EvaluationReport) {
        self.invalid_head.clear();
        for item in &report.rollouts {
            self.record_item(item, report.head_moved);
        }
        self.liveness.record_evaluation();
        for sender in &self.notify_senders {
            // A full channel holds such a message already.
            let _ = sender.try_send(());
        }
    }

    fn on_staged_rewritten(&mut self, branch: &str, overwritten: &[Commit]) {
        let commits: Vec<String> =
            overwritten.iter().map(|c| format!("{} {}", c.id.short(), c.subject())).collect();
        let overwritten = commits.join("; ");
        tracing::info!(branch, overwritten, "the staged branch was outdated and is recreated");
    }

    fn on_foreign_commits(&mut self, diagnostic: &Diagnostic) {
        let help = diagnostic.help.as_deref();
        tracing::warn!(help, "the staged branch stays unchanged: {}", one_line(diagnostic));
    }

    fn on_notify_failed(&mut self, error: &WatchError) {
        log_notification_error(error, None);
    }
}

/// Logs that a notification of commits failed.
pub(super) fn log_notification_error(error: &WatchError, again: Option<Duration>) {
    let again_in_seconds = again.map(|time| time.as_secs());
    tracing::warn!(again_in_seconds, "{error}; retrying in the background");
}

impl ServiceEventSink for LogSink {
    fn on_invalid_head(&mut self, diagnostics: Vec<Diagnostic>) {
        let errors: Vec<String> = diagnostics.iter().filter(|d| d.is_error()).map(one_line).collect();
        if errors != self.invalid_head {
            for line in &errors {
                tracing::error!("nothing is released: {line}");
            }
            self.invalid_head = errors;
        }
        // Git was read: a person must fix the branch, and the watcher is healthy.
        self.liveness.record_evaluation();
        for sender in &self.notify_senders {
            let _ = sender.try_send(());
        }
    }

    fn on_error(&mut self, error: &WatchError, again: Duration) {
        tracing::warn!(again_in_seconds = again.as_secs(), "{error}");
    }
}

/// `file:line:column: error[code]: message`.
fn one_line(diagnostic: &Diagnostic) -> String {
    short::render(diagnostic).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::RolloutState;

    /// A batch that a watcher wants to release.
    fn batch() -> RolloutReport {
        RolloutReport {
            cluster: None,
            sidecar_set: "log".to_owned(),
            state: RolloutState::Progressing,
            from: "-".to_owned(),
            to: Some("log-1".to_owned()),
            batch: 1,
            batches: 2,
            decision: WatchDecision::Advance,
            step: EvaluationOutcome::Batch,
            reasons: Vec::new(),
            gate: None,
            is_out_of_sync: false,
            changes_at: None,
            health: None,
            released_commit: None,
            pushed_to: None,
            is_proposed: false,
            is_push_conflict: false,
        }
    }

    #[test]
    fn only_the_watcher_that_releases_a_batch_counts_it() {
        let commit = "4f1c0c6b0f3f4f0a8f5d8a3c1e7b6a5d4c3b2a19".parse().unwrap();
        let released =
            RolloutReport { released_commit: Some((commit, "log: batch 2/2".to_owned())), ..batch() };
        assert_eq!(decision_label(&released, true), EvaluationOutcome::Batch);
        assert_eq!(
            decision_label(&RolloutReport { is_push_conflict: true, ..batch() }, true),
            EvaluationOutcome::Retry
        );
        assert_eq!(
            decision_label(&batch(), true),
            EvaluationOutcome::Retry,
            "another rollout was released first"
        );
        assert_eq!(
            decision_label(&batch(), false),
            EvaluationOutcome::Batch,
            "it would be, without --dry-run"
        );
        assert_eq!(
            decision_label(&RolloutReport { is_proposed: true, ..batch() }, false),
            EvaluationOutcome::Batch
        );
        assert_eq!(
            decision_label(&RolloutReport { decision: WatchDecision::Wait, ..batch() }, true),
            EvaluationOutcome::Wait
        );
    }
}
