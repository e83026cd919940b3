//! Failures of containers, and when each counts.

use super::super::snapshot::{ContainerState, ContainerTermination, LiveContainer, LivePod};
use super::format::add_seconds;
use super::pull::{Retryability, classify_pull_message};
use super::{HealthEvidence, HealthLimits, format, image, pod};
use jiff::Timestamp;
use std::sync::Arc;

/// Classes of failures; a baseline compares within a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FailureClass {
    /// The image cannot be pulled.
    ImagePull,
    /// The container cannot be created or started as specified.
    Start,
    /// The container exits repeatedly.
    Crash,
}

/// When a failure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureDue {
    /// Now.
    Now,
    /// If it lasts until then.
    At(Timestamp),
    /// When the deadline of the workload passes.
    Deadline,
}

/// A failure of a container.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContainerFailure<'a> {
    /// The pod's name.
    pub(crate) pod: &'a str,
    /// The container.
    pub(crate) container: &'a LiveContainer,
    /// The class.
    pub(crate) class: FailureClass,
    /// The reason, in Kubernetes' words.
    pub(crate) reason: &'a str,
    /// The message of the kubelet.
    pub(crate) message: &'a str,
    /// Its last termination, if any.
    pub(crate) termination: Option<&'a ContainerTermination>,
    /// When it counts.
    pub(crate) due: FailureDue,
}

/// Returns the failure of a container. `in_place`: the pod may have run another revision before, and its status may
/// still describe that.
pub(super) fn container_failure<'a>(
    name: &'a str,
    pod: &'a LivePod,
    container: &'a LiveContainer,
    in_place: bool,
    limits: &HealthLimits,
) -> Option<ContainerFailure<'a>> {
    if in_place && pod.is_update_unobserved {
        return None;
    }
    let of = |class, reason, message, end, due| ContainerFailure {
        pod: name,
        container,
        class,
        reason,
        message,
        termination: end,
        due,
    };
    let last = container.last_termination.as_ref();
    let is_often = container.restarts >= limits.restarts;
    match &container.state {
        ContainerState::Waiting { reason, message } => match &**reason {
            "CrashLoopBackOff" => {
                let cannot_start = last.is_some_and(|end| is_start_error(&end.reason));
                let class = if cannot_start { FailureClass::Start } else { FailureClass::Crash };
                let due = if cannot_start || is_often { FailureDue::Now } else { FailureDue::Deadline };
                (!precedes_update(pod, container, last, in_place))
                    .then(|| of(class, termination_reason(last, reason), message, last, due))
            }
            reason => {
                let class = failure_class(reason)?;
                let is_stale = in_place && image::is_about_previous_image(message, container);
                let due = failure_due(class, reason, message, pod, container, in_place, limits);
                (!is_stale).then(|| of(class, reason, message, None, due))
            }
        },
        ContainerState::Terminated(end) if is_start_error(&end.reason) => {
            Some(of(FailureClass::Start, &end.reason, "", Some(end), FailureDue::Now))
        }
        ContainerState::Terminated(end) if end.exit_code != 0 => {
            let due = if is_often { FailureDue::Now } else { FailureDue::Deadline };
            (!precedes_update(pod, container, Some(end), in_place))
                .then(|| of(FailureClass::Crash, termination_reason(Some(end), "Error"), "", Some(end), due))
        }
        _ => None,
    }
}

/// OOMKilled and start errors say more than the back-off.
fn termination_reason<'a>(end: Option<&'a ContainerTermination>, otherwise: &'a str) -> &'a str {
    end.map(|end| &*end.reason)
        .filter(|reason| *reason == "OOMKilled" || is_start_error(reason))
        .unwrap_or(otherwise)
}

fn is_start_error(reason: &str) -> bool {
    matches!(reason, "StartError" | "ContainerCannotRun")
}

/// Reasons of `waiting`, as kubelet 1.36 names them.
fn failure_class(reason: &str) -> Option<FailureClass> {
    match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "ErrImageInspect"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => Some(FailureClass::ImagePull),
        "CreateContainerConfigError"
        | "CreateContainerError"
        | "RunContainerError"
        | "StartError"
        | "ContainerCannotRun"
        | "PreCreateHookError"
        | "PreStartHookError"
        | "PostStartHookError" => Some(FailureClass::Start),
        _ => None,
    }
}

fn failure_due(
    class: FailureClass,
    reason: &str,
    message: &str,
    pod: &LivePod,
    container: &LiveContainer,
    in_place: bool,
    limits: &HealthLimits,
) -> FailureDue {
    let retryability = classify_pull_message(message, &container.image);
    match (class, reason) {
        (_, "InvalidImageName" | "ErrImageNeverPull" | "SignatureValidationFailed") => FailureDue::Now,
        // A runtime under load answers late; the kubelet retries.
        (FailureClass::Start | FailureClass::Crash, _) if retryability == Retryability::Transient => {
            FailureDue::Deadline
        }
        (FailureClass::Start | FailureClass::Crash, _) => FailureDue::Now,
        (_, "RegistryUnavailable") => FailureDue::Deadline,
        (FailureClass::ImagePull, _) => match retryability {
            Retryability::Permanent => FailureDue::Now,
            Retryability::Transient => FailureDue::Deadline,
            Retryability::Unknown => pull_attempted_since(pod, container, in_place)
                .map_or(FailureDue::Deadline, |since| FailureDue::At(add_seconds(since, limits.pull_grace))),
        },
    }
}

/// Returns since when an image is pulled. The kubelet does not say, so this is the last known time before it.
fn pull_attempted_since(pod: &LivePod, container: &LiveContainer, in_place: bool) -> Option<Timestamp> {
    let placed = [pod.created, pod.scheduled.since.filter(|_| pod.scheduled.is_true)];
    let stopped = [
        pod.ready.since.filter(|_| !pod.ready.is_true),
        container.last_termination.as_ref().and_then(|end| end.finished_at),
        pod.updated_in_place,
    ];
    let in_place = stopped.into_iter().flatten().filter(|_| in_place);
    placed.into_iter().flatten().chain(in_place).max()
}

/// A pod that is updated in place keeps its restart counts: they count only once the container runs the new image or
/// has ended since the update.
fn precedes_update(
    pod: &LivePod,
    container: &LiveContainer,
    end: Option<&ContainerTermination>,
    in_place: bool,
) -> bool {
    let ended_before = || {
        pod.updated_in_place
            .zip(end.and_then(|e| e.finished_at))
            .is_some_and(|(changed, ended)| ended < changed)
    };
    in_place
        && (ended_before() || !image::runs_image(container, &container.image, pod.updated_in_place, false))
}

impl ContainerFailure<'_> {
    /// Returns whether it counts now.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        match self.due {
            FailureDue::Now => true,
            FailureDue::At(at) => at <= now,
            FailureDue::Deadline => false,
        }
    }

    /// Returns the evidence about a pod of the workload with a key.
    pub(super) fn evidence(&self, key: &str) -> HealthEvidence {
        HealthEvidence {
            subject: format::pod_subject(key, self.pod).into(),
            container: Some(Arc::clone(&self.container.name)),
            reason: self.reason.into(),
            message: format::single_line(self.message),
            restarts: Some(self.container.restarts),
        }
    }
}

/// Returns the failures of the containers of a pod that is not disrupted.
pub(super) fn pod_failures<'a>(
    name: &'a str,
    pod: &'a LivePod,
    in_place: bool,
    limits: &HealthLimits,
) -> Vec<ContainerFailure<'a>> {
    if pod::disruption(pod).is_some() {
        return Vec::new();
    }
    pod.containers.iter().filter_map(|c| container_failure(name, pod, c, in_place, limits)).collect()
}
