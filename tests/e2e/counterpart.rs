//! The real webhook of OpenKruise and `pillion render` make the same Pod.

use crate::harness::api::{PODS, SIDECAR_SETS, get};
use crate::harness::kruise;
use crate::harness::namespace::Namespace;
use crate::harness::wait::{SOON, wait_for};
use serde_json::Value;
use std::fs;
use std::process::Command;

const SIDECAR_SET: &str = "apiVersion: apps.kruise.io/v1alpha1
kind: SidecarSet
metadata: {name: counterpart-log}
spec:
  selector: {matchLabels: {app: counterpart}}
  updateStrategy: {type: NotUpdate}
  initContainers:
  - {name: log-setup, image: 'log-setup:1', volumeMounts: [{name: logs, mountPath: /logs}]}
  containers:
  - name: log
    image: log:1.4.2
    args: [--tail, /var/log/app]
    podInjectPolicy: BeforeAppContainer
    shareVolumePolicy: {type: enabled}
    transferEnv: [{sourceContainerName: main, envName: REGION}]
    env: [{name: LEVEL, value: info}]
    volumeMounts: [{name: logs, mountPath: /logs}]
    resources: {limits: {cpu: 100m, memory: 64Mi}}
  volumes: [{name: logs, emptyDir: {}}]
";

const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: counterpart}}
spec:
  automountServiceAccountToken: false
  containers:
  - name: main
    image: app:1
    env: [{name: REGION, value: eu}, {name: OTHER, value: x}]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {}}]
";

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn an_injected_pod_is_a_rendered_pod() {
    let injected = kruise::namespace("counterpart-webhook");
    injected.apply(SIDECAR_SET);
    wait_for("Kruise has seen the SidecarSet", SOON, || {
        let set = get(&SIDECAR_SETS.path(None, "counterpart-log"))?;
        let seen = set["status"]["observedGeneration"] == set["metadata"]["generation"];
        if seen { Ok(()) } else { Err(set["status"].to_string()) }
    });
    injected.apply(POD);
    // Kruise does not see this one, and the API server fills in the same defaults.
    let rendered = Namespace::new("counterpart-rendered");
    rendered.apply(&render());
    // During a migration both inject, and the pod is the same (docs/migrate.md).
    injected.apply(&render().replace("{name: web,", "{name: both,"));
    let both = injected.get(PODS, "both").expect("it has this name");

    let stored = |namespace: &Namespace| namespace.get(PODS, "web").unwrap();
    let (theirs, ours) = (stored(&injected), stored(&rendered));
    let spec = |pod: &Value, field: &str| pod["spec"][field].clone();
    assert_eq!(ours["spec"]["containers"].as_array().unwrap().len(), 2);
    for field in ["initContainers", "containers", "volumes"] {
        assert_eq!(spec(&ours, field), spec(&theirs, field), "{field}");
        assert_eq!(
            spec(&both, field),
            spec(&theirs, field),
            "{field} of a rendered pod that Kruise injects, too"
        );
    }
    injected.kubectl.run(&["delete", "sidecarset", "counterpart-log"]);
}

/// The Pod as `pillion render` writes it.
fn render() -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sidecar-set.yaml"), SIDECAR_SET).unwrap();
    fs::write(folder.path().join("pod.yaml"), POD).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pillion"))
        .args(["render", "--sidecarsets", "sidecar-set.yaml", "pod.yaml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
