//! What is done again when somebody else's push came first: not at once, not all at the same moment, not for ever.

use super::reporter::Reporter;
use super::repository::RepoContext;
use crate::git::ObjectId;
use crate::stage::Error;
use std::time::Duration;

/// The first pause.
const FIRST_PAUSE_MS: u64 = 50;
/// The longest one.
const MAX_PAUSE_MS: u64 = 6_000;
/// How long it is waited in all. Milliseconds, all three.
const MAX_TOTAL_MS: u64 = 60_000;

/// What became of one attempt.
pub(super) enum Attempt<T> {
    /// It is done, or there is nothing to be done.
    Done(T),
    /// Somebody else was faster, and this commit went nowhere.
    Conflict(ObjectId),
}

/// Makes attempts until one is not lost, each on what was fetched behind the one before. None: all were lost, and the
/// reporter knows.
///
/// # Errors
/// When an attempt fails otherwise than by somebody else being faster.
pub(super) fn with_retry<T>(
    opened: &RepoContext,
    reporter: &mut Reporter,
    mut attempt: impl FnMut(&mut Reporter) -> Result<Attempt<T>, Error>,
) -> Result<Option<T>, Error> {
    let mut pauses = RetryBackoff::new(std::process::id());
    let mut is_first = true;
    loop {
        let fetched = if is_first { Ok(()) } else { opened.fetch() };
        let (lost, failure) = match fetched.and_then(|()| attempt(reporter)) {
            Ok(Attempt::Done(done)) => return Ok(Some(done)),
            Ok(Attempt::Conflict(commit)) => (Some(commit), None),
            Err(failure) if failure.is_contention() => (None, Some(failure)),
            Err(failure) => return Err(failure),
        };
        let Some(pause) = pauses.next_pause(lost) else {
            // What is locked for a minute is not somebody who is faster.
            match failure {
                Some(failure) => return Err(failure),
                None => break,
            }
        };
        is_first = false;
        std::thread::sleep(pause);
    }
    let live = &opened.branches.deploy;
    reporter.print_error(&format!(
        "pillion: for a minute somebody else was always faster to move `{live}`: nothing was done; try again"
    ));
    Ok(None)
}

/// Pauses that grow, each spread by who waits and for which time, so that of many who lost together one comes first.
struct RetryBackoff {
    seed: u64,
    attempts: u32,
    /// What was waited so far, in milliseconds.
    total_ms: u64,
}

impl RetryBackoff {
    fn new(process: u32) -> Self {
        Self { seed: u64::from(process), attempts: 0, total_ms: 0 }
    }

    /// Returns how long to wait; None: it was waited long enough. The commit that was lost tells machines apart whose
    /// processes have the same number, as containers have.
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
