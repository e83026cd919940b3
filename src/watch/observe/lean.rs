//! What is kept of an object: what a [`Snapshot`](crate::watch::snapshot::Snapshot) tells of it, and whose it is.

use super::interner::Interner;
use super::wire;
use crate::model::workload::{Kind, key};
use crate::plan::waits_for_person;
use crate::watch::snapshot::{Complaint, Condition, Container, End, Phase, Pod, Role, State, Workload};
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

/// What a stream of objects is read for.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// Pods; those without a controller are workloads where that kind is wanted.
    Pods(Option<Arc<Kind>>),
    /// Objects between a workload and its pods, workloads themselves where they have no controller and the kind is
    /// wanted.
    Between(Option<Arc<Kind>>),
    /// ControllerRevisions.
    Revisions,
    /// Workloads.
    Workloads(Arc<Kind>),
}

/// An object as it is kept.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Pod(Arc<LeanPod>),
    Object(Arc<Object>),
}

/// What an object is as a workload, without its pods.
#[derive(Debug)]
pub(super) struct Itself {
    pub(super) key: Arc<str>,
    pub(super) kind: Arc<Kind>,
    pub(super) workload: Workload,
}

/// A pod, and what ties it to its workload.
#[derive(Debug)]
pub(super) struct LeanPod {
    pub(super) name: Arc<str>,
    pub(super) namespace: Arc<str>,
    /// The uid of its controller.
    pub(super) owner: Option<Arc<str>>,
    pub(super) hashes: Hashes,
    pub(super) pod: Pod,
    /// Where it is a workload itself.
    pub(super) bare: Option<Box<Itself>>,
}

/// What controllers label pods of one template with.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(super) struct Hashes {
    /// `pod-template-hash`.
    pub(super) template: Option<Arc<str>>,
    /// `rollouts-pod-template-hash`.
    pub(super) rollout: Option<Arc<str>>,
    /// `controller-revision-hash`.
    pub(super) controller: Option<Arc<str>>,
    /// `apps.kruise.io/controller-revision-hash`.
    pub(super) united: Option<Arc<str>>,
}

/// Anything but a pod.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) name: Arc<str>,
    pub(super) namespace: Arc<str>,
    pub(super) uid: Arc<str>,
    pub(super) owner: Option<Arc<str>>,
    pub(super) created: Option<Timestamp>,
    /// A ControllerRevision's `revision`, or the annotation `deployment.kubernetes.io/revision`.
    pub(super) revision: Option<i64>,
    pub(super) hashes: Hashes,
    /// None: it is only in between.
    pub(super) itself: Option<Box<Itself>>,
}

impl Item {
    pub(super) fn place(&self) -> (Arc<str>, Arc<str>) {
        let (namespace, name) = match self {
            Self::Pod(pod) => (&pod.namespace, &pod.name),
            Self::Object(object) => (&object.namespace, &object.name),
        };
        (Arc::clone(namespace), Arc::clone(name))
    }

    /// Returns about how much memory it takes: itself, and all its texts, also those that others have too.
    pub(super) fn size(&self) -> usize {
        // A node of the map, the counts of the pointers, what the allocator rounds up.
        const AROUND: usize = 192;
        AROUND
            + match self {
                Self::Pod(pod) => {
                    size_of::<LeanPod>() + pod.texts() + pod.bare.as_deref().map_or(0, Itself::size)
                }
                Self::Object(object) => {
                    let texts = object.name.len() + object.uid.len();
                    size_of::<Object>() + texts + object.itself.as_deref().map_or(0, Itself::size)
                }
            }
    }

    /// Tells whether a snapshot could tell them apart.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pod(a), Self::Pod(b)) => {
                a.owner == b.owner
                    && a.hashes == b.hashes
                    && a.pod == b.pod
                    && match (&a.bare, &b.bare) {
                        (Some(a), Some(b)) => are_alike(&a.workload, &b.workload),
                        (a, b) => a.is_none() && b.is_none(),
                    }
            }
            (Self::Object(a), Self::Object(b)) => {
                let same = a.uid == b.uid && a.owner == b.owner && a.revision == b.revision;
                same && a.hashes == b.hashes
                    && match (&a.itself, &b.itself) {
                        (Some(a), Some(b)) => are_alike(&a.workload, &b.workload),
                        (a, b) => a.is_none() && b.is_none(),
                    }
            }
            _ => false,
        }
    }
}

impl Itself {
    fn size(&self) -> usize {
        let raw = |value: &Option<Arc<RawValue>>| value.as_ref().map_or(0, |v| v.get().len());
        let w = &self.workload;
        let complaints = w.complaints.len() * size_of::<Complaint>();
        size_of::<Self>() + self.key.len() + raw(&w.template) + raw(&w.partition) + complaints
    }
}

impl LeanPod {
    /// Bytes of what it points to.
    fn texts(&self) -> usize {
        let length = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |t| t.len());
        let said = |c: &Condition| length(&c.reason) + length(&c.message);
        let containers = self.pod.containers.iter().map(|c| {
            let state = match &c.state {
                State::Waiting { reason, message } => reason.len() + message.len(),
                State::Terminated(end) => end.reason.len(),
                State::Running { .. } | State::None => 0,
            };
            let ids = length(&c.running_image) + length(&c.image_id) + length(&c.image_id_before);
            size_of::<Container>() + c.name.len() + c.image.len() + ids + state
        });
        self.name.len()
            + self.pod.uid.len()
            + said(&self.pod.ready)
            + said(&self.pod.scheduled)
            + length(&self.pod.reason)
            + length(&self.pod.disruption)
            + containers.sum::<usize>()
    }
}

/// Compares workloads without their pods.
fn are_alike(a: &Workload, b: &Workload) -> bool {
    let raw = |value: &Option<Arc<RawValue>>| value.as_ref().map(|v| v.get().to_owned());
    let flat = |w: &Workload| {
        (
            (
                w.generation,
                w.observed_generation,
                w.desired,
                w.waits_for_person,
                w.progress_deadline,
                w.min_ready,
            ),
            (w.update_revision.clone(), w.complaints.clone(), w.changed),
            (raw(&w.template), raw(&w.partition)),
        )
    };
    flat(a) == flat(b)
}

/// Reads an object.
pub(super) fn read(shape: &Shape, json: &RawValue, texts: &mut Interner) -> Result<Item, serde_json::Error> {
    let of = |object| Item::Object(Arc::new(object));
    match shape {
        Shape::Pods(kind) => pod(kind.as_ref(), json, texts).map(|pod| Item::Pod(Arc::new(pod))),
        Shape::Revisions => object(None, json, texts).map(of),
        Shape::Workloads(kind) => object(Some(kind), json, texts).map(of),
        Shape::Between(kind) => {
            let any: wire::Any<'_> = serde_json::from_str(json.get())?;
            let kind = kind.as_ref().filter(|_| any.metadata.controller().is_none());
            object(kind, json, texts).map(of)
        }
    }
}

/// Reads where an object is, and which version of it this is.
pub(super) fn place_of(json: &RawValue) -> Result<(Arc<str>, Arc<str>, String), serde_json::Error> {
    let any: wire::Any<'_> = serde_json::from_str(json.get())?;
    let meta = &any.metadata;
    let version = meta.resource_version.as_str().to_owned();
    Ok((Arc::from(meta.namespace.as_str()), Arc::from(meta.name.as_str()), version))
}

fn hashes(meta: &wire::Meta<'_>, texts: &mut Interner) -> Hashes {
    let Some(labels) = &meta.labels else { return Hashes::default() };
    let mut share = |text: &wire::Text<'_>| text.some().map(|text| texts.share(text));
    Hashes {
        template: share(&labels.template),
        rollout: share(&labels.rollout),
        controller: share(&labels.controller),
        united: share(&labels.united),
    }
}

fn time(text: &wire::Text<'_>) -> Option<Timestamp> {
    text.some()?.parse().ok()
}

fn pod(
    kind: Option<&Arc<Kind>>,
    json: &RawValue,
    texts: &mut Interner,
) -> Result<LeanPod, serde_json::Error> {
    let read: wire::Pod<'_> = serde_json::from_str(json.get())?;
    let meta = &read.metadata;
    let status = &read.status;
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let find = |kind: &str| conditions.iter().find(|c| c.kind.as_str() == kind);
    let owner = meta.controller().map(|uid| texts.share(uid));
    let created = time(&meta.creation_timestamp);
    let in_place = meta.annotations.as_ref().map_or("", |a| a.in_place.as_str());
    let in_place: wire::InPlace<'_> = serde_json::from_str(in_place).unwrap_or_default();
    // A controller writes labels and annotations of its pods after it made them, Kruise each time: who wrote when tells
    // of a change only where there is no controller.
    let by_hand = || meta.changed().filter(|at| owner.is_none() && Some(*at) > created);
    let changed = time(&in_place.update_timestamp).or_else(by_hand);
    let disruption = find("DisruptionTarget").filter(|c| c.status.as_str() == "True");
    let pod = Pod {
        uid: Arc::from(meta.uid.as_str()),
        created,
        changed,
        deleted: time(&meta.deletion_timestamp),
        is_unseen: status.observed_generation.is_some_and(|seen| meta.generation.unwrap_or(0) > seen),
        revision: None,
        is_scheduled: read.spec.node_name.some().is_some(),
        phase: match status.phase.as_str() {
            "Running" => Phase::Running,
            "Succeeded" => Phase::Succeeded,
            "Failed" => Phase::Failed,
            "Unknown" => Phase::Unknown,
            _ => Phase::Pending,
        },
        reason: status.reason.some().map(|reason| texts.share(reason)),
        ready: condition(find("Ready"), texts),
        scheduled: condition(find("PodScheduled"), texts),
        disruption: disruption.map(|c| texts.share(c.reason.as_str())),
        containers: containers(&read, &in_place, texts),
    };
    let namespace = texts.share(meta.namespace.as_str());
    let name: Arc<str> = Arc::from(meta.name.as_str());
    let bare = kind.filter(|_| owner.is_none()).map(|kind| {
        let workload = Workload {
            generation: meta.generation.unwrap_or(0),
            observed_generation: status.observed_generation,
            desired: Some(1),
            changed: meta.changed(),
            template: without_noise(json),
            ..Workload::default()
        };
        let key = Arc::from(key("v1", "Pod", &namespace, &name));
        Box::new(Itself { key, kind: Arc::clone(kind), workload })
    });
    Ok(LeanPod { hashes: hashes(meta, texts), name, namespace, owner, pod, bare })
}

/// An object without what the API server keeps for itself.
fn without_noise(json: &RawValue) -> Option<Arc<RawValue>> {
    let mut object: Value = serde_json::from_str(json.get()).ok()?;
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.shift_remove("managedFields");
    }
    raw(&object)
}

fn raw(value: &Value) -> Option<Arc<RawValue>> {
    to_raw_value(value).ok().map(Arc::from)
}

fn condition(read: Option<&wire::Condition<'_>>, texts: &mut Interner) -> Condition {
    let Some(read) = read else { return Condition::default() };
    Condition {
        holds: read.status.as_str() == "True",
        since: time(&read.last_transition_time),
        reason: read.reason.some().map(|reason| texts.share(reason)),
        message: read.message.some().map(|message| texts.share(message)),
    }
}

/// Init containers first, as they start.
fn containers(read: &wire::Pod<'_>, in_place: &wire::InPlace<'_>, texts: &mut Interner) -> Vec<Container> {
    let (spec, status) = (&read.spec, &read.status);
    let lists = [
        (true, &spec.init_containers, &status.init_container_statuses),
        (false, &spec.containers, &status.container_statuses),
    ];
    let mut found =
        Vec::with_capacity(lists.iter().map(|(_, list, _)| list.as_ref().map_or(0, Vec::len)).sum());
    for (is_init, asked, told) in lists {
        for container in asked.iter().flatten() {
            let told = told.iter().flatten().find(|status| status.name == container.name);
            let before = in_place.last_container_statuses.as_ref().and_then(|all| all.get(&container.name));
            let before = before.and_then(|before| before.image_id.some());
            found.push(Container {
                name: texts.share(container.name.as_str()),
                role: match (is_init, container.restart_policy.as_str()) {
                    (false, _) => Role::Main,
                    (true, "Always") => Role::NativeSidecar,
                    (true, _) => Role::Init,
                },
                image: texts.share(container.image.as_str()),
                running_image: told.and_then(|s| s.image.some()).map(|image| texts.share(image)),
                image_id: told.and_then(|s| s.image_id.some()).map(|id| texts.share(id)),
                image_id_before: before.map(|id| texts.share(id)),
                is_ready: told.and_then(|s| s.ready).unwrap_or(false),
                restarts: told.and_then(|s| s.restart_count).map_or(0, clamped),
                state: told.and_then(|s| s.state.as_ref()).map_or(State::None, |s| state(s, texts)),
                last_end: told
                    .and_then(|s| s.last_state.as_ref()?.terminated.as_ref())
                    .map(|e| end(e, texts)),
            });
        }
    }
    found
}

fn clamped(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

fn state(read: &wire::State<'_>, texts: &mut Interner) -> State {
    if let Some(terminated) = &read.terminated {
        State::Terminated(end(terminated, texts))
    } else if let Some(running) = &read.running {
        State::Running { since: time(&running.started_at) }
    } else if let Some(waiting) = &read.waiting {
        State::Waiting {
            reason: texts.share(waiting.reason.as_str()),
            message: texts.share(waiting.message.as_str()),
        }
    } else {
        State::None
    }
}

fn end(read: &wire::Terminated<'_>, texts: &mut Interner) -> End {
    End {
        exit_code: read.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1),
        reason: texts.share(read.reason.as_str()),
        started: time(&read.started_at),
        finished: time(&read.finished_at),
    }
}

fn object(
    kind: Option<&Arc<Kind>>,
    json: &RawValue,
    texts: &mut Interner,
) -> Result<Object, serde_json::Error> {
    let read: wire::Any<'_> = serde_json::from_str(json.get())?;
    let meta = &read.metadata;
    let namespace = texts.share(meta.namespace.as_str());
    let name: Arc<str> = Arc::from(meta.name.as_str());
    let itself = kind.map(|kind| -> Result<_, serde_json::Error> {
        let value: Value = serde_json::from_str(json.get())?;
        let version = if kind.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", kind.group) };
        let key = Arc::from(key(&version, &kind.kind, &namespace, &name));
        let workload = Workload { changed: meta.changed(), ..workload(kind, &value, texts) };
        Ok(Box::new(Itself { key, kind: Arc::clone(kind), workload }))
    });
    let annotated = meta.annotations.as_ref().and_then(|a| a.revision.some()?.parse().ok());
    Ok(Object {
        name,
        namespace,
        uid: texts.share(meta.uid.as_str()),
        owner: meta.controller().map(|uid| texts.share(uid)),
        created: time(&meta.creation_timestamp),
        revision: read.revision.or(annotated),
        hashes: hashes(meta, texts),
        itself: itself.transpose()?,
    })
}

/// Returns the value at a path; None where there is null.
fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| value.get(key)).filter(|v| !v.is_null())
}

fn number(value: Option<&Value>) -> Option<u32> {
    value.and_then(Value::as_i64).map(clamped)
}

/// What an object says of its pods. Nothing is demanded of it: a CRD may be anything.
fn workload(kind: &Kind, object: &Value, texts: &mut Interner) -> Workload {
    let text = |path: &[&str]| at(object, path).and_then(Value::as_str).filter(|t| !t.is_empty());
    let template = kind.templates.iter().filter_map(|path| path.find(object)).find(|t| t.is_object());
    let group_kind = (kind.group.as_str(), kind.kind.as_str());
    let is_daemon = kind.kind == "DaemonSet" && kind.replicas.is_none();
    let is_known = matches!(kind.group.as_str(), "" | "apps" | "extensions" | "batch" | "apps.kruise.io")
        || group_kind == ("argoproj.io", "Rollout");
    let desired = match &kind.replicas {
        _ if is_daemon => number(at(object, &["status", "desiredNumberScheduled"])),
        // Of a kind of pillion.yaml we do not know what its API server makes of nothing.
        Some(path) => match path.find(object).filter(|v| !v.is_null()) {
            Some(value) => number(Some(value)),
            None => is_known.then_some(1),
        },
        None => None,
    };
    let update_revision = match group_kind {
        ("argoproj.io", "Rollout") => text(&["status", "currentPodHash"]),
        ("apps.kruise.io", "DaemonSet") => text(&["status", "daemonSetHash"]),
        // Kruise v1.8.2 uniteddeployment_types.go: `updatedRevision` is empty until there was an update.
        ("apps.kruise.io", "UnitedDeployment") => text(&["status", "updateStatus", "updatedRevision"])
            .or_else(|| text(&["status", "currentRevision"])),
        ("apps" | "extensions", "Deployment" | "DaemonSet" | "ReplicaSet") => None,
        _ => text(&["status", "updateRevision"]),
    };
    // The Advanced StatefulSet has it in its strategy.
    let min_ready = at(object, &["spec", "minReadySeconds"])
        .or_else(|| at(object, &["spec", "updateStrategy", "rollingUpdate", "minReadySeconds"]));
    // Argo's own pauses wait for a person too, or for its analysis.
    let waits =
        at(object, &["status", "pauseConditions"]).and_then(Value::as_array).is_some_and(|c| !c.is_empty());
    Workload {
        generation: at(object, &["metadata", "generation"]).and_then(Value::as_i64).unwrap_or(0),
        observed_generation: at(object, &["status", "observedGeneration"]).and_then(integer),
        desired,
        template: template.and_then(raw),
        partition: kind
            .partition
            .as_ref()
            .and_then(|p| p.find(object))
            .filter(|v| !v.is_null())
            .and_then(raw),
        waits_for_person: waits_for_person(&kind.group, &kind.kind, object)
            || (group_kind == ("argoproj.io", "Rollout") && waits),
        progress_deadline: number(at(object, &["spec", "progressDeadlineSeconds"])),
        min_ready: number(min_ready).unwrap_or(0),
        update_revision: update_revision.map(|revision| texts.share(revision)),
        revision_created: None,
        changed: None,
        complaints: complaints(object, texts),
        pods: std::collections::BTreeMap::new(),
    }
}

/// Argo Rollouts writes its `observedGeneration` as a text.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Conditions that say why no pods come. Kruise's kinds call them `FailedScale`, `FailedUpdate`, `FailedCreatePod`,
/// `FailedUpdatePod`, `SubsetFailure`; a Job `Failed`; Argo writes a phase.
fn complaints(object: &Value, texts: &mut Interner) -> Vec<Complaint> {
    let field = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let conditions = at(object, &["status", "conditions"]).and_then(Value::as_array);
    let mut found = Vec::new();
    for condition in conditions.into_iter().flatten() {
        let (kind, status) = (field(condition, "type"), field(condition, "status"));
        let is_bad = match status.as_str() {
            "True" => kind.contains("Fail") || kind == "InvalidSpec" || kind == "Degraded",
            "False" => kind == "Progressing",
            _ => false,
        };
        if is_bad {
            found.push(Complaint {
                kind: texts.share(&kind),
                reason: texts.share(&field(condition, "reason")),
                message: texts.share(&field(condition, "message")),
                since: field(condition, "lastTransitionTime").parse().ok(),
            });
        }
    }
    let phase = at(object, &["status", "phase"]).and_then(Value::as_str);
    if phase == Some("Degraded") && !found.iter().any(|c| &*c.kind == "Degraded") {
        let message = at(object, &["status", "message"]).and_then(Value::as_str).unwrap_or("");
        let progress = found.iter().find(|c| &*c.kind == "Progressing");
        let reason = progress.map_or_else(|| texts.share(""), |c| Arc::clone(&c.reason));
        let since = progress.and_then(|c| c.since);
        found.push(Complaint { kind: texts.share("Degraded"), reason, message: texts.share(message), since });
    }
    found
}
