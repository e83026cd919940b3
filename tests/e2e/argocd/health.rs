//! Argo CD evaluates our health script for a SidecarSet that the real controller of Kruise rolls out.

use super::Repository;
use crate::harness::api::{PODS, SIDECAR_SETS, get, patch};
use crate::harness::argocd::{Application, Manifest};
use crate::harness::kruise;
use crate::harness::pods::{container, is_ready};
use crate::harness::wait::{SOON, wait_for};
use serde_json::{Value, json};

const NAME: &str = "argocd-health";

fn set(image: &str, strategy: &str) -> String {
    format!(
        "apiVersion: apps.kruise.io/v1alpha1
kind: SidecarSet
metadata: {{name: {NAME}}}
spec:
  selector: {{matchLabels: {{app: {NAME}}}}}
  updateStrategy: {{type: RollingUpdate{strategy}}}
  containers:
  - name: log
    image: {image}
"
    )
}

fn pod(name: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {NAME}}}}}
spec: {{containers: [{{name: main, image: 'app:1'}}]}}
"
    )
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn of_a_sidecar_set() {
    let namespace = kruise::namespace(NAME);
    let repository = Repository::new();
    repository.person.put("sets/log.yaml", set("log:1", ""));
    let first = repository.push("a SidecarSet");
    let manifest = Manifest::of_rendered(NAME, &repository.url(), "sets", &namespace.name);
    let application = Application::new(manifest);
    application.wait_synced(first);
    let names = ["one", "two"];
    namespace.apply(&names.map(pod).concat());
    wait_for("both pods are ready, and counted", SOON, || {
        let counted = get(&SIDECAR_SETS.path(None, NAME))?["status"]["updatedReadyPods"] == 2;
        if counted && namespace.list(PODS).iter().all(is_ready) { Ok(()) } else { Err("not yet".to_owned()) }
    });
    health(&application, first, "Healthy", "2/2 pods updated");

    // The kubelets are held back: Kruise changes the first pod, and waits for it.
    let frozen = |how: &Value| {
        for name in names {
            let path = PODS.path(Some(&namespace.name), name);
            patch(&path, &json!({ "metadata": { "annotations": { "e2e/frozen": how } } }));
        }
    };
    frozen(&"yes".into());
    repository.person.put("sets/log.yaml", set("log:2", ""));
    let second = repository.push("version 2");
    health(&application, second, "Progressing", "1/2 matched pods updated");
    frozen(&Value::Null);
    health(&application, second, "Healthy", "2/2 pods updated");
    assert!(namespace.list(PODS).iter().all(|pod| container(pod, "log")["image"] == "log:2"));

    repository.person.put("sets/log.yaml", set("log:3", ", paused: true"));
    health(&application, repository.push("version 3, not yet"), "Suspended", "SidecarSet update is paused");
    repository.person.put("sets/log.yaml", set("log:3", ", partition: 1"));
    health(&application, repository.push("version 3, for one"), "Suspended", "partition holds 1 of 2 pods");
    namespace.kubectl.run(&["delete", "sidecarset", NAME]);
}

/// Waits until a commit is synced, and Argo CD says this of the SidecarSet.
#[track_caller]
fn health(application: &Application, commit: pillion::git::ObjectId, status: &str, message: &str) {
    application.wait_until(&format!("{status}: {message}"), |found| {
        let status_of = &found["status"];
        let of_set = &status_of["resources"][0]["health"];
        status_of["sync"]["revision"] == commit.to_string().as_str()
            && status_of["sync"]["status"] == "Synced"
            && status_of["health"]["status"] == status
            && (&of_set["status"], &of_set["message"]) == (&status.into(), &message.into())
    });
}
