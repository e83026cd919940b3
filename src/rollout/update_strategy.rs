//! `updateStrategy`: how many units are updated, which, and in which order. A unit is a workload or a pod.
//!
//! `scatterStrategy` has a file of its own.

use super::LabelMap;
use crate::model::int_or_percent::{IntOrPercent, RoundingMode};
use crate::model::sidecar_set::{PriorityStrategy, UpdateStrategy};
use std::cmp::Reverse;

/// The priority of a unit: the place of its key in the list, and its number or weight, larger ones first.
pub(crate) type PriorityLevel = (Option<usize>, Reverse<i64>);

impl UpdateStrategy {
    /// `partition`: returns how many of `n` matched units are kept on what they have, the last ones in the order of
    /// the update.
    pub fn kept_pods(&self, n: u64) -> u64 {
        self.partition.as_ref().map_or(0, |partition| kept_by_partition(partition, n))
    }

    /// `maxUnavailable`: returns how many of `n` matched pods an update may make unavailable; None where it is not
    /// set. Kruise v1.9.0 calculateUpgradeCount rounds a percentage up, and allows 0 and more than 100%.
    pub fn max_unavailable_pods(&self, n: u64) -> Option<u64> {
        self.max_unavailable.as_ref().map(|written| written.pods(n, RoundingMode::Up).unwrap_or(0))
    }

    /// `selector`: returns whether a unit may be updated. Without a selector every unit may; an empty selector matches
    /// everything.
    pub(crate) fn is_in_canary(&self, labels: &LabelMap) -> bool {
        self.selector.as_ref().is_none_or(|selector| selector.matches(labels))
    }

    /// `priorityStrategy`: sorts units by priority; units of equal priority keep their order. `order` has indexes into
    /// `units`.
    ///
    /// Kruise v1.9.0 updatesort/priority_sort.go: where both lists are set, the weights count.
    pub(crate) fn sort_by_priority(&self, units: &[&LabelMap], order: &mut [usize]) {
        if self.priority_strategy.is_some() {
            order.sort_by_cached_key(|unit| self.priority_level(units[*unit]));
        }
    }

    /// `priorityStrategy`: returns the priority of a unit; those that compare less go first.
    pub(crate) fn priority_level(&self, labels: &LabelMap) -> PriorityLevel {
        match &self.priority_strategy {
            Some(strategy) if !strategy.weight_priority.is_empty() => {
                (None, Reverse(total_weight(strategy, labels)))
            }
            Some(strategy) => order_level(strategy, labels),
            None => (None, Reverse(0)),
        }
    }
}

/// Returns how many of `n` pods a partition keeps.
///
/// Kruise v1.9.0 util.CalculatePartitionReplicas, of SidecarSets and of CloneSets: a percentage is rounded up, but
/// where that keeps all of several pods, one is updated unless the text is exactly `100%`. More than all of them keeps
/// all.
pub(super) fn kept_by_partition(partition: &IntOrPercent, n: u64) -> u64 {
    let kept = partition.pods(n, RoundingMode::Up).unwrap_or(0);
    match partition {
        IntOrPercent::Text(text) if kept == n && n > 1 && text != "100%" => n - 1,
        _ => kept.min(n),
    }
}

/// Returns the sum of the weights of all matching terms.
fn total_weight(strategy: &PriorityStrategy, labels: &LabelMap) -> i64 {
    let matching = strategy.weight_priority.iter().filter(|t| t.match_selector.matches(labels));
    matching.fold(0, |sum, term| sum.saturating_add(term.weight))
}

/// Compares by the first listed key that the unit has, larger numbers first; units with none of the keys come before
/// all others.
fn order_level(strategy: &PriorityStrategy, labels: &LabelMap) -> PriorityLevel {
    let keys = strategy.order_priority.iter().enumerate();
    let found = keys.filter_map(|(i, key)| Some((i, labels.get(key)?))).next();
    let number = found.map_or(0, |(_, value)| trailing_number(value));
    (found.map(|(i, _)| i), Reverse(number))
}

/// Kruise v1.9.0 getIntFromStringSuffix: 0 where there is no number, or it does not fit.
fn trailing_number(text: &str) -> i64 {
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    text[text.len() - digits..].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::selector::Selector;
    use crate::model::sidecar_set::WeightTerm;

    #[test]
    fn a_partition_is_rounded_as_in_kruise() {
        let percent = |text: &str, n| kept_by_partition(&IntOrPercent::Text(text.into()), n);
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
        let number = |number, n| kept_by_partition(&IntOrPercent::Int(number), n);
        assert_eq!((number(3, 10), number(12, 10), number(-1, 10), number(1, 0)), (3, 10, 0, 0));
        assert_eq!(UpdateStrategy::default().kept_pods(10), 0);
    }

    #[test]
    fn max_unavailable_is_rounded_as_in_kruise() {
        let bound = |written, n| {
            let strategy = UpdateStrategy { max_unavailable: Some(written), ..UpdateStrategy::default() };
            strategy.max_unavailable_pods(n).unwrap()
        };
        let percent = |text: &str, n| bound(IntOrPercent::Text(text.into()), n);
        assert_eq!((percent("30%", 7), percent("33%", 10), percent("1%", 1)), (3, 4, 1));
        assert_eq!((percent("0%", 10), percent("150%", 10), percent("20%", 0)), (0, 15, 0));
        assert_eq!(bound(IntOrPercent::Int(50), 10), 50);
    }

    fn sorted(strategy: &PriorityStrategy, units: &[&[(&str, &str)]]) -> Vec<usize> {
        let labels = |pairs: &&[(&str, &str)]| -> LabelMap {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let units: Vec<LabelMap> = units.iter().map(labels).collect();
        let mut order: Vec<usize> = (0..units.len()).collect();
        let strategy =
            UpdateStrategy { priority_strategy: Some(strategy.clone()), ..UpdateStrategy::default() };
        strategy.sort_by_priority(&units.iter().collect::<Vec<_>>(), &mut order);
        order
    }

    #[test]
    fn larger_numbers_go_first_and_units_without_a_key_before_all() {
        let strategy =
            PriorityStrategy { order_priority: vec!["a".into(), "b".into()], ..PriorityStrategy::default() };
        let units: [&[(&str, &str)]; 6] = [
            &[("b", "x-9")],
            &[("a", "x-2")],
            &[("a", "x-10"), ("b", "x-99")],
            &[],
            &[("a", "x")],
            &[("c", "7")],
        ];
        assert_eq!(sorted(&strategy, &units), [3, 5, 2, 1, 4, 0]);
    }

    #[test]
    fn weights_add_up_and_win_over_orders() {
        let term = |weight, key: &str| WeightTerm {
            weight,
            match_selector: Selector {
                match_labels: [(key.to_owned(), "1".to_owned())].into(),
                ..Selector::default()
            },
        };
        let strategy = PriorityStrategy {
            weight_priority: vec![term(2, "a"), term(3, "b")],
            order_priority: vec!["a".into()],
        };
        let units: [&[(&str, &str)]; 4] = [&[], &[("a", "1")], &[("b", "1")], &[("a", "1"), ("b", "1")]];
        assert_eq!(sorted(&strategy, &units), [3, 2, 1, 0]);
    }

    #[test]
    fn a_number_is_read_from_the_end() {
        let read = ["x-12", "12", "x", "", "1x", "é7", "99999999999999999999"].map(trailing_number);
        assert_eq!(read, [12, 12, 0, 0, 0, 7, 0]);
    }
}
