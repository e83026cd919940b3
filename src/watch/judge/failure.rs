//! What is wrong with a container, and from when on is that a failure?

use super::super::snapshot::{Container, End, Pod, State};
use super::pull::{Outlook, outlook};
use super::words::after;
use super::{Evidence, Limits, image, pod, words};
use jiff::Timestamp;
use std::sync::Arc;

/// Kinds of failures: only like is compared with like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Its image cannot be had.
    Pull,
    /// It cannot be made or started from what its pod says.
    Start,
    /// It ends again and again.
    Crash,
}

/// From when on something is a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// It is one.
    Now,
    /// When it lasts until then.
    At(Timestamp),
    /// When the deadline of the workload passes.
    Deadline,
}

/// What is wrong with a container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure<'a> {
    /// The pod's name.
    pub pod: &'a str,
    /// The container.
    pub container: &'a Container,
    /// Its kind.
    pub class: Class,
    /// In Kubernetes' words.
    pub reason: &'a str,
    /// What the kubelet says.
    pub message: &'a str,
    /// How it ended last, where it did.
    pub end: Option<&'a End>,
    /// From when on it counts.
    pub due: Due,
}

/// Returns what is wrong with a container. `in_place` says that the pod may have run something else before, so that
/// what its status says may be of that.
pub(super) fn failure<'a>(
    name: &'a str,
    pod: &'a Pod,
    container: &'a Container,
    in_place: bool,
    limits: &Limits,
) -> Option<Failure<'a>> {
    if in_place && pod.is_unseen {
        return None;
    }
    let of =
        |class, reason, message, end, due| Failure { pod: name, container, class, reason, message, end, due };
    let last = container.last_end.as_ref();
    let is_often = container.restarts >= limits.restarts;
    match &container.state {
        State::Waiting { reason, message } => match &**reason {
            "CrashLoopBackOff" => {
                let cannot_start = last.is_some_and(|end| is_no_start(&end.reason));
                let class = if cannot_start { Class::Start } else { Class::Crash };
                let due = if cannot_start || is_often { Due::Now } else { Due::Deadline };
                (!is_from_before(pod, container, last, in_place))
                    .then(|| of(class, reason_of(last, reason), message, last, due))
            }
            reason => {
                let class = class_of(reason)?;
                let is_stale = in_place && image::is_of_before(message, container);
                let due = due_of(class, reason, message, pod, container, in_place, limits);
                (!is_stale).then(|| of(class, reason, message, None, due))
            }
        },
        State::Terminated(end) if is_no_start(&end.reason) => {
            Some(of(Class::Start, &end.reason, "", Some(end), Due::Now))
        }
        State::Terminated(end) if end.exit_code != 0 => {
            let due = if is_often { Due::Now } else { Due::Deadline };
            (!is_from_before(pod, container, Some(end), in_place))
                .then(|| of(Class::Crash, reason_of(Some(end), "Error"), "", Some(end), due))
        }
        _ => None,
    }
}

/// The reason of the last end says more than the back-off where memory ran out.
fn reason_of<'a>(end: Option<&'a End>, otherwise: &'a str) -> &'a str {
    end.map(|end| &*end.reason)
        .filter(|reason| *reason == "OOMKilled" || is_no_start(reason))
        .unwrap_or(otherwise)
}

fn is_no_start(reason: &str) -> bool {
    matches!(reason, "StartError" | "ContainerCannotRun")
}

/// Reasons of `waiting`, as kubelet 1.36 names them.
fn class_of(reason: &str) -> Option<Class> {
    match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "ErrImageInspect"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => Some(Class::Pull),
        "CreateContainerConfigError"
        | "CreateContainerError"
        | "RunContainerError"
        | "StartError"
        | "ContainerCannotRun"
        | "PreCreateHookError"
        | "PreStartHookError"
        | "PostStartHookError" => Some(Class::Start),
        _ => None,
    }
}

fn due_of(
    class: Class,
    reason: &str,
    message: &str,
    pod: &Pod,
    container: &Container,
    in_place: bool,
    limits: &Limits,
) -> Due {
    let outlook = outlook(message, &container.image);
    match (class, reason) {
        (_, "InvalidImageName" | "ErrImageNeverPull" | "SignatureValidationFailed") => Due::Now,
        // A runtime under load answers late, and is asked again.
        (Class::Start | Class::Crash, _) if outlook == Outlook::Later => Due::Deadline,
        (Class::Start | Class::Crash, _) => Due::Now,
        (_, "RegistryUnavailable") => Due::Deadline,
        (Class::Pull, _) => match outlook {
            Outlook::Never => Due::Now,
            Outlook::Later => Due::Deadline,
            Outlook::Open => tried_since(pod, container, in_place)
                .map_or(Due::Deadline, |since| Due::At(after(since, limits.pull_grace))),
        },
    }
}

/// Since when an image has been tried: the kubelet does not say, so the last moment before that it does.
fn tried_since(pod: &Pod, container: &Container, in_place: bool) -> Option<Timestamp> {
    let placed = [pod.created, pod.scheduled.since.filter(|_| pod.scheduled.holds)];
    let stopped = [
        pod.ready.since.filter(|_| !pod.ready.holds),
        container.last_end.as_ref().and_then(|end| end.finished),
        pod.changed,
    ];
    let in_place = stopped.into_iter().flatten().filter(|_| in_place);
    placed.into_iter().flatten().chain(in_place).max()
}

/// Restart counts of a pod that is changed in place are of its whole life: only a container that has the new image, or
/// has ended since the change, says something about it.
fn is_from_before(pod: &Pod, container: &Container, end: Option<&End>, in_place: bool) -> bool {
    let ended_before =
        || pod.changed.zip(end.and_then(|e| e.finished)).is_some_and(|(changed, ended)| ended < changed);
    in_place && (ended_before() || !image::runs(container, &container.image, pod.changed, false))
}

impl Failure<'_> {
    /// Tells whether it counts.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        match self.due {
            Due::Now => true,
            Due::At(at) => at <= now,
            Due::Deadline => false,
        }
    }

    /// Returns what was seen.
    pub(super) fn evidence(&self, namespace: &str) -> Evidence {
        Evidence {
            subject: format!("{namespace}/{}", self.pod).into(),
            container: Some(Arc::clone(&self.container.name)),
            reason: self.reason.into(),
            message: words::line(self.message),
            restarts: Some(self.container.restarts),
        }
    }
}

/// Returns what is wrong with the containers of a pod that nothing disturbs.
pub(super) fn failures<'a>(name: &'a str, pod: &'a Pod, in_place: bool, limits: &Limits) -> Vec<Failure<'a>> {
    if pod::disturbance(pod).is_some() {
        return Vec::new();
    }
    pod.containers.iter().filter_map(|c| failure(name, pod, c, in_place, limits)).collect()
}
