//! Wording of every diagnostic of injection: golden/inject/diagnostics.txt, rewritten with UPDATE_GOLDEN=1.

use crate::inject::rules::InjectionCase;
use indoc::{formatdoc, indoc};
use pillion::diagnostics::{Code, Diagnostic, Severity};
use pillion::model::config::AnnotationMode;
use std::path::Path;

const APP: &str = "containers: [{name: app, image: a}]";

fn cases() -> Vec<InjectionCase> {
    let log = ("log", "containers: [{name: log, image: 'log:1'}]");
    let two = [log, ("zog", "containers: [{name: log, image: z}]")];
    let patch = |value: &str| {
        formatdoc! {"
            initContainers:
            - name: i-{value}
              image: l
            patchPodMetadata:
            - annotations:
                k: {value}
              patchPolicy: Overwrite
        "}
    };
    let (one, other) = (patch("one"), patch("other"));
    let merge = |patch: &str| {
        formatdoc! {"
            containers:
            - name: log
              image: l
            patchPodMetadata:
            - annotations:
                k: '{patch}'
              patchPolicy: MergePatchJson
        "}
    };
    let (good, bad) = (merge("{}"), merge("text"));
    let annotated = |sets: &[(&str, &str)], annotation: &str| {
        let pod = formatdoc! {"
            metadata:
              name: web-0
              labels:
                app: web
              annotations:
                {annotation}
            spec:
              {APP}
        "};
        InjectionCase::of(sets, &pod)
    };
    let transfer = indoc! {r#"
        containers:
        - name: log
          image: l
          transferEnv:
          - {sourceContainerName: nope, envName: A}
          - {sourceContainerName: app, envNames: [B, C]}
          - sourceContainerNameFrom:
              fieldRef: {fieldPath: "metadata.labels['no']"}
            envName: D
    "#};
    let resources = |names: &str, expressions: &str| {
        formatdoc! {"
            containers:
            - name: log
              image: l
              resourcesPolicy:
                targetContainersMode: sum
                targetContainersNameRegex: '{names}'
                resourcesExpr: {expressions}
        "}
    };
    let revision = |strategy: &str| {
        formatdoc! {"
            containers:
            - name: log
              image: l
            {strategy}
        "}
    };
    let with_volume = indoc! {"
        containers:
        - name: log
          image: l
          volumeMounts:
          - {name: v, mountPath: /v}
        volumes:
        - {name: v, emptyDir: {}}
        imagePullSecrets:
        - {name: sec}
    "};
    let other_volume = indoc! {"
        containers:
        - name: log
          image: l
          volumeMounts:
          - {name: v, mountPath: /v}
        volumes:
        - {name: v, emptyDir: {medium: Memory}}
        imagePullSecrets:
        - {name: sec}
    "};
    let token = indoc! {"
        containers:
        - name: app
          volumeMounts:
          - name: t
            mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    "};
    let priority = |value: &str| {
        formatdoc! {"
            containers:
            - name: app
              env:
              - name: KRUISE_CONTAINER_PRIORITY
                value: {value}
            - name: aux
        "}
    };
    vec![
        InjectionCase::new(&[log], "containers: [{name: log, image: own}]"),
        InjectionCase::new(&two, APP),
        InjectionCase::new(
            &[(
                "two",
                indoc! {"
                    containers:
                    - {name: x-1, image: x}
                    - name: x
                      image: x
                      upgradeStrategy: {upgradeType: HotUpgrade, hotUpgradeEmptyImage: e}
                "},
            )],
            APP,
        ),
        InjectionCase::new(&[log], "initContainers: [{name: log}]\ncontainers: [{name: app}]"),
        InjectionCase::new(&[log, ("init", "initContainers: [{name: log, image: z}]")], APP),
        InjectionCase::new(&[("one", &one), ("two", &other)], APP),
        InjectionCase::new(
            &[
                log,
                (
                    "mesh",
                    indoc! {"
                        containers:
                        - {name: mesh, image: m}
                        imagePullSecrets:
                        - {name: s}
                    "},
                ),
            ],
            APP,
        ),
        InjectionCase::new(
            &[(
                "log",
                indoc! {"
                    namespaceSelector: {matchLabels: {team: a}}
                    containers:
                    - {name: log, image: l}
                "},
            )],
            APP,
        )
        .namespace("shop", None),
        InjectionCase::new(
            &[("log", &revision("injectionStrategy: {revision: {revisionName: log-0}}"))],
            APP,
        ),
        InjectionCase::new(&[("log", &revision("injectionStrategy: {revision: {customVersion: v2}}"))], APP)
            .history(&[("log", "customVersion: v1\ncontainers: [{name: log, image: old}]")]),
        InjectionCase::new(
            &[(
                "log",
                &revision(indoc! {"
                    injectionStrategy:
                      revision: {customVersion: v1, policy: Partial}
                    updateStrategy: {partition: 30%}
                "}),
            )],
            APP,
        )
        .history(&[("log", "customVersion: v1\ncontainers: [{name: log, image: old}]")]),
        InjectionCase::new(
            &[(
                "log",
                indoc! {"
                    containers:
                    - name: log
                      image: l
                      volumeMounts:
                      - {name: nowhere, mountPath: /n}
                "},
            )],
            APP,
        ),
        annotated(&[("log", &good)], "k: text"),
        annotated(&[("log", &bad)], "k: '{}'"),
        annotated(&[("log", &bad)], ""),
        annotated(&[log], "kruise.io/sidecarset-hash: text").annotations(AnnotationMode::Kruise),
        InjectionCase::new(&[("log", transfer)], APP),
        InjectionCase::new(
            &[("log", "containers: [{name: log, image: l, shareVolumePolicy: {type: enabled}}]")],
            token,
        ),
        InjectionCase::new(
            &[(
                "log",
                indoc! {"
                    initContainers:
                    - name: prepare
                      image: p
                      podInjectPolicy: BeforeAppContainer
                "},
            )],
            APP,
        ),
        InjectionCase::new(&[], &priority("high")),
        InjectionCase::new(&[], &priority("'5'")).template(),
        InjectionCase::new(&[("log", with_volume)], APP).next().sets(&[]),
        InjectionCase::new(&[("log", with_volume)], APP).next().sets(&[("log", other_volume)]),
        InjectionCase::new(&[("log", &resources("^main$", "{limits: {cpu: cpu}}"))], APP),
        InjectionCase::new(&[("log", &resources("(", "{limits: {cpu: cpu}}"))], APP),
        InjectionCase::new(&[("log", &resources(".*", "{requests: {cpu: cpu*100m, memory: 5Q}}"))], APP),
        InjectionCase::new(&[("log", &resources(".*", "{requests: {cpu: cpu-1}}"))], APP),
        InjectionCase::new(
            &[("log", &resources(".*", "{limits: {cpu: cpu}, requests: {memory: '1.5'}}"))],
            APP,
        ),
        InjectionCase::new(
            &[("log", &resources(".*", "{requests: {cpu: cpu}}"))],
            "containers: [{name: app, resources: {requests: {cpu: lots}}}]",
        ),
        InjectionCase::of(&[log], "metadata: {labels: {app: 1}}\nspec: {containers: nope}"),
    ]
}

fn shown(diagnostic: &Diagnostic) -> String {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let mut lines = vec![format!("{severity}[{}]: {}", diagnostic.code.name(), diagnostic.message)];
    lines.extend(
        diagnostic.spans.iter().map(|l| format!("  --> {}: {}", l.file, l.label).trim_end().to_owned()),
    );
    lines.extend(diagnostic.field.iter().map(|field| format!("  = field: {field}")));
    lines.extend(diagnostic.notes.iter().map(|note| format!("  = note: {note}")));
    lines.extend(diagnostic.help.iter().map(|help| format!("  = help: {help}")));
    lines.join("\n")
}

#[test]
fn words_of_the_diagnostics() {
    let cases = cases();
    let diagnostics: Vec<Diagnostic> = cases.iter().flat_map(|case| case.run().diagnostics).collect();
    for diagnostic in &diagnostics {
        assert!(!diagnostic.spans.is_empty() && diagnostic.help.is_some(), "{diagnostic:?}");
    }
    let is_ours = |code: &&Code| (Code::ContainerNameTaken..=Code::ResourcesPlainNumber).contains(*code);
    for code in Code::ALL.iter().filter(is_ours) {
        assert!(diagnostics.iter().any(|d| d.code == *code), "no case shows {}", code.name());
    }
    let text = diagnostics.iter().map(|d| shown(d) + "\n").collect::<Vec<_>>().join("\n");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/inject/diagnostics.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(file.parent().expect("it is in a folder")).expect("the folder can be made");
        std::fs::write(&file, &text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, golden, "run with UPDATE_GOLDEN=1 and read the difference");
}
