//! The API types a SidecarSet is made of, as data: field names, kinds, values, and how Go writes each field.
//!
//! `types` is generated from the Go types; what no type says (rules between fields, formats of names, ranges of
//! numbers) is in `validate`.

use crate::model::suggestion::closest_match;
use crate::yaml::{FieldPath, PathSegment};
use Type::{
    Any, Bool, Int32, Int64, IntOrText, Object as Obj, Objects, Quantity, QuantityMap, Text, TextMap, Texts,
    Time,
};

#[rustfmt::skip]
mod types;

pub(crate) use types::{
    RESOURCES_POLICY, SIDECAR_CONTAINER, SIDECAR_SET_INJECT_REVISION, SIDECAR_SET_SPEC_V1BETA1,
    SIDECAR_SET_V1ALPHA1, SIDECAR_SET_V1BETA1,
};

/// The kind of value a field takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Type {
    /// A string.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// A resource quantity: a string or a number.
    Quantity,
    /// A whole number of 32 bits or a string.
    IntOrText,
    /// A time in RFC 3339.
    Time,
    /// Anything.
    Any,
    /// A map of strings.
    TextMap,
    /// A map of quantities.
    QuantityMap,
    /// A list of strings.
    Texts,
    /// A list of objects.
    Objects(&'static Object),
    /// An object with known fields.
    Object(&'static Object),
}

/// How Go's encoder treats a field without content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// A value with `omitempty`: left out when empty, but objects are always written.
    OmitEmpty,
    /// A value without `omitempty`: always written.
    Always,
    /// A pointer with `omitempty`: left out when nobody wrote it, kept when empty.
    Pointer,
    /// A pointer without `omitempty`: `null` when nobody wrote it.
    Nullable,
}

/// One field of an object.
#[derive(Debug)]
pub(crate) struct Field {
    /// The JSON name.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Type,
    /// How it is written when empty.
    pub(crate) presence: Presence,
    /// The API requires it.
    pub(crate) is_required: bool,
    /// The values of an enumeration; empty where any will do.
    pub(crate) values: &'static [&'static str],
    /// The value that the CRD fills in where nothing is written.
    pub(crate) default: Option<&'static str>,
    /// The CRD has a schema for its content.
    pub(crate) has_schema: bool,
}

impl Field {
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

    /// Returns the type of the object, or of the objects, that it takes.
    fn object(&self) -> Option<&'static Object> {
        match self.kind {
            Obj(of) | Objects(of) => Some(of),
            _ => None,
        }
    }
}

/// An API type.
#[derive(Debug)]
pub(crate) struct Object {
    /// The name of the Go type.
    pub(crate) name: &'static str,
    /// The type it embeds, whose fields come first.
    pub(crate) base: Option<&'static Self>,
    /// Its own fields, in the order Go writes them.
    pub(crate) fields: &'static [Field],
}

impl Object {
    /// Returns every field in the order Go writes them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'static Field> {
        self.base.map_or(&[][..], |b| b.fields).iter().chain(self.fields)
    }

    /// Returns the field of a name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.all().find(|f| f.name == name)
    }

    /// Returns the only field whose object has a field `name`: there it belongs that stands one level too high.
    pub(crate) fn parent_of(&self, name: &str) -> Option<&'static str> {
        let mut parents = self.all().filter(|f| matches!(f.kind, Obj(inner) if inner.field(name).is_some()));
        let parent = parents.next()?;
        parents.next().is_none().then_some(parent.name)
    }

    /// Returns the field somebody who wrote `name` most probably meant.
    pub(crate) fn nearest(&self, name: &str) -> Option<&'static str> {
        closest_match(name, self.all().map(|f| f.name))
    }
}

impl Type {
    /// Names the kind for people: `a string`.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Text => "a string",
            Bool => "`true` or `false`",
            Int32 | Int64 => "a whole number",
            Quantity => "a quantity such as `100m` or `1Gi`",
            IntOrText => "a whole number or a string",
            Time => "a time",
            Any => "anything",
            TextMap => "a mapping of strings",
            QuantityMap => "a mapping of quantities",
            Texts => "a list of strings",
            Objects(_) => "a list",
            Obj(_) => "a mapping",
        }
    }
}

/// Returns the field of a SidecarSet at a path.
pub(crate) fn field_at(path: &FieldPath) -> Option<&'static Field> {
    let mut keys = path.segments().iter().filter_map(|step| match step {
        PathSegment::Key(key) => Some(key),
        PathSegment::Index(_) => None,
    });
    let first = SIDECAR_SET_V1BETA1.field(keys.next()?)?;
    keys.try_fold(first, |field, key| field.object()?.field(key))
}

/// Returns the required fields of the object at a path that are strings or lists of strings.
pub(crate) fn required_texts(path: &FieldPath) -> impl Iterator<Item = &'static str> {
    let fields = field_at(path).and_then(Field::object).into_iter().flat_map(Object::all);
    fields.filter(|f| f.is_required && matches!(f.kind, Text | Texts)).map(|f| f.name)
}

const fn field(name: &'static str, kind: Type, presence: Presence) -> Field {
    Field { name, kind, presence, is_required: false, values: &[], default: None, has_schema: true }
}

const fn value(name: &'static str, kind: Type) -> Field {
    field(name, kind, Presence::OmitEmpty)
}

const fn always(name: &'static str, kind: Type) -> Field {
    field(name, kind, Presence::Always)
}

const fn pointer(name: &'static str, kind: Type) -> Field {
    field(name, kind, Presence::Pointer)
}

const fn nullable(name: &'static str, kind: Type) -> Field {
    field(name, kind, Presence::Nullable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn suggests_the_field_that_was_meant() {
        let spec = &SIDECAR_SET_SPEC_V1BETA1;
        assert_eq!(spec.nearest("contianers"), Some("containers"));
        assert_eq!(spec.nearest("Containers"), Some("containers"));
        assert_eq!(spec.nearest("initcontainer"), Some("initContainers"));
        assert_eq!(spec.nearest("frobnicate"), None);
        assert_eq!(spec.nearest(&"x".repeat(1_000_000)), None);
    }

    /// That `types.rs` is what the generator prints is a test of tests/e2e.
    #[test]
    fn types_are_of_this_generator() {
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
