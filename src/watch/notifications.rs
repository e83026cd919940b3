//! Sends notifications of rollout commits, in order and once per receiver.
//!
//! The last commit is recorded on the remote after each notification, so that no other watcher and no new process
//! repeats it. In a long run each receiver has its own thread: releases do not wait for it.

use super::environment::{Environment, WatchError};
use super::notifier::{Notification, NotificationSeverity, PayloadFormat};
use super::state_notifications::error_notification;
use super::watch_loop::{WatchContext, Watcher};
use crate::backoff::Backoff;
use crate::diagnostics::Diagnostic;
use crate::git::{Commit, HistoryWalk, ObjectId, StopToken, trailer};
use crate::stage::{DeployBranch, RepoContext};
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Commits of one run at most, after a long pause.
const MAX_NOTIFIED_COMMITS: usize = 50;

/// The pause after a first error; it doubles.
const INITIAL_BACKOFF: Duration = Duration::from_secs(5);

/// The longest pause, including one that a receiver asks for.
const MAX_BACKOFF: Duration = Duration::from_secs(600);

/// Notifies one receiver until the sender of `heads` is dropped or a stop is requested; each message says that the
/// deploy branch may have moved. `failed` is called with each error and the pause before the retry.
pub fn run_notifications(
    watcher: &Watcher,
    (repo, environment): (&RepoContext, &mut dyn Environment),
    receiver: PayloadFormat,
    (heads, stop): (&Receiver<()>, &StopToken),
    failed: &mut dyn FnMut(&WatchError, Duration),
) {
    let mut notified = BTreeSet::new();
    let (mut arrived, mut backoff) = (None, Backoff::new(INITIAL_BACKOFF, MAX_BACKOFF));
    while !stop.is_requested() {
        let head = repo.deploy_head();
        let result = if head == arrived { Ok(()) } else { watcher.notify_head(repo, environment, receiver) };
        let result = result.and_then(|()| watcher.notify_states(repo, environment, receiver, &mut notified));
        let goes_on = match result {
            Ok(()) => {
                arrived = head;
                backoff.reset();
                heads.recv().is_ok()
            }
            Err(_) if stop.is_requested() => return,
            Err(error) => {
                let again = backoff.next_delay(error.retry_after());
                failed(&error, again);
                wait_backoff(heads, again)
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// Waits for a time, however often the branch moves; false: the sender was dropped.
fn wait_backoff(heads: &Receiver<()>, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        match heads.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

impl Watcher {
    /// Notifies all receivers of new commits; the first time it records where they start. An unreachable receiver is
    /// retried later.
    pub(super) fn notify_receivers(
        &self,
        context: &mut WatchContext<'_>,
        deploy: &DeployBranch<'_>,
        is_first: bool,
    ) -> Result<(), WatchError> {
        for receiver in context.environment.receivers() {
            let result = match is_first {
                true => {
                    self.start_notifications(context.repo, context.environment, (receiver, deploy.head.id))
                }
                false => self
                    .notify_commits(context.repo, deploy, context.environment, receiver)
                    .and_then(|()| self.notify_states_once(context, receiver)),
            };
            match result {
                Ok(()) => {}
                Err(ends @ (WatchError::Killed(_) | WatchError::ShuttingDown)) => return Err(ends),
                Err(error) => context.events.on_notify_failed(&error),
            }
        }
        Ok(())
    }

    /// Records the deploy head for a receiver that has no record: it is notified of later commits.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn start_notifications(
        &self,
        repo: &RepoContext,
        environment: &mut dyn Environment,
        (receiver, head): (PayloadFormat, ObjectId),
    ) -> Result<(), WatchError> {
        match environment.last_notified(repo, receiver)? {
            None if !self.options.dry_run => environment.record_notified(repo, receiver, None, head),
            _ => Ok(()),
        }
    }

    /// Notifies a receiver of the current deploy head.
    fn notify_head(
        &self,
        repo: &RepoContext,
        environment: &mut dyn Environment,
        receiver: PayloadFormat,
    ) -> Result<(), WatchError> {
        match repo.read_deploy_branch()?.0 {
            Some(deploy) => self.notify_commits(repo, &deploy, environment, receiver),
            // Errors of pillion.yaml are reported elsewhere.
            None => Ok(()),
        }
    }

    /// Notifies a receiver of the rollout commits that it has not seen, oldest first.
    fn notify_commits(
        &self,
        repo: &RepoContext,
        deploy: &DeployBranch<'_>,
        environment: &mut dyn Environment,
        receiver: PayloadFormat,
    ) -> Result<(), WatchError> {
        if self.options.dry_run {
            return Ok(());
        }
        let Some(mut last) = environment.last_notified(repo, receiver)? else {
            return environment.record_notified(repo, receiver, None, deploy.head.id);
        };
        let commits = unnotified_commits(deploy, last)?;
        let mut is_fresh = true;
        for (at, commit) in commits.iter().enumerate().filter(|(_, c)| c.trailer(trailer::ACTION).is_some()) {
            if !is_fresh && let Some(now) = environment.last_notified(repo, receiver)? {
                // Another watcher may notify the same receiver; its progress counts.
                match commits.iter().position(|c| c.id == now) {
                    Some(arrived) if arrived >= at => {
                        last = now;
                        continue;
                    }
                    Some(_) => {}
                    None => return Ok(()),
                }
            }
            environment.notify(receiver, &self.notification(deploy, commit)?)?;
            environment.record_notified(repo, receiver, Some(last), commit.id)?;
            (last, is_fresh) = (commit.id, false);
        }
        let is_behind = last != deploy.head.id && !commits.is_empty();
        if is_behind {
            environment.record_notified(repo, receiver, Some(last), deploy.head.id)
        } else {
            Ok(())
        }
    }

    /// Notifies a receiver of the present states that it was not notified of; `notified` are the keys that this process
    /// has sent.
    fn notify_states(
        &self,
        repo: &RepoContext,
        environment: &mut dyn Environment,
        receiver: PayloadFormat,
        notified: &mut BTreeSet<String>,
    ) -> Result<(), WatchError> {
        if self.options.dry_run {
            return Ok(());
        }
        let mut notifications = self.state_notifications.read();
        let present: BTreeSet<String> =
            notifications.iter().map(|notification| notification.id.clone()).collect();
        // A state that has ended is notified when it begins again.
        notified.retain(|key| present.contains(key));
        notifications.retain(|notification| !notified.contains(&notification.id));
        let Some(head) =
            notifications.first().and_then(|notification| notification.commit.parse::<ObjectId>().ok())
        else {
            return Ok(());
        };
        // Another watcher, or an earlier process, may have sent them.
        let mut recorded = environment.notified_states(repo, receiver)?;
        recorded.retain(|key| present.contains(key));
        for notification in notifications {
            if !recorded.contains(&notification.id) {
                environment.notify(receiver, &notification)?;
                recorded.insert(notification.id.clone());
                environment.record_notified_states(repo, receiver, head, &recorded)?;
            }
            notified.insert(notification.id);
        }
        Ok(())
    }

    /// As [`Self::notify_states`], for a run without threads: what was sent is only recorded on the remote.
    fn notify_states_once(
        &self,
        context: &mut WatchContext<'_>,
        receiver: PayloadFormat,
    ) -> Result<(), WatchError> {
        self.notify_states(context.repo, context.environment, receiver, &mut BTreeSet::new())
    }

    /// Notifies receivers that the head holds errors.
    pub(super) fn notify_errors(&self, context: &mut WatchContext<'_>, found: &[Diagnostic]) {
        let head = context.repo.branches.find_deploy_branch(&context.repo.repository);
        let Some((_, head)) = head else { return };
        self.state_notifications.set(error_notification(head, jiff::Timestamp::default(), found));
        for receiver in context.environment.receivers() {
            if let Err(error) = self.notify_states_once(context, receiver) {
                context.events.on_notify_failed(&error);
            }
        }
    }

    /// Builds the notification of a commit.
    fn notification(&self, deploy: &DeployBranch<'_>, commit: &Commit) -> Result<Notification, WatchError> {
        let value = |key| commit.trailer(key).unwrap_or_default();
        let action = value(trailer::ACTION);
        Ok(Notification {
            id: commit.id.to_string(),
            commit: commit.id.to_string(),
            severity: NotificationSeverity::of_action(&action),
            action,
            sidecar_set: value(trailer::SIDECAR_SET),
            subject: commit.subject().to_owned(),
            body: message_body(&commit.message),
            cluster: deploy.cluster_of(commit)?,
            time: jiff::Timestamp::from_second(commit.time.seconds).unwrap_or_default(),
            url: self.commit_url_prefix.as_ref().map(|commits| format!("{commits}{}", commit.id)),
        })
    }
}

/// Returns the commits of the deploy branch after one, oldest first; if that one is not among the newest, the newest.
fn unnotified_commits(deploy: &DeployBranch<'_>, last: ObjectId) -> Result<Vec<Commit>, WatchError> {
    let mut found = Vec::new();
    for commit in
        deploy.repository.log(deploy.head.id, None, HistoryWalk::FirstParent)?.take(MAX_NOTIFIED_COMMITS)
    {
        let commit = commit?;
        if commit.id == last {
            break;
        }
        found.push(commit);
    }
    found.reverse();
    Ok(found)
}

/// Returns a message without its subject and trailers.
fn message_body(message: &str) -> String {
    let mut paragraphs: Vec<&str> = message.trim_end().split("\n\n").skip(1).collect();
    if paragraphs.last().is_some_and(|p| p.contains("Pillion-")) {
        paragraphs.pop();
    }
    paragraphs.join("\n\n")
}
