//! Revisions (section 11).

use super::*;

const OLD: (&str, &str) = (
    "log",
    indoc! {"
        customVersion: v1
        containers:
        - {name: log, image: 'log:0'}
    "},
);

fn image(case: &InjectionCase) -> String {
    case.value()["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn revisions() {
    let spec = |strategy: &str| {
        formatdoc! {"
            containers:
            - name: log
              image: 'log:1'
            {strategy}
        "}
    };
    let revision = |policy: &str, update: &str| {
        spec(&formatdoc! {"
            injectionStrategy:
              revision:
                customVersion: v1
                policy: {policy}
            updateStrategy: {update}
        "})
    };
    for (policy, update, wanted) in [
        ("Always", "{selector: {matchLabels: {app: web}}}", "log:0"), // i169 i187
        ("Partial", "{paused: true}", "log:0"),                       // i182
        ("Partial", "{selector: {matchLabels: {canary: 'true'}}}", "log:0"), // i184
        ("Partial", "{selector: {matchLabels: {app: web}}}", "log:1"), // i185
        ("Partial", "{partition: 5}", "log:1"),                       // i178
        ("Partial", "{partition: 0%}", "log:1"),                      // i179
        ("Partial", "{partition: 100%}", "log:0"),                    // i180
        ("Partial", "{type: NotUpdate}", "log:1"),                    // i186
    ] {
        let set = revision(policy, update);
        let case = InjectionCase::new(&[("log", &set)], APP).history(&[OLD]);
        assert_eq!(image(&case), wanted, "{policy} {update}");
        assert!(case.codes().is_empty());
    }
    // The revision is looked up before the policy is asked for, and its version has moved on. f028
    let moved = revision("Partial", "{partition: 5}").replace("log:1", "log:0");
    let moved = format!("customVersion: v2\n{moved}");
    let case = InjectionCase::new(&[("log", &moved)], APP).history(&[OLD]);
    assert_eq!(case.errors(), ["revision-not-found"]);
    let half = revision("Partial", "{partition: 50%}"); // i181
    let case = InjectionCase::new(&[("log", &half)], APP).history(&[OLD]);
    assert_eq!(case.codes(), ["percentage-by-workload"]);
    assert_eq!(image(&case), image(&case));
    let missing = spec("injectionStrategy: {revision: {customVersion: v9}}");
    assert_eq!(
        InjectionCase::new(&[("log", &missing)], APP).history(&[OLD]).errors(),
        ["revision-not-found"]
    ); // i172
    let neither = spec("injectionStrategy: {revision: {policy: Always}}");
    assert_eq!(image(&InjectionCase::new(&[("log", &neither)], APP).history(&[OLD])), "log:1"); // i174
    // i194: going back to an older spec moves its version label.
    let back = (
        "log",
        indoc! {"
            customVersion: v3
            containers:
            - {name: log, image: 'log:0'}
        "},
    );
    let wants = |version: &str| {
        spec(&formatdoc! {"
            injectionStrategy:
              revision:
                customVersion: {version}
        "})
    };
    let (v1, v3) = (wants("v1"), wants("v3"));
    let middle = (
        "log",
        indoc! {"
            customVersion: v2
            containers:
            - {name: log, image: 'log:5'}
        "},
    );
    assert_eq!(image(&InjectionCase::new(&[("log", &v3)], APP).history(&[OLD, middle, back])), "log:0");
    assert_eq!(
        InjectionCase::new(&[("log", &v1)], APP).history(&[OLD, middle, back]).errors(),
        ["revision-not-found"]
    );
    // i175: of several with the version the newest.
    let again = (
        "log",
        indoc! {"
            customVersion: v1
            containers:
            - {name: log, image: 'log:7'}
        "},
    );
    assert_eq!(image(&InjectionCase::new(&[("log", &v1)], APP).history(&[OLD, again])), "log:7");
}

#[test]
fn a_paused_set_injects_nothing_and_keeps_what_is_there() {
    let paused = (
        "log",
        indoc! {"
            injectionStrategy: {paused: true}
            containers:
            - {name: log, image: 'log:2'}
            patchPodMetadata:
            - annotations: {k: v}
              patchPolicy: Overwrite
        "},
    );
    assert!(InjectionCase::new(&[paused], APP).run().template.is_none()); // i199
    assert!(InjectionCase::new(&[LOG], APP).next().sets(&[paused]).run().template.is_none());
}
