//! The application's part of a pod, which sidecars may read.

use super::template::{ContainerList, PodView, item_name, list_items};
use super::types::{ContainerDisposition, PodDispositions};
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// The application's part of a pod: what sidecars may read.
pub(super) struct AppContainers<'a> {
    pub(super) labels: Option<&'a Value>,
    /// `containers` without those that an earlier injection put there: sidecars never see each other.
    pub(super) containers: Vec<&'a Value>,
    /// The native sidecars among `initContainers`, likewise.
    pub(super) native_sidecars: Vec<&'a Value>,
    /// The variables of every container, by names; made when the first one is asked for.
    variables: OnceCell<BTreeMap<&'a str, BTreeMap<&'a str, EnvDefinitions<'a>>>>,
}

impl<'a> AppContainers<'a> {
    pub(super) fn from_pod(pod: &PodView<'a>, dispositions: &PodDispositions) -> Self {
        let own = |list: ContainerList| {
            let dispositions = dispositions.in_list(list);
            list.in_pod(pod)
                .iter()
                .zip(dispositions)
                .filter(|(_, disposition)| **disposition == ContainerDisposition::App)
                .map(|(container, _)| container)
        };
        let is_native = |c: &&Value| c.get("restartPolicy").and_then(Value::as_str) == Some("Always");
        Self {
            labels: pod.labels,
            containers: own(ContainerList::Regular).collect(),
            native_sidecars: own(ContainerList::Init).filter(is_native).collect(),
            variables: OnceCell::new(),
        }
    }

    /// Returns the definitions of a variable in the containers of a name.
    pub(super) fn variable(&self, container: &str, variable: &str) -> Option<&EnvDefinitions<'a>> {
        let variables = self.variables.get_or_init(|| {
            let mut all: BTreeMap<&str, BTreeMap<&str, EnvDefinitions<'_>>> = BTreeMap::new();
            for container in &self.containers {
                let of_container = all.entry(item_name(container)).or_default();
                for entry in list_items(container, "env") {
                    let defined = EnvDefinitions { first: entry, last: entry };
                    of_container.entry(item_name(entry)).and_modify(|d| d.last = entry).or_insert(defined);
                }
            }
            all
        });
        variables.get(container)?.get(variable)
    }
}

/// A variable, which may be defined more than once.
pub(super) struct EnvDefinitions<'a> {
    /// The definition that `subPathExpr` takes.
    pub(super) first: &'a Value,
    /// The one that `transferEnv` takes.
    pub(super) last: &'a Value,
}
