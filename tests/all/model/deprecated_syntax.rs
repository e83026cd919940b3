//! Reads SidecarSets in the syntax of older articles, and in both versions of the API.

use indoc::{formatdoc, indoc};
use pillion::diagnostics::{Code, Diagnostic};
use pillion::model::int_or_percent::IntOrPercent;
use pillion::model::sidecar_set::{DecodeMode, SidecarSet, decode_for, repair};
use pillion::yaml::{Document, FieldPath};
use std::sync::Arc;

/// The first example of an article, with its misplaced keys and indentation.
const ARTICLE: &str = "\
# sidecarset.yaml
apiVersion : apps.kruise.io/v1alpha1
Kind : SidecarSet
metadata:
  name: test-sidecarset
spec:
  # Select Pods through the selector
  selector:
    matchLabels:
      app: web-server
  namespace: ns-1
  containers:
  - name: logtail
    image: logtail:1.0.0
    volumeMounts:
    - name: web-log
        mountPath: /var/log/web
    # Share all volumes
    shareVolumePolicy: disabled
    transferEnv:
    - sourceContainerName: web-server
      # TZ is the time zone
        envName: TZ
  updateStrategy:
    type: RollingUpdate
  volumes:
  - name: web-log
emptyDir: {}
maxUnavailable: 10%
";

#[test]
fn the_article_is_understood() {
    let repaired = repair(ARTICLE).expect("it can be repaired");
    assert_eq!(repaired.moved_lines, [17, 23]);
    let (set, found) = decoded(DecodeMode::Render, &repaired.text);
    let set = set.unwrap_or_else(|| panic!("{found:?}"));
    assert!(found.iter().all(|d| d.code == Code::DeprecatedSyntax && !d.is_error()), "{found:?}");
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(set.update_strategy.max_unavailable, Some(IntOrPercent::Text("10%".into())));
    let namespaces = set.namespace_selector.expect("the namespace became a selector");
    assert_eq!(namespaces.match_labels["kubernetes.io/metadata.name"], "ns-1");
    let container = &set.containers[0];
    assert!(!container.share_volumes);
    assert_eq!(container.transfer_env[0].env_names, ["TZ"]);
    assert_eq!(container.container["volumeMounts"][0]["mountPath"], "/var/log/web");
    assert!(set.volumes[0].contains_key("emptyDir"));
}

#[test]
fn what_kruise_cannot_decode_is_refused_by_validation_only() {
    let head = indoc! {"
        apiVersion: apps.kruise.io/v1beta1
        kind: SidecarSet
        metadata: {name: s}
    "};
    let text = formatdoc! {"
        {head}spec:
          containers:
          - name: a
            image: b
            shareVolumePolicy: enabled
    "};
    let (set, found) = decoded(DecodeMode::Render, &text);
    assert!(set.is_some_and(|s| s.containers[0].share_volumes));
    assert!(found.iter().any(|d| d.code == Code::DeprecatedSyntax && !d.is_error()));
    let (set, found) = decoded(DecodeMode::Validate, &text);
    assert!(set.is_none() && found.iter().any(Diagnostic::is_error));
    let text = text.replace("kind:", "Kind:").replace("enabled", "{type: enabled}");
    assert!(decoded(DecodeMode::Render, &text).0.is_some());
    assert!(decoded(DecodeMode::Validate, &text).0.is_none());
}

#[test]
fn old_places_of_the_update_strategy_are_read_and_the_new_place_wins() {
    let head = indoc! {"
        apiVersion: apps.kruise.io/v1beta1
        kind: SidecarSet
        metadata: {name: s}
        spec:
    "};
    let old = "  paused: true\n  strategy: {rollingUpdate: {maxUnavailable: 3, partition: 2}}\n";
    let (set, found) = decoded(DecodeMode::Render, &format!("{head}{old}"));
    let strategy = set.expect("it is read").update_strategy;
    assert!(strategy.is_paused);
    assert_eq!(strategy.max_unavailable, Some(IntOrPercent::Int(3)));
    assert_eq!(strategy.partition, Some(IntOrPercent::Int(2)));
    assert_eq!(found.iter().filter(|d| d.code == Code::DeprecatedSyntax).count(), 3, "{found:?}");
    let both = format!("{head}{old}  updateStrategy: {{maxUnavailable: 1}}\n");
    let strategy = decoded(DecodeMode::Render, &both).0.expect("it is read").update_strategy;
    assert_eq!(strategy.max_unavailable, Some(IntOrPercent::Int(1)));
    // Kruise drops these fields, so to validate is not to read them.
    let (set, found) = decoded(DecodeMode::Validate, &format!("{head}{old}"));
    assert!(set.is_some_and(|s| !s.update_strategy.is_paused));
    assert!(found.iter().all(|d| d.code == Code::DeprecatedSyntax && !d.is_error()), "{found:?}");
}

#[test]
fn versions_differ_in_namespace_and_custom_version() {
    let text = indoc! {"
        apiVersion: apps.kruise.io/v1alpha1
        kind: SidecarSet
        metadata:
          name: s
          labels:
            apps.kruise.io/sidecarset-custom-version: v7
        spec:
          namespace: a
          namespaceSelector: {matchLabels: {b: c}}
    "};
    let (set, found) = decoded(DecodeMode::Render, text);
    let set = set.expect("it is sound");
    assert_eq!(set.custom_version.as_deref(), Some("v7"));
    let namespaces = set.namespace_selector.expect("there is one");
    assert_eq!(namespaces.match_labels.keys().collect::<Vec<_>>(), ["kubernetes.io/metadata.name"]);
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::NamespaceSelectorIgnored]);
    let text = text.replace("v1alpha1", "v1beta1").replace("spec:\n", "spec:\n  customVersion: v8\n");
    let (set, found) = decoded(DecodeMode::Render, &text);
    let set = set.expect("it is sound");
    assert_eq!(set.custom_version.as_deref(), Some("v8"));
    assert_eq!(set.namespace_selector.expect("there is one").match_labels["b"], "c");
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::NamespaceDropped]);
}

#[test]
fn misspelt_fields_are_named_with_what_was_meant() {
    let text = indoc! {"
        apiVersion: apps.kruise.io/v1beta1
        kind: SidecarSet
        metadata: {name: s}
        spec:
          containers:
          - name: a
            image: b
            envs: []
            Env:
            - {name: A, value: 1}
          initcontainers: []
    "};
    let (set, found) = decoded(DecodeMode::Render, text);
    assert!(set.is_some_and(|s| !s.containers[0].container.contains_key("Env")));
    let help: Vec<&str> = found.iter().filter_map(|d| d.help.as_deref()).collect();
    assert_eq!(help, ["did you mean `env`?", "did you mean `env`?", "did you mean `initContainers`?"]);
}

fn decoded(mode: DecodeMode, text: &str) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    let document = Document::read(&"set.yaml".into(), 0, 1, text).unwrap_or_else(|e| panic!("{text}\n{e:?}"));
    decode_for(mode, &Arc::new(document), &FieldPath::root())
}
