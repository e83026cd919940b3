//! Which SidecarSets there are, and which contents each has had.

use super::containers::List;
use super::resources::Policy;
use crate::model::sidecar_set::{SidecarContainer, SidecarSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One content of a SidecarSet, with what can be worked out once for all workloads.
#[derive(Debug)]
pub struct PreparedSet {
    set: Arc<SidecarSet>,
    init_policies: Vec<Option<Policy>>,
    policies: Vec<Option<Policy>>,
}

impl PreparedSet {
    /// Prepares a set: compiles its resource policies.
    pub fn new(set: Arc<SidecarSet>) -> Self {
        let prepare = |c: &SidecarContainer| c.resources_policy.as_ref().map(Policy::new);
        let init_policies = set.init_containers.iter().map(prepare).collect();
        let policies = set.containers.iter().map(prepare).collect();
        Self { set, init_policies, policies }
    }

    /// Returns the set.
    pub fn set(&self) -> &Arc<SidecarSet> {
        &self.set
    }

    /// Returns the set's name.
    pub fn name(&self) -> &str {
        &self.set.name
    }

    /// Returns the containers of one list, each with its resource policy.
    pub(super) fn sidecars(&self, list: List) -> impl Iterator<Item = (&SidecarContainer, Option<&Policy>)> {
        let (sidecars, policies) = match list {
            List::Init => (&self.set.init_containers, &self.init_policies),
            List::Main => (&self.set.containers, &self.policies),
        };
        sidecars.iter().zip(policies.iter().map(Option::as_ref))
    }

    /// Returns the names that the containers of one list have in a pod.
    pub(super) fn final_names(&self, list: List) -> impl Iterator<Item = (String, &SidecarContainer)> {
        self.sidecars(list).flat_map(move |(sidecar, _)| {
            super::hot_upgrade::names(sidecar, list).into_iter().flatten().map(move |name| (name, sidecar))
        })
    }
}

/// The SidecarSets that are to be injected, and contents they have had.
///
/// Cheap to clone; [`Sets::with_current`] keeps the history and changes what is injected.
#[derive(Debug, Clone, Default)]
pub struct Sets {
    current: Vec<Arc<PreparedSet>>,
    earlier: Arc<BTreeMap<String, Vec<Arc<PreparedSet>>>>,
}

impl Sets {
    /// Makes the collection: `current` has each name once, in any order; `earlier` are further contents of the
    /// same or other sets, oldest first.
    pub fn new(current: Vec<Arc<PreparedSet>>, earlier: Vec<Arc<PreparedSet>>) -> Self {
        let mut by_name: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for set in earlier {
            by_name.entry(set.name().to_owned()).or_default().push(set);
        }
        Self { current: Vec::new(), earlier: Arc::new(by_name) }.with_current(current)
    }

    /// Returns the same history with other sets to inject: what a ledger says about one workload.
    #[must_use]
    pub fn with_current(&self, mut current: Vec<Arc<PreparedSet>>) -> Self {
        current.sort_by(|a, b| a.name().cmp(b.name()));
        Self { current, earlier: Arc::clone(&self.earlier) }
    }

    /// Returns the sets to inject, by name.
    pub fn current(&self) -> &[Arc<PreparedSet>] {
        &self.current
    }

    /// Returns the earlier contents of a set, oldest first.
    pub(super) fn earlier(&self, name: &str) -> &[Arc<PreparedSet>] {
        self.earlier.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns every known content of a set, the current one last.
    pub(super) fn known(&self, name: &str) -> impl DoubleEndedIterator<Item = &PreparedSet> {
        let at = self.current.partition_point(|s| s.name() < name);
        let current = self.current.get(at).filter(|s| s.name() == name);
        self.earlier(name).iter().chain(current).map(Arc::as_ref)
    }
}
