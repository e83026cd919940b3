//! Names, metadata and selectors.

use super::*;

#[test]
fn names_and_metadata() {
    are_errors(&[
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
    ]);
}

#[test]
fn selectors() {
    are_errors(&[
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
    ]);
}

#[test]
fn requirements_of_the_spec() {
    are_errors(&[
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
    ]);
}
