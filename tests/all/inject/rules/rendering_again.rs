//! Rendering what is rendered already.

use super::*;

const WITH_ALL: &str = indoc! {"
    initContainers:
    - {name: prep, image: p}
    containers:
    - name: log
      image: 'log:1'
      volumeMounts:
      - {name: v, mountPath: /v}
    - {name: extra, image: e}
    volumes:
    - {name: v, emptyDir: {}}
    imagePullSecrets:
    - {name: sec}
    patchPodMetadata:
    - {annotations: {k: old}, patchPolicy: Retain}
"};

#[test]
fn an_upgrade_is_like_a_first_injection() {
    let next = indoc! {"
        containers:
        - name: first
          image: f
          volumeMounts:
          - {name: w, mountPath: /w}
        - name: log
          image: 'log:2'
          volumeMounts:
          - {name: v, mountPath: /v}
        volumes:
        - {name: v, emptyDir: {medium: Memory}}
        - {name: w, emptyDir: {}}
        imagePullSecrets:
        - {name: other}
        patchPodMetadata:
        - {annotations: {k: new}, patchPolicy: Retain}
    "};
    let app = indoc! {"
        containers:
        - {name: app, image: a}
        volumes:
        - {name: own, emptyDir: {}}
    "};
    let direct = InjectionCase::new(&[("s", next)], app).value();
    let case =
        InjectionCase::new(&[("s", WITH_ALL)], app).next().sets(&[("s", next)]).history(&[("s", WITH_ALL)]);
    assert_eq!(case.value(), direct);
    assert_eq!(names(&case.value(), "containers"), names(&direct, "containers"));
    assert_eq!(case.codes(), Vec::<&str>::new());
}

#[test]
fn a_deleted_set_takes_its_containers_along() {
    let app = indoc! {"
        containers:
        - {name: app, image: a}
        volumes:
        - {name: own, emptyDir: {}}
        imagePullSecrets:
        - {name: mine}
    "};
    let case = InjectionCase::new(&[("s", WITH_ALL), LOG2], app).next();
    let with_history = |case: InjectionCase| case.sets(&[LOG2]).history(&[("s", WITH_ALL)]);
    assert_eq!(with_history(case).value(), InjectionCase::new(&[LOG2], app).value());
    let case = InjectionCase::new(&[("s", WITH_ALL), LOG2], app).next().sets(&[LOG2]);
    let value = case.value();
    assert_eq!(names(&value, "containers"), ["mesh", "app"]);
    assert_eq!(value["spec"].get("initContainers"), None);
    assert_eq!(names(&value, "volumes"), ["own", "v"], "its owner is unknown");
    assert_eq!(names(&value, "imagePullSecrets"), ["mine", "sec"]);
    assert_eq!(annotation(&value, LIST), Some("mesh"));
    assert_eq!(case.codes(), ["unknown-owner"]);
    let removed: Vec<String> = case.run().trace.removed.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(removed, ["spec.initContainers[0]", "spec.containers[1]", "spec.containers[2]"]);
    assert!(case.next().run().template.is_none());
}

const LOG2: (&str, &str) = ("mesh", "containers: [{name: mesh, image: m}]");

#[test]
fn a_set_that_no_longer_selects_takes_all_along() {
    let other = formatdoc! {"
        selector:
          matchLabels:
            app: other
        {WITH_ALL}
    "};
    let case = InjectionCase::new(&[("s", WITH_ALL)], APP).next().sets(&[("s", &other)]);
    assert_eq!(case.value(), case.pod.value().clone());
    assert_eq!(case.codes(), Vec::<&str>::new());
}

#[test]
fn what_others_injected_stays() {
    let marked = indoc! {"
        containers:
        - {name: app}
        - name: foreign
          env:
          - {name: IS_INJECTED, value: 'true'}
    "};
    let value = InjectionCase::new(&[LOG], marked).value();
    assert_eq!(names(&value, "containers"), ["log", "app", "foreign"], "no list names a set");
    // A list that a person wrote into a pod without sidecars is left as it is.
    let case = with_annotations(&[LOG], &one_annotation(LIST, "other"));
    assert_eq!(annotation(&case.value(), LIST), Some("log,other"));
}

#[test]
fn a_volume_that_may_be_the_applications_is_told() {
    let (one, two) = (
        indoc! {"
            containers:
            - name: log
              image: l
              volumeMounts:
              - {name: v, mountPath: /v}
            volumes:
            - {name: v, emptyDir: {}}
        "},
        indoc! {"
            containers:
            - name: log
              image: l
              volumeMounts:
              - {name: v, mountPath: /v}
            volumes:
            - {name: v, emptyDir: {medium: Memory}}
        "},
    );
    let case = InjectionCase::new(&[("s", one)], APP).next().sets(&[("s", two)]);
    assert_eq!(case.codes(), ["unknown-owner"]);
    assert_eq!(case.value()["spec"]["volumes"], json!([{"name": "v", "emptyDir": {}}]));
    let case = case.history(&[("s", one)]);
    assert_eq!(case.value()["spec"]["volumes"], json!([{"name": "v", "emptyDir": {"medium": "Memory"}}]));
    // The application's own volume stays where the history tells of another one.
    let own = indoc! {"
        containers:
        - {name: app, image: a}
        volumes:
        - {name: v, hostPath: {path: /}}
    "};
    let case = InjectionCase::new(&[("s", one)], own).next().sets(&[("s", two)]).history(&[("s", one)]);
    assert!(case.run().template.is_none() && case.codes().is_empty());
}

#[test]
fn the_new_template_keeps_the_order_of_keys() {
    let pod = indoc! {"
        spec:
          volumes: []
          containers:
          - {image: a, name: app}
          nodeName: n
        metadata: {labels: {app: web}, name: a}
    "};
    let value = InjectionCase::of(&[("s", WITH_ALL)], pod).value();
    let keys = |v: &Value| v.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    assert_eq!(keys(&value), ["apiVersion", "kind", "spec", "metadata"]);
    assert_eq!(
        keys(&value["spec"]),
        ["volumes", "containers", "nodeName", "initContainers", "imagePullSecrets"]
    );
    assert_eq!(keys(&value["metadata"]), ["labels", "name", "annotations"]);
}

#[test]
fn odd_shapes_are_told() {
    for (pod, field) in [
        ("metadata: {labels: {app: web}}\nspec: {containers: nope}", "spec.containers"),
        ("metadata: {labels: {app: web}}\nspec: {containers: [1]}", "spec.containers[0]"),
        ("metadata: {labels: {app: 1}}\nspec: {}", "metadata.labels.app"),
        ("metadata: {labels: [a]}\nspec: {}", "metadata.labels"),
        ("metadata: a\nspec: {}", "metadata"),
        ("metadata: {labels: {app: web}}\nspec: []", "spec"),
        (
            indoc! {"
                metadata: {labels: {app: web}, annotations: {a: true}}
                spec: {}
            "},
            "metadata.annotations.a",
        ),
    ] {
        let outcome = InjectionCase::of(&[LOG], pod).run();
        assert_eq!(
            outcome.diagnostics.iter().map(|d| d.code.name()).collect::<Vec<_>>(),
            ["wrong-type"],
            "{pod}"
        );
        assert_eq!(outcome.diagnostics[0].field.as_deref(), Some(field));
    }
    for pod in [
        "metadata: {labels: {app: web}}\nspec: {}",
        "metadata: {labels: {app: web}}",
        indoc! {"
            metadata: {labels: {app: web}}
            spec: {containers: null, volumes: null}
        "},
    ] {
        assert_eq!(names(&InjectionCase::of(&[LOG], pod).value(), "containers"), ["log"], "{pod}");
    }
}

#[test]
fn the_trace_says_what_came_from_where() {
    let spec = indoc! {"
        containers:
        - name: log
          image: l
          shareVolumePolicy: {type: enabled}
          transferEnv:
          - {sourceContainerName: app, envName: A}
          volumeMounts:
          - {name: v, mountPath: /v}
        volumes:
        - {name: v, emptyDir: {}}
        imagePullSecrets:
        - {name: sec}
        patchPodMetadata:
        - {annotations: {k: v}}
    "};
    let other = (
        "other",
        indoc! {"
            selector: {matchLabels: {app: api}}
            containers:
            - {name: x, image: x}
        "},
    );
    let app = indoc! {"
        containers:
        - name: app
          env:
          - {name: A, value: a}
          volumeMounts:
          - {name: d, mountPath: /d}
    "};
    let trace = InjectionCase::new(&[("s", spec), other], app).run().trace;
    let sets: Vec<String> = trace.sets.iter().map(|s| format!("{}: {:?}", s.set, s.verdict)).collect();
    assert_eq!(
        sets,
        [
            "other: Skipped(\"the pod's label `app` is `web`, the selector requires `api`\")",
            "s: Injected(\"the set as it is\")",
        ]
    );
    let origins: Vec<String> = trace.origins.iter().map(|o| format!("{}: {}", o.path, o.reason)).collect();
    assert_eq!(
        origins,
        [
            "metadata.annotations.k: `patchPodMetadata`",
            "spec.containers[0]: a container of the set",
            "spec.containers[0].env[0]: marks an injected container",
            "spec.containers[0].env[1]: `transferEnv` from container `app`",
            "spec.containers[0].volumeMounts[1]: shared with container `app`",
            "spec.volumes[0]: mounted by a container of the set",
            "spec.imagePullSecrets[0]: a pull secret of the set",
            "metadata.annotations[\"kruise.io/sidecarset-injected-list\"]: written by injection",
        ]
    );
}
