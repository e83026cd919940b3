//! The long run: when is the next look, and what happens when something fails? Nothing is remembered that a new
//! process would not find out.

use super::evaluate::NotApplied;
use super::run::{Audience, Turn, Watching, Work};
use super::world::{Stopped, World};
use crate::diag::Diagnostic;
use crate::git::Id;
use crate::stage::Opened;
use jiff::Timestamp;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Changes of pods that come close together are looked at together.
const TOGETHER: Duration = Duration::from_millis(250);

/// The longest pause after failures that follow each other.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What wakes the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Something in a cluster has changed.
    Changed,
    /// The process is to end.
    Stop,
}

/// Somebody who wants to know how a long run goes.
pub trait Listener: Audience {
    /// Hears that the live branch holds something wrong, so that nothing is released.
    fn refused(&mut self, wrong: Vec<Diagnostic>);

    /// Hears that something outside failed, and when it is tried again.
    fn failed(&mut self, failure: &Stopped, again: Duration);
}

/// How often git is asked, and what wakes the loop before that.
pub struct Pace {
    /// How often the live branch is fetched.
    pub interval: Duration,
    /// What wakes the loop.
    pub wakes: Receiver<Wake>,
}

/// Why the loop looks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Look,
    Fetch,
    Stop,
}

/// Watches until it is told to stop.
pub fn serve(
    watching: &Watching,
    opened: &Opened,
    world: &mut dyn World,
    pace: &Pace,
    listener: &mut dyn Listener,
) {
    let mut not_applied = NotApplied::new();
    let mut failures = 0;
    let mut stops = false;
    while !stops {
        let turn = world.fetch(opened).and_then(|()| {
            let (read, mut fetch_at) = (live(opened), Instant::now() + pace.interval);
            let not_applied = &mut not_applied;
            let mut work = Work { opened, world: &mut *world, not_applied, audience: &mut *listener };
            watching.head(&mut work, &mut |world, report| {
                let seen = report.now.map(|now| (now, Instant::now()));
                let look_at = report.changes_at().zip(seen).map(here);
                match pace.wait(fetch_at, look_at) {
                    Due::Look => true,
                    Due::Stop => {
                        stops = true;
                        false
                    }
                    Due::Fetch => {
                        fetch_at = Instant::now() + pace.interval;
                        // What a failed fetch means is told by the one that follows at once.
                        world.fetch(opened).is_ok() && live(opened) == read
                    }
                }
            })
        });
        match turn {
            Ok(Turn::Settled(_)) => failures = 0,
            Ok(Turn::Refused(wrong)) => {
                failures = 0;
                listener.refused(wrong);
                stops |= pace.wait_for(pace.interval) == Due::Stop;
            }
            Err(failure) => {
                failures += 1;
                let again = pause(failures);
                listener.failed(&failure, again);
                stops |= pace.wait_for(again) == Due::Stop;
            }
        }
    }
}

/// The moment of this machine at which the API server's clock shows a time; `seen` is a pair of both clocks.
fn here((at, (now, seen)): (Timestamp, (Timestamp, Instant))) -> Instant {
    seen + Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

fn live(opened: &Opened) -> Option<Id> {
    opened.branches.find_live(&opened.repository).map(|(_, id)| id)
}

fn pause(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(6)).min(LONGEST_PAUSE)
}

impl Pace {
    fn wait(&self, fetch_at: Instant, look_at: Option<Instant>) -> Due {
        if fetch_at <= Instant::now() {
            return Due::Fetch;
        }
        // The API server's time may stand still: what is to change then does not, however often one looks.
        let look_at = look_at.map(|look| look.max(Instant::now() + TOGETHER));
        let until = look_at.map_or(fetch_at, |look| look.min(fetch_at));
        match self.wakes.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => Due::Stop,
            Ok(Wake::Changed) => self.gather(),
            Err(RecvTimeoutError::Timeout) if look_at.is_some_and(|look| look <= Instant::now()) => Due::Look,
            Err(RecvTimeoutError::Timeout) => Due::Fetch,
        }
    }

    /// Waits for the changes that come with a first one.
    fn gather(&self) -> Due {
        let until = Instant::now() + TOGETHER;
        loop {
            match self.wakes.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Wake::Changed) => {}
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return Due::Stop,
                Err(RecvTimeoutError::Timeout) => return Due::Look,
            }
        }
    }

    /// Waits for a time, whatever changes.
    fn wait_for(&self, time: Duration) -> Due {
        let until = Instant::now() + time;
        loop {
            match self.wakes.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Wake::Changed) => {}
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return Due::Stop,
                Err(RecvTimeoutError::Timeout) => return Due::Fetch,
            }
        }
    }
}
