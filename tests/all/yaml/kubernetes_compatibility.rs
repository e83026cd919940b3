//! Compares the reading of unusual YAML with recorded answers of apimachinery's YAMLReader and sigs.k8s.io/yaml 1.6.0.

use pillion::yaml::{Document, split_documents};
use serde_json::Value;
use std::sync::Arc;

/// Inputs where we differ on purpose: Kubernetes drops or bends what we refuse.
const DIFFERENT: &[(&str, &str)] = &[
    ("doc end no start", "what follows `...` without `---` is dropped there"),
    ("json concatenated", "the second object is dropped there"),
    (
        "block scalar eof no nl",
        "its stream reader ends the last line of a file before it reads; the text has no end there",
    ),
    ("flow tab", "our parser takes no tab as indentation of a flow collection inside a block one"),
];

fn read_all(text: &str) -> Result<Vec<Value>, String> {
    let file: Arc<str> = "quirk.yaml".into();
    let (pieces, diagnostics) = split_documents(&file, text);
    if let Some(first) = diagnostics.first() {
        return Err(first.message.clone());
    }
    let read = |(i, p): (usize, &pillion::yaml::DocumentSlice)| {
        let document = Document::read(&file, i, p.first_line, &text[p.span.clone()]);
        document.map(|d| d.value().clone()).map_err(|e| {
            assert!(!e.spans.is_empty() && e.help.as_ref().is_some_and(|h| !h.is_empty()), "{e:?}");
            e.message
        })
    };
    pieces.iter().enumerate().map(read).collect()
}

fn sorted(value: &Value) -> Value {
    let mut value = value.clone();
    value.sort_all_objects();
    value
}

#[test]
fn quirks_are_read_as_kubernetes_reads_them() {
    let cases: Value = serde_json::from_str(include_str!("../../../golden/yaml/quirks.json")).unwrap();
    let mut failures = Vec::new();
    for case in cases.as_array().unwrap() {
        let (name, text) = (case["name"].as_str().unwrap(), case["yaml"].as_str().unwrap());
        let ours = read_all(text);
        let theirs = case["error"].as_str().unwrap();
        let documents = case["documents"].as_array().map(Vec::as_slice).unwrap_or_default();
        let documents: Vec<Value> =
            documents.iter().map(|d| serde_json::from_str(d.as_str().unwrap()).unwrap()).collect();
        let same = match &ours {
            Err(_) => !theirs.is_empty() || text.is_empty(),
            Ok(values) => {
                theirs.is_empty()
                    && values.iter().map(sorted).collect::<Vec<_>>()
                        == documents.iter().map(sorted).collect::<Vec<_>>()
            }
        };
        let expected = !DIFFERENT.iter().any(|(n, _)| *n == name);
        if same != expected {
            failures.push(format!("{name}: {text:?}\n  ours   {ours:?}\n  theirs {documents:?} {theirs}"));
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}
