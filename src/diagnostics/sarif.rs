//! Formats diagnostics as SARIF 2.1.0, for code-scanning services.

use super::{Code, Diagnostic, Span};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Renders all diagnostics as one SARIF log, ending with a line end.
pub(crate) fn render(diagnostics: &[Diagnostic], version: &str) -> String {
    let codes: BTreeSet<Code> = diagnostics.iter().map(|d| d.code).collect();
    let rules: Vec<Value> = codes
        .iter()
        .map(|c| json!({"id": c.name(), "shortDescription": {"text": c.meaning().trim()}}))
        .collect();
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "pillion", "version": version, "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": diagnostics.iter().map(to_result).collect::<Vec<_>>(),
        }],
    });
    let mut text = serde_json::to_string_pretty(&log).expect("strings and numbers always serialize");
    text.push('\n');
    text
}

fn to_result(d: &Diagnostic) -> Value {
    let mut message = d.message.clone();
    if let Some(help) = &d.help {
        message.push_str("; ");
        message.push_str(help);
    }
    let mut result =
        json!({"ruleId": d.code.name(), "level": d.severity.name(), "message": {"text": message}});
    let mut places = d.spans.iter().map(to_location);
    if let Some(primary) = places.next() {
        result["locations"] = json!([primary]);
    }
    let related: Vec<Value> = places.collect();
    if !related.is_empty() {
        result["relatedLocations"] = related.into();
    }
    result
}

fn to_location(label: &Span) -> Value {
    let mut place = json!({"physicalLocation": {
        "artifactLocation": {"uri": percent_encode_uri(&label.file)},
        "region": {"startLine": label.line, "startColumn": label.column, "endColumn": label.column + label.width},
    }});
    if !label.label.is_empty() {
        place["message"] = json!({"text": label.label});
    }
    place
}

/// Percent-encodes what a relative URI reference cannot hold (RFC 3986).
fn percent_encode_uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@!$&'()*+,;=".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
