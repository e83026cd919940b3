//! Containers and volumes, as Kubernetes validates those of pods.

use super::*;

#[test]
fn containers() {
    are_errors(&[
        (Spec("- image: r/x:1"), "spec.containers[1].name"),
        (Spec("- name: x"), "spec.containers[1].image"),
        (Spec("- {name: x, image: ' r/x:1'}"), "spec.containers[1].image"),
        (Spec("initContainers: [{name: log, image: b}]"), "spec.initContainers[0].name"),
        (Container("env: [{name: 1A, value: b}]"), "spec.containers[0].env[0].name"),
        (
            Container(indoc! {"
                env:
                - name: A
                  value: b
                  valueFrom: {fieldRef: {fieldPath: metadata.name}}
            "}),
            "spec.containers[0].env[0].valueFrom",
        ),
        (
            Container(indoc! {"
                env:
                - name: A
                  valueFrom: {fieldRef: {fieldPath: spec.hostname}}
            "}),
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath",
        ),
        (Container("env: [{name: A, value: 1}]"), "spec.containers[0].env[0].value"),
        (Container("envFrom: [{prefix: A}]"), "spec.containers[0].envFrom"),
        (
            Container(indoc! {"
                ports:
                - {containerPort: 80, name: a}
                - {containerPort: 81, name: a}
            "}),
            "spec.containers[0].ports[1].name",
        ),
        (
            Container(indoc! {"
                ports:
                - {containerPort: 80, hostPort: 80}
                - {containerPort: 81, hostPort: 80}
            "}),
            "spec.containers[0].ports[1].hostPort",
        ),
        (
            Container("resources: {limits: {cpu: 1}, requests: {cpu: 2}}"),
            "spec.containers[0].resources.requests",
        ),
        (Container("resources: {limits: {cpu: -1}}"), "spec.containers[0].resources.limits[cpu]"),
        (Container("resources: {limits: {gpu: 1}}"), "spec.containers[0].resources.limits[gpu]"),
        (Container("resources: {limits: {cpu: many}}"), "spec.containers[0].resources.limits.cpu"),
        (
            Container(indoc! {"
                livenessProbe:
                  exec: {command: [a]}
                  tcpSocket: {port: 80}
            "}),
            "spec.containers[0].livenessProbe.tcpSocket",
        ),
        (
            Container("livenessProbe: {tcpSocket: {port: 0}}"),
            "spec.containers[0].livenessProbe.tcpSocket.port",
        ),
        (
            Container("livenessProbe: {tcpSocket: {port: 80}, successThreshold: 2}"),
            "spec.containers[0].livenessProbe.successThreshold",
        ),
        (Container("lifecycle: {preStop: {}}"), "spec.containers[0].lifecycle.preStop"),
        (Container("securityContext: {runAsUser: -1}"), "spec.containers[0].securityContext.runAsUser"),
        (
            Container("securityContext: {privileged: true, allowPrivilegeEscalation: false}"),
            "spec.containers[0].securityContext",
        ),
        (Container("terminationMessagePolicy: Never"), "spec.containers[0].terminationMessagePolicy"),
        (
            Document(indoc! {"
                spec:
                  selector: {matchLabels: {app: web}}
                  containers:
                  - name: log
                    image: r/log:1
                    volumeMounts:
                    - {name: v, mountPath: /v}
                    - {name: v, mountPath: /v}
                  volumes:
                  - {name: v, emptyDir: {}}
            "}),
            "spec.containers[0].volumeMounts[1].mountPath",
        ),
        (
            Document(indoc! {"
                spec:
                  selector: {matchLabels: {app: web}}
                  containers:
                  - name: log
                    image: r/log:1
                    volumeMounts:
                    - {name: v, mountPath: /v, subPath: ../x}
                  volumes:
                  - {name: v, emptyDir: {}}
            "}),
            "spec.containers[0].volumeMounts.subPath",
        ),
        (
            Document(indoc! {"
                spec:
                  selector: {matchLabels: {app: web}}
                  containers:
                  - name: log
                    image: r/log:1
                    volumeDevices:
                    - {name: v, devicePath: /v}
                  volumes:
                  - {name: v, emptyDir: {}}
            "}),
            "spec.containers[0].volumeDevices[0].name",
        ),
        (
            Spec(indoc! {"
                initContainers:
                - name: a
                  image: b
                  livenessProbe: {tcpSocket: {port: 80}}
            "}),
            "spec.initContainers[0].livenessProbe",
        ),
    ]);
}

#[test]
fn volumes() {
    are_errors(&[
        (
            Spec(indoc! {"
                volumes:
                - {name: v, emptyDir: {}}
                - {name: v, emptyDir: {}}
            "}),
            "spec.volumes[1].name",
        ),
        (
            Spec(indoc! {"
                volumes:
                - name: v
                  emptyDir: {}
                  hostPath: {path: /x}
            "}),
            "spec.volumes[0].hostPath",
        ),
        (Spec("volumes: [{name: v, hostPath: {path: /x/../y}}]"), "spec.volumes[0].hostPath.path"),
        (
            Spec(indoc! {"
                volumes:
                - name: v
                  hostPath: {path: /x, type: Folder}
            "}),
            "spec.volumes[0].hostPath.type",
        ),
        (Spec("volumes: [{name: v, secret: {}}]"), "spec.volumes[0].secret.secretName"),
        (
            Spec(indoc! {"
                volumes:
                - name: v
                  configMap: {name: a, defaultMode: 512}
            "}),
            "spec.volumes[0].configMap.defaultMode",
        ),
        (
            Spec(indoc! {"
                volumes:
                - name: v
                  ephemeral: {volumeClaimTemplate: {spec: {}}}
            "}),
            "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes",
        ),
    ]);
}
