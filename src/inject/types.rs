//! The types that the steps of an injection hand to each other.

use super::set_store::{PreparedSet, SidecarSetStore};
use super::template::{ContainerList, JsonObject, PodView, item_name};
use super::trace::{InjectionTrace, ItemSource, SetTrace};
use crate::diagnostics::{Diagnostic, Severity, Span};
use crate::model::config::AnnotationMode;
use crate::model::kubernetes_version::KubernetesVersion;
use crate::model::sidecar_override::ResolvedOverrides;
use crate::model::sidecar_set::SidecarContainer;
use crate::yaml::{EntryPart, ListItem, SharedValue};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// How to inject.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Annotations to write.
    pub annotations: AnnotationMode,
    /// Fill [`InjectionOutcome::trace`].
    pub trace: bool,
    /// The version of the clusters; None: unknown, and nothing is refused because of it.
    pub kubernetes_version: Option<KubernetesVersion>,
    /// The level of `job-never-completes`; None: it is not reported.
    pub job_never_completes: Option<Severity>,
    /// That level is one of `lint:`, and holds for every Job.
    pub is_job_level_written: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            annotations: AnnotationMode::default(),
            trace: false,
            kubernetes_version: None,
            job_never_completes: Some(Severity::Error),
            is_job_level_written: false,
        }
    }
}

/// The result of an injection.
#[derive(Debug, Clone, Default)]
pub struct InjectionOutcome {
    /// The sets that were injected, in the order of injection.
    pub injected_sets: Vec<String>,
    /// The diagnostics. Those of SidecarSets alone do not name the workload, so that equal ones of many
    /// workloads can be shown once.
    pub diagnostics: Vec<Diagnostic>,
    /// Which sets were looked at and what each line came from; empty unless asked for.
    pub trace: InjectionTrace,
}

impl InjectionOutcome {
    pub(super) fn from_errors(diagnostics: Vec<Diagnostic>) -> Self {
        Self { diagnostics, ..Self::default() }
    }
}

/// The state of one injection.
pub(super) struct InjectionContext<'a> {
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) trace: Option<InjectionTrace>,
    pub(super) options: &'a Options,
}

impl InjectionContext<'_> {
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        // Two containers of a set can meet the same trouble at the same place, one right after the other.
        if !self.diagnostics.iter().rev().take(8).any(|other| *other == diagnostic) {
            self.diagnostics.push(diagnostic);
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    pub(super) fn trace_all_skipped(&mut self, sets: &SidecarSetStore, reason: &str) {
        if let Some(trace) = &mut self.trace {
            trace.sets.extend(sets.current().iter().map(|s| SetTrace::skipped(s.name(), reason)));
        }
    }

    pub(super) fn into_outcome(self, injected: Vec<String>) -> InjectionOutcome {
        InjectionOutcome {
            injected_sets: injected,
            diagnostics: self.diagnostics,
            trace: self.trace.unwrap_or_default(),
        }
    }
}

/// The sets that apply, in the order of injection.
pub(super) struct SetSelection<'s> {
    pub(super) selected: Vec<SelectedSet<'s>>,
    /// Sets that would apply if their injection were not paused.
    pub(super) paused_sets: Vec<&'s PreparedSet>,
    /// The webhook is called for pods of this namespace.
    pub(super) is_webhook_called: bool,
}

/// A set that applies, and the content it gives.
pub(super) struct SelectedSet<'s> {
    /// The set as it is now: name and selector.
    pub(super) current: &'s PreparedSet,
    /// Its content for this workload: containers, volumes, pull secrets, patches and hashes.
    pub(super) content: &'s PreparedSet,
    /// Why that content.
    pub(super) reason: RevisionReason,
    /// Why its containers are native sidecars; None: they are containers.
    pub(super) native_reason: Option<NativeReason>,
    /// Kruise would know this content by a ControllerRevision.
    pub(super) is_registered: bool,
    /// What SidecarOverrides change for this workload.
    pub(super) overrides: ResolvedOverrides<'s>,
}

impl SelectedSet<'_> {
    /// Returns the set's name.
    pub(super) fn name(&self) -> &str {
        self.current.name()
    }
}

/// Why a workload gets the content it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RevisionReason {
    /// The set names no revision.
    LatestRevision,
    /// The set names a revision, and for this workload that is the one.
    NamedRevision,
    /// The set names a revision for a part of the workloads, and this one is not among them.
    PartialLatest,
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

/// Why the containers of a set are native sidecars in a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NativeReason {
    /// The mode is Native.
    Mode,
    /// The mode is Auto, and the pods run to completion.
    RunsToCompletion,
    /// The mode is Auto, and a launch order is asked for.
    LaunchOrder,
}

impl fmt::Display for NativeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mode => "the mode is Native",
            Self::RunsToCompletion => "the mode is Auto and its pods run to completion",
            Self::LaunchOrder => "the mode is Auto and a launch order is asked for",
        })
    }
}

/// What an earlier injection says of itself.
pub(super) struct PreviousInjection<'a> {
    /// The names in the injected-list, not trimmed.
    pub(super) injected_sets: BTreeSet<&'a str>,
    /// Those of them that have to leave the list.
    pub(super) removed_sets: BTreeSet<&'a str>,
}

impl PreviousInjection<'_> {
    /// Returns what a pod says that no set was ever injected into.
    pub(super) fn empty() -> Self {
        Self { injected_sets: BTreeSet::new(), removed_sets: BTreeSet::new() }
    }

    /// Returns whether some set was injected before.
    pub(super) fn has_injected_sets(&self) -> bool {
        self.injected_sets.iter().any(|name| !name.is_empty())
    }

    /// Returns whether this set was injected before.
    pub(super) fn contains(&self, set: &str) -> bool {
        self.injected_sets.contains(&set)
    }

    /// Returns whether a set that was injected before adds this pull secret, in any content that is known of it.
    pub(super) fn had_secret(&self, sets: &SidecarSetStore, secret: &str) -> bool {
        self.known_sets(sets).any(|set| set.has_secret(secret))
    }

    /// The known contents of the sets that were injected before.
    pub(super) fn known_sets<'s>(&self, sets: &'s SidecarSetStore) -> impl Iterator<Item = &'s PreparedSet> {
        self.injected_sets.iter().flat_map(|name| sets.all_contents(name))
    }
}

/// What becomes of a container of the pod as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContainerDisposition {
    /// It is the application's, or a sidecar that another program added.
    App,
    /// A set adds it again.
    Replaced,
    /// No set adds it any more.
    Removed,
}

/// The fates of all containers.
pub(super) struct PodDispositions {
    pub(super) init: Vec<ContainerDisposition>,
    pub(super) regular: Vec<ContainerDisposition>,
}

impl PodDispositions {
    /// Returns those of one list, in its order.
    pub(super) fn in_list(&self, list: ContainerList) -> &[ContainerDisposition] {
        match list {
            ContainerList::Init => &self.init,
            ContainerList::Regular => &self.regular,
        }
    }

    /// Returns the containers that go or are replaced.
    pub(super) fn injected_containers<'a>(
        &self,
        pod: &PodView<'a>,
    ) -> impl Iterator<Item = (ContainerList, usize, &'a Value, ContainerDisposition)> {
        [ContainerList::Init, ContainerList::Regular].into_iter().flat_map(move |list| {
            let with_fate = list.in_pod(pod).iter().zip(self.in_list(list)).enumerate();
            with_fate
                .filter(|(_, (_, f))| **f != ContainerDisposition::App)
                .map(move |(i, (c, f))| (list, i, c, *f))
        })
    }

    /// Returns the names of the containers that go.
    pub(super) fn removed_names<'a>(&self, pod: &PodView<'a>) -> BTreeSet<&'a str> {
        self.injected_containers(pod)
            .filter(|(.., disposition)| *disposition == ContainerDisposition::Removed)
            .map(|(_, _, c, _)| item_name(c))
            .collect()
    }
}

/// One container of a hot-upgrade pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HotUpgradeTwin {
    /// It has the image of the set, and works; else it has the empty image or that of the version before.
    pub(super) is_working: bool,
    /// Its version; 0: it has the empty image.
    pub(super) version: u32,
    /// The version of the other one when it got its own.
    pub(super) alternative: u32,
}

/// A container that a set adds, as it goes into the pod.
#[derive(Clone)]
pub(super) struct NewContainer<'a> {
    /// The index of the set in the order of injection.
    pub(super) set_index: usize,
    pub(super) sidecar: &'a SidecarContainer,
    pub(super) list: ContainerList,
    /// Its name in the pod.
    pub(super) name: String,
    pub(super) hot_upgrade_twin: Option<HotUpgradeTwin>,
    pub(super) container: ContainerContent,
    /// Where its startup probe comes from, where the set's author did not write it.
    pub(super) probe_source: Option<ProbeSource>,
    /// What in it the set's author did not write: key, index in the list below it, source.
    pub(super) sources: Vec<(&'static str, usize, ItemSource<'a>)>,
}

/// The fields of a container that a set adds: those that all workloads get, until something changes them.
#[derive(Clone)]
pub(super) enum ContainerContent {
    /// The container as every workload gets it, with the mark.
    Shared(Arc<SharedValue>),
    /// Another one for this workload.
    Own(JsonObject),
}

impl ContainerContent {
    /// Takes it as an item of a list of the pod.
    pub(super) fn take<'a>(&mut self) -> ListItem<'a> {
        match std::mem::replace(self, Self::Own(JsonObject::new())) {
            Self::Shared(shared) => ListItem::Shared(shared),
            Self::Own(object) => ListItem::New(Value::Object(object)),
        }
    }

    /// Returns it as a value.
    pub(super) fn value(&self) -> Cow<'_, Value> {
        match self {
            Self::Shared(shared) => Cow::Borrowed(shared.value()),
            Self::Own(object) => Cow::Owned(Value::Object(object.clone())),
        }
    }
}

impl Deref for ContainerContent {
    type Target = JsonObject;

    fn deref(&self) -> &JsonObject {
        match self {
            Self::Shared(shared) => shared.value().as_object().expect("a container is an object"),
            Self::Own(object) => object,
        }
    }
}

impl DerefMut for ContainerContent {
    fn deref_mut(&mut self) -> &mut JsonObject {
        if let Self::Shared(_) = self {
            *self = Self::Own(JsonObject::clone(self));
        }
        match self {
            Self::Own(object) => object,
            Self::Shared(_) => unreachable!("it was made its own"),
        }
    }
}

/// What a startup probe was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProbeSource {
    /// The readiness probe.
    Readiness,
    /// The port of this index.
    Port(usize),
}

/// Where a container of the new list comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ContainerSlot {
    /// The container of this index in the pod as it came.
    Existing(usize),
    /// What a set adds, by its index; it may replace a container of the pod.
    New(usize),
}

/// A new list of containers.
pub(super) struct MergedContainers<'a> {
    pub(super) list: ContainerList,
    /// Containers that stay are those of the pod, by reference.
    pub(super) values: Vec<ListItem<'a>>,
    pub(super) slots: Vec<ContainerSlot>,
}

/// Returns a label at the name of a container of a set.
pub(super) fn container_label(selected: &SelectedSet<'_>, sidecar: &SidecarContainer, text: &str) -> Span {
    selected.content.set().document.label(&sidecar.path.child("name"), EntryPart::Value, text)
}
