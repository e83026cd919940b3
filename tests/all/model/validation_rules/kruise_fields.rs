//! What Kruise adds to containers, and strategies.

use super::*;

#[test]
fn fields_of_kruise() {
    are_errors(&[
        (Container("podInjectPolicy: Middle"), "spec.container.podInjectPolicy"),
        (Container("shareVolumePolicy: {type: sometimes}"), "spec.container.shareVolumePolicy"),
        (Container("shareVolumePolicy: disabled"), "spec.containers[0].shareVolumePolicy"),
        (
            Container(indoc! {"
                transferEnv:
                - {envName: A, sourceContainerNameFrom: {}}
            "}),
            "spec.containers[0].transferEnv[0].sourceContainerNameFrom.fieldRef",
        ),
        (
            Container(indoc! {r#"
                transferEnv:
                - envName: A
                  sourceContainerNameFrom:
                    fieldRef: {fieldPath: "metadata.labels['A b']"}
            "#}),
            "spec[0].transferEnv.fieldRef",
        ),
        (
            Container(indoc! {"
                transferEnv:
                - envName: A
                  sourceContainerNameFrom: {fieldRef: {fieldPath: spec.nodeName}}
            "}),
            "spec[0].transferEnv.fieldRef.fieldPath",
        ),
        (
            Spec(indoc! {"
                initContainers:
                - {name: p, image: b, restartPolicy: Always}
            "}),
            "spec.updateStrategy",
        ),
        (
            Container(indoc! {"
                resourcesPolicy:
                  targetContainersMode: avg
                  resourcesExpr: {limits: {cpu: cpu}}
            "}),
            "spec.containers[0].resourcesPolicy.targetContainersMode",
        ),
        (Container("resourcesPolicy: {targetContainersMode: sum}"), "spec[0].resourcesPolicy.resourcesExpr"),
        (
            Container(indoc! {"
                resources: {limits: {cpu: 1}}
                resourcesPolicy:
                  targetContainersMode: sum
                  resourcesExpr: {limits: {cpu: cpu}}
            "}),
            "spec[0].resourcesPolicy",
        ),
        (
            Container(indoc! {"
                resourcesPolicy:
                  targetContainersMode: sum
                  targetContainersNameRegex: '(?=a)'
                  resourcesExpr: {limits: {cpu: cpu}}
            "}),
            "spec[0].resourcesPolicy.targetContainersNameRegex",
        ),
        (
            Container(indoc! {"
                resourcesPolicy:
                  targetContainersMode: sum
                  resourcesExpr: {limits: {cpu: 'max(cpu)'}}
            "}),
            "spec[0].resourcesPolicy.resourcesExpr.limits.cpu",
        ),
        (
            Container(indoc! {"
                resourcesPolicy:
                  targetContainersMode: sum
                  resourcesExpr: {requests: {memory: 'memory/0'}}
            "}),
            "spec[0].resourcesPolicy.resourcesExpr.requests.memory",
        ),
        (
            Container(indoc! {"
                resourcesPolicy:
                  targetContainersMode: sum
                  resourcesExpr: {requests: {memory: 5Zi}}
            "}),
            "spec[0].resourcesPolicy.resourcesExpr.requests.memory",
        ),
        (
            Spec(indoc! {"
                initContainers:
                - name: p
                  image: b
                  resourcesPolicy:
                    targetContainersMode: sum
                    resourcesExpr: {limits: {cpu: cpu}}
            "}),
            "spec[0].resourcesPolicy",
        ),
    ]);
}

#[test]
fn strategies() {
    are_errors(&[
        (
            Spec(indoc! {"
                updateStrategy:
                  partition: 1
                  selector: {matchLabels: {a: b}}
            "}),
            "updateStrategy",
        ),
        (
            Spec(indoc! {"
                updateStrategy:
                  partition: 0%
                  selector: {matchLabels: {a: b}}
            "}),
            "updateStrategy",
        ),
        (Spec("updateStrategy: {partition: half}"), "spec.updateStrategy.partition"),
        (Spec("updateStrategy: {maxUnavailable: -1}"), "spec.updateStrategy.maxUnavailable"),
        (
            Spec(indoc! {"
                updateStrategy:
                  scatterStrategy:
                  - {key: a, value: b}
                  - {key: a, value: b}
            "}),
            "spec.updateStrategy.scatterStrategy",
        ),
        (
            Spec(indoc! {"
                updateStrategy:
                  priorityStrategy:
                    weightPriority:
                    - {weight: 1, matchSelector: {}}
            "}),
            "spec.updateStrategy.priorityStrategy",
        ),
        (
            Spec(indoc! {"
                updateStrategy:
                  priorityStrategy:
                    weightPriority:
                    - weight: 1
                      matchSelector: {matchLabels: {'a b': c}}
            "}),
            "spec.updateStrategy.priorityStrategy",
        ),
        (Spec("injectionStrategy: {revision: {customVersion: v1}}"), "revision"),
        (Spec("injectionStrategy: {revision: {revisionName: s-1}}"), "revision"),
        (Spec("patchPodMetadata: [{patchPolicy: Retain}]"), "spec.patchPodMetadata"),
        (
            Spec(indoc! {"
                patchPodMetadata:
                - {annotations: {a: b}}
                - {annotations: {a: c}}
            "}),
            "spec.patchPodMetadata",
        ),
        (Spec("patchPodMetadata: [{annotations: {'a b': c}}]"), "patchPodMetadata.annotations"),
    ]);
}
