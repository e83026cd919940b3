//! Resolves int-or-percent values to pod counts.

use serde_json::Value;

/// How a percentage is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoundingMode {
    Up,
    Down,
}

/// The largest count that Kubernetes can represent.
const MAX_COUNT: u64 = i32::MAX as u64;

/// Returns the pods of a number or percentage; None where it is absent or neither of the two. Negative values are 0.
pub(super) fn resolve_pods(amount: Option<&Value>, of: u64, round: RoundingMode) -> Option<u64> {
    match amount? {
        Value::String(text) => percent(text).map(|p| percentage_of(p, of, round)),
        number => whole_number(Some(number)),
    }
}

/// Returns a whole number of pods; None where it is absent or something else. Negative values are 0.
pub(super) fn whole_number(number: Option<&Value>) -> Option<u64> {
    number?.as_i64().map(|n| u64::try_from(n).unwrap_or(0).min(MAX_COUNT))
}

// apimachinery v0.32 intstr.GetValueFromIntOrPercent, which Kruise and Argo use, reads `25` as `25%`; where only
// `25%` is valid, the API server has refused the other.
fn percent(text: &str) -> Option<u64> {
    let number: i64 = text.strip_suffix('%').unwrap_or(text).parse().ok()?;
    Some(u64::try_from(number).unwrap_or(0).min(MAX_COUNT))
}

fn percentage_of(percent: u64, of: u64, round: RoundingMode) -> u64 {
    let hundredths = percent.saturating_mul(of.min(MAX_COUNT));
    let share = match round {
        RoundingMode::Up => hundredths.div_ceil(100),
        RoundingMode::Down => hundredths / 100,
    };
    share.min(MAX_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn percentages_are_rounded_as_asked() {
        assert_eq!(resolve_pods(Some(&json!("25%")), 10, RoundingMode::Down), Some(2));
        assert_eq!(resolve_pods(Some(&json!("25%")), 10, RoundingMode::Up), Some(3));
        assert_eq!(resolve_pods(Some(&json!("150%")), 2, RoundingMode::Up), Some(3));
        assert_eq!(resolve_pods(Some(&json!(3)), 2, RoundingMode::Up), Some(3));
    }

    #[test]
    fn odd_values_are_no_amount() {
        for invalid in
            [json!("many"), json!("%"), json!(null), json!([1]), json!(1.5), json!("1.5%"), json!(true)]
        {
            assert_eq!(resolve_pods(Some(&invalid), 10, RoundingMode::Up), None, "{invalid}");
        }
        assert_eq!(resolve_pods(Some(&json!(-3)), 10, RoundingMode::Up), Some(0));
        assert_eq!(resolve_pods(Some(&json!("-3%")), 10, RoundingMode::Up), Some(0));
        assert_eq!(resolve_pods(Some(&json!("9999999999%")), u64::MAX, RoundingMode::Up), Some(MAX_COUNT));
        assert_eq!(whole_number(Some(&json!("3"))), None);
    }
}
