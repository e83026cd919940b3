//! How many pods does a number or a percentage of a workload's object stand for?

use serde_json::Value;

/// Which way a percentage is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    Up,
    Down,
}

/// The largest count that Kubernetes can write.
const MOST: u64 = i32::MAX as u64;

/// Returns the pods that a number or percentage stands for; None where it is absent or neither of the two.
/// What is below zero is zero.
pub(super) fn pods(amount: Option<&Value>, of: u64, round: Round) -> Option<u64> {
    match amount? {
        Value::String(text) => percent(text).map(|p| share(p, of, round)),
        number => count(Some(number)),
    }
}

/// Returns a whole number of pods; None where it is absent or something else. What is below zero is zero.
pub(super) fn count(number: Option<&Value>) -> Option<u64> {
    number?.as_i64().map(|n| u64::try_from(n).unwrap_or(0).min(MOST))
}

// apimachinery v0.32 intstr.GetValueFromIntOrPercent, which Kruise and Argo use, takes `25` for `25%`; where only
// `25%` is right, the API server has refused the other.
fn percent(text: &str) -> Option<u64> {
    let number: i64 = text.strip_suffix('%').unwrap_or(text).parse().ok()?;
    Some(u64::try_from(number).unwrap_or(0).min(MOST))
}

fn share(percent: u64, of: u64, round: Round) -> u64 {
    let hundredths = percent.saturating_mul(of.min(MOST));
    let share = match round {
        Round::Up => hundredths.div_ceil(100),
        Round::Down => hundredths / 100,
    };
    share.min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn percentages_are_rounded_as_asked() {
        assert_eq!(pods(Some(&json!("25%")), 10, Round::Down), Some(2));
        assert_eq!(pods(Some(&json!("25%")), 10, Round::Up), Some(3));
        assert_eq!(pods(Some(&json!("150%")), 2, Round::Up), Some(3));
        assert_eq!(pods(Some(&json!(3)), 2, Round::Up), Some(3));
    }

    #[test]
    fn odd_values_are_no_amount() {
        for odd in
            [json!("many"), json!("%"), json!(null), json!([1]), json!(1.5), json!("1.5%"), json!(true)]
        {
            assert_eq!(pods(Some(&odd), 10, Round::Up), None, "{odd}");
        }
        assert_eq!(pods(Some(&json!(-3)), 10, Round::Up), Some(0));
        assert_eq!(pods(Some(&json!("-3%")), 10, Round::Up), Some(0));
        assert_eq!(pods(Some(&json!("9999999999%")), u64::MAX, Round::Up), Some(MOST));
        assert_eq!(count(Some(&json!("3"))), None);
    }
}
