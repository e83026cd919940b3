//! Computes the RFC 6902 JSON Patch between two objects.
//!
//! Each replaced or removed value is tested first, so that a patch for another object is refused. Lists of named
//! items (containers, volumes, variables) are compared by name, so that an item inserted in front is one operation.

use crate::yaml::{FieldPath, PathSegment};
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation, RemoveOperation, ReplaceOperation, TestOperation};
use serde_json::{Map, Value};

/// The longest lists that are compared by name: the comparison costs the product of both lengths.
const MAX_COMPARED: usize = 512;

/// Returns the operations from `old` to `new`, which are at `base` of their documents; operations below `first` come
/// before all others.
pub fn json_patch_between(
    old: &Value,
    new: &Value,
    base: &FieldPath,
    first: &FieldPath,
) -> Vec<PatchOperation> {
    let mut steps = PatchBuilder { path: base.segments().to_vec(), operations: Vec::new() };
    match (first.find(old), first.find(new)) {
        (Some(before), Some(after)) if before != after && !first.segments().is_empty() => {
            steps.path.extend_from_slice(first.segments());
            steps.diff_values(before, after);
            steps.path.truncate(base.segments().len());
            let mut between = old.clone();
            if let Some(place) = find_mut(&mut between, first) {
                place.clone_from(after);
            }
            steps.diff_values(&between, new);
        }
        _ => steps.diff_values(old, new),
    }
    steps.operations
}

/// Collects operations at the current path.
struct PatchBuilder {
    path: Vec<PathSegment>,
    operations: Vec<PatchOperation>,
}

impl PatchBuilder {
    fn diff_values(&mut self, old: &Value, new: &Value) {
        match (old, new) {
            _ if old == new => {}
            (Value::Object(old), Value::Object(new)) => self.diff_mappings(old, new),
            (Value::Array(old), Value::Array(new)) if old.len().max(new.len()) <= MAX_COMPARED => {
                self.diff_lists(old, new);
            }
            _ => self.push_replace(old, new),
        }
    }

    fn diff_mappings(&mut self, old: &Map<String, Value>, new: &Map<String, Value>) {
        for (key, before) in old {
            self.path.push(key.as_str().into());
            match new.get(key) {
                Some(after) => self.diff_values(before, after),
                None => self.push_remove(before),
            }
            self.path.pop();
        }
        for (key, after) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
            self.path.push(key.as_str().into());
            self.push_add(after);
            self.path.pop();
        }
    }

    /// Items without a partner are removed first, from the end, so that earlier indexes stay valid.
    fn diff_lists(&mut self, old: &[Value], new: &[Value]) {
        let pairs = pair_items(old, new);
        for i in (0..old.len()).rev().filter(|i| !pairs.iter().any(|(o, _)| o == i)) {
            self.path.push(i.into());
            self.push_remove(&old[i]);
            self.path.pop();
        }
        for (i, after) in new.iter().enumerate() {
            self.path.push(i.into());
            match pairs.iter().find(|(_, n)| *n == i) {
                Some((o, _)) => self.diff_values(&old[*o], after),
                None => self.push_add(after),
            }
            self.path.pop();
        }
    }

    fn push_replace(&mut self, old: &Value, new: &Value) {
        self.push_test(old);
        let path = self.pointer();
        self.operations.push(PatchOperation::Replace(ReplaceOperation { path, value: new.clone() }));
    }

    fn push_remove(&mut self, old: &Value) {
        self.push_test(old);
        let path = self.pointer();
        self.operations.push(PatchOperation::Remove(RemoveOperation { path }));
    }

    fn push_add(&mut self, new: &Value) {
        let path = self.pointer();
        self.operations.push(PatchOperation::Add(AddOperation { path, value: new.clone() }));
    }

    fn push_test(&mut self, old: &Value) {
        let path = self.pointer();
        self.operations.push(PatchOperation::Test(TestOperation { path, value: old.clone() }));
    }

    fn pointer(&self) -> PointerBuf {
        PointerBuf::from_tokens(self.path.iter().map(|step| match step {
            PathSegment::Key(key) => key.clone(),
            PathSegment::Index(i) => i.to_string(),
        }))
    }
}

/// Pairs the items of two lists, in the order of both: by name, or where nothing has a name, by value and then by
/// index.
fn pair_items(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    let is_named = |list: &[Value]| list.iter().all(|item| item_name(item).is_some());
    if is_named(old) && is_named(new) {
        return longest_common_subsequence(old, new, |a, b| item_name(a) == item_name(b));
    }
    if old.len() == new.len() {
        return (0..old.len()).map(|i| (i, i)).collect();
    }
    longest_common_subsequence(old, new, |a, b| a == b)
}

fn item_name(item: &Value) -> Option<&str> {
    item.get("name").and_then(Value::as_str)
}

/// Returns the longest common subsequence: pairs of indexes, ascending.
fn longest_common_subsequence(
    old: &[Value],
    new: &[Value],
    same: impl Fn(&Value, &Value) -> bool,
) -> Vec<(usize, usize)> {
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

fn find_mut<'a>(value: &'a mut Value, path: &FieldPath) -> Option<&'a mut Value> {
    path.segments().iter().try_fold(value, |value, step| match step {
        PathSegment::Key(key) => value.get_mut(key),
        PathSegment::Index(i) => value.get_mut(i),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(old: &Value, new: &Value) -> Value {
        json!(json_patch_between(old, new, &FieldPath::root(), &FieldPath::dotted("spec.template")))
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
        assert_eq!(json!(json_patch_between(&old, &new, &FieldPath::root(), &FieldPath::root())), wanted);
    }

    #[test]
    fn pointers_are_escaped_and_relative_to_the_document() {
        let (old, new) = (json!({"a/b~c": {}}), json!({"a/b~c": {"": 1}}));
        let base = FieldPath::dotted("items").child(3);
        let wanted = json!([{"op": "add", "path": "/items/3/a~1b~0c/", "value": 1}]);
        assert_eq!(json!(json_patch_between(&old, &new, &base, &FieldPath::root())), wanted);
    }
}
