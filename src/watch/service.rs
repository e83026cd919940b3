//! Runs the watch loop: polling, wake-ups and back-off. It keeps no state that a new process could not derive.

use super::environment::Environment;
use super::evaluation::OutOfSyncSince;
use super::events::ServiceEventSink;
use super::watch_loop::{Iteration, WatchContext, Watcher};
use crate::backoff::Backoff;
use crate::git::StopToken;
use crate::stage::RepoContext;
use jiff::Timestamp;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Changes of pods within this time are evaluated together.
const COALESCE_WINDOW: Duration = Duration::from_millis(250);

/// The pause after a first error; it doubles.
const INITIAL_BACKOFF: Duration = Duration::from_secs(2);

/// The longest pause, including one that a service asks for.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// The latest time for which an evaluation is scheduled.
const MAX_LOOKAHEAD: Duration = Duration::from_secs(86_400);

/// What wakes the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeReason {
    /// Something in a cluster has changed.
    ClusterChanged,
    /// The process is shutting down.
    Stop,
}

/// When the loop fetches, and what wakes it before.
pub(crate) struct PollSchedule {
    /// How often the deploy branch is fetched.
    pub(crate) interval: Duration,
    /// Wake-ups.
    pub(crate) wakes: Receiver<WakeReason>,
    /// Request to stop.
    pub(crate) stop: StopToken,
}

/// What the loop does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextAction {
    Evaluate,
    Fetch,
    Stop,
}

/// Runs the loop until a stop is requested.
pub(crate) fn run_service(
    watcher: &Watcher,
    repo: &RepoContext,
    environment: &mut dyn Environment,
    schedule: &PollSchedule,
    events: &mut dyn ServiceEventSink,
) {
    let (mut out_of_sync_since, mut verified_head) = (OutOfSyncSince::new(), None);
    let mut backoff = Backoff::new(INITIAL_BACKOFF, MAX_BACKOFF);
    while !schedule.stop.is_requested() {
        let iteration = environment.fetch(repo).and_then(|()| {
            let (read, mut fetch_at) = (repo.deploy_head(), Instant::now() + schedule.interval);
            let (out_of_sync_since, verified_head) = (&mut out_of_sync_since, &mut verified_head);
            let mut context = WatchContext {
                repo,
                environment: &mut *environment,
                out_of_sync_since,
                verified_head,
                events: &mut *events,
            };
            watcher.watch_head(&mut context, &mut |environment, report| {
                let seen = report.now.map(|now| (now, Instant::now()));
                let look_at = report.changes_at().zip(seen).map(local_instant);
                match schedule.wait(fetch_at, look_at) {
                    NextAction::Evaluate => true,
                    NextAction::Stop => false,
                    NextAction::Fetch => {
                        fetch_at = Instant::now() + schedule.interval;
                        // The fetch that follows at once reports the error.
                        environment.fetch(repo).is_ok() && repo.deploy_head() == read
                    }
                }
            })
        });
        match iteration {
            Ok(Iteration::Evaluated(_)) => backoff.reset(),
            Ok(Iteration::Invalid(diagnostics)) => {
                backoff.reset();
                events.on_invalid_head(diagnostics);
                if schedule.sleep(schedule.interval) == NextAction::Stop {
                    return;
                }
            }
            Err(_) if schedule.stop.is_requested() => {}
            Err(error) => {
                let again = backoff.next_delay(error.retry_after());
                events.on_error(&error, again);
                if schedule.sleep(again) == NextAction::Stop {
                    return;
                }
            }
        }
    }
}

/// Converts a time of the API server into one of this machine; `seen` is the same moment on both clocks.
fn local_instant((at, (now, seen)): (Timestamp, (Timestamp, Instant))) -> Instant {
    let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    seen + left.min(MAX_LOOKAHEAD)
}

impl PollSchedule {
    fn wait(&self, fetch_at: Instant, look_at: Option<Instant>) -> NextAction {
        // A stop takes precedence over everything that is due.
        if self.stop.is_requested() {
            return NextAction::Stop;
        }
        if fetch_at <= Instant::now() {
            return NextAction::Fetch;
        }
        // The API server's clock may stand still: then nothing changes, however often the loop looks.
        let look_at = look_at.map(|look| look.max(Instant::now() + COALESCE_WINDOW));
        let until = look_at.map_or(fetch_at, |look| look.min(fetch_at));
        match self.next_wake(until) {
            WaitOutcome::Stop => NextAction::Stop,
            WaitOutcome::Changed => self.coalesce_changes(),
            WaitOutcome::TimedOut if look_at.is_some_and(|look| look <= Instant::now()) => {
                NextAction::Evaluate
            }
            WaitOutcome::TimedOut => NextAction::Fetch,
        }
    }

    /// Waits for further changes after a first one.
    fn coalesce_changes(&self) -> NextAction {
        self.wait_until(Instant::now() + COALESCE_WINDOW, NextAction::Evaluate)
    }

    /// Waits for a time, whatever changes.
    fn sleep(&self, time: Duration) -> NextAction {
        self.wait_until(Instant::now() + time, NextAction::Fetch)
    }

    fn wait_until(&self, until: Instant, due: NextAction) -> NextAction {
        loop {
            match self.next_wake(until) {
                WaitOutcome::Changed => {}
                WaitOutcome::Stop => return NextAction::Stop,
                WaitOutcome::TimedOut => return due,
            }
        }
    }

    /// Waits for the next event. A full channel may have dropped the wake-up of a stop.
    fn next_wake(&self, until: Instant) -> WaitOutcome {
        let wake = self.wakes.recv_timeout(until.saturating_duration_since(Instant::now()));
        if self.stop.is_requested() {
            return WaitOutcome::Stop;
        }
        match wake {
            Ok(WakeReason::Stop) | Err(RecvTimeoutError::Disconnected) => WaitOutcome::Stop,
            Ok(WakeReason::ClusterChanged) => WaitOutcome::Changed,
            Err(RecvTimeoutError::Timeout) => WaitOutcome::TimedOut,
        }
    }
}

/// The end of a wait.
enum WaitOutcome {
    Changed,
    TimedOut,
    Stop,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn the_end_comes_before_everything_that_is_due() {
        let (sender, wakes) = sync_channel(1);
        let schedule =
            PollSchedule { interval: Duration::from_secs(3_600), wakes, stop: StopToken::default() };
        let past = Instant::now();
        assert_eq!(schedule.wait(past, None), NextAction::Fetch);
        // A flood of changes leaves no space for the wake-up of a stop.
        sender.try_send(WakeReason::ClusterChanged).unwrap();
        schedule.stop.request();
        assert!(sender.try_send(WakeReason::Stop).is_err());
        assert_eq!(schedule.wait(past, None), NextAction::Stop);
        let hour = Duration::from_secs(3_600);
        assert_eq!(schedule.sleep(hour), NextAction::Stop);
        sender.try_send(WakeReason::ClusterChanged).unwrap();
        assert_eq!(schedule.coalesce_changes(), NextAction::Stop);
        sender.try_send(WakeReason::Stop).unwrap();
        assert_eq!(schedule.wait(past + hour, Some(past + hour)), NextAction::Stop);
    }
}
