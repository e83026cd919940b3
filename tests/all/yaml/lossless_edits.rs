//! Edits of unusual documents: the result has the wanted meaning, and all other lines are preserved.

use crate::support::yaml_edits::{Act, apply, document, edits, runner, value};
use crate::support::yaml_generator::{Choices, Written, write};
use pillion::diagnostics::Code;
use pillion::yaml::{Document, FieldPath, PathSegment, emit};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Returns the lines of the text that the edits may change or take away.
fn may_change(written: &Written, touched: &[(FieldPath, bool)]) -> BTreeSet<usize> {
    let mut lines = BTreeSet::new();
    for (path, adds_only) in touched {
        // The deepest thing around it that is written in flow style changes as a whole.
        let flow = (0..=path.segments().len())
            .map(|n| path.segments()[..n].iter().fold(FieldPath::root(), |p, s| p.child(s.clone())))
            .find(|p| written.flow.contains(p));
        let range = match (&flow, adds_only) {
            (Some(flow), _) => written.lines.get(flow),
            (None, true) => None,
            // An item with another name is another item.
            (None, false) => match path.segments() {
                [above @ .., PathSegment::Index(i), PathSegment::Key(key)] if key == "name" => written
                    .lines
                    .get(&above.iter().fold(FieldPath::root(), |p, s| p.child(s.clone())).child(*i)),
                _ => written.lines.get(path),
            },
        };
        lines.extend(range.cloned().into_iter().flatten());
    }
    lines
}

/// Says which line is lost, where one is.
fn lost(before: &str, after: &str, free: &BTreeSet<usize>, removes: bool) -> Option<String> {
    // Where the first entry behind a dash goes, the next one moves up to it, and own comments go with an entry. What is put
    // before the first item of a list that shares a line with another dash moves that item down.
    let nested = before
        .lines()
        .any(|l| l.trim_start().strip_prefix('-').is_some_and(|r| r.trim_start().starts_with('-')));
    let shown = |line: &str| {
        line.trim_start_matches(|c| c == '\u{feff}' || (removes || nested) && (c == ' ' || c == '-'))
            .to_owned()
    };
    let mut left = after.lines();
    before.lines().enumerate().find_map(|(n, line)| {
        let blank = line.trim_start_matches('\u{feff}').trim();
        if free.contains(&n) || removes && (blank.is_empty() || blank.starts_with('#')) {
            return None;
        }
        let mut rest = left.clone();
        match rest.find(|l| shown(l) == shown(line)) {
            Some(_) => left = rest,
            None => return Some(format!("line {} is lost: {line:?}", n + 1)),
        }
        None
    })
}

/// Runs one case; the answer is what is wrong.
fn case(root: &Value, choices: &[u16], edits: &[(usize, Act)]) -> Result<(), String> {
    let written = write(root, &mut Choices::new(choices));
    let file: Arc<str> = "unusual.yaml".into();
    let document = Document::read(&file, 0, 1, &written.text)
        .map_err(|d| format!("not read: {} at {:?}", d.message, d.spans[0]))?;
    if document.value() != root {
        return Err(format!("read as {} instead of {root}", document.value()));
    }
    let (new, touched) = apply(root, edits);
    let text = match document.rewrite(&FieldPath::root(), &new) {
        Ok(text) => text,
        Err(d) if d.code == Code::AliasedNode && root.get("shared").is_some() => return Ok(()),
        Err(d) => {
            return Err(format!("refused: {} {:?}\n{}\n--- wanted {new}", d.message, d.spans, written.text));
        }
    };
    let again =
        Document::read(&file, 0, 1, &text).map_err(|d| format!("not read again: {}\n{text}", d.message))?;
    if again.value() != &new {
        return Err(format!("means {} instead of {new}\n{text}", again.value()));
    }
    if again.rewrite(&FieldPath::root(), &new).as_deref() != Ok(&text) {
        return Err("a second time changes it".to_owned());
    }
    let crlf = written.text.contains("\r\n");
    if text.contains('\r') != crlf && text.contains('\n') && written.text.contains('\n')
        || crlf && text.matches('\n').count() != text.matches("\r\n").count()
    {
        return Err(format!("line ends differ\n{text}"));
    }
    let removes = touched.iter().any(|(_, adds)| !adds);
    match lost(&written.text, &text, &may_change(&written, &touched), removes) {
        Some(line) => Err(format!("{line}\n--- before\n{}\n--- after\n{text}", written.text)),
        None => Ok(()),
    }
}

#[test]
fn edits_of_odd_documents_lose_nothing() {
    let input = (document(), prop::collection::vec(any::<u16>(), 0..300), edits());
    let outcome = runner(1500, 1)
        .run(&input, |(root, choices, edits)| case(&root, &choices, &edits).map_err(TestCaseError::fail));
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn whole_documents_are_read_back() {
    let outcome = runner(400, 2).run(&value(), |value| {
        let text = emit(&value);
        let read =
            Document::read(&"new.yaml".into(), 0, 1, &text).map_err(|d| TestCaseError::fail(d.message))?;
        prop_assert_eq!(read.value(), &value, "{}", text);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}
