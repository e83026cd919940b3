//! `updateStrategy.priorityStrategy`: orders units by priority.

use super::LabelMap;
use crate::model::sidecar_set::PriorityStrategy;

/// Sorts units by priority; units of equal priority keep their order. `order` has indexes into `units`.
///
/// Kruise v1.9.0 updatesort/priority_sort.go: where both lists are set, the weights count.
pub(crate) fn sort_by_priority(strategy: &PriorityStrategy, units: &[&LabelMap], order: &mut [usize]) {
    if !strategy.weight_priority.is_empty() {
        order.sort_by_cached_key(|unit| std::cmp::Reverse(total_weight(strategy, units[*unit])));
    } else if !strategy.order_priority.is_empty() {
        order.sort_by_cached_key(|unit| order_level(strategy, units[*unit]));
    }
}

/// Returns the sum of the weights of all matching terms.
fn total_weight(strategy: &PriorityStrategy, labels: &LabelMap) -> i64 {
    let matching = strategy.weight_priority.iter().filter(|t| t.match_selector.matches(labels));
    matching.fold(0, |sum, term| sum.saturating_add(term.weight))
}

/// Compares by the first listed key that the unit has, larger numbers first; units with none of the keys come before
/// all others.
fn order_level(strategy: &PriorityStrategy, labels: &LabelMap) -> (Option<usize>, std::cmp::Reverse<i64>) {
    let keys = strategy.order_priority.iter().enumerate();
    let found = keys.filter_map(|(i, key)| Some((i, labels.get(key)?))).next();
    let number = found.map_or(0, |(_, value)| trailing_number(value));
    (found.map(|(i, _)| i), std::cmp::Reverse(number))
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

    fn sorted(strategy: &PriorityStrategy, units: &[&[(&str, &str)]]) -> Vec<usize> {
        let labels = |pairs: &&[(&str, &str)]| -> LabelMap {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let units: Vec<LabelMap> = units.iter().map(labels).collect();
        let mut order: Vec<usize> = (0..units.len()).collect();
        sort_by_priority(strategy, &units.iter().collect::<Vec<_>>(), &mut order);
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
