//! Reports violations of the validation rules as diagnostics.

use super::format::FormatViolation;
use crate::diagnostics::{Code, Diagnostic, Severity};
use crate::model::sidecar_set::diagnostic_collector::DiagnosticCollector;
use crate::model::sidecar_set::field_locations::FieldLocations;
use crate::model::sidecar_set::schema::field_at;
use crate::model::sidecar_set::type_check::shorten;
use crate::model::suggestion::closest_match;
use crate::yaml::{EntryPart, FieldPath, PathSegment};
use std::ops::RangeInclusive;

/// A field: its path in the SidecarSet, and the path that Kruise reports.
#[derive(Debug, Clone)]
pub(super) struct FieldRef {
    pub(super) path: FieldPath,
    pub(super) reported_path: String,
}

impl FieldRef {
    pub(super) fn new(path: FieldPath) -> Self {
        Self { reported_path: path.to_string(), path }
    }

    /// Returns a field of the object.
    pub(super) fn child(&self, key: &str) -> Self {
        Self { path: self.path.child(key), reported_path: format!("{}.{key}", self.reported_path) }
    }

    /// Returns an item of the list.
    pub(super) fn item(&self, index: usize) -> Self {
        Self { path: self.path.child(index), reported_path: format!("{}[{index}]", self.reported_path) }
    }

    /// Returns an entry of the map.
    pub(super) fn entry(&self, key: &str) -> Self {
        Self { path: self.path.child(key), reported_path: format!("{}[{key}]", self.reported_path) }
    }

    /// Replaces the reported path, where Kruise's differs from the path of the field.
    pub(super) fn reported_as(self, path: impl Into<String>) -> Self {
        Self { reported_path: path.into(), ..self }
    }

    /// Returns the values of the field's enumeration.
    pub(super) fn values(&self) -> &'static [&'static str] {
        field_at(&self.path).map_or(&[], |f| f.values)
    }

    /// Returns the last key of the path.
    pub(super) fn name(&self) -> String {
        let mut segments = self.path.segments().iter().rev();
        let name = segments.find_map(|segment| match segment {
            PathSegment::Key(key) => Some(shorten(key)),
            PathSegment::Index(_) => None,
        });
        name.unwrap_or_else(|| "the set".into())
    }
}

/// Collects the diagnostics of one SidecarSet.
pub(super) struct ValidationReport<'a> {
    locations: &'a FieldLocations,
    diagnostics: DiagnosticCollector,
}

impl<'a> ValidationReport<'a> {
    pub(super) fn new(locations: &'a FieldLocations) -> Self {
        Self { locations, diagnostics: DiagnosticCollector::default() }
    }

    /// Returns the diagnostics.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics.into_vec(self.locations)
    }

    /// Returns a key of an object as it is written that was probably meant to be one of `fields`, and which.
    pub(super) fn misspelled_key(
        &self,
        object: &FieldPath,
        fields: &[&'static str],
    ) -> Option<(String, &'static str)> {
        let written = self.locations.locate(object).find(self.locations.document.value())?.as_object()?;
        let unknown = written.keys().filter(|key| field_at(&object.child(key.as_str())).is_none());
        let meant = |key: &String| Some((key.clone(), closest_match(key, fields.iter().copied())?));
        unknown.filter_map(meant).next()
    }

    /// Returns the number of diagnostics so far.
    pub(super) fn count(&self) -> usize {
        self.diagnostics.count()
    }

    pub(super) fn has_errors(&self) -> bool {
        self.diagnostics.has_errors()
    }

    /// Reports a missing field.
    pub(super) fn required(&mut self, field: &FieldRef, help: &str) {
        let message = format!("`{}` is required", field.name());
        self.error(Code::MissingField, field, EntryPart::Key, message, help);
    }

    /// Reports a value that violates a rule. The rule continues a sentence that starts with "it".
    pub(super) fn invalid(&mut self, field: &FieldRef, value: &str, rule: &str) {
        self.invalid_with_help(field, value, rule, &format!("change `{}`", field.name()));
    }

    /// As [`Self::invalid`], with what to do.
    pub(super) fn invalid_with_help(&mut self, field: &FieldRef, value: &str, rule: &str, help: &str) {
        let name = field.name();
        let message = match value {
            "" => format!("`{name}` {rule}"),
            value => format!("`{}` is not a valid `{name}`: it {rule}", shorten(value)),
        };
        self.error(Code::InvalidValue, field, EntryPart::Value, message, help);
    }

    /// Reports a value with a format violation, if there is one.
    pub(super) fn check_format(&mut self, field: &FieldRef, value: &str, violation: FormatViolation) {
        if let Some(rule) = violation {
            self.invalid(field, value, rule);
        }
    }

    /// Reports a number outside a range.
    pub(super) fn check_range(&mut self, field: &FieldRef, number: i64, range: RangeInclusive<i64>) {
        if !range.contains(&number) {
            let rule = format!("must be from {} to {}", range.start(), range.end());
            self.invalid(field, &number.to_string(), &rule);
        }
    }

    /// Reports a value that is not in the enumeration of its field.
    pub(super) fn unsupported(&mut self, field: &FieldRef, value: &str) {
        self.not_among(field, value, field.values());
    }

    /// Reports a value that is not among the supported ones.
    pub(super) fn not_among(&mut self, field: &FieldRef, value: &str, supported: &[&'static str]) {
        let message = format!("`{}` is not a valid value of `{}`", shorten(value), field.name());
        let help = match closest_match(value, supported.iter().copied()) {
            Some(closest) => format!("did you mean `{closest}`?"),
            None => format!("use {}", list_alternatives(supported)),
        };
        self.error(Code::UnsupportedValue, field, EntryPart::Value, message, &help);
    }

    /// Reports a value that must be unique and is not.
    pub(super) fn duplicate(&mut self, field: &FieldRef, value: &str) {
        let message = format!("duplicate value `{}` of `{}`", shorten(value), field.name());
        self.error(Code::DuplicateValue, field, EntryPart::Value, message, "use a unique value");
    }

    /// Reports a name that refers to nothing.
    pub(super) fn not_found(&mut self, field: &FieldRef, message: String, help: &str) {
        self.error(Code::NotFound, field, EntryPart::Value, message, help);
    }

    /// Reports a field that is not allowed here. The reason continues a sentence that starts with the field's name.
    pub(super) fn forbidden(&mut self, field: &FieldRef, reason: &str) {
        let message = format!("`{}` {reason}", field.name());
        self.error(Code::ForbiddenField, field, EntryPart::Key, message, "remove the field");
    }

    /// Reports an object that must have exactly one of two fields.
    pub(super) fn not_exactly_one(&mut self, field: &FieldRef, object: &str, keys: [&str; 2]) {
        let message = format!("{object} must have exactly one of `{}` and `{}`", keys[0], keys[1]);
        self.error(Code::InvalidValue, field, EntryPart::Key, message, "write exactly one of the two");
    }

    /// Reports two fields that exclude each other.
    pub(super) fn not_together(&mut self, code: Code, field: &FieldRef, keys: [&str; 2]) {
        let message = format!("`{}` and `{}` cannot be used together", keys[0], keys[1]);
        self.error(code, field, EntryPart::Key, message, "keep one of the two fields");
    }

    pub(super) fn error(
        &mut self,
        code: Code,
        field: &FieldRef,
        part: EntryPart,
        message: String,
        help: &str,
    ) {
        self.add(Severity::Error, |locations| {
            let diagnostic = Diagnostic::error(code, message).at(locations.label(&field.path, part, ""));
            diagnostic.field(&field.reported_path).because("Kruise rejects this SidecarSet").help(help)
        });
    }

    pub(super) fn warning(
        &mut self,
        code: Code,
        field: &FieldRef,
        part: EntryPart,
        message: String,
        help: &str,
    ) {
        self.add(Severity::Warning, |locations| {
            let diagnostic = Diagnostic::warning(code, message).at(locations.label(&field.path, part, ""));
            diagnostic.field(&field.reported_path).help(help)
        });
    }

    /// Adds a diagnostic of a severity. `make` runs only below the limit of the collector.
    pub(super) fn add(&mut self, severity: Severity, make: impl FnOnce(&FieldLocations) -> Diagnostic) {
        let locations = self.locations;
        self.diagnostics.add(severity, || make(locations));
    }
}

/// Lists values in words: `a`, `b` or `c`.
pub(super) fn list_alternatives(values: &[&str]) -> String {
    let quoted: Vec<String> =
        values.iter().map(|v| if v.is_empty() { "\"\"".into() } else { format!("`{v}`") }).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
