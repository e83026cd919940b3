//! The path from the root of a document to a node.

use serde_json::{Map, Value};
use std::fmt;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathSegment {
    /// The value of a mapping key.
    Key(String),
    /// An item of a sequence, from 0.
    Index(usize),
}

impl From<&str> for PathSegment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<String> for PathSegment {
    fn from(key: String) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for PathSegment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The way from the root to a node; shown as Kubernetes shows field paths (`spec.containers[0].name`).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(Vec<PathSegment>);

impl FieldPath {
    /// Returns the path of the root.
    pub fn root() -> Self {
        Self::default()
    }

    /// Returns the path of plain keys separated by dots (`spec.template.spec`).
    pub fn dotted(keys: &str) -> Self {
        Self(keys.split('.').filter(|k| !k.is_empty()).map(PathSegment::from).collect())
    }

    /// Returns the path one step further down.
    #[must_use]
    pub fn child(&self, segment: impl Into<PathSegment>) -> Self {
        let mut steps = self.0.clone();
        steps.push(segment.into());
        Self(steps)
    }

    /// Returns this path followed by another.
    #[must_use]
    pub(crate) fn join(&self, further: &Self) -> Self {
        Self(self.0.iter().chain(&further.0).cloned().collect())
    }

    /// Returns the value that the path leads to, where it leads to one.
    pub fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(value, |value, segment| match segment {
            PathSegment::Key(key) => value.get(key),
            PathSegment::Index(i) => value.get(i),
        })
    }

    /// Returns the path from a place above to this one; `base` leads to that place.
    #[must_use]
    pub(crate) fn relative_to(&self, base: &Self) -> Self {
        Self(self.0.get(base.0.len()..).unwrap_or_default().to_vec())
    }

    /// Puts a value at the path; mappings that are missing on the way, or are not mappings, are made.
    pub(crate) fn replace_in(&self, whole: &mut Value, new: Value) {
        let mut place = whole;
        for step in &self.0 {
            place = match step {
                PathSegment::Key(key) => {
                    if !place.is_object() {
                        *place = Value::Object(Map::new());
                    }
                    match place.as_object_mut() {
                        Some(map) => map.entry(key.clone()).or_insert(Value::Null),
                        None => return,
                    }
                }
                PathSegment::Index(i) => match place.get_mut(*i) {
                    Some(item) => item,
                    None => return,
                },
            };
        }
        *place = new;
    }

    /// Returns a copy of a value with another one at the path, which is there.
    pub(crate) fn copy_with(&self, whole: &Value, new: Value) -> Value {
        fn copy(whole: &Value, steps: &[PathSegment], new: Value) -> Value {
            let Some((step, below)) = steps.split_first() else { return new };
            let mut new = Some(new);
            let mut part = |is_changed: bool, old: &Value| match new.take_if(|_| is_changed) {
                Some(new) => copy(old, below, new),
                None => old.clone(),
            };
            match (whole, step) {
                (Value::Object(map), PathSegment::Key(key)) => {
                    map.iter().map(|(k, old)| (k.clone(), part(k == key, old))).collect()
                }
                (Value::Array(items), PathSegment::Index(index)) => {
                    items.iter().enumerate().map(|(i, old)| part(i == *index, old)).collect()
                }
                _ => whole.clone(),
            }
        }
        copy(whole, &self.0, new)
    }

    /// Returns the steps.
    pub fn segments(&self) -> &[PathSegment] {
        &self.0
    }
}

impl From<Vec<PathSegment>> for FieldPath {
    fn from(steps: Vec<PathSegment>) -> Self {
        Self(steps)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            match segment {
                PathSegment::Key(k)
                    if !k.is_empty()
                        && k.chars().all(|c| c.is_ascii_alphanumeric() || "_-/$".contains(c)) =>
                {
                    write!(f, "{}{k}", if i > 0 { "." } else { "" })?;
                }
                PathSegment::Key(k) => write!(f, "[{k:?}]")?,
                PathSegment::Index(n) => write!(f, "[{n}]")?,
            }
        }
        Ok(())
    }
}
