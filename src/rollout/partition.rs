//! `updateStrategy.partition`: keeps units on what they have.

use super::resolve_rounded_up;
use crate::model::sidecar_set::IntOrPercent;

/// Returns how many of `n` matched units are kept: the last ones in the order of the update.
///
/// Kruise v1.9.0 util.CalculatePartitionReplicas: a percentage is rounded up, but where that keeps all of several
/// units, one is updated unless the text is exactly `100%`. More than all of them keeps all.
pub fn kept_pods(partition: Option<&IntOrPercent>, n: usize) -> usize {
    let Some(partition) = partition else { return 0 };
    let kept = resolve_rounded_up(partition, n);
    match partition {
        IntOrPercent::Text(text) if kept == n && n > 1 && text != "100%" => n - 1,
        _ => kept.min(n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_kruise_does() {
        let percent = |text: &str, n| kept_pods(Some(&IntOrPercent::Text(text.into())), n);
        for (text, n, wanted) in [
            ("0%", 10, 0),
            ("1%", 10, 1),
            ("98%", 1000, 980),
            ("99%", 10, 9),
            ("100%", 10, 10),
            ("101%", 10, 10),
            ("150%", 10, 10),
            ("150%", 2, 2),
            ("101%", 1, 1),
            ("0%", 1, 0),
            ("1%", 1, 1),
            ("30%", 7, 3),
            ("50%", 0, 0),
            ("99999999999%", 10, 10),
            ("99999999999999999999%", 10, 0),
        ] {
            assert_eq!(percent(text, n), wanted, "{text} of {n}");
        }
        let number = |number, n| kept_pods(Some(&IntOrPercent::Int(number)), n);
        assert_eq!((number(3, 10), number(12, 10), number(-1, 10), number(1, 0)), (3, 10, 0, 0));
        assert_eq!(kept_pods(None, 10), 0);
    }
}
