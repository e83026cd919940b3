//! The state of a cluster at one moment: workloads and pods, as far as a rollout needs them. Plain data.
//!
//! Times are those of the API server: `Snapshot::now` is its clock, the others come from objects.

use crate::model::workload::WorkloadKind;
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The state of a cluster at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The API server's clock when all of the cluster was seen last.
    pub now: Timestamp,
    /// The workloads, by `KIND[.GROUP]/NAMESPACE/NAME`.
    pub workloads: BTreeMap<Arc<str>, LiveWorkload>,
}

/// A workload in the cluster, with its pods.
#[derive(Debug, Clone, Default)]
pub struct LiveWorkload {
    /// `metadata.generation`; 0 if the object has none.
    pub generation: i64,
    /// `status.observedGeneration`; None: the controller writes none.
    pub observed_generation: Option<i64>,
    /// Desired pods: `spec.replicas` (1 if the API server defaults it), for a DaemonSet
    /// `status.desiredNumberScheduled`, for a bare Pod 1. None: the kind does not say.
    pub desired: Option<u32>,
    /// The pod template, as JSON; for a bare Pod the object itself.
    pub template: Option<Arc<RawValue>>,
    /// The value at the path of the kind's native partition, as JSON; None: there is none.
    pub partition: Option<Arc<RawValue>>,
    /// Its pods are updated only by hand: `spec.paused` and the like, or `OnDelete`.
    pub is_update_manual: bool,
    /// `spec.progressDeadlineSeconds`.
    pub progress_deadline: Option<u32>,
    /// `spec.minReadySeconds`.
    pub min_ready_seconds: u32,
    /// The revision of the current template, as on its pods: the ReplicaSet's `pod-template-hash`,
    /// `status.updateRevision`, or the hash of the newest ControllerRevision. None: not known (yet).
    pub update_revision: Option<Arc<str>>,
    /// When the ReplicaSet or ControllerRevision of the current template was created. It may be old: both are reused
    /// when a template comes back.
    pub revision_created: Option<Timestamp>,
    /// When its spec was written last: the newest `time` of `metadata.managedFields` without a `subresource`. None:
    /// not known.
    pub spec_changed: Option<Timestamp>,
    /// Of a SidecarSet: pods that Kruise counts and never updates, because more than their images differs.
    pub not_upgradable: u32,
    /// Conditions that explain missing pods: `ReplicaFailure`, `FailedCreate`, `Progressing` False, Argo's
    /// `Degraded`.
    pub conditions: Vec<WorkloadCondition>,
    /// Its pods, by name, including those of ReplicaSets and other workloads in between.
    pub pods: BTreeMap<Arc<str>, LivePod>,
}

/// A failing condition of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadCondition {
    /// `type`.
    pub kind: Arc<str>,
    /// `reason`.
    pub reason: Arc<str>,
    /// `message`.
    pub message: Arc<str>,
    /// `lastTransitionTime`.
    pub since: Option<Timestamp>,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LivePod {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// `metadata.deletionTimestamp`: the end of its grace period.
    pub deletion_time: Option<Timestamp>,
    /// When its containers were last changed in place: `updateTimestamp` of `apps.kruise.io/inplace-update-state`, or
    /// the newest `time` of `metadata.managedFields` without a `subresource` that is later than its creation. None:
    /// never, or not known.
    pub updated_in_place: Option<Timestamp>,
    /// `metadata.generation` is newer than `status.observedGeneration`: the kubelet has not seen the last change.
    pub is_update_unobserved: bool,
    /// Its revision, from the labels of its controller: `pod-template-hash`, `controller-revision-hash` and the like.
    pub revision: Option<Arc<str>>,
    /// `spec.nodeName` is set.
    pub is_scheduled: bool,
    /// `status.phase`.
    pub phase: PodPhase,
    /// `status.reason` (`Evicted`, `NodeLost`).
    pub reason: Option<Arc<str>>,
    /// The condition `Ready`.
    pub ready: LivePodCondition,
    /// The condition `PodScheduled`.
    pub scheduled: LivePodCondition,
    /// The reason of the condition `DisruptionTarget`, if it is True: the node ends the pod.
    pub disruption: Option<Arc<str>>,
    /// Containers, native sidecars and plain init containers, in the order of the pod.
    pub containers: Arc<[LiveContainer]>,
}

impl LivePod {
    /// Returns whether its containers have ended for good.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, PodPhase::Succeeded | PodPhase::Failed)
    }

    /// Returns whether it counts as a pod of its workload: it has not ended, and is not being deleted.
    pub(crate) fn is_active(&self) -> bool {
        self.deletion_time.is_none() && !self.has_ended()
    }
}

/// `status.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "Kubernetes' own words")]
pub enum PodPhase {
    #[default]
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

/// One condition of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LivePodCondition {
    /// `status` is `True`.
    pub is_true: bool,
    /// `lastTransitionTime`.
    pub since: Option<Timestamp>,
    /// `reason`.
    pub reason: Option<Arc<str>>,
    /// `message`.
    pub message: Option<Arc<str>>,
}

/// The role of a container in its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContainerRole {
    /// One of `containers`.
    #[default]
    Main,
    /// One of `initContainers` with `restartPolicy: Always`.
    NativeSidecar,
    /// One of `initContainers` that must exit.
    Init,
}

/// A container of a pod: its spec and its status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveContainer {
    /// `name`.
    pub name: Arc<str>,
    /// Its role.
    pub role: ContainerRole,
    /// The image in the spec.
    pub image: Arc<str>,
    /// The image in the status; None: there is no status yet.
    pub running_image: Option<Arc<str>>,
    /// `imageID` of the status.
    pub image_id: Option<Arc<str>>,
    /// `imageID` before the last update in place, as Kruise records it (`apps.kruise.io/inplace-update-state`).
    pub previous_image_id: Option<Arc<str>>,
    /// `ready`.
    pub is_ready: bool,
    /// `restartCount`.
    pub restarts: u32,
    /// `state`.
    pub state: ContainerState,
    /// `lastState.terminated`.
    pub last_termination: Option<ContainerTermination>,
}

/// `state` of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ContainerState {
    /// The container has no state yet.
    #[default]
    Unknown,
    /// `waiting`.
    Waiting {
        /// `reason`.
        reason: Arc<str>,
        /// `message`.
        message: Arc<str>,
    },
    /// `running`.
    Running {
        /// `startedAt`.
        since: Option<Timestamp>,
    },
    /// `terminated`.
    Terminated(ContainerTermination),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerTermination {
    /// `exitCode`.
    pub exit_code: i32,
    /// `reason` (`OOMKilled`, `Error`).
    pub reason: Arc<str>,
    /// `startedAt`.
    pub started_at: Option<Timestamp>,
    /// `finishedAt`.
    pub finished_at: Option<Timestamp>,
}

/// The observed workloads.
#[derive(Debug, Clone, Default)]
pub struct ObservationScope {
    /// Kinds with a pod template, including those of pillion.yaml.
    pub kinds: Vec<Arc<WorkloadKind>>,
    /// Namespaces; empty: all.
    pub namespaces: Vec<Arc<str>>,
}

impl ObservationScope {
    /// Returns the scope of some kinds that an API server serves, each once, in all namespaces.
    pub(crate) fn of_kinds(kinds: impl IntoIterator<Item = Arc<WorkloadKind>>) -> Self {
        let served = kinds.into_iter().filter(|kind| kind.is_served());
        let by_name: BTreeMap<(String, String), Arc<WorkloadKind>> =
            served.map(|kind| ((kind.group.clone(), kind.kind.clone()), kind)).collect();
        Self { kinds: by_name.into_values().collect(), namespaces: Vec::new() }
    }
}
