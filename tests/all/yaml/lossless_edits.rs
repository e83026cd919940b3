//! Edits of unusual documents: the result has the wanted meaning, and all other lines are preserved.

use crate::support::yaml_generator::{Choices, STRINGS, Written, write};
use pillion::diagnostics::Code;
use pillion::yaml::{Document, FieldPath, PathSegment, emit};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

fn runner(cases: u32, seed: u8) -> TestRunner {
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

fn value() -> impl Strategy<Value = Value> {
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

fn document() -> impl Strategy<Value = Value> {
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
enum Act {
    Replace(Value),
    Remove,
    /// Into a list at a place, or into a mapping under a new key.
    Add(usize, Value),
}

fn edits() -> impl Strategy<Value = Vec<(usize, Act)>> {
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

/// Returns the lines of the text that the edits may change or take away.
fn may_change(written: &Written, touched: &[(FieldPath, bool)]) -> BTreeSet<usize> {
    let mut lines = BTreeSet::new();
    for (path, adds_only) in touched {
        // The deepest thing around it that is written in flow style changes as a whole.
        let flow = (0..=path.segments().len())
            .map(|n| path.segments()[..n].iter().fold(FieldPath::root(), |p, s| p.child(s.clone())))
            .find(|p| written.flow.contains(p));
        let range = match (&flow, adds_only) {
            (Some(flow), _) => written.lines.get(flow),
            (None, true) => None,
            // An item with another name is another item.
            (None, false) => match path.segments() {
                [above @ .., PathSegment::Index(i), PathSegment::Key(key)] if key == "name" => written
                    .lines
                    .get(&above.iter().fold(FieldPath::root(), |p, s| p.child(s.clone())).child(*i)),
                _ => written.lines.get(path),
            },
        };
        lines.extend(range.cloned().into_iter().flatten());
    }
    lines
}

/// Says which line is lost, where one is.
fn lost(before: &str, after: &str, free: &BTreeSet<usize>, removes: bool) -> Option<String> {
    // Where the first entry behind a dash goes, the next one moves up to it, and own comments go with an entry. What is put
    // before the first item of a list that shares a line with another dash moves that item down.
    let nested = before
        .lines()
        .any(|l| l.trim_start().strip_prefix('-').is_some_and(|r| r.trim_start().starts_with('-')));
    let shown = |line: &str| {
        line.trim_start_matches(|c| c == '\u{feff}' || (removes || nested) && (c == ' ' || c == '-'))
            .to_owned()
    };
    let mut left = after.lines();
    before.lines().enumerate().find_map(|(n, line)| {
        let blank = line.trim_start_matches('\u{feff}').trim();
        if free.contains(&n) || removes && (blank.is_empty() || blank.starts_with('#')) {
            return None;
        }
        let mut rest = left.clone();
        match rest.find(|l| shown(l) == shown(line)) {
            Some(_) => left = rest,
            None => return Some(format!("line {} is lost: {line:?}", n + 1)),
        }
        None
    })
}

/// Runs one case; the answer is what is wrong.
fn case(root: &Value, choices: &[u16], edits: &[(usize, Act)]) -> Result<(), String> {
    let written = write(root, &mut Choices::new(choices));
    let file: Arc<str> = "odd.yaml".into();
    let document = Document::read(&file, 0, 1, &written.text)
        .map_err(|d| format!("not read: {} at {:?}", d.message, d.spans[0]))?;
    if document.value() != root {
        return Err(format!("read as {} instead of {root}", document.value()));
    }
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
    let text = match document.rewrite(&FieldPath::root(), &new) {
        Ok(text) => text,
        Err(d) if d.code == Code::AliasedNode && root.get("shared").is_some() => return Ok(()),
        Err(d) => {
            return Err(format!("refused: {} {:?}\n{}\n--- wanted {new}", d.message, d.spans, written.text));
        }
    };
    let again =
        Document::read(&file, 0, 1, &text).map_err(|d| format!("not read again: {}\n{text}", d.message))?;
    if again.value() != &new {
        return Err(format!("means {} instead of {new}\n{text}", again.value()));
    }
    if again.rewrite(&FieldPath::root(), &new).as_deref() != Ok(&text) {
        return Err("a second time changes it".to_owned());
    }
    let crlf = written.text.contains("\r\n");
    if text.contains('\r') != crlf && text.contains('\n') && written.text.contains('\n')
        || crlf && text.matches('\n').count() != text.matches("\r\n").count()
    {
        return Err(format!("line ends differ\n{text}"));
    }
    let removes = touched.iter().any(|(_, adds)| !adds);
    match lost(&written.text, &text, &may_change(&written, &touched), removes) {
        Some(line) => Err(format!("{line}\n--- before\n{}\n--- after\n{text}", written.text)),
        None => Ok(()),
    }
}

#[test]
fn edits_of_odd_documents_lose_nothing() {
    let input = (document(), prop::collection::vec(any::<u16>(), 0..300), edits());
    let outcome = runner(1500, 1)
        .run(&input, |(root, choices, edits)| case(&root, &choices, &edits).map_err(TestCaseError::fail));
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn whole_documents_are_read_back() {
    let outcome = runner(400, 2).run(&value(), |value| {
        let text = emit(&value);
        let read =
            Document::read(&"new.yaml".into(), 0, 1, &text).map_err(|d| TestCaseError::fail(d.message))?;
        prop_assert_eq!(read.value(), &value, "{}", text);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}
