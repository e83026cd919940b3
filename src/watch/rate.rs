//! When may the next batch begin, so that not too many pods are replaced a minute (`rollout.podsPerMinute`)? Pure.
//!
//! The bound is on the average since the last batch began: one that moved 50 pods at 10 a minute is followed by none
//! for five minutes. What one batch does at once is bounded by its size and the workloads' own strategies.

use jiff::{Timestamp, ToSpan as _};

/// Returns the moment from which on the next batch may begin; None: nothing is in the way.
///
/// `pods` are those that the last batch moved, `began` is when it began in the API server's time.
pub fn next_batch_at(pods_per_minute: Option<u32>, pods: u32, began: Timestamp) -> Option<Timestamp> {
    let rate = i64::from(pods_per_minute?.max(1));
    // Rounded up: a moment too late is within the bound, one too early is not.
    let milliseconds = (i64::from(pods) * 60_000 + rate - 1) / rate;
    // What no calendar holds never comes.
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
