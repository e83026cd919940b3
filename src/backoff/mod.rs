//! Exponential back-off: the pauses between retries of pushes, requests and notifications.

use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

/// Pauses that double from a first to a longest one.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
    has_jitter: bool,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, next: first, has_jitter: false }
    }

    /// Shortens each pause by a random part, up to half of it.
    pub(crate) fn with_jitter(self) -> Self {
        Self { has_jitter: true, ..self }
    }

    /// Starts again with the first pause.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// Returns the next pause, which is as long as a server asks for, up to the longest one.
    pub(crate) fn next_delay(&mut self, at_least: Duration) -> Duration {
        let share = if self.has_jitter { 0.5 + random_fraction() / 2.0 } else { 1.0 };
        let delay = self.next.mul_f64(share);
        self.next = (self.next * 2).min(self.max);
        delay.max(at_least.min(self.max))
    }
}

/// Returns a random number from 0 to 1.
pub(crate) fn random_fraction() -> f64 {
    let number = std::hash::RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(number >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_one() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(2));
        let mut backoff = Backoff::new(first, longest);
        let waits: Vec<Duration> = (0..10).map(|_| backoff.next_delay(Duration::ZERO)).collect();
        assert_eq!((waits[0], waits[1], waits[9]), (first, first * 2, longest));
        backoff.reset();
        assert_eq!(backoff.next_delay(Duration::from_secs(1)), Duration::from_secs(1));
        assert_eq!(backoff.next_delay(Duration::from_secs(60)), longest);
    }

    #[test]
    fn jitter_shortens_a_pause_to_half_at_most() {
        for _ in 0..100 {
            assert!((0.0..=1.0).contains(&random_fraction()));
            let pause = Backoff::new(Duration::from_secs(2), Duration::from_secs(2)).with_jitter();
            let delay = { pause }.next_delay(Duration::ZERO);
            assert!(delay >= Duration::from_secs(1) && delay <= Duration::from_secs(2), "{delay:?}");
        }
    }
}
