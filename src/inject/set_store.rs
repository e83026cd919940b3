//! Holds the SidecarSets of a run and the revisions of each.

use super::injected_mark::with_mark;
use super::template::{ContainerList, JsonObject, item_name, text_at};
use crate::diagnostics::Span;
use crate::model::go_regexp::{self, PatternError};
use crate::model::resources_expr::{self, ResourcesExpr};
use crate::model::sidecar_set::{ResourcesPolicy, SidecarContainer, SidecarMode, SidecarSet};
use crate::yaml::{EntryPart, FieldPath, SharedValue};
use regex::bytes::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One content of a SidecarSet, with what can be worked out once for all workloads.
#[derive(Debug)]
pub struct PreparedSet {
    set: Arc<SidecarSet>,
    init: PreparedList,
    regular: PreparedList,
    /// The volumes that its containers mount, in the order of mounting, each with the index of its
    /// definition.
    mounted: Vec<(String, Option<usize>)>,
    /// The volumes of the set, for the pods that get them.
    volumes: Vec<Arc<SharedValue>>,
    /// The names of those that are defined.
    volume_indexes: BTreeMap<String, usize>,
    secrets: BTreeSet<String>,
    /// Where its name is written.
    name_span: Span,
    /// The set with its containers as native sidecars; None where no pod gets it in this form.
    native_form: Option<Box<Self>>,
}

/// One list of containers.
#[derive(Debug)]
struct PreparedList {
    /// The containers as pods get them, with the mark, unless a workload changes something.
    containers: Vec<Arc<SharedValue>>,
    policies: Vec<Option<CompiledResourcesPolicy>>,
    /// The names the containers have in a pod, each with the index of its container.
    pod_names: Vec<(String, usize)>,
    name_index: BTreeSet<String>,
}

impl PreparedList {
    fn new(sidecars: &[SidecarContainer], list: ContainerList) -> Self {
        let policies =
            sidecars.iter().map(|c| c.resources_policy.as_ref().map(CompiledResourcesPolicy::new)).collect();
        let marked = |sidecar: &SidecarContainer| Value::Object(with_mark(&sidecar.container));
        let containers = sidecars.iter().map(|c| Arc::new(SharedValue::new(marked(c)))).collect();
        let named = |(i, sidecar)| pod_names(sidecar, list).into_iter().map(move |name| (name, i));
        let names: Vec<_> = sidecars.iter().enumerate().flat_map(named).collect();
        let by_name = names.iter().map(|(name, _)| name.clone()).collect();
        Self { containers, policies, pod_names: names, name_index: by_name }
    }
}

/// A compiled policy; its errors are reported when it is used.
#[derive(Debug)]
pub(super) struct CompiledResourcesPolicy {
    pub(super) is_sum: bool,
    pub(super) name_pattern: Result<Regex, PatternError>,
    /// Part of `resources`, resource, expression: in the order they are written.
    pub(super) expressions: Vec<(&'static str, &'static str, Result<ResourcesExpr, String>)>,
}

impl CompiledResourcesPolicy {
    /// Compiles a policy.
    fn new(policy: &ResourcesPolicy) -> Self {
        let written = [
            ("limits", "cpu", &policy.limits_cpu),
            ("limits", "memory", &policy.limits_memory),
            ("requests", "cpu", &policy.requests_cpu),
            ("requests", "memory", &policy.requests_memory),
        ];
        // Kruise v1.9.0 skips an expression without text.
        let terms = written.into_iter().filter_map(|(part, resource, text)| {
            let text = text.as_deref().filter(|t| !t.is_empty())?;
            Some((part, resource, resources_expr::parse(text).map_err(|e| e.to_string())))
        });
        Self {
            is_sum: policy.mode != "max",
            name_pattern: go_regexp::compile(&policy.name_regex),
            expressions: terms.collect(),
        }
    }
}

impl PreparedSet {
    /// Prepares a set.
    pub fn new(set: Arc<SidecarSet>) -> Self {
        let defined: BTreeMap<&str, usize> =
            set.volumes.iter().enumerate().map(|(i, v)| (text_at(v, "name"), i)).collect();
        let mut mounted: Vec<(String, Option<usize>)> = Vec::new();
        let mut seen = BTreeSet::new();
        for volume in set.init_containers.iter().chain(&set.containers).flat_map(mounted_names) {
            if seen.insert(volume) {
                mounted.push((volume.to_owned(), defined.get(volume).copied()));
            }
        }
        let shared = |volume: &JsonObject| Arc::new(SharedValue::new(Value::Object(volume.clone())));
        let volumes = mounted.iter().filter_map(|(name, at)| Some((name.clone(), (*at)?))).collect();
        Self {
            init: PreparedList::new(&set.init_containers, ContainerList::Init),
            regular: PreparedList::new(&set.containers, ContainerList::Regular),
            mounted,
            volumes: set.volumes.iter().map(shared).collect(),
            volume_indexes: volumes,
            secrets: set.image_pull_secrets.iter().cloned().collect(),
            native_form: native_form(&set),
            name_span: set.document.label(
                &set.path.join(&FieldPath::dotted("metadata.name")),
                EntryPart::Value,
                "",
            ),
            set,
        }
    }

    /// Returns the set with its containers as native sidecars, where its mode may ask for them.
    pub(super) fn native_form(&self) -> Option<&Self> {
        self.native_form.as_deref()
    }

    /// Returns the set.
    pub fn set(&self) -> &Arc<SidecarSet> {
        &self.set
    }

    /// Returns the set's name.
    pub(crate) fn name(&self) -> &str {
        &self.set.name
    }

    /// Returns the place of its name, which many workloads ask for.
    pub(super) fn name_span(&self) -> &Span {
        &self.name_span
    }

    /// Returns the names that its containers have in a pod: those of both lists.
    pub(crate) fn container_names(&self) -> impl Iterator<Item = &str> {
        self.init.pod_names.iter().chain(&self.regular.pod_names).map(|(name, _)| name.as_str())
    }

    /// Returns the same content without the containers of some names, as the set writes them. None: none is left.
    pub(crate) fn without_containers(&self, names: &BTreeSet<&str>) -> Option<Self> {
        let mut set = SidecarSet::clone(&self.set);
        set.init_containers.retain(|c| !names.contains(c.name.as_str()));
        set.containers.retain(|c| !names.contains(c.name.as_str()));
        let is_empty = set.init_containers.is_empty() && set.containers.is_empty();
        (!is_empty).then(|| Self::new(Arc::new(set)))
    }

    /// Returns the containers of one list, each as a pod gets it and with its resource policy.
    pub(super) fn sidecars(
        &self,
        list: ContainerList,
    ) -> impl Iterator<Item = (&SidecarContainer, &Arc<SharedValue>, Option<&CompiledResourcesPolicy>)> {
        let prepared = self.prepared_list(list);
        let policies = prepared.policies.iter().map(Option::as_ref);
        let sidecars = self.set_containers(list).iter().zip(&prepared.containers).zip(policies);
        sidecars.map(|((sidecar, container), policy)| (sidecar, container, policy))
    }

    /// Returns the names that the containers of one list have in a pod.
    pub(super) fn pod_names(&self, list: ContainerList) -> impl Iterator<Item = (&str, &SidecarContainer)> {
        self.prepared_list(list)
            .pod_names
            .iter()
            .map(move |(name, at)| (name.as_str(), &self.set_containers(list)[*at]))
    }

    /// Returns whether a container of that name goes into a list of the pod.
    pub(super) fn has_container(&self, list: ContainerList, name: &str) -> bool {
        self.prepared_list(list).name_index.contains(name)
    }

    /// Returns whether a container of that name goes into a list of the pod, in one of its forms.
    pub(super) fn may_have_container(&self, list: ContainerList, name: &str) -> bool {
        self.has_container(list, name)
            || self.native_form().is_some_and(|form| form.has_container(list, name))
    }

    /// Returns the volumes that its containers mount, in the order of mounting: name and definition.
    pub(super) fn mounted_volumes(&self) -> impl Iterator<Item = (&str, Option<&JsonObject>)> {
        self.mounted.iter().map(|(name, at)| (name.as_str(), at.map(|i| &self.set.volumes[i])))
    }

    /// Returns a volume that it adds into a pod.
    pub(super) fn volume(&self, name: &str) -> Option<&Arc<SharedValue>> {
        self.volumes.get(self.volume_index(name)?)
    }

    /// Returns the index in `volumes` of a volume that it adds into a pod.
    pub(super) fn volume_index(&self, name: &str) -> Option<usize> {
        self.volume_indexes.get(name).copied()
    }

    /// Returns the pull secrets, in the order of the set.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.set.image_pull_secrets.iter().map(String::as_str)
    }

    /// Returns whether it has a pull secret of that name.
    pub(super) fn has_secret(&self, name: &str) -> bool {
        self.secrets.contains(name)
    }

    fn prepared_list(&self, list: ContainerList) -> &PreparedList {
        match list {
            ContainerList::Init => &self.init,
            ContainerList::Regular => &self.regular,
        }
    }

    fn set_containers(&self, list: ContainerList) -> &[SidecarContainer] {
        match list {
            ContainerList::Init => &self.set.init_containers,
            ContainerList::Regular => &self.set.containers,
        }
    }
}

/// The form with native sidecars, if its mode may ask for it.
fn native_form(set: &SidecarSet) -> Option<Box<PreparedSet>> {
    let may_convert = set.mode != SidecarMode::Container && !set.containers.is_empty();
    may_convert.then(|| Box::new(PreparedSet::new(Arc::new(to_native_form(set)))))
}

/// Returns the set with its containers as native sidecars, behind its own init containers.
fn to_native_form(set: &SidecarSet) -> SidecarSet {
    let mut native = set.clone();
    native.init_containers.extend(native.containers.drain(..).map(to_native_sidecar));
    native
}

fn to_native_sidecar(mut sidecar: SidecarContainer) -> SidecarContainer {
    let container = &mut sidecar.container;
    let at = container.keys().position(|key| key == "image").map_or(container.len(), |image| image + 1);
    container.shift_insert(at, "restartPolicy".to_owned(), "Always".into());
    SidecarContainer { is_native_sidecar: true, is_converted: true, ..sidecar }
}

/// Returns whether a container becomes a pair. Kruise v1.9.0 ignores the setting on plain init containers.
pub(super) fn is_hot_upgraded(sidecar: &SidecarContainer, list: ContainerList) -> bool {
    sidecar.hot_upgrade_empty_image.is_some() && (list == ContainerList::Regular || sidecar.is_native_sidecar)
}

/// Returns the names of a container in the pod.
fn pod_names(sidecar: &SidecarContainer, list: ContainerList) -> Vec<String> {
    if is_hot_upgraded(sidecar, list) {
        sidecar.hot_upgrade_names().into()
    } else {
        vec![sidecar.name.clone()]
    }
}

/// Per container mounts come before devices.
fn mounted_names(sidecar: &SidecarContainer) -> impl Iterator<Item = &str> {
    let list =
        |key: &str| sidecar.container.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    list("volumeMounts").iter().chain(list("volumeDevices")).map(item_name)
}

/// The SidecarSets that are to be injected, and contents they have had.
///
/// Cheap to clone; [`SidecarSetStore::with_current`] keeps the history and changes what is injected.
#[derive(Debug, Clone, Default)]
pub struct SidecarSetStore {
    current: Vec<Arc<PreparedSet>>,
    earlier: Arc<BTreeMap<String, Vec<Arc<PreparedSet>>>>,
}

impl SidecarSetStore {
    /// Makes the collection: `current` has each name once, in any order; `earlier` are further contents of
    /// the same or other sets, oldest first.
    pub fn new(current: Vec<Arc<PreparedSet>>, earlier: Vec<Arc<PreparedSet>>) -> Self {
        let mut by_name: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for set in earlier {
            by_name.entry(set.name().to_owned()).or_default().push(set);
        }
        Self { current: Vec::new(), earlier: Arc::new(by_name) }.with_current(current)
    }

    /// Returns the same history with other sets to inject: what a ledger says about one workload.
    #[must_use]
    pub(crate) fn with_current(&self, mut current: Vec<Arc<PreparedSet>>) -> Self {
        current.sort_by(|a, b| a.name().cmp(b.name()));
        Self { current, earlier: Arc::clone(&self.earlier) }
    }

    /// Returns the sets to inject, by name.
    pub fn current(&self) -> &[Arc<PreparedSet>] {
        &self.current
    }

    /// Returns whether some known content of a set has a container of that name.
    pub(super) fn has_container_name(&self, name: &str) -> bool {
        let mut known =
            self.current.iter().chain(self.earlier.values().flatten()).map(|prepared| prepared.set());
        known.any(|set| set.init_containers.iter().chain(&set.containers).any(|c| c.name == name))
    }

    /// Returns the earlier contents of a set, oldest first.
    pub(super) fn earlier_contents(&self, name: &str) -> &[Arc<PreparedSet>] {
        self.earlier.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns every known content of a set, the current one last.
    pub(super) fn all_contents(&self, name: &str) -> impl DoubleEndedIterator<Item = &PreparedSet> {
        let at = self.current.partition_point(|s| s.name() < name);
        let current = self.current.get(at).filter(|s| s.name() == name);
        self.earlier_contents(name).iter().chain(current).map(Arc::as_ref)
    }
}
