//! `updateStrategy.scatterStrategy`: spreads units with certain labels over the rollout.

use super::LabelMap;
use crate::model::sidecar_set::ScatterTerm;
use std::cmp::Reverse;

/// Returns the order with the units of each term scattered. `order` has indexes into `units`, which are all matched
/// units, updated ones included.
///
/// Kruise v1.9.0 updatesort/scatter_sort.go and sidecarset_strategy.go parseUpdateScatterTerms.
pub fn scatter(terms: &[ScatterTerm], units: &[&LabelMap], order: Vec<usize>) -> Vec<usize> {
    let expanded = expand_wildcards(terms, units);
    sort_by_frequency(expanded, units, &order)
        .into_iter()
        .fold(order, |order, term| spread(&term, units, order))
}

/// Returns the terms for workloads: a term without a value applies to every value of its key, as `*` does. Kruise
/// would look for pods with an empty or absent label, which is never what the author of a bare key meant.
pub(crate) fn workload_terms(terms: &[ScatterTerm]) -> Vec<ScatterTerm> {
    let every = |term: &ScatterTerm| match term.value.is_empty() {
        true => ScatterTerm { key: term.key.clone(), value: "*".to_owned() },
        false => term.clone(),
    };
    terms.iter().map(every).collect()
}

/// Expands `*` to all existing values; each term stays once.
fn expand_wildcards(terms: &[ScatterTerm], units: &[&LabelMap]) -> Vec<ScatterTerm> {
    let mut expanded: Vec<ScatterTerm> = Vec::new();
    let mut add = |term: ScatterTerm| {
        if !expanded.contains(&term) {
            expanded.push(term);
        }
    };
    for term in terms {
        if term.value == "*" {
            let values = units.iter().filter_map(|labels| labels.get(&term.key));
            values.for_each(|v| add(ScatterTerm { key: term.key.clone(), value: v.clone() }));
        } else {
            add(term.clone());
        }
    }
    expanded
}

/// Sorts several terms by the number of waiting units, most first, and drops those without any; a single term is left
/// as it is.
fn sort_by_frequency(terms: Vec<ScatterTerm>, units: &[&LabelMap], order: &[usize]) -> Vec<ScatterTerm> {
    if terms.len() == 1 {
        return terms;
    }
    let count = |term: &ScatterTerm| {
        order.iter().filter(|unit| units[**unit].get(&term.key) == Some(&term.value)).count()
    };
    let mut counted: Vec<(usize, ScatterTerm)> = terms.into_iter().map(|t| (count(&t), t)).collect();
    counted.retain(|(count, _)| *count > 0);
    counted.sort_by_key(|(count, _)| Reverse(*count));
    counted.into_iter().map(|(_, term)| term).collect()
}

/// Mixes the units of a term with the others, in groups. One of them is kept for the end.
fn spread(term: &ScatterTerm, units: &[&LabelMap], order: Vec<usize>) -> Vec<usize> {
    // Kruise compares with Go's map lookup, in which an absent label is an empty text.
    let is_match = |unit: usize| units[unit].get(&term.key).map_or("", String::as_str) == term.value;
    let (mut matched, others): (Vec<usize>, Vec<usize>) = order.iter().partition(|unit| is_match(**unit));
    if matched.len() <= 1 || others.len() <= 1 {
        return order;
    }
    let last = matched.pop();
    let in_all = (0..units.len()).filter(|unit| is_match(*unit)).count();
    let groups = ScatterGroups::of(in_all - 1, units.len() - in_all, matched.len(), others.len());
    let (first, others) = others.split_at(groups.leading_others);
    let (mut matched, mut others) = (matched.into_iter(), others.iter().copied());
    let mut spread = first.to_vec();
    for _ in 0..groups.count {
        spread.extend(matched.by_ref().take(groups.matched_per_group));
        spread.extend(others.by_ref().take(groups.others_per_group));
    }
    spread.extend(matched.chain(others).chain(last));
    spread
}

/// How two groups of units are mixed.
struct ScatterGroups {
    /// The number of groups.
    count: usize,
    /// Matched units in each group.
    matched_per_group: usize,
    /// Other units in each group.
    others_per_group: usize,
    /// Other units before the first group.
    leading_others: usize,
}

impl ScatterGroups {
    /// Kruise v1.9.0 calculateGroupByDensity: where relatively more others wait than there are, the groups are those
    /// of all units, and the others that do not fit go first. Numbers of matched units are one too small: the last
    /// one is kept apart.
    fn of(all_matched: usize, all_others: usize, matched: usize, others: usize) -> Self {
        let smaller = matched.min(others);
        // Single precision, as in Kruise: another precision would decide some ties differently.
        if all_others as f32 / all_matched as f32 >= others as f32 / matched as f32 {
            return Self {
                count: smaller,
                matched_per_group: divide_rounded(matched, smaller),
                others_per_group: divide_rounded(others, smaller),
                leading_others: 0,
            };
        }
        let smaller_of_all = all_matched.min(all_others);
        let (in_group, others_in_group) =
            (divide_rounded(all_matched, smaller_of_all), divide_rounded(all_others, smaller_of_all));
        let number = (matched / in_group).min(others / others_in_group);
        Self {
            count: number,
            matched_per_group: in_group,
            others_per_group: others_in_group,
            leading_others: others - number * others_in_group,
        }
    }
}

/// Divides and rounds, halves up.
fn divide_rounded(amount: usize, by: usize) -> usize {
    (2 * amount + by) / (2 * by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(value: &str) -> ScatterTerm {
        ScatterTerm { key: "k".into(), value: value.into() }
    }

    /// Scatters units with these values of one label, and shows the values in their new order.
    fn scattered(terms: &[&str], values: &str, waiting: &[usize]) -> String {
        let units: Vec<LabelMap> =
            values.chars().map(|c| [("k".to_owned(), c.to_string())].into_iter().collect()).collect();
        let terms: Vec<ScatterTerm> = terms.iter().map(|v| term(v)).collect();
        let order = scatter(&terms, &units.iter().collect::<Vec<_>>(), waiting.to_vec());
        order.into_iter().map(|unit| &*units[unit]["k"]).collect()
    }

    fn all(values: &str) -> Vec<usize> {
        (0..values.len()).collect()
    }

    #[test]
    fn matched_units_are_spread_from_first_to_last() {
        let values = "aaaxxxxxx";
        assert_eq!(scattered(&["a"], values, &all(values)), "axxxaxxxa");
        let values = "xxxxxxaaaa";
        assert_eq!(scattered(&["a"], values, &all(values)), "axxaxxaxxa");
    }

    #[test]
    fn a_key_alone_means_every_value_of_workloads_and_no_value_of_pods() {
        let values = "aaabbbbbcc";
        assert_eq!(workload_terms(&[term(""), term("a")]), [term("*"), term("a")]);
        assert_eq!(scattered(&[""], values, &all(values)), values);
    }

    #[test]
    fn few_units_stay_as_they_are() {
        for values in ["axxx", "aaax", "aaa", "xxx", "", "a"] {
            assert_eq!(scattered(&["a"], values, &all(values)), values);
        }
        assert_eq!(scattered(&[], "aaxx", &all("aaxx")), "aaxx");
    }

    #[test]
    fn others_go_first_where_too_many_are_left() {
        // The groups of all units are one and one; of the four others that wait, three fit into none.
        assert_eq!(scattered(&["a"], "aaxxxxaa", &[0, 1, 2, 3, 4, 5]), "xxxaxa");
    }

    #[test]
    fn a_star_stands_for_all_values_the_most_frequent_first() {
        let values = "aaabbbbbcc";
        assert_eq!(
            scattered(&["*"], values, &all(values)),
            scattered(&["b", "a", "c"], values, &all(values))
        );
        assert_eq!(
            scattered(&["a", "*", "a"], values, &all(values)),
            scattered(&["*"], values, &all(values))
        );
    }
}
