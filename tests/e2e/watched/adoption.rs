//! `pillion adopt` on a cluster in which the real Kruise has injected the pods.

use super::fleet::{Fleet, RENDERED};
use super::story::{PILLION, Story};
use crate::harness::agent::Agent;
use crate::harness::api::{self, CLONE_SETS, DEPLOYMENTS, PODS, SIDECAR_SETS};
use crate::harness::git_server::GitServer;
use crate::harness::kruise;
use crate::harness::pods::{is_ready, runs_image, uids};
use crate::harness::wait::{SOON, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CONFIG: &str = "apiVersion: pillion.dev/v1alpha1
kind: Repository
sources: [apps]
sidecarSets: [sidecars]
rendered: rendered
ledgers: ledgers
rollout: {steps: [100%]}
";

const PODS_OF_ALL: usize = 5;

/// All that the webhook can put into a pod. Its own containers, for the sets of other tests may select the same pods.
fn sidecar_set(name: &str) -> String {
    format!(
        "apiVersion: apps.kruise.io/v1alpha1
kind: SidecarSet
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{log: {name}}}}}
  updateStrategy: {{type: RollingUpdate, maxUnavailable: 2}}
  initContainers:
  - {{name: {name}-setup, image: 'setup:1', volumeMounts: [{{name: logs, mountPath: /logs}}]}}
  containers:
  - name: {name}-log
    image: log:1
    args: [--tail, /logs]
    podInjectPolicy: AfterAppContainer
    shareVolumePolicy: {{type: enabled}}
    transferEnv: [{{sourceContainerName: main, envName: REGION}}]
    env: [{{name: LEVEL, value: info}}, {{name: NODE, valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}}}]
    ports: [{{containerPort: 9000}}]
    readinessProbe: {{httpGet: {{port: 9000}}}}
    startupProbe: {{tcpSocket: {{port: 9000}}, successThreshold: 1, failureThreshold: 3, periodSeconds: 10, timeoutSeconds: 1}}
    resources: {{limits: {{cpu: '0.1', memory: 64Mi}}}}
    volumeMounts: [{{name: logs, mountPath: /logs}}]
  - {{name: {name}-agent, image: 'agent:latest'}}
  volumes: [{{name: logs, emptyDir: {{}}}}, {{name: settings, configMap: {{name: settings, optional: true}}}}]
"
    )
}

fn workload(kind: &str, name: &str, pods: usize, namespace: &str) -> String {
    format!(
        "apiVersion: {kind}
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  replicas: {pods}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}, log: {namespace}}}}}
    spec:
      containers:
      - name: main
        image: app:1
        env: [{{name: REGION, value: eu}}]
        volumeMounts: [{{name: data, mountPath: /data}}]
      volumes: [{{name: data, emptyDir: {{}}}}]
"
    )
}

/// A cluster where Kruise has injected the pods of a Deployment and a CloneSet, and a repository that no agent applies yet.
fn begin(name: &str, config: &str) -> Story {
    let namespace = kruise::namespace(name);
    namespace.apply(&sidecar_set(name));
    wait_for("the controller has seen the SidecarSet", SOON, || {
        let set = api::get(&SIDECAR_SETS.path(None, name))?;
        if set["status"]["observedGeneration"] == 1 { Ok(()) } else { Err(set["status"].to_string()) }
    });
    let apps = [
        ("apps/web.yaml", workload("apps/v1\nkind: Deployment", "web", 3, name)),
        ("apps/cart.yaml", workload("apps.kruise.io/v1alpha1\nkind: CloneSet", "cart", 2, name)),
    ];
    let server = GitServer::new();
    let person = server.clone("person");
    person.put("pillion.yaml", config);
    person.put("sidecars/log.yaml", sidecar_set(name));
    for (path, text) in &apps {
        namespace.apply(text);
        person.put(path, text);
    }
    let start = person.commit("applications and sidecars");
    person.git(&["push", "-q", "origin", "HEAD:main"]);
    let kubeconfig = namespace.kubectl.kubeconfig.clone();
    let fleet = Fleet::new(Vec::new(), "");
    let agent = Box::new(Agent::start(&server, "nothing", RENDERED, &namespace.kubectl));
    let story = Story { agent, person, server, namespace, fleet, kubeconfig, start };
    wait_injected(&story);
    story
}

fn wait_injected(story: &Story) {
    let has_sidecar = |pod: &Value| is_ready(pod) && runs_image(pod, "log:1");
    story.wait_until("all pods have the sidecar", |pods| {
        pods.len() == PODS_OF_ALL && pods.iter().all(has_sidecar)
    });
}

/// Writes what `kubectl get` prints of the namespace and of its SidecarSet beside the clone.
fn save_state(story: &Story) {
    let kubectl = &story.namespace.kubectl;
    let kinds = "pods,replicasets.apps,deployments.apps,clonesets.apps.kruise.io";
    let mut state = kubectl.run(&["get", kinds, "--output=json"]);
    let set = ["get", "sidecarset", &story.namespace.name, "--output=json", "--ignore-not-found"];
    state.push_str(&kubectl.run(&set));
    story.person.put("../cluster.json", state);
}

/// Compares, and returns the exit code and the comparison of the one SidecarSet.
fn adopt(story: &Story, further: &[&str]) -> (Option<i32>, Value) {
    save_state(story);
    let args = ["adopt", "--cluster-state=../cluster.json", "--output=json"];
    let output = story.pillion(&[&args[..], further].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report["items"][0].clone())
}

fn verdicts(found: &Value) -> Vec<&str> {
    let workloads = found["workloads"].as_array().unwrap();
    workloads.iter().map(|workload| workload["verdict"].as_str().unwrap()).collect()
}

/// The pods, and the generations of all that could make new ones.
fn pods_and_generations(story: &Story) -> (BTreeSet<String>, [Value; 3]) {
    let (namespace, set) = (&story.namespace, &story.namespace.name);
    let of = |object: Result<Value, String>| object.unwrap()["metadata"]["generation"].clone();
    let generations = [
        of(namespace.get(DEPLOYMENTS, "web")),
        of(namespace.get(CLONE_SETS, "cart")),
        of(api::get(&SIDECAR_SETS.path(None, set))),
    ];
    (uids(&story.pods()), generations)
}

/// Adopts the cluster and lets an agent apply the result.
fn push_and_apply(mut story: Story) -> Story {
    save_state(&story);
    story.run_pillion(&["adopt", "--cluster-state=../cluster.json", "--push"]);
    story.agent = Box::new(Agent::start(&story.server, "main", RENDERED, &story.namespace.kubectl));
    story.agent.wait_applied(story.head());
    story
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_kept_sidecar_set_is_adopted() {
    let name = "adopt-kept";
    let story = begin(name, &(CONFIG.to_owned() + "runtime: Kruise\n"));
    let before = pods_and_generations(&story);
    assert_eq!(before.0.len(), PODS_OF_ALL);
    let (code, found) = adopt(&story, &[]);
    assert_eq!((code, verdicts(&found)), (Some(0), vec!["same", "same"]), "{found}");
    let live = api::get(&SIDECAR_SETS.path(None, name)).unwrap();
    assert_eq!(found["hash"], live["metadata"]["annotations"]["kruise.io/sidecarset-hash"]);
    assert_eq!((&found["inCluster"], &found["ledger"]["released"]), (&json!("same"), &found["revision"]));
    // The same from the API server itself, which has the pods and SidecarSets of other tests, too.
    let output = story
        .person
        .command(PILLION)
        .env("KUBECONFIG", &story.kubeconfig)
        .args(["adopt", "--context=e2e", "--output=json"])
        .output()
        .unwrap();
    let live: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(live["items"][0], found);

    let story = push_and_apply(story);
    assert_eq!(pods_and_generations(&story), before, "no pod and no template has changed");
    story.run_pillion(&["verify", "--base", &story.start.to_string(), &story.head().to_string()]);
    story.namespace.kubectl.run(&["delete", "sidecarset", name]);
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn git_takes_over_from_the_webhook() {
    let name = "adopt-git";
    let story = begin(name, CONFIG);
    let before = pods_and_generations(&story);

    // A pod that something else has changed is neither the same nor adopted.
    let pod = story.pods().remove(0);
    let path = PODS.path(Some(name), pod["metadata"]["name"].as_str().unwrap());
    let with_image =
        |image: &str| json!({"spec": {"containers": [{"name": format!("{name}-log"), "image": image}]}});
    api::patch(&path, &with_image("log:0"));
    let (code, found) = adopt(&story, &[]);
    assert_eq!(code, Some(1), "{found}");
    assert_eq!(verdicts(&found).iter().filter(|verdict| **verdict == "differs").count(), 1, "{found}");
    let refused = story.pillion(&["adopt", "--cluster-state=../cluster.json", "--push"]);
    assert_eq!((refused.status.code(), story.head()), (Some(1), story.start));
    api::patch(&path, &with_image("log:1"));
    wait_injected(&story);

    let (code, found) = adopt(&story, &[]);
    assert_eq!((code, verdicts(&found)), (Some(0), vec!["same", "same"]), "{found}");
    assert_eq!(found["ledger"]["released"], "-");
    let story = push_and_apply(story);
    assert_eq!(pods_and_generations(&story), before, "no pod and no template has changed");

    // The sidecars move into the templates; with the webhook the pods have them once.
    story.person.git(&["pull", "-q"]);
    story.run_pillion(&["start", name]);
    story.run_pillion(&["promote", name, "--full"]);
    story.agent.wait_applied(story.head());
    story.wait_until("all pods are new", |pods| {
        pods.len() == PODS_OF_ALL && pods.iter().all(is_ready) && uids(pods).is_disjoint(&before.0)
    });
    let (code, found) = adopt(&story, &[]);
    assert_eq!((code, verdicts(&found)), (Some(0), vec!["same", "same"]), "{found}");
    assert!(found["workloads"].as_array().unwrap().iter().all(|w| w["template"] == "rendered"), "{found}");

    // Without the SidecarSet the pods stay, and so they do when it comes back.
    let rendered = uids(&story.pods());
    story.namespace.kubectl.run(&["delete", "sidecarset", name]);
    let (code, found) = adopt(&story, &["--to=kruise"]);
    assert_eq!((code, verdicts(&found)), (Some(0), vec!["same", "same"]), "{found}");
    assert_eq!(found["recreatedPods"], PODS_OF_ALL);
    story.namespace.apply(&sidecar_set(name));
    wait_for("the controller has counted the pods", SOON, || {
        let set = api::get(&SIDECAR_SETS.path(None, name))?;
        let counted = set["status"]["matchedPods"] == PODS_OF_ALL;
        if counted { Ok(()) } else { Err(set["status"].to_string()) }
    });
    assert_eq!(uids(&story.pods()), rendered);

    // Manifests without sidecars: Kruise injects the pods that replace the others.
    story.agent.pause();
    for file in ["apps/web.yaml", "apps/cart.yaml"] {
        story.namespace.apply(&String::from_utf8(story.person.show(&format!("HEAD:{file}"))).unwrap());
    }
    story.wait_until("Kruise has injected all pods", |pods| {
        pods.len() == PODS_OF_ALL && pods.iter().all(is_ready) && uids(pods).is_disjoint(&rendered)
    });
    let (code, found) = adopt(&story, &["--to=kruise"]);
    assert_eq!((code, verdicts(&found)), (Some(0), vec!["same", "same"]), "{found}");
    assert_eq!(found["recreatedPods"], 0);
    story.run_pillion(&["verify", "--base", &story.start.to_string(), &story.head().to_string()]);
    story.namespace.kubectl.run(&["delete", "sidecarset", name]);
}
