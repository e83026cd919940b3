//! Compares whole rollouts, step by step, with those of Kruise's SidecarSet controller. Between two steps a kubelet is
//! simulated as it was when they were recorded.

use crate::support::conformance::entries;
use pillion::model::sidecar_set::{DecodeMode, SidecarSet, decode_for};
use pillion::model::timestamp::Timestamp;
use pillion::rollout::pods::{
    NamespaceLabelMap, PodContainer, PodContainerStatus, PodStep, PodStepKind, SidecarPod, next_pod_step,
};
use pillion::yaml::{Document, FieldPath};
use serde_json::{Value, json};
use std::path::Path as File;
use std::sync::Arc;

const LIST: &str = "kruise.io/sidecarset-injected-list";
const HASH: &str = "kruise.io/sidecarset-hash";
const HASH_WITHOUT_IMAGE: &str = "kruise.io/sidecarset-hash-without-image";
const STATE: &str = "kruise.io/sidecarset-inplace-update-state";
const WORKING: &str = "kruise.io/sidecarset-working-hotupgrade-container";

#[test]
fn rollouts_are_those_of_kruise() {
    let traces = entries("rollout", |path| path.extension().is_some_and(|e| e == "json"));
    let (mut failures, mut steps) = (Vec::new(), 0);
    for trace in &traces {
        let (compared, differences) = replay(trace);
        steps += compared;
        failures.extend(differences);
    }
    assert!(failures.is_empty(), "{} of {} traces:\n{}", failures.len(), traces.len(), failures.join("\n"));
    assert!(traces.len() >= 52 && steps >= 330, "{steps} recorded steps of {} were compared", traces.len());
}

/// Replays a trace; returns the number of steps and the first difference.
fn replay(file: &File) -> (usize, Option<String>) {
    let trace: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut written = trace["sidecarset"].clone();
    let (old, new) = (decoded(&trace["previous"]), decoded(&written));
    let hashes = &trace["hashes"]["v1alpha1"];
    assert_eq!((hashes["old"].as_str(), hashes["new"].as_str()), (Some(&*old.hash), Some(&*new.hash)));
    let mut cluster = Cluster { set: new, pods: Vec::new(), now: 0 };
    for pod in list(&trace["pods"]) {
        cluster.add(pod, &old);
    }
    let mut events = list(&trace["events"]).iter();
    let is_ordered = trace["listOrderSensitive"] == "no";
    for (i, recorded) in list(&trace["steps"]).iter().enumerate() {
        cluster.now += 1;
        let pods: Vec<SidecarPod> = cluster.pods.iter().map(|s| s.pod.clone()).collect();
        let (step, _) = next_pod_step(&cluster.set, &pods, &NamespaceLabelMap::new());
        if let Some(difference) = difference(&step, recorded, is_ordered) {
            return (i, Some(format!("{} step {}: {difference}", trace["id"], recorded["n"])));
        }
        // Where Kruise's choice is not determined, the trace goes on with what it chose.
        for name in list(&recorded["patched"]) {
            cluster.patch(name.as_str().unwrap());
        }
        for flipped in list(&recorded["flipped"]) {
            cluster.flip(flipped["pod"].as_str().unwrap());
        }
        cluster.tick();
        for _ in 0..recorded["eventsApplied"].as_u64().unwrap_or(0) {
            cluster.apply(events.next().expect("an event"), &mut written);
        }
    }
    (list(&trace["steps"]).len(), None)
}

fn difference(step: &PodStep, recorded: &Value, is_ordered: bool) -> Option<String> {
    let status = json!({
        "matchedPods": step.status.matched_pods, "updatedPods": step.status.updated_pods,
        "readyPods": step.status.ready_pods, "updatedReadyPods": step.status.updated_ready_pods,
    });
    for (counter, count) in status.as_object().unwrap() {
        if recorded["status"].get(counter).unwrap_or(&json!(0)) != count {
            return Some(format!("{counter} {count}, not {}", recorded["status"][counter]));
        }
    }
    let names = |kind: PodStepKind| -> Vec<&str> {
        let pods = step.pods.iter().filter(|_| step.kind == kind);
        pods.map(|p| p.strip_prefix("default/").unwrap()).collect()
    };
    let patched: Vec<&str> = list(&recorded["patched"]).iter().filter_map(Value::as_str).collect();
    let flipped: Vec<&str> = list(&recorded["flipped"]).iter().filter_map(|f| f["pod"].as_str()).collect();
    if is_ordered && names(PodStepKind::Batch) != patched {
        return Some(format!("batch {:?}, not {patched:?}", names(PodStepKind::Batch)));
    }
    (names(PodStepKind::HotUpgradeSwap) != flipped)
        .then(|| format!("flip {:?}, not {flipped:?}", names(PodStepKind::HotUpgradeSwap)))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn decoded(set: &Value) -> SidecarSet {
    let document = Document::read(&"set.json".into(), 0, 1, &set.to_string()).unwrap();
    let (set, found) = decode_for(DecodeMode::Validate, &Arc::new(document), &FieldPath::root());
    set.unwrap_or_else(|| panic!("{found:?}"))
}

/// Applies a merge patch (RFC 7386).
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else { return target.clone_from(patch) };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().shift_remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}

/// Minutes after the pods of a case were made, and after it started.
fn minute(day: u32, minutes: u64) -> Option<Timestamp> {
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    Timestamp::parse(&format!("2024-{day:02}-{:02}T{hours:02}:{:02}:00Z", 1 + days, minutes % 60))
}

/// The id of an image that has a name.
fn image_id(image: &str) -> String {
    format!("docker-pullable://{image}@id")
}

struct Simulated {
    pod: SidecarPod,
    behavior: String,
    /// A container that changes when so many ticks have passed.
    pending: Option<(u64, Vec<String>)>,
}

struct Cluster {
    set: SidecarSet,
    pods: Vec<Simulated>,
    now: u64,
}

impl Cluster {
    fn add(&mut self, recorded: &Value, old: &SidecarSet) {
        let revision = recorded["revision"].as_str().unwrap_or("old");
        let set = if revision == "new" { &self.set } else { old };
        let created = recorded["created"].as_u64().unwrap();
        let phase = recorded["phase"].as_str().unwrap_or("Running");
        let is_ready = phase == "Running" && recorded["notReady"] != true;
        let mut pod = SidecarPod {
            namespace: "default".into(),
            name: recorded["name"].as_str().unwrap().into(),
            labels: serde_json::from_value(recorded["labels"].clone()).unwrap(),
            created: minute(1, created),
            is_deleting: recorded["deleting"] == true,
            has_node: recorded["node"] != "",
            phase: phase.into(),
            is_ready,
            ready_since: minute(1, recorded["readyAt"].as_u64().unwrap_or(created + 1)),
            ..SidecarPod::default()
        };
        pod.containers.push(PodContainer { name: "app".into(), image: "app:1".into() });
        for container in set.containers.iter().filter(|_| !["none", "nocontainer"].contains(&revision)) {
            let image = container.container["image"].as_str().unwrap();
            match &container.hot_upgrade_empty_image {
                None => {
                    pod.containers.push(PodContainer { name: container.name.clone(), image: image.into() })
                }
                Some(empty) => {
                    let images = [image, empty.as_str()];
                    let pair = container.hot_upgrade_names().into_iter().zip(images);
                    pod.containers
                        .extend(pair.map(|(name, image)| PodContainer { name, image: image.into() }));
                    let working = json!({&container.name: container.hot_upgrade_names()[0]});
                    pod.annotations.insert(WORKING.into(), working.to_string());
                }
            }
        }
        let is_started = phase != "Pending";
        let restarts = recorded["restarts"].as_i64().unwrap_or(0);
        pod.statuses = pod
            .containers
            .iter()
            .map(|c| PodContainerStatus {
                name: c.name.clone(),
                image: c.image.clone(),
                image_id: if is_started { image_id(&c.image) } else { String::new() },
                is_ready: is_started && (is_ready || c.name != "app"),
                restarts,
            })
            .collect();
        if revision != "none" {
            annotate(&mut pod, set, revision);
        }
        let behavior = recorded["behavior"].as_str().unwrap_or("ok").to_owned();
        self.pods.push(Simulated { pod, behavior, pending: None });
    }

    fn find(&mut self, name: &str) -> &mut Simulated {
        self.pods.iter_mut().find(|s| s.pod.name == name).expect("a pod of that name")
    }

    /// Gives a pod the images of the set, as the controller does.
    fn patch(&mut self, name: &str) {
        let (set, now) = (self.set.clone(), self.now);
        let simulated = self.find(name);
        let mut changed = Vec::new();
        for container in &set.containers {
            let image = container.container["image"].as_str().unwrap();
            let target = match &container.hot_upgrade_empty_image {
                None => container.name.clone(),
                Some(empty) => {
                    let [first, second] = container.hot_upgrade_names();
                    let is_empty = |name: &String| {
                        simulated.pod.containers.iter().any(|c| c.name == *name && c.image == *empty)
                    };
                    let target = if is_empty(&first) { first } else { second };
                    let working = json!({&container.name: target});
                    simulated.pod.annotations.insert(WORKING.into(), working.to_string());
                    target
                }
            };
            changed.extend(simulated.set_image(&set, &target, image));
        }
        annotate(&mut simulated.pod, &set, "new");
        simulated.restart(changed, now);
    }

    /// Gives the containers that worked before the empty image.
    fn flip(&mut self, name: &str) {
        let (set, now) = (self.set.clone(), self.now);
        let simulated = self.find(name);
        let mut changed = Vec::new();
        for container in &set.containers {
            let Some(empty) = &container.hot_upgrade_empty_image else { continue };
            let working = simulated.pod.annotations[WORKING].clone();
            let idle =
                container.hot_upgrade_names().into_iter().find(|n| !working.contains(&format!("\"{n}\"")));
            changed.extend(simulated.set_image(&set, &idle.unwrap(), empty));
        }
        simulated.restart(changed, now);
    }

    fn tick(&mut self) {
        let now = self.now;
        for simulated in &mut self.pods {
            let Some((due, changed)) = simulated.pending.take() else { continue };
            if due > now {
                simulated.pending = Some((due, changed));
            } else {
                simulated.run(&changed, now);
            }
        }
    }

    fn apply(&mut self, event: &Value, written: &mut Value) {
        if let Some(spec) = event.get("spec") {
            merge(&mut written["spec"], spec);
            self.set = decoded(written);
        }
        let now = self.now;
        for (name, labels) in event["setLabels"].as_object().into_iter().flatten() {
            let mut all = json!(self.find(name).pod.labels);
            merge(&mut all, labels);
            self.find(name).pod.labels = serde_json::from_value(all).unwrap();
        }
        for (name, is_ready) in event["setReady"].as_object().into_iter().flatten() {
            let pod = &mut self.find(name).pod;
            (pod.is_ready, pod.ready_since) = (is_ready == true, minute(2, now));
        }
        self.pods.retain(|s| !list(&event["deletePods"]).iter().any(|name| *name == s.pod.name));
        for pod in list(&event["addPods"]) {
            let set = self.set.clone();
            self.add(pod, &set);
        }
    }
}

impl Simulated {
    /// Writes an image and notes what ran before, as the controller does; returns the container if it changed.
    fn set_image(&mut self, set: &SidecarSet, name: &str, image: &str) -> Option<String> {
        let container = self.pod.containers.iter_mut().find(|c| c.name == name).unwrap();
        if container.image == image {
            return None;
        }
        container.image = image.into();
        let status = self.pod.statuses.iter().find(|s| s.name == name).unwrap();
        let state = self.pod.annotations.get(STATE).map_or("{}", String::as_str);
        let mut state: Value = serde_json::from_str(state).unwrap();
        state[&set.name]["lastContainerStatuses"][name] = json!({"imageID": status.image_id});
        self.pod.annotations.insert(STATE.into(), state.to_string());
        Some(name.to_owned())
    }

    /// What the kubelet does at once with containers that have another image.
    fn restart(&mut self, changed: Vec<String>, now: u64) {
        if self.pod.phase == "Pending" || changed.is_empty() {
            return;
        }
        let (behavior, ticks) = match self.behavior.split_once(':') {
            Some((behavior, ticks)) => (behavior.to_owned(), ticks.parse().unwrap()),
            None => (self.behavior.clone(), 0),
        };
        match &*behavior {
            "ok" | "sameDigest" | "staysUnready" => self.run(&changed, now),
            "slow" => self.pending = Some((now + ticks, changed)),
            "restarting" | "crash" => {
                self.start(&changed);
                for status in self.pod.statuses.iter_mut().filter(|s| changed.contains(&s.name)) {
                    status.is_ready = false;
                }
                self.set_ready(false, now);
                self.pending = (behavior == "restarting").then_some((now + ticks, changed));
            }
            other => panic!("a kubelet that does {other}"),
        }
    }

    /// The containers run; so does the pod.
    fn run(&mut self, changed: &[String], now: u64) {
        self.start(changed);
        if self.behavior != "staysUnready" {
            self.pod.statuses.iter_mut().for_each(|s| s.is_ready = true);
            self.set_ready(true, now);
        }
    }

    fn start(&mut self, changed: &[String]) {
        for status in self.pod.statuses.iter_mut().filter(|s| changed.contains(&s.name)) {
            let wanted = &self.pod.containers.iter().find(|c| c.name == status.name).unwrap().image;
            if status.image != *wanted {
                status.image.clone_from(wanted);
                status.restarts += 1;
                if self.behavior != "sameDigest" {
                    status.image_id = image_id(wanted);
                }
            }
        }
    }

    fn set_ready(&mut self, is_ready: bool, now: u64) {
        if self.pod.is_ready != is_ready {
            (self.pod.is_ready, self.pod.ready_since) = (is_ready, minute(2, now));
        }
    }
}

/// Writes the annotations of an injection or an update.
fn annotate(pod: &mut SidecarPod, set: &SidecarSet, revision: &str) {
    let hashes = match revision {
        "foreign" => ["another-hash", "another-hash-without-image"],
        _ => [&*set.hash, &*set.hash_without_image],
    };
    for (key, hash) in [HASH, HASH_WITHOUT_IMAGE].into_iter().zip(hashes) {
        let entry = if revision == "oldfmt" { json!(hash) } else { json!({"hash": hash}) };
        pod.annotations.insert(key.into(), json!({&set.name: entry}).to_string());
    }
    pod.annotations.insert(LIST.into(), set.name.clone());
}
