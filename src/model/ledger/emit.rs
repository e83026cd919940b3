//! Writes the canonical text of a ledger: equal ledgers have equal bytes.

use super::{Ledger, LedgerEntry, Revision, revision_text};
use crate::model::api::{LOCAL_CONFIG_ANNOTATION, PILLION_API_VERSION};
use crate::model::sidecar_set::SidecarMode;
use crate::yaml;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// What is on the first line; the mark keeps Argo CD from rendering the file.
const HEADER: &str = "# Written by pillion; use `pillion pause|resume|rollback|hold`, not an editor. +argocd:skip-file-rendering\n";

/// Returns the text of a ledger.
pub fn emit(ledger: &Ledger) -> String {
    let mut text = HEADER.to_owned();
    text.push_str(&yaml::emit(&json!({
        "apiVersion": PILLION_API_VERSION,
        "kind": "SidecarRollout",
        "metadata": {"name": &*ledger.name, "annotations": {LOCAL_CONFIG_ANNOTATION: "true"}},
    })));
    text.push_str("spec:\n");
    write_entry(&mut text, "released", &revision_text(&ledger.released).into());
    if let Some(target) = &ledger.target {
        write_entry(&mut text, "target", &revision_text(target).into());
    }
    if !ledger.replaces.is_empty() {
        write_entry(&mut text, "replaces", &ledger.replaces.iter().map(|r| Value::from(&**r)).collect());
    }
    if let Some(paused) = &ledger.paused {
        let mut value = json!({"batch": paused.batch, "reason": paused.reason});
        if let Some(by) = &paused.by {
            value["by"] = by.as_str().into();
        }
        write_entry(&mut text, "paused", &value);
    }
    if !ledger.rejected.is_empty() {
        write_entry(&mut text, "rejected", &ledger.rejected.iter().map(|r| Value::from(&**r)).collect());
    }
    write_revisions(&mut text, "revisions", ledger.revisions.values());
    write_revisions(&mut text, "history", ledger.history.iter());
    if let Some(scope) = &ledger.scope {
        let mut value = json!({"workloads": scope.workloads, "pods": scope.pods, "digest": scope.digest});
        if scope.is_from_build {
            value["built"] = true.into();
        }
        if scope.removals > 0 {
            value["removed"] = scope.removals.into();
        }
        write_entry(&mut text, "scope", &value);
    }
    let sizes = ledger.replicas.iter().map(|(key, pods)| json!({"workload": &**key, "pods": pods}));
    write_items(&mut text, "replicas", sizes);
    let approved = ledger.approvals.iter().map(|a| json!({"batch": a.batch, "plan": a.plan}));
    write_items(&mut text, "approved", approved);
    write_items(&mut text, "workloads", ledger.entries.iter().map(|(key, entry)| entry_value(key, entry)));
    text
}

/// One line a workload, so that a diff shows one.
fn entry_value(key: &str, entry: &LedgerEntry) -> Value {
    let mut value = Map::new();
    value.insert("workload".into(), key.into());
    value.insert("revision".into(), revision_text(&entry.revision).into());
    let numbers = [("batch", entry.batch), ("partition", entry.partition)];
    value.extend(numbers.into_iter().filter_map(|(key, n)| Some((key.to_owned(), n?.into()))));
    if let Some(percent) = entry.partition_percent {
        value.insert("partition".into(), format!("{percent}%").into());
    }
    let texts = [
        ("template", &entry.template_hash),
        ("piggyback", &entry.piggyback),
        ("held", &entry.hold_reason),
        ("by", &entry.held_by),
        ("since", &entry.held_since),
        ("until", &entry.held_until),
    ];
    value.extend(texts.into_iter().filter_map(|(key, t)| Some((key.to_owned(), t.as_deref()?.into()))));
    if !entry.images.is_empty() {
        value.insert("images".into(), json!(entry.images));
    }
    if !entry.hot_upgrades.versions.is_empty() {
        value.insert("hotUpgrades".into(), json!(entry.hot_upgrades.versions));
    }
    if let Some(from) = &entry.hot_upgrades.from {
        value.insert("upgradedFrom".into(), (&**from).into());
    }
    Value::Object(value)
}

fn write_revisions<'a>(text: &mut String, key: &str, revisions: impl Iterator<Item = &'a Revision>) {
    let mut revisions = revisions.peekable();
    if revisions.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "  {key}:");
    for revision in revisions {
        let set = &revision.set;
        let mut value =
            json!({"name": &*revision.name, "hash": set.hash, "hashWithoutImage": set.hash_without_image});
        if set.mode != SidecarMode::default() {
            value["sidecarMode"] = set.mode.name().into();
        }
        if !set.after.is_empty() {
            value["after"] = set.after.to_value();
        }
        value["sidecarSet"] = json!(set.content);
        let block = yaml::emit(&json!([value]));
        block.split_inclusive('\n').for_each(|entry| write_indented(text, entry));
    }
}

/// Empty lines of block scalars stay empty.
fn write_indented(text: &mut String, entry: &str) {
    text.push_str(if entry == "\n" { "" } else { "  " });
    text.push_str(entry);
}

fn write_items(text: &mut String, key: &str, items: impl Iterator<Item = Value>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "  {key}:");
    for item in items {
        let _ = writeln!(text, "  - {}", yaml::emit_flow(&item));
    }
}

fn write_entry(text: &mut String, key: &str, value: &Value) {
    let _ = writeln!(text, "  {key}: {}", yaml::emit_flow(value));
}
