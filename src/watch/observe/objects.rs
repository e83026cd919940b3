//! Converts objects to the fields that a [`Snapshot`](crate::watch::snapshot::Snapshot) needs, with their owners.

use super::injected_sets::{InjectedSet, read_injected_sets};
use super::interner::Interner;
use super::live_workload::{raw, read_workload, saturating_u32};
use super::wire;
use crate::model::workload::{NO_NAMESPACE, WorkloadKind, workload_key};
use crate::watch::snapshot::{
    ContainerRole, ContainerState, ContainerTermination, LiveContainer, LivePod, LivePodCondition,
    LiveWorkload, PodPhase, WorkloadCondition,
};
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;

/// How the objects of a list are read.
#[derive(Debug, Clone)]
pub(super) enum ObjectShape {
    /// Pods; those without a controller are workloads if the scope names the kind.
    Pods(Option<Arc<WorkloadKind>>),
    /// Objects between a workload and its pods; those without a controller are workloads if the scope names the kind.
    Intermediate(Option<Arc<WorkloadKind>>),
    /// ControllerRevisions.
    Revisions,
    /// Workloads.
    Workloads(Arc<WorkloadKind>),
}

/// A stored object.
#[derive(Debug, Clone)]
pub(super) enum ObservedObject {
    Pod(Arc<TrackedPod>),
    Object(Arc<OwnerObject>),
}

/// A workload without its pods.
#[derive(Debug)]
pub(super) struct KeyedWorkload {
    pub(super) key: Arc<str>,
    pub(super) kind: Arc<WorkloadKind>,
    pub(super) workload: LiveWorkload,
    /// Of a SidecarSet: the hash of its containers without their images.
    pub(super) hash_without_image: Option<Arc<str>>,
}

/// A pod, and its links to a workload.
#[derive(Debug)]
pub(super) struct TrackedPod {
    pub(super) name: Arc<str>,
    pub(super) namespace: Arc<str>,
    /// The uid of its controller.
    pub(super) owner: Option<Arc<str>>,
    pub(super) hashes: RevisionHashes,
    pub(super) pod: LivePod,
    /// The SidecarSets that Kruise has injected.
    pub(super) sidecar_sets: Vec<InjectedSet>,
    /// Set for a bare Pod.
    pub(super) bare_workload: Option<Box<KeyedWorkload>>,
}

/// Labels by which controllers mark the pods of one template.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(super) struct RevisionHashes {
    /// `pod-template-hash`.
    pub(super) template: Option<Arc<str>>,
    /// `rollouts-pod-template-hash`.
    pub(super) rollout: Option<Arc<str>>,
    /// `controller-revision-hash`.
    pub(super) controller: Option<Arc<str>>,
    /// `apps.kruise.io/controller-revision-hash`.
    pub(super) united_deployment: Option<Arc<str>>,
}

/// An object other than a pod.
#[derive(Debug)]
pub(super) struct OwnerObject {
    pub(super) name: Arc<str>,
    pub(super) namespace: Arc<str>,
    pub(super) uid: Arc<str>,
    pub(super) owner: Option<Arc<str>>,
    pub(super) created: Option<Timestamp>,
    /// A ControllerRevision's `revision`, or the annotation `deployment.kubernetes.io/revision`.
    pub(super) revision: Option<i64>,
    pub(super) hashes: RevisionHashes,
    /// None: it only links a workload to its pods.
    pub(super) workload: Option<Box<KeyedWorkload>>,
}

impl ObservedObject {
    pub(super) fn namespaced_name(&self) -> (Arc<str>, Arc<str>) {
        let (namespace, name) = match self {
            Self::Pod(pod) => (&pod.namespace, &pod.name),
            Self::Object(object) => (&object.namespace, &object.name),
        };
        (Arc::clone(namespace), Arc::clone(name))
    }

    /// Returns its approximate memory, including shared texts.
    pub(super) fn memory_size(&self) -> usize {
        // A map node, reference counts, and rounding of the allocator.
        const AROUND: usize = 192;
        AROUND
            + match self {
                Self::Pod(pod) => {
                    size_of::<TrackedPod>()
                        + pod.text_bytes()
                        + pod.bare_workload.as_deref().map_or(0, KeyedWorkload::memory_size)
                }
                Self::Object(object) => {
                    let texts = object.name.len() + object.uid.len();
                    size_of::<OwnerObject>()
                        + texts
                        + object.workload.as_deref().map_or(0, KeyedWorkload::memory_size)
                }
            }
    }

    /// Returns whether both give the same snapshot.
    pub(super) fn is_equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pod(a), Self::Pod(b)) => {
                a.owner == b.owner
                    && a.sidecar_sets == b.sidecar_sets
                    && a.hashes == b.hashes
                    && a.pod == b.pod
                    && match (&a.bare_workload, &b.bare_workload) {
                        (Some(a), Some(b)) => is_same_workload(&a.workload, &b.workload),
                        (a, b) => a.is_none() && b.is_none(),
                    }
            }
            (Self::Object(a), Self::Object(b)) => {
                let same = a.uid == b.uid && a.owner == b.owner && a.revision == b.revision;
                same && a.hashes == b.hashes
                    && match (&a.workload, &b.workload) {
                        (Some(a), Some(b)) => {
                            a.hash_without_image == b.hash_without_image
                                && is_same_workload(&a.workload, &b.workload)
                        }
                        (a, b) => a.is_none() && b.is_none(),
                    }
            }
            _ => false,
        }
    }
}

impl KeyedWorkload {
    fn memory_size(&self) -> usize {
        let raw = |value: &Option<Arc<RawValue>>| value.as_ref().map_or(0, |v| v.get().len());
        let w = &self.workload;
        let conditions = w.conditions.len() * size_of::<WorkloadCondition>();
        size_of::<Self>() + self.key.len() + raw(&w.template) + raw(&w.partition) + conditions
    }
}

impl TrackedPod {
    /// Returns the bytes of its texts.
    fn text_bytes(&self) -> usize {
        let length = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |t| t.len());
        let condition_bytes = |c: &LivePodCondition| length(&c.reason) + length(&c.message);
        let containers = self.pod.containers.iter().map(|c| {
            let state = match &c.state {
                ContainerState::Waiting { reason, message } => reason.len() + message.len(),
                ContainerState::Terminated(end) => end.reason.len(),
                ContainerState::Running { .. } | ContainerState::Unknown => 0,
            };
            let ids = length(&c.running_image) + length(&c.image_id) + length(&c.previous_image_id);
            size_of::<LiveContainer>() + c.name.len() + c.image.len() + ids + state
        });
        self.name.len()
            + self.pod.uid.len()
            + condition_bytes(&self.pod.ready)
            + condition_bytes(&self.pod.scheduled)
            + length(&self.pod.reason)
            + length(&self.pod.disruption)
            + containers.sum::<usize>()
            + self.sidecar_sets.iter().map(InjectedSet::memory_size).sum::<usize>()
    }
}

/// Compares workloads without their pods.
fn is_same_workload(a: &LiveWorkload, b: &LiveWorkload) -> bool {
    let raw = |value: &Option<Arc<RawValue>>| value.as_ref().map(|v| v.get().to_owned());
    let flat = |w: &LiveWorkload| {
        (
            (
                w.generation,
                w.observed_generation,
                w.desired,
                w.is_update_manual,
                w.progress_deadline,
                w.min_ready_seconds,
            ),
            (w.update_revision.clone(), w.conditions.clone(), w.spec_changed),
            (raw(&w.template), raw(&w.partition)),
        )
    };
    flat(a) == flat(b)
}

/// Reads an object.
pub(super) fn read_object(
    shape: &ObjectShape,
    json: &RawValue,
    texts: &mut Interner,
) -> Result<ObservedObject, serde_json::Error> {
    let of = |object| ObservedObject::Object(Arc::new(object));
    match shape {
        ObjectShape::Pods(kind) => {
            read_pod(kind.as_ref(), json, texts).map(|pod| ObservedObject::Pod(Arc::new(pod)))
        }
        ObjectShape::Revisions => read_owner_object(None, json, texts).map(of),
        ObjectShape::Workloads(kind) => read_owner_object(Some(kind), json, texts).map(of),
        ObjectShape::Intermediate(kind) => {
            let any: wire::ObjectWire<'_> = serde_json::from_str(json.get())?;
            let kind = kind.as_ref().filter(|_| any.metadata.controller_uid().is_none());
            read_owner_object(kind, json, texts).map(of)
        }
    }
}

/// Reads namespace, name and resource version.
pub(super) fn read_identity(json: &RawValue) -> Result<(Arc<str>, Arc<str>, String), serde_json::Error> {
    let any: wire::ObjectWire<'_> = serde_json::from_str(json.get())?;
    let meta = &any.metadata;
    let version = meta.resource_version.as_str().to_owned();
    Ok((Arc::from(meta.namespace.as_str()), Arc::from(meta.name.as_str()), version))
}

fn read_hashes(meta: &wire::ObjectMetaWire<'_>, texts: &mut Interner) -> RevisionHashes {
    let Some(labels) = &meta.labels else { return RevisionHashes::default() };
    let mut share = |text: &wire::WireText<'_>| text.non_empty().map(|text| texts.intern(text));
    RevisionHashes {
        template: share(&labels.template),
        rollout: share(&labels.rollout),
        controller: share(&labels.controller),
        united_deployment: share(&labels.united_deployment),
    }
}

fn parse_time(text: &wire::WireText<'_>) -> Option<Timestamp> {
    text.non_empty()?.parse().ok()
}

fn read_pod(
    kind: Option<&Arc<WorkloadKind>>,
    json: &RawValue,
    texts: &mut Interner,
) -> Result<TrackedPod, serde_json::Error> {
    let read: wire::LivePodWire<'_> = serde_json::from_str(json.get())?;
    let meta = &read.metadata;
    let status = &read.status;
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let find = |kind: &str| conditions.iter().find(|c| c.kind.as_str() == kind);
    let owner = meta.controller_uid().map(|uid| texts.intern(uid));
    let created = parse_time(&meta.creation_timestamp);
    let in_place = meta.annotations.as_ref().map_or("", |a| a.in_place.as_str());
    let in_place: wire::InPlaceUpdateWire<'_> = serde_json::from_str(in_place).unwrap_or_default();
    // Controllers write labels and annotations after creation, Kruise each time: managed fields show a change only
    // without a controller.
    let by_hand = || meta.last_spec_write().filter(|at| owner.is_none() && Some(*at) > created);
    let changed = parse_time(&in_place.update_timestamp).or_else(by_hand);
    let disruption = find("DisruptionTarget").filter(|c| c.status.as_str() == "True");
    let pod = LivePod {
        uid: Arc::from(meta.uid.as_str()),
        created,
        updated_in_place: changed,
        deletion_time: parse_time(&meta.deletion_timestamp),
        is_update_unobserved: status
            .observed_generation
            .is_some_and(|seen| meta.generation.unwrap_or(0) > seen),
        revision: None,
        is_scheduled: read.spec.node_name.non_empty().is_some(),
        phase: match status.phase.as_str() {
            "Running" => PodPhase::Running,
            "Succeeded" => PodPhase::Succeeded,
            "Failed" => PodPhase::Failed,
            "Unknown" => PodPhase::Unknown,
            _ => PodPhase::Pending,
        },
        reason: status.reason.non_empty().map(|reason| texts.intern(reason)),
        ready: read_condition(find("Ready"), texts),
        scheduled: read_condition(find("PodScheduled"), texts),
        disruption: disruption.map(|c| texts.intern(c.reason.as_str())),
        containers: read_containers(&read, &in_place, texts).into(),
    };
    let namespace = texts.intern(meta.namespace.as_str());
    let name: Arc<str> = Arc::from(meta.name.as_str());
    let bare = kind.filter(|_| owner.is_none()).map(|kind| {
        let workload = LiveWorkload {
            generation: meta.generation.unwrap_or(0),
            observed_generation: status.observed_generation,
            desired: Some(1),
            spec_changed: meta.last_spec_write(),
            template: without_managed_fields(json),
            ..LiveWorkload::default()
        };
        let key = Arc::from(workload_key("v1", "Pod", &namespace, &name));
        Box::new(KeyedWorkload { key, kind: Arc::clone(kind), workload, hash_without_image: None })
    });
    let sidecar_sets = meta.annotations.as_ref().map_or_else(Vec::new, |a| read_injected_sets(a, texts));
    let hashes = read_hashes(meta, texts);
    Ok(TrackedPod { hashes, name, namespace, owner, pod, sidecar_sets, bare_workload: bare })
}

/// Returns an object without its managed fields.
fn without_managed_fields(json: &RawValue) -> Option<Arc<RawValue>> {
    let mut object: Value = serde_json::from_str(json.get()).ok()?;
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.shift_remove("managedFields");
    }
    raw(&object)
}

fn read_condition(read: Option<&wire::LiveConditionWire<'_>>, texts: &mut Interner) -> LivePodCondition {
    let Some(read) = read else { return LivePodCondition::default() };
    LivePodCondition {
        is_true: read.status.as_str() == "True",
        since: parse_time(&read.last_transition_time),
        reason: read.reason.non_empty().map(|reason| texts.intern(reason)),
        message: read.message.non_empty().map(|message| texts.intern(message)),
    }
}

/// Init containers come first, in start order.
fn read_containers(
    read: &wire::LivePodWire<'_>,
    in_place: &wire::InPlaceUpdateWire<'_>,
    texts: &mut Interner,
) -> Vec<LiveContainer> {
    let (spec, status) = (&read.spec, &read.status);
    let lists = [
        (true, &spec.init_containers, &status.init_container_statuses),
        (false, &spec.containers, &status.container_statuses),
    ];
    let mut found =
        Vec::with_capacity(lists.iter().map(|(_, list, _)| list.as_ref().map_or(0, Vec::len)).sum());
    for (is_init, asked, statuses) in lists {
        for container in asked.iter().flatten() {
            let statuses = statuses.iter().flatten().find(|status| status.name == container.name);
            let before = in_place.last_container_statuses.as_ref().and_then(|all| all.get(&container.name));
            let before = before.and_then(|before| before.image_id.non_empty());
            found.push(LiveContainer {
                name: texts.intern(container.name.as_str()),
                role: match (is_init, container.restart_policy.as_str()) {
                    (false, _) => ContainerRole::Main,
                    (true, "Always") => ContainerRole::NativeSidecar,
                    (true, _) => ContainerRole::Init,
                },
                image: texts.intern(container.image.as_str()),
                running_image: statuses.and_then(|s| s.image.non_empty()).map(|image| texts.intern(image)),
                image_id: statuses.and_then(|s| s.image_id.non_empty()).map(|id| texts.intern(id)),
                previous_image_id: before.map(|id| texts.intern(id)),
                is_ready: statuses.and_then(|s| s.ready).unwrap_or(false),
                restarts: statuses.and_then(|s| s.restart_count).map_or(0, saturating_u32),
                state: statuses
                    .and_then(|s| s.state.as_ref())
                    .map_or(ContainerState::Unknown, |s| read_state(s, texts)),
                last_termination: statuses
                    .and_then(|s| s.last_state.as_ref()?.terminated.as_ref())
                    .map(|e| read_termination(e, texts)),
            });
        }
    }
    found
}

fn read_state(read: &wire::LiveContainerStateWire<'_>, texts: &mut Interner) -> ContainerState {
    if let Some(terminated) = &read.terminated {
        ContainerState::Terminated(read_termination(terminated, texts))
    } else if let Some(running) = &read.running {
        ContainerState::Running { since: parse_time(&running.started_at) }
    } else if let Some(waiting) = &read.waiting {
        ContainerState::Waiting {
            reason: texts.intern(waiting.reason.as_str()),
            message: texts.intern(waiting.message.as_str()),
        }
    } else {
        ContainerState::Unknown
    }
}

fn read_termination(read: &wire::TerminatedStateWire<'_>, texts: &mut Interner) -> ContainerTermination {
    ContainerTermination {
        exit_code: read.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1),
        reason: texts.intern(read.reason.as_str()),
        started_at: parse_time(&read.started_at),
        finished_at: parse_time(&read.finished_at),
    }
}

fn read_owner_object(
    kind: Option<&Arc<WorkloadKind>>,
    json: &RawValue,
    texts: &mut Interner,
) -> Result<OwnerObject, serde_json::Error> {
    let read: wire::ObjectWire<'_> = serde_json::from_str(json.get())?;
    let meta = &read.metadata;
    let namespace = texts.intern(meta.namespace.as_str());
    let name: Arc<str> = Arc::from(meta.name.as_str());
    let itself = kind.map(|kind| -> Result<_, serde_json::Error> {
        let value: Value = serde_json::from_str(json.get())?;
        let namespace = if kind.is_sidecar_set() { NO_NAMESPACE } else { &namespace };
        let version = if kind.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", kind.group) };
        let key = Arc::from(workload_key(&version, &kind.kind, namespace, &name));
        let set = meta.annotations.as_ref().filter(|_| kind.is_sidecar_set());
        let hash_without_image =
            set.and_then(|a| a.set_hash_without_image.non_empty()).map(|h| texts.intern(h));
        let set_hash = set.and_then(|a| a.set_hash.non_empty()).map(|hash| texts.intern(hash));
        let workload =
            LiveWorkload { spec_changed: meta.last_spec_write(), ..read_workload(kind, &value, texts) };
        let workload = match kind.is_sidecar_set() {
            true => LiveWorkload { update_revision: set_hash, ..workload },
            false => workload,
        };
        Ok(Box::new(KeyedWorkload { key, kind: Arc::clone(kind), workload, hash_without_image }))
    });
    let annotated = meta.annotations.as_ref().and_then(|a| a.revision.non_empty()?.parse().ok());
    Ok(OwnerObject {
        name,
        namespace,
        uid: texts.intern(meta.uid.as_str()),
        owner: meta.controller_uid().map(|uid| texts.intern(uid)),
        created: parse_time(&meta.creation_timestamp),
        revision: read.revision.or(annotated),
        hashes: read_hashes(meta, texts),
        workload: itself.transpose()?,
    })
}
