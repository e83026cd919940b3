//! The API types of a SidecarSet as tables: field names, types, enumerations, defaults, and how Go encodes each field.
//!
//! `types` is generated from the Go types. `validate` has the rules that no type states: rules between fields, formats
//! of names, ranges of numbers.

use crate::model::suggestion::closest_match;
use crate::yaml::{FieldPath, PathSegment};

#[rustfmt::skip]
mod types;

pub(crate) use types::{
    RESOURCES_POLICY, SIDECAR_CONTAINER, SIDECAR_SET_INJECT_REVISION, SIDECAR_SET_SPEC_V1BETA1,
    SIDECAR_SET_UPDATE_STRATEGY, SIDECAR_SET_V1ALPHA1, SIDECAR_SET_V1BETA1,
};

/// The type of a field's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ValueType {
    /// A string.
    String,
    /// `true` or `false`.
    Bool,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// A resource quantity: a string or a number.
    Quantity,
    /// A whole number of 32 bits or a string.
    IntOrString,
    /// A time in RFC 3339.
    Time,
    /// Any value.
    Any,
    /// A map of strings.
    StringMap,
    /// A map of quantities.
    QuantityMap,
    /// A list of strings.
    StringList,
    /// A list of objects.
    ObjectList(&'static ObjectSchema),
    /// An object with known fields.
    Object(&'static ObjectSchema),
}

/// How Go encodes a field without content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// A value with `omitempty`: omitted when empty, but objects are always encoded.
    OmitEmpty,
    /// A value without `omitempty`: always encoded.
    Always,
    /// A pointer with `omitempty`: omitted when unset, kept when empty.
    Pointer,
    /// A pointer without `omitempty`: `null` when unset.
    Nullable,
}

/// A field of an API type.
#[derive(Debug)]
pub(crate) struct FieldSchema {
    /// The JSON name.
    pub(crate) name: &'static str,
    /// The type of its value.
    pub(crate) value_type: ValueType,
    /// How Go encodes it when it has no content.
    pub(crate) presence: Presence,
    /// The API requires it.
    pub(crate) is_required: bool,
    /// The values of its enumeration; empty where any value is allowed.
    pub(crate) values: &'static [&'static str],
    /// The default of the CRD.
    pub(crate) default: Option<&'static str>,
    /// The CRD has a schema for its content.
    pub(crate) has_schema: bool,
}

impl FieldSchema {
    const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    const fn one_of(self, values: &'static [&'static str]) -> Self {
        Self { values, ..self }
    }

    const fn schemaless(self) -> Self {
        Self { has_schema: false, ..self }
    }

    const fn with_default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// Returns the type of the object, or of the objects of the list.
    fn object(&self) -> Option<&'static ObjectSchema> {
        match self.value_type {
            ValueType::Object(object) | ValueType::ObjectList(object) => Some(object),
            _ => None,
        }
    }
}

/// An API type.
#[derive(Debug)]
pub(crate) struct ObjectSchema {
    /// The name of the Go type.
    pub(crate) name: &'static str,
    /// The embedded type; its fields come first.
    pub(crate) base: Option<&'static Self>,
    /// Its own fields, in Go's order.
    pub(crate) fields: &'static [FieldSchema],
}

impl ObjectSchema {
    /// Returns all fields in Go's order.
    pub(crate) fn all_fields(&self) -> impl Iterator<Item = &'static FieldSchema> {
        self.base.map_or(&[][..], |b| b.fields).iter().chain(self.fields)
    }

    /// Returns the field of a name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static FieldSchema> {
        self.all_fields().find(|f| f.name == name)
    }

    /// Returns the only field with an object that has a field `name`: the parent of a key indented one level too little.
    pub(crate) fn parent_of(&self, name: &str) -> Option<&'static str> {
        let has_name =
            |f: &&FieldSchema| matches!(f.value_type, ValueType::Object(o) if o.field(name).is_some());
        let mut parents = self.all_fields().filter(has_name);
        let parent = parents.next()?;
        parents.next().is_none().then_some(parent.name)
    }

    /// Returns the field with the name closest to a misspelled one.
    pub(crate) fn closest_field(&self, name: &str) -> Option<&'static str> {
        closest_match(name, self.all_fields().map(|f| f.name))
    }
}

impl ValueType {
    /// Returns the type in words for messages: `a string`.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Bool => "`true` or `false`",
            Self::Int32 | Self::Int64 => "a whole number",
            Self::Quantity => "a quantity such as `100m` or `1Gi`",
            Self::IntOrString => "a whole number or a string",
            Self::Time => "a time",
            Self::Any => "any value",
            Self::StringMap => "a mapping of strings",
            Self::QuantityMap => "a mapping of quantities",
            Self::StringList => "a list of strings",
            Self::ObjectList(_) => "a list",
            Self::Object(_) => "a mapping",
        }
    }
}

/// Returns the field of a SidecarSet at a path.
pub(crate) fn field_at(path: &FieldPath) -> Option<&'static FieldSchema> {
    let mut keys = path.segments().iter().filter_map(|segment| match segment {
        PathSegment::Key(key) => Some(key),
        PathSegment::Index(_) => None,
    });
    let first = SIDECAR_SET_V1BETA1.field(keys.next()?)?;
    keys.try_fold(first, |field, key| field.object()?.field(key))
}

/// Returns the required fields of the object at a path that take a string or a list of strings.
pub(crate) fn required_strings(path: &FieldPath) -> impl Iterator<Item = &'static str> {
    let fields = field_at(path).and_then(FieldSchema::object).into_iter().flat_map(ObjectSchema::all_fields);
    let is_string = |f: &FieldSchema| matches!(f.value_type, ValueType::String | ValueType::StringList);
    fields.filter(move |f| f.is_required && is_string(f)).map(|f| f.name)
}

const fn field(name: &'static str, value_type: ValueType, presence: Presence) -> FieldSchema {
    FieldSchema {
        name,
        value_type,
        presence,
        is_required: false,
        values: &[],
        default: None,
        has_schema: true,
    }
}

const fn value(name: &'static str, value_type: ValueType) -> FieldSchema {
    field(name, value_type, Presence::OmitEmpty)
}

const fn always(name: &'static str, value_type: ValueType) -> FieldSchema {
    field(name, value_type, Presence::Always)
}

const fn pointer(name: &'static str, value_type: ValueType) -> FieldSchema {
    field(name, value_type, Presence::Pointer)
}

const fn nullable(name: &'static str, value_type: ValueType) -> FieldSchema {
    field(name, value_type, Presence::Nullable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn suggests_the_closest_field() {
        let spec = &SIDECAR_SET_SPEC_V1BETA1;
        assert_eq!(spec.closest_field("contianers"), Some("containers"));
        assert_eq!(spec.closest_field("Containers"), Some("containers"));
        assert_eq!(spec.closest_field("initcontainer"), Some("initContainers"));
        assert_eq!(spec.closest_field("frobnicate"), None);
        assert_eq!(spec.closest_field(&"x".repeat(1_000_000)), None);
    }

    /// Returns the paths of fields that have no row, and are not in an object of which each field has one.
    fn fields_without_row(field: &FieldSchema, path: &str, rows: &[&str]) -> Vec<String> {
        let has_row = rows.iter().any(|row| row.split('`').skip(1).step_by(2).any(|name| name == path));
        match field.object() {
            _ if has_row => Vec::new(),
            Some(object) => {
                let below = object.all_fields();
                below.flat_map(|f| fields_without_row(f, &format!("{path}.{}", f.name), rows)).collect()
            }
            None => vec![path.to_owned()],
        }
    }

    #[test]
    fn every_field_has_a_row_in_the_page_about_support() {
        let page = include_str!("../../../../docs/support.md");
        let rows: Vec<&str> =
            page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
        let specs = [&SIDECAR_SET_V1BETA1, &SIDECAR_SET_V1ALPHA1].map(|set| set.field("spec").unwrap());
        let mut missing: Vec<String> =
            specs.iter().flat_map(|spec| fields_without_row(spec, "spec", &rows)).collect();
        let own = SIDECAR_CONTAINER.fields.iter();
        missing.extend(own.flat_map(|field| fields_without_row(field, field.name, &rows)));
        assert!(missing.is_empty(), "docs/support.md has no row for {missing:?}");
    }

    /// A test of tests/e2e compares `types.rs` with the output of the generator.
    #[test]
    fn types_are_generated_from_these_sources() {
        let sources = [
            include_str!("../../../../tests/e2e/tools/schema/additions/v1.9.0.go"),
            include_str!("../../../../tests/e2e/tools/schema/additions.go"),
            include_str!("../../../../tests/e2e/tools/schema/go.mod"),
            include_str!("../../../../tests/e2e/tools/schema/go.sum"),
            include_str!("../../../../tests/e2e/tools/schema/main.go"),
            include_str!("../../../../tests/e2e/tools/schema/read.go"),
            include_str!("../../../../tests/e2e/tools/schema/rust.go"),
        ];
        let digest: String =
            Sha256::digest(sources.concat()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(include_str!("types.rs").contains(&digest), "run `just schema`");
    }
}
