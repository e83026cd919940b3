//! The Helm chart of the watcher, with the real Helm: it installs what the kustomizations of deploy/ do, and refuses
//! values that it does not know.

use crate::harness::namespace::Namespace;
use crate::harness::sandbox;
use crate::harness::tools::tool;
use pillion::yaml::{Document, split_documents};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

const REPOSITORY: &str = "git.repository=ssh://git@git.example/acme/gitops.git";

/// Labels that only the chart has.
const CHART_LABELS: [&str; 4] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];

fn deploy() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn helm(program: &str, arguments: &[&str]) -> Output {
    sandbox::enter();
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(tool("helm", program));
    command.args(arguments).current_dir(deploy()).env_clear().env("HOME", home.path());
    command.output().unwrap()
}

fn template(program: &str, namespace: &str, values: &[&str]) -> Output {
    let mut arguments = vec!["template", "pillion-watch", "helm/pillion", "--namespace", namespace];
    arguments.extend(values.iter().flat_map(|value| ["--set", value]));
    helm(program, &arguments)
}

#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Takes out what only Helm adds: its labels and annotations, and a pull policy that is the default of Kubernetes.
fn normalize(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for key in ["labels", "matchLabels"] {
                if let Some(labels) = object.get_mut(key).and_then(Value::as_object_mut) {
                    CHART_LABELS.iter().for_each(|label| drop(labels.remove(*label)));
                }
            }
            object.remove("imagePullPolicy");
            object.retain(|key, value| key != "annotations" || value.get("checksum/settings").is_none());
            object.values_mut().for_each(normalize);
        }
        Value::Array(items) => items.iter_mut().for_each(normalize),
        _ => {}
    }
}

/// The objects of a stream by kind, namespace and name. Helm makes the Namespace itself (`--create-namespace`).
fn objects(text: &str) -> BTreeMap<String, Value> {
    let name: Arc<str> = "stream".into();
    let (pieces, diagnostics) = split_documents(&name, text);
    assert_eq!(diagnostics, []);
    let mut found = BTreeMap::new();
    for (index, piece) in pieces.into_iter().enumerate() {
        let document = Document::read(&name, index, piece.first_line, &text[piece.span]).unwrap();
        let mut object = document.value().clone();
        if object["kind"].is_null() || object["kind"] == "Namespace" {
            continue;
        }
        normalize(&mut object);
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.remove("labels");
        let key = format!(
            "{} {:?} {}",
            object["kind"], object["metadata"]["namespace"], object["metadata"]["name"]
        );
        assert_eq!(found.insert(key, object), None);
    }
    found
}

fn kustomized(form: &str) -> BTreeMap<String, Value> {
    sandbox::enter();
    let mut command = Command::new(tool("tools", "kustomize"));
    command.args(["build", form]).current_dir(deploy());
    objects(&printed(&command.output().unwrap()))
}

#[test]
#[ignore = "needs the real Helm: cargo test --test e2e -- --ignored"]
fn it_installs_what_the_kustomizations_do() {
    for program in ["helm3", "helm4"] {
        for (form, values) in [
            ("cluster", &[][..]),
            ("cronjob", &["kind=CronJob"][..]),
            ("namespaced", &["namespaces={shop}"][..]),
        ] {
            let text = printed(&template(program, "pillion", &[&[REPOSITORY], values].concat()));
            let (chart, expected) = (objects(&text), kustomized(form));
            assert_eq!(chart.len(), 6);
            assert_eq!(chart, expected, "{program} {form}");
        }
        let values = ["podMonitor", "prometheusRule"].map(|name| format!("monitoring.{name}=true"));
        let text = printed(&template(program, "pillion", &[REPOSITORY, &values[0], &values[1]]));
        let chart = objects(&text);
        let expected = kustomized("monitoring").into_iter().filter(|(key, _)| !key.contains("ConfigMap"));
        for (key, object) in expected {
            assert_eq!(chart.get(&key), Some(&object), "{program}");
        }
        assert_eq!(chart.len(), 8);
    }
}

#[test]
#[ignore = "needs the real Helm: cargo test --test e2e -- --ignored"]
fn wrong_values_are_refused() {
    for program in ["helm3", "helm4"] {
        printed(&helm(program, &["lint", "--strict", "helm/pillion", "--set", REPOSITORY]));
        for (values, message) in [
            (&[][..], "/git/repository"),
            (&[REPOSITORY, "watcher.cluster=eu"][..], "watcher"),
            (&[REPOSITORY, "git.repo=x"][..], "repo"),
            (&[REPOSITORY, "kind=DaemonSet"][..], "/kind"),
            (&[REPOSITORY, "image.digest=sha256:abc"][..], "/image/digest"),
            (&[REPOSITORY, "git.branch=--upload-pack=x"][..], "/git/branch"),
            (&[REPOSITORY, "kind=CronJob", "monitoring.podMonitor=true"][..], "a CronJob serves no metrics"),
            (
                &[
                    REPOSITORY,
                    "rbac.extraRules[0].apiGroups={apps}",
                    "rbac.extraRules[0].resources={deployments}",
                    "rbac.extraRules[0].verbs={get,delete}",
                ][..],
                "/rbac/extraRules/0/verbs/1",
            ),
        ] {
            let output = template(program, "pillion", values);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && stderr.contains(message), "{program} {values:?}: {stderr}");
        }
    }
}

/// The API server knows every field, and admits the pod where the Pod Security Standard `restricted` is enforced.
#[test]
#[ignore = "needs a control plane: cargo test --test e2e -- --ignored"]
fn the_api_server_accepts_it() {
    let namespace = Namespace::new("helm-chart").label("pod-security.kubernetes.io/enforce=restricted");
    let everything = [
        REPOSITORY,
        "watch.cluster=eu",
        "watch.sidecarSets={log,mesh}",
        "watch.kubeconfigSecret=clusters",
        "watch.extraArgs={--pull-request}",
        "imagePullSecrets[0].name=registry",
        "nodeSelector.disk=ssd",
        "podLabels.team=platform",
        "podAnnotations.a=b",
        "serviceAccount.annotations.a=b",
        "priorityClassName=system-cluster-critical",
        "networkPolicy.extraEgress[0].ports[0].port=8443",
        "rbac.extraRules[0].apiGroups={example.com}",
        "rbac.extraRules[0].resources={workers}",
        "rbac.extraRules[0].verbs={get,list,watch}",
    ];
    for values in [&everything[..1], &everything[..], &[REPOSITORY, "kind=CronJob"][..]] {
        let text = printed(&template("helm3", &namespace.name, values));
        let arguments = ["apply", "--dry-run=server", "--validate=strict", "--filename", "-"];
        let output = namespace.kubectl.try_run(&arguments, &text);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !stderr.contains("would violate"), "{values:?}: {stderr}");
    }
}
