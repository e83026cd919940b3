//! Values that go into many documents, and the items of new lists.

use super::canonical_numbers::has_noncanonical_number;
use super::emit::{self, BlockStyle};
use serde_json::Value;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// Texts of one value that are kept: the documents of a repository have few layouts.
const MAX_TEXTS: usize = 8;

/// A value that goes into many documents as an item of a list, and its texts as they were written before.
#[derive(Debug)]
pub(crate) struct SharedValue {
    value: Value,
    has_noncanonical_number: bool,
    texts: Mutex<Vec<ItemText>>,
}

/// The lines of an item behind a dash in a column.
#[derive(Debug)]
struct ItemText {
    column: usize,
    style: BlockStyle,
    lines: Arc<str>,
}

impl SharedValue {
    /// Makes a value ready to be shared.
    pub(crate) fn new(value: Value) -> Self {
        let has_noncanonical_number = has_noncanonical_number(&value);
        Self { value, has_noncanonical_number, texts: Mutex::default() }
    }

    /// Returns the value.
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// Returns its lines as an item of a list, as [`emit::item_lines`] writes them.
    fn item_lines(&self, column: usize, style: BlockStyle) -> Arc<str> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = texts.iter().find(|text| text.column == column && text.style == style) {
            return Arc::clone(&known.lines);
        }
        let lines: Arc<str> = emit::item_lines(&self.value, column, style).into();
        if texts.len() < MAX_TEXTS {
            texts.push(ItemText { column, style, lines: Arc::clone(&lines) });
        }
        lines
    }
}

/// An item of a new list.
#[derive(Debug, Clone)]
pub(crate) enum ListItem<'a> {
    /// A value by reference, nearly always an item of the old list.
    Kept(&'a Value),
    /// A new one that other documents get too.
    Shared(Arc<SharedValue>),
    /// A new one of this document alone.
    New(Value),
}

impl Deref for ListItem<'_> {
    type Target = Value;

    fn deref(&self) -> &Value {
        match self {
            Self::Kept(value) => value,
            Self::Shared(shared) => &shared.value,
            Self::New(value) => value,
        }
    }
}

impl ListItem<'_> {
    /// Returns the item for changes.
    pub(crate) fn to_mut(&mut self) -> &mut Value {
        if !matches!(self, Self::New(_)) {
            *self = Self::New(Value::clone(self));
        }
        match self {
            Self::New(value) => value,
            Self::Kept(_) | Self::Shared(_) => unreachable!("it was made a new one"),
        }
    }

    /// Returns the value of the item.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::New(value) => value,
            other => Value::clone(&other),
        }
    }

    /// Returns its lines, each with a line break before it.
    pub(super) fn lines(&self, column: usize, style: BlockStyle) -> Arc<str> {
        match self {
            Self::Shared(shared) => shared.item_lines(column, style),
            Self::Kept(_) | Self::New(_) => emit::item_lines(self, column, style).into(),
        }
    }

    /// Returns whether it has a number that would be written in another way.
    pub(super) fn has_noncanonical_number(&self) -> bool {
        match self {
            Self::Kept(_) => false,
            Self::Shared(shared) => shared.has_noncanonical_number,
            Self::New(value) => has_noncanonical_number(value),
        }
    }
}

/// The items of a new list, by index.
#[derive(Clone, Copy)]
pub(super) enum NewItems<'v> {
    Values(&'v [Value]),
    Items(&'v [ListItem<'v>]),
}

impl<'v> NewItems<'v> {
    pub(super) fn value(self, index: usize) -> &'v Value {
        match self {
            Self::Values(values) => &values[index],
            Self::Items(items) => &items[index],
        }
    }

    /// Returns the lines of an item, each with a line break before it.
    pub(super) fn lines(self, index: usize, column: usize, style: BlockStyle) -> Arc<str> {
        match self {
            Self::Values(values) => emit::item_lines(&values[index], column, style).into(),
            Self::Items(items) => items[index].lines(column, style),
        }
    }
}
