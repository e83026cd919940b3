//! The expected sidecars of a workload, from the template in git.

use super::super::expected_state::ExpectedWorkload;
use serde_json::Value;

/// A sidecar of the template in git.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpectedSidecar<'a> {
    /// `name`.
    pub(crate) name: &'a str,
    /// Whether it is one of `initContainers`.
    pub(crate) is_init: bool,
    /// The container.
    pub(crate) container: &'a Value,
    /// `image`.
    pub(crate) image: &'a str,
}

/// The two lists of containers, and whether they are init containers.
pub(super) const CONTAINER_LISTS: [(&str, bool); 2] = [("containers", false), ("initContainers", true)];

/// Returns the sidecars that a workload must have.
pub(super) fn expected_sidecars(expected: &ExpectedWorkload) -> Vec<ExpectedSidecar<'_>> {
    let all = CONTAINER_LISTS.into_iter().flat_map(|(list, is_init)| {
        let containers = expected.template["spec"][list].as_array();
        containers.into_iter().flatten().map(move |c| (c, is_init))
    });
    all.filter_map(|(container, is_init)| {
        let name = container["name"].as_str().filter(|name| expected.sidecars.contains(*name))?;
        Some(ExpectedSidecar {
            name,
            is_init,
            container,
            image: container["image"].as_str().unwrap_or_default(),
        })
    })
    .collect()
}
