//! Notifications of states that no commit says: a rollout waits for an approval, is frozen, blocked or out of sync, or
//! the deploy branch has drifted.
//!
//! Each is notified once: its key is the position of the rollout (revisions and batch) and the state, so that a push of
//! something else repeats nothing. The keys that were notified are recorded on the remote, so that no other watcher and
//! no new process repeats them.

use super::decision::WatchDecision;
use super::health::HealthStatus;
use super::notifier::{Notification, NotificationSeverity};
use super::report::{EvaluationReport, RolloutReport};
use crate::diagnostics::{Diagnostic, escape, short};
use crate::git::ObjectId;
use crate::rollout::{Gate, RolloutState, cluster_option};
use jiff::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};

/// Reasons of a notification at most.
const MAX_REASONS: usize = 10;

/// The notifications of the present states of a head, shared by the watcher and the threads that send them.
#[derive(Debug, Clone, Default)]
pub struct StateNotifications(Arc<Mutex<Vec<Notification>>>);

impl StateNotifications {
    /// Replaces all of them.
    pub(crate) fn set(&self, notifications: Vec<Notification>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = notifications;
    }

    /// Returns all of them.
    pub(crate) fn read(&self) -> Vec<Notification> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns the notifications of an evaluation, in the order of its rollouts.
pub(crate) fn state_notifications_of(report: &EvaluationReport) -> Vec<Notification> {
    // What was released is notified by its commit, and the next evaluation is of another head.
    if report.head_moved {
        return Vec::new();
    }
    let now = report.now.unwrap_or_default();
    report.rollouts.iter().filter_map(|rollout| state_notification_of(report.head, now, rollout)).collect()
}

fn state_notification_of(head: ObjectId, now: Timestamp, rollout: &RolloutReport) -> Option<Notification> {
    let name = &rollout.sidecar_set;
    let is_suspended = || {
        let workloads = rollout.health.iter().flat_map(|health| &health.workloads);
        workloads.clone().any(|workload| workload.status == HealthStatus::Suspended)
    };
    let (action, state, what, severity) = match (&rollout.decision, rollout.gate) {
        // A pause is a commit, which was notified.
        _ if rollout.state == RolloutState::Paused => return None,
        (WatchDecision::Blocked, _) => {
            ("Blocked", "blocked".to_owned(), "blocked", NotificationSeverity::Warning)
        }
        (WatchDecision::Wait, Some(Gate::Approval)) => {
            let batch = rollout.batch.saturating_add(1);
            ("Approval", format!("approval/{batch}"), "waiting for approval", NotificationSeverity::Attention)
        }
        (WatchDecision::Wait, Some(Gate::Freeze)) => {
            // Each window is a state of its own.
            let until = rollout.changes_at.map_or_else(String::new, |until| format!("/{until}"));
            ("Freeze", format!("freeze{until}"), "frozen", NotificationSeverity::Information)
        }
        (WatchDecision::Wait, Some(Gate::Health)) if rollout.is_out_of_sync => {
            ("OutOfSync", "out-of-sync".to_owned(), "out of sync with git", NotificationSeverity::Warning)
        }
        (WatchDecision::Wait, Some(Gate::Health)) if is_suspended() => (
            "Stalled",
            "stalled".to_owned(),
            "stalled: a workload waits for a person",
            NotificationSeverity::Attention,
        ),
        (WatchDecision::Wait, None) if rollout.state == RolloutState::Pending => {
            ("Pending", "pending".to_owned(), "waiting to be started", NotificationSeverity::Attention)
        }
        _ => return None,
    };
    let of = rollout.cluster.as_ref().map_or_else(String::new, |cluster| format!("/{cluster}"));
    let mut lines: Vec<String> = rollout.reasons.iter().take(MAX_REASONS).cloned().collect();
    if !lines.iter().any(|line| line.contains("`pillion ")) {
        lines.push(next_command(action, name, &cluster_option(rollout.cluster.as_deref())));
    }
    Some(Notification {
        id: format!(
            "{name}{of}/{}..{}/{}/{state}",
            rollout.from,
            rollout.to.as_deref().unwrap_or("-"),
            rollout.batch
        ),
        commit: head.to_string(),
        action: action.to_owned(),
        sidecar_set: name.clone(),
        cluster: rollout.cluster.clone(),
        subject: format!("{name}: {what}"),
        body: lines.join("\n"),
        time: now,
        url: None,
        severity,
    })
}

/// Returns what a person can type, where no reason says it.
fn next_command(action: &str, name: &str, option: &str) -> String {
    match action {
        "Freeze" => {
            format!("`pillion promote {name}{option}` releases the next batch in spite of the window")
        }
        "OutOfSync" | "Stalled" => format!("`pillion status {name}{option} --watch` shows the workloads"),
        "Pending" => format!("`pillion start {name}{option}` starts it"),
        _ => format!("`pillion status {name}{option}` shows what it waits for"),
    }
}

/// Returns the notification of a head that holds errors: nothing is released until a person has corrected them.
pub(crate) fn error_notification(head: ObjectId, now: Timestamp, found: &[Diagnostic]) -> Vec<Notification> {
    let mut errors = found.iter().filter(|diagnostic| diagnostic.is_error());
    let Some(first) = errors.clone().next() else { return Vec::new() };
    let line = |diagnostic: &Diagnostic| {
        let help = diagnostic.help.as_deref().map_or_else(String::new, |help| format!("\n{help}"));
        format!("{}{}", escape::line(short::render(diagnostic).trim()), escape::lines(&help))
    };
    let lines: Vec<String> = errors.by_ref().take(MAX_REASONS).map(line).collect();
    vec![Notification {
        id: escape::line(&format!("{}/{}", first.code.name(), first.message)).into_owned(),
        commit: head.to_string(),
        action: "Error".to_owned(),
        sidecar_set: String::new(),
        cluster: None,
        subject: format!("nothing is released: {}", escape::line(&first.message)),
        body: lines.join("\n"),
        time: now,
        url: None,
        severity: NotificationSeverity::Danger,
    }]
}

#[cfg(test)]
mod tests {
    use super::super::metrics::EvaluationOutcome;
    use super::*;
    use crate::diagnostics::Code;

    fn head() -> ObjectId {
        "4f1c0c6b0f3f4f0a8f5d8a3c1e7b6a5d4c3b2a19".parse().unwrap()
    }

    fn waiting(gate: Option<Gate>, decision: WatchDecision, state: RolloutState) -> EvaluationReport {
        let rollout = RolloutReport {
            cluster: None,
            sidecar_set: "log".to_owned(),
            state,
            from: "log-1".to_owned(),
            to: Some("log-2".to_owned()),
            batch: 1,
            batches: 3,
            decision,
            step: EvaluationOutcome::Batch,
            gate,
            is_out_of_sync: false,
            reasons: vec!["run `pillion approve log 2`".to_owned()],
            changes_at: None,
            health: None,
            released_commit: None,
            pushed_to: None,
            is_proposed: false,
            is_push_conflict: false,
        };
        EvaluationReport { rollouts: vec![rollout], ..EvaluationReport::new(head()) }
    }

    #[test]
    fn a_state_that_waits_for_a_person_is_notified_with_the_command() {
        let report = waiting(Some(Gate::Approval), WatchDecision::Wait, RolloutState::Progressing);
        let [notification] = &state_notifications_of(&report)[..] else { panic!("one notification") };
        assert_eq!(
            (notification.action.as_str(), notification.id.as_str()),
            ("Approval", "log/log-1..log-2/1/approval/2")
        );
        assert_eq!(
            (notification.subject.as_str(), notification.body.as_str()),
            ("log: waiting for approval", "run `pillion approve log 2`")
        );
        // A push of something else is the same state.
        let other = "1111111111111111111111111111111111111111".parse().unwrap();
        let later = EvaluationReport { head: other, ..report.clone() };
        assert_eq!(state_notifications_of(&later)[0].id, notification.id);
    }

    #[test]
    fn what_a_commit_says_and_what_passes_by_itself_is_not_notified() {
        for (gate, decision, state) in [
            (None, WatchDecision::Idle, RolloutState::Idle),
            (None, WatchDecision::Advance, RolloutState::Progressing),
            // The commit of the pause was notified.
            (None, WatchDecision::Blocked, RolloutState::Paused),
            (Some(Gate::Health), WatchDecision::Wait, RolloutState::Progressing),
            (Some(Gate::Rate), WatchDecision::Wait, RolloutState::Progressing),
        ] {
            let report = waiting(gate, decision, state);
            assert_eq!(state_notifications_of(&report), [], "{gate:?} {state}");
        }
        let moved = EvaluationReport {
            head_moved: true,
            ..waiting(Some(Gate::Approval), WatchDecision::Wait, RolloutState::Progressing)
        };
        assert_eq!(state_notifications_of(&moved), []);
    }

    #[test]
    fn each_state_has_its_severity() {
        let of = |gate, decision, state| state_notifications_of(&waiting(gate, decision, state)).remove(0);
        let blocked = of(None, WatchDecision::Blocked, RolloutState::Blocked);
        assert_eq!((blocked.action.as_str(), blocked.severity), ("Blocked", NotificationSeverity::Warning));
        let frozen = of(Some(Gate::Freeze), WatchDecision::Wait, RolloutState::Progressing);
        assert_eq!((frozen.action.as_str(), frozen.severity), ("Freeze", NotificationSeverity::Information));
        let pending = of(None, WatchDecision::Wait, RolloutState::Pending);
        assert_eq!((pending.action.as_str(), pending.severity), ("Pending", NotificationSeverity::Attention));
        let mut report = waiting(Some(Gate::Health), WatchDecision::Wait, RolloutState::Progressing);
        report.rollouts[0].is_out_of_sync = true;
        assert_eq!(state_notifications_of(&report)[0].action, "OutOfSync");
    }

    #[test]
    fn errors_of_the_deploy_branch_are_one_notification_without_control_characters() {
        let error =
            Diagnostic::error(Code::DeployBranchNotRendered, "`a\u{1b}[31m` differs").help("render it");
        let warning = Diagnostic::warning(Code::ReplicasUnknown, "unknown");
        let notifications = error_notification(head(), Timestamp::default(), &[warning.clone(), error]);
        let [notification] = &notifications[..] else { panic!("one notification") };
        assert_eq!(
            (notification.action.as_str(), notification.severity),
            ("Error", NotificationSeverity::Danger)
        );
        assert!(
            !notification.subject.contains('\u{1b}') && notification.body.contains("render it"),
            "{notification:?}"
        );
        assert_eq!(error_notification(head(), Timestamp::default(), &[warning]), []);
    }
}
