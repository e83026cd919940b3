//! Advice points at the right places, and unusual values in workloads or related objects do not break it.

use pillion::plan::advice::{
    Batch, Defaults, Neighbour, Place, Subject, advise, has_autoscaler, ordered_ready,
};
use pillion::plan::how::{How, how};
use pillion::plan::requests::{limits_of, requests_of};
use pillion::plan::simulate::{Move, Outcome, simulate};
use pillion::plan::strategy::{can_split, strategy, with_partition};
use pillion::yaml::{Document, Path, Seg};
use serde_json::{Value, json};
use std::sync::Arc;

const NEIGHBOURS: &str = "apiVersion: v1
kind: List
items:
- apiVersion: policy/v1
  kind: PodDisruptionBudget
  metadata: {name: web}
  spec: {maxUnavailable: 1, minAvailable: 2, selector: {matchLabels: {app: web}, matchExpressions: [{key: app, operator: Exists, values: [a]}]}}
- apiVersion: autoscaling/v2
  kind: HorizontalPodAutoscaler
  metadata: {name: web}
  spec:
    scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
    metrics:
    - {type: Pods, pods: {}}
    - {type: Resource, resource: {name: cpu, target: {type: Utilization}}}
- apiVersion: v1
  kind: ResourceQuota
  metadata: {name: all}
  spec: {hard: {requests.cpu: 1, limits.memory: 1Gi, pods: 11}}
- apiVersion: v1
  kind: LimitRange
  metadata: {name: all}
  spec:
    limits:
    - {type: Pod, max: {cpu: 150m}, min: {cpu: 50m}}
    - {type: Container, max: {memory: 1Gi}, min: {memory: 1Mi}, default: {memory: 1Gi}, defaultRequest: {memory: 1Mi}}
";

fn template(sidecar: Option<Value>) -> Value {
    let app =
        json!({"name": "app", "image": "a:1", "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}}});
    let containers: Vec<Value> = std::iter::once(app).chain(sidecar).collect();
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers,
        "initContainers": [{"name": "init", "restartPolicy": "Always", "resources": {"limits": {"cpu": "1m", "memory": "1Mi"}}}],
        "readinessGates": [{"conditionType": "InPlaceUpdateReady"}], "overhead": {"cpu": "1m"}}})
}

fn subject<'a>(object: &'a Value, old: &'a Value, new: &'a Value) -> Subject<'a> {
    let (group, kind) = ("apps", "Deployment");
    Subject { group, kind, namespace: "shop", name: "web", object, old, new, pods: 10, place: None }
}

fn batches() -> Vec<Batch> {
    let outcome = Outcome { unavailable: 2, surge: 3, recreated: 10, in_place: 0 };
    vec![Batch { number: 1, moves: vec![(0, Move { from: 0, to: 10, of: 10 }, outcome)] }]
}

#[test]
fn advice_names_file_and_line() {
    let document = Document::read(&Arc::from("near.yaml"), 0, 1, NEIGHBOURS).unwrap();
    let items = document.value()["items"].as_array().unwrap();
    let near = items.iter().enumerate().map(|(i, object)| {
        let place = Some(Place { document: &document, path: Path::dotted("items").then(i) });
        Neighbour { namespace: "shop", object, place }
    });
    let near: Vec<_> = near.collect();
    let sidecar = json!({"name": "log", "resources": {"limits": {"memory": "2Gi"}}});
    let (old, new) = (template(None), template(Some(sidecar)));
    let found = advise(&[subject(&Value::Null, &old, &new)], &near, &batches());
    let line = |d: &pillion::diag::Diagnostic| (d.code.name(), d.labels.first().map(|l| (l.line, l.column)));
    let lines: Vec<_> = found.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            ("disruption-budget-exceeded", Some((7, 26))),
            ("qos-class-lowered", None),
            ("autoscaler-without-request", Some((15, 7))),
            ("quota-exceeded", Some((19, 31))),
            ("quota-exceeded", Some((19, 49))),
            ("quota-exceeded", Some((19, 60))),
            ("quota-needs-resources", Some((19, 31))),
            ("limit-range-violated", Some((26, 30))),
        ]
    );
}

#[test]
fn odd_neighbours_are_no_trouble() {
    let document = Document::read(&Arc::from("near.yaml"), 0, 1, NEIGHBOURS).unwrap();
    let (old, new) = (template(None), template(Some(json!({"name": "log"}))));
    for item in document.value()["items"].as_array().unwrap() {
        for odd in with_odd_values(item) {
            let near = [Neighbour { namespace: "shop", object: &odd, place: None }];
            advise(&[subject(&Value::Null, &old, &new)], &near, &batches());
            has_autoscaler(("apps", "Deployment", "shop", "web"), &near);
            Defaults::of(&near).admitted(&new, "shop");
        }
    }
}

#[test]
fn odd_templates_are_no_trouble() {
    let document = Document::read(&Arc::from("near.yaml"), 0, 1, NEIGHBOURS).unwrap();
    let items = document.value()["items"].as_array().unwrap();
    let near: Vec<_> =
        items.iter().map(|object| Neighbour { namespace: "shop", object, place: None }).collect();
    let whole = template(Some(json!({"name": "log"})));
    for odd in with_odd_values(&whole) {
        for (old, new) in [(&odd, &whole), (&whole, &odd)] {
            advise(&[subject(&Value::Null, old, new)], &near, &batches());
            ordered_ready(&[subject(old, old, new)]);
            how("apps.kruise.io", "DaemonSet", &Value::Null, old, new);
            let change = requests_of(new).minus(&requests_of(old)).plus(&limits_of(new)).times(u64::MAX);
            assert!(!change.plus(&change).minus(&change).cpu.to_string().is_empty());
        }
    }
}

#[test]
fn odd_workloads_are_no_trouble() {
    let amounts = || {
        json!({"maxUnavailable": "10%", "maxSurge": 1, "partition": 1, "paused": false,
        "podUpdatePolicy": "InPlaceOnly", "rollingUpdateType": "InPlaceIfPossible", "unorderedUpdate": null})
    };
    let mut update = amounts();
    update["type"] = json!("InPlaceIfPossible");
    update["rollingUpdate"] = amounts();
    update["manualUpdate"] = json!({"partitions": {"a": 1}});
    let strategy_field = json!({"type": "RollingUpdate", "rollingUpdate": amounts(), "canary": amounts()});
    let inner = json!({"spec": {"updateStrategy": update}});
    let object = json!({"spec": {"replicas": 5, "paused": false, "strategy": strategy_field, "updateStrategy": update,
        "reserveOrdinals": [0, 3], "topology": {"subsets": [{"name": "a", "replicas": "50%"}, {"name": "b"}]},
        "template": {"cloneSetTemplate": inner}}});
    let kinds =
        ["Deployment", "StatefulSet", "DaemonSet", "CloneSet", "UnitedDeployment", "Rollout", "Pod", "Job"];
    let [old, new] = ["a:1", "a:2"].map(|image| json!({"spec": {"containers": [{"image": image}]}}));
    for odd in with_odd_values(&object) {
        for (group, kind) in
            ["apps", "apps.kruise.io", "argoproj.io"].iter().flat_map(|g| kinds.map(|k| (*g, k)))
        {
            let taking = how(group, kind, &odd, &old, &new);
            let strategy = strategy(group, kind, &odd, 5, taking.how);
            assert_eq!(strategy.most_unavailable > 0, taking.how.moves_pods(), "{kind} {odd}");
            let outcome = simulate(&strategy, How::Recreate, Move { from: 1, to: 3, of: 5 });
            assert!(outcome.unavailable <= 5 && strategy.kept <= 5, "{kind} {odd}");
            if let Some(partition) = &strategy.partition {
                assert_eq!(partition.path.find(&with_partition(&odd, &partition.path, 4)), Some(&json!(4)));
            }
            can_split(group, kind, &odd, false);
        }
    }
}

/// The value with each of its nodes replaced, one at a time, by values of every type.
fn with_odd_values(value: &Value) -> Vec<Value> {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(99_999_999_999_999_999_999_u128),
        json!("x"),
        json!("-3%"),
        json!("99999999999%"),
        json!("1e27"),
        json!([]),
        json!([7]),
        json!({}),
        json!({"a": 7}),
    ];
    let mut paths = Vec::new();
    collect(value, &Path::root(), &mut paths);
    paths.iter().flat_map(|path| odd.iter().map(|odd| replaced(value, path.steps(), odd))).collect()
}

fn collect(value: &Value, path: &Path, paths: &mut Vec<Path>) {
    paths.push(path.clone());
    match value {
        Value::Object(entries) => entries.iter().for_each(|(k, v)| collect(v, &path.then(k.as_str()), paths)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| collect(v, &path.then(i), paths)),
        _ => {}
    }
}

fn replaced(value: &Value, steps: &[Seg], by: &Value) -> Value {
    let Some((step, rest)) = steps.split_first() else { return by.clone() };
    let mut out = value.clone();
    let inner = match step {
        Seg::Key(key) => &mut out[key.as_str()],
        Seg::Index(index) => &mut out[*index],
    };
    *inner = replaced(inner, rest, by);
    out
}
