//! Rules of injection that no recorded case in the repository shows. Sections are those of the notes on Kruise's
//! injection, which are not part of the repository.

use crate::support::manifests::indent;
use indoc::{formatdoc, indoc};
use pillion::diagnostics::Severity;
use pillion::inject::{
    InjectionOutcome, InjectionVerdict, NamespaceLabels, Options, PodTemplate, PreparedSet, SidecarSetStore,
    inject,
};
use pillion::model::config::AnnotationMode;
use pillion::model::sidecar_set::decode;
use pillion::yaml::{Document, FieldPath};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is injected into what.
pub(crate) struct InjectionCase {
    sets: Vec<Arc<PreparedSet>>,
    history: Vec<Arc<PreparedSet>>,
    pod: Arc<Document>,
    value: Value,
    is_pod: bool,
    namespace: &'static str,
    labels: Option<BTreeMap<String, String>>,
    annotations: AnnotationMode,
}

impl InjectionCase {
    /// A pod `web-0` with label `app: web`, with a `spec`, and sets as names with their `spec`.
    pub(crate) fn new(sets: &[(&str, &str)], spec: &str) -> Self {
        let spec = indent(spec, 2);
        let pod = formatdoc! {"
            metadata:
              name: web-0
              labels:
                app: web
            spec:
            {spec}
        "};
        Self::of(sets, &pod)
    }

    /// A pod given whole, without its kind.
    pub(crate) fn of(sets: &[(&str, &str)], pod: &str) -> Self {
        let text = format!("apiVersion: v1\nkind: Pod\n{pod}");
        let pod = Document::read(&"pod.yaml".into(), 0, 1, &text).expect("the pod is YAML");
        Self {
            sets: sets.iter().map(|(name, spec)| set(name, spec)).collect(),
            history: Vec::new(),
            value: pod.value().clone(),
            pod: Arc::new(pod),
            is_pod: true,
            namespace: "default",
            labels: Some(BTreeMap::new()),
            annotations: AnnotationMode::Minimal,
        }
    }

    pub(crate) fn history(mut self, sets: &[(&str, &str)]) -> Self {
        self.history = sets.iter().map(|(name, spec)| set(name, spec)).collect();
        self
    }

    pub(crate) fn sets(mut self, sets: &[(&str, &str)]) -> Self {
        self.sets = sets.iter().map(|(name, spec)| set(name, spec)).collect();
        self
    }

    pub(crate) fn template(mut self) -> Self {
        self.is_pod = false;
        self
    }

    pub(crate) fn annotations(mut self, annotations: AnnotationMode) -> Self {
        self.annotations = annotations;
        self
    }

    pub(crate) fn namespace(mut self, namespace: &'static str, labels: Option<&[(&str, &str)]>) -> Self {
        self.namespace = namespace;
        self.labels = labels.map(|l| l.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        self
    }

    pub(crate) fn run(&self) -> InjectionOutcome {
        let template = PodTemplate {
            document: &self.pod,
            path: FieldPath::root(),
            value: &self.value,
            is_pod: self.is_pod,
            key: "Pod/default/web-0",
            namespace: self.namespace,
            volume_claims: &[],
            namespace_labels: self.labels.as_ref().map_or(NamespaceLabels::Unknown, NamespaceLabels::Known),
        };
        let sets = SidecarSetStore::new(self.sets.clone(), self.history.clone());
        inject(&template, &sets, &Options { annotations: self.annotations, trace: true })
    }

    /// The new template; no error is allowed.
    fn value(&self) -> Value {
        let outcome = self.run();
        assert!(outcome.diagnostics.iter().all(|d| !d.is_error()), "{:?}", outcome.diagnostics);
        outcome.template.unwrap_or_else(|| self.value.clone())
    }

    /// The same case with its result in the place of the pod.
    pub(crate) fn next(mut self) -> Self {
        self.value = self.value();
        self
    }

    /// Codes of what is told, each once: errors, warnings and notes.
    fn codes(&self) -> Vec<&'static str> {
        let mut codes: Vec<_> = self.run().diagnostics.iter().map(|d| d.code.name()).collect();
        codes.dedup();
        codes
    }

    fn errors(&self) -> Vec<&'static str> {
        let outcome = self.run();
        assert!(outcome.template.is_none(), "an error comes without a result");
        outcome.diagnostics.iter().filter(|d| d.severity == Severity::Error).map(|d| d.code.name()).collect()
    }
}

fn set(name: &str, spec: &str) -> Arc<PreparedSet> {
    let version = if spec.contains("namespace:") { "v1alpha1" } else { "v1beta1" };
    let has_selector = spec.lines().any(|line| line.starts_with("selector:"));
    let selector = if has_selector { "" } else { "selector: {matchLabels: {app: web}}" };
    let spec = indent(spec, 2);
    let text = formatdoc! {"
        apiVersion: apps.kruise.io/{version}
        kind: SidecarSet
        metadata:
          name: {name}
        spec:
        {spec}
          {selector}
    "};
    let document = Document::read(&"sets.yaml".into(), 0, 1, &text).expect("the set is YAML");
    let (set, found) = decode(&Arc::new(document), &FieldPath::root());
    Arc::new(PreparedSet::new(Arc::new(set.unwrap_or_else(|| panic!("{text}\n{found:?}")))))
}

fn names(value: &Value, list: &str) -> Vec<String> {
    let items = value["spec"][list].as_array().cloned().unwrap_or_default();
    items.iter().map(|c| c["name"].as_str().unwrap_or_default().to_owned()).collect()
}

fn env(value: &Value, container: &str) -> Vec<String> {
    let lists =
        ["initContainers", "containers"].map(|l| value["spec"][l].as_array().cloned().unwrap_or_default());
    let found = lists.iter().flatten().find(|c| c["name"] == *container).expect("the container is there");
    let entries = found["env"].as_array().cloned().unwrap_or_default();
    entries
        .iter()
        .map(|e| format!("{}={}", e["name"].as_str().unwrap_or_default(), e["value"].as_str().unwrap_or("?")))
        .collect()
}

fn annotation<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value["metadata"]["annotations"].get(key).and_then(Value::as_str)
}

const LIST: &str = "kruise.io/sidecarset-injected-list";
const HASH: &str = "kruise.io/sidecarset-hash";
const APP: &str = "containers: [{name: app, image: a}]";
const LOG: (&str, &str) = ("log", "containers: [{name: log, image: 'log:1'}]");

// ---- which sets apply (section 3)

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

// ---- containers and names (sections 4 and 8)

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
    // i215 i216: `x` is no conflict, `x-1` is.
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

// ---- environment, volumes, secrets (sections 5 to 7)

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

// ---- annotations (sections 9 and 10)

/// A map with one annotation.
fn one_annotation(key: &str, value: &str) -> String {
    format!("{{'{key}': '{value}'}}")
}

fn with_annotations(sets: &[(&str, &str)], annotations: &str) -> InjectionCase {
    let pod = formatdoc! {"
        metadata:
          name: web-0
          labels:
            app: web
          annotations: {annotations}
        spec:
          containers:
          - name: app
    "};
    InjectionCase::of(sets, &pod)
}

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
    // Kruise would merge its own text again and write it anew.
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
    assert!(with_annotations(&[LOG], &broken).run().diagnostics.is_empty(), "nobody reads it");
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

// ---- revisions (section 11)

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

// ---- resources and priority (sections 12 and 13)

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

// ---- rendering again

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
    assert_eq!(names(&value, "volumes"), ["own", "v"], "nobody can tell whose it is");
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
    // A list that somebody wrote into a pod without sidecars is left as it is.
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
