//! States that a person should hear of, although no commit says them: a rollout waits for an approval, is frozen, blocked
//! or out of sync, or the deploy branch has drifted.
//!
//! Each is notified once: its key is the position of the rollout (revisions and batch) and the state, so that a push of
//! something else repeats nothing. The keys that were notified are recorded on the remote, so that no other watcher and
//! no new process repeats them.

use super::decision::WatchDecision;
use super::health::HealthStatus;
use super::notifier::{Gravity, Notification};
use super::report::{EvaluationReport, RolloutReport};
use crate::diagnostics::{Diagnostic, escape, short};
use crate::git::ObjectId;
use crate::rollout::{Gate, RolloutState, cluster_option};
use jiff::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};

/// Reasons of a notice at most.
const MAX_REASONS: usize = 10;

/// The states of a head that a person should hear of.
#[derive(Debug, Clone, Default)]
pub struct NoticeBoard(Arc<Mutex<Vec<Notification>>>);

impl NoticeBoard {
    /// Replaces what is on it.
    pub(crate) fn set(&self, notices: Vec<Notification>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = notices;
    }

    /// Returns what is on it.
    pub(crate) fn read(&self) -> Vec<Notification> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns the notices of an evaluation, in the order of its rollouts.
pub(crate) fn notices_of(report: &EvaluationReport) -> Vec<Notification> {
    // What was released is notified by its commit, and the next evaluation is of another head.
    if report.head_moved {
        return Vec::new();
    }
    let now = report.now.unwrap_or_default();
    report.rollouts.iter().filter_map(|rollout| notice_of(report.head, now, rollout)).collect()
}

fn notice_of(head: ObjectId, now: Timestamp, rollout: &RolloutReport) -> Option<Notification> {
    let name = &rollout.sidecar_set;
    let is_suspended = || {
        let workloads = rollout.health.iter().flat_map(|health| &health.workloads);
        workloads.clone().any(|workload| workload.status == HealthStatus::Suspended)
    };
    let (action, state, what, gravity) = match (&rollout.decision, rollout.gate) {
        // A pause is a commit, which was notified.
        _ if rollout.state == RolloutState::Paused => return None,
        (WatchDecision::Blocked, _) => ("Blocked", "blocked".to_owned(), "blocked", Gravity::Warning),
        (WatchDecision::Wait, Some(Gate::Approval)) => {
            let batch = rollout.batch.saturating_add(1);
            ("Approval", format!("approval/{batch}"), "waiting for approval", Gravity::Attention)
        }
        (WatchDecision::Wait, Some(Gate::Freeze)) => {
            // Each window is a state of its own.
            let until = rollout.changes_at.map_or_else(String::new, |until| format!("/{until}"));
            ("Freeze", format!("freeze{until}"), "frozen", Gravity::Information)
        }
        (WatchDecision::Wait, Some(Gate::Health)) if rollout.is_out_of_sync => {
            ("OutOfSync", "out-of-sync".to_owned(), "out of sync with git", Gravity::Warning)
        }
        (WatchDecision::Wait, Some(Gate::Health)) if is_suspended() => {
            ("Stalled", "stalled".to_owned(), "stalled: a workload waits for a person", Gravity::Attention)
        }
        (WatchDecision::Wait, None) if rollout.state == RolloutState::Pending => {
            ("Pending", "pending".to_owned(), "waiting to be started", Gravity::Attention)
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
        gravity,
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

/// Returns the notice of a head that holds errors: nothing is released until a person has corrected them.
pub(crate) fn notice_of_errors(head: ObjectId, now: Timestamp, found: &[Diagnostic]) -> Vec<Notification> {
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
        gravity: Gravity::Danger,
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
        let [notice] = &notices_of(&report)[..] else { panic!("one notice") };
        assert_eq!(
            (notice.action.as_str(), notice.id.as_str()),
            ("Approval", "log/log-1..log-2/1/approval/2")
        );
        assert_eq!(
            (notice.subject.as_str(), notice.body.as_str()),
            ("log: waiting for approval", "run `pillion approve log 2`")
        );
        // A push of something else is the same state.
        let other = "1111111111111111111111111111111111111111".parse().unwrap();
        let later = EvaluationReport { head: other, ..report.clone() };
        assert_eq!(notices_of(&later)[0].id, notice.id);
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
            assert_eq!(notices_of(&report), [], "{gate:?} {state}");
        }
        let moved = EvaluationReport {
            head_moved: true,
            ..waiting(Some(Gate::Approval), WatchDecision::Wait, RolloutState::Progressing)
        };
        assert_eq!(notices_of(&moved), []);
    }

    #[test]
    fn each_state_has_its_gravity() {
        let of = |gate, decision, state| notices_of(&waiting(gate, decision, state)).remove(0);
        let blocked = of(None, WatchDecision::Blocked, RolloutState::Blocked);
        assert_eq!((blocked.action.as_str(), blocked.gravity), ("Blocked", Gravity::Warning));
        let frozen = of(Some(Gate::Freeze), WatchDecision::Wait, RolloutState::Progressing);
        assert_eq!((frozen.action.as_str(), frozen.gravity), ("Freeze", Gravity::Information));
        let pending = of(None, WatchDecision::Wait, RolloutState::Pending);
        assert_eq!((pending.action.as_str(), pending.gravity), ("Pending", Gravity::Attention));
        let mut report = waiting(Some(Gate::Health), WatchDecision::Wait, RolloutState::Progressing);
        report.rollouts[0].is_out_of_sync = true;
        assert_eq!(notices_of(&report)[0].action, "OutOfSync");
    }

    #[test]
    fn errors_of_the_deploy_branch_are_one_notice_without_control_characters() {
        let error =
            Diagnostic::error(Code::DeployBranchNotRendered, "`a\u{1b}[31m` differs").help("render it");
        let warning = Diagnostic::warning(Code::ReplicasUnknown, "unknown");
        let notices = notice_of_errors(head(), Timestamp::default(), &[warning.clone(), error]);
        let [notice] = &notices[..] else { panic!("one notice") };
        assert_eq!((notice.action.as_str(), notice.gravity), ("Error", Gravity::Danger));
        assert!(!notice.subject.contains('\u{1b}') && notice.body.contains("render it"), "{notice:?}");
        assert_eq!(notice_of_errors(head(), Timestamp::default(), &[warning]), []);
    }
}
