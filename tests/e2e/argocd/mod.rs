//! The real Argo CD with our plugin, our rendered files and our health script for SidecarSets.

mod applications;
mod failing;
mod health;
mod remote;

use crate::git_fixtures::Repo;
use crate::harness::api::PODS;
use crate::harness::git_server::GitServer;
use crate::harness::namespace::Namespace;
use crate::harness::pods::is_ready;
use crate::harness::wait::{SOON, wait_for};
use pillion::git::ObjectId;
use serde_json::Value;

const PILLION: &str = env!("CARGO_BIN_EXE_pillion");

/// A repository with a SidecarSet, `log`, on a git server, and a person who works on it.
struct Repository {
    person: Repo,
    server: GitServer,
}

impl Repository {
    fn new() -> Self {
        let server = GitServer::new();
        let person = server.clone("person");
        person.put("pillion.yaml", PILLION_YAML).put("sidecars/log.yaml", sidecar_set("log", "log:1"));
        Self { person, server }
    }

    fn url(&self) -> String {
        self.server.url()
    }

    /// What the person has put is live.
    fn push(&self, message: &str) -> ObjectId {
        let commit = self.person.commit(message);
        self.person.git(&["push", "-q", "origin", "HEAD:main"]);
        commit
    }
}

const PILLION_YAML: &str = "apiVersion: pillion.dev/v1alpha1
kind: Repository
sources: [apps]
sidecarSets: [sidecars]
rendered: rendered
";

fn sidecar_set(name: &str, image: &str) -> String {
    format!(
        "apiVersion: apps.kruise.io/v1beta1
kind: SidecarSet
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{sidecar: 'yes'}}}}
  containers:
  - name: {name}
    image: {image}
"
    )
}

/// A Deployment of one Pod, which is to carry the sidecars; its Pods have the label `app` with its name.
fn deployment(name: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}, sidecar: 'yes'}}}}
    spec: {{containers: [{{name: main, image: 'app:1'}}]}}
"
    )
}

/// Waits until the only Pod of an application is ready and holds what is expected of it, and returns it.
#[track_caller]
fn wait_pod(namespace: &Namespace, app: &str, holds: impl Fn(&Value) -> bool) -> Value {
    wait_for(&format!("the pod of {app}"), SOON, || {
        let mut pods = namespace.list(PODS);
        pods.retain(|pod| {
            pod["metadata"]["labels"]["app"] == app && pod["metadata"]["deletionTimestamp"].is_null()
        });
        match pods.pop() {
            Some(pod) if pods.is_empty() && is_ready(&pod) && holds(&pod) => Ok(pod),
            last => Err(last.map(|pod| pod["spec"]["containers"].to_string()).unwrap_or_default()),
        }
    })
}

/// The containers of a Pod and their images, by name.
fn images(pod: &Value) -> Vec<String> {
    let containers = pod["spec"]["containers"].as_array().unwrap();
    let word = |container: &Value, field: &str| container[field].as_str().unwrap().to_owned();
    let mut images: Vec<String> =
        containers.iter().map(|c| format!("{} {}", word(c, "name"), word(c, "image"))).collect();
    images.sort();
    images
}
