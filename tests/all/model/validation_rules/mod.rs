//! One case per rule: a SidecarSet with a single error, and the field at which it is reported.

use crate::support::manifests::indent;
use Change::{Container, Document, Spec};
use indoc::{formatdoc, indoc};
use pillion::diagnostics::{Diagnostic, Severity};
use pillion::model::sidecar_set::{
    DecodeMode, SidecarSet, ValidationContext, conflicts, decode_for, validate,
};
use pillion::yaml::{self, FieldPath};
use std::sync::Arc;

/// The `spec` of a valid set. A change of its container or of the spec continues it.
const SPEC: &str = indoc! {"
    spec:
      selector:
        matchLabels: {app: web}
      containers:
      - name: log
        image: r/log:1
"};

/// What a case changes in a valid SidecarSet.
#[derive(Clone, Copy, Debug)]
enum Change<'a> {
    /// More fields of the container `log`.
    Container(&'a str),
    /// More containers, or more fields of `spec`.
    Spec(&'a str),
    /// Top-level fields that replace those of the valid set.
    Document(&'a str),
}

#[test]
fn broken_rules_are_errors_at_kruises_fields() {
    for (change, field) in [
        // Names and metadata.
        (Document("metadata: {name: a_b}"), "metadata.name"),
        (Document("metadata: {name: ''}"), "metadata.name"),
        (
            Document(indoc! {"
                metadata:
                  name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
            "}),
            "metadata.name",
        ),
        (Document("metadata: {name: s, generateName: a.b}"), "metadata.generateName"),
        (Document("metadata: {name: s, labels: {a: 'b c'}}"), "metadata.labels"),
        (Document("metadata: {name: s, annotations: {'a b': c}}"), "metadata.annotations"),
        (Document("apiVersion: apps.kruise.io/v1"), "apiVersion"),
        // Selectors.
        (Document("spec: {containers: [{name: a, image: b}]}"), "spec.selector"),
        (
            Document(indoc! {"
                spec:
                  selector: {}
                  containers:
                  - {name: a, image: b}
            "}),
            "spec.selector",
        ),
        // The API server drops null where the CRD has a schema.
        (
            Document(indoc! {"
                spec:
                  selector: {matchLabels: {a: null}}
                  containers:
                  - {name: a, image: b}
            "}),
            "spec.selector",
        ),
        (Spec("patchPodMetadata: [{annotations: {a: null}}]"), "spec.patchPodMetadata"),
        (Container("resources: {limits: {cpu: \"1\\n\"}}"), "spec.containers[0].resources.limits.cpu"),
        (
            Container(indoc! {"
                resourcesPolicy:
                  targetContainersMode: sum
                  targetContainersNameRegex: 'a++'
                  resourcesExpr: {limits: {cpu: cpu}}
            "}),
            "spec[0].resourcesPolicy.targetContainersNameRegex",
        ),
        (
            Container(indoc! {"
                resourcesPolicy:
                  targetContainersMode: sum
                  targetContainersNameRegex: '[a&&b]'
                  resourcesExpr: {limits: {cpu: cpu}}
            "}),
            "spec[0].resourcesPolicy.targetContainersNameRegex",
        ),
        (
            Document(indoc! {"
                spec:
                  selector: {matchLabels: {'a b': c}}
                  containers:
                  - {name: a, image: b}
            "}),
            "spec.selector.selector",
        ),
        (
            Document(indoc! {"
                spec:
                  selector: {matchLabels: {a: 'b c'}}
                  containers:
                  - {name: a, image: b}
            "}),
            "spec.selector.matchLabels",
        ),
        (
            Spec(indoc! {"
                namespaceSelector:
                  matchExpressions:
                  - {key: a, operator: Exists, values: [b]}
            "}),
            "spec.namespaceSelector.matchExpressions[0].values",
        ),
        (
            Spec(indoc! {"
                namespaceSelector:
                  matchExpressions:
                  - {key: a, operator: In}
            "}),
            "spec.namespaceSelector.matchExpressions[0].values",
        ),
        (
            Spec(indoc! {"
                namespaceSelector:
                  matchExpressions:
                  - {key: a, operator: Is}
            "}),
            "spec.namespaceSelector.matchExpressions[0].operator",
        ),
        (
            Document(indoc! {"
                apiVersion: apps.kruise.io/v1alpha1
                spec:
                  namespace: 'a b'
                  selector: {matchLabels: {app: web}}
                  containers:
                  - {name: log, image: r/log:1}
            "}),
            "spec.namespaceSelector.matchLabels",
        ),
        (Document("spec: {selector: {matchLabels: {a: b}}}"), "spec"),
        (Document("spec: []"), "spec"),
        (
            Document(indoc! {"
                spec:
                  selector: {matchLabels: {a: b}}
                  containers: {log: {}}
            "}),
            "spec.containers",
        ),
        // Containers.
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
        // Volumes.
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
        // What Kruise adds.
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
        // Strategies.
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
    ] {
        let found = diagnostics(change, None, &[]);
        let errors: Vec<&str> =
            found.iter().filter(|d| d.is_error()).filter_map(|d| d.field.as_deref()).collect();
        assert!(errors.contains(&field), "{change:?}\nwanted {field}, got {errors:?}");
        assert!(found.iter().all(|d| !d.spans.is_empty() && d.help.is_some()), "{change:?}\n{found:?}");
    }
}

#[test]
fn what_kruise_lets_through_is_at_most_a_warning() {
    for (change, warnings) in [
        (Spec(""), 0),
        (Document("metadata: {name: -A-}"), 0),
        (
            Spec(indoc! {"
                updateStrategy:
                  partition: 0
                  selector: {matchLabels: {a: b}}
            "}),
            0,
        ),
        (Spec("updateStrategy: {partition: 200%, maxUnavailable: 0}"), 0),
        (Spec("updateStrategy: {scatterStrategy: [{key: a}]}"), 0),
        (
            Spec(indoc! {"
                initContainers:
                - {name: p, image: b, restartPolicy: Always}
                updateStrategy: {type: NotUpdate}
            "}),
            0,
        ),
        (Spec("namespace: team-a"), 1),
        (Container("upgradeStrategy: {upgradeType: Warm}"), 1),
        (Container("upgradeStrategy: {upgradeType: HotUpgrade}"), 1),
        (Container("shareVolumeDevicePolicy: {type: 'on'}"), 1),
        (Container("transferEnv: [{sourceContainerName: web}]"), 1),
        (Spec("updateStrategy: {type: Sometimes, partition: -1}"), 1),
        (
            Spec(indoc! {"
                patchPodMetadata:
                - {annotations: {a: b}, patchPolicy: Maybe}
            "}),
            1,
        ),
        (
            Container(indoc! {"
                resourcesPolicy:
                  targetContainersMode: sum
                  resourcesExpr: {limits: {memory: memory-128Mi}}
            "}),
            1,
        ),
        (
            Container(indoc! {"
                resourcesPolicy:
                  targetContainersMode: sum
                  resourcesExpr: {limits: {cpu: cpu*100m}}
            "}),
            1,
        ),
        (
            Container(indoc! {"
                resourcesPolicy:
                  targetContainersMode: sum
                  resourcesExpr: {limits: {memory: 'MAX(Memory, 1Mi)'}}
            "}),
            1,
        ),
        (Container("contianers: x"), 1),
    ] {
        let found = diagnostics(change, None, &[]);
        let count = found.iter().filter(|d| d.severity == Severity::Warning).count();
        assert!(!found.iter().any(Diagnostic::is_error), "{change:?}\n{found:?}");
        assert_eq!(count, warnings, "{change:?}\n{found:?}");
    }
}

#[test]
fn updates_may_not_bring_containers_or_other_upgrade_types() {
    let hot = Container("upgradeStrategy: {upgradeType: HotUpgrade, hotUpgradeEmptyImage: e}");
    for (new, old, field) in [
        (Spec(""), Spec(""), None),
        (Spec(""), Spec("- {name: gone, image: x}"), None),
        (Spec("- {name: new, image: x}"), Spec(""), Some("spec.containers.name")),
        (hot, Spec(""), Some("spec.containers.upgradeStrategy.upgradeType")),
        (Spec("initContainers: [{name: new, image: x}]"), Spec(""), None),
    ] {
        let found = diagnostics(new, Some(old), &[]);
        let errors: Vec<_> = found.iter().filter(|d| d.is_error()).map(|d| d.field.as_deref()).collect();
        assert_eq!(errors.first().copied().flatten(), field, "{new:?}\n{found:?}");
    }
}

#[test]
fn sets_for_the_same_pods_may_not_share_names() {
    let volume = |source: &str| {
        formatdoc! {"
            volumes:
            - name: v
              {source}: {{}}
        "}
    };
    let patch = |policy: &str| {
        formatdoc! {"
            patchPodMetadata:
            - annotations:
                k: '{{}}'
              patchPolicy: {policy}
        "}
    };
    let other_set = |more: &str, app: &str| {
        let more = indent(more, 2);
        formatdoc! {"
            spec:
              selector:
                matchLabels:
                  app: {app}
              containers:
              - name: own
                image: x
            {more}
        "}
    };
    let web = |more: &str| other_set(more, "web");
    let init = "initContainers: [{name: p, image: x}]";
    for (more, other, field) in [
        (String::new(), web("- {name: log, image: x}"), Some("spec.containers")),
        (String::new(), other_set("- {name: log, image: x}", "db"), None),
        (volume("emptyDir"), web(&volume("emptyDir")), None),
        (volume("emptyDir"), web("volumes: [{name: v, hostPath: {path: /x}}]"), Some("spec.volumes")),
        (patch("Overwrite"), web(&patch("MergePatchJson")), Some("spec.patchPodMetadata")),
        (patch("MergePatchJson"), web(&patch("MergePatchJson")), None),
        (patch("Overwrite"), web(&patch("Retain")), None),
        (init.into(), web(init), Some("spec.containers")),
    ] {
        let other = Arc::new(decode_set("other", Document(&other)).0.expect("a sound set"));
        let found = diagnostics(Spec(&more), None, std::slice::from_ref(&other));
        let errors: Vec<_> = found.iter().filter(|d| d.is_error()).map(|d| d.field.as_deref()).collect();
        assert_eq!(errors.first().copied().flatten(), field, "{more}\n{found:?}");
        let set = Arc::new(decode_set("set", Spec(&more)).0.expect("a sound set"));
        assert_eq!(conflicts(&[other, set]).iter().any(Diagnostic::is_error), field.is_some());
    }
}

/// The diagnostics of a changed set, created or in place of an old one, beside other sets.
fn diagnostics(change: Change<'_>, old: Option<Change<'_>>, others: &[Arc<SidecarSet>]) -> Vec<Diagnostic> {
    let (set, mut found) = decode_set("set", change);
    let old = old.and_then(|change| decode_set("set", change).0);
    if let Some(set) = set {
        found.extend(validate(&set, ValidationContext { old: old.as_ref(), others, history: &[] }));
    }
    found
}

fn decode_set(name: &str, change: Change<'_>) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    let (fields, more) = match change {
        Container(fields) => ("", indent(fields, 4)),
        Spec(fields) => ("", indent(fields, 2)),
        Document(fields) => (fields, String::new()),
    };
    let metadata = format!("metadata: {{name: {name}}}\n");
    let spec = format!("{SPEC}{more}");
    let mut text = String::from("kind: SidecarSet\n");
    for part in ["apiVersion: apps.kruise.io/v1beta1\n", &metadata, &spec] {
        let (key, _) = part.split_once(':').expect("a part begins with its key");
        if !fields.lines().any(|line| line.starts_with(key)) {
            text.push_str(part);
        }
    }
    text.push_str(fields);
    let document =
        yaml::Document::read(&"set.yaml".into(), 0, 1, &text).unwrap_or_else(|e| panic!("{text}\n{e:?}"));
    decode_for(DecodeMode::Validate, &Arc::new(document), &FieldPath::root())
}
