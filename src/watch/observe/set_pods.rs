//! The pods of the SidecarSets in a cluster, by what Kruise records on them. Pure.

use super::injected_sets::InjectedSet;
use super::objects::{KeyedWorkload, TrackedPod};
use crate::model::workload::sidecar_set_key;
use crate::watch::snapshot::{LiveContainer, LivePod, LiveWorkload};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Adds the pods of the SidecarSets among the workloads, by `NAMESPACE/NAME`. Pods with other containers than a
/// SidecarSet has, images aside, are only counted while they are active: Kruise never updates them.
pub(super) fn add_pods_of_sets<'o>(
    workloads: &mut BTreeMap<Arc<str>, LiveWorkload>,
    sets: impl Iterator<Item = &'o KeyedWorkload>,
    pods: &[&Arc<TrackedPod>],
) {
    let known: BTreeMap<&str, &KeyedWorkload> = sets.map(|set| (&*set.key, set)).collect();
    if known.is_empty() {
        return;
    }
    for pod in pods {
        for set in &pod.sidecar_sets {
            let key = sidecar_set_key(&set.name);
            let (Some(own), Some(workload)) = (known.get(&*key), workloads.get_mut(&*key)) else { continue };
            if own.hash_without_image == set.hash_without_image {
                let name = format!("{}/{}", pod.namespace, pod.name).into();
                workload.pods.insert(name, pod_of_set(&pod.pod, set));
            } else if pod.pod.is_active() {
                workload.not_upgradable = workload.not_upgradable.saturating_add(1);
            }
        }
    }
}

/// Returns a pod with the revision of a SidecarSet.
fn pod_of_set(pod: &LivePod, set: &InjectedSet) -> LivePod {
    let with_id = |container: &LiveContainer| {
        let previous = set.previous_image_ids.get(&container.name).cloned();
        LiveContainer {
            previous_image_id: previous.or_else(|| container.previous_image_id.clone()),
            ..container.clone()
        }
    };
    LivePod {
        revision: Some(Arc::clone(&set.hash)),
        updated_in_place: pod.updated_in_place.max(set.updated_in_place),
        containers: pod.containers.iter().map(with_id).collect(),
        ..pod.clone()
    }
}
