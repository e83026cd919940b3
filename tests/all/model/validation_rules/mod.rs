//! One case per rule: a SidecarSet with a single error, and the field at which it is reported.

mod kruise_fields;
mod metadata;
mod pod_fields;

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

/// Checks that each change is an error at its field, with a place and a fix.
fn are_errors(cases: &[(Change<'_>, &str)]) {
    for &(change, field) in cases {
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
