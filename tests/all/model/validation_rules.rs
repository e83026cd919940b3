//! One line per rule: a SidecarSet with a single error, and the field at which it is reported.

use pillion::diagnostics::{Diagnostic, Severity};
use pillion::model::sidecar_set::{
    DecodeMode, SidecarSet, ValidationContext, conflicts, decode_for, validate,
};
use pillion::yaml::{Document, FieldPath};
use std::sync::Arc;

/// A container without a fault; lines of a case continue it.
const LOG: &str =
    "spec:\n  selector:\n    matchLabels: {app: web}\n  containers:\n  - name: log\n    image: r/log:1\n";

#[test]
fn broken_rules_are_errors_at_kruises_fields() {
    for (lines, field) in [
        // Names and metadata.
        ("~metadata: {name: a_b}", "metadata.name"),
        ("~metadata: {name: ''}", "metadata.name"),
        (
            "~metadata: {name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}",
            "metadata.name",
        ),
        ("~metadata: {name: s, generateName: a.b}", "metadata.generateName"),
        ("~metadata: {name: s, labels: {a: 'b c'}}", "metadata.labels"),
        ("~metadata: {name: s, annotations: {'a b': c}}", "metadata.annotations"),
        ("~apiVersion: apps.kruise.io/v1", "apiVersion"),
        // Selectors.
        ("~spec: {containers: [{name: a, image: b}]}", "spec.selector"),
        ("~spec: {selector: {}, containers: [{name: a, image: b}]}", "spec.selector"),
        // The API server drops null where the CRD has a schema.
        ("~spec: {selector: {matchLabels: {a: null}}, containers: [{name: a, image: b}]}", "spec.selector"),
        ("  patchPodMetadata: [{annotations: {a: null}}]", "spec.patchPodMetadata"),
        ("    resources: {limits: {cpu: \"1\\n\"}}", "spec.containers[0].resources.limits.cpu"),
        (
            "    resourcesPolicy: {targetContainersMode: sum, targetContainersNameRegex: 'a++', resourcesExpr: {limits: {cpu: cpu}}}",
            "spec[0].resourcesPolicy.targetContainersNameRegex",
        ),
        (
            "    resourcesPolicy: {targetContainersMode: sum, targetContainersNameRegex: '[a&&b]', resourcesExpr: {limits: {cpu: cpu}}}",
            "spec[0].resourcesPolicy.targetContainersNameRegex",
        ),
        (
            "~spec: {selector: {matchLabels: {'a b': c}}, containers: [{name: a, image: b}]}",
            "spec.selector.selector",
        ),
        (
            "~spec: {selector: {matchLabels: {a: 'b c'}}, containers: [{name: a, image: b}]}",
            "spec.selector.matchLabels",
        ),
        (
            "  namespaceSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}",
            "spec.namespaceSelector.matchExpressions[0].values",
        ),
        (
            "  namespaceSelector: {matchExpressions: [{key: a, operator: In}]}",
            "spec.namespaceSelector.matchExpressions[0].values",
        ),
        (
            "  namespaceSelector: {matchExpressions: [{key: a, operator: Is}]}",
            "spec.namespaceSelector.matchExpressions[0].operator",
        ),
        ("~apiVersion: apps.kruise.io/v1alpha1\n  namespace: 'a b'", "spec.namespaceSelector.matchLabels"),
        ("~spec: {selector: {matchLabels: {a: b}}}", "spec"),
        ("~spec: []", "spec"),
        ("~spec: {selector: {matchLabels: {a: b}}, containers: {log: {}}}", "spec.containers"),
        // Containers.
        ("  - image: r/x:1", "spec.containers[1].name"),
        ("  - name: x", "spec.containers[1].image"),
        ("  - {name: x, image: ' r/x:1'}", "spec.containers[1].image"),
        ("  initContainers: [{name: log, image: b}]", "spec.initContainers[0].name"),
        ("    env: [{name: 1A, value: b}]", "spec.containers[0].env[0].name"),
        (
            "    env: [{name: A, value: b, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]",
            "spec.containers[0].env[0].valueFrom",
        ),
        (
            "    env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.hostname}}}]",
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath",
        ),
        ("    env: [{name: A, value: 1}]", "spec.containers[0].env[0].value"),
        ("    envFrom: [{prefix: A}]", "spec.containers[0].envFrom"),
        (
            "    ports: [{containerPort: 80, name: a}, {containerPort: 81, name: a}]",
            "spec.containers[0].ports[1].name",
        ),
        (
            "    ports: [{containerPort: 80, hostPort: 80}, {containerPort: 81, hostPort: 80}]",
            "spec.containers[0].ports[1].hostPort",
        ),
        ("    resources: {limits: {cpu: 1}, requests: {cpu: 2}}", "spec.containers[0].resources.requests"),
        ("    resources: {limits: {cpu: -1}}", "spec.containers[0].resources.limits[cpu]"),
        ("    resources: {limits: {gpu: 1}}", "spec.containers[0].resources.limits[gpu]"),
        ("    resources: {limits: {cpu: many}}", "spec.containers[0].resources.limits.cpu"),
        (
            "    livenessProbe: {exec: {command: [a]}, tcpSocket: {port: 80}}",
            "spec.containers[0].livenessProbe.tcpSocket",
        ),
        ("    livenessProbe: {tcpSocket: {port: 0}}", "spec.containers[0].livenessProbe.tcpSocket.port"),
        (
            "    livenessProbe: {tcpSocket: {port: 80}, successThreshold: 2}",
            "spec.containers[0].livenessProbe.successThreshold",
        ),
        ("    lifecycle: {preStop: {}}", "spec.containers[0].lifecycle.preStop"),
        ("    securityContext: {runAsUser: -1}", "spec.containers[0].securityContext.runAsUser"),
        (
            "    securityContext: {privileged: true, allowPrivilegeEscalation: false}",
            "spec.containers[0].securityContext",
        ),
        ("    terminationMessagePolicy: Never", "spec.containers[0].terminationMessagePolicy"),
        (
            "    volumeMounts: [{name: v, mountPath: /v}, {name: v, mountPath: /v}]\n  volumes: [{name: v, emptyDir: {}}]",
            "spec.containers[0].volumeMounts[1].mountPath",
        ),
        (
            "    volumeMounts: [{name: v, mountPath: /v, subPath: ../x}]\n  volumes: [{name: v, emptyDir: {}}]",
            "spec.containers[0].volumeMounts.subPath",
        ),
        (
            "    volumeDevices: [{name: v, devicePath: /v}]\n  volumes: [{name: v, emptyDir: {}}]",
            "spec.containers[0].volumeDevices[0].name",
        ),
        (
            "  initContainers: [{name: a, image: b, livenessProbe: {tcpSocket: {port: 80}}}]",
            "spec.initContainers[0].livenessProbe",
        ),
        // Volumes.
        ("  volumes: [{name: v, emptyDir: {}}, {name: v, emptyDir: {}}]", "spec.volumes[1].name"),
        ("  volumes: [{name: v, emptyDir: {}, hostPath: {path: /x}}]", "spec.volumes[0].hostPath"),
        ("  volumes: [{name: v, hostPath: {path: /x/../y}}]", "spec.volumes[0].hostPath.path"),
        ("  volumes: [{name: v, hostPath: {path: /x, type: Folder}}]", "spec.volumes[0].hostPath.type"),
        ("  volumes: [{name: v, secret: {}}]", "spec.volumes[0].secret.secretName"),
        (
            "  volumes: [{name: v, configMap: {name: a, defaultMode: 512}}]",
            "spec.volumes[0].configMap.defaultMode",
        ),
        (
            "  volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {}}}}]",
            "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes",
        ),
        // What Kruise adds.
        ("    podInjectPolicy: Middle", "spec.container.podInjectPolicy"),
        ("    shareVolumePolicy: {type: sometimes}", "spec.container.shareVolumePolicy"),
        ("    shareVolumePolicy: disabled", "spec.containers[0].shareVolumePolicy"),
        (
            "    transferEnv: [{envName: A, sourceContainerNameFrom: {}}]",
            "spec.containers[0].transferEnv[0].sourceContainerNameFrom.fieldRef",
        ),
        (
            "    transferEnv: [{envName: A, sourceContainerNameFrom: {fieldRef: {fieldPath: \"metadata.labels['A b']\"}}}]",
            "spec[0].transferEnv.fieldRef",
        ),
        (
            "    transferEnv: [{envName: A, sourceContainerNameFrom: {fieldRef: {fieldPath: spec.nodeName}}}]",
            "spec[0].transferEnv.fieldRef.fieldPath",
        ),
        ("  initContainers: [{name: p, image: b, restartPolicy: Always}]", "spec.updateStrategy"),
        (
            "    resourcesPolicy: {targetContainersMode: avg, resourcesExpr: {limits: {cpu: cpu}}}",
            "spec.containers[0].resourcesPolicy.targetContainersMode",
        ),
        ("    resourcesPolicy: {targetContainersMode: sum}", "spec[0].resourcesPolicy.resourcesExpr"),
        (
            "    resources: {limits: {cpu: 1}}\n    resourcesPolicy: {targetContainersMode: sum, resourcesExpr: {limits: {cpu: cpu}}}",
            "spec[0].resourcesPolicy",
        ),
        (
            "    resourcesPolicy: {targetContainersMode: sum, targetContainersNameRegex: '(?=a)', resourcesExpr: {limits: {cpu: cpu}}}",
            "spec[0].resourcesPolicy.targetContainersNameRegex",
        ),
        (
            "    resourcesPolicy: {targetContainersMode: sum, resourcesExpr: {limits: {cpu: 'max(cpu)'}}}",
            "spec[0].resourcesPolicy.resourcesExpr.limits.cpu",
        ),
        (
            "    resourcesPolicy: {targetContainersMode: sum, resourcesExpr: {requests: {memory: 'memory/0'}}}",
            "spec[0].resourcesPolicy.resourcesExpr.requests.memory",
        ),
        (
            "    resourcesPolicy: {targetContainersMode: sum, resourcesExpr: {requests: {memory: 5Zi}}}",
            "spec[0].resourcesPolicy.resourcesExpr.requests.memory",
        ),
        (
            "  initContainers: [{name: p, image: b, resourcesPolicy: {targetContainersMode: sum, resourcesExpr: {limits: {cpu: cpu}}}}]",
            "spec[0].resourcesPolicy",
        ),
        // Strategies.
        ("  updateStrategy: {partition: 1, selector: {matchLabels: {a: b}}}", "updateStrategy"),
        ("  updateStrategy: {partition: 0%, selector: {matchLabels: {a: b}}}", "updateStrategy"),
        ("  updateStrategy: {partition: half}", "spec.updateStrategy.partition"),
        ("  updateStrategy: {maxUnavailable: -1}", "spec.updateStrategy.maxUnavailable"),
        (
            "  updateStrategy: {scatterStrategy: [{key: a, value: b}, {key: a, value: b}]}",
            "spec.updateStrategy.scatterStrategy",
        ),
        (
            "  updateStrategy: {priorityStrategy: {weightPriority: [{weight: 1, matchSelector: {}}]}}",
            "spec.updateStrategy.priorityStrategy",
        ),
        (
            "  updateStrategy: {priorityStrategy: {weightPriority: [{weight: 1, matchSelector: {matchLabels: {'a b': c}}}]}}",
            "spec.updateStrategy.priorityStrategy",
        ),
        ("  injectionStrategy: {revision: {customVersion: v1}}", "revision"),
        ("  injectionStrategy: {revision: {revisionName: s-1}}", "revision"),
        ("  patchPodMetadata: [{patchPolicy: Retain}]", "spec.patchPodMetadata"),
        ("  patchPodMetadata: [{annotations: {a: b}}, {annotations: {a: c}}]", "spec.patchPodMetadata"),
        ("  patchPodMetadata: [{annotations: {'a b': c}}]", "patchPodMetadata.annotations"),
    ] {
        let found = judge(lines, None, &[]);
        let errors: Vec<&str> =
            found.iter().filter(|d| d.is_error()).filter_map(|d| d.field.as_deref()).collect();
        assert!(errors.contains(&field), "{lines}\nwanted {field}, got {errors:?}");
        assert!(found.iter().all(|d| !d.spans.is_empty() && d.help.is_some()), "{lines}\n{found:?}");
    }
}

#[test]
fn what_kruise_lets_through_is_at_most_a_warning() {
    for (lines, warnings) in [
        ("", 0),
        ("~metadata: {name: -A-}", 0),
        ("  updateStrategy: {partition: 0, selector: {matchLabels: {a: b}}}", 0),
        ("  updateStrategy: {partition: 200%, maxUnavailable: 0}", 0),
        ("  updateStrategy: {scatterStrategy: [{key: a}]}", 0),
        (
            "  initContainers: [{name: p, image: b, restartPolicy: Always}]\n  updateStrategy: {type: NotUpdate}",
            0,
        ),
        ("  namespace: team-a", 1),
        ("    upgradeStrategy: {upgradeType: Warm}", 1),
        ("    upgradeStrategy: {upgradeType: HotUpgrade}", 1),
        ("    shareVolumeDevicePolicy: {type: 'on'}", 1),
        ("    transferEnv: [{sourceContainerName: web}]", 1),
        ("  updateStrategy: {type: Sometimes, partition: -1}", 1),
        ("  patchPodMetadata: [{annotations: {a: b}, patchPolicy: Maybe}]", 1),
        (
            "    resourcesPolicy: {targetContainersMode: sum, resourcesExpr: {limits: {memory: memory-128Mi}}}",
            1,
        ),
        ("    resourcesPolicy: {targetContainersMode: sum, resourcesExpr: {limits: {cpu: cpu*100m}}}", 1),
        (
            "    resourcesPolicy: {targetContainersMode: sum, resourcesExpr: {limits: {memory: 'MAX(Memory, 1Mi)'}}}",
            1,
        ),
        ("    contianers: x", 1),
    ] {
        let found = judge(lines, None, &[]);
        let count = found.iter().filter(|d| d.severity == Severity::Warning).count();
        assert!(!found.iter().any(Diagnostic::is_error), "{lines}\n{found:?}");
        assert_eq!(count, warnings, "{lines}\n{found:?}");
    }
}

#[test]
fn updates_may_not_bring_containers_or_other_upgrade_types() {
    let hot = "    upgradeStrategy: {upgradeType: HotUpgrade, hotUpgradeEmptyImage: e}";
    for (new, old, field) in [
        ("", "", None),
        ("", "  - {name: gone, image: x}", None),
        ("  - {name: new, image: x}", "", Some("spec.containers.name")),
        (hot, "", Some("spec.containers.upgradeStrategy.upgradeType")),
        ("  initContainers: [{name: new, image: x}]", "", None),
    ] {
        let found = judge(new, Some(old), &[]);
        let errors: Vec<_> = found.iter().filter(|d| d.is_error()).map(|d| d.field.as_deref()).collect();
        assert_eq!(errors.first().copied().flatten(), field, "{new}\n{found:?}");
    }
}

#[test]
fn sets_for_the_same_pods_may_not_share_names() {
    let volume = |source: &str| format!("  volumes: [{{name: v, {source}: {{}}}}]");
    let patch =
        |policy: &str| format!("  patchPodMetadata: [{{annotations: {{k: '{{}}'}}, patchPolicy: {policy}}}]");
    let own = |lines: &str, app: &str| {
        format!(
            "~spec:\n  selector:\n    matchLabels: {{app: {app}}}\n  containers:\n  - {{name: own, image: x}}\n{lines}"
        )
    };
    for (lines, other, field) in [
        (String::new(), own("  - {name: log, image: x}", "web"), Some("spec.containers")),
        (String::new(), own("  - {name: log, image: x}", "db"), None),
        (volume("emptyDir"), own(&volume("emptyDir"), "web"), None),
        (
            volume("emptyDir"),
            own("  volumes: [{name: v, hostPath: {path: /x}}]", "web"),
            Some("spec.volumes"),
        ),
        (patch("Overwrite"), own(&patch("MergePatchJson"), "web"), Some("spec.patchPodMetadata")),
        (patch("MergePatchJson"), own(&patch("MergePatchJson"), "web"), None),
        (patch("Overwrite"), own(&patch("Retain"), "web"), None),
        (
            "  initContainers: [{name: p, image: x}]".into(),
            own("  initContainers: [{name: p, image: x}]", "web"),
            Some("spec.containers"),
        ),
    ] {
        let other = Arc::new(decoded("other", &other).0.expect("a sound set"));
        let found = judge(&lines, None, std::slice::from_ref(&other));
        let errors: Vec<_> = found.iter().filter(|d| d.is_error()).map(|d| d.field.as_deref()).collect();
        assert_eq!(errors.first().copied().flatten(), field, "{lines}\n{found:?}");
        let set = Arc::new(decoded("set", &lines).0.expect("a sound set"));
        assert_eq!(conflicts(&[other, set]).iter().any(Diagnostic::is_error), field.is_some());
    }
}

fn judge(lines: &str, old: Option<&str>, others: &[Arc<SidecarSet>]) -> Vec<Diagnostic> {
    let (set, mut found) = decoded("set", lines);
    let old = old.and_then(|lines| decoded("set", lines).0);
    if let Some(set) = set {
        found.extend(validate(&set, ValidationContext { old: old.as_ref(), others, history: &[] }));
    }
    found
}

/// Decodes a set with further lines. A first line behind `~` replaces the part of its key.
fn decoded(name: &str, lines: &str) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    let (first, rest) = match lines.strip_prefix('~') {
        Some(replaced) => replaced.split_once('\n').unwrap_or((replaced, "")),
        None => ("", lines),
    };
    let part = |key: &str, default: &str| {
        if first.starts_with(key) { String::new() } else { format!("{default}\n") }
    };
    let spec = if first.starts_with("spec:") { format!("{first}\n") } else { format!("{first}\n{LOG}") };
    let text = [
        part("apiVersion", "apiVersion: apps.kruise.io/v1beta1"),
        "kind: SidecarSet\n".into(),
        part("metadata", &format!("metadata: {{name: {name}}}")),
        spec,
        rest.into(),
    ]
    .concat();
    let document =
        Document::read(&"set.yaml".into(), 0, 1, &text).unwrap_or_else(|e| panic!("{text}\n{e:?}"));
    decode_for(DecodeMode::Validate, &Arc::new(document), &FieldPath::root())
}
