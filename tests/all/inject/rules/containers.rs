//! Containers and their names (sections 4 and 8).

use super::*;

#[test]
fn containers_are_placed() {
    let spec = indoc! {"
        containers:
        - {name: b1, image: x}
        - {name: a1, image: x, podInjectPolicy: AfterAppContainer}
        - name: b2
          image: x
          podInjectPolicy: BeforeAppContainer
        - {name: a2, image: x, podInjectPolicy: AfterAppContainer}
    "};
    assert_eq!(
        names(&InjectionCase::new(&[("s", spec)], APP).value(), "containers"),
        ["b1", "b2", "app", "a1", "a2"]
    ); // i046 i047
    let inits = [
        (
            "a",
            indoc! {"
                initContainers:
                - {name: m, image: x}
                - {name: z, image: x, podInjectPolicy: BeforeAppContainer}
            "},
        ),
        ("b", "initContainers: [{name: c, image: x}]"),
    ];
    let case = InjectionCase::new(&inits, "initContainers: [{name: own}]\ncontainers: [{name: app}]"); // i069
    assert_eq!(names(&case.value(), "initContainers"), ["z", "own", "c", "m"]);
    assert_eq!(case.codes(), ["init-before-app"]);
}

#[test]
fn names_that_are_taken() {
    let own = "containers: [{name: log, image: own}, {name: app}]";
    assert_eq!(InjectionCase::new(&[LOG], own).errors(), ["container-name-taken"]); // i219
    let outcome = InjectionCase::new(&[LOG], own).run();
    assert_eq!(outcome.diagnostics[0].spans.len(), 2, "both places");
    let marked = indoc! {"
        containers:
        - {name: app}
        - name: log
          image: own
          env:
          - {name: IS_INJECTED, value: 'true'}
    "};
    let value = InjectionCase::new(&[LOG], marked).value();
    assert_eq!(names(&value, "containers"), ["app", "log"]);
    assert_eq!(value["spec"]["containers"][1]["image"], "log:1");
    let both = [LOG, ("zog", "containers: [{name: log, image: z}]")];
    assert_eq!(InjectionCase::new(&both, APP).errors(), ["duplicate-container-name"]); // i222
    assert_eq!(InjectionCase::new(&both, marked).errors(), ["duplicate-container-name"]); // i223
    let init = ("i", "initContainers: [{name: log, image: z}]");
    assert_eq!(InjectionCase::new(&[init], own).codes(), ["container-name-in-both-lists"]); // i077
    assert_eq!(InjectionCase::new(&[LOG, init], APP).codes(), ["container-name-in-both-lists"]); // i225
    assert_eq!(
        InjectionCase::new(&[LOG], "initContainers: [{name: log}]\ncontainers: [{name: app}]").codes(),
        ["container-name-in-both-lists"]
    ); // i221
    assert_eq!(
        InjectionCase::new(&[init], "initContainers: [{name: log}]\ncontainers: [{name: app}]").errors(),
        ["container-name-taken"]
    ); // i076
    // i242: ephemeral containers are no conflict.
    let case = InjectionCase::new(
        &[LOG],
        indoc! {"
            ephemeralContainers:
            - {name: log}
            containers:
            - {name: app}
        "},
    );
    assert_eq!(names(&case.value(), "containers"), ["log", "app"]);
}

#[test]
fn hot_upgrade_pairs() {
    let hot = |list: &str, more: &str| {
        formatdoc! {"
            {list}:
            - name: x
              image: 'x:1'
              upgradeStrategy:
                upgradeType: HotUpgrade
                hotUpgradeEmptyImage: 'e:1'
              {more}
        "}
    };
    let (main, plain) = (hot("containers", ""), hot("initContainers", ""));
    let native = hot("initContainers", "restartPolicy: Always");
    let value = InjectionCase::new(&[("s", &main)], APP).value(); // i207
    assert_eq!(names(&value, "containers"), ["x-1", "x-2", "app"]);
    assert_eq!(value["spec"]["containers"][1]["image"], "e:1");
    assert_eq!(env(&value, "x-1"), ["IS_INJECTED=true", "SIDECARSET_VERSION=?", "SIDECARSET_VERSION_ALT=?"]);
    assert_eq!(annotation(&value, "version.sidecarset.kruise.io/x-2"), Some("0"));
    assert_eq!(
        annotation(&value, "kruise.io/sidecarset-working-hotupgrade-container"),
        Some(r#"{"x":"x-1"}"#)
    );
    assert_eq!(names(&InjectionCase::new(&[("s", &native)], APP).value(), "initContainers"), ["x-1", "x-2"]); // i078
    assert_eq!(names(&InjectionCase::new(&[("s", &plain)], APP).value(), "initContainers"), ["x"]); // i079
    // i215 i216: `x` is not a conflict, `x-1` is.
    assert_eq!(
        names(&InjectionCase::new(&[("s", &main)], "containers: [{name: x}]").value(), "containers"),
        ["x-1", "x-2", "x"]
    );
    assert_eq!(
        InjectionCase::new(&[("s", &main)], "containers: [{name: x-1}]").errors(),
        ["container-name-taken"]
    );
    // i213: what the pod says is joined; i214: unreadable content is dropped.
    for (old, new) in [("'{\"a\":\"a-2\"}'", r#"{"a":"a-2","x":"x-1"}"#), ("nope", r#"{"x":"x-1"}"#)] {
        let pod = formatdoc! {"
            metadata:
              labels:
                app: web
              annotations:
                kruise.io/sidecarset-working-hotupgrade-container: {old}
            spec:
              containers:
              - name: app
        "};
        let value = InjectionCase::of(&[("s", &main)], &pod).value();
        assert_eq!(annotation(&value, "kruise.io/sidecarset-working-hotupgrade-container"), Some(new));
    }
    // Every mode writes them: the containers read them.
    let none = InjectionCase::new(&[("s", &main)], APP).annotations(AnnotationMode::None).value();
    assert_eq!(annotation(&none, "version.sidecarset.kruise.io/x-1"), Some("1"));
    assert_eq!(annotation(&none, LIST), None);
    // A pair that goes takes its annotations along.
    let without_sets = InjectionCase::new(&[("s", &main)], APP).next().sets(&[]);
    assert_eq!(without_sets.value()["metadata"].get("annotations"), None);
}

#[test]
fn a_pair_keeps_the_pull_policy_of_its_image() {
    let spec = indoc! {"
        containers:
        - name: x
          image: 'x:latest'
          upgradeStrategy: {upgradeType: HotUpgrade, hotUpgradeEmptyImage: 'e:1'}
    "};
    let value = InjectionCase::new(&[("s", spec)], APP).value();
    assert_eq!(value["spec"]["containers"][0].get("imagePullPolicy"), None);
    assert_eq!(value["spec"]["containers"][1]["imagePullPolicy"], "Always");
    let spec = indoc! {"
        containers:
        - name: x
          image: 'x:1'
          upgradeStrategy: {upgradeType: HotUpgrade}
    "};
    let case = InjectionCase::new(&[("s", spec)], APP); // i212
    assert_eq!(case.value()["spec"]["containers"][1].get("image"), None);
}
