//! Compares the two fast readers with the two parsers that decide where they are not certain: for tests and fuzzing.

use super::block_reader::read_block_form;
use super::expected_value::ExpectedValue;
use super::syntax::{Characters, check_characters, check_libyaml_rules};
use super::tree::SyntaxTree;
use super::value::read_value;
use super::verify::read_by_yaml_rust2;
use super::verify_walk::certainly_says;
use serde_json::Value;

/// Reads a document with the reader of the plain block form, granit-parser and yaml-rust2. Returns whether the text has
/// that form.
///
/// # Errors
/// The form was taken, and a parser refuses the text or reads it otherwise.
pub fn compare_block_reader(text: &str) -> Result<bool, String> {
    if !matches!(check_characters(text), Ok(Characters::Ordinary)) {
        return Ok(false);
    }
    let Some(tree) = read_block_form(text) else { return Ok(false) };
    let parsed = SyntaxTree::parse(text).map_err(|e| format!("granit-parser refuses it: {e:?}"))?;
    if parsed != tree {
        return Err(format!("granit-parser has another tree: {parsed:?} instead of {tree:?}"));
    }
    // Some scalars are YAML and no JSON.
    let reading = check_libyaml_rules(text, &tree).and_then(|()| read_value(text, &tree));
    let Ok(reading) = reading else { return Ok(true) };
    compare_with_yaml_rust2(text, &reading.value).map(|()| true)
}

/// Checks with the walk of verified edits whether a document certainly has a value, and if so with granit-parser and
/// yaml-rust2.
/// Returns whether the walk is certain.
///
/// # Errors
/// The walk is certain, and a parser refuses the text or reads another value.
pub fn compare_verify_walk(text: &str, value: &Value) -> Result<bool, String> {
    if !certainly_says(text, ExpectedValue::unchanged(value)) {
        return Ok(false);
    }
    let parsed = check_characters(text).and_then(|_| {
        let tree = SyntaxTree::parse(text)?;
        check_libyaml_rules(text, &tree)?;
        read_value(text, &tree)
    });
    let reading = parsed.map_err(|e| format!("granit-parser refuses it: {e:?}"))?;
    if reading.value != *value || !reading.duplicates.is_empty() {
        return Err(format!("granit-parser reads {} instead of {value}", reading.value));
    }
    compare_with_yaml_rust2(text, value).map(|()| true)
}

fn compare_with_yaml_rust2(text: &str, value: &Value) -> Result<(), String> {
    let read = read_by_yaml_rust2(text).map_err(|why| format!("yaml-rust2 refuses it: {why}"))?;
    if read == *value { Ok(()) } else { Err(format!("yaml-rust2 reads {read} instead of {value}")) }
}
