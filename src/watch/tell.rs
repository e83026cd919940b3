//! Tells people of the live commits of rollouts: each receiver at its own pace, oldest commit first, each commit once.
//!
//! What a receiver has got is remembered after each message, on the remote, so that neither another watcher nor a new
//! process begins again. In the long run each receiver has a thread of its own: nothing waits for it.

use super::notify::{Form, Notice};
use super::run::{Watching, Work};
use super::world::{Stopped, World};
use crate::git::{Commit, Id, Stop, Walk, trailer};
use crate::stage::{Live, Opened};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Commits that are told of at once, after a long silence.
const MOST_TOLD: usize = 50;

/// The pause after a first failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause, and the longest one that a receiver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Follows the live branch for one receiver until nobody sends heads any more, or `stop` asks for the end: each head
/// that is sent says that the branch may have moved. `failed` hears why a message has not arrived, and when it is tried
/// again.
pub fn keep_telling(
    watching: &Watching,
    (opened, world): (&Opened, &mut dyn World),
    receiver: Form,
    (heads, stop): (&Receiver<()>, &Stop),
    failed: &mut dyn FnMut(&Stopped, Duration),
) {
    let (mut arrived, mut failures) = (None, 0_u32);
    while !stop.is_requested() {
        let head = opened.branches.find_live(&opened.repository).map(|(_, id)| id);
        let told = if head == arrived { Ok(()) } else { watching.tell_head(opened, world, receiver) };
        let goes_on = match told {
            Ok(()) => {
                (arrived, failures) = (head, 0);
                heads.recv().is_ok()
            }
            Err(_) if stop.is_requested() => return,
            Err(failure) => {
                let again = (FIRST_PAUSE * (1 << failures.min(7))).min(LONGEST_PAUSE);
                let again = again.max(failure.after(LONGEST_PAUSE));
                failures += 1;
                failed(&failure, again);
                pause(heads, again)
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// Waits for a time, however often the branch moves; false: nobody sends heads any more.
fn pause(heads: &Receiver<()>, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        match heads.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

impl Watching {
    /// Tells all receivers what they were not told yet, or at first where they begin; who cannot be reached hears it
    /// another time.
    pub(super) fn try_to_tell(
        &self,
        work: &mut Work<'_>,
        live: &Live<'_>,
        is_first: bool,
    ) -> Result<(), Stopped> {
        for receiver in work.world.receivers() {
            let told = match is_first {
                true => self.begin_to_tell(work.opened, work.world, (receiver, live.head.id)),
                false => self.tell(work.opened, live, work.world, receiver),
            };
            match told {
                Ok(()) => {}
                Err(ends @ (Stopped::Killed(_) | Stopped::Ending)) => return Err(ends),
                Err(failure) => work.audience.hear_untold(&failure),
            }
        }
        Ok(())
    }

    /// Remembers what is live as told where nothing was told yet: a receiver hears of what comes after its first day.
    ///
    /// # Errors
    /// When git fails.
    pub fn begin_to_tell(
        &self,
        opened: &Opened,
        world: &mut dyn World,
        (receiver, head): (Form, Id),
    ) -> Result<(), Stopped> {
        match world.told(opened, receiver)? {
            None if !self.options.dry_run => world.remember_told(opened, receiver, None, head),
            _ => Ok(()),
        }
    }

    /// Tells a receiver of what is live now.
    fn tell_head(&self, opened: &Opened, world: &mut dyn World, receiver: Form) -> Result<(), Stopped> {
        match opened.read()?.0 {
            Some(live) => self.tell(opened, &live, world, receiver),
            // What is wrong with pillion.yaml is said elsewhere.
            None => Ok(()),
        }
    }

    /// Tells a receiver of the live commits of rollouts that it was not told of, oldest first.
    fn tell(
        &self,
        opened: &Opened,
        live: &Live<'_>,
        world: &mut dyn World,
        receiver: Form,
    ) -> Result<(), Stopped> {
        if self.options.dry_run {
            return Ok(());
        }
        let Some(mut last) = world.told(opened, receiver)? else {
            return world.remember_told(opened, receiver, None, live.head.id);
        };
        let untold = untold(live, last)?;
        let mut is_fresh = true;
        for (at, commit) in untold.iter().enumerate().filter(|(_, c)| c.trailer(trailer::ACTION).is_some()) {
            if !is_fresh && let Some(now) = world.told(opened, receiver)? {
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
            world.tell(receiver, &self.notice(live, commit)?)?;
            world.remember_told(opened, receiver, Some(last), commit.id)?;
            (last, is_fresh) = (commit.id, false);
        }
        let is_behind = last != live.head.id && !untold.is_empty();
        if is_behind { world.remember_told(opened, receiver, Some(last), live.head.id) } else { Ok(()) }
    }

    /// What people are told of a commit.
    fn notice(&self, live: &Live<'_>, commit: &Commit) -> Result<Notice, Stopped> {
        let value = |key| commit.trailer(key).unwrap_or_default();
        Ok(Notice {
            commit: commit.id.to_string(),
            action: value(trailer::ACTION),
            sidecar_set: value(trailer::SIDECAR_SET),
            subject: commit.subject().to_owned(),
            body: body(&commit.message),
            cluster: live.cluster_of(commit)?,
            time: jiff::Timestamp::from_second(commit.time.seconds).unwrap_or_default(),
            url: self.commits.as_ref().map(|commits| format!("{commits}{}", commit.id)),
        })
    }
}

/// Returns the live commits after one, oldest first; where it is not among the newest, the newest.
fn untold(live: &Live<'_>, last: Id) -> Result<Vec<Commit>, Stopped> {
    let mut found = Vec::new();
    for commit in live.repository.log(live.head.id, None, Walk::FirstParent)?.take(MOST_TOLD) {
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
fn body(message: &str) -> String {
    let mut paragraphs: Vec<&str> = message.trim_end().split("\n\n").skip(1).collect();
    if paragraphs.last().is_some_and(|p| p.contains("Pillion-")) {
        paragraphs.pop();
    }
    paragraphs.join("\n\n")
}
