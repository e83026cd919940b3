//! Pods and SidecarSets for tests of rollouts.

use pillion::model::sidecar_set::{Mode, SidecarSet, decode_for};
use pillion::model::timestamp::Timestamp;
use pillion::plan::pods::{Container, ContainerStatus, Kind, Namespaces, NextStep, Pod, next_step};
use pillion::yaml::{Document, Path};
use serde_json::json;
use std::sync::Arc;

pub(crate) const HASH: &str = "kruise.io/sidecarset-hash";

/// A set of one sidecar with an update strategy, written as a flow mapping.
pub(crate) fn set(strategy: &str) -> SidecarSet {
    set_with(&format!("{{name: log, image: 'log:2'}}], updateStrategy: {strategy}, volumes: ["))
}

pub(crate) fn set_with(rest: &str) -> SidecarSet {
    let text = format!(
        "apiVersion: apps.kruise.io/v1beta1\nkind: SidecarSet\nmetadata: {{name: log}}\n\
         spec: {{selector: {{matchLabels: {{log: 'true'}}}}, containers: [{rest}]}}\n"
    );
    let document = Arc::new(Document::read(&"log.yaml".into(), 0, 1, &text).unwrap());
    let (set, found) = decode_for(Mode::Validate, &document, &Path::root());
    set.unwrap_or_else(|| panic!("{found:?}"))
}

/// A ready pod that has the sidecar in an older version. Later ones are younger.
pub(crate) fn pod(set: &SidecarSet, number: u32) -> Pod {
    let container = |name: &str, image: &str| Container { name: name.into(), image: image.into() };
    let containers = vec![container("app", "app:1"), container("log", "log:1")];
    let at = format!("2026-01-01T{:02}:{:02}:{:02}Z", number / 3600, number / 60 % 60, number % 60);
    let mut pod = Pod {
        namespace: "default".into(),
        name: format!("p-{number:04}"),
        labels: [("log".to_owned(), "true".to_owned())].into(),
        created: Timestamp::parse(&at),
        has_node: true,
        statuses: containers.iter().map(runs).collect(),
        containers,
        phase: "Running".into(),
        is_ready: true,
        ready_since: Timestamp::parse(&at),
        ..Pod::default()
    };
    pod.annotations.insert("kruise.io/sidecarset-injected-list".into(), "other,log".into());
    record(&mut pod, HASH, "old");
    record(&mut pod, "kruise.io/sidecarset-hash-without-image", &set.hash_without_image);
    pod
}

pub(crate) fn runs(container: &Container) -> ContainerStatus {
    ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone(),
        image_id: format!("docker-pullable://{}", container.image),
        is_ready: true,
        restarts: 0,
    }
}

pub(crate) fn record(pod: &mut Pod, annotation: &str, hash: &str) {
    pod.annotations.insert(annotation.into(), json!({"log": {"hash": hash}}).to_string());
}

/// Makes a pod one that was updated and is ready again.
pub(crate) fn update(set: &SidecarSet, pod: &mut Pod) {
    record(pod, HASH, &set.hash);
    for (container, status) in pod.containers.iter_mut().zip(&mut pod.statuses) {
        if container.name == "log" {
            container.image = "log:2".into();
            *status = runs(container);
        }
    }
}

pub(crate) fn pods(set: &SidecarSet, count: u32) -> Vec<Pod> {
    (0..count).map(|number| pod(set, number)).collect()
}

pub(crate) fn next(set: &SidecarSet, pods: &[Pod]) -> NextStep {
    let (step, found) = next_step(set, pods, &Namespaces::new());
    assert!(found.is_empty(), "{found:?}");
    step
}

/// Takes steps until there is none; every updated pod is ready at once. Returns the batches.
pub(crate) fn roll_out(set: &SidecarSet, pods: &mut [Pod]) -> (Vec<Vec<String>>, NextStep) {
    let mut batches = Vec::new();
    loop {
        let step = next(set, pods);
        if step.kind != Kind::Batch {
            return (batches, step);
        }
        for pod in pods.iter_mut().filter(|p| step.pods.contains(&p.key())) {
            update(set, pod);
        }
        batches.push(step.pods);
    }
}
