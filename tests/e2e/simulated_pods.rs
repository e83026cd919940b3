//! The simulated kubelets behave as real ones, as `harness/stages.yaml` promises.

use crate::harness::api::{DEPLOYMENTS, PODS};
use crate::harness::kubectl::Kubectl;
use crate::harness::namespace::Namespace;
use crate::harness::plane::plane;
use crate::harness::pods::{condition, container, is_ready, uids};
use crate::harness::wait::{SOON, wait_for};
use serde_json::{Value, json};

/// A Deployment of five, with a log sidecar.
fn deployment(image: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 5
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: main, image: 'app:1'}}, {{name: log, image: '{image}'}}]}}
"
    )
}

fn rolled_out(deployment: &Value) -> bool {
    let status = &deployment["status"];
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && ["updatedReplicas", "readyReplicas", "replicas"].iter().all(|count| status[count] == 5)
}

fn pod(spec: Value) -> String {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "bare" }, "spec": spec }).to_string()
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_deployment_rolls_out_and_a_bad_image_stops_it() {
    let namespace = Namespace::new("rollout");
    namespace.apply(&deployment("log:1"));
    namespace.wait_until(DEPLOYMENTS, "web", "five are ready", rolled_out);
    let first = uids(&namespace.list(PODS));
    assert_eq!(first.len(), 5);

    namespace.apply(&deployment("log:2"));
    namespace.wait_until(DEPLOYMENTS, "web", "five are updated", rolled_out);

    namespace.apply(&deployment("log:bad"));
    namespace.wait_until(DEPLOYMENTS, "web", "new pods are there", |found| {
        found["status"]["unavailableReplicas"].as_u64().unwrap_or(0) > 0
    });
    let waiting = |pod: &Value| container(pod, "log")["state"]["waiting"]["reason"] == "ImagePullBackOff";
    let name = namespace.wait_until(PODS, "", "one cannot pull its image", |list| {
        list["items"].as_array().unwrap().iter().any(waiting)
    });
    let pods = name["items"].as_array().unwrap();
    let stuck = pods.iter().find(|pod| waiting(pod)).unwrap();
    assert_eq!(container(stuck, "log")["image"], "log:bad");
    assert_eq!(container(stuck, "log")["imageID"], "");
    assert_eq!(container(stuck, "main")["ready"], true);
    assert!(
        pods.iter().filter(|pod| is_ready(pod)).count() >= 4,
        "a quarter of five, rounded down, may be away"
    );
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_patched_image_restarts_that_container_alone() {
    let namespace = Namespace::new("patched");
    let spec = |log: &str, mesh: &str| {
        pod(json!({
            "initContainers": [
                { "name": "setup", "image": "setup:1" },
                { "name": "mesh", "image": mesh, "restartPolicy": "Always" },
            ],
            "containers": [{ "name": "main", "image": "app:1" }, { "name": "log", "image": log }],
        }))
    };
    namespace.apply(&spec("log:1", "mesh:1"));
    let before = namespace.wait_until(PODS, "bare", "ready", is_ready);
    assert_eq!(container(&before, "setup")["state"]["terminated"]["reason"], "Completed");

    namespace.apply(&spec("log:2", "mesh:1"));
    let restarted = |name: &'static str, image: &'static str| {
        move |pod: &Value| container(pod, name)["image"] == image && is_ready(pod)
    };
    let after = namespace.wait_until(PODS, "bare", "the new image runs", restarted("log", "log:2"));
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(after["status"]["observedGeneration"], after["metadata"]["generation"]);
    let log = container(&after, "log");
    assert_eq!((&log["restartCount"], &log["lastState"]["terminated"]["exitCode"]), (&json!(1), &json!(137)));
    assert_ne!(log["imageID"], container(&before, "log")["imageID"]);
    for name in ["main", "mesh", "setup"] {
        assert_eq!(container(&after, name), container(&before, name));
    }

    namespace.apply(&spec("log:2", "mesh:2"));
    let after = namespace.wait_until(PODS, "bare", "the native sidecar too", restarted("mesh", "mesh:2"));
    assert_eq!(container(&after, "mesh")["restartCount"], 1);
    assert_eq!(container(&after, "log")["restartCount"], 1);

    namespace.apply(&spec("log:bad", "mesh:2"));
    let stuck = namespace.wait_until(PODS, "bare", "not ready", |pod| !is_ready(pod));
    let log = container(&stuck, "log");
    assert_eq!(log["state"]["waiting"]["reason"], "ImagePullBackOff");
    assert_eq!(
        (&log["image"], &log["restartCount"]),
        (&json!("log:2"), &json!(1)),
        "the container before it"
    );
    assert!(log["state"]["waiting"]["message"].as_str().unwrap().contains("\"log:bad\""));

    namespace.apply(&spec("log:2", "mesh:2"));
    let healed = namespace.wait_until(PODS, "bare", "ready again", is_ready);
    assert_eq!(container(&healed, "log")["restartCount"], 2);
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn tags_say_how_containers_fare() {
    let namespace = Namespace::new("tags");
    let named = |name: &str, spec: Value| {
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": spec }).to_string()
    };
    let alone =
        |name: &str| named(name, json!({ "containers": [{ "name": "c", "image": format!("app:{name}") }] }));
    let held = |name: &str, restart: Option<&str>| {
        let mut first = json!({ "name": "first", "image": format!("app:{name}") });
        if let Some(restart) = restart {
            first["restartPolicy"] = restart.into();
        }
        let containers = json!([{ "name": "c", "image": "app:1" }]);
        named(&format!("{name}-first"), json!({ "initContainers": [first], "containers": containers }))
    };
    let gated = json!({ "readinessGates": [{ "conditionType": "Gate" }], "containers": [{ "name": "c", "image": "app:1" }] });
    let names = ["noconfig", "invalid", "crash", "oom", "notready", "slow", "flap"];
    let mut manifests: Vec<String> = names.iter().map(|name| alone(name)).collect();
    manifests.extend([held("hang", None), held("bad", Some("Always")), named("gated", gated)]);
    namespace.apply(&manifests.join("\n---\n"));

    let reason = |name: &'static str, reason: &'static str| {
        let found = namespace.wait_until(PODS, name, reason, |pod| {
            container(pod, "c")["state"]["waiting"]["reason"] == reason && condition(pod, "Ready") == "False"
        });
        container(&found, "c").clone()
    };
    reason("noconfig", "CreateContainerConfigError");
    reason("invalid", "InvalidImageName");
    assert_eq!(reason("crash", "CrashLoopBackOff")["lastState"]["terminated"]["reason"], "Error");
    assert_eq!(reason("oom", "CrashLoopBackOff")["lastState"]["terminated"]["reason"], "OOMKilled");
    for name in ["hang-first", "bad-first"] {
        reason(name, "PodInitializing");
        let pod = namespace.get(PODS, name).unwrap();
        assert_eq!((&pod["status"]["phase"], condition(&pod, "Initialized")), (&json!("Pending"), "False"));
    }
    namespace.wait_until(PODS, "crash", "it crashed again", |pod| {
        container(pod, "c")["restartCount"].as_u64().unwrap() >= 3
    });

    namespace.wait_until(PODS, "slow", "ready in the end", is_ready);
    namespace.wait_until(PODS, "flap", "it flaps", is_ready);
    namespace.wait_until(PODS, "flap", "it flaps", |pod| !is_ready(pod));
    namespace.wait_until(PODS, "flap", "it flaps", is_ready);
    let runs = namespace.get(PODS, "notready").unwrap();
    assert!(container(&runs, "c")["state"]["running"].is_object() && !is_ready(&runs));

    let gated = namespace.get(PODS, "gated").unwrap();
    assert_eq!((condition(&gated, "ContainersReady"), condition(&gated, "Ready")), ("True", "False"));
    let patch = json!({ "status": { "conditions": [{ "type": "Gate", "status": "True" }] } }).to_string();
    namespace.kubectl.run(&["patch", "pod", "gated", "--subresource=status", "--patch", &patch]);
    namespace.wait_until(PODS, "gated", "its gate opened", is_ready);
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn pods_end_when_nobody_holds_them_and_the_frozen_stay_as_they_are() {
    let namespace = Namespace::new("endings");
    let manifest = |name: &str, metadata: Value| {
        let mut metadata = metadata;
        metadata["name"] = name.into();
        let spec = json!({ "containers": [{ "name": "c", "image": "app:1" }] });
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec }).to_string()
    };
    let held = manifest("held", json!({ "finalizers": ["pillion.dev/held"] }));
    namespace.apply(&[manifest("free", json!({})), held].join("\n---\n"));
    for name in ["free", "held"] {
        namespace.wait_until(PODS, name, "ready", is_ready);
    }
    let kubelet = Kubectl::new(&plane().kubeconfig("kubelet", "kwok-token")).in_namespace(&namespace.name);
    let refused = kubelet.try_run(&["delete", "pod", "free"], "");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("this pod was not deleted"), "{refused:?}");
    namespace.kubectl.run(&["delete", "pod", "free"]);
    namespace.kubectl.run(&["delete", "pod", "held", "--wait=false"]);
    let held = namespace.get(PODS, "held").unwrap();
    assert!(held["metadata"]["deletionTimestamp"].is_string(), "terminating until its finalizer is gone");
    namespace.kubectl.run(&[
        "patch",
        "pod",
        "held",
        "--type=merge",
        "--patch",
        r#"{"metadata":{"finalizers":null}}"#,
    ]);

    wait_for("the held one is gone", SOON, || match namespace.get(PODS, "held") {
        Ok(_) => Err("still there"),
        Err(_) => Ok(()),
    });

    namespace.apply(&manifest("frozen", json!({})));
    namespace.wait_until(PODS, "frozen", "ready", is_ready);
    namespace.kubectl.run(&["annotate", "pod", "frozen", "e2e/frozen=yes"]);
    let lost =
        json!({ "status": { "conditions": [{ "type": "Ready", "status": "False", "reason": "NodeLost" }] } });
    namespace.kubectl.run(&["patch", "pod", "frozen", "--subresource=status", "--patch", &lost.to_string()]);
    namespace.kubectl.run(&["annotate", "pod", "frozen", "touched=yes"]);
    assert!(!is_ready(&namespace.get(PODS, "frozen").unwrap()));
    namespace.kubectl.run(&["annotate", "pod", "frozen", "e2e/frozen-"]);
    namespace.wait_until(PODS, "frozen", "the kubelet is back", is_ready);
}
