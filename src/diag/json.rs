//! The `Diagnostics` document (pillion.dev/v1alpha1): the form of diagnostics that programs may rely on.

use super::{Diagnostic, Label, short};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    severity: &'static str,
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Place<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    message: &'a str,
}

/// Renders all diagnostics as one JSON document, ending with a line end.
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let document = Document {
        api_version: "pillion.dev/v1alpha1",
        kind: "Diagnostics",
        items: diagnostics.iter().map(item).collect(),
    };
    let mut text = serde_json::to_string_pretty(&document).expect("strings and numbers always serialize");
    text.push('\n');
    text
}

/// Returns diagnostics as the items of such a document, for other documents.
pub fn values(diagnostics: &[Diagnostic]) -> serde_json::Value {
    let items: Vec<Item<'_>> = diagnostics.iter().map(item).collect();
    serde_json::to_value(items).expect("strings and numbers always serialize")
}

fn item(d: &Diagnostic) -> Item<'_> {
    let primary = d.labels.first();
    Item {
        severity: short::word(d.severity),
        code: d.code.name(),
        message: &d.message,
        file: primary.map(|l| &*l.file),
        line: primary.map(|l| l.line),
        column: primary.map(|l| l.column),
        field: d.field.as_deref(),
        notes: &d.notes,
        help: d.help.as_deref(),
        related: d.labels.iter().skip(1).map(place).collect(),
    }
}

fn place(label: &Label) -> Place<'_> {
    Place { file: &label.file, line: label.line, column: label.column, message: &label.text }
}
