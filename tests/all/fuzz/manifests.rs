//! Bodies of the fuzz targets for manifests and SidecarSets. A panic is a finding.

use pillion::model::sidecar_set::{DecodeMode, ValidationContext, conflicts, decode_for, repair, validate};
use pillion::yaml::{Document, EntryPart, FieldPath, split_documents};
use serde_json::{Value, json};
use std::sync::Arc;

/// Reads bytes as a file, changes something in every document as the bytes say, and reads the result again.
pub(crate) fn read_edit_write(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file: Arc<str> = "fuzz.yaml".into();
    let (pieces, _) = split_documents(&file, text);
    let together: String = pieces.iter().map(|p| &text[p.span.clone()]).collect();
    assert_eq!(together, text, "the pieces of a file are the file");
    for (index, piece) in pieces.iter().enumerate() {
        if let Ok(document) = Document::read(&file, index, piece.first_line, &text[piece.span.clone()]) {
            edit(&document, data);
        }
    }
}

/// Reads bytes as a SidecarSet, as they are and repaired, and judges what comes out.
pub(crate) fn decode_sidecar_set(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let repaired = repair(text).map(|repaired| repaired.text);
    for text in [Some(text), repaired.as_deref()].into_iter().flatten() {
        let Ok(document) = Document::read(&"fuzz.yaml".into(), 0, 1, text) else { continue };
        let document = Arc::new(document);
        for mode in [DecodeMode::Render, DecodeMode::Validate] {
            let (set, found) = decode_for(mode, &document, &FieldPath::root());
            assert!(
                set.is_some() || found.iter().any(pillion::diagnostics::Diagnostic::is_error),
                "no set and no error"
            );
            if let Some(set) = set.map(Arc::new) {
                validate(&set, ValidationContext { old: Some(&set), ..ValidationContext::default() });
                conflicts(&[set.clone(), set]);
            }
        }
    }
}

fn edit(document: &Document, data: &[u8]) {
    assert_eq!(document.rewrite(&FieldPath::root(), document.value()).as_deref(), Ok(document.text()));
    let mut paths = Vec::new();
    collect(document.value(), &FieldPath::root(), &mut paths);
    for path in paths.iter().take(20) {
        document.label(path, EntryPart::Key, "");
        document.label(path, EntryPart::Value, "");
    }
    let sum = data.iter().fold(7usize, |sum, &b| sum.wrapping_mul(31).wrapping_add(usize::from(b)));
    for turn in 0..4 {
        let path = &paths[(sum >> (turn * 7)) % paths.len()];
        let old = path.segments().iter().try_fold(document.value(), |v, step| match step {
            pillion::yaml::PathSegment::Key(k) => v.get(k),
            pillion::yaml::PathSegment::Index(i) => v.get(i),
        });
        let new = changed(old.unwrap_or(&Value::Null), sum >> turn);
        // An edit may be refused; one that is made must read right.
        if let Ok(text) = document.rewrite(path, &new) {
            let read = Document::read(document.file(), document.index(), 1, &text)
                .unwrap_or_else(|d| panic!("{d:?}\n{text}"));
            let got = path.segments().iter().try_fold(read.value(), |v, step| match step {
                pillion::yaml::PathSegment::Key(k) => v.get(k),
                pillion::yaml::PathSegment::Index(i) => v.get(i),
            });
            assert_eq!(got, Some(&new), "at {path} of\n{}\n---\n{text}", document.text());
        }
    }
}

fn collect(value: &Value, at: &FieldPath, out: &mut Vec<FieldPath>) {
    if out.len() > 200 {
        return;
    }
    out.push(at.clone());
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| collect(v, &at.child(k.as_str()), out)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| collect(v, &at.child(i), out)),
        _ => {}
    }
}

/// Returns a value that differs from an old one as a number says.
fn changed(old: &Value, how: usize) -> Value {
    let made = [
        json!("x: y"),
        json!("one\ntwo\n"),
        json!(12),
        json!({"name": "n", "list": [1, {"a": "b"}]}),
        Value::Null,
        json!([]),
    ];
    let made = made[how % made.len()].clone();
    let mut new = old.clone();
    match &mut new {
        Value::Array(items) if !how.is_multiple_of(3) => items.insert(how % (items.len() + 1), made),
        Value::Array(items) if !items.is_empty() => _ = items.remove(how % items.len()),
        Value::Object(map) if !how.is_multiple_of(3) => _ = map.insert("added".to_owned(), made),
        Value::Object(map) if !map.is_empty() => {
            let key = map.keys().nth(how % map.len()).cloned();
            key.and_then(|k| map.shift_remove(&k));
        }
        _ => new = made,
    }
    new
}
