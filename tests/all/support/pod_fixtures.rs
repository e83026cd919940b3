//! Pods and SidecarSets for tests of rollouts.

use crate::support::manifests::indent;
use indoc::formatdoc;
use pillion::model::sidecar_set::{DecodeMode, SidecarSet, decode_for};
use pillion::model::timestamp::Timestamp;
use pillion::rollout::pods::{
    NamespaceLabelMap, PodContainer, PodContainerStatus, PodStep, PodStepKind, SidecarPod, next_pod_step,
};
use pillion::yaml::{Document, FieldPath};
use serde_json::json;
use std::sync::Arc;

pub(crate) const HASH: &str = "kruise.io/sidecarset-hash";

/// A set of one sidecar with an update strategy, written as a flow mapping.
pub(crate) fn set(strategy: &str) -> SidecarSet {
    set_with(&formatdoc! {"
        containers:
        - name: log
          image: 'log:2'
        updateStrategy: {strategy}
    "})
}

/// A set with some fields of `spec`.
pub(crate) fn set_with(spec: &str) -> SidecarSet {
    let spec = indent(spec, 2);
    let text = formatdoc! {"
        apiVersion: apps.kruise.io/v1beta1
        kind: SidecarSet
        metadata:
          name: log
        spec:
          selector:
            matchLabels:
              log: 'true'
        {spec}
    "};
    let document = Arc::new(Document::read(&"log.yaml".into(), 0, 1, &text).unwrap());
    let (set, found) = decode_for(DecodeMode::Validate, &document, &FieldPath::root());
    set.unwrap_or_else(|| panic!("{found:?}"))
}

/// A ready pod that has the sidecar in an older version. Later ones are younger.
pub(crate) fn pod(set: &SidecarSet, number: u32) -> SidecarPod {
    let container = |name: &str, image: &str| PodContainer { name: name.into(), image: image.into() };
    let containers = vec![container("app", "app:1"), container("log", "log:1")];
    let at = format!("2026-01-01T{:02}:{:02}:{:02}Z", number / 3600, number / 60 % 60, number % 60);
    let mut pod = SidecarPod {
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
        ..SidecarPod::default()
    };
    pod.annotations.insert("kruise.io/sidecarset-injected-list".into(), "other,log".into());
    record(&mut pod, HASH, "old");
    record(&mut pod, "kruise.io/sidecarset-hash-without-image", &set.hash_without_image);
    pod
}

pub(crate) fn runs(container: &PodContainer) -> PodContainerStatus {
    PodContainerStatus {
        name: container.name.clone(),
        image: container.image.clone(),
        image_id: format!("docker-pullable://{}", container.image),
        is_ready: true,
        restarts: 0,
    }
}

pub(crate) fn record(pod: &mut SidecarPod, annotation: &str, hash: &str) {
    pod.annotations.insert(annotation.into(), json!({"log": {"hash": hash}}).to_string());
}

/// Makes a pod one that was updated and is ready again.
pub(crate) fn update(set: &SidecarSet, pod: &mut SidecarPod) {
    record(pod, HASH, &set.hash);
    for (container, status) in pod.containers.iter_mut().zip(&mut pod.statuses) {
        if container.name == "log" {
            container.image = "log:2".into();
            *status = runs(container);
        }
    }
}

pub(crate) fn pods(set: &SidecarSet, count: u32) -> Vec<SidecarPod> {
    (0..count).map(|number| pod(set, number)).collect()
}

pub(crate) fn next(set: &SidecarSet, pods: &[SidecarPod]) -> PodStep {
    let (step, found) = next_pod_step(set, pods, &NamespaceLabelMap::new());
    assert!(found.is_empty(), "{found:?}");
    step
}

/// Takes steps until there is none; every updated pod is ready at once. Returns the batches.
pub(crate) fn roll_out(set: &SidecarSet, pods: &mut [SidecarPod]) -> (Vec<Vec<String>>, PodStep) {
    let mut batches = Vec::new();
    loop {
        let step = next(set, pods);
        if step.kind != PodStepKind::Batch {
            return (batches, step);
        }
        for pod in pods.iter_mut().filter(|p| step.pods.contains(&p.key())) {
            update(set, pod);
        }
        batches.push(step.pods);
    }
}
