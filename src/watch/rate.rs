//! Computes when the next batch may follow under `rollout.podsPerMinute`. Pure.
//!
//! The limit is an average since the latest batch: at 10 pods per minute, a batch of 50 pods is followed by none for
//! five minutes. Batch size and the workloads' strategies limit what one batch does at once.

use jiff::{Timestamp, ToSpan as _};

/// Returns when the next batch may be released; None: now.
///
/// `pods` are those that the latest batch updated, `began` is when it began, by the API server's clock.
pub(crate) fn next_batch_at(pods_per_minute: Option<u32>, pods: u32, began: Timestamp) -> Option<Timestamp> {
    let rate = i64::from(pods_per_minute?.max(1));
    // Rounded up: late is within the limit, early is not.
    let milliseconds = (i64::from(pods) * 60_000 + rate - 1) / rate;
    // A time beyond the calendar never comes.
    let at = began.checked_add(milliseconds.milliseconds()).unwrap_or(Timestamp::MAX);
    (at > began).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(rate: Option<u32>, pods: u32) -> Option<f64> {
        let began: Timestamp = "2026-06-19T15:00:00Z".parse().unwrap();
        next_batch_at(rate, pods, began).map(|at| at.duration_since(began).as_secs_f64())
    }

    #[test]
    fn pods_take_their_share_of_a_minute() {
        assert_eq!(seconds(Some(10), 50), Some(300.0));
        assert_eq!(seconds(Some(60), 1), Some(1.0));
        assert_eq!(seconds(Some(7), 1), Some(8.572), "rounded up");
        assert_eq!(seconds(Some(1000), 1), Some(0.06));
    }

    #[test]
    fn no_cap_and_no_pods_hold_nothing_up() {
        assert_eq!(seconds(None, 50), None);
        assert_eq!(seconds(Some(10), 0), None);
        let began: Timestamp = "2026-06-19T15:00:00Z".parse().unwrap();
        assert_eq!(next_batch_at(Some(1), u32::MAX, began), Some(Timestamp::MAX), "8,166 years hold it up");
    }
}
