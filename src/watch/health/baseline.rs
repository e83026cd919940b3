//! Compares a failing container with pods that still run the previous template.

use super::super::snapshot::{ContainerRole, ContainerState, LiveContainer};
use super::HealthLimits;
use super::failure::{FailureClass, container_failure};
use super::pod_set::ClassifiedPod;

/// Health of a container in pods with the previous template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BaselineHealth {
    /// No such pod is left, or none has the container.
    Unknown,
    /// It is healthy in all of them.
    Healthy,
    /// It is neither healthy nor broken in all of them.
    Mixed,
    /// It fails in the same way in some of them.
    Broken,
}

/// Returns the health of a container in pods with the previous template; without `class` only readiness counts.
pub(super) fn baseline_health(
    name: &str,
    is_init: bool,
    class: Option<FailureClass>,
    pods: &[ClassifiedPod<'_>],
    limits: &HealthLimits,
) -> BaselineHealth {
    let namesakes = || {
        pods.iter().flat_map(|m| {
            let same =
                move |c: &&LiveContainer| *c.name == *name && (c.role == ContainerRole::Init) == is_init;
            m.pod.containers.iter().filter(same).map(move |c| (m, c))
        })
    };
    let is_alike = |m: &ClassifiedPod<'_>, c: &LiveContainer| match class {
        Some(class) => container_failure(m.name, m.pod, c, false, limits).is_some_and(|f| f.class == class),
        None => !is_healthy(c),
    };
    if namesakes().next().is_none() {
        BaselineHealth::Unknown
    } else if namesakes().any(|(m, c)| is_alike(m, c)) {
        BaselineHealth::Broken
    } else if namesakes().all(|(_, c)| is_healthy(c)) {
        BaselineHealth::Healthy
    } else {
        BaselineHealth::Mixed
    }
}

fn is_healthy(container: &LiveContainer) -> bool {
    match (container.role, &container.state) {
        (ContainerRole::Init, ContainerState::Terminated(end)) => end.exit_code == 0,
        (ContainerRole::Init, _) => false,
        _ => container.is_ready,
    }
}
