//! Which controller makes the pods of a workload, and where its object says how.

use super::amount;
use crate::yaml::Path;
use serde_json::Value;

/// The controllers whose ways are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    /// Nothing but the kubelet.
    Pod,
    Deployment,
    StatefulSet,
    DaemonSet,
    CloneSet,
    AdvancedStatefulSet,
    AdvancedDaemonSet,
    UnitedDeployment,
    Rollout,
    Job,
    /// Pods that exist keep their template; those made later have the new one.
    Later,
    /// A kind of pillion.yaml.
    Unknown,
}

impl Controller {
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
            ("argoproj.io", "Rollout") => Self::Rollout,
            ("batch", "Job") => Self::Job,
            // Kruise v1.9.0 broadcastjob controller: it has no revisions, pods that run are left alone.
            ("", "PodTemplate" | "ReplicationController")
            | ("apps" | "extensions", "ReplicaSet")
            | ("batch", "CronJob")
            | ("apps.kruise.io", "AdvancedCronJob" | "BroadcastJob") => Self::Later,
            _ => Self::Unknown,
        }
    }

    /// Returns where the controller's native partition is, where it has one.
    pub(super) fn partition(self) -> Option<Path> {
        match self {
            Self::CloneSet => Some(Path::dotted("spec.updateStrategy.partition")),
            Self::StatefulSet | Self::AdvancedStatefulSet | Self::AdvancedDaemonSet => {
                Some(Path::dotted("spec.updateStrategy.rollingUpdate.partition"))
            }
            _ => None,
        }
    }

    /// Tells whether the object pauses its own updates.
    pub(super) fn is_paused(self, object: &Value) -> bool {
        let field = match self {
            Self::Deployment | Self::Rollout => "spec.paused",
            Self::CloneSet => "spec.updateStrategy.paused",
            Self::AdvancedStatefulSet | Self::AdvancedDaemonSet => "spec.updateStrategy.rollingUpdate.paused",
            _ => return false,
        };
        at(object, field).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Tells whether pods are replaced only when somebody deletes them.
    pub(super) fn is_on_delete(self, object: &Value) -> bool {
        let has_it = matches!(
            self,
            Self::StatefulSet | Self::DaemonSet | Self::AdvancedStatefulSet | Self::AdvancedDaemonSet
        );
        has_it && text(object, "spec.updateStrategy.type") == Some("OnDelete")
    }

    /// Tells whether the object asks for no pods at all.
    pub(super) fn is_empty(self, object: &Value) -> bool {
        let has_it = !matches!(
            self,
            Self::Pod | Self::DaemonSet | Self::AdvancedDaemonSet | Self::Job | Self::Later | Self::Unknown
        );
        has_it && replicas(object) == Some(0)
    }
}

/// Tells whether pods of an object follow its template only when a person does something: it pauses its updates, or
/// replaces what somebody deletes. What a UnitedDeployment makes is asked for it.
pub fn waits_for_person(group: &str, kind: &str, object: &Value) -> bool {
    let waits =
        |controller: Controller, object| controller.is_paused(object) || controller.is_on_delete(object);
    match Controller::of(group, kind) {
        Controller::UnitedDeployment => {
            subset(object).is_some_and(|(controller, inner)| waits(controller, inner))
        }
        controller => waits(controller, object),
    }
}

/// The workloads that a UnitedDeployment makes: their controller, and a part of the object that looks like one of
/// them.
pub(super) fn subset(object: &Value) -> Option<(Controller, &Value)> {
    let templates = [
        ("statefulSetTemplate", Controller::StatefulSet),
        ("advancedStatefulSetTemplate", Controller::AdvancedStatefulSet),
        ("cloneSetTemplate", Controller::CloneSet),
        ("deploymentTemplate", Controller::Deployment),
    ];
    let template = at(object, "spec.template")?;
    templates.into_iter().find_map(|(key, controller)| {
        let inner = template.get(key).filter(|t| t.is_object())?;
        Some((controller, inner))
    })
}

/// Returns the pods that git asks for, where it says so.
pub(super) fn replicas(object: &Value) -> Option<u64> {
    amount::count(at(object, "spec.replicas"))
}

/// Returns the value at a dotted path; None where there is null.
pub(super) fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, key| value.get(key)).filter(|v| !v.is_null())
}

/// Returns the string at a dotted path.
pub(super) fn text<'a>(object: &'a Value, path: &str) -> Option<&'a str> {
    at(object, path).and_then(Value::as_str)
}
