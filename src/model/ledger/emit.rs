//! The one text of a ledger: the same ledger is the same bytes.

use super::{Ledger, Line, Revision, name_text};
use crate::yaml;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// What stands on the first line; the mark keeps Argo CD from rendering the file.
const HEAD: &str = "# Written by pillion; use `pillion pause|resume|rollback|hold`, not an editor. +argocd:skip-file-rendering\n";

/// Returns the text of a ledger.
pub fn emit(ledger: &Ledger) -> String {
    let mut text = HEAD.to_owned();
    text.push_str(&yaml::emit(&json!({
        "apiVersion": "pillion.dev/v1alpha1",
        "kind": "SidecarRollout",
        "metadata": {"name": &*ledger.name, "annotations": {"config.kubernetes.io/local-config": "true"}},
    })));
    text.push_str("spec:\n");
    entry(&mut text, "released", &name_text(&ledger.released).into());
    if let Some(target) = &ledger.target {
        entry(&mut text, "target", &name_text(target).into());
    }
    if !ledger.replaces.is_empty() {
        entry(&mut text, "replaces", &ledger.replaces.iter().map(|r| Value::from(&**r)).collect());
    }
    if let Some(paused) = &ledger.paused {
        let mut value = json!({"batch": paused.batch, "reason": paused.reason});
        if let Some(by) = &paused.by {
            value["by"] = by.as_str().into();
        }
        entry(&mut text, "paused", &value);
    }
    if !ledger.rejected.is_empty() {
        entry(&mut text, "rejected", &ledger.rejected.iter().map(|r| Value::from(&**r)).collect());
    }
    revisions(&mut text, "revisions", ledger.revisions.values());
    revisions(&mut text, "history", ledger.history.iter());
    if let Some(scope) = &ledger.scope {
        let mut value = json!({"workloads": scope.workloads, "pods": scope.pods, "digest": scope.digest});
        if scope.is_built {
            value["built"] = true.into();
        }
        if scope.removed > 0 {
            value["removed"] = scope.removed.into();
        }
        entry(&mut text, "scope", &value);
    }
    let sizes = ledger.sizes.iter().map(|(key, pods)| json!({"workload": &**key, "pods": pods}));
    items(&mut text, "sizes", sizes);
    let approved = ledger.approved.iter().map(|a| json!({"batch": a.batch, "plan": a.plan}));
    items(&mut text, "approved", approved);
    items(&mut text, "lines", ledger.lines.iter().map(|(key, line)| line_value(key, line)));
    text
}

/// One line a workload, so that a diff shows one.
fn line_value(key: &str, line: &Line) -> Value {
    let mut value = Map::new();
    value.insert("workload".into(), key.into());
    value.insert("revision".into(), name_text(&line.revision).into());
    let numbers = [("batch", line.batch), ("partition", line.partition)];
    value.extend(numbers.into_iter().filter_map(|(key, n)| Some((key.to_owned(), n?.into()))));
    let texts = [
        ("template", &line.template),
        ("held", &line.held),
        ("by", &line.by),
        ("since", &line.since),
        ("until", &line.until),
    ];
    value.extend(texts.into_iter().filter_map(|(key, t)| Some((key.to_owned(), t.as_deref()?.into()))));
    if !line.images.is_empty() {
        value.insert("images".into(), json!(line.images));
    }
    Value::Object(value)
}

fn revisions<'a>(text: &mut String, key: &str, revisions: impl Iterator<Item = &'a Revision>) {
    let mut revisions = revisions.peekable();
    if revisions.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "  {key}:");
    for revision in revisions {
        let block = yaml::emit(&json!([{
            "name": &*revision.name,
            "hash": revision.set.hash,
            "hashWithoutImage": revision.set.hash_without_image,
            "sidecarSet": revision.set.content,
        }]));
        block.split_inclusive('\n').for_each(|line| indented(text, line));
    }
}

/// Empty lines of block scalars stay empty.
fn indented(text: &mut String, line: &str) {
    text.push_str(if line == "\n" { "" } else { "  " });
    text.push_str(line);
}

fn items(text: &mut String, key: &str, items: impl Iterator<Item = Value>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "  {key}:");
    for item in items {
        let _ = writeln!(text, "  - {}", yaml::emit_flow(&item));
    }
}

fn entry(text: &mut String, key: &str, value: &Value) {
    let _ = writeln!(text, "  {key}: {}", yaml::emit_flow(value));
}
