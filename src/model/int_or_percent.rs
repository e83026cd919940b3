//! A number or a percentage, as the API of Kubernetes and pillion.yaml write it (`IntOrString`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// The largest number of pods that Kubernetes can represent.
const MAX_PODS: u64 = i32::MAX as u64;

/// A number or a percentage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum IntOrPercent {
    /// A number.
    Int(#[schemars(with = "u32")] i64),
    /// A percentage.
    Text(String),
}

/// How a percentage is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundingMode {
    /// Up.
    Up,
    /// Down.
    Down,
}

impl IntOrPercent {
    /// Reads a text: a number if it is one.
    pub(crate) fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Text(text.to_owned()), Self::Int)
    }

    /// Reads a value; None where it is neither a whole number nor a text.
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.clone())),
            number => number.as_i64().map(Self::Int),
        }
    }

    /// Returns the pods of a number, or of a percentage of some pods; None where a text is not a percentage. Negative
    /// values are 0.
    pub fn pods(&self, of: u64, round: RoundingMode) -> Option<u64> {
        let hundredths = match self {
            Self::Int(number) => return Some(bounded(*number)),
            Self::Text(text) => parse_percent(text)?.saturating_mul(of.min(MAX_PODS)),
        };
        let share = match round {
            RoundingMode::Up => hundredths.div_ceil(100),
            RoundingMode::Down => hundredths / 100,
        };
        Some(share.min(MAX_PODS))
    }
}

/// Returns the pods of a field that holds a number or a percentage; None where it is absent or neither of the two.
pub(crate) fn pods_of_field(field: Option<&Value>, of: u64, round: RoundingMode) -> Option<u64> {
    IntOrPercent::from_value(field?)?.pods(of, round)
}

/// Returns the pods of a field that holds a whole number; None where it is absent or something else. Negative values
/// are 0.
pub(crate) fn whole_pods(field: Option<&Value>) -> Option<u64> {
    field?.as_i64().map(bounded)
}

fn bounded(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0).min(MAX_PODS)
}

// apimachinery v0.32 intstr.GetValueFromIntOrPercent, which Kruise and Argo use, reads `25` as `25%`; where only
// `25%` is valid, the API server or Kruise's webhook has refused the other.
fn parse_percent(text: &str) -> Option<u64> {
    text.strip_suffix('%').unwrap_or(text).parse().ok().map(bounded)
}

impl fmt::Display for IntOrPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn up(value: Value, of: u64) -> Option<u64> {
        pods_of_field(Some(&value), of, RoundingMode::Up)
    }

    #[test]
    fn percentages_are_rounded_as_asked() {
        assert_eq!(pods_of_field(Some(&json!("25%")), 10, RoundingMode::Down), Some(2));
        assert_eq!(up(json!("25%"), 10), Some(3));
        assert_eq!(up(json!("150%"), 2), Some(3));
        assert_eq!(up(json!(3), 2), Some(3));
    }

    #[test]
    fn other_values_have_no_pods() {
        for other in
            [json!("many"), json!("%"), json!(null), json!([1]), json!(1.5), json!("1.5%"), json!(true)]
        {
            assert_eq!(up(other.clone(), 10), None, "{other}");
        }
        assert_eq!(up(json!(-3), 10), Some(0));
        assert_eq!(up(json!("-3%"), 10), Some(0));
        assert_eq!(up(json!("9999999999%"), u64::MAX), Some(MAX_PODS));
        assert_eq!(whole_pods(Some(&json!("3"))), None);
    }
}
