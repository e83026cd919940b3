//! Repeats an attempt while other pushes come first: with growing pauses that differ by process, for at most a minute.

use super::error::{CommandError, ErrorCause};
use super::repository::{PushOutcome, RepoContext};
use crate::git::ObjectId;
use std::time::Duration;

/// The first pause.
const FIRST_PAUSE_MS: u64 = 50;
/// The longest one.
const MAX_PAUSE_MS: u64 = 6_000;
/// The longest time in all. Milliseconds, all three.
const MAX_TOTAL_MS: u64 = 60_000;

/// Repeats an attempt until it succeeds, or fails for another reason than a push or a process that came first. Each
/// attempt but the first starts from what was fetched just before it.
///
/// # Errors
/// The error of the attempt, or that of the last one after a minute.
pub(super) fn with_retry<T>(
    context: &RepoContext,
    mut attempt: impl FnMut() -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let mut backoff = RetryBackoff::new(std::process::id());
    let mut outcome = attempt();
    loop {
        let error = match outcome {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let lost = match error.cause() {
            Some(ErrorCause::Conflict(lost)) => Some(lost),
            Some(ErrorCause::Contention) => None,
            _ => return Err(error),
        };
        let Some(pause) = backoff.next_pause(lost) else { return Err(error) };
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
        PushOutcome::NonFastForward(lost) => Err(CommandError::conflict(&context.branches.deploy, lost)),
    }
}

/// Growing pauses, spread by process and attempt, so that processes that lost together do not push together again.
struct RetryBackoff {
    seed: u64,
    attempts: u32,
    /// The pauses so far, in milliseconds.
    total_ms: u64,
}

impl RetryBackoff {
    fn new(process: u32) -> Self {
        Self { seed: u64::from(process), attempts: 0, total_ms: 0 }
    }

    /// Returns the next pause; None after [`MAX_TOTAL_MS`]. The rejected commit makes a difference between machines
    /// where processes have the same number, as in containers.
    fn next_pause(&mut self, lost: Option<ObjectId>) -> Option<Duration> {
        let bytes = lost.map(|id| id.to_string()).unwrap_or_default();
        let mixed = bytes.bytes().fold(self.seed, |sum, byte| splitmix64(sum ^ u64::from(byte)));
        let mixed = splitmix64(mixed ^ (u64::from(self.attempts) << 32));
        let whole = FIRST_PAUSE_MS.saturating_mul(1 << self.attempts.min(20)).min(MAX_PAUSE_MS);
        // From a half to one and a half of it.
        let pause = whole / 2 + mixed % whole;
        self.attempts += 1;
        self.total_ms += pause;
        (self.total_ms <= MAX_TOTAL_MS).then(|| Duration::from_millis(pause))
    }
}

/// Spreads numbers that are next to each other over all numbers: splitmix64.
fn splitmix64(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn all(process: u32, lost: Option<ObjectId>) -> Vec<u64> {
        let mut pauses = RetryBackoff::new(process);
        let next = std::iter::from_fn(|| pauses.next_pause(lost));
        next.map(|p| u64::try_from(p.as_millis()).unwrap()).collect()
    }

    #[test]
    fn pauses_grow_and_end_within_a_minute() {
        for process in 0..100 {
            let pauses = all(process, None);
            let sum: u64 = pauses.iter().sum();
            assert!((45_000..=MAX_TOTAL_MS).contains(&sum), "{sum}");
            assert!(pauses.len() >= 12 && pauses[0] < 100 && pauses[9] >= MAX_PAUSE_MS / 2, "{pauses:?}");
        }
    }

    #[test]
    fn no_two_wait_alike() {
        let commit =
            |digit: char| -> Option<ObjectId> { Some(digit.to_string().repeat(40).parse().unwrap()) };
        let processes: BTreeSet<Vec<u64>> = (1..=40).map(|process| all(process, commit('1'))).collect();
        assert_eq!(processes.len(), 40);
        let machines: BTreeSet<Vec<u64>> = "123456789abcdef".chars().map(|c| all(1, commit(c))).collect();
        assert_eq!(machines.len(), 15);
    }
}
