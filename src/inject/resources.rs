//! `resourcesPolicy`: resources of a sidecar computed from those of the application's containers.

use super::Work;
use super::containers::Apps;
use super::revision::Chosen;
use super::selects::Choice;
use super::template::{Object, Pod};
use crate::model::sidecar_set::{ResourcesPolicy, SidecarContainer};

/// A policy, compiled.
#[derive(Debug)]
pub(super) struct Policy {}

impl Policy {
    /// Compiles a policy; what is wrong with it is told when it is used.
    pub(super) fn new(_policy: &ResourcesPolicy) -> Self {
        Self {}
    }
}

pub(super) fn apply(
    _pod: &Pod<'_>,
    _choice: &Choice<'_>,
    _apps: &Apps<'_>,
    _sidecar: &SidecarContainer,
    _policy: &Policy,
    _chosen: &Chosen<'_>,
    _container: &mut Object,
    _work: &mut Work<'_>,
) {
}
