//! Matches the items of an old list with those of a new one.

use serde_json::Value;
use std::collections::BTreeMap;

/// One step from the old list to the new one, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AlignStep {
    /// Old item `.0` became new item `.1`; they may differ.
    Keep(usize, usize),
    /// Old item `.0` is gone.
    Remove(usize),
    /// New item `.0` is put here.
    Insert(usize),
}

/// Products of lengths up to which lists are compared item by item with item.
const MAX_TABLE: usize = 1 << 20;

/// Aligns two lists: by name, where every item has a name of its own, else by equality.
pub(super) fn align_items(old: &[Value], new: &[Value]) -> Vec<AlignStep> {
    let front = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let back = old[front..].iter().rev().zip(new[front..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_mid, new_mid) = (&old[front..old.len() - back], &new[front..new.len() - back]);
    let named = item_names(old).zip(item_names(new)).is_some();
    let common = match item_names(old_mid).zip(item_names(new_mid)) {
        Some((a, b)) if named => pair_by_name(&a, &b),
        _ => pair_by_equality(old_mid, new_mid),
    };
    let mut steps: Vec<AlignStep> = (0..front).map(|i| AlignStep::Keep(i, i)).collect();
    let (mut i, mut j) = (0, 0);
    let ends = (old_mid.len(), new_mid.len());
    for (a, b) in common.into_iter().chain([ends]) {
        // Runs of the same length between two common items changed one by one. A name refers to its item, but an
        // item that only got another name is still the same.
        let same_length = a - i == b - j;
        let pairs = (old_mid.get(i..a).unwrap_or_default().iter()).zip(new_mid.get(j..b).unwrap_or_default());
        if same_length && (!named || pairs.clone().all(|(a, b)| is_likely_rename(a, b))) {
            steps.extend((0..a - i).map(|n| AlignStep::Keep(front + i + n, front + j + n)));
        } else {
            steps.extend((i..a).map(|n| AlignStep::Remove(front + n)));
            steps.extend((j..b).map(|n| AlignStep::Insert(front + n)));
        }
        if (a, b) != ends {
            steps.push(AlignStep::Keep(front + a, front + b));
        }
        (i, j) = (a + 1, b + 1);
    }
    let shift = |n: usize| (old.len() - back + n, new.len() - back + n);
    steps.extend((0..back).map(shift).map(|(a, b)| AlignStep::Keep(a, b)));
    steps
}

/// What tells an item of a list from the others: its name; of an object of Kubernetes also kind, version and namespace.
type ItemName<'v> = (&'v str, [Option<&'v str>; 3]);

/// Returns the names of the items, where each has one and no two are the same.
fn item_names(items: &[Value]) -> Option<Vec<ItemName<'_>>> {
    let names: Vec<ItemName<'_>> = items.iter().map(item_name).collect::<Option<_>>()?;
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.windows(2).all(|w| w[0] != w[1]).then_some(names)
}

fn item_name(item: &Value) -> Option<ItemName<'_>> {
    if let Some(name) = item.get("name") {
        return Some((name.as_str()?, [None; 3]));
    }
    let metadata = item.get("metadata")?;
    let place = [item.get("kind"), item.get("apiVersion"), metadata.get("namespace")];
    Some((metadata.get("name")?.as_str()?, place.map(|value| value.and_then(Value::as_str))))
}

/// Returns whether two items share at least half of what they have besides a name.
fn is_likely_rename(old: &Value, new: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return false };
    let same = old.iter().filter(|(key, value)| new.get(*key) == Some(value)).count();
    same * 2 + 1 >= old.len().max(new.len()) && same > 0
}

/// Returns pairs of the same name, as many as can be had in the order of both lists.
fn pair_by_name(old: &[ItemName<'_>], new: &[ItemName<'_>]) -> Vec<(usize, usize)> {
    let places: BTreeMap<&ItemName<'_>, usize> = new.iter().enumerate().map(|(j, n)| (n, j)).collect();
    let pairs: Vec<(usize, usize)> =
        old.iter().enumerate().filter_map(|(i, n)| Some((i, *places.get(n)?))).collect();
    longest_increasing(&pairs)
}

/// Returns the longest run of pairs with rising second numbers.
fn longest_increasing(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // `tails[n]` ends the best run of length n + 1; `before` links each pair to the one before it in its run.
    let mut tails: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (at, pair) in pairs.iter().enumerate() {
        let length = tails.partition_point(|&t| pairs[t].1 < pair.1);
        before.push(length.checked_sub(1).map(|l| tails[l]));
        if length == tails.len() {
            tails.push(at);
        } else {
            tails[length] = at;
        }
    }
    let mut run: Vec<(usize, usize)> =
        std::iter::successors(tails.last().copied(), |&t| before[t]).map(|t| pairs[t]).collect();
    run.reverse();
    run
}

/// Returns pairs of equal items: a longest common subsequence; none where the lists are too long for one.
fn pair_by_equality(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    let (rows, columns) = (old.len(), new.len());
    if rows == 0 || columns == 0 || rows.saturating_mul(columns) > MAX_TABLE {
        return Vec::new();
    }
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut kind = |v: &Value| {
        let next = kinds.len();
        *kinds.entry(v.to_string()).or_insert(next)
    };
    let (a, b): (Vec<usize>, Vec<usize>) =
        (old.iter().map(&mut kind).collect(), new.iter().map(&mut kind).collect());
    let width = columns + 1;
    let mut best = vec![0u32; (rows + 1) * width];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            best[i * width + j] = if a[i] == b[j] {
                best[(i + 1) * width + j + 1] + 1
            } else {
                best[(i + 1) * width + j].max(best[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut common) = (0, 0, Vec::new());
    while i < rows && j < columns {
        if a[i] == b[j] {
            common.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if best[(i + 1) * width + j + 1] == best[i * width + j] {
            // An item that changed is better than one that goes and another that comes.
            (i, j) = (i + 1, j + 1);
        } else if best[(i + 1) * width + j] >= best[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::AlignStep::{Insert, Keep, Remove};
    use super::*;
    use serde_json::json;

    fn steps(old: Value, new: Value) -> Vec<AlignStep> {
        align_items(old.as_array().unwrap(), new.as_array().unwrap())
    }

    #[test]
    fn lists_align_by_name_or_equality() {
        let n = |name: &str, x: u8| json!({"name": name, "x": x});
        assert_eq!(
            steps(json!([n("a", 1), n("b", 1)]), json!([n("s", 1), n("a", 2), n("b", 1)])),
            [Insert(0), Keep(0, 1), Keep(1, 2)]
        );
        assert_eq!(
            steps(json!([n("a", 1), n("b", 1)]), json!([n("c", 2), n("b", 2)])),
            [Remove(0), Insert(0), Keep(1, 1)]
        );
        assert_eq!(steps(json!([n("a", 1), n("b", 1)]), json!([n("b", 1), n("a", 1)])).len(), 3);
        assert_eq!(steps(json!([1, 2, 3]), json!([1, 9, 3])), [Keep(0, 0), Keep(1, 1), Keep(2, 2)]);
        assert_eq!(
            steps(json!([1, 2, 3]), json!([2, 4, 3, 5])),
            [Remove(0), Keep(1, 0), Insert(1), Keep(2, 2), Insert(3)]
        );
        assert_eq!(steps(json!([]), json!([1])), [Insert(0)]);
    }

    #[test]
    fn objects_align_by_kind_namespace_and_name() {
        let o = |kind: &str, namespace: &str, x: u8| json!({"kind": kind, "metadata": {"name": "a", "namespace": namespace}, "x": x});
        // All changed, and the first is gone: without names, none would be kept.
        assert_eq!(
            steps(
                json!([o("A", "n", 1), o("B", "n", 1), o("B", "m", 1)]),
                json!([o("B", "n", 2), o("B", "m", 2)])
            ),
            [Remove(0), Keep(1, 0), Keep(2, 1)]
        );
        // One object twice: by equality.
        assert_eq!(
            steps(json!([o("A", "n", 1), o("A", "n", 2)]), json!([o("A", "n", 2)])),
            [Remove(0), Keep(1, 0)]
        );
    }
}
