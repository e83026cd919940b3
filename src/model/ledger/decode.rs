//! Decodes a ledger from a document, and checks types, names and the hashes of contents.

use super::wire::{self, LedgerWire, json_schema};
use super::{
    BatchApproval, HotUpgrades, Ledger, LedgerEntries, LedgerEntry, NO_REVISION, PauseRecord, Revision,
    RevisionName, RolloutScope, revision_name,
};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::document_schema::SchemaCheck;
use crate::model::int_or_percent::IntOrPercent;
use crate::model::sidecar_set::decode_content;
use crate::model::timestamp::is_day;
use crate::yaml::{Document, EntryPart, FieldPath};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads the ledger at a path of a document, the root or an item of a list, and reports everything that is wrong
/// with it. With an error there is no ledger.
pub fn decode(document: &Arc<Document>, base: &FieldPath) -> (Option<Ledger>, Vec<Diagnostic>) {
    let check = SchemaCheck::at_path(document, base, "pillion schema ledger", json_schema());
    let (wire, found) = check.decode::<LedgerWire>("SidecarRollout");
    let Some(wire) = wire else { return (None, found) };
    let mut reader =
        LedgerDecoder { document, base, name: wire.metadata.name.as_str().into(), diagnostics: found };
    let ledger = reader.decode_ledger(wire.spec);
    let is_sound = !reader.diagnostics.iter().any(Diagnostic::is_error);
    (is_sound.then_some(ledger), reader.diagnostics)
}

/// Reads the parts, and collects what is wrong.
struct LedgerDecoder<'a> {
    document: &'a Arc<Document>,
    base: &'a FieldPath,
    name: Arc<str>,
    diagnostics: Vec<Diagnostic>,
}

impl LedgerDecoder<'_> {
    fn decode_ledger(&mut self, spec: wire::LedgerSpecWire) -> Ledger {
        let at = FieldPath::dotted("spec");
        let mut ledger = Ledger {
            name: self.name.clone(),
            released: parse_revision_name(spec.released.as_deref().unwrap_or(NO_REVISION)),
            target: spec.target.as_deref().map(parse_revision_name),
            paused: spec.paused.map(|p| PauseRecord { batch: p.batch, reason: p.reason, by: p.by }),
            rejected: spec.rejected.iter().map(|r| r.as_str().into()).collect(),
            scope: spec.scope.map(|s| RolloutScope {
                workloads: s.workloads,
                pods: s.pods,
                digest: s.digest,
                is_from_build: s.built,
                removals: s.removed,
            }),
            replaces: spec.replaces.iter().map(|r| r.as_str().into()).collect(),
            replicas: BTreeMap::new(),
            history: Vec::new(),
            revisions: BTreeMap::new(),
            entries: LedgerEntries::default(),
            approvals: spec
                .approved
                .into_iter()
                .map(|a| BatchApproval { batch: a.batch, plan: a.plan })
                .collect(),
        };
        for (i, revision) in spec.revisions.iter().enumerate() {
            let path = at.child("revisions").child(i);
            if let Some(revision) = self.decode_revision(revision, &path) {
                let (key, path) = (revision.name.clone(), path.child("name"));
                self.check_unique(ledger.revisions.insert(key.clone(), revision).is_some(), &key, &path);
            }
        }
        for (i, revision) in spec.history.iter().enumerate() {
            ledger.history.extend(self.decode_revision(revision, &at.child("history").child(i)));
        }
        for (i, size) in spec.replicas.into_iter().enumerate() {
            let key: Arc<str> = size.workload.into();
            let path = at.child("replicas").child(i).child("workload");
            self.check_workload_key(&key, &path);
            self.check_unique(ledger.replicas.insert(key.clone(), size.pods).is_some(), &key, &path);
        }
        for (i, entry) in spec.workloads.into_iter().enumerate() {
            self.decode_entry(entry, &at.child("workloads").child(i), &mut ledger);
        }
        self.check_revision_name(&ledger.released, &ledger.revisions, &at.child("released"));
        if let Some(target) = &ledger.target {
            self.check_revision_name(target, &ledger.revisions, &at.child("target"));
        }
        ledger
    }

    fn decode_entry(&mut self, entry: wire::LedgerEntryWire, path: &FieldPath, ledger: &mut Ledger) {
        let key: Arc<str> = entry.workload.as_str().into();
        self.check_workload_key(&key, &path.child("workload"));
        let is_partition_read = match &entry.partition {
            Some(IntOrPercent::Int(pods)) => u32::try_from(*pods).is_ok(),
            Some(text) => whole_percent(text).is_some(),
            None => true,
        };
        if !is_partition_read {
            self.report(
                "`partition` is neither a number of pods nor a percentage".to_owned(),
                &path.child("partition"),
                "",
            );
        }
        let entry = entry_from_wire(entry);
        let from = &entry.hot_upgrades.from;
        self.check_revision_name(from, &ledger.revisions, &path.child("upgradedFrom"));
        self.check_revision_name(&entry.piggyback, &ledger.revisions, &path.child("piggyback"));
        self.check_day(entry.held_since.as_deref(), &path.child("since"));
        self.check_day(entry.held_until.as_deref(), &path.child("until"));
        self.check_revision_name(&entry.revision, &ledger.revisions, &path.child("revision"));
        self.check_unique(ledger.entries.contains_key(&key), &key, &path.child("workload"));
        ledger.entries.insert_mut(key, entry);
    }

    fn decode_revision(&mut self, wire: &wire::RevisionWire, path: &FieldPath) -> Option<Revision> {
        let lifecycle = (wire.sidecar_mode.unwrap_or_default(), wire.after.clone().into());
        let (set, diagnostics) =
            decode_content(&self.name, &wire.sidecar_set, lifecycle, self.document, &self.base.join(path));
        self.diagnostics.extend(diagnostics);
        let set = Arc::new(set?);
        let names = [
            ("name", &wire.name, revision_name(&set)),
            ("hash", &wire.hash, set.hash.clone()),
            ("hashWithoutImage", &wire.hash_without_image, set.hash_without_image.clone()),
        ];
        // One edit of the content changes all of them, and is one error.
        let mut wrong = names.into_iter().filter(|(_, says, is)| **says != *is);
        if let Some((field, _, is)) = wrong.next() {
            let message = format!(
                "the content of revision `{}` does not match its {field}; expected `{is}`",
                wire.name
            );
            let others: Vec<FieldPath> = wrong.map(|(field, ..)| path.child(field)).collect();
            self.report(message, &path.child(field), "edited by hand");
            let labels = others
                .iter()
                .map(|other| self.document.label(&self.base.join(other), EntryPart::Value, "nor this"));
            if let Some(diagnostic) = self.diagnostics.last_mut() {
                diagnostic.spans.extend(labels);
            }
        }
        Some(Revision { name: wire.name.as_str().into(), set })
    }

    fn check_revision_name(
        &mut self,
        name: &RevisionName,
        revisions: &BTreeMap<Arc<str>, Revision>,
        path: &FieldPath,
    ) {
        if let Some(name) = name
            && !revisions.contains_key(name)
        {
            self.report(format!("`revisions` holds no `{name}`"), path, "names it");
        }
    }

    fn check_day(&mut self, wire: Option<&str>, path: &FieldPath) {
        if let Some(text) = wire.filter(|text| !is_day(text)) {
            self.report(format!("`{text}` is not a date (expected `YYYY-MM-DD`)"), path, "");
        }
    }

    fn check_workload_key(&mut self, key: &str, path: &FieldPath) {
        if key.split('/').count() != 3 || key.split('/').any(str::is_empty) {
            self.report(
                format!("`{key}` is not a workload key (expected `KIND[.GROUP]/NAMESPACE/NAME`)"),
                path,
                "",
            );
        }
    }

    fn check_unique(&mut self, is_there: bool, key: &str, path: &FieldPath) {
        if is_there {
            self.report(format!("duplicate entry `{key}`"), path, "again");
        }
    }

    fn report(&mut self, message: String, path: &FieldPath, label: &str) {
        self.diagnostics.push(
            Diagnostic::error(Code::LedgerBroken, message)
                .field(path.to_string())
                .at(self.document.label(&self.base.join(path), EntryPart::Value, label))
                .because("only pillion writes ledgers; it renders, stages and releases nothing with this one")
                .help(format!(
                    "restore the last valid version: `git log -p -- {}` lists the versions",
                    self.document.file()
                )),
        );
    }
}

fn parse_revision_name(text: &str) -> RevisionName {
    (text != NO_REVISION).then(|| text.into())
}

/// Returns a percentage as a ledger has it, from `0%` to `100%`.
fn whole_percent(partition: &IntOrPercent) -> Option<u32> {
    let IntOrPercent::Text(text) = partition else { return None };
    text.strip_suffix('%')?.parse().ok().filter(|percent| *percent <= 100)
}

fn entry_from_wire(wire: wire::LedgerEntryWire) -> LedgerEntry {
    LedgerEntry {
        revision: parse_revision_name(&wire.revision),
        batch: wire.batch,
        partition: match &wire.partition {
            Some(IntOrPercent::Int(pods)) => u32::try_from(*pods).ok(),
            _ => None,
        },
        partition_percent: wire.partition.as_ref().and_then(whole_percent),
        template_hash: wire.template.map(Into::into),
        piggyback: wire.piggyback.map(Into::into),
        hold_reason: wire.held.map(Into::into),
        held_by: wire.by.map(Into::into),
        held_since: wire.since.map(Into::into),
        held_until: wire.until.map(Into::into),
        images: wire.images,
        hot_upgrades: HotUpgrades { versions: wire.hot_upgrades, from: wire.upgraded_from.map(Into::into) },
    }
}
