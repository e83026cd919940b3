//! From a document to a ledger: types, names that must exist, contents that must have their names.

use super::written::{self, Written, json_schema};
use super::{Approved, Ledger, Line, Lines, NOTHING, Name, Paused, Revision, Scope, revision_name};
use crate::diag::{Code, Diagnostic};
use crate::model::fits::Check;
use crate::model::sidecar_set::decode_content;
use crate::model::timestamp::is_day;
use crate::yaml::{Document, Part, Path};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads the ledger at a path of a document, the root or an item of a list, and says everything that is wrong with
/// it; none comes back with an error.
pub fn decode(document: &Arc<Document>, base: &Path) -> (Option<Ledger>, Vec<Diagnostic>) {
    let check = Check::at(document, base, "pillion schema ledger", json_schema());
    let (written, found) = check.decode::<Written>("SidecarRollout");
    let Some(written) = written else { return (None, found) };
    let mut reader = Reader { document, base, name: written.metadata.name.as_str().into(), found };
    let ledger = reader.ledger(written.spec);
    let is_sound = !reader.found.iter().any(Diagnostic::is_error);
    (is_sound.then_some(ledger), reader.found)
}

/// Reads the parts, and collects what is wrong.
struct Reader<'a> {
    document: &'a Arc<Document>,
    base: &'a Path,
    name: Arc<str>,
    found: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn ledger(&mut self, spec: written::Spec) -> Ledger {
        let at = Path::dotted("spec");
        let mut ledger = Ledger {
            name: self.name.clone(),
            released: name(spec.released.as_deref().unwrap_or(NOTHING)),
            target: spec.target.as_deref().map(name),
            paused: spec.paused.map(|p| Paused { batch: p.batch, reason: p.reason, by: p.by }),
            rejected: spec.rejected.iter().map(|r| r.as_str().into()).collect(),
            scope: spec.scope.map(|s| Scope {
                workloads: s.workloads,
                pods: s.pods,
                digest: s.digest,
                is_built: s.built,
                removed: s.removed,
            }),
            replaces: spec.replaces.iter().map(|r| r.as_str().into()).collect(),
            sizes: BTreeMap::new(),
            history: Vec::new(),
            revisions: BTreeMap::new(),
            lines: Lines::default(),
            approved: spec.approved.into_iter().map(|a| Approved { batch: a.batch, plan: a.plan }).collect(),
        };
        for (i, revision) in spec.revisions.iter().enumerate() {
            let path = at.then("revisions").then(i);
            if let Some(revision) = self.revision(revision, &path) {
                let (key, path) = (revision.name.clone(), path.then("name"));
                self.once(ledger.revisions.insert(key.clone(), revision).is_some(), &key, &path);
            }
        }
        for (i, revision) in spec.history.iter().enumerate() {
            ledger.history.extend(self.revision(revision, &at.then("history").then(i)));
        }
        for (i, size) in spec.sizes.into_iter().enumerate() {
            let key: Arc<str> = size.workload.into();
            let path = at.then("sizes").then(i).then("workload");
            self.workload(&key, &path);
            self.once(ledger.sizes.insert(key.clone(), size.pods).is_some(), &key, &path);
        }
        for (i, line) in spec.lines.into_iter().enumerate() {
            let key: Arc<str> = line.workload.as_str().into();
            let path = at.then("lines").then(i);
            self.workload(&key, &path.then("workload"));
            let line = line_of(line);
            self.day(line.since.as_deref(), &path.then("since"));
            self.day(line.until.as_deref(), &path.then("until"));
            self.known(&line.revision, &ledger.revisions, &path.then("revision"));
            self.once(ledger.lines.contains_key(&key), &key, &path.then("workload"));
            ledger.lines.insert_mut(key, line);
        }
        self.known(&ledger.released, &ledger.revisions, &at.then("released"));
        if let Some(target) = &ledger.target {
            self.known(target, &ledger.revisions, &at.then("target"));
        }
        ledger
    }

    fn revision(&mut self, written: &written::Revision, path: &Path) -> Option<Revision> {
        let (set, wrong) =
            decode_content(&self.name, &written.sidecar_set, self.document, &self.base.join(path));
        self.found.extend(wrong);
        let set = Arc::new(set?);
        for (field, says, is) in [
            ("name", &written.name, revision_name(&set)),
            ("hash", &written.hash, set.hash.clone()),
            ("hashWithoutImage", &written.hash_without_image, set.hash_without_image.clone()),
        ] {
            if *says != is {
                let message = format!(
                    "the content of revision `{}` does not belong to its {field}: that would be `{is}`",
                    written.name
                );
                self.wrong(message, &path.then(field), "somebody edited it");
            }
        }
        Some(Revision { name: written.name.as_str().into(), set })
    }

    fn known(&mut self, name: &Name, revisions: &BTreeMap<Arc<str>, Revision>, path: &Path) {
        if let Some(name) = name
            && !revisions.contains_key(name)
        {
            self.wrong(format!("`revisions` holds no `{name}`"), path, "names it");
        }
    }

    fn day(&mut self, written: Option<&str>, path: &Path) {
        if let Some(text) = written.filter(|text| !is_day(text)) {
            self.wrong(format!("`{text}` is no day: `YYYY-MM-DD`"), path, "");
        }
    }

    fn workload(&mut self, key: &str, path: &Path) {
        if key.split('/').count() != 3 || key.split('/').any(str::is_empty) {
            self.wrong(format!("`{key}` is no workload: `KIND[.GROUP]/NAMESPACE/NAME`"), path, "");
        }
    }

    fn once(&mut self, is_there: bool, key: &str, path: &Path) {
        if is_there {
            self.wrong(format!("`{key}` stands here twice"), path, "again");
        }
    }

    fn wrong(&mut self, message: String, path: &Path, label: &str) {
        self.found.push(
            Diagnostic::error(Code::LedgerBroken, message)
                .field(path.to_string())
                .at(self.document.label(&self.base.join(path), Part::Value, label))
                .because("ledgers are written by pillion only: nothing is rendered, staged or released by this one")
                .help(format!("take the last good state: `git log -p -- {}` shows them", self.document.file())),
        );
    }
}

fn name(text: &str) -> Name {
    (text != NOTHING).then(|| text.into())
}

fn line_of(written: written::Line) -> Line {
    Line {
        revision: name(&written.revision),
        batch: written.batch,
        partition: written.partition,
        template: written.template.map(Into::into),
        held: written.held.map(Into::into),
        by: written.by.map(Into::into),
        since: written.since.map(Into::into),
        until: written.until.map(Into::into),
        images: written.images,
    }
}
