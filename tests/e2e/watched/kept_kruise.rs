//! A cluster that keeps Kruise: its manager applies the partitions that the watcher releases.

use super::deploy;
use super::fleet::{Fleet, RENDERED};
use super::story::{PILLION, Story};
use super::watcher::Watcher;
use crate::harness::agent::{Agent, Applies as _};
use crate::harness::api::{self, SIDECAR_SETS};
use crate::harness::git_server::GitServer;
use crate::harness::kruise;
use crate::harness::pods::{container, is_ready, runs_image, uids};
use crate::harness::sandbox::note;
use crate::harness::wait::{SOON, wait_for};
use serde_json::Value;
use std::thread;
use std::time::{Duration, Instant};

const CONFIG: &str = "apiVersion: pillion.dev/v1alpha1
kind: Repository
sources: [apps]
sidecarSets: [sidecars]
rendered: rendered
ledgers: ledgers
runtime: Kruise
rollout: {start: Auto, soak: 2s, steps: [1, 25%, 100%]}
";

/// Pods with the new image, at most, when so many batches are out: 99% and 75% of 10 pods keep 9 and 8.
const UPDATED: [usize; 4] = [0, 1, 2, 10];
const MAX_UNAVAILABLE: usize = 2;

/// Kruise refuses a set with a container of another set that may select the same pods, as those of other tests may.
fn sidecar_set(namespace: &str, image: &str) -> String {
    format!(
        "apiVersion: apps.kruise.io/v1alpha1
kind: SidecarSet
metadata: {{name: {namespace}}}
spec:
  selector: {{matchLabels: {{log: {namespace}}}}}
  updateStrategy: {{type: RollingUpdate, maxUnavailable: {MAX_UNAVAILABLE}}}
  containers:
  - {{name: kept-log, image: '{image}'}}
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
    spec: {{containers: [{{name: main, image: 'app:1'}}]}}
"
    )
}

/// A cluster where Kruise has injected the pods of a Deployment and a CloneSet, and the first ledger.
fn begin(name: &str) -> Story {
    let namespace = kruise::namespace(name);
    namespace.apply(&sidecar_set(name, "log:1"));
    wait_for("the controller has seen the SidecarSet", SOON, || {
        let set = api::get(&SIDECAR_SETS.path(None, name))?;
        if set["status"]["observedGeneration"] == 1 { Ok(()) } else { Err(set["status"].to_string()) }
    });
    let server = GitServer::new();
    let person = server.clone("person");
    person.put("pillion.yaml", CONFIG);
    person.put("sidecars/log.yaml", sidecar_set(name, "log:1"));
    person.put("apps/web.yaml", workload("apps/v1\nkind: Deployment", "web", 6, name));
    person.put("apps/cart.yaml", workload("apps.kruise.io/v1alpha1\nkind: CloneSet", "cart", 4, name));
    person.commit("applications and sidecars");
    person.git(&["push", "-q", "origin", "HEAD:main"]);
    let init = person.command(PILLION).args(["init", "rollout", "--push"]).output().unwrap();
    assert!(init.status.success(), "{init:?}");
    let start = server.bare.id("main");
    let agent = Box::new(Agent::start(&server, "main", RENDERED, &namespace.kubectl));
    agent.wait_applied(start);
    let kubeconfig = deploy::kubeconfig(&namespace.name);
    let fleet = Fleet::new(Vec::new(), "");
    let story = Story { agent, person, server, namespace, fleet, kubeconfig, start };
    let runs_first = |pod: &Value| is_ready(pod) && runs_image(pod, "log:1");
    wait_for("all pods have the sidecar", SOON, || {
        let pods = story.pods();
        let ready = pods.iter().filter(|pod| runs_first(pod)).count();
        if ready == 10 { Ok(()) } else { Err(format!("{ready} of {} pods", pods.len())) }
    });
    story
}

/// Lets the account of the watcher read SidecarSets, which are in no namespace.
fn allow_sidecar_sets(story: &Story) {
    let kubectl = &story.namespace.kubectl;
    let name = format!("{}-sets", story.namespace.name);
    let resource = "--resource=sidecarsets.apps.kruise.io";
    kubectl.run(&["create", "clusterrole", &name, "--verb=get,list,watch", resource]);
    let (role, account) = (format!("--clusterrole={name}"), "--serviceaccount=pillion:pillion-watch");
    kubectl.run(&["create", "clusterrolebinding", &name, &role, account]);
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn partitions_update_pods_in_place() {
    let story = begin("kept-kruise");
    let set = story.namespace.name.clone();
    allow_sidecar_sets(&story);
    let before = uids(&story.pods());

    story.push("log 2", |repo| {
        repo.put("sidecars/log.yaml", sidecar_set(&set, "log:2"));
    });
    let watcher = Watcher::start(&story, "watcher");
    let (mut samples, mut most, started) = (0, (0, 0), Instant::now());
    loop {
        let pods = story.pods();
        // What is released later allows more, never less.
        let actions = story.actions(&set);
        let batches = actions.iter().filter(|action| action.starts_with("Batch ")).count();
        let updated = pods.iter().filter(|pod| runs_image(pod, "log:2")).count();
        let unready = pods.iter().filter(|pod| !is_ready(pod)).count();
        assert!(updated <= UPDATED[batches], "{updated} pods after {actions:?}");
        assert!(unready <= MAX_UNAVAILABLE, "{unready} pods are not ready");
        samples += 1;
        most = (most.0.max(updated), most.1.max(unready));
        if actions.last().is_some_and(|last| last == "Complete") {
            break;
        }
        assert!(started.elapsed() < story.patience(), "{actions:?}: {}", watcher.log());
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(story.actions(&set), ["Start", "Batch 1/3", "Batch 2/3", "Batch 3/3", "Complete"]);
    let pods = story.pods();
    assert_eq!(uids(&pods), before, "the same pods");
    for pod in &pods {
        assert!(is_ready(pod) && runs_image(pod, "log:2"));
        let restarts = ["kept-log", "main"].map(|name| container(pod, name)["restartCount"].as_u64());
        assert_eq!(restarts, [Some(1), Some(0)]);
    }
    story.agent.wait_applied(story.head());
    let live = api::get(&SIDECAR_SETS.path(None, &set)).unwrap();
    assert_eq!(live["spec"]["updateStrategy"]["maxUnavailable"], MAX_UNAVAILABLE);
    let partition = &live["spec"]["updateStrategy"]["partition"];
    assert!(partition.is_null() || *partition == 0, "{partition}");
    story.run_pillion(&["verify", "--base", &story.start.to_string()]);
    note(&format!("{samples} samples: at most {} updated, {} not ready at once", most.0, most.1));
    story.namespace.kubectl.run(&["delete", "sidecarset", &set]);
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_bad_image_pauses_the_sidecar_set() {
    let story = begin("kept-kruise-bad");
    let set = story.namespace.name.clone();
    allow_sidecar_sets(&story);
    let before = uids(&story.pods());

    story.push("a bad image", |repo| {
        repo.put("sidecars/log.yaml", sidecar_set(&set, "log:bad"));
    });
    let _watcher = Watcher::start(&story, "watcher");
    let paused = story.wait_act(&set, "Pause");
    story.agent.wait_applied(paused);
    let live = api::get(&SIDECAR_SETS.path(None, &set)).unwrap();
    let strategy = &live["spec"]["updateStrategy"];
    assert_eq!((&strategy["paused"], &strategy["partition"]), (&true.into(), &"99%".into()));
    let bad = |pod: &&Value| runs_image(pod, "log:bad");
    assert_eq!(story.pods().iter().filter(bad).count(), 1, "only the first batch has it");
    let message = story.server.bare.git(&["log", "-1", "--format=%B", &paused.to_string()]);
    assert!(message.contains("Pillion-Evidence: {\"pod\":\"kept-kruise-bad/"), "{message}");

    story.run_pillion(&["rollback", &set, "--reason=a bad image"]);
    story.wait_act(&set, "Complete");
    let expected = ["Start", "Batch 1/3", "Pause", "RollBack", "Batch 1/1", "Complete"];
    assert_eq!(story.actions(&set), expected);
    // A rollback has no soak.
    story.wait_until("all are back", |pods| pods.iter().all(|pod| is_ready(pod) && runs_image(pod, "log:1")));
    assert_eq!(uids(&story.pods()), before, "the same pods");
    story.run_pillion(&["verify", "--base", &story.start.to_string()]);
    story.namespace.kubectl.run(&["delete", "sidecarset", &set]);
}
