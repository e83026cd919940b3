//! Annotations (sections 9 and 10).

use super::*;

#[test]
fn patches() {
    let patched = |policy: &str, patch: &str, old: &str| {
        let spec = formatdoc! {"
            containers:
            - name: log
              image: l
            patchPodMetadata:
            - annotations:
                k: '{patch}'
              patchPolicy: {policy}
        "};
        let case = with_annotations(&[("s", &spec)], old);
        let outcome = case.run();
        let value = outcome.template.as_ref().and_then(|v| annotation(v, "k")).map(str::to_owned);
        (value, case.codes())
    };
    for (policy, patch, old, value, codes) in [
        ("Retain", "new", "{}", Some("new"), vec![]),          // i144
        ("Retain", "new", "{k: ''}", Some(""), vec![]),        // i146
        ("Overwrite", "new", "{k: old}", Some("new"), vec![]), // i148
        ("MergePatchJson", "{\"b\": 1}", "{}", Some("{\"b\": 1}"), vec![]), // i149
        ("MergePatchJson", "{\"b\": 1}", "{k: ''}", Some("{\"b\": 1}"), vec![]), // i150
        ("MergePatchJson", "nope", "{}", Some("nope"), vec!["patch-not-json"]), // i151
        ("MergePatchJson", "{\"b\": 1}", "{k: '{\"c\": 2, \"b\": 0}'}", Some("{\"b\":1,\"c\":2}"), vec![]), // i152
        ("MergePatchJson", "[1, null]", "{k: '{\"c\": 2}'}", Some("[1,null]"), vec![]), // i159
        ("MergePatchJson", "nope", "{k: '{}'}", None, vec!["annotation-not-json"]),     // i156
        ("MergePatchJson", "{}", "{k: nope}", None, vec!["annotation-not-json"]),       // i157
        ("MergePatchJson", "1", "{k: '1'}", None, vec!["annotation-not-json"]),         // i160
        ("Replace", "new", "{k: old}", Some("old"), vec![]),                            // i292
    ] {
        let (got, actual_codes) = patched(policy, patch, old);
        assert_eq!((got.as_deref(), actual_codes), (value, codes), "{policy} {patch} {old}");
    }
}

#[test]
fn a_stored_patch_is_stable() {
    // Kruise would merge its own text again and write it again.
    let spec = indoc! {r#"
        containers:
        - {name: log, image: l}
        patchPodMetadata:
        - annotations: {k: '{ "b": 1, "a": null }'}
          patchPolicy: MergePatchJson
    "#};
    let case = with_annotations(&[("s", spec)], "{}").next();
    assert!(case.run().template.is_none());
    assert_eq!(annotation(&case.value, "k"), Some("{ \"b\": 1, \"a\": null }"));
}

#[test]
fn order_that_shows_in_content_is_a_warning() {
    let patch = |value: &str| {
        formatdoc! {"
            initContainers:
            - name: i{value}
              image: l
            patchPodMetadata:
            - annotations:
                k: {value}
              patchPolicy: Overwrite
        "}
    };
    let (one, two) = (patch("a"), patch("b"));
    let outcome = InjectionCase::new(&[("a", &one), ("b", &two)], APP).run(); // i163 i164
    let found = &outcome.diagnostics[0];
    assert_eq!(
        (found.code.name(), found.severity, found.spans.len()),
        ("set-order-matters", Severity::Warning, 2)
    );
    assert_eq!(annotation(&outcome.template.expect("it is injected"), "k"), Some("b"));
    let same = InjectionCase::new(&[("a", &one), ("b", "initContainers: [{name: z, image: l}]")], APP).run();
    assert!(same.diagnostics.is_empty());
    let places = InjectionCase::new(&[("a", "containers: [{name: x, image: x}]"), LOG], APP).run();
    assert_eq!(places.diagnostics[0].severity, Severity::Note);
}

#[test]
fn the_injected_list_and_old_hashes() {
    let case = with_annotations(&[LOG], &one_annotation(LIST, "z, a,z")).annotations(AnnotationMode::Kruise);
    assert_eq!(annotation(&case.value(), LIST), Some(" a,log,z")); // i233 i234
    let old = one_annotation(HASH, r#"{"other":"h"}"#); // i231
    let value = with_annotations(&[LOG], &old).annotations(AnnotationMode::Kruise).value();
    let entries: Value = serde_json::from_str(annotation(&value, HASH).expect("hashes")).expect("JSON");
    assert_eq!(
        entries["other"],
        json!({"updateTimestamp": null, "hash": "h", "sidecarSetName": "other", "sidecarList": null})
    );
    assert_eq!(entries["log"]["sidecarList"], json!(["log"]));
    let broken = one_annotation(HASH, "nope");
    assert_eq!(
        with_annotations(&[LOG], &broken).annotations(AnnotationMode::Kruise).errors(),
        ["unreadable-hashes"]
    ); // i230
    assert!(with_annotations(&[], &broken).annotations(AnnotationMode::Kruise).run().diagnostics.is_empty()); // i232
    assert!(with_annotations(&[LOG], &broken).run().diagnostics.is_empty(), "it is not read");
}

#[test]
fn an_annotation_of_null_is_refused() {
    // Kruise's webhook panics on it. f008 f009 f010
    for key in [HASH, "kruise.io/sidecarset-hash-without-image"] {
        let case = with_annotations(&[LOG], &one_annotation(key, "null")).annotations(AnnotationMode::Kruise);
        assert_eq!(case.errors(), ["unreadable-hashes"], "{key}");
    }
    let hot = "{upgradeType: HotUpgrade, hotUpgradeEmptyImage: e}";
    let hot = formatdoc! {"
        containers:
        - name: mesh
          image: m
          upgradeStrategy: {hot}
    "};
    let key = "kruise.io/sidecarset-working-hotupgrade-container";
    let working = |text: &str| with_annotations(&[("s", &hot)], &one_annotation(key, text));
    assert_eq!(working("null").errors(), ["unreadable-hashes"]);
    assert!(with_annotations(&[LOG], &one_annotation(key, "null")).run().diagnostics.is_empty());
    let value = working(r#"{"mesh":"mesh-2","a":1,"z":"z-2"}"#).value(); // f006
    assert_eq!(annotation(&value, key), Some(r#"{"a":"","mesh":"mesh-1","z":"z-2"}"#));
}

#[test]
fn times_of_other_sets_are_written_in_utc() {
    let case = |time: &str| {
        let hashes = json!({"o": {"updateTimestamp": time, "hash": "h"}}).to_string();
        with_annotations(&[LOG], &one_annotation(HASH, &hashes)).annotations(AnnotationMode::Kruise)
    };
    let value = case("2024-01-01T00:00:00.5+02:00").value(); // f007
    assert!(
        annotation(&value, HASH).is_some_and(|h| h.contains(r#""updateTimestamp":"2023-12-31T22:00:00Z""#))
    );
    assert_eq!(case("yesterday").errors(), ["unreadable-hashes"]);
}

#[test]
fn resources_are_computed_from_what_reaches_the_webhook() {
    let computed = |resources: &str, expression: &str| {
        let set = formatdoc! {"
            containers:
            - name: log
              image: l
              resourcesPolicy:
                targetContainersMode: sum
                resourcesExpr:
                  requests: {expression}
        "};
        let app = formatdoc! {"
            containers:
            - name: app
              resources: {resources}
        "};
        InjectionCase::new(&[("s", &set)], &app).value()["spec"]["containers"][0]["resources"]["requests"]
            .clone()
    };
    // The API server makes limits requests where there are none. f160 f161
    assert_eq!(computed("{limits: {cpu: 2}}", "{cpu: 'cpu*10%'}"), json!({"cpu": "200m"}));
    let both = "{limits: {cpu: 2}, requests: {cpu: 1}}";
    assert_eq!(computed(both, "{cpu: 'cpu*10%'}"), json!({"cpu": "100m"}));
    let null = "{limits: {cpu: 2}, requests: {cpu: null}}";
    assert_eq!(computed(null, "{cpu: 'cpu*10%'}"), json!({"cpu": "0"}));
    assert_eq!(computed("{limits: {cpu: 2}}", "{memory: 'memory+1Mi'}"), json!({"memory": "1Mi"}));
    // It writes quantities in its own form, which decides about the form of the sum. f019 f020 f021
    let memory = |memory: &str, expression: &str| {
        let requests = format!("{{requests: {{memory: {memory}}}}}");
        computed(&requests, &format!("{{memory: '{expression}'}}"))["memory"].clone()
    };
    assert_eq!(memory("1.5Ki", "memory*2"), json!("3072"));
    assert_eq!(memory("0.1Gi", "memory*1000"), json!("107374182400"));
    assert_eq!(computed("{requests: {cpu: 1E2}}", "{cpu: 'cpu+10m'}"), json!({"cpu": "100010m"}));
}

#[test]
fn every_launch_priority_has_to_be_a_number() {
    let pod = |first: &str, last: &str| {
        formatdoc! {"
            containers:
            - name: app
              env:
              - name: KRUISE_CONTAINER_PRIORITY
                {first}
              - name: KRUISE_CONTAINER_PRIORITY
                {last}
            - name: b
        "}
    };
    for first in ["value: high", "value: ''", "valueFrom: {fieldRef: {fieldPath: metadata.name}}"] {
        let case = InjectionCase::new(&[], &pod(first, "value: '1'"));
        assert_eq!(case.errors(), ["launch-priority-invalid"], "{first}"); // f004 f005
    }
    let case = InjectionCase::new(&[], &pod("value: '5'", "value: '0'"));
    assert!(case.run().template.is_none(), "the last one counts");
}

#[test]
fn modes() {
    let keys = |mode: AnnotationMode| -> Vec<String> {
        let value = InjectionCase::new(&[LOG], APP).annotations(mode).value();
        value["metadata"]["annotations"].as_object().into_iter().flatten().map(|(k, _)| k.clone()).collect()
    };
    assert_eq!(keys(AnnotationMode::Minimal), [LIST]);
    assert_eq!(keys(AnnotationMode::Kruise), [HASH, "kruise.io/sidecarset-hash-without-image", LIST]);
    assert!(keys(AnnotationMode::None).is_empty());
}
