//! Finds the SidecarOverrides of a workload.

use super::collect::CollectedOverride;
use super::override_rules::OverrideRules;
use crate::diagnostics::{Code, Diagnostic};
use crate::model::ledger::{Ledger, template_hash};
use crate::model::sidecar_override::{OverrideField, OverrideTarget, SidecarOverride, decode};
use crate::model::sidecar_set::SidecarSet;
use crate::model::suggestion::closest_match;
use crate::yaml::{EntryPart, FieldPath};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The SidecarOverrides of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct OverrideIndex(Arc<Vec<IndexedOverride>>);

/// Where a SidecarOverride is: file, index of the document, field path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OverridePlace(Arc<str>, usize, String);

impl OverridePlace {
    /// Returns the place of a SidecarOverride.
    pub(crate) fn of(source: &SidecarOverride) -> Self {
        Self(Arc::clone(source.document.file()), source.document.index(), source.path.to_string())
    }
}

/// What a run has rendered, as far as it tells which SidecarOverrides have an effect.
#[derive(Debug, Default)]
pub(crate) struct OverrideUse {
    /// The files.
    pub(crate) files: BTreeSet<Arc<str>>,
    /// The keys of the workloads that some SidecarSet may select.
    pub(crate) workloads: BTreeSet<Arc<str>>,
    /// The SidecarOverrides that are for a workload that their SidecarSet selects.
    pub(crate) reached: BTreeSet<OverridePlace>,
}

impl OverrideUse {
    /// Adds what another part of the run has rendered.
    pub(crate) fn extend(&mut self, other: Self) {
        self.files.extend(other.files);
        self.workloads.extend(other.workloads);
        self.reached.extend(other.reached);
    }
}

/// A SidecarOverride and the manifests that it reaches.
#[derive(Debug)]
struct IndexedOverride {
    source: Arc<SidecarOverride>,
    /// The folder of its file; None: it reaches the stream that it came in.
    folder: Option<PathBuf>,
    /// Manifests in that folder and below, by other names of their files.
    reached: Vec<Arc<str>>,
}

impl IndexedOverride {
    /// Returns whether a manifest is beside it: in its file, or in the folder of its file and below.
    fn is_beside(&self, file: &str) -> bool {
        // `./apps` and `apps` are one folder.
        let plain = |path: &Path| path.components().filter(|c| *c != Component::CurDir).collect::<PathBuf>();
        let is_below = |folder: &PathBuf| plain(Path::new(file)).starts_with(plain(folder));
        **self.source.document.file() == *file
            || self.reached.iter().any(|reached| **reached == *file)
            || self.folder.as_ref().is_some_and(is_below)
    }
}

/// The SidecarSets that overrides may name.
pub(crate) struct KnownSets<'a> {
    /// As they are written.
    pub(crate) written: &'a [Arc<SidecarSet>],
    /// The ledgers.
    pub(crate) ledgers: &'a BTreeMap<Arc<str>, Ledger>,
    /// A SidecarSet without a ledger is an error.
    pub(crate) expects_ledgers: bool,
}

impl OverrideIndex {
    /// Decodes SidecarOverrides, and compares them with pillion.yaml and the SidecarSets.
    pub(crate) fn read(
        found: &[CollectedOverride],
        rules: &OverrideRules,
        known: &KnownSets<'_>,
    ) -> (Self, Vec<Diagnostic>) {
        let (mut all, mut diagnostics) = (Vec::new(), Vec::new());
        for CollectedOverride { document, path, folder, reached, rule_folder } in found {
            let (decoded, problems) = decode(document, path);
            diagnostics.extend(problems);
            let Some(source) = decoded else { continue };
            diagnostics.extend(rules.check(&source, rule_folder.as_deref()));
            diagnostics.extend(known.check(&source));
            let (source, reached) = (Arc::new(source), reached.clone());
            all.push(IndexedOverride { source, folder: folder.clone(), reached });
        }
        (Self(Arc::new(all)), diagnostics)
    }

    /// Returns the SidecarOverrides for a workload, by its file, key and pod template.
    pub(super) fn for_workload(&self, file: &str, key: &str, template: &Value) -> Vec<Arc<SidecarOverride>> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let labels = template.get("metadata").and_then(|m| m.get("labels")).and_then(Value::as_object);
        let labels: BTreeMap<String, String> = labels
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect();
        let is_for = |found: &&IndexedOverride| found.source.matches(key, &labels) && found.is_beside(file);
        self.0.iter().filter(is_for).map(|found| Arc::clone(&found.source)).collect()
    }

    /// Reports SidecarOverrides that are for none of the workloads that their SidecarSets select. `names` are those of the
    /// workloads.
    pub(crate) fn unreached(
        &self,
        is_reached: impl Fn(&SidecarOverride) -> bool,
        names: &BTreeSet<&str>,
    ) -> Vec<Diagnostic> {
        let unreached = self.0.iter().filter(|found| !is_reached(&found.source));
        unreached.map(|found| unreached_override(found, names)).collect()
    }

    /// Reports those that had no effect in a run that has rendered everything that they are for: those of a stream, and
    /// those in files that were rendered with their folder.
    pub(crate) fn unused(&self, found: &OverrideUse) -> Vec<Diagnostic> {
        let names = found.workloads.iter().filter_map(|key| Some(key.rsplit_once('/')?.1)).collect();
        let is_of_run = |index: &&IndexedOverride| {
            index.folder.is_none() || found.files.contains(index.source.document.file())
        };
        let is_reached = |index: &&IndexedOverride| found.reached.contains(&OverridePlace::of(&index.source));
        let unused = self.0.iter().filter(is_of_run).filter(|index| !is_reached(index));
        unused.map(|index| unreached_override(index, &names)).collect()
    }

    /// Reports all of them, for a cluster with Kruise.
    pub(super) fn ignored_by_kruise(&self) -> impl Iterator<Item = Diagnostic> {
        self.0.iter().map(|found| {
            let message = format!(
                "SidecarOverride `{}` has no effect in clusters with `runtime: Kruise`",
                found.source.name
            );
            Diagnostic::warning(Code::OverrideWithoutEffect, message)
                .at(found.source.spec_label("sidecarSet", ""))
                .because("Kruise's webhook injects the SidecarSet as it is in the cluster")
                .help("remove it, or keep it out of the folder of such a cluster")
        })
    }

    /// Returns whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl KnownSets<'_> {
    /// Reports names that do not exist, and a hold that no ledger can keep.
    fn check(&self, source: &SidecarOverride) -> Vec<Diagnostic> {
        let name = source.sidecar_set.as_str();
        let written = self.written.iter().find(|set| set.name == name);
        let ledger = self.ledgers.get(name);
        if written.is_none() && ledger.is_none() {
            return vec![self.unknown_set(source)];
        }
        let mut found = unknown_containers(source, written.map(Arc::as_ref), ledger);
        let hold = source.changes.iter().find(|change| change.field == OverrideField::Hold);
        if let (Some(hold), None, false) = (hold, ledger, self.expects_ledgers) {
            let message = format!(
                "SidecarOverride `{}` holds workloads of SidecarSet `{name}`, which has no ledger",
                source.name
            );
            found.push(
                Diagnostic::error(Code::OverrideWithoutEffect, message)
                    .at(source.document.label(&hold.path, EntryPart::Key, ""))
                    .field(hold.path.to_string())
                    .because("without a ledger, workloads get the SidecarSet as it is written")
                    .help("set `ledgers` in pillion.yaml and run `pillion init rollout`, or remove the hold"),
            );
        }
        found
    }

    fn unknown_set(&self, source: &SidecarOverride) -> Diagnostic {
        let names = self.written.iter().map(|set| set.name.as_str());
        let all: BTreeSet<&str> = names.chain(self.ledgers.keys().map(|name| &**name)).collect();
        let near = closest_match(&source.sidecar_set, all.iter().copied());
        let known: Vec<&str> = all.iter().copied().take(5).collect();
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "there is no SidecarSet among the inputs".to_owned(),
            None => format!("there is {}", known.join(", ")),
        };
        let message = format!(
            "SidecarOverride `{}` names SidecarSet `{}`, which does not exist",
            source.name, source.sidecar_set
        );
        Diagnostic::error(Code::OverrideUnknownName, message)
            .at(source.spec_label("sidecarSet", ""))
            .field("spec.sidecarSet")
            .help(help)
    }
}

/// Reports containers that a SidecarSet does not have: an error if no revision in use has them, a warning if only its
/// file has not.
fn unknown_containers(
    source: &SidecarOverride,
    written: Option<&SidecarSet>,
    ledger: Option<&Ledger>,
) -> Vec<Diagnostic> {
    let names = |set: &SidecarSet| -> Vec<String> {
        set.init_containers.iter().chain(&set.containers).map(|c| c.name.clone()).collect()
    };
    let now: BTreeSet<String> = written.into_iter().flat_map(names).collect();
    let in_use: BTreeSet<String> = ledger
        .into_iter()
        .flat_map(|ledger| ledger.revisions.values())
        .flat_map(|revision| names(&revision.set))
        .collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for change in &source.changes {
        let OverrideField::Container { container, .. } = &change.field else { continue };
        if now.contains(container) || !seen.insert(container) {
            continue;
        }
        let is_in_use = in_use.contains(container);
        if is_in_use && written.is_none() {
            continue;
        }
        let message = format!(
            "SidecarOverride `{}` names container `{container}`, which SidecarSet `{}` {}",
            source.name,
            source.sidecar_set,
            if is_in_use { "no longer has" } else { "does not have" }
        );
        let diagnostic = match is_in_use {
            true => Diagnostic::warning(Code::OverrideWithoutEffect, message)
                .because("it has an effect only while a workload has an earlier revision"),
            false => Diagnostic::error(Code::OverrideUnknownName, message),
        };
        let help = match closest_match(container, now.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}", now.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
        };
        let at = container_name_path(&change.path);
        found.push(
            diagnostic.at(source.document.label(&at, EntryPart::Value, "")).field(at.to_string()).help(help),
        );
    }
    found
}

/// Returns the path of the name of the container that a change is in.
fn container_name_path(path: &FieldPath) -> FieldPath {
    let segments = path.segments();
    let list = segments.iter().position(|segment| *segment == "containers".into());
    let end = list.map_or(segments.len(), |list| (list + 2).min(segments.len()));
    FieldPath::from(segments[..end].to_vec()).child("name")
}

/// Returns the hash of a source: of its pod template, and of what SidecarOverrides change in it.
pub(super) fn source_hash(template: &Value, overrides: &[Arc<SidecarOverride>]) -> String {
    let mut contents: Vec<Value> = overrides.iter().filter_map(|source| source.content()).collect();
    if contents.is_empty() {
        return template_hash(template);
    }
    contents.sort_by_key(Value::to_string);
    template_hash(&json!([template, contents]))
}

fn unreached_override(found: &IndexedOverride, names: &BTreeSet<&str>) -> Diagnostic {
    let source = &found.source;
    let namespace = source.namespace.as_ref().map_or_else(String::new, |n| format!(" of namespace `{n}`"));
    let message = format!(
        "SidecarOverride `{}` matches no workload{namespace} that SidecarSet `{}` selects",
        source.name, source.sidecar_set
    );
    let field = match source.target {
        OverrideTarget::Folder => "sidecarSet",
        OverrideTarget::Selector(_) => "selector",
        OverrideTarget::Workload { .. } => "workload",
    };
    let near = match &source.target {
        OverrideTarget::Workload { name, .. } if !names.contains(name.as_str()) => {
            closest_match(name, names.iter().copied())
        }
        _ => None,
    };
    let reach = match &found.folder {
        Some(folder) if folder.as_os_str().is_empty() => {
            "it is for manifests in its folder and below".to_owned()
        }
        Some(folder) => format!("it is for manifests in `{}` and below", folder.display()),
        None => "it is for manifests of the stream that it came in".to_owned(),
    };
    Diagnostic::warning(Code::OverrideWithoutEffect, message)
        .at(source.spec_label(field, ""))
        .field(format!("spec.{field}"))
        .because(reach)
        .help(near.map_or_else(
            || "correct the name or labels, move the file beside the workload, or remove it".to_owned(),
            |near| format!("did you mean `{near}`?"),
        ))
}
