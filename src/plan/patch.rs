//! Which steps of an RFC 6902 JSON Patch lead from one object to another?
//!
//! Each value that is replaced or removed is tested before, so that a patch for another object is refused. Lists of
//! named things (containers, volumes, variables) are compared by name, so that one more in front is one step.

use crate::yaml::{Path, Seg};
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation, RemoveOperation, ReplaceOperation, TestOperation};
use serde_json::{Map, Value};

/// The longest lists that are compared by name: the comparison takes the product of both lengths.
const MOST_COMPARED: usize = 512;

/// Returns the steps from `old` to `new`, which stand at `base` of their documents; what is at `first` of them comes
/// before the rest.
pub fn patches(old: &Value, new: &Value, base: &Path, first: &Path) -> Vec<PatchOperation> {
    let mut steps = Steps { at: base.steps().to_vec(), found: Vec::new() };
    match (first.find(old), first.find(new)) {
        (Some(before), Some(after)) if before != after && !first.steps().is_empty() => {
            steps.at.extend_from_slice(first.steps());
            steps.value(before, after);
            steps.at.truncate(base.steps().len());
            let mut between = old.clone();
            if let Some(place) = find_mut(&mut between, first) {
                place.clone_from(after);
            }
            steps.value(&between, new);
        }
        _ => steps.value(old, new),
    }
    steps.found
}

/// Collects steps at the place where it is.
struct Steps {
    at: Vec<Seg>,
    found: Vec<PatchOperation>,
}

impl Steps {
    fn value(&mut self, old: &Value, new: &Value) {
        match (old, new) {
            _ if old == new => {}
            (Value::Object(old), Value::Object(new)) => self.mapping(old, new),
            (Value::Array(old), Value::Array(new)) if old.len().max(new.len()) <= MOST_COMPARED => {
                self.list(old, new);
            }
            _ => self.replace(old, new),
        }
    }

    fn mapping(&mut self, old: &Map<String, Value>, new: &Map<String, Value>) {
        for (key, before) in old {
            self.at.push(key.as_str().into());
            match new.get(key) {
                Some(after) => self.value(before, after),
                None => self.remove(before),
            }
            self.at.pop();
        }
        for (key, after) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
            self.at.push(key.as_str().into());
            self.add(after);
            self.at.pop();
        }
    }

    /// What has no partner goes first, from the end; so the indexes before it stay right.
    fn list(&mut self, old: &[Value], new: &[Value]) {
        let pairs = pairs(old, new);
        for i in (0..old.len()).rev().filter(|i| !pairs.iter().any(|(o, _)| o == i)) {
            self.at.push(i.into());
            self.remove(&old[i]);
            self.at.pop();
        }
        for (i, after) in new.iter().enumerate() {
            self.at.push(i.into());
            match pairs.iter().find(|(_, n)| *n == i) {
                Some((o, _)) => self.value(&old[*o], after),
                None => self.add(after),
            }
            self.at.pop();
        }
    }

    fn replace(&mut self, old: &Value, new: &Value) {
        self.test(old);
        let path = self.pointer();
        self.found.push(PatchOperation::Replace(ReplaceOperation { path, value: new.clone() }));
    }

    fn remove(&mut self, old: &Value) {
        self.test(old);
        let path = self.pointer();
        self.found.push(PatchOperation::Remove(RemoveOperation { path }));
    }

    fn add(&mut self, new: &Value) {
        let path = self.pointer();
        self.found.push(PatchOperation::Add(AddOperation { path, value: new.clone() }));
    }

    fn test(&mut self, old: &Value) {
        let path = self.pointer();
        self.found.push(PatchOperation::Test(TestOperation { path, value: old.clone() }));
    }

    fn pointer(&self) -> PointerBuf {
        PointerBuf::from_tokens(self.at.iter().map(|step| match step {
            Seg::Key(key) => key.clone(),
            Seg::Index(i) => i.to_string(),
        }))
    }
}

/// Pairs the items of two lists that are the same thing, in the order of both: by name, or where nothing has a
/// name, by value and then by index.
fn pairs(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    let is_named = |list: &[Value]| list.iter().all(|item| name(item).is_some());
    if is_named(old) && is_named(new) {
        return longest(old, new, |a, b| name(a) == name(b));
    }
    if old.len() == new.len() {
        return (0..old.len()).map(|i| (i, i)).collect();
    }
    longest(old, new, |a, b| a == b)
}

fn name(item: &Value) -> Option<&str> {
    item.get("name").and_then(Value::as_str)
}

/// The longest common subsequence: pairs of indexes, ascending.
fn longest(old: &[Value], new: &[Value], same: impl Fn(&Value, &Value) -> bool) -> Vec<(usize, usize)> {
    let mut length = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            length[i][j] = if same(&old[i], &new[j]) {
                length[i + 1][j + 1] + 1
            } else {
                length[i + 1][j].max(length[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < old.len() && j < new.len() {
        if same(&old[i], &new[j]) {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if length[i + 1][j] >= length[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

fn find_mut<'a>(value: &'a mut Value, path: &Path) -> Option<&'a mut Value> {
    path.steps().iter().try_fold(value, |value, step| match step {
        Seg::Key(key) => value.get_mut(key),
        Seg::Index(i) => value.get_mut(i),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(old: &Value, new: &Value) -> Value {
        json!(patches(old, new, &Path::root(), &Path::dotted("spec.template")))
    }

    #[test]
    fn what_is_replaced_or_removed_is_tested_before() {
        let old = json!({"spec": {"strategy": {"partition": 5, "type": "x"}, "template": {"image": "a:1"}}});
        let new =
            json!({"spec": {"strategy": {"type": "x", "more": {"n": 1}}, "template": {"image": "a:2"}}});
        let wanted = json!([
            {"op": "test", "path": "/spec/template/image", "value": "a:1"},
            {"op": "replace", "path": "/spec/template/image", "value": "a:2"},
            {"op": "test", "path": "/spec/strategy/partition", "value": 5},
            {"op": "remove", "path": "/spec/strategy/partition"},
            {"op": "add", "path": "/spec/strategy/more", "value": {"n": 1}},
        ]);
        assert_eq!(written(&old, &new), wanted);
    }

    #[test]
    fn one_more_container_is_one_step() {
        let old = json!([{"name": "app", "args": [1]}, {"name": "old"}]);
        let new = json!([{"name": "log"}, {"name": "app", "args": [1, 2]}]);
        let wanted = json!([
            {"op": "test", "path": "/1", "value": {"name": "old"}},
            {"op": "remove", "path": "/1"},
            {"op": "add", "path": "/0", "value": {"name": "log"}},
            {"op": "add", "path": "/1/args/1", "value": 2},
        ]);
        assert_eq!(json!(patches(&old, &new, &Path::root(), &Path::root())), wanted);
    }

    #[test]
    fn pointers_are_escaped_and_relative_to_the_document() {
        let (old, new) = (json!({"a/b~c": {}}), json!({"a/b~c": {"": 1}}));
        let base = Path::dotted("items").then(3);
        let wanted = json!([{"op": "add", "path": "/items/3/a~1b~0c/", "value": 1}]);
        assert_eq!(json!(patches(&old, &new, &base, &Path::root())), wanted);
    }
}
