//! Where each injected line came from, for `pillion explain`.

use super::containers::{Brought, Merged, Slot, path};
use super::revision::{Chosen, Why};
use super::selects::Choice;
use super::template::{Object, Pod, name};
use crate::model::ledger::{Line, Name};
use crate::yaml::{Document, Path};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// Which sets were looked at and what each injected line came from.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Every set, in the order it was looked at.
    pub sets: Vec<SetTrace>,
    /// Every injected part of the template, in the order of the template.
    pub origins: Vec<Origin>,
    /// What was taken out: places in the template as it came, and why.
    pub removed: Vec<(Path, String)>,
    /// What the ledgers say of the workload, in the order of their names.
    pub carried: Vec<Carried>,
}

/// What a ledger says of one workload.
#[derive(Debug, Clone)]
pub struct Carried {
    /// The set's name.
    pub set: Arc<str>,
    /// What a workload without a line carries.
    pub released: Name,
    /// Where the open rollout goes; the outer None: no rollout is open.
    pub target: Option<Name>,
    /// The workload's line, as far as it counts.
    pub line: Option<Line>,
}

/// What became of one set.
#[derive(Debug, Clone)]
pub struct SetTrace {
    /// The set's name.
    pub set: String,
    /// Whether it was injected.
    pub verdict: Verdict,
}

/// Whether a set was injected, and why (not).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was; which content, in words.
    Injected(String),
    /// It was not; why not, in words.
    Passed(String),
}

impl SetTrace {
    pub(super) fn passed(set: &str, why: impl Into<String>) -> Self {
        Self { set: set.to_owned(), verdict: Verdict::Passed(why.into()) }
    }

    pub(super) fn injected(set: &str, why: impl Into<String>) -> Self {
        Self { set: set.to_owned(), verdict: Verdict::Injected(why.into()) }
    }
}

/// Where one part of the new template came from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its place in the new template, seen from the object that has `metadata` and `spec`.
    pub path: Path,
    /// The set it belongs to; None for what concerns them all (the injected-list).
    pub set: Option<String>,
    /// What put it there, in words.
    pub why: String,
    /// The place in the set's document that says so, where one does.
    pub from: Option<(Arc<Document>, Path)>,
}

/// What put a list item into an injected container, other than the set's author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source<'a> {
    /// The mark of injected containers.
    Mark,
    /// `transferEnv`, from this container.
    Transferred(&'a str),
    /// A variable that a shared mount of this container needs.
    SubPathExpr(&'a str),
    /// A mount or device of this container.
    Shared(&'a str),
    /// A hot-upgrade pair.
    HotUpgrade,
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mark => f.write_str("marks an injected container"),
            Self::Transferred(container) => write!(f, "`transferEnv` from container `{container}`"),
            Self::SubPathExpr(container) => {
                write!(f, "needed by a shared `subPathExpr` of container `{container}`")
            }
            Self::Shared(container) => write!(f, "shared with container `{container}`"),
            Self::HotUpgrade => f.write_str("tells a hot-upgrade container whether it works"),
        }
    }
}

impl Why {
    /// Returns the reason in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Latest => "the set as it is",
            Self::Named => "the revision that `injectionStrategy` names",
            Self::PartialLatest => "the set as it is: `policy: Partial` leaves this workload out",
        }
    }
}

/// Writes down where the parts of a new template came from.
pub(super) struct Recorder<'a> {
    pub(super) pod: &'a Pod<'a>,
    pub(super) choice: &'a Choice<'a>,
    pub(super) trace: &'a mut Trace,
}

impl Recorder<'_> {
    /// Records one list of containers, and in each what its set's author did not write.
    pub(super) fn containers(&mut self, brought: &[Brought<'_>], merged: &Merged) {
        for (at, slot) in merged.slots.iter().enumerate() {
            let Slot::Brought(index) = slot else { continue };
            let one = &brought[*index];
            let chosen = &self.choice.chosen[one.set];
            let place = path(merged.list, at);
            let why = match one.twin {
                None => "a container of the set",
                Some(_) => "one of a hot-upgrade pair",
            };
            self.origin(place.clone(), chosen, why, Some(one.sidecar.path.clone()));
            for (key, item, source) in &one.sources {
                self.origin(place.then(*key).then(*item), chosen, &source.to_string(), None);
            }
            if one.sidecar.resources_policy.is_some() {
                let from = one.sidecar.path.then("resourcesPolicy");
                self.origin(place.then("resources"), chosen, "`resourcesPolicy`", Some(from));
            }
        }
    }

    /// Records the volumes that are new or other than before.
    pub(super) fn volumes(&mut self, all: &[Value]) {
        for (at, volume) in all.iter().enumerate().filter(|(_, v)| !self.pod.volumes.contains(v)) {
            let index = |c: &Chosen<'_>| c.content.volume(name(volume));
            let Some((chosen, at_set)) = self.choice.chosen.iter().find_map(|c| Some((c, index(c)?))) else {
                continue;
            };
            let from = chosen.content.set().path.join(&Path::dotted("spec.volumes")).then(at_set);
            let place = Path::dotted("spec.volumes").then(at);
            self.origin(place, chosen, "mounted by a container of the set", Some(from));
        }
    }

    /// Records the pull secrets that are new.
    pub(super) fn secrets(&mut self, all: &[Value]) {
        for (at, secret) in all.iter().enumerate().filter(|(_, s)| !self.pod.image_pull_secrets.contains(s)) {
            let set = self.choice.chosen.iter().find(|c| c.content.brings_secret(name(secret)));
            if let Some(chosen) = set {
                let place = Path::dotted("spec.imagePullSecrets").then(at);
                self.origin(place, chosen, "a pull secret of the set", None);
            }
        }
    }

    /// Records the webhook's own annotations that are new or other than before.
    pub(super) fn annotations(&mut self, patched: &Object, all: &Object) {
        for (key, _) in all.iter().filter(|(key, value)| patched.get(*key) != Some(value)) {
            let path = Path::dotted("metadata.annotations").then(key.as_str());
            self.trace.origins.push(Origin {
                path,
                set: None,
                why: "written by injection".to_owned(),
                from: None,
            });
        }
        for (key, _) in patched.iter().filter(|(key, _)| !all.contains_key(*key)) {
            let path = Path::dotted("metadata.annotations").then(key.as_str());
            self.trace.removed.push((path, "an earlier injection wrote it".to_owned()));
        }
    }

    fn origin(&mut self, path: Path, chosen: &Chosen<'_>, why: &str, from: Option<Path>) {
        let document = &chosen.content.set().document;
        self.trace.origins.push(Origin {
            path,
            set: Some(chosen.name().to_owned()),
            why: why.to_owned(),
            from: from.map(|path| (Arc::clone(document), path)),
        });
    }
}
