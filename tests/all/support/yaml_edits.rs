//! Generates documents and edits of them, and applies the edits to the values.

use super::yaml_generator::STRINGS;
use pillion::yaml::{FieldPath, PathSegment};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

/// Returns a runner that generates the same cases in every run.
pub(crate) fn runner(cases: u32, seed: u8) -> TestRunner {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (0..STRINGS.len()).prop_map(|i| Value::from(STRINGS[i])),
        1 => (-9i64..99999).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => prop_oneof![Just(json!([])), Just(json!({}))],
    ]
}

fn key() -> impl Strategy<Value = String> {
    let keys = [
        "name",
        "image",
        "env",
        "spec",
        "containers",
        "labels",
        "value",
        "x/y",
        "a.b-c",
        "yes",
        "1",
        "with space",
        "ключ",
        "# k",
        "a: b",
        "on",
    ];
    (0..keys.len()).prop_map(move |i| keys[i].to_owned())
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 40, 5, |inner| {
        let map = prop::collection::vec((key(), inner.clone()), 0..5)
            .prop_map(|e| Value::Object(e.into_iter().collect()));
        let named = prop::collection::vec(inner.clone(), 1..4).prop_map(|items| {
            items
                .into_iter()
                .enumerate()
                .map(|(i, v)| json!({"name": format!("n{i}"), "v": v}))
                .collect::<Value>()
        });
        prop_oneof![3 => map, 2 => prop::collection::vec(inner, 0..4).prop_map(Value::Array), 2 => named]
    })
}

pub(crate) fn document() -> impl Strategy<Value = Value> {
    let shared = prop::collection::vec((key(), leaf()), 1..3)
        .prop_map(|e| e.into_iter().collect::<Map<String, Value>>());
    let entries = prop::collection::vec((key(), value()), 1..5);
    (entries, prop::option::weighted(0.3, shared)).prop_map(|(entries, shared)| {
        let mut root: Map<String, Value> = entries.into_iter().collect();
        if let Some(shared) = shared {
            root.insert("shared".to_owned(), Value::Object(shared.clone()));
            root.insert("again".to_owned(), Value::Object(shared.clone()));
            let mut merged = shared;
            merged.insert("own".to_owned(), json!("kept"));
            root.insert("merged".to_owned(), Value::Object(merged));
        }
        Value::Object(root)
    })
}

/// What is done to a node.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Replace(Value),
    Remove,
    /// Into a list at a place, or into a mapping under a new key.
    Add(usize, Value),
}

pub(crate) fn edits() -> impl Strategy<Value = Vec<(usize, Act)>> {
    let act = prop_oneof![
        2 => value().prop_map(Act::Replace),
        1 => Just(Act::Remove),
        4 => (0usize..4, value()).prop_map(|(n, v)| Act::Add(n, v)),
    ];
    prop::collection::vec((any::<usize>(), act), 1..4)
}

fn paths(value: &Value, at: &FieldPath, out: &mut Vec<FieldPath>) {
    out.push(at.clone());
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| paths(v, &at.child(k.as_str()), out)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| paths(v, &at.child(i), out)),
        _ => {}
    }
}

fn at<'v>(value: &'v mut Value, path: &[PathSegment]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |v, step| match step {
        PathSegment::Key(k) => v.get_mut(k),
        PathSegment::Index(i) => v.get_mut(i),
    })
}

/// Does one act; returns the paths, in the document as it was, that it is about. Acts on what an earlier one made are left out.
fn act(root: &mut Value, path: &FieldPath, act: &Act, added: usize) -> Option<FieldPath> {
    match act {
        Act::Replace(new) => *at(root, path.segments())? = new.clone(),
        Act::Remove => {
            let (last, above) = path.segments().split_last()?;
            match (at(root, above)?, last) {
                (Value::Object(map), PathSegment::Key(k)) if map.len() > 1 => _ = map.shift_remove(k)?,
                _ => return None,
            }
        }
        Act::Add(n, new) => match at(root, path.segments())? {
            Value::Array(items) => items.insert((*n).min(items.len()), new.clone()),
            Value::Object(map) => _ = map.insert(format!("added{added}"), new.clone()),
            _ => return None,
        },
    }
    Some(path.clone())
}

/// Returns a value after edits, and the paths, in the value before them, that the edits are about, each with whether it
/// only adds.
pub(crate) fn apply(root: &Value, edits: &[(usize, Act)]) -> (Value, Vec<(FieldPath, bool)>) {
    let mut all = Vec::new();
    paths(root, &FieldPath::root(), &mut all);
    let (mut new, mut touched) = (root.clone(), Vec::new());
    for (n, (pick, what)) in edits.iter().enumerate() {
        let path = &all[pick % all.len()];
        // A list that shrinks or grows moves its items: later acts on those would be about others.
        let moved = touched.iter().any(|(p, _): &(FieldPath, bool)| {
            p.segments().starts_with(path.segments()) || path.segments().starts_with(p.segments())
        });
        if !moved && let Some(path) = act(&mut new, path, what, n) {
            touched.push((path, matches!(what, Act::Add(..))));
        }
    }
    (new, touched)
}
