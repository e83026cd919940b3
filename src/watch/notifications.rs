//! Sends notifications of rollout commits, in order and once per receiver.
//!
//! The last commit is recorded on the remote after each notification, so that no other watcher and no new process
//! repeats it. In a long run each receiver has its own thread: releases do not wait for it.

use super::environment::{Environment, WatchError};
use super::notifier::{Notification, PayloadFormat};
use super::watch_loop::{WatchContext, Watcher};
use crate::git::{Commit, HistoryWalk, ObjectId, StopToken, trailer};
use crate::stage::{DeployBranch, RepoContext};
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
    watching: &Watcher,
    (opened, world): (&RepoContext, &mut dyn Environment),
    receiver: PayloadFormat,
    (heads, stop): (&Receiver<()>, &StopToken),
    failed: &mut dyn FnMut(&WatchError, Duration),
) {
    let (mut arrived, mut failures) = (None, 0_u32);
    while !stop.is_requested() {
        let head = opened.branches.find_deploy_branch(&opened.repository).map(|(_, id)| id);
        let told = if head == arrived { Ok(()) } else { watching.notify_head(opened, world, receiver) };
        let goes_on = match told {
            Ok(()) => {
                (arrived, failures) = (head, 0);
                heads.recv().is_ok()
            }
            Err(_) if stop.is_requested() => return,
            Err(failure) => {
                let again = (INITIAL_BACKOFF * (1 << failures.min(7))).min(MAX_BACKOFF);
                let again = again.max(failure.retry_after(MAX_BACKOFF));
                failures += 1;
                failed(&failure, again);
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
        work: &mut WatchContext<'_>,
        live: &DeployBranch<'_>,
        is_first: bool,
    ) -> Result<(), WatchError> {
        for receiver in work.environment.receivers() {
            let told = match is_first {
                true => self.start_notifications(work.repo, work.environment, (receiver, live.head.id)),
                false => self.notify_commits(work.repo, live, work.environment, receiver),
            };
            match told {
                Ok(()) => {}
                Err(ends @ (WatchError::Killed(_) | WatchError::ShuttingDown)) => return Err(ends),
                Err(failure) => work.events.on_notify_failed(&failure),
            }
        }
        Ok(())
    }

    /// Records the deploy head for a receiver that has no record: it is notified of later commits.
    ///
    /// # Errors
    /// When git fails.
    pub fn start_notifications(
        &self,
        opened: &RepoContext,
        world: &mut dyn Environment,
        (receiver, head): (PayloadFormat, ObjectId),
    ) -> Result<(), WatchError> {
        match world.last_notified(opened, receiver)? {
            None if !self.options.dry_run => world.record_notified(opened, receiver, None, head),
            _ => Ok(()),
        }
    }

    /// Notifies a receiver of the current deploy head.
    fn notify_head(
        &self,
        opened: &RepoContext,
        world: &mut dyn Environment,
        receiver: PayloadFormat,
    ) -> Result<(), WatchError> {
        match opened.read_deploy_branch()?.0 {
            Some(live) => self.notify_commits(opened, &live, world, receiver),
            // Errors of pillion.yaml are reported elsewhere.
            None => Ok(()),
        }
    }

    /// Notifies a receiver of the rollout commits that it has not seen, oldest first.
    fn notify_commits(
        &self,
        opened: &RepoContext,
        live: &DeployBranch<'_>,
        world: &mut dyn Environment,
        receiver: PayloadFormat,
    ) -> Result<(), WatchError> {
        if self.options.dry_run {
            return Ok(());
        }
        let Some(mut last) = world.last_notified(opened, receiver)? else {
            return world.record_notified(opened, receiver, None, live.head.id);
        };
        let untold = unnotified_commits(live, last)?;
        let mut is_fresh = true;
        for (at, commit) in untold.iter().enumerate().filter(|(_, c)| c.trailer(trailer::ACTION).is_some()) {
            if !is_fresh && let Some(now) = world.last_notified(opened, receiver)? {
                // Another watcher may notify the same receiver; its progress counts.
                match untold.iter().position(|c| c.id == now) {
                    Some(arrived) if arrived >= at => {
                        last = now;
                        continue;
                    }
                    Some(_) => {}
                    None => return Ok(()),
                }
            }
            world.notify(receiver, &self.notification(live, commit)?)?;
            world.record_notified(opened, receiver, Some(last), commit.id)?;
            (last, is_fresh) = (commit.id, false);
        }
        let is_behind = last != live.head.id && !untold.is_empty();
        if is_behind { world.record_notified(opened, receiver, Some(last), live.head.id) } else { Ok(()) }
    }

    /// Builds the notification of a commit.
    fn notification(&self, live: &DeployBranch<'_>, commit: &Commit) -> Result<Notification, WatchError> {
        let value = |key| commit.trailer(key).unwrap_or_default();
        Ok(Notification {
            commit: commit.id.to_string(),
            action: value(trailer::ACTION),
            sidecar_set: value(trailer::SIDECAR_SET),
            subject: commit.subject().to_owned(),
            body: message_body(&commit.message),
            cluster: live.cluster_of(commit)?,
            time: jiff::Timestamp::from_second(commit.time.seconds).unwrap_or_default(),
            url: self.commit_url_prefix.as_ref().map(|commits| format!("{commits}{}", commit.id)),
        })
    }
}

/// Returns the commits of the deploy branch after one, oldest first; if that one is not among the newest, the newest.
fn unnotified_commits(live: &DeployBranch<'_>, last: ObjectId) -> Result<Vec<Commit>, WatchError> {
    let mut found = Vec::new();
    for commit in
        live.repository.log(live.head.id, None, HistoryWalk::FirstParent)?.take(MAX_NOTIFIED_COMMITS)
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
