//! How a broken rule becomes a diagnostic: the place, the field as Kruise names it, the words.

use crate::diag::{Code, Diagnostic, Label};
use crate::model::sidecar_set::places::Places;
use crate::model::sidecar_set::schema::nearest;
use crate::model::sidecar_set::walk::{MOST_FINDINGS, shortened};
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
    found: Vec<Diagnostic>,
    left_out: usize,
}

impl<'a> Report<'a> {
    pub(super) fn new(places: &'a Places) -> Self {
        Self { places, found: Vec::new(), left_out: 0 }
    }

    /// Returns what was found.
    pub(super) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        if self.left_out > 0 {
            let code = self.found.last().map_or(Code::InvalidValue, |d| d.code);
            let message = format!("{} further findings about this SidecarSet are not shown", self.left_out);
            self.found.push(Diagnostic::note(code, message).at(self.places.label(
                &Path::root(),
                Part::Value,
                "",
            )));
        }
        self.found
    }

    /// Returns how much was found so far.
    pub(super) fn count(&self) -> usize {
        self.found.len() + self.left_out
    }

    pub(super) fn has_errors(&self) -> bool {
        self.found.iter().any(Diagnostic::is_error)
    }

    pub(super) fn label(&self, spot: &Spot, part: Part, text: impl Into<String>) -> Label {
        self.places.label(&spot.path, part, text)
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
        self.error(Code::InvalidValue, spot, Part::Value, message, "change the value");
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
        let found = Diagnostic::error(code, message).at(self.label(spot, part, ""));
        self.push(found.field(&spot.field).because("Kruise refuses such a SidecarSet").help(help));
    }

    pub(super) fn warning(&mut self, code: Code, spot: &Spot, part: Part, message: String, help: &str) {
        let found = Diagnostic::warning(code, message).at(self.label(spot, part, ""));
        self.push(found.field(&spot.field).help(help));
    }

    pub(super) fn push(&mut self, found: Diagnostic) {
        if self.found.len() < MOST_FINDINGS {
            self.found.push(found);
        } else {
            self.left_out += 1;
        }
    }
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
