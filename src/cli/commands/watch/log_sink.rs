//! What a watcher's listeners make of evaluations: a log and metrics in the long run, a text with `--once`.

use crate::diagnostics::{Diagnostic, short};
use crate::git::Commit;
use crate::watch::decision::WatchDecision;
use crate::watch::environment::WatchError;
use crate::watch::health::{HealthStatus as PodHealth, RolloutHealth};
use crate::watch::metrics::{EvaluationOutcome, Metrics};
use crate::watch::report::{EvaluationReport, RolloutReport};
use crate::watch::serve::Liveness;
use crate::watch::service::ServiceEventSink;
use crate::watch::watch_loop::EventSink;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// Logs what is new, and counts everything.
pub(super) struct LogSink {
    metrics: Arc<Metrics>,
    health: Arc<Liveness>,
    /// What was logged last of each rollout, so that a line is written when something changes.
    last_logged: BTreeMap<(Option<String>, String), String>,
    /// Until when the soak of each workload lasts, by rollout, batch and workload.
    soak_ends: BTreeMap<(Option<String>, String, u32, Arc<str>), jiff::Timestamp>,
    refusals: Vec<String>,
    /// Who tells people, and has to know that the deploy branch may have moved.
    notify_senders: Vec<SyncSender<()>>,
}

impl LogSink {
    pub(super) fn new(metrics: Arc<Metrics>, health: Arc<Liveness>, heads: Vec<SyncSender<()>>) -> Self {
        Self {
            metrics,
            health,
            last_logged: BTreeMap::new(),
            soak_ends: BTreeMap::new(),
            refusals: Vec::new(),
            notify_senders: heads,
        }
    }

    fn record_item(&mut self, item: &RolloutReport, moved: bool) {
        let key = (item.cluster.clone(), item.sidecar_set.clone());
        let series = self.metrics.rollout(item.cluster.as_deref(), &item.sidecar_set);
        series.set_progress(item.batch, item.batches);
        series.record_evaluation(decision_label(item, moved));
        if item.is_push_conflict {
            series.record_push_conflict();
        }
        if let Some(judgement) = &item.health {
            let own = judgement.workloads.iter().filter(|w| w.batch == item.batch);
            let sum =
                |count: fn(&crate::watch::health::WorkloadHealth) -> u32| own.clone().map(count).sum::<u32>();
            series.set_pods(sum(|w| w.desired), sum(|w| w.updated), sum(|w| w.ready));
            series.set_unavailable(judgement.unavailable);
            let missing = judgement.workloads.iter().filter(|w| w.status == PodHealth::OutOfSync).count();
            series.set_out_of_sync(u32::try_from(missing).unwrap_or(u32::MAX));
            for judged in &judgement.workloads {
                let PodHealth::Soaking { until } = judged.status else { continue };
                let (cluster, set) = key.clone();
                let soak = (cluster, set, judged.batch, Arc::clone(&judged.key));
                // A soak that ends later than it did before has begun anew.
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
        let told = log_key(item);
        if self.last_logged.get(&key) != Some(&told) {
            tracing::info!(
                cluster,
                sidecar_set = item.sidecar_set,
                state = %item.state,
                batch = item.batch,
                batches = item.batches,
                decision = %item.decision,
                reasons,
                "evaluated"
            );
            self.last_logged.insert(key, told);
        }
    }
}

/// What a line of the log is written for: not that seconds pass, nor that one more pod is ready.
fn log_key(item: &RolloutReport) -> String {
    let mut text = format!("{} {} {}", item.state, item.decision, item.batch);
    let waits = item.health.as_ref().filter(|j| j.status == RolloutHealth::Progressing);
    match waits {
        Some(judgement) => {
            for judged in &judgement.workloads {
                let _ = write!(text, " {} {}", judged.key, judged.status);
            }
        }
        None => text.push_str(&item.reasons.join("; ")),
    }
    text
}

/// What is counted: what was done, once, by whom it was done.
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
        self.refusals.clear();
        for item in &report.rollouts {
            self.record_item(item, report.head_moved);
        }
        self.health.record_evaluation();
        for heads in &self.notify_senders {
            // Who is still busy has a word waiting already.
            let _ = heads.try_send(());
        }
    }

    fn on_staged_rewritten(&mut self, branch: &str, overwritten: &[Commit]) {
        let commits: Vec<String> =
            overwritten.iter().map(|c| format!("{} {}", c.id.short(), c.subject())).collect();
        let overwritten = commits.join("; ");
        tracing::info!(branch, overwritten, "the staged branch was outdated and is recreated");
    }

    fn on_foreign_commits(&mut self, wrong: &Diagnostic) {
        let help = wrong.help.as_deref();
        tracing::warn!(help, "the staged branch stays unchanged: {}", one_line(wrong));
    }

    fn on_notify_failed(&mut self, failure: &WatchError) {
        log_notification_error(failure, None);
    }
}

/// Logs that people could not be told of commits.
pub(super) fn log_notification_error(failure: &WatchError, again: Option<Duration>) {
    let again_in_seconds = again.map(|time| time.as_secs());
    tracing::warn!(again_in_seconds, "{failure}; retrying in the background");
}

impl ServiceEventSink for LogSink {
    fn on_invalid_head(&mut self, wrong: Vec<Diagnostic>) {
        let told: Vec<String> = wrong.iter().filter(|d| d.is_error()).map(one_line).collect();
        if told != self.refusals {
            for line in &told {
                tracing::error!("nothing is released: {line}");
            }
            self.refusals = told;
        }
        // Git was read, and what it holds waits for a person: the watcher is well.
        self.health.record_evaluation();
    }

    fn on_error(&mut self, failure: &WatchError, again: Duration) {
        tracing::warn!(again_in_seconds = again.as_secs(), "{failure}");
    }
}

/// `file:line:column: error[code]: message`.
fn one_line(diagnostic: &Diagnostic) -> String {
    short::render(diagnostic).trim().to_owned()
}

/// Keeps what `--once` prints.
#[derive(Default)]
pub(super) struct OnceOutput {
    released: Vec<RolloutReport>,
    staged: Vec<String>,
    /// Staged branches that hold commits of others.
    pub(super) foreign_commits: Vec<Diagnostic>,
    /// Why people could not be told.
    pub(super) notification_error: Option<String>,
}

impl EventSink for OnceOutput {
    fn on_evaluation(&mut self, report: &EvaluationReport) {
        self.released.extend(report.rollouts.iter().filter(|i| i.released_commit.is_some()).cloned());
    }

    fn on_staged_rewritten(&mut self, branch: &str, _: &[Commit]) {
        self.staged.push(branch.to_owned());
    }

    fn on_foreign_commits(&mut self, wrong: &Diagnostic) {
        self.foreign_commits.retain(|other| other.message != wrong.message);
        self.foreign_commits.push(wrong.clone());
    }

    fn on_notify_failed(&mut self, failure: &WatchError) {
        self.notification_error = Some(failure.to_string());
    }
}

impl OnceOutput {
    /// Tells whether anything was released.
    pub(super) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// Says what was released, and where every rollout stands.
    pub(super) fn to_text(&self, report: &EvaluationReport, is_dry: bool) -> String {
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

    pub(super) fn to_json(&self, report: &EvaluationReport) -> Value {
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

/// Where a rollout stands, in lines.
pub(super) fn describe_rollout(item: &RolloutReport, is_dry: bool) -> String {
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
