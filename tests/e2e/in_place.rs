//! Workloads of the real OpenKruise are updated in place.

use crate::harness::api::{CLONE_SETS, PODS};
use crate::harness::kruise;
use crate::harness::pods::{container, is_ready, uids};

fn clone_set(image: &str) -> String {
    format!(
        "apiVersion: apps.kruise.io/v1alpha1
kind: CloneSet
metadata: {{name: web}}
spec:
  replicas: 5
  selector: {{matchLabels: {{app: web}}}}
  updateStrategy: {{type: InPlaceIfPossible, maxUnavailable: 2}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: main, image: 'app:1'}}, {{name: log, image: '{image}'}}]}}
"
    )
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_clone_set_keeps_its_pods() {
    let namespace = kruise::namespace("clone-set");
    namespace.apply(&clone_set("log:1"));
    namespace.wait_until(CLONE_SETS, "web", "five are ready", |found| found["status"]["readyReplicas"] == 5);
    let before = uids(&namespace.list(PODS));
    assert_eq!(before.len(), 5);

    namespace.apply(&clone_set("log:2"));
    namespace.wait_until(CLONE_SETS, "web", "five are updated", |found| {
        found["status"]["observedGeneration"] == found["metadata"]["generation"]
            && found["status"]["updatedReadyReplicas"] == 5
    });
    let pods = namespace.list(PODS);
    assert_eq!(uids(&pods), before);
    for pod in &pods {
        assert!(is_ready(pod));
        assert_eq!(container(pod, "log")["image"], "log:2");
        assert_eq!(
            (&container(pod, "log")["restartCount"], &container(pod, "main")["restartCount"]),
            (&1.into(), &0.into())
        );
    }
}
