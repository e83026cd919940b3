//! Formats diagnostics as a `Diagnostics` document (pillion.dev/v1alpha1), the stable form for programs.

use super::{Diagnostic, Span};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DiagnosticsJson<'a> {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<DiagnosticJson<'a>>,
}

#[derive(Serialize)]
struct DiagnosticJson<'a> {
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
    related: Vec<RelatedSpanJson<'a>>,
}

#[derive(Serialize)]
struct RelatedSpanJson<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    message: &'a str,
}

/// Renders all diagnostics as one JSON document, ending with a line end.
pub(crate) fn render(diagnostics: &[Diagnostic]) -> String {
    let document = DiagnosticsJson {
        api_version: "pillion.dev/v1alpha1",
        kind: "Diagnostics",
        items: diagnostics.iter().map(diagnostic_json).collect(),
    };
    let mut text = serde_json::to_string_pretty(&document).expect("strings and numbers always serialize");
    text.push('\n');
    text
}

/// Returns diagnostics as the items of such a document, for other documents.
pub(crate) fn to_json_values(diagnostics: &[Diagnostic]) -> serde_json::Value {
    let items: Vec<DiagnosticJson<'_>> = diagnostics.iter().map(diagnostic_json).collect();
    serde_json::to_value(items).expect("strings and numbers always serialize")
}

fn diagnostic_json(d: &Diagnostic) -> DiagnosticJson<'_> {
    let primary = d.spans.first();
    DiagnosticJson {
        severity: d.severity.name(),
        code: d.code.name(),
        message: &d.message,
        file: primary.map(|l| &*l.file),
        line: primary.map(|l| l.line),
        column: primary.map(|l| l.column),
        field: d.field.as_deref(),
        notes: &d.notes,
        help: d.help.as_deref(),
        related: d.spans.iter().skip(1).map(related_span_json).collect(),
    }
}

fn related_span_json(label: &Span) -> RelatedSpanJson<'_> {
    RelatedSpanJson { file: &label.file, line: label.line, column: label.column, message: &label.label }
}
