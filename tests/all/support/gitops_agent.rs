//! A GitOps agent and controllers beside a fake API server: the deploy branch is applied, and pods are replaced and
//! become ready.

use crate::support::fake_cluster::FakeCluster;
use crate::support::fleet_fixtures::FILES;
use jiff::Timestamp;
use pillion::git::{ObjectId, Repository};
use pillion::yaml::Document;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Time until a new pod is ready.
const READY_AFTER: Duration = Duration::from_millis(200);

/// The agent of a fleet of Deployments.
#[derive(Default)]
pub(crate) struct Agent {
    applied: Option<ObjectId>,
    /// Template and number of the revision of each Deployment.
    present: BTreeMap<&'static str, (Value, u64)>,
    /// Pods that are not ready yet.
    starting: Vec<(Instant, Value)>,
}

impl Agent {
    /// Applies the head of the deploy branch where it has moved, and lets time pass.
    pub(crate) fn work(&mut self, cluster: &FakeCluster, origin: &Repository) {
        let head = origin.find_ref("refs/heads/main").unwrap();
        if self.applied.replace(head) != Some(head) {
            let tree = origin.commit(head).unwrap().tree;
            for file in FILES {
                let entry = origin.entry_at(tree, &format!("rendered/{file}")).unwrap().unwrap();
                let text = String::from_utf8(origin.read_blob(entry.id).unwrap()).unwrap();
                self.apply(cluster, file, Document::read(&"w.yaml".into(), 0, 1, &text).unwrap().value());
            }
        }
        let now = Instant::now();
        for (_, mut pod) in self.starting.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>() {
            is_ready(&mut pod, true);
            cluster.put("v1/pods", pod);
        }
    }

    /// Returns whether everything that was applied is ready.
    pub(crate) fn is_settled(&self) -> bool {
        self.applied.is_some() && self.starting.is_empty()
    }

    fn apply(&mut self, cluster: &FakeCluster, file: &'static str, manifest: &Value) {
        let template = &manifest["spec"]["template"];
        let before = self.present.get(file).filter(|(old, _)| old == template);
        if before.is_some() {
            return;
        }
        let number = self.present.get(file).map_or(1, |(_, number)| number + 1);
        self.present.insert(file, (template.clone(), number));
        let (namespace, name) = file.trim_end_matches(".yaml").split_once('/').unwrap();
        let revision = json!({"deployment.kubernetes.io/revision": number.to_string()});
        let set = format!("{name}-{number}");
        let mut deployment = manifest.clone();
        deployment["metadata"] = meta(namespace, name, None, number);
        deployment["metadata"]["annotations"] = revision.clone();
        deployment["status"] = json!({"observedGeneration": number});
        cluster.put("apps/v1/deployments", deployment);
        let mut replicas = meta(namespace, &set, Some(name), 1);
        replicas["annotations"] = revision;
        replicas["labels"] = json!({"pod-template-hash": set});
        let spec = json!({"replicas": 2, "template": template});
        cluster.put("apps/v1/replicasets", json!({"metadata": replicas, "spec": spec}));
        self.starting
            .retain(|(_, pod)| pod["metadata"]["name"].as_str().unwrap().rsplit_once('-').unwrap().0 != name);
        for n in 0..2 {
            let pod = format!("{name}-{n}");
            if number > 1 {
                cluster.delete("v1/pods", namespace, &pod);
            }
            let mut metadata = meta(namespace, &pod, Some(&set), 1);
            // As a controller does it, the new pod is another one.
            metadata["uid"] = json!(format!("u-{pod}-{number}"));
            metadata["labels"] = json!({"pod-template-hash": set});
            let mut pod = json!({"metadata": metadata, "spec": template["spec"]});
            pod["spec"]["nodeName"] = json!("node");
            is_ready(&mut pod, false);
            cluster.put("v1/pods", pod.clone());
            self.starting.push((Instant::now() + READY_AFTER, pod));
        }
        if number > 1 {
            cluster.delete("apps/v1/replicasets", namespace, &format!("{name}-{}", number - 1));
        }
    }
}

fn meta(namespace: &str, name: &str, owner: Option<&str>, generation: u64) -> Value {
    let mut meta = json!({"namespace": namespace, "name": name, "uid": format!("u-{name}"),
        "generation": generation, "creationTimestamp": now()});
    if let Some(owner) = owner {
        meta["ownerReferences"] = json!([{"uid": format!("u-{owner}"), "controller": true}]);
    }
    meta
}

/// The time as API servers write it.
fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Writes the status of a pod.
fn is_ready(pod: &mut Value, is_ready: bool) {
    let status = |holds: bool| if holds { "True" } else { "False" };
    let containers = pod["spec"]["containers"].as_array().unwrap().iter().map(|container| {
        let image = &container["image"];
        json!({"name": container["name"], "image": image, "imageID": image, "ready": is_ready,
            "restartCount": 0, "state": {"running": {"startedAt": pod["metadata"]["creationTimestamp"]}}})
    });
    let containers: Vec<Value> = containers.collect();
    let condition =
        |kind: &str, holds| json!({"type": kind, "status": status(holds), "lastTransitionTime": now()});
    pod["status"] = json!({"phase": "Running", "containerStatuses": containers,
        "conditions": [condition("PodScheduled", true), condition("Ready", is_ready)]});
}
