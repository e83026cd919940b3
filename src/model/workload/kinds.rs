//! The table of workload kinds: everything that pillion knows of a kind is in its row here.
//!
//! Rendering, planning, observing, `kustomizeconfig.yaml`, the roles in deploy/ and docs/support.md follow from this
//! table; tests compare the files with it. A new kind is one row and a golden case.

use super::value_at;
use crate::model::api::KRUISE_GROUP;
use crate::model::int_or_percent::whole_pods;
use serde_json::Value;

/// A known kind. Paths are dotted, from the object.
#[derive(Debug, PartialEq, Eq)]
pub struct KindTraits {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// `kind`.
    pub kind: &'static str,
    /// The name of its resource in roles (`deployments`).
    pub plural: &'static str,
    /// Its short names in kubectl.
    pub(crate) short_names: &'static [&'static str],
    /// Whether its pods are done when their containers have ended.
    pub(crate) runs_to_completion: bool,
    /// The rules by which its pods are replaced.
    pub controller: WorkloadController,
    /// Where its pod template may be: the first of these paths that leads to a mapping.
    pub templates: &'static [&'static str],
    /// The kinds that it creates between itself and its pods; where it has several templates, one for each.
    pub(crate) owns: &'static [(&'static str, &'static str)],
    /// Where git has its number of pods.
    pub replicas: Option<&'static str>,
    /// Its number of pods where git has none and no autoscaler sets it; None: the kind has no such default.
    pub(crate) default_replicas: Option<u32>,
    /// Where the cluster has its number of pods, where that is not in `replicas`.
    pub(crate) desired: Option<&'static str>,
    /// Its native partition: the number of pods that keep the old template.
    pub partition: Option<&'static str>,
    /// Its own `maxUnavailable`.
    pub(crate) max_unavailable: Option<&'static str>,
    /// The switch that pauses its updates.
    pub(crate) paused: Option<&'static str>,
    /// The policy that allows updates in place.
    pub in_place_policy: Option<&'static str>,
    /// The policy that makes it create its pods in order unless it is `Parallel`.
    pub(crate) pod_management: Option<&'static str>,
    /// Whether `spec.updateStrategy.type: OnDelete` leaves the replacement of pods to people.
    pub(crate) has_on_delete: bool,
    /// Where the revision of its present template is found.
    pub(crate) revision: RevisionSource,
    /// Whether it has `spec.selector.matchLabels`, in itself or in what it owns.
    pub has_selector: bool,
    /// Whether kustomize knows its references without `kustomizeconfig.yaml`.
    pub is_known_to_kustomize: bool,
}

/// The controllers with rules of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkloadController {
    /// The kubelet alone.
    Pod,
    /// Deployment.
    Deployment,
    /// StatefulSet.
    StatefulSet,
    /// DaemonSet.
    DaemonSet,
    /// Kruise's CloneSet.
    CloneSet,
    /// Kruise's StatefulSet, and kinds that create one.
    AdvancedStatefulSet,
    /// Kruise's DaemonSet.
    AdvancedDaemonSet,
    /// Kruise's UnitedDeployment: the rules of the kind that it owns.
    UnitedDeployment,
    /// Argo's Rollout.
    ArgoRollout,
    /// Job: its template is immutable.
    Job,
    /// Kruise's controller of SidecarSets: it changes images of running pods.
    SidecarSet,
    /// Running pods keep their template; later pods have the new one.
    NewPodsOnly,
    /// A kind of pillion.yaml.
    Unknown,
}

/// Where the revision of a workload's present template is found, and the label of pods that holds theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevisionSource {
    /// `pod-template-hash` of the ReplicaSet that has the workload's revision number.
    ReplicaSetNumber,
    /// `status.currentPodHash`, the `rollouts-pod-template-hash` of a ReplicaSet.
    PodHash,
    /// `status.updateRevision`, the name or hash of a ControllerRevision.
    ControllerRevision,
    /// `status.daemonSetHash`, else the hash of the newest ControllerRevision.
    NewestControllerRevision,
    /// `status.updateStatus.updatedRevision`, else `status.currentRevision`.
    UnitedDeployment,
    /// The annotation `kruise.io/sidecarset-hash` of a SidecarSet, and that of pods.
    SidecarSetHash,
    /// `status.updateRevision`, if the kind has that; no other object is read.
    StatusOnly,
}

/// What is assumed of a kind of pillion.yaml.
pub(super) const UNKNOWN: KindTraits = KindTraits {
    group: "",
    kind: "",
    plural: "",
    short_names: &[],
    runs_to_completion: false,
    controller: WorkloadController::Unknown,
    templates: &["spec.template"],
    owns: &[],
    replicas: None,
    default_replicas: None,
    desired: None,
    partition: None,
    max_unavailable: None,
    paused: None,
    in_place_policy: None,
    pod_management: None,
    has_on_delete: false,
    revision: RevisionSource::StatusOnly,
    has_selector: false,
    is_known_to_kustomize: false,
};

/// What most kinds of Kubernetes have in common.
const BUILTIN: KindTraits = KindTraits { is_known_to_kustomize: true, has_selector: true, ..UNKNOWN };

const DEPLOYMENT: KindTraits = KindTraits {
    group: "apps",
    kind: "Deployment",
    plural: "deployments",
    short_names: &["deploy"],
    controller: WorkloadController::Deployment,
    replicas: Some("spec.replicas"),
    default_replicas: Some(1),
    max_unavailable: Some("spec.strategy.rollingUpdate.maxUnavailable"),
    paused: Some("spec.paused"),
    revision: RevisionSource::ReplicaSetNumber,
    ..BUILTIN
};

const DAEMON_SET: KindTraits = KindTraits {
    group: "apps",
    kind: "DaemonSet",
    plural: "daemonsets",
    short_names: &["ds"],
    controller: WorkloadController::DaemonSet,
    desired: Some("status.desiredNumberScheduled"),
    max_unavailable: Some("spec.updateStrategy.rollingUpdate.maxUnavailable"),
    has_on_delete: true,
    revision: RevisionSource::NewestControllerRevision,
    ..BUILTIN
};

const REPLICA_SET: KindTraits = KindTraits {
    group: "apps",
    kind: "ReplicaSet",
    plural: "replicasets",
    short_names: &["rs"],
    controller: WorkloadController::NewPodsOnly,
    replicas: Some("spec.replicas"),
    default_replicas: Some(1),
    ..BUILTIN
};

const STATEFUL_SET: KindTraits = KindTraits {
    group: "apps",
    kind: "StatefulSet",
    plural: "statefulsets",
    short_names: &["sts"],
    controller: WorkloadController::StatefulSet,
    replicas: Some("spec.replicas"),
    default_replicas: Some(1),
    partition: Some("spec.updateStrategy.rollingUpdate.partition"),
    max_unavailable: Some("spec.updateStrategy.rollingUpdate.maxUnavailable"),
    pod_management: Some("spec.podManagementPolicy"),
    has_on_delete: true,
    revision: RevisionSource::ControllerRevision,
    ..BUILTIN
};

pub(super) static KNOWN_KINDS: &[KindTraits] = &[
    KindTraits {
        kind: "Pod",
        plural: "pods",
        short_names: &["po"],
        controller: WorkloadController::Pod,
        templates: &[""],
        ..BUILTIN
    },
    KindTraits {
        kind: "PodTemplate",
        plural: "podtemplates",
        controller: WorkloadController::NewPodsOnly,
        templates: &["template"],
        ..UNKNOWN
    },
    KindTraits {
        group: "",
        kind: "ReplicationController",
        plural: "replicationcontrollers",
        short_names: &["rc"],
        ..REPLICA_SET
    },
    DEPLOYMENT,
    STATEFUL_SET,
    DAEMON_SET,
    REPLICA_SET,
    // The group these three had before Kubernetes 1.16; old repositories still have it.
    KindTraits { group: "extensions", ..DEPLOYMENT },
    KindTraits { group: "extensions", ..DAEMON_SET },
    KindTraits { group: "extensions", ..REPLICA_SET },
    KindTraits {
        group: "batch",
        kind: "Job",
        plural: "jobs",
        runs_to_completion: true,
        controller: WorkloadController::Job,
        replicas: Some("spec.parallelism"),
        ..BUILTIN
    },
    KindTraits {
        group: "batch",
        kind: "CronJob",
        plural: "cronjobs",
        short_names: &["cj"],
        runs_to_completion: true,
        controller: WorkloadController::NewPodsOnly,
        templates: &["spec.jobTemplate.spec.template"],
        ..BUILTIN
    },
    KindTraits {
        group: "apps.kruise.io",
        kind: "CloneSet",
        plural: "clonesets",
        short_names: &["clone"],
        controller: WorkloadController::CloneSet,
        replicas: Some("spec.replicas"),
        // Kruise v1.9.0 SetDefaultsCloneSet.
        default_replicas: Some(1),
        partition: Some("spec.updateStrategy.partition"),
        max_unavailable: Some("spec.updateStrategy.maxUnavailable"),
        paused: Some("spec.updateStrategy.paused"),
        in_place_policy: Some("spec.updateStrategy.type"),
        revision: RevisionSource::ControllerRevision,
        has_selector: true,
        ..UNKNOWN
    },
    KindTraits {
        group: "apps.kruise.io",
        short_names: &["sts", "asts"],
        controller: WorkloadController::AdvancedStatefulSet,
        paused: Some("spec.updateStrategy.rollingUpdate.paused"),
        in_place_policy: Some("spec.updateStrategy.rollingUpdate.podUpdatePolicy"),
        is_known_to_kustomize: false,
        ..STATEFUL_SET
    },
    KindTraits {
        group: "apps.kruise.io",
        short_names: &["ds", "daemon", "ads"],
        controller: WorkloadController::AdvancedDaemonSet,
        partition: Some("spec.updateStrategy.rollingUpdate.partition"),
        paused: Some("spec.updateStrategy.rollingUpdate.paused"),
        in_place_policy: Some("spec.updateStrategy.rollingUpdate.rollingUpdateType"),
        is_known_to_kustomize: false,
        ..DAEMON_SET
    },
    // Kruise v1.9.0 broadcastjob controller: it has no revisions, running pods keep their template.
    KindTraits {
        group: "apps.kruise.io",
        kind: "BroadcastJob",
        plural: "broadcastjobs",
        short_names: &["bcj"],
        runs_to_completion: true,
        controller: WorkloadController::NewPodsOnly,
        ..UNKNOWN
    },
    KindTraits {
        group: "apps.kruise.io",
        kind: "AdvancedCronJob",
        plural: "advancedcronjobs",
        short_names: &["acj"],
        runs_to_completion: true,
        controller: WorkloadController::NewPodsOnly,
        templates: &[
            "spec.template.jobTemplate.spec.template",
            "spec.template.broadcastJobTemplate.spec.template",
        ],
        ..UNKNOWN
    },
    KindTraits {
        group: "apps.kruise.io",
        kind: "UnitedDeployment",
        plural: "uniteddeployments",
        short_names: &["ud"],
        controller: WorkloadController::UnitedDeployment,
        templates: &[
            "spec.template.statefulSetTemplate.spec.template",
            "spec.template.advancedStatefulSetTemplate.spec.template",
            "spec.template.cloneSetTemplate.spec.template",
            "spec.template.deploymentTemplate.spec.template",
        ],
        owns: &[
            ("apps", "StatefulSet"),
            ("apps.kruise.io", "StatefulSet"),
            ("apps.kruise.io", "CloneSet"),
            ("apps", "Deployment"),
        ],
        // Without `replicas` its subsets say how many, and versions of Kruise differ in how.
        replicas: Some("spec.replicas"),
        revision: RevisionSource::UnitedDeployment,
        has_selector: true,
        ..UNKNOWN
    },
    // kruise-game v1.0.0 pkg/util/gameserver.go GetNewAstsFromGss: it creates an Advanced StatefulSet of its name, with
    // `Parallel` and unordered updates, so that its partition is a number of pods.
    KindTraits {
        group: "game.kruise.io",
        kind: "GameServerSet",
        plural: "gameserversets",
        short_names: &["gss"],
        controller: WorkloadController::AdvancedStatefulSet,
        templates: &["spec.gameServerTemplate"],
        owns: &[("apps.kruise.io", "StatefulSet")],
        // Its CRD requires `replicas`.
        default_replicas: None,
        paused: Some("spec.updateStrategy.rollingUpdate.paused"),
        in_place_policy: Some("spec.updateStrategy.rollingUpdate.podUpdatePolicy"),
        pod_management: None,
        revision: RevisionSource::StatusOnly,
        has_selector: false,
        is_known_to_kustomize: false,
        ..STATEFUL_SET
    },
    KindTraits {
        group: "argoproj.io",
        kind: "Rollout",
        plural: "rollouts",
        short_names: &["ro"],
        controller: WorkloadController::ArgoRollout,
        max_unavailable: Some("spec.strategy.canary.maxUnavailable"),
        revision: RevisionSource::PodHash,
        is_known_to_kustomize: false,
        ..DEPLOYMENT
    },
];

/// A SidecarSet, where Kruise injects it: its rollouts change the object itself, and the object is its own template.
pub(super) static SIDECAR_SET: KindTraits = KindTraits {
    group: KRUISE_GROUP,
    kind: "SidecarSet",
    plural: "sidecarsets",
    short_names: &["scs"],
    controller: WorkloadController::SidecarSet,
    templates: &[""],
    desired: Some("status.matchedPods"),
    partition: Some("spec.updateStrategy.partition"),
    max_unavailable: Some("spec.updateStrategy.maxUnavailable"),
    paused: Some("spec.updateStrategy.paused"),
    revision: RevisionSource::SidecarSetHash,
    ..UNKNOWN
};

/// Returns `spec.replicas` of an object, where git has it.
pub(crate) fn replicas_of(object: &Value) -> Option<u64> {
    whole_pods(value_at(object, "spec.replicas"))
}

impl KindTraits {
    /// Returns what is known of a kind; a kind of pillion.yaml has no paths and an unknown controller.
    pub(crate) fn of(group: &str, kind: &str) -> &'static Self {
        let mut all = KNOWN_KINDS.iter().chain([&SIDECAR_SET]);
        all.find(|known| known.kind == kind && known.group == group).unwrap_or(&UNKNOWN)
    }

    /// Returns whether the kind is in the table.
    pub(crate) fn is_known(&self) -> bool {
        self.controller != WorkloadController::Unknown
    }

    /// Returns what is known of the kinds that this one creates between itself and its pods.
    pub(crate) fn owned_kinds(&self) -> impl Iterator<Item = &'static Self> {
        self.owns.iter().map(|(group, kind)| Self::of(group, kind))
    }

    /// Returns the part of a UnitedDeployment that has the form of the workloads it creates, and their kind.
    pub(crate) fn subset_part<'o>(&self, object: &'o Value) -> Option<(&'static Self, &'o Value)> {
        if self.controller != WorkloadController::UnitedDeployment {
            return None;
        }
        self.owned_kinds().zip(self.templates).find_map(|(kind, template)| {
            let part = value_at(object, template.strip_suffix(".spec.template")?)?;
            part.is_object().then_some((kind, part))
        })
    }

    /// Returns whether the object pauses its own updates.
    pub(crate) fn is_paused(&self, object: &Value) -> bool {
        self.paused.and_then(|path| value_at(object, path)).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Returns whether its pods are replaced only after a person deletes them.
    pub(crate) fn is_on_delete(&self, object: &Value) -> bool {
        self.has_on_delete && value_at(object, "spec.updateStrategy.type").is_some_and(|t| t == "OnDelete")
    }

    /// Returns whether pods of an object follow its template only after an action of a person: it pauses its
    /// updates, or replaces only deleted pods.
    pub(crate) fn needs_manual_action(&self, object: &Value) -> bool {
        let (kind, part) = self.subset_part(object).unwrap_or((self, object));
        kind.is_paused(part) || kind.is_on_delete(part)
    }

    /// Returns whether the object asks for no pods at all: `replicas: 0`.
    pub(crate) fn has_no_replicas(&self, object: &Value) -> bool {
        let has_field = self.replicas.is_some()
            && !matches!(self.controller, WorkloadController::Job | WorkloadController::NewPodsOnly);
        has_field && replicas_of(object) == Some(0)
    }

    /// Returns whether its pods are created one after another.
    pub(crate) fn is_ordered(&self, object: &Value) -> bool {
        self.pod_management
            .is_some_and(|path| value_at(object, path).is_none_or(|policy| policy != "Parallel"))
    }
}
