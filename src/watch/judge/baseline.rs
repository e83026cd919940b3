//! Was it so before? What still carries the template before is compared with what fails.

use super::super::snapshot::{Container, Role, State};
use super::Limits;
use super::failure::{Class, failure};
use super::roster::Member;

/// How a container does in pods with the template before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// No such pod is left, or none has the container.
    Unknown,
    /// It is ready in all of them.
    Healthy,
    /// It is neither healthy nor broken in all of them.
    Mixed,
    /// In some it is broken alike.
    Broken,
}

/// Compares a container with that of pods with the template before; `class` None asks for readiness alone.
pub(super) fn before(
    name: &str,
    is_init: bool,
    class: Option<Class>,
    pods: &[Member<'_>],
    limits: &Limits,
) -> Before {
    let namesakes = || {
        pods.iter().flat_map(|m| {
            let same = move |c: &&Container| *c.name == *name && (c.role == Role::Init) == is_init;
            m.pod.containers.iter().filter(same).map(move |c| (m, c))
        })
    };
    let is_alike = |m: &Member<'_>, c: &Container| match class {
        Some(class) => failure(m.name, m.pod, c, false, limits).is_some_and(|f| f.class == class),
        None => !is_fine(c),
    };
    if namesakes().next().is_none() {
        Before::Unknown
    } else if namesakes().any(|(m, c)| is_alike(m, c)) {
        Before::Broken
    } else if namesakes().all(|(_, c)| is_fine(c)) {
        Before::Healthy
    } else {
        Before::Mixed
    }
}

fn is_fine(container: &Container) -> bool {
    match (container.role, &container.state) {
        (Role::Init, State::Terminated(end)) => end.exit_code == 0,
        (Role::Init, _) => false,
        _ => container.is_ready,
    }
}
