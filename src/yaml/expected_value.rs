//! The value that an edited text must have: the old value of the document with the changes of the edit.

use super::field_path::PathSegment;
use super::shared_value::ListItem;
use serde_json::Value;

/// A value, and another value that replaces a part of it at a path.
#[derive(Clone, Copy)]
pub(super) struct ExpectedValue<'a> {
    pub(super) value: &'a Value,
    change: ExpectedChange<'a>,
}

/// What replaces parts of a value.
#[derive(Clone, Copy)]
enum ExpectedChange<'a> {
    None,
    /// Another value at a path.
    At(&'a [PathSegment], &'a Value),
    /// Parts below the node at a path.
    Parts(&'a [PathSegment], &'a [PartChange<'a>]),
    /// Parts of this very mapping.
    Own(&'a [PartChange<'a>]),
}

/// A step down in a value.
#[derive(Clone, Copy)]
pub(super) enum ValueStep<'k> {
    Key(&'k str),
    Index(usize),
}

impl ValueStep<'_> {
    fn is(self, segment: &PathSegment) -> bool {
        match (self, segment) {
            (Self::Key(key), PathSegment::Key(wanted)) => key == wanted,
            (Self::Index(index), PathSegment::Index(wanted)) => index == *wanted,
            _ => false,
        }
    }
}

impl<'a> ExpectedValue<'a> {
    /// Applies the change where it replaces this very value.
    pub(super) fn resolve(self) -> Self {
        match self.change {
            ExpectedChange::At([], new) => Self::unchanged(new),
            _ => self,
        }
    }

    /// Returns `old` with another value at a path.
    pub(super) fn with_change(old: &'a Value, at: &'a [PathSegment], new: &'a Value) -> Self {
        Self { value: old, change: ExpectedChange::At(at, new) }
    }

    /// Returns `old` with the parts below the node at a path.
    pub(super) fn with_parts(old: &'a Value, at: &'a [PathSegment], parts: &'a [PartChange<'a>]) -> Self {
        Self { value: old, change: ExpectedChange::Parts(at, parts) }
    }

    /// Returns the mapping `old` with entries of its own.
    pub(super) fn with_entries(old: &'a Value, entries: &'a [PartChange<'a>]) -> Self {
        Self { value: old, change: ExpectedChange::Own(entries) }
    }

    /// Returns a value that stays as it is.
    pub(super) fn unchanged(value: &'a Value) -> Self {
        Self { value, change: ExpectedChange::None }
    }

    /// Returns what is wanted of a value one step below this one.
    #[inline]
    pub(super) fn below(self, value: &'a Value, step: ValueStep<'_>) -> Self {
        match self.change {
            ExpectedChange::None => Self::unchanged(value),
            _ => self.changed_below(value, step),
        }
    }

    fn changed_below(self, value: &'a Value, step: ValueStep<'_>) -> Self {
        let change = match self.change {
            ExpectedChange::At([first, rest @ ..], new) if step.is(first) => ExpectedChange::At(rest, new),
            ExpectedChange::Parts([first, rest @ ..], parts) if step.is(first) => {
                ExpectedChange::Parts(rest, parts)
            }
            ExpectedChange::Parts([], parts) => {
                let of_step =
                    |part: &PartChange<'_>| matches!(step, ValueStep::Key(key) if key == part.keys[0]);
                let own = parts.chunk_by(|a, b| a.keys[0] == b.keys[0]).find(|all| of_step(&all[0]));
                own.map_or(ExpectedChange::None, ExpectedChange::Own)
            }
            _ => ExpectedChange::None,
        };
        Self { value, change }.resolve()
    }

    /// Returns the parts that replace values of this mapping, or are added to it, with their keys.
    pub(super) fn own_parts(self) -> impl Iterator<Item = (&'static str, &'a PartContent<'a>)> {
        let parts = match self.change {
            ExpectedChange::Own(parts) => parts,
            _ => &[],
        };
        parts.iter().map(|part| (part.keys[1], &part.content))
    }

    pub(super) fn key(self, key: &str) -> Option<Self> {
        Some(self.below(self.value.get(key)?, ValueStep::Key(key)))
    }

    pub(super) fn item(self, n: usize) -> Option<Self> {
        Some(self.below(self.value.get(n)?, ValueStep::Index(n)))
    }
}

/// The new content of a place below a node.
#[derive(Debug)]
pub(crate) struct PartChange<'a> {
    /// The keys from the node to the place.
    pub(crate) keys: [&'static str; 2],
    /// What is to be there.
    pub(crate) content: PartContent<'a>,
}

/// What is to be at a place.
#[derive(Debug)]
pub(crate) enum PartContent<'a> {
    /// A list. Items that stay are those of the document's value, by reference.
    Items(Vec<ListItem<'a>>),
    /// Another value.
    Value(Value),
}
