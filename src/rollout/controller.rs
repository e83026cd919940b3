//! Which controller makes the pods of a workload, and where its object says how.

use super::pod_count;
use crate::yaml::FieldPath;
use serde_json::Value;

/// The controllers whose ways are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkloadController {
    /// Nothing but the kubelet.
    Pod,
    Deployment,
    StatefulSet,
    DaemonSet,
    CloneSet,
    AdvancedStatefulSet,
    AdvancedDaemonSet,
    UnitedDeployment,
    ArgoRollout,
    Job,
    /// Pods that exist keep their template; those made later have the new one.
    NewPodsOnly,
    /// A kind of pillion.yaml.
    Unknown,
}

impl WorkloadController {
    /// Returns the controller of a kind.
    pub(super) fn of(group: &str, kind: &str) -> Self {
        match (group, kind) {
            ("", "Pod") => Self::Pod,
            ("apps" | "extensions", "Deployment") => Self::Deployment,
            ("apps", "StatefulSet") => Self::StatefulSet,
            ("apps" | "extensions", "DaemonSet") => Self::DaemonSet,
            ("apps.kruise.io", "CloneSet") => Self::CloneSet,
            ("apps.kruise.io", "StatefulSet") => Self::AdvancedStatefulSet,
            ("apps.kruise.io", "DaemonSet") => Self::AdvancedDaemonSet,
            ("apps.kruise.io", "UnitedDeployment") => Self::UnitedDeployment,
            ("argoproj.io", "Rollout") => Self::ArgoRollout,
            ("batch", "Job") => Self::Job,
            // Kruise v1.9.0 broadcastjob controller: it has no revisions, pods that run are left alone.
            ("", "PodTemplate" | "ReplicationController")
            | ("apps" | "extensions", "ReplicaSet")
            | ("batch", "CronJob")
            | ("apps.kruise.io", "AdvancedCronJob" | "BroadcastJob") => Self::NewPodsOnly,
            _ => Self::Unknown,
        }
    }

    /// Returns where the controller's native partition is, where it has one.
    pub(super) fn partition_path(self) -> Option<FieldPath> {
        match self {
            Self::CloneSet => Some(FieldPath::dotted("spec.updateStrategy.partition")),
            Self::StatefulSet | Self::AdvancedStatefulSet | Self::AdvancedDaemonSet => {
                Some(FieldPath::dotted("spec.updateStrategy.rollingUpdate.partition"))
            }
            _ => None,
        }
    }

    /// Tells whether the object pauses its own updates.
    pub(super) fn is_paused(self, object: &Value) -> bool {
        let field = match self {
            Self::Deployment | Self::ArgoRollout => "spec.paused",
            Self::CloneSet => "spec.updateStrategy.paused",
            Self::AdvancedStatefulSet | Self::AdvancedDaemonSet => "spec.updateStrategy.rollingUpdate.paused",
            _ => return false,
        };
        value_at(object, field).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Tells whether pods are replaced only when somebody deletes them.
    pub(super) fn is_on_delete(self, object: &Value) -> bool {
        let has_it = matches!(
            self,
            Self::StatefulSet | Self::DaemonSet | Self::AdvancedStatefulSet | Self::AdvancedDaemonSet
        );
        has_it && str_at(object, "spec.updateStrategy.type") == Some("OnDelete")
    }

    /// Tells whether the object asks for no pods at all.
    pub(super) fn has_no_replicas(self, object: &Value) -> bool {
        let has_it = !matches!(
            self,
            Self::Pod
                | Self::DaemonSet
                | Self::AdvancedDaemonSet
                | Self::Job
                | Self::NewPodsOnly
                | Self::Unknown
        );
        has_it && replicas(object) == Some(0)
    }
}

/// Tells whether pods of an object follow its template only when a person does something: it pauses its updates, or
/// replaces what somebody deletes. What a UnitedDeployment makes is asked for it.
pub fn needs_manual_action(group: &str, kind: &str, object: &Value) -> bool {
    let waits = |controller: WorkloadController, object| {
        controller.is_paused(object) || controller.is_on_delete(object)
    };
    match WorkloadController::of(group, kind) {
        WorkloadController::UnitedDeployment => {
            united_deployment_subset(object).is_some_and(|(controller, inner)| waits(controller, inner))
        }
        controller => waits(controller, object),
    }
}

/// The workloads that a UnitedDeployment makes: their controller, and a part of the object that looks like one of
/// them.
pub(super) fn united_deployment_subset(object: &Value) -> Option<(WorkloadController, &Value)> {
    let templates = [
        ("statefulSetTemplate", WorkloadController::StatefulSet),
        ("advancedStatefulSetTemplate", WorkloadController::AdvancedStatefulSet),
        ("cloneSetTemplate", WorkloadController::CloneSet),
        ("deploymentTemplate", WorkloadController::Deployment),
    ];
    let template = value_at(object, "spec.template")?;
    templates.into_iter().find_map(|(key, controller)| {
        let inner = template.get(key).filter(|t| t.is_object())?;
        Some((controller, inner))
    })
}

/// Returns the pods that git asks for, where it says so.
pub(super) fn replicas(object: &Value) -> Option<u64> {
    pod_count::whole_number(value_at(object, "spec.replicas"))
}

/// Returns the value at a dotted path; None where there is null.
pub(super) fn value_at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, key| value.get(key)).filter(|v| !v.is_null())
}

/// Returns the string at a dotted path.
pub(super) fn str_at<'a>(object: &'a Value, path: &str) -> Option<&'a str> {
    value_at(object, path).and_then(Value::as_str)
}
