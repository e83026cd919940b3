//! Environment, volumes and pull secrets (sections 5 to 7).

use super::*;

#[test]
fn environment_of_a_sidecar() {
    let spec = indoc! {"
        containers:
        - name: log
          image: l
          env:
          - {name: OWN, value: o}
          shareVolumePolicy: {type: enabled}
          transferEnv:
          - sourceContainerName: app
            envNames: [Z, B, OWN, B]
            envName: A
    "};
    let app = indoc! {"
        containers:
        - name: app
          env:
          - {name: A, value: '1'}
          - {name: B, value: '1'}
          - {name: B, value: '2'}
          - {name: Z, value: z}
          - {name: OWN, value: x}
          - {name: P, value: p1}
          - {name: P, value: p2}
          volumeMounts:
          - name: d
            mountPath: /d
            subPathExpr: '$(P)/$(NONE)/$(A)'
          - {name: d, mountPath: /e}
        volumes:
        - {name: d, emptyDir: {}}
    "};
    let value = InjectionCase::new(&[("s", spec)], app).value(); // i107 i120 i125 i105 i110
    assert_eq!(env(&value, "log"), ["OWN=o", "IS_INJECTED=true", "A=1", "B=2", "Z=z", "P=p1"]);
    assert_eq!(value["spec"]["containers"][0]["volumeMounts"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_cannot_be_transferred_is_told() {
    let spec = |term: &str| {
        formatdoc! {"
            containers:
            - name: log
              image: l
              transferEnv: [{term}]
        "}
    };
    let app = "containers: [{name: app, env: [{name: A, value: a}]}]";
    for (term, wanted) in [
        ("{sourceContainerName: app, envName: A}", vec![]),
        ("{sourceContainerName: nope, envName: A}", vec!["transfer-env-missing"]), // i122
        ("{sourceContainerName: app, envName: B}", vec!["transfer-env-missing"]),  // i123
        ("{envName: A}", vec![]), // i124: the validation of the set tells
        ("{sourceContainerName: nope, envName: A}, {sourceContainerName: app, envName: A}", vec![]),
        (
            "{sourceContainerName: app, sourceContainerNameFrom: {fieldRef: {fieldPath: \"metadata.labels['no']\"}}, envName: A}",
            vec!["transfer-env-missing"],
        ), // i132
        (
            "{sourceContainerName: x, sourceContainerNameFrom: {fieldRef: {fieldPath: \"metadata.labels['app']\"}}, envName: A}",
            vec!["transfer-env-missing"],
        ),
    ] {
        assert_eq!(InjectionCase::new(&[("s", &spec(term))], app).codes(), wanted, "{term}");
    }
}

#[test]
fn patched_annotations_name_the_source() {
    let spec = indoc! {r#"
        patchPodMetadata:
        - annotations: {main: app}
          patchPolicy: Overwrite
        containers:
        - name: log
          image: l
          transferEnv:
          - sourceContainerNameFrom:
              fieldRef: {fieldPath: "metadata.annotations['main']"}
            envName: A
    "#};
    let value =
        InjectionCase::new(&[("s", spec)], "containers: [{name: app, env: [{name: A, value: a}]}]").value(); // i138
    assert_eq!(env(&value, "log"), ["IS_INJECTED=true", "A=a"]);
}

#[test]
fn sidecars_never_see_each_other() {
    // i100 i137, and the same on a second pass.
    let sets = [
        (
            "a",
            indoc! {"
                containers:
                - name: a
                  image: a
                  env:
                  - {name: A, value: a}
                  volumeMounts:
                  - {name: v, mountPath: /v}
                volumes:
                - {name: v, emptyDir: {}}
            "},
        ),
        (
            "b",
            indoc! {"
                containers:
                - name: b
                  image: b
                  shareVolumePolicy: {type: enabled}
                  transferEnv:
                  - {sourceContainerName: a, envName: A}
            "},
        ),
    ];
    let case = InjectionCase::new(&sets, APP);
    let first = case.value();
    assert_eq!(env(&first, "b"), ["IS_INJECTED=true"]);
    assert_eq!(first["spec"]["containers"][1].get("volumeMounts"), None);
    assert_eq!(case.next().value(), first);
}

#[test]
fn devices_are_shared_after_mounts() {
    let spec = indoc! {"
        containers:
        - name: log
          image: l
          shareVolumePolicy: {type: enabled}
          shareVolumeDevicePolicy: {type: enabled}
          volumeDevices:
          - {name: own, devicePath: /x}
        volumes:
        - name: own
          persistentVolumeClaim: {claimName: c}
    "};
    let app = indoc! {"
        containers:
        - name: app
          volumeMounts:
          - {name: d, mountPath: /d}
          - {name: d, mountPath: /x}
          volumeDevices:
          - {name: p, devicePath: /d}
          - {name: p, devicePath: /p}
    "};
    let log = InjectionCase::new(&[("s", spec)], app).value()["spec"]["containers"][0].clone(); // i115 i116 i118
    assert_eq!(log["volumeMounts"], json!([{"name": "d", "mountPath": "/d"}]));
    assert_eq!(
        log["volumeDevices"],
        json!([{"name": "own", "devicePath": "/x"}, {"name": "p", "devicePath": "/p"}])
    );
}

#[test]
fn volumes() {
    let spec = indoc! {"
        initContainers:
        - name: i
          image: i
          volumeMounts:
          - {name: c, mountPath: /c}
        containers:
        - name: log
          image: l
          volumeMounts:
          - {name: b, mountPath: /b}
          - {name: p, mountPath: /p}
          - {name: b, mountPath: /bb}
        volumes:
        - {name: unused, emptyDir: {}}
        - {name: b, emptyDir: {}}
        - {name: c, emptyDir: {}}
        - {name: p, emptyDir: {}}
    "};
    let value = InjectionCase::new(
        &[("s", spec)],
        indoc! {"
            containers:
            - {name: app}
            volumes:
            - {name: p, hostPath: {path: /}}
        "},
    )
    .value();
    assert_eq!(names(&value, "volumes"), ["p", "c", "b"]); // i073 i081 i082 i092 i094
    assert!(value["spec"]["volumes"][0].get("hostPath").is_some());
    let undefined = (
        "s",
        indoc! {"
            containers:
            - name: log
              image: l
              volumeMounts:
              - {name: nowhere, mountPath: /b}
        "},
    );
    assert_eq!(InjectionCase::new(&[undefined], APP).errors(), ["volume-not-defined"]); // i088
}

#[test]
fn pull_secrets() {
    let set = (
        "s",
        indoc! {"
            containers:
            - {name: log, image: l}
            imagePullSecrets:
            - {name: b}
            - {name: a}
            - {name: b}
        "},
    );
    let pod = indoc! {"
        containers:
        - {name: app}
        imagePullSecrets:
        - {name: a}
        - {name: c}
        - {name: a}
    "};
    assert_eq!(names(&InjectionCase::new(&[set], pod).value(), "imagePullSecrets"), ["a", "c", "b"]); // i139 i142
    assert_eq!(names(&InjectionCase::new(&[LOG], pod).value(), "imagePullSecrets"), ["a", "c"]); // i141
    assert!(InjectionCase::new(&[], pod).run().template.is_none()); // i143
    // The list names another set: the secret is the pod's own and stays in front. f025
    let listed = |list: &str| {
        let pod = formatdoc! {"
            metadata:
              name: web-0
              labels:
                app: web
              annotations:
                {LIST}: '{list}'
            spec:
              containers:
              - name: app
              imagePullSecrets:
              - name: a
              - name: c
        "};
        names(&InjectionCase::of(&[set], &pod).value(), "imagePullSecrets")
    };
    assert_eq!(listed("other"), ["a", "c", "b"]);
}

#[test]
fn token_mounts_of_the_manifest() {
    let spec = "containers: [{name: log, image: l, shareVolumePolicy: {type: enabled}}]";
    let app = indoc! {"
        containers:
        - name: app
          volumeMounts:
          - name: t
            mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    "};
    assert_eq!(InjectionCase::new(&[("s", spec)], app).codes(), ["shares-token-mount"]); // i104
}
