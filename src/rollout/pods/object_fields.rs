//! Reads the fields of an object: absent and null are the same, and another type is a mismatch.

use crate::model::timestamp::Timestamp;
use crate::rollout::LabelMap;
use crate::yaml::{FieldPath, PathSegment};
use serde_json::{Map, Value};

/// A field with another type than the API has there.
#[derive(Debug)]
pub(super) struct FieldTypeError {
    /// Its path, last segment first.
    steps: Vec<PathSegment>,
    /// The type that the API has there.
    pub(super) expected: &'static str,
}

impl FieldTypeError {
    fn new(at: impl Into<PathSegment>, wanted: &'static str) -> Self {
        Self { steps: vec![at.into()], expected: wanted }
    }

    fn with_parent(mut self, step: impl Into<PathSegment>) -> Self {
        self.steps.push(step.into());
        self
    }

    /// Returns the path of the field from the object that was read.
    pub(super) fn path(&self) -> FieldPath {
        FieldPath::from(self.steps.iter().rev().cloned().collect::<Vec<_>>())
    }
}

/// The fields of an object; an absent object has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct ObjectFields<'a>(Option<&'a Map<String, Value>>);

impl<'a> ObjectFields<'a> {
    /// Returns the fields of a value; None where it is not an object.
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        value.as_object().map(|object| Self(Some(object)))
    }

    fn get(self, key: &str) -> Option<&'a Value> {
        self.0?.get(key).filter(|value| !value.is_null())
    }

    fn read<T>(
        self,
        key: &str,
        wanted: &'static str,
        as_type: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, FieldTypeError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        as_type(value).map(Some).ok_or_else(|| FieldTypeError::new(key, wanted))
    }

    /// Returns whether a field is present.
    pub(super) fn has(self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Reads an object from its fields.
    pub(super) fn read_object<T>(
        self,
        key: &str,
        read: impl FnOnce(Self) -> Result<T, FieldTypeError>,
    ) -> Result<T, FieldTypeError> {
        let object = self.read(key, "a mapping", Value::as_object)?;
        read(Self(object)).map_err(|error| error.with_parent(key))
    }

    /// Reads each object of a list from its fields.
    pub(super) fn read_list<T>(
        self,
        key: &str,
        read: impl Fn(Self) -> Result<T, FieldTypeError>,
    ) -> Result<Vec<T>, FieldTypeError> {
        let items = self.read(key, "a list", Value::as_array)?;
        let item = |(i, item): (usize, &'a Value)| {
            let fields =
                Self::of(item).ok_or_else(|| FieldTypeError::new(i, "a mapping").with_parent(key))?;
            read(fields).map_err(|error| error.with_parent(i).with_parent(key))
        };
        items.into_iter().flatten().enumerate().map(item).collect()
    }

    /// Reads a string; absent, it is empty.
    pub(super) fn read_text(self, key: &str) -> Result<&'a str, FieldTypeError> {
        Ok(self.read(key, "a text", Value::as_str)?.unwrap_or_default())
    }

    /// Reads a boolean; absent, it is false.
    pub(super) fn read_bool(self, key: &str) -> Result<bool, FieldTypeError> {
        Ok(self.read(key, "true or false", Value::as_bool)?.unwrap_or_default())
    }

    /// Reads an integer; absent, it is 0.
    pub(super) fn read_integer(self, key: &str) -> Result<i64, FieldTypeError> {
        Ok(self.read(key, "a whole number", Value::as_i64)?.unwrap_or_default())
    }

    /// Reads a point in time.
    pub(super) fn read_timestamp(self, key: &str) -> Result<Option<Timestamp>, FieldTypeError> {
        let parse = |value: &'a Value| Timestamp::parse(value.as_str()?);
        self.read(key, "a time such as `2026-06-21T10:00:00Z`", parse)
    }

    /// Reads a map of strings.
    pub(super) fn read_text_map(self, key: &str) -> Result<LabelMap, FieldTypeError> {
        let entries = self.read(key, "a mapping", Value::as_object)?;
        let entry = |(name, value): (&'a String, &'a Value)| match value {
            Value::String(text) => Ok((name.clone(), text.clone())),
            // Go reads null as the empty string.
            Value::Null => Ok((name.clone(), String::new())),
            _ => Err(FieldTypeError::new(name.clone(), "a text").with_parent(key)),
        };
        entries.into_iter().flatten().map(entry).collect()
    }
}
