//! Writes the canonical text of a ledger: equal ledgers have equal bytes.

use super::{Ledger, LedgerEntries, LedgerEntry, Revision, revision_text};
use crate::model::api::{LOCAL_CONFIG_ANNOTATION, PILLION_API_VERSION};
use crate::model::sidecar_set::SidecarMode;
use crate::yaml;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// What is on the first line; the mark keeps Argo CD from rendering the file.
const HEADER: &str = "# Written by pillion; use `pillion pause|resume|rollback|hold`, not an editor. +argocd:skip-file-rendering\n";

/// Returns the text of a ledger.
pub fn emit(ledger: &Ledger) -> String {
    LedgerWriter::default().emit(ledger)
}

/// Writes one ledger after another. The lines of workloads that stay as they were are not composed again: of the ledgers
/// of a hundred batches, each differs from the one before in a hundredth of its lines.
#[derive(Default)]
pub(crate) struct LedgerWriter {
    /// What the last ledger had.
    entries: LedgerEntries,
    /// The line of each of these entries.
    lines: Vec<String>,
}

impl LedgerWriter {
    /// Returns the text of a ledger.
    pub(crate) fn emit(&mut self, ledger: &Ledger) -> String {
        let mut text = emit_head(ledger);
        self.replace_entries(&ledger.entries);
        if !self.lines.is_empty() {
            text.reserve(self.lines.iter().map(String::len).sum::<usize>() + 16);
            text.push_str("  workloads:\n");
            self.lines.iter().for_each(|line| text.push_str(line));
        }
        text
    }

    fn replace_entries(&mut self, entries: &LedgerEntries) {
        let before = std::mem::replace(&mut self.entries, entries.clone());
        let mut known = before.iter().zip(std::mem::take(&mut self.lines)).peekable();
        self.lines = Vec::with_capacity(entries.size());
        for (key, entry) in entries.iter() {
            let mut line = None;
            while let Some(((old_key, old), known_line)) = known.next_if(|((old, _), _)| *old <= key) {
                let is_same = *old_key == *key && (std::ptr::eq(old, entry) || old == entry);
                line = is_same.then_some(known_line);
            }
            self.lines.push(line.unwrap_or_else(|| item_line(&entry_value(key, entry))));
        }
    }
}

/// Returns the text of a ledger without its workloads, which are at its end.
fn emit_head(ledger: &Ledger) -> String {
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
    items.for_each(|item| text.push_str(&item_line(&item)));
}

fn item_line(item: &Value) -> String {
    format!("  - {}\n", yaml::emit_flow(item))
}

fn write_entry(text: &mut String, key: &str, value: &Value) {
    let _ = writeln!(text, "  {key}: {}", yaml::emit_flow(value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn lines_that_are_kept_are_those_of_each_ledger() {
        let mut ledger = Ledger::new("log");
        let mut writer = LedgerWriter::default();
        let entry =
            |batch| LedgerEntry { batch: Some(batch), ..LedgerEntry::with_revision(Some("r1".into())) };
        let mut emit_both = |ledger: &Ledger| {
            assert_eq!(writer.emit(ledger), emit(ledger));
            emit(ledger).matches("workload: ").count()
        };
        assert_eq!(emit_both(&ledger), 0);
        for key in ["Deployment.apps/b/b", "Deployment.apps/a/c", "Deployment.apps/c/a"] {
            ledger.entries.insert_mut(Arc::from(key), entry(1));
        }
        assert_eq!(emit_both(&ledger), 3);
        // One before, one changed, one between, one gone.
        ledger.entries.insert_mut(Arc::from("Deployment.apps/a/a"), entry(2));
        ledger.entries.insert_mut(Arc::from("Deployment.apps/b/b"), entry(2));
        ledger.entries.insert_mut(Arc::from("Deployment.apps/b/c"), entry(2));
        ledger.entries.remove_mut("Deployment.apps/c/a");
        assert_eq!(emit_both(&ledger), 4);
        ledger.entries = LedgerEntries::default();
        assert_eq!(emit_both(&ledger), 0);
    }
}
