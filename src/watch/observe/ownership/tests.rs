//! Snapshots of small objects of each kind, written as the API server writes them.

use super::super::interner::Interner;
use super::super::objects::{ObjectShape, read_object};
use super::*;
use crate::model::workload::WorkloadKinds;
use crate::watch::snapshot::{
    ContainerRole, ContainerState, ContainerTermination, LiveContainer, PodPhase, WorkloadCondition,
};
use serde_json::{Value, json};

fn kind(api_version: &str, kind: &str) -> Arc<WorkloadKind> {
    if kind == "SidecarSet" {
        return Arc::new(WorkloadKind::sidecar_set());
    }
    Arc::clone(WorkloadKinds::default().find(api_version, kind).unwrap())
}

/// Reads objects for what they are, and makes a snapshot of them.
fn snapshot(objects: &[Value]) -> Snapshot {
    let mut texts = Interner::default();
    let items: Vec<ObservedObject> = objects
        .iter()
        .map(|object| {
            let (version, name) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
            let shape = match (version, name) {
                ("v1", "Pod") => ObjectShape::Pods(Some(kind(version, name))),
                ("apps/v1", "ControllerRevision") => ObjectShape::Revisions,
                ("apps/v1", "ReplicaSet") => ObjectShape::Intermediate(Some(kind(version, name))),
                _ => ObjectShape::Workloads(kind(version, name)),
            };
            let raw = serde_json::value::to_raw_value(object).unwrap();
            read_object(&shape, &raw, &mut texts).unwrap()
        })
        .collect();
    build_snapshot(items.iter(), time("2026-11-27T10:00:00Z"))
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn arc(text: &str) -> Option<Arc<str>> {
    Some(Arc::from(text))
}

/// An object with a name, the uid `u-NAME`, and perhaps the uid of a controller.
fn object(api_version: &str, kind: &str, name: &str, owner: Option<&str>, rest: Value) -> Value {
    let mut object = json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": format!("u-{name}"),
            "creationTimestamp": "2026-11-27T09:00:00Z",
            "generation": 3,
        },
    });
    if let Some(owner) = owner {
        object["metadata"]["ownerReferences"] = json!([
            {"apiVersion": "v1", "kind": "Other", "name": "other", "uid": "u-other"},
            {"apiVersion": "v1", "kind": "Owner", "name": "owner", "uid": format!("u-{owner}"), "controller": true},
        ]);
    }
    merge(&mut object, rest);
    object
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn pod(name: &str, owner: Option<&str>, label: &str, hash: &str) -> Value {
    let rest = json!({
        "metadata": {"labels": {label: hash}},
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "app:1"}]},
        "status": {"phase": "Running"},
    });
    object("v1", "Pod", name, owner, rest)
}

#[test]
fn a_deployment_has_the_pods_of_its_replica_sets() {
    let annotated = |revision: &str| json!({"deployment.kubernetes.io/revision": revision});
    let set = |name: &str, revision: &str, hash: &str, created: &str| {
        let metadata = json!({
            "annotations": annotated(revision),
            "labels": {"pod-template-hash": hash},
            "creationTimestamp": created,
        });
        object(
            "apps/v1",
            "ReplicaSet",
            name,
            Some("web"),
            json!({"metadata": metadata, "spec": {"replicas": 1}}),
        )
    };
    let deployment = object(
        "apps/v1",
        "Deployment",
        "web",
        None,
        json!({
            "metadata": {
                "annotations": annotated("10"),
                "managedFields": [
                    {"manager": "kubectl", "time": "2026-11-27T09:10:00Z", "fieldsV1": {"f:spec": {}}},
                    {"manager": "kcm", "time": "2026-11-27T09:30:00Z", "subresource": "status"},
                ],
            },
            "spec": {
                "replicas": 2, "paused": true, "progressDeadlineSeconds": 600, "minReadySeconds": 7,
                "template": {"spec": {"containers": [{"name": "app", "image": "app:2"}]}},
            },
            "status": {"observedGeneration": 2, "conditions": [
                {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"},
                {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow",
                 "lastTransitionTime": "2026-11-27T09:20:00Z"},
                {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"},
            ]},
        }),
    );
    let found = snapshot(&[
        deployment,
        set("web-old", "9", "aaa", "2026-11-27T08:00:00Z"),
        set("web-new", "10", "bbb", "2026-11-27T09:11:00Z"),
        pod("web-old-1", Some("web-old"), "pod-template-hash", "aaa"),
        pod("web-new-1", Some("web-new"), "pod-template-hash", "bbb"),
        pod("stray", Some("an-unknown-owner"), "pod-template-hash", "bbb"),
    ]);
    assert_eq!(found.workloads.keys().map(|k| &**k).collect::<Vec<_>>(), ["Deployment.apps/shop/web"]);
    let web = &found.workloads["Deployment.apps/shop/web"];
    assert_eq!((web.generation, web.observed_generation, web.desired), (3, Some(2), Some(2)));
    assert_eq!((web.is_update_manual, web.progress_deadline, web.min_ready_seconds), (true, Some(600), 7));
    assert_eq!(web.update_revision, arc("bbb"));
    assert_eq!(web.revision_created, Some(time("2026-11-27T09:11:00Z")));
    assert_eq!(web.spec_changed, Some(time("2026-11-27T09:10:00Z")));
    assert_eq!(
        web.template.as_ref().unwrap().get(),
        r#"{"spec":{"containers":[{"name":"app","image":"app:2"}]}}"#
    );
    let revisions: Vec<_> = web.pods.iter().map(|(n, p)| (&**n, p.revision.as_deref().unwrap())).collect();
    assert_eq!(revisions, [("web-new-1", "bbb"), ("web-old-1", "aaa")]);
    let complaint = |kind: &str, reason: &str, message: &str, since: Option<&str>| WorkloadCondition {
        kind: Arc::from(kind),
        reason: Arc::from(reason),
        message: Arc::from(message),
        since: since.map(time),
    };
    assert_eq!(
        web.conditions,
        [
            complaint("Progressing", "ProgressDeadlineExceeded", "too slow", Some("2026-11-27T09:20:00Z")),
            complaint("ReplicaFailure", "FailedCreate", "exceeded quota", None),
        ]
    );
}

#[test]
fn a_deployment_whose_replica_set_is_not_seen_yet_has_no_revision() {
    let annotations = json!({"metadata": {"annotations": {"deployment.kubernetes.io/revision": "2"}}});
    let found = snapshot(&[object("apps/v1", "Deployment", "web", None, annotations)]);
    let web = &found.workloads["Deployment.apps/shop/web"];
    assert_eq!((&web.update_revision, web.desired), (&None, Some(1)));
}

#[test]
fn a_namesake_of_an_owner_is_another() {
    let old = object(
        "apps/v1",
        "ReplicaSet",
        "web-1",
        Some("web-that-was-deleted"),
        json!({"metadata": {"uid": "rs"}}),
    );
    let pod = pod("web-1-x", None, "pod-template-hash", "aaa");
    let mut pod = pod;
    pod["metadata"]["ownerReferences"] = json!([{"uid": "rs", "controller": true, "name": "web-1"}]);
    let found = snapshot(&[object("apps/v1", "Deployment", "web", None, json!({})), old, pod]);
    assert!(found.workloads["Deployment.apps/shop/web"].pods.is_empty());
    assert_eq!(found.workloads.len(), 1);
}

#[test]
fn a_stateful_set_says_its_revision() {
    let set = object(
        "apps/v1",
        "StatefulSet",
        "db",
        None,
        json!({
            "spec": {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
            "status": {"updateRevision": "db-2", "observedGeneration": 3},
        }),
    );
    let revision = |name: &str, number: i64, created: &str| {
        let rest = json!({"metadata": {"creationTimestamp": created}, "revision": number});
        object("apps/v1", "ControllerRevision", name, Some("db"), rest)
    };
    let found = snapshot(&[
        set,
        revision("db-1", 1, "2026-11-27T08:00:00Z"),
        revision("db-2", 2, "2026-11-27T09:30:00Z"),
        pod("db-0", Some("db"), "controller-revision-hash", "db-1"),
    ]);
    let db = &found.workloads["StatefulSet.apps/shop/db"];
    assert_eq!(db.update_revision, arc("db-2"));
    assert_eq!(db.revision_created, Some(time("2026-11-27T09:30:00Z")));
    assert_eq!(db.partition.as_ref().unwrap().get(), "2");
    assert!(!db.is_update_manual);
    assert_eq!(db.pods["db-0"].revision, arc("db-1"));
}

#[test]
fn a_daemon_set_has_its_newest_controller_revision() {
    let rest =
        json!({"spec": {"updateStrategy": {"type": "OnDelete"}}, "status": {"desiredNumberScheduled": 5}});
    let set = object("apps/v1", "DaemonSet", "log", None, rest);
    let revision = |name: &str, hash: &str, number: i64| {
        let rest = json!({"metadata": {"labels": {"controller-revision-hash": hash}}, "revision": number});
        object("apps/v1", "ControllerRevision", name, Some("log"), rest)
    };
    let pod = pod("log-x", Some("log"), "controller-revision-hash", "one");
    // Rolled back: the older revision has the higher number.
    let found = snapshot(&[set, revision("log-one", "one", 3), revision("log-two", "two", 2), pod]);
    let log = &found.workloads["DaemonSet.apps/shop/log"];
    assert_eq!((&log.update_revision, log.desired), (&arc("one"), Some(5)));
    assert!(log.is_update_manual);
    assert_eq!(log.pods["log-x"].revision, arc("one"));
}

#[test]
fn kruise_kinds_say_their_revision() {
    let version = "apps.kruise.io/v1alpha1";
    let found = snapshot(&[
        object(
            version,
            "CloneSet",
            "front",
            None,
            json!({
                "spec": {"replicas": 4, "updateStrategy": {"partition": "50%", "paused": true}},
                "status": {"updateRevision": "front-7d9f", "conditions": [
                    {"type": "FailedScale", "status": "True", "message": "quota"},
                ]},
            }),
        ),
        // With the feature CloneSetShortHash, and as Kruise writes an annotation of a pod that it has made.
        {
            let mut pod = pod("front-a", Some("front"), "controller-revision-hash", "7d9f");
            pod["metadata"]["managedFields"] = json!([{"manager": "kruise", "time": "2026-11-27T09:00:01Z"}]);
            pod
        },
        object(
            version,
            "StatefulSet",
            "adv",
            None,
            json!({
                "spec": {"updateStrategy": {"rollingUpdate": {"paused": true, "minReadySeconds": 9, "partition": 1}}},
                "status": {"updateRevision": "adv-1"},
            }),
        ),
        object(
            version,
            "DaemonSet",
            "agent",
            None,
            json!({"status": {"daemonSetHash": "5f5f", "desiredNumberScheduled": 2}}),
        ),
        object(
            "apps/v1",
            "ControllerRevision",
            "agent-5f5f",
            Some("agent"),
            json!({"metadata": {"labels": {"controller-revision-hash": "5f5f"}}, "revision": 4}),
        ),
    ]);
    let front = &found.workloads["CloneSet.apps.kruise.io/shop/front"];
    assert_eq!(front.partition.as_ref().unwrap().get(), "\"50%\"");
    assert!(front.is_update_manual);
    assert_eq!(front.pods["front-a"].revision, front.update_revision);
    assert_eq!(front.pods["front-a"].updated_in_place, None);
    assert_eq!(&*front.conditions[0].kind, "FailedScale");
    let adv = &found.workloads["StatefulSet.apps.kruise.io/shop/adv"];
    assert_eq!((adv.is_update_manual, adv.min_ready_seconds, adv.desired), (true, 9, Some(1)));
    let agent = &found.workloads["DaemonSet.apps.kruise.io/shop/agent"];
    assert_eq!((&agent.update_revision, agent.desired), (&arc("5f5f"), Some(2)));
    assert_eq!(agent.revision_created, Some(time("2026-11-27T09:00:00Z")));
}

#[test]
fn a_united_deployment_has_the_pods_of_its_subsets() {
    let version = "apps.kruise.io/v1alpha1";
    let united = object(
        version,
        "UnitedDeployment",
        "all",
        None,
        json!({
            "spec": {"replicas": 2, "template": {"statefulSetTemplate": {"spec": {"template": {"spec": {}}}}}},
            "status": {"currentRevision": "all-1", "updateStatus": {"updatedRevision": "all-2"}},
        }),
    );
    let subset =
        object("apps/v1", "StatefulSet", "all-a", Some("all"), json!({"status": {"updateRevision": "s-9"}}));
    let pod = pod("all-a-0", Some("all-a"), "apps.kruise.io/controller-revision-hash", "all-2");
    let found = snapshot(&[united, subset, pod]);
    assert_eq!(found.workloads.len(), 1, "a subset is not a workload itself");
    let all = &found.workloads["UnitedDeployment.apps.kruise.io/shop/all"];
    assert_eq!(all.update_revision, arc("all-2"));
    assert_eq!(all.pods["all-a-0"].revision, arc("all-2"));
    assert_eq!(all.template.as_ref().unwrap().get(), r#"{"spec":{}}"#);
}

#[test]
fn a_rollout_of_argo_is_paused_or_degraded() {
    let rollout = object(
        "argoproj.io/v1alpha1",
        "Rollout",
        "api",
        None,
        json!({
            "spec": {"replicas": 1},
            "status": {
                "currentPodHash": "h2", "observedGeneration": "3", "phase": "Degraded", "message": "aborted",
                "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2026-11-27T09:00:00Z"}],
            },
        }),
    );
    let set = json!({"metadata": {"labels": {"rollouts-pod-template-hash": "h2"}}});
    let set = object("apps/v1", "ReplicaSet", "api-h2", Some("api"), set);
    let found = snapshot(&[rollout, set, pod("p", Some("api-h2"), "rollouts-pod-template-hash", "h2")]);
    let api = &found.workloads["Rollout.argoproj.io/shop/api"];
    assert_eq!((api.observed_generation, api.is_update_manual), (Some(3), true));
    assert_eq!((&*api.conditions[0].kind, &*api.conditions[0].message), ("Degraded", "aborted"));
    assert_eq!(api.revision_created, Some(time("2026-11-27T09:00:00Z")));
    assert_eq!(api.pods["p"].revision, arc("h2"));
}

#[test]
fn a_bare_pod_is_a_workload() {
    let bare = object(
        "v1",
        "Pod",
        "alone",
        None,
        json!({
            "metadata": {
                "generation": 2,
                "managedFields": [{"manager": "kubectl", "time": "2026-11-27T09:40:00Z"}],
                "annotations": {"apps.kruise.io/inplace-update-state":
                    "{\"revision\":\"x\",\"lastContainerStatuses\":{\"side\":{\"imageID\":\"sha256:old\"}}}"},
            },
            "spec": {
                "nodeName": "node-1",
                "initContainers": [
                    {"name": "side", "image": "side:2", "restartPolicy": "Always"},
                    {"name": "prepare", "image": "prepare:1"},
                ],
                "containers": [{"name": "app", "image": "app:1"}],
            },
            "status": {
                "observedGeneration": 1, "phase": "Running",
                "conditions": [
                    {"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-27T09:41:00Z",
                     "reason": "ContainersNotReady", "message": "containers with unready status: [side]"},
                    {"type": "PodScheduled", "status": "True"},
                    {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"},
                ],
                "initContainerStatuses": [
                    {"name": "prepare", "image": "prepare:1", "restartCount": 0,
                     "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
                    {"name": "side", "image": "side:1", "imageID": "sha256:old", "ready": false, "restartCount": 4,
                     "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
                     "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled",
                        "startedAt": "2026-11-27T09:42:00Z", "finishedAt": "2026-11-27T09:43:00Z"}}},
                ],
                "containerStatuses": [
                    {"name": "app", "image": "app:1", "imageID": "sha256:app", "ready": true, "restartCount": 0,
                     "state": {"running": {"startedAt": "2026-11-27T09:01:00Z"}}, "lastState": {}},
                ],
            },
        }),
    );
    let found = snapshot(&[bare]);
    let alone = &found.workloads["Pod/shop/alone"];
    assert_eq!((alone.generation, alone.observed_generation, alone.desired), (2, Some(1), Some(1)));
    assert!(!alone.template.as_ref().unwrap().get().contains("managedFields"));
    let pod = &alone.pods["alone"];
    assert!(pod.is_update_unobserved && pod.is_scheduled && !pod.ready.is_true && pod.scheduled.is_true);
    assert_eq!((pod.phase, &pod.disruption), (PodPhase::Running, &arc("EvictionByEvictionAPI")));
    assert_eq!(pod.updated_in_place, Some(time("2026-11-27T09:40:00Z")));
    let expected = LiveContainer {
        name: Arc::from("side"),
        role: ContainerRole::NativeSidecar,
        image: Arc::from("side:2"),
        running_image: arc("side:1"),
        image_id: arc("sha256:old"),
        previous_image_id: arc("sha256:old"),
        is_ready: false,
        restarts: 4,
        state: ContainerState::Waiting {
            reason: Arc::from("CrashLoopBackOff"),
            message: Arc::from("back-off 5m0s"),
        },
        last_termination: Some(ContainerTermination {
            exit_code: 137,
            reason: Arc::from("OOMKilled"),
            started_at: Some(time("2026-11-27T09:42:00Z")),
            finished_at: Some(time("2026-11-27T09:43:00Z")),
        }),
    };
    assert_eq!(pod.containers[0], expected);
    assert_eq!(pod.containers[1].role, ContainerRole::Init);
    assert!(matches!(&pod.containers[1].state, ContainerState::Terminated(end) if end.exit_code == 0));
    assert_eq!(pod.containers[2].role, ContainerRole::Main);
    assert_eq!(
        pod.containers[2].state,
        ContainerState::Running { since: Some(time("2026-11-27T09:01:00Z")) }
    );
}

#[test]
fn odd_objects_are_read_as_far_as_they_go() {
    let unusual = json!({
        "spec": {"replicas": "many", "minReadySeconds": -4, "template": "none", "updateStrategy": [1]},
        "status": {"observedGeneration": {}, "conditions": [7, {"type": 3, "status": "True"}], "phase": 1},
    });
    let found = snapshot(&[object("apps.kruise.io/v1alpha1", "CloneSet", "unusual", None, unusual)]);
    let unusual = &found.workloads["CloneSet.apps.kruise.io/shop/unusual"];
    assert_eq!((unusual.desired, unusual.min_ready_seconds, &unusual.observed_generation), (None, 0, &None));
    assert!(unusual.template.is_none() && unusual.conditions.is_empty());
}

#[test]
fn a_sidecar_set_has_the_pods_that_kruise_has_injected() {
    let hashes = |hash: &str, rest: &str| {
        let entry = |hash: &str| json!({"log": {"hash": hash, "updateTimestamp": "2026-11-27T09:30:00Z"}});
        json!({
            "kruise.io/sidecarset-hash": entry(hash).to_string(),
            "kruise.io/sidecarset-hash-without-image": entry(rest).to_string(),
            "kruise.io/sidecarset-inplace-update-state":
                json!({"log": {"lastContainerStatuses": {"log": {"imageID": "id-1"}}}}).to_string(),
        })
    };
    let pod = |name: &str, hash: &str, rest: &str| {
        let spec = json!({"spec": {"containers": [{"name": "log", "image": "log:2"}]}});
        let mut pod = object("v1", "Pod", name, Some("web"), spec);
        pod["metadata"]["annotations"] = hashes(hash, rest);
        pod
    };
    let rest = json!({
        "spec": {"containers": [], "updateStrategy": {"partition": "75%", "paused": true}},
        "status": {"matchedPods": 3, "observedGeneration": 3},
    });
    let mut set = object("apps.kruise.io/v1alpha1", "SidecarSet", "log", None, rest);
    set["metadata"]["annotations"] =
        json!({"kruise.io/sidecarset-hash": "two", "kruise.io/sidecarset-hash-without-image": "none"});
    set["metadata"].as_object_mut().unwrap().remove("namespace");
    let objects = [set, pod("a", "two", "none"), pod("b", "one", "none"), pod("c", "zero", "other")];
    let snapshot = snapshot(&objects);
    let found = &snapshot.workloads["SidecarSet.apps.kruise.io/-/log"];
    assert_eq!((found.update_revision.clone(), found.desired), (arc("two"), Some(3)));
    assert_eq!((found.not_upgradable, found.is_update_manual), (1, true));
    let revisions: Vec<_> = found.pods.iter().map(|(name, pod)| (&**name, pod.revision.clone())).collect();
    assert_eq!(revisions, [("shop/a", arc("two")), ("shop/b", arc("one"))]);
    let first = &found.pods["shop/a"];
    assert_eq!(first.updated_in_place, Some(time("2026-11-27T09:30:00Z")));
    assert_eq!(first.containers[0].previous_image_id, arc("id-1"));
}
