//! Resources and launch priority (sections 12 and 13).

use super::*;

#[test]
fn resources() {
    let run = |expressions: &str, names: &str, pod: &str| {
        let spec = formatdoc! {"
            containers:
            - name: log
              image: l
              resources:
                limits:
                  cpu: 9
              resourcesPolicy:
                targetContainersMode: sum
                targetContainersNameRegex: '{names}'
                resourcesExpr: {expressions}
        "};
        let case = InjectionCase::new(&[("s", &spec)], pod);
        let outcome = case.run();
        (outcome.template.map(|v| v["spec"]["containers"][0]["resources"].clone()), case.codes())
    };
    let app = indoc! {"
        initContainers:
        - {name: plain, resources: {limits: {cpu: 4}}}
        - name: native
          restartPolicy: Always
          resources: {limits: {cpu: 2}}
        containers:
        - name: app
          resources: {limits: {cpu: 1, memory: 1Gi}}
        - name: aux
          resources: {limits: {cpu: 500m}}
    "};
    for (expressions, names, wanted, codes) in [
        ("{limits: {cpu: cpu*50%}}", "^(app|aux)$", Some(json!({"limits": {"cpu": "750m"}})), vec![]),
        ("{limits: {cpu: cpu}}", ".*", Some(json!({"limits": {"cpu": "3500m"}})), vec![]), // i334: a native sidecar counts
        ("{limits: {cpu: cpu}}", "(?i)^APP$", Some(json!({"limits": {"cpu": "1"}})), vec![]),
        ("{limits: {memory: memory}}", "a", Some(Value::Null), vec!["resources-limit-left-out"]), // i304
        ("{requests: {cpu: cpu}}", "a", Some(json!({"requests": {"cpu": "3500m"}})), vec![]), // limits are requests
        ("{requests: {memory: memory}}", "aux", Some(json!({"requests": {"memory": "0"}})), vec![]), // i306
        ("{limits: {cpu: cpu}}", "^none$", None, vec!["resources-no-target"]),                // i303
        ("{limits: {cpu: cpu}}", "(", None, vec!["resources-expression"]),
        ("{limits: {cpu: cpu*100m}}", "a", None, vec!["resources-expression"]), // i330
        ("{limits: {cpu: cpu-9}}", "^app$", None, vec!["resources-expression"]), // i315
        ("{limits: {memory: 'MAX(Memory, 1Mi)'}}", "^app$", None, vec!["resources-expression"]), // i329
        ("{limits: {memory: 5Q}}", "^app$", None, vec!["resources-expression"]), // i342
        ("{limits: {memory: memory-128Mi}}", "^app$", Some(json!({"limits": {"memory": "896Mi"}})), vec![]), // i316
        (
            "{limits: {memory: '1.5'}}",
            "^app$",
            Some(json!({"limits": {"memory": "1500m"}})),
            vec!["resources-plain-number"],
        ), // i319
    ] {
        assert_eq!(run(expressions, names, app), (wanted, codes), "{expressions} {names}");
    }
    let bad = "containers: [{name: app, resources: {limits: {cpu: lots}}}]";
    assert_eq!(run("{limits: {cpu: cpu}}", ".*", bad).1, ["invalid-quantity"]);
}

#[test]
fn a_second_pass_computes_from_the_same_containers() {
    // Kruise would count x-1 and x-2 of the first pass: they are not names of the set.
    let spec = indoc! {"
        containers:
        - name: x
          image: 'x:1'
          upgradeStrategy: {upgradeType: HotUpgrade, hotUpgradeEmptyImage: 'e:1'}
          resourcesPolicy:
            targetContainersMode: sum
            resourcesExpr: {limits: {cpu: cpu*2}}
    "};
    let case =
        InjectionCase::new(&[("s", spec)], "containers: [{name: app, resources: {limits: {cpu: 1}}}]").next();
    assert_eq!(case.value["spec"]["containers"][0]["resources"], json!({"limits": {"cpu": "2"}}));
    assert!(case.run().template.is_none());
}

#[test]
fn launch_priority() {
    let app = |value: &str| {
        formatdoc! {"
            containers:
            - name: app
              env:
              - name: KRUISE_CONTAINER_PRIORITY
                value: {value}
            - name: aux
        "}
    };
    let keys = |value: &Value| -> Vec<Value> {
        let containers = value["spec"]["containers"].as_array().cloned().unwrap_or_default();
        containers
            .iter()
            .flat_map(|c| c["env"].as_array().cloned().unwrap_or_default())
            .filter(|e| e["name"] == "KRUISE_CONTAINER_BARRIER")
            .map(|e| e["valueFrom"]["configMapKeyRef"]["key"].clone())
            .collect()
    };
    // i259: also where no set matches.
    let case = InjectionCase::new(&[], &app("'+5'"));
    assert_eq!(keys(&case.value()), ["p_5", "p_0"]); // i251
    assert!(case.next().run().template.is_none(), "once is enough");
    for value in ["''", "' 5'", "'5.0'", "'9223372036854775808'", "'--1'", "'1_0'"] {
        assert_eq!(InjectionCase::new(&[], &app(value)).errors(), ["launch-priority-invalid"], "{value}"); // i254 i258 i269
    }
    let template = InjectionCase::new(&[], &app("'5'")).template();
    assert_eq!(template.codes(), ["launch-priority-in-cluster"]);
    assert!(template.run().template.is_none());
    let spec = indent(&app("'5'"), 2);
    let nameless = formatdoc! {"
        metadata:
          generateName: web-
        spec:
        {spec}
    "};
    assert!(InjectionCase::of(&[], &nameless).run().template.is_none()); // i265
    // i261 i262: Ordered counts down and parses nothing.
    let ordered = indoc! {"
        metadata:
          name: a
          annotations: {apps.kruise.io/container-launch-priority: Ordered}
        spec:
    "};
    assert_eq!(
        keys(&InjectionCase::of(&[], &format!("{ordered}{}", indent(&app("x"), 2))).value()),
        ["p_0", "p_-1"]
    );
    // Priorities that become equal take the barriers of an earlier injection along.
    let set = |priority: &str| {
        formatdoc! {"
            containers:
            - name: log
              image: l
              env:
              - name: KRUISE_CONTAINER_PRIORITY
                value: '{priority}'
        "}
    };
    let (high, none) = (set("7"), set("0"));
    let case = InjectionCase::new(&[("log", &high)], APP).next();
    assert_eq!(keys(&case.value), ["p_7", "p_0"]);
    let higher = set("8");
    let case = case.sets(&[("log", &higher)]).next();
    assert_eq!(keys(&case.value), ["p_8", "p_0"]);
    assert_eq!(keys(&case.sets(&[("log", &none)]).value()), Vec::<Value>::new());
}
