//! A cluster on a simulated clock: a GitOps agent that applies rendered files, controllers that replace pods, and pods
//! that become ready after a while, or never.

use jiff::Timestamp;
use pillion::watch::snapshot::{
    ContainerState, LiveContainer, LivePod, LivePodCondition, LiveWorkload, PodPhase, Snapshot,
};
use pillion::yaml::{Document, split_documents};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Seconds until a new pod is ready.
const READY_AFTER: i64 = 7;

/// A cluster.
#[derive(Clone)]
pub(crate) struct SimCluster {
    /// Seconds of its clock.
    pub(crate) now: i64,
    workloads: BTreeMap<String, SimWorkload>,
    made: u64,
}

#[derive(Clone)]
struct SimWorkload {
    generation: i64,
    template: Value,
    partition: Option<Value>,
    kept: usize,
    desired: usize,
    revision: String,
    /// When each revision was made.
    revisions: BTreeMap<String, i64>,
    pods: BTreeMap<String, SimPod>,
}

#[derive(Clone)]
struct SimPod {
    uid: u64,
    created: i64,
    revision: String,
    images: Vec<(String, String)>,
    ready: Option<i64>,
    unready_since: i64,
}

impl SimPod {
    fn is_bad(&self) -> bool {
        self.images.iter().any(|(_, image)| image.contains(":bad"))
    }
}

impl SimCluster {
    pub(crate) fn new() -> Self {
        Self { now: 1_700_000_000, workloads: BTreeMap::new(), made: 0 }
    }

    /// Applies the manifests of a file to a namespace, as an agent does.
    pub(crate) fn apply(&mut self, namespace: &str, text: &str) {
        let name: Arc<str> = "applied.yaml".into();
        for (i, piece) in split_documents(&name, text).0.into_iter().enumerate() {
            let document = Document::read(&name, i, piece.first_line, &text[piece.span]).unwrap();
            self.apply_one(namespace, document.value());
        }
    }

    fn apply_one(&mut self, namespace: &str, object: &Value) {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let (group, kind) = (text("/apiVersion").split_once('/').map_or("", |(g, _)| g), text("/kind"));
        let default = match kind {
            "Deployment" => 10,
            "StatefulSet" | "CloneSet" => 1,
            _ => return,
        };
        let dotted = if group.is_empty() { String::new() } else { format!(".{group}") };
        let key = format!("{kind}{dotted}/{namespace}/{}", text("/metadata/name"));
        let template = object["spec"]["template"].clone();
        let digest = Sha256::digest(template.to_string());
        let revision: String = digest.iter().take(5).map(|b| format!("{b:02x}")).collect();
        let at = if kind == "CloneSet" {
            "/spec/updateStrategy/partition"
        } else {
            "/spec/updateStrategy/rollingUpdate/partition"
        };
        let partition = object.pointer(at).cloned();
        let desired = object["spec"]["replicas"].as_u64().map_or(default, |n| usize::try_from(n).unwrap());
        let kept = partition.as_ref().and_then(Value::as_u64).map_or(0, |n| usize::try_from(n).unwrap());
        let now = self.now;
        let made = self.workloads.entry(key).or_insert_with(|| SimWorkload {
            generation: 0,
            template: Value::Null,
            partition: None,
            kept: 0,
            desired,
            revision: String::new(),
            revisions: BTreeMap::new(),
            pods: BTreeMap::new(),
        });
        if made.template != template || made.partition != partition {
            made.generation += 1;
        }
        (made.template, made.partition, made.kept, made.desired) = (template, partition, kept, desired);
        made.revisions.entry(revision.clone()).or_insert(now);
        made.revision = revision;
    }

    /// Lets time pass, a second at a time.
    pub(crate) fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += 1;
            let now = self.now;
            for (key, workload) in &mut self.workloads {
                workload.second(key, now, &mut self.made);
            }
        }
    }

    /// Makes one ready pod of the present template unready for a moment, where there is one.
    pub(crate) fn flap(&mut self, n: usize) {
        let now = self.now;
        let all = self.workloads.values_mut().flat_map(|w| {
            let revision = w.revision.clone();
            w.pods.values_mut().filter(move |p| p.revision == revision && p.ready.is_some())
        });
        let all: Vec<_> = all.collect();
        let count = all.len();
        if let Some(pod) = all.into_iter().nth(n % count.max(1)) {
            pod.ready = None;
            pod.unready_since = now;
        }
    }

    /// Returns whether a workload's pods of the present template are there, ready, and have been for a time.
    pub(crate) fn is_soaked(&self, key: &str, seconds: i64) -> bool {
        let Some(workload) = self.workloads.get(key) else { return false };
        let own: Vec<_> = workload.pods.values().filter(|p| p.revision == workload.revision).collect();
        let is_fine = |p: &&&SimPod| p.ready.is_some_and(|since| self.now - since >= seconds);
        own.len() + workload.kept >= workload.desired && own.iter().filter(is_fine).count() == own.len()
    }

    /// The image of a container in the template that a workload has now.
    pub(crate) fn image(&self, key: &str, container: &str) -> Option<&str> {
        let containers = self.workloads.get(key)?.template["spec"]["containers"].as_array()?;
        containers.iter().find(|c| c["name"] == container)?["image"].as_str()
    }

    /// What a watcher sees of it.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let time = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let workloads = self.workloads.iter().map(|(key, workload)| {
            let pods =
                workload.pods.iter().map(|(name, pod)| (Arc::from(name.as_str()), seen(pod))).collect();
            let raw = |value: &Value| Arc::from(serde_json::value::to_raw_value(value).unwrap());
            let seen = LiveWorkload {
                generation: workload.generation,
                observed_generation: Some(workload.generation),
                desired: Some(u32::try_from(workload.desired).unwrap()),
                template: Some(raw(&workload.template)),
                partition: workload.partition.as_ref().map(raw),
                update_revision: Some(workload.revision.as_str().into()),
                revision_created: workload.revisions.get(&workload.revision).copied().map(time),
                pods,
                ..LiveWorkload::default()
            };
            (Arc::from(key.as_str()), seen)
        });
        Snapshot { now: time(self.now), workloads: workloads.collect() }
    }
}

impl SimWorkload {
    fn second(&mut self, key: &str, now: i64, made: &mut u64) {
        for pod in self.pods.values_mut().filter(|p| p.ready.is_none() && !p.is_bad()) {
            if now - pod.unready_since >= READY_AFTER {
                pod.ready = Some(now);
            }
        }
        let is_first = self.pods.is_empty();
        while self.pods.len() < self.desired {
            let name = format!("{}-{}", key.rsplit('/').next().unwrap(), self.pods.len());
            let mut pod = self.pod(now, made);
            if is_first {
                pod.ready = Some(now);
            }
            self.pods.insert(format!("pod/{name}"), pod);
        }
        let is_down = self.pods.values().any(|p| p.ready.is_none() && p.revision == self.revision);
        let old: Vec<String> =
            self.pods.iter().filter(|(_, p)| p.revision != self.revision).map(|(n, _)| n.clone()).collect();
        if !is_down && old.len() > self.kept {
            let pod = self.pod(now, made);
            self.pods.insert(old.last().unwrap().clone(), pod);
        }
        // Pods that are broken are replaced by those of another template at once.
        let broken = self.pods.iter().find(|(_, p)| p.revision != self.revision && p.is_bad());
        if let Some(name) = broken.map(|(n, _)| n.clone()) {
            let pod = self.pod(now, made);
            self.pods.insert(name, pod);
        }
    }

    fn pod(&self, now: i64, made: &mut u64) -> SimPod {
        *made += 1;
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let containers = self.template["spec"]["containers"].as_array().unwrap();
        SimPod {
            uid: *made,
            created: now,
            revision: self.revision.clone(),
            images: containers.iter().map(|c| (text(&c["name"]), text(&c["image"]))).collect(),
            ready: None,
            unready_since: now,
        }
    }
}

fn seen(pod: &SimPod) -> LivePod {
    let time = |seconds: i64| Timestamp::from_second(seconds).unwrap();
    let container = |(name, image): &(String, String)| {
        let is_bad = image.contains(":bad");
        LiveContainer {
            name: name.as_str().into(),
            image: image.as_str().into(),
            running_image: (!is_bad).then(|| image.as_str().into()),
            is_ready: pod.ready.is_some() && !is_bad,
            state: if is_bad {
                ContainerState::Waiting {
                    reason: "ImagePullBackOff".into(),
                    message: format!("Back-off pulling image {image:?}: not found").into(),
                }
            } else {
                ContainerState::Running { since: Some(time(pod.created)) }
            },
            ..LiveContainer::default()
        }
    };
    LivePod {
        uid: pod.uid.to_string().into(),
        created: Some(time(pod.created)),
        revision: Some(pod.revision.as_str().into()),
        is_scheduled: true,
        phase: if pod.is_bad() { PodPhase::Pending } else { PodPhase::Running },
        ready: LivePodCondition {
            is_true: pod.ready.is_some(),
            since: Some(time(pod.ready.unwrap_or(pod.unready_since))),
            ..LivePodCondition::default()
        },
        containers: pod.images.iter().map(container).collect(),
        ..LivePod::default()
    }
}
