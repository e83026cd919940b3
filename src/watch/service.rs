//! The long run: when is the next look, and what happens when something fails? Nothing is remembered that a new
//! process would not find out.

use super::evaluate::NotApplied;
use super::run::{Audience, Turn, Watching, Work};
use super::world::{Stopped, World};
use crate::diag::Diagnostic;
use crate::git::{Id, Stop};
use crate::stage::Opened;
use jiff::Timestamp;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Changes of pods that come close together are looked at together.
const TOGETHER: Duration = Duration::from_millis(250);

/// The longest pause after failures that follow each other.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The farthest moment at which a look is planned.
const FARTHEST: Duration = Duration::from_secs(86_400);

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
    /// Asks for the end.
    pub stop: Stop,
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
    let (mut not_applied, mut sound) = (NotApplied::new(), None);
    let mut failures = 0;
    while !pace.stop.is_requested() {
        let turn = world.fetch(opened).and_then(|()| {
            let (read, mut fetch_at) = (live(opened), Instant::now() + pace.interval);
            let (not_applied, sound) = (&mut not_applied, &mut sound);
            let mut work = Work { opened, world: &mut *world, not_applied, sound, audience: &mut *listener };
            watching.head(&mut work, &mut |world, report| {
                let seen = report.now.map(|now| (now, Instant::now()));
                let look_at = report.changes_at().zip(seen).map(here);
                match pace.wait(fetch_at, look_at) {
                    Due::Look => true,
                    Due::Stop => false,
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
                if pace.wait_for(pace.interval) == Due::Stop {
                    return;
                }
            }
            Err(_) if pace.stop.is_requested() => {}
            Err(failure) => {
                failures += 1;
                let again = pause(failures).max(failure.after(LONGEST_PAUSE));
                listener.failed(&failure, again);
                if pace.wait_for(again) == Due::Stop {
                    return;
                }
            }
        }
    }
}

/// The moment of this machine at which the API server's clock shows a time; `seen` is a pair of both clocks.
fn here((at, (now, seen)): (Timestamp, (Timestamp, Instant))) -> Instant {
    let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    seen + left.min(FARTHEST)
}

fn live(opened: &Opened) -> Option<Id> {
    opened.branches.find_live(&opened.repository).map(|(_, id)| id)
}

fn pause(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(6)).min(LONGEST_PAUSE)
}

impl Pace {
    fn wait(&self, fetch_at: Instant, look_at: Option<Instant>) -> Due {
        // However late it is for something else.
        if self.stop.is_requested() {
            return Due::Stop;
        }
        if fetch_at <= Instant::now() {
            return Due::Fetch;
        }
        // The API server's time may stand still: what is to change then does not, however often one looks.
        let look_at = look_at.map(|look| look.max(Instant::now() + TOGETHER));
        let until = look_at.map_or(fetch_at, |look| look.min(fetch_at));
        match self.next(until) {
            Next::Stop => Due::Stop,
            Next::Changed => self.gather(),
            Next::Time if look_at.is_some_and(|look| look <= Instant::now()) => Due::Look,
            Next::Time => Due::Fetch,
        }
    }

    /// Waits for the changes that come with a first one.
    fn gather(&self) -> Due {
        self.wait_until(Instant::now() + TOGETHER, Due::Look)
    }

    /// Waits for a time, whatever changes.
    fn wait_for(&self, time: Duration) -> Due {
        self.wait_until(Instant::now() + time, Due::Fetch)
    }

    fn wait_until(&self, until: Instant, due: Due) -> Due {
        loop {
            match self.next(until) {
                Next::Changed => {}
                Next::Stop => return Due::Stop,
                Next::Time => return due,
            }
        }
    }

    /// Waits for the next event. A change that was sent may have kept out the wake that asks for the end.
    fn next(&self, until: Instant) -> Next {
        let wake = self.wakes.recv_timeout(until.saturating_duration_since(Instant::now()));
        if self.stop.is_requested() {
            return Next::Stop;
        }
        match wake {
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => Next::Stop,
            Ok(Wake::Changed) => Next::Changed,
            Err(RecvTimeoutError::Timeout) => Next::Time,
        }
    }
}

/// What a wait has ended with.
enum Next {
    Changed,
    Time,
    Stop,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn the_end_comes_before_everything_that_is_due() {
        let (sender, wakes) = sync_channel(1);
        let pace = Pace { interval: Duration::from_secs(3_600), wakes, stop: Stop::default() };
        let past = Instant::now();
        assert_eq!(pace.wait(past, None), Due::Fetch);
        // A flood of changes leaves no room for the wake that asks for the end.
        sender.try_send(Wake::Changed).unwrap();
        pace.stop.request();
        assert!(sender.try_send(Wake::Stop).is_err());
        assert_eq!(pace.wait(past, None), Due::Stop);
        let hour = Duration::from_secs(3_600);
        assert_eq!(pace.wait_for(hour), Due::Stop);
        sender.try_send(Wake::Changed).unwrap();
        assert_eq!(pace.gather(), Due::Stop);
        sender.try_send(Wake::Stop).unwrap();
        assert_eq!(pace.wait(past + hour, Some(past + hour)), Due::Stop);
    }
}
