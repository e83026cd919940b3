//! Manifests that several tests use, and indentation.
#![cfg_attr(not(unix), allow(dead_code, reason = "some of these tests need Unix"))]

use indoc::indoc;

/// A SidecarSet for pods with the label `log: "true"`.
pub(crate) const LOG_SET: &str = indoc! {r#"
    apiVersion: apps.kruise.io/v1beta1
    kind: SidecarSet
    metadata: {name: log}
    spec:
      selector: {matchLabels: {log: "true"}}
      containers:
      - {name: logtail, image: registry.example/logtail:1.4.2}
"#};

/// A Deployment that `LOG_SET` selects.
pub(crate) const WEB: &str = indoc! {r#"
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec:
      template:
        metadata: {labels: {log: "true"}}
        spec:
          containers:
          - {name: web, image: a}
"#};

/// Indents every line that is not empty.
pub(crate) fn indent(text: &str, spaces: usize) -> String {
    let pad = " ".repeat(spaces);
    text.lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{pad}{line}\n") })
        .collect()
}

/// pillion.yaml of one cluster with all its manifests in one namespace.
pub(crate) const ONE_NAMESPACE: &str = indoc! {"
    apiVersion: pillion.dev/v1alpha1
    kind: Repository
    sources: [apps]
    sidecarSets: [sidecars]
    rendered: rendered
    ledgers: ledgers
    namespaces:
    - {folder: ., name: default}
"};
