//! Which sets apply to a pod (section 3).

use super::*;

#[test]
fn selectors() {
    let injected = |selector: &str, labels: &str| {
        let spec = formatdoc! {"
            selector: {selector}
            containers:
            - name: log
              image: l
        "};
        let pod = formatdoc! {"
            metadata:
              name: web-0
              labels: {labels}
            spec:
              containers:
              - name: app
        "};
        !InjectionCase::of(&[("log", &spec)], &pod).run().injected_sets.is_empty()
    };
    for (selector, labels, wanted) in [
        ("{matchLabels: {app: web}}", "{app: web}", true), // i001
        ("{matchLabels: {app: ''}}", "{tier: x}", false),  // i005
        ("{matchExpressions: [{key: app, operator: In, values: [web, api]}]}", "{app: api}", true), // i006
        ("{matchExpressions: [{key: app, operator: In, values: [web]}]}", "{tier: x}", false), // i008
        ("{matchExpressions: [{key: app, operator: NotIn, values: [web]}]}", "{app: web}", false), // i010
        ("{matchExpressions: [{key: app, operator: Exists}]}", "{app: ''}", true), // i012
        ("{matchExpressions: [{key: app, operator: DoesNotExist}]}", "{app: ''}", false), // i015
        ("{matchLabels: {app: web}, matchExpressions: [{key: t, operator: Exists}]}", "{app: web}", false), // i018
        ("{}", "{app: web}", false), // i020
    ] {
        assert_eq!(injected(selector, labels), wanted, "{selector} {labels}");
    }
}

#[test]
fn namespaces() {
    let injected = |selector: &str, labels: Option<&[(&str, &str)]>| {
        let spec = formatdoc! {"
            namespaceSelector: {selector}
            containers:
            - name: log
              image: l
        "};
        let outcome = InjectionCase::new(&[("log", &spec)], APP).namespace("shop", labels).run();
        let unknown = outcome.diagnostics.iter().any(|d| d.code.name() == "namespace-labels-unknown");
        assert!(!unknown || outcome.template.is_none());
        if unknown { None } else { Some(!outcome.injected_sets.is_empty()) }
    };
    let known: Option<&[(&str, &str)]> = Some(&[("team", "a")]);
    for (selector, labels, wanted) in [
        ("{matchLabels: {team: a}}", known, Some(true)),  // i025
        ("{matchLabels: {team: b}}", known, Some(false)), // i026
        ("{matchLabels: {kubernetes.io/metadata.name: shop}}", known, Some(true)), // i028
        ("{matchExpressions: [{key: team, operator: DoesNotExist}]}", known, Some(false)), // i034
        ("{}", None, Some(true)),                         // i036
        ("{matchExpressions: [{key: team, operator: DoesNotExist}]}", None, None), // i037
        ("{matchLabels: {kubernetes.io/metadata.name: shop}}", None, Some(true)),
        ("{matchLabels: {kubernetes.io/metadata.name: other, team: a}}", None, Some(false)),
        ("{matchLabels: {kubernetes.io/metadata.name: shop, team: a}}", None, None),
    ] {
        assert_eq!(injected(selector, labels), wanted, "{selector}");
    }
    // A set that does not want the pod never asks for labels of its namespace.
    let other = (
        "log",
        indoc! {"
            selector: {matchLabels: {app: other}}
            namespaceSelector: {matchLabels: {team: a}}
            containers:
            - {name: l, image: l}
        "},
    );
    assert_eq!(InjectionCase::new(&[other], APP).namespace("shop", None).codes(), Vec::<&str>::new());
}

#[test]
fn the_webhook_is_not_called_for_control_planes() {
    let case = InjectionCase::new(
        &[LOG],
        indoc! {"
            containers:
            - name: app
              env:
              - {name: KRUISE_CONTAINER_PRIORITY, value: x}
            - {name: b}
        "},
    );
    let case = case.namespace("ops", Some(&[("control-plane", "")]));
    let outcome = case.run(); // i041
    assert!(outcome.template.is_none() && outcome.diagnostics.is_empty());
    assert!(
        matches!(&outcome.trace.sets[0].verdict, InjectionVerdict::Skipped(why) if why.contains("control-plane"))
    );
}

#[test]
fn inactive_pods_stay() {
    for more in ["status: {phase: Succeeded}", "status: {phase: Failed}"] {
        let pod = formatdoc! {"
            metadata:
              name: a
              labels:
                app: web
            spec:
              containers:
              - name: app
            {more}
        "};
        assert!(InjectionCase::of(&[LOG], &pod).run().template.is_none(), "{more}"); // i243 i244
        assert!(InjectionCase::of(&[LOG], &pod).template().run().template.is_some(), "a template has no end");
    }
    let pod = |priority: &str| {
        formatdoc! {"
            metadata:
              name: a
              labels:
                app: web
            spec:
              containers:
              - name: app
                env:
                - name: KRUISE_CONTAINER_PRIORITY
                  value: '{priority}'
              - name: b
            status:
              phase: Failed
        "}
    };
    let value = InjectionCase::of(&[LOG], &pod("1")).value();
    assert_eq!(names(&value, "containers"), ["app", "b"]);
    assert_eq!(env(&value, "b"), ["KRUISE_CONTAINER_BARRIER=?"]); // f001 f089
    assert_eq!(InjectionCase::of(&[LOG], &pod("high")).errors(), ["launch-priority-invalid"]); // f003
    let barred = InjectionCase::of(&[LOG], &pod("1")).namespace("default", Some(&[("control-plane", "")]));
    assert!(barred.run().template.is_none());
}

#[test]
fn sets_bound_to_the_namespace_come_first() {
    let bound = [
        indoc! {"
            namespaceSelector:
              matchLabels: {kubernetes.io/metadata.name: default}
        "},
        indoc! {"
            namespaceSelector:
              matchExpressions:
              - key: kubernetes.io/metadata.name
                operator: In
                values: [x, default]
        "},
        "namespace: default",
    ];
    for bound in bound {
        // i042 i030
        let late = formatdoc! {"
            {bound}
            containers:
            - name: z
              image: z
        "};
        let value =
            InjectionCase::new(&[("a", "containers: [{name: a, image: a}]"), ("z", &late)], APP).value();
        assert_eq!(names(&value, "containers"), ["z", "a", "app"], "{bound}");
    }
}
