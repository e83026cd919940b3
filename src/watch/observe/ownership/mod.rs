//! Assigns pods to workloads, and finds the revision of each workload's current template. Pure.

use super::objects::{KeyedWorkload, ObservedObject, OwnerObject, RevisionHashes, TrackedPod};
use super::set_pods::add_pods_of_sets;
use crate::model::api::KRUISE_GROUP;
use crate::model::workload::{RevisionSource, WorkloadKind};
use crate::watch::snapshot::{LivePod, LiveWorkload, Snapshot};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Pod, ReplicaSet, Deployment, UnitedDeployment, and one level in reserve.
const MAX_OWNER_DEPTH: usize = 5;

/// Builds a snapshot of the observed objects.
pub(super) fn build_snapshot<'i>(
    items: impl Iterator<Item = &'i ObservedObject>,
    now: Timestamp,
) -> Snapshot {
    let mut cluster = OwnerGraph::default();
    let mut pods = Vec::new();
    for item in items {
        match item {
            ObservedObject::Pod(pod) => pods.push(pod),
            ObservedObject::Object(object) => cluster.add(object),
        }
    }
    let mut workloads: BTreeMap<Arc<str>, LiveWorkload> = BTreeMap::new();
    for object in cluster.by_uid.values() {
        // An object that an observed workload created is not a workload itself.
        if let (Some(itself), true) = (&object.workload, cluster.parent(object.owner.as_deref()).is_none()) {
            workloads.insert(Arc::clone(&itself.key), cluster.with_revision(object, itself));
        }
    }
    for pod in &pods {
        if let Some(bare) = &pod.bare_workload {
            let mut workload = bare.workload.clone();
            workload.pods.insert(Arc::clone(&pod.name), pod.pod.clone());
            workloads.insert(Arc::clone(&bare.key), workload);
        } else if let Some(root) = cluster.root_owner(pod)
            && let Some(itself) = &root.workload
            && let Some(workload) = workloads.get_mut(&itself.key)
        {
            let revision = pod_revision(&itself.kind, pod, workload.update_revision.as_deref());
            workload.pods.insert(Arc::clone(&pod.name), LivePod { revision, ..pod.pod.clone() });
        }
    }
    let sets = cluster.by_uid.values().filter_map(|object| object.workload.as_deref());
    let sets = sets.filter(|workload| workload.kind.is_sidecar_set());
    add_pods_of_sets(&mut workloads, sets, &pods);
    Snapshot { now, workloads }
}

/// All objects but pods.
#[derive(Default)]
struct OwnerGraph<'o> {
    by_uid: BTreeMap<&'o str, &'o OwnerObject>,
    by_owner: BTreeMap<&'o str, Vec<&'o OwnerObject>>,
}

impl<'o> OwnerGraph<'o> {
    fn add(&mut self, object: &'o OwnerObject) {
        self.by_uid.insert(&object.uid, object);
        if let Some(owner) = &object.owner {
            self.by_owner.entry(owner).or_default().push(object);
        }
    }

    fn parent(&self, owner: Option<&str>) -> Option<&'o OwnerObject> {
        self.by_uid.get(owner?).copied()
    }

    /// Returns the topmost owner of a pod. Owners are matched by uid: an object with the same name is another one.
    fn root_owner(&self, pod: &TrackedPod) -> Option<&'o OwnerObject> {
        let mut found = self.parent(pod.owner.as_deref())?;
        for _ in 0..MAX_OWNER_DEPTH {
            match self.parent(found.owner.as_deref()) {
                Some(parent) => found = parent,
                None => break,
            }
        }
        Some(found)
    }

    /// Returns a workload with the revision of its current template, and when that was created.
    fn with_revision(&self, object: &OwnerObject, itself: &KeyedWorkload) -> LiveWorkload {
        let mut workload = itself.workload.clone();
        let made = self.by_owner.get(&*object.uid).map(Vec::as_slice).unwrap_or_default();
        let mut made = made.iter().copied();
        let known = workload.update_revision.clone();
        let present = match itself.kind.traits.revision {
            // deployment/util/deployment_util.go: the controller writes the number of the newest ReplicaSet's
            // revision into the Deployment before it says that it has observed the generation.
            RevisionSource::ReplicaSetNumber => {
                made.find(|set| set.revision.is_some() && set.revision == object.revision)
            }
            RevisionSource::PodHash => made.find(|set| known.is_some() && set.hashes.rollout == known),
            // daemon/update.go: a rollback gives the old ControllerRevision the highest number again.
            RevisionSource::NewestControllerRevision if known.is_none() => {
                made.filter(|r| r.workload.is_none()).max_by_key(|revision| revision.revision)
            }
            _ => made.find(|revision| {
                known.as_ref().is_some_and(|known| {
                    revision.name == *known || revision.hashes.controller.as_ref() == Some(known)
                })
            }),
        };
        workload.revision_created = present.and_then(|object| object.created);
        if known.is_none() {
            workload.update_revision =
                present.and_then(|object| revision_hash(&itself.kind, &object.hashes).cloned());
        }
        workload
    }
}

/// Returns the label by which the controller of a kind distinguishes templates.
fn revision_hash<'h>(kind: &WorkloadKind, hashes: &'h RevisionHashes) -> Option<&'h Arc<str>> {
    match kind.traits.revision {
        RevisionSource::ReplicaSetNumber => hashes.template.as_ref(),
        RevisionSource::PodHash => hashes.rollout.as_ref(),
        RevisionSource::UnitedDeployment => hashes.united_deployment.as_ref(),
        _ => hashes.controller.as_ref(),
    }
}

/// Returns the revision of a pod in the spelling of its workload: with the feature CloneSetShortHash, Kruise labels
/// pods with its last part only (pkg/util/revision, GetShortHash).
fn pod_revision(kind: &WorkloadKind, pod: &TrackedPod, update: Option<&str>) -> Option<Arc<str>> {
    let label = revision_hash(kind, &pod.hashes)?;
    match update {
        Some(update)
            if kind.group == KRUISE_GROUP && update.rsplit_once('-').is_some_and(|(_, s)| s == &**label) =>
        {
            Some(Arc::from(update))
        }
        _ => Some(Arc::clone(label)),
    }
}

#[cfg(test)]
mod tests;
