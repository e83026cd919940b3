//! How a broken rule becomes a diagnostic: the place, the field as Kruise names it, the words.

use crate::diagnostics::{Code, Diagnostic, Severity, Span};
use crate::model::sidecar_set::diagnostic_collector::DiagnosticCollector;
use crate::model::sidecar_set::field_locations::FieldLocations;
use crate::model::sidecar_set::schema::field_at;
use crate::model::sidecar_set::type_check::shorten;
use crate::model::suggestion::closest_match;
use crate::yaml::{EntryPart, FieldPath, PathSegment};

/// A field: where it stands, and what Kruise calls it.
#[derive(Debug, Clone)]
pub(super) struct FieldRef {
    pub(super) path: FieldPath,
    pub(super) field: String,
}

impl FieldRef {
    pub(super) fn new(path: FieldPath) -> Self {
        Self { field: path.to_string(), path }
    }

    /// Returns the field of an object.
    pub(super) fn child(&self, key: &str) -> Self {
        Self { path: self.path.child(key), field: format!("{}.{key}", self.field) }
    }

    /// Returns an item of a list.
    pub(super) fn item(&self, index: usize) -> Self {
        Self { path: self.path.child(index), field: format!("{}[{index}]", self.field) }
    }

    /// Returns an entry of a map.
    pub(super) fn entry(&self, key: &str) -> Self {
        Self { path: self.path.child(key), field: format!("{}[{key}]", self.field) }
    }

    /// Gives the field another name, where Kruise's differs from its place.
    pub(super) fn with_name(self, field: impl Into<String>) -> Self {
        Self { field: field.into(), ..self }
    }

    /// Returns the values of the enumeration that the field takes.
    pub(super) fn values(&self) -> &'static [&'static str] {
        field_at(&self.path).map_or(&[], |f| f.values)
    }

    /// Returns the last key on the way.
    pub(super) fn name(&self) -> String {
        let keys = self.path.segments().iter().rev();
        let key = keys.filter_map(|s| match s {
            PathSegment::Key(k) => Some(shorten(k)),
            PathSegment::Index(_) => None,
        });
        key.into_iter().next().unwrap_or_else(|| "the set".into())
    }
}

/// Collects what is wrong with one set.
pub(super) struct ValidationReport<'a> {
    locations: &'a FieldLocations,
    diagnostics: DiagnosticCollector,
}

impl<'a> ValidationReport<'a> {
    pub(super) fn new(places: &'a FieldLocations) -> Self {
        Self { locations: places, diagnostics: DiagnosticCollector::default() }
    }

    /// Returns what was found.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let label = || self.locations.label(&FieldPath::root(), EntryPart::Value, "");
        self.diagnostics.into_vec(|message| {
            Diagnostic::note(Code::TooManyFindings, message)
                .at(label())
                .help("mend what is shown, then look again")
        })
    }

    /// Returns how much was found so far.
    pub(super) fn count(&self) -> usize {
        self.diagnostics.count()
    }

    pub(super) fn has_errors(&self) -> bool {
        self.diagnostics.has_errors()
    }

    /// A field that has to be written.
    pub(super) fn required(&mut self, spot: &FieldRef, help: &str) {
        let message = format!("`{}` is required", spot.name());
        self.error(Code::MissingField, spot, EntryPart::Key, message, help);
    }

    /// A value that breaks a rule; the rule reads on from "it".
    pub(super) fn invalid(&mut self, spot: &FieldRef, value: &str, rule: &str) {
        let message = match value {
            "" => format!("`{}` {rule}", spot.name()),
            value => format!("`{}` is no valid `{}`: it {rule}", shorten(value), spot.name()),
        };
        self.error(
            Code::InvalidValue,
            spot,
            EntryPart::Value,
            message,
            &format!("write another `{}`", spot.name()),
        );
    }

    /// A value that the enumeration of a field lacks.
    pub(super) fn unsupported(&mut self, spot: &FieldRef, value: &str) {
        self.not_among(spot, value, spot.values());
    }

    /// A value that is none of those there are.
    pub(super) fn not_among(&mut self, spot: &FieldRef, value: &str, supported: &[&'static str]) {
        let message = format!("`{}` has no value `{}`", spot.name(), shorten(value));
        let help = match closest_match(value, supported.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use {}", list_alternatives(supported)),
        };
        self.error(Code::UnsupportedValue, spot, EntryPart::Value, message, &help);
    }

    /// A value that may be there once and is there again.
    pub(super) fn duplicate(&mut self, spot: &FieldRef, value: &str) {
        let message = format!("`{}` is used more than once for `{}`", shorten(value), spot.name());
        self.error(Code::DuplicateValue, spot, EntryPart::Value, message, "give each its own");
    }

    /// A name that nothing has.
    pub(super) fn not_found(&mut self, spot: &FieldRef, message: String, help: &str) {
        self.error(Code::NotFound, spot, EntryPart::Value, message, help);
    }

    /// A field that may not be written here; the reason reads on from the field's name.
    pub(super) fn forbidden(&mut self, spot: &FieldRef, reason: &str) {
        let message = format!("`{}` {reason}", spot.name());
        self.error(Code::ForbiddenField, spot, EntryPart::Key, message, "remove it");
    }

    pub(super) fn error(
        &mut self,
        code: Code,
        spot: &FieldRef,
        part: EntryPart,
        message: String,
        help: &str,
    ) {
        self.add(Severity::Error, |places| {
            let found = Diagnostic::error(code, message).at(places.label(&spot.path, part, ""));
            found.field(&spot.field).because("Kruise refuses such a SidecarSet").help(help)
        });
    }

    pub(super) fn warning(
        &mut self,
        code: Code,
        spot: &FieldRef,
        part: EntryPart,
        message: String,
        help: &str,
    ) {
        self.add(Severity::Warning, |places| {
            Diagnostic::warning(code, message)
                .at(places.label(&spot.path, part, ""))
                .field(&spot.field)
                .help(help)
        });
    }

    /// Adds a finding of a severity; it is made only if there is room for it.
    pub(super) fn add(&mut self, severity: Severity, make: impl FnOnce(&FieldLocations) -> Diagnostic) {
        let places = self.locations;
        self.diagnostics.add(severity, || make(places));
    }
}

/// Returns a label at a field.
pub(super) fn label(places: &FieldLocations, spot: &FieldRef, part: EntryPart, text: &str) -> Span {
    places.label(&spot.path, part, text)
}

/// Lists values for people: `a`, `b` or `c`.
pub(super) fn list_alternatives(values: &[&str]) -> String {
    let quoted: Vec<String> =
        values.iter().map(|v| if v.is_empty() { "\"\"".into() } else { format!("`{v}`") }).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
