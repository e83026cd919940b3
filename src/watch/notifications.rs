//! Tells people of the commits of the deploy branch of rollouts: each receiver at its own pace, oldest commit first, each commit once.
//!
//! What a receiver has got is remembered after each message, on the remote, so that neither another watcher nor a new
//! process begins again. In the long run each receiver has a thread of its own: nothing waits for it.

use super::environment::{Environment, WatchError};
use super::notifier::{Notification, PayloadFormat};
use super::watch_loop::{WatchContext, Watcher};
use crate::git::{Commit, HistoryWalk, ObjectId, StopToken, trailer};
use crate::stage::{DeployBranch, RepoContext};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Commits that are told of at once, after a long silence.
const MAX_NOTIFIED_COMMITS: usize = 50;

/// The pause after a first failure; it doubles.
const INITIAL_BACKOFF: Duration = Duration::from_secs(5);

/// The longest pause, and the longest one that a receiver may ask for.
const MAX_BACKOFF: Duration = Duration::from_secs(600);

/// Follows the deploy branch for one receiver until nobody sends heads any more, or `stop` asks for the end: each head
/// that is sent says that the branch may have moved. `failed` hears why a message has not arrived, and when it is tried
/// again.
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

/// Waits for a time, however often the branch moves; false: nobody sends heads any more.
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
    /// Tells all receivers what they were not told yet, or at first where they begin; who cannot be reached hears it
    /// another time.
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

    /// Remembers what is live as told where nothing was told yet: a receiver hears of what comes after its first day.
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

    /// Tells a receiver of what is live now.
    fn notify_head(
        &self,
        opened: &RepoContext,
        world: &mut dyn Environment,
        receiver: PayloadFormat,
    ) -> Result<(), WatchError> {
        match opened.read_deploy_branch()?.0 {
            Some(live) => self.notify_commits(opened, &live, world, receiver),
            // What is wrong with pillion.yaml is said elsewhere.
            None => Ok(()),
        }
    }

    /// Tells a receiver of the commits of the deploy branch of rollouts that it was not told of, oldest first.
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
                // Another watcher may tell the same; where it has told more, that is not told again.
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

    /// What people are told of a commit.
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

/// Returns the commits of the deploy branch after one, oldest first; where it is not among the newest, the newest.
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

/// A message without its subject and its trailers.
fn message_body(message: &str) -> String {
    let mut paragraphs: Vec<&str> = message.trim_end().split("\n\n").skip(1).collect();
    if paragraphs.last().is_some_and(|p| p.contains("Pillion-")) {
        paragraphs.pop();
    }
    paragraphs.join("\n\n")
}
