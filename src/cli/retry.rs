//! Repeats an attempt while other pushes come first: with growing, random pauses, for at most a minute.

use super::error::{CommandError, ErrorCause};
use super::repository::{PushOutcome, RepoContext};
use crate::backoff::Backoff;
use crate::git::ObjectId;
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(6);
/// The longest time of all pauses together.
const MAX_TOTAL: Duration = Duration::from_secs(60);

/// Repeats an attempt until it succeeds, or fails for another reason than a push or a process that came first. Each
/// attempt but the first starts from what was fetched just before it.
///
/// # Errors
/// The error of the attempt, or that of the last one after a minute.
pub(super) fn with_retry<T>(
    context: &RepoContext,
    mut attempt: impl FnMut() -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let mut pauses = pauses();
    let mut outcome = attempt();
    loop {
        let error = match outcome {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if !matches!(error.cause(), Some(ErrorCause::Conflict | ErrorCause::Contention)) {
            return Err(error);
        }
        let Some(pause) = pauses.next() else { return Err(error) };
        std::thread::sleep(pause);
        outcome = context.fetch().map_err(CommandError::from).and_then(|()| attempt());
    }
}

/// Returns the commit that was pushed and where it is now.
///
/// # Errors
/// When another push came first.
pub(super) fn require_pushed(
    outcome: PushOutcome,
    context: &RepoContext,
) -> Result<(ObjectId, String), CommandError> {
    match outcome {
        PushOutcome::Pushed(id, place) | PushOutcome::Unchanged(id, place) => Ok((id, place)),
        PushOutcome::NonFastForward => Err(CommandError::conflict(&context.branches.deploy)),
    }
}

/// Returns the pauses, [`MAX_TOTAL`] in all. They are random, so that processes that lost a race together do not push
/// together again.
fn pauses() -> impl Iterator<Item = Duration> {
    let (mut backoff, mut left) = (Backoff::new(FIRST_PAUSE, MAX_PAUSE).with_jitter(), MAX_TOTAL);
    std::iter::from_fn(move || {
        let pause = backoff.next_delay(Duration::ZERO);
        left = left.checked_sub(pause)?;
        Some(pause)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn pauses_grow_and_end_within_a_minute() {
        for _ in 0..100 {
            let found: Vec<Duration> = pauses().collect();
            let sum: Duration = found.iter().sum();
            assert!(sum <= MAX_TOTAL && sum + MAX_PAUSE > MAX_TOTAL, "{sum:?}");
            assert!(found[0] <= FIRST_PAUSE && found[9] >= MAX_PAUSE / 2, "{found:?}");
        }
    }

    #[test]
    fn no_two_processes_wait_alike() {
        let all: BTreeSet<Vec<Duration>> = (0..40).map(|_| pauses().collect()).collect();
        assert_eq!(all.len(), 40);
    }
}
