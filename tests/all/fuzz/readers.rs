//! Bodies of the fuzz targets for the two fast readers of YAML. A difference to a parser is a finding.
//!
//! The parsers are asked only about texts that a fast reader has taken: on some texts that it refuses, yaml-rust2 takes
//! all memory there is.

use super::mutations::{Numbers, mutate};
use pillion::yaml::{
    Document, compare_block_reader, compare_verify_walk, is_certainly_readable, split_documents,
};
use serde_json::{Value, json};

/// Reads the documents of a file as the reader of the plain block form does, and as the parsers do; what is skipped
/// without parsing has to be readable. Returns how many of the texts have that form.
pub(crate) fn read_block_form(data: &[u8]) -> usize {
    let Ok(text) = std::str::from_utf8(data) else { return 0 };
    let compare = |text: &str| {
        if is_certainly_readable(text) {
            let document = Document::read(&"fuzz.yaml".into(), 0, 1, text);
            let is_fine = document.as_ref().is_ok_and(|document| document.diagnostics().is_empty());
            assert!(is_fine, "it is skipped, but {document:?}\n{text:?}\n{text}");
        }
        compare_block_reader(text).unwrap_or_else(|difference| panic!("{difference}\n{text:?}\n{text}"))
    };
    let (pieces, _) = split_documents(&"fuzz.yaml".into(), text);
    pieces.into_iter().filter(|piece| compare(&text[piece.span.clone()])).count()
}

/// Asks the walk of verified edits about each document of a file: with its value, with other values, and after a change
/// of the text. Returns how often the walk was certain.
pub(crate) fn verify_walk(data: &[u8]) -> usize {
    let Ok(text) = std::str::from_utf8(data) else { return 0 };
    let mut numbers = Numbers(data.iter().fold(7, |sum, &b| sum.wrapping_mul(31).wrapping_add(u64::from(b))));
    let compare = |text: &str, value: &Value| {
        let certain = compare_verify_walk(text, value);
        certain.unwrap_or_else(|difference| panic!("{difference}\n{text:?}\n{text}"))
    };
    let (pieces, _) = split_documents(&"fuzz.yaml".into(), text);
    let mut certain = 0;
    for piece in pieces {
        let text = &text[piece.span];
        let Ok(document) = Document::read(&"fuzz.yaml".into(), 0, 1, text) else { continue };
        let value = document.value();
        certain += usize::from(compare(text, value));
        for _ in 0..3 {
            let mut other = value.clone();
            change(&mut other, &mut numbers);
            certain += usize::from(compare(text, &other));
            certain += usize::from(compare(&mutate(text, &mut numbers), value));
        }
    }
    certain
}

/// Changes a value a little: a scalar, an item, a key.
fn change(value: &mut Value, numbers: &mut Numbers) {
    let what = numbers.below(6);
    match value {
        Value::Object(map) if !map.is_empty() && what > 0 => {
            let key = map.keys().nth(numbers.below(map.len())).cloned().unwrap_or_default();
            match what {
                1 => _ = map.shift_remove(&key),
                2 => _ = map.insert(format!("{key}x"), json!(1)),
                _ => map.get_mut(&key).into_iter().for_each(|value| change(value, numbers)),
            }
        }
        Value::Array(items) if !items.is_empty() && what > 0 => {
            let at = numbers.below(items.len());
            match what {
                1 => _ = items.remove(at),
                2 => items.insert(at, items[at].clone()),
                _ => change(&mut items[at], numbers),
            }
        }
        Value::String(text) if what > 1 => {
            text.push(['\n', ' ', 'x', '"', '\'', ':', '\\'][numbers.below(7)])
        }
        _ => {
            let others = [
                json!(null),
                json!(true),
                json!("true"),
                json!(1),
                json!("1"),
                json!([]),
                json!({}),
                json!(""),
            ];
            *value = others[numbers.below(others.len())].clone();
        }
    }
}
