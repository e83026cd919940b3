//! How a broken rule becomes a diagnostic: the place, the field as Kruise names it, the words.

use crate::diag::{Code, Diagnostic, Label, Severity};
use crate::model::nearest::nearest;
use crate::model::sidecar_set::findings::Findings;
use crate::model::sidecar_set::places::Places;
use crate::model::sidecar_set::walk::shortened;
use crate::yaml::{Part, Path, Seg};

/// A field: where it stands, and what Kruise calls it.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub(super) path: Path,
    pub(super) field: String,
}

impl Spot {
    pub(super) fn new(path: Path) -> Self {
        Self { field: path.to_string(), path }
    }

    /// Returns the field of an object.
    pub(super) fn child(&self, key: &str) -> Self {
        Self { path: self.path.then(key), field: format!("{}.{key}", self.field) }
    }

    /// Returns an item of a list.
    pub(super) fn item(&self, index: usize) -> Self {
        Self { path: self.path.then(index), field: format!("{}[{index}]", self.field) }
    }

    /// Returns an entry of a map.
    pub(super) fn entry(&self, key: &str) -> Self {
        Self { path: self.path.then(key), field: format!("{}[{key}]", self.field) }
    }

    /// Gives the field another name, where Kruise's differs from its place.
    pub(super) fn called(self, field: impl Into<String>) -> Self {
        Self { field: field.into(), ..self }
    }

    /// Returns the last key on the way.
    pub(super) fn name(&self) -> String {
        let keys = self.path.steps().iter().rev();
        let key = keys.filter_map(|s| match s {
            Seg::Key(k) => Some(shortened(k)),
            Seg::Index(_) => None,
        });
        key.into_iter().next().unwrap_or_else(|| "the set".into())
    }
}

/// Collects what is wrong with one set.
pub(super) struct Report<'a> {
    places: &'a Places,
    found: Findings,
}

impl<'a> Report<'a> {
    pub(super) fn new(places: &'a Places) -> Self {
        Self { places, found: Findings::default() }
    }

    /// Returns what was found.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let label = || self.places.label(&Path::root(), Part::Value, "");
        self.found.into_vec(|message| {
            Diagnostic::note(Code::FurtherFindings, message)
                .at(label())
                .help("mend what is shown, then look again")
        })
    }

    /// Returns how much was found so far.
    pub(super) fn count(&self) -> usize {
        self.found.count()
    }

    pub(super) fn has_errors(&self) -> bool {
        self.found.has_errors()
    }

    /// A field that has to be written.
    pub(super) fn required(&mut self, spot: &Spot, help: &str) {
        let message = format!("`{}` is required", spot.name());
        self.error(Code::MissingField, spot, Part::Key, message, help);
    }

    /// A value that breaks a rule; the rule reads on from "it".
    pub(super) fn invalid(&mut self, spot: &Spot, value: &str, rule: &str) {
        let message = match value {
            "" => format!("`{}` {rule}", spot.name()),
            value => format!("`{}` is no valid `{}`: it {rule}", shortened(value), spot.name()),
        };
        self.error(
            Code::InvalidValue,
            spot,
            Part::Value,
            message,
            &format!("write another `{}`", spot.name()),
        );
    }

    /// A value that is none of those there are.
    pub(super) fn unsupported(&mut self, spot: &Spot, value: &str, supported: &[&'static str]) {
        let message = format!("`{}` has no value `{}`", spot.name(), shortened(value));
        let help = match nearest(value, supported.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use {}", one_of(supported)),
        };
        self.error(Code::UnsupportedValue, spot, Part::Value, message, &help);
    }

    /// A value that may be there once and is there again.
    pub(super) fn duplicate(&mut self, spot: &Spot, value: &str) {
        let message = format!("`{}` is used more than once for `{}`", shortened(value), spot.name());
        self.error(Code::DuplicateValue, spot, Part::Value, message, "give each its own");
    }

    /// A name that nothing has.
    pub(super) fn not_found(&mut self, spot: &Spot, message: String, help: &str) {
        self.error(Code::NotFound, spot, Part::Value, message, help);
    }

    /// A field that may not be written here; the reason reads on from the field's name.
    pub(super) fn forbidden(&mut self, spot: &Spot, reason: &str) {
        let message = format!("`{}` {reason}", spot.name());
        self.error(Code::ForbiddenField, spot, Part::Key, message, "remove it");
    }

    pub(super) fn error(&mut self, code: Code, spot: &Spot, part: Part, message: String, help: &str) {
        self.add(Severity::Error, |places| {
            let found = Diagnostic::error(code, message).at(places.label(&spot.path, part, ""));
            found.field(&spot.field).because("Kruise refuses such a SidecarSet").help(help)
        });
    }

    pub(super) fn warning(&mut self, code: Code, spot: &Spot, part: Part, message: String, help: &str) {
        self.add(Severity::Warning, |places| {
            Diagnostic::warning(code, message)
                .at(places.label(&spot.path, part, ""))
                .field(&spot.field)
                .help(help)
        });
    }

    /// Adds a finding of a severity; it is made only if there is room for it.
    pub(super) fn add(&mut self, severity: Severity, make: impl FnOnce(&Places) -> Diagnostic) {
        let places = self.places;
        self.found.add(severity, || make(places));
    }
}

/// Returns a label at a field.
pub(super) fn label(places: &Places, spot: &Spot, part: Part, text: &str) -> Label {
    places.label(&spot.path, part, text)
}

/// Lists values for people: `a`, `b` or `c`.
pub(super) fn one_of(values: &[&str]) -> String {
    let quoted: Vec<String> =
        values.iter().map(|v| if v.is_empty() { "\"\"".into() } else { format!("`{v}`") }).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
