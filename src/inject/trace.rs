//! Records the origin of each injected line, for `pillion explain`.

use super::containers::{ContainerSlot, MergedContainers, NewContainer, container_path};
use super::revision::{RevisionReason, SelectedSet};
use super::selection::SetSelection;
use super::template::{JsonObject, PodView, item_name};
use crate::model::ledger::{LedgerEntry, RevisionName};
use crate::yaml::{Document, FieldPath};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// Which sets were looked at and what each injected line came from.
#[derive(Debug, Clone, Default)]
pub struct InjectionTrace {
    /// Every set, in the order it was looked at.
    pub sets: Vec<SetTrace>,
    /// Every injected part of the template, in the order of the template.
    pub origins: Vec<PartOrigin>,
    /// What was removed: places in the template as it came, and why.
    pub removed: Vec<(FieldPath, String)>,
    /// What the ledgers say of the workload, in the order of their names.
    pub(crate) ledgers: Vec<LedgerTrace>,
}

/// What a ledger says of one workload.
#[derive(Debug, Clone)]
pub struct LedgerTrace {
    /// The set's name.
    pub(crate) set: Arc<str>,
    /// What a workload without a line has.
    pub(crate) released: RevisionName,
    /// Where the open rollout goes; the outer None: no rollout is open.
    pub(crate) target: Option<RevisionName>,
    /// The workload's line, as far as it counts.
    pub(crate) entry: Option<LedgerEntry>,
}

/// What became of one set.
#[derive(Debug, Clone)]
pub struct SetTrace {
    /// The set's name.
    pub set: String,
    /// Whether it was injected.
    pub verdict: InjectionVerdict,
}

/// Whether a set was injected, and why (not).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InjectionVerdict {
    /// It was; which content, in words.
    Injected(String),
    /// It was not; why not, in words.
    Skipped(String),
}

impl SetTrace {
    pub(super) fn skipped(set: &str, why: impl Into<String>) -> Self {
        Self { set: set.to_owned(), verdict: InjectionVerdict::Skipped(why.into()) }
    }

    pub(super) fn injected(set: &str, why: impl Into<String>) -> Self {
        Self { set: set.to_owned(), verdict: InjectionVerdict::Injected(why.into()) }
    }
}

/// Where one part of the new template came from.
#[derive(Debug, Clone)]
pub struct PartOrigin {
    /// Its place in the new template, seen from the object that has `metadata` and `spec`.
    pub path: FieldPath,
    /// The set it belongs to; None for what concerns them all (the injected-list).
    pub(crate) set: Option<String>,
    /// What put it there, in words.
    pub reason: String,
    /// The place in the set's document that says so, where one does.
    pub(crate) from: Option<(Arc<Document>, FieldPath)>,
}

/// What put a list item into an injected container, other than the set's author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemSource<'a> {
    /// The mark of injected containers.
    InjectedMark,
    /// `transferEnv`, from this container.
    Transferred(&'a str),
    /// A variable that a shared mount of this container needs.
    SubPathExpr(&'a str),
    /// A mount or device of this container.
    SharedMount(&'a str),
    /// A hot-upgrade pair.
    HotUpgrade,
}

impl fmt::Display for ItemSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InjectedMark => f.write_str("marks an injected container"),
            Self::Transferred(container) => write!(f, "`transferEnv` from container `{container}`"),
            Self::SubPathExpr(container) => {
                write!(f, "needed by a shared `subPathExpr` of container `{container}`")
            }
            Self::SharedMount(container) => write!(f, "shared with container `{container}`"),
            Self::HotUpgrade => f.write_str("marks the active container of a hot-upgrade pair"),
        }
    }
}

impl RevisionReason {
    /// Returns the reason in words.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::LatestRevision => "the set as it is",
            Self::NamedRevision => "the revision that `injectionStrategy` names",
            Self::PartialLatest => "the set as it is: `policy: Partial` leaves this workload out",
        }
    }
}

/// Writes down where the parts of a new template came from.
pub(super) struct TraceRecorder<'a> {
    pub(super) pod: &'a PodView<'a>,
    pub(super) selection: &'a SetSelection<'a>,
    pub(super) trace: &'a mut InjectionTrace,
}

impl TraceRecorder<'_> {
    /// Records one list of containers, and in each what its set's author did not write.
    pub(super) fn record_containers(
        &mut self,
        new_containers: &[NewContainer<'_>],
        merged: &MergedContainers,
    ) {
        for (at, slot) in merged.slots.iter().enumerate() {
            let ContainerSlot::New(index) = slot else { continue };
            let one = &new_containers[*index];
            let selected = &self.selection.selected[one.set_index];
            let place = container_path(merged.list, at);
            let why = match one.hot_upgrade_role {
                None => "a container of the set",
                Some(_) => "one of a hot-upgrade pair",
            };
            self.record_origin(place.clone(), selected, why, Some(one.sidecar.path.clone()));
            for (key, item, source) in &one.sources {
                self.record_origin(place.child(*key).child(*item), selected, &source.to_string(), None);
            }
            if one.sidecar.resources_policy.is_some() {
                let from = one.sidecar.path.child("resourcesPolicy");
                self.record_origin(place.child("resources"), selected, "`resourcesPolicy`", Some(from));
            }
        }
    }

    /// Records the volumes that are new or other than before.
    pub(super) fn record_volumes(&mut self, all: &[Value]) {
        for (at, volume) in all.iter().enumerate().filter(|(_, v)| !self.pod.volumes.contains(v)) {
            let index = |c: &SelectedSet<'_>| c.content.volume_index(item_name(volume));
            let Some((selected, at_set)) = self.selection.selected.iter().find_map(|c| Some((c, index(c)?)))
            else {
                continue;
            };
            let from = selected.content.set().path.join(&FieldPath::dotted("spec.volumes")).child(at_set);
            let place = FieldPath::dotted("spec.volumes").child(at);
            self.record_origin(place, selected, "mounted by a container of the set", Some(from));
        }
    }

    /// Records the pull secrets that are new.
    pub(super) fn record_secrets(&mut self, all: &[Value]) {
        for (at, secret) in all.iter().enumerate().filter(|(_, s)| !self.pod.image_pull_secrets.contains(s)) {
            let set = self.selection.selected.iter().find(|c| c.content.has_secret(item_name(secret)));
            if let Some(selected) = set {
                let place = FieldPath::dotted("spec.imagePullSecrets").child(at);
                self.record_origin(place, selected, "a pull secret of the set", None);
            }
        }
    }

    /// Records the webhook's own annotations that are new or other than before.
    pub(super) fn record_annotations(&mut self, patched: &JsonObject, all: &JsonObject) {
        for (key, _) in all.iter().filter(|(key, value)| patched.get(*key) != Some(value)) {
            let path = FieldPath::dotted("metadata.annotations").child(key.as_str());
            self.trace.origins.push(PartOrigin {
                path,
                set: None,
                reason: "written by injection".to_owned(),
                from: None,
            });
        }
        for (key, _) in patched.iter().filter(|(key, _)| !all.contains_key(*key)) {
            let path = FieldPath::dotted("metadata.annotations").child(key.as_str());
            self.trace.removed.push((path, "an earlier injection wrote it".to_owned()));
        }
    }

    fn record_origin(
        &mut self,
        path: FieldPath,
        selected: &SelectedSet<'_>,
        why: &str,
        from: Option<FieldPath>,
    ) {
        let document = &selected.content.set().document;
        self.trace.origins.push(PartOrigin {
            path,
            set: Some(selected.name().to_owned()),
            reason: why.to_owned(),
            from: from.map(|path| (Arc::clone(document), path)),
        });
    }
}
