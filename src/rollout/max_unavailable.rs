//! `updateStrategy.maxUnavailable`: bounds the pods that an update makes unavailable.

use super::resolve_rounded_up;
use crate::model::sidecar_set::IntOrPercent;

/// Returns the bound for `n` matched pods. Kruise v1.9.0 calculateUpgradeCount rounds a percentage up, and allows 0
/// and more than 100%.
pub fn max_unavailable(written: &IntOrPercent, n: usize) -> usize {
    resolve_rounded_up(written, n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_kruise_does() {
        let percent = |text: &str, n| max_unavailable(&IntOrPercent::Text(text.into()), n);
        assert_eq!((percent("30%", 7), percent("33%", 10), percent("1%", 1)), (3, 4, 1));
        assert_eq!((percent("0%", 10), percent("150%", 10), percent("20%", 0)), (0, 15, 0));
        assert_eq!(max_unavailable(&IntOrPercent::Int(50), 10), 50);
    }
}
