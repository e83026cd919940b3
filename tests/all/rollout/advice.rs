//! Advice points at the right places, and unusual values in workloads or related objects do not break it.

use pillion::rollout::NO_REQUIREMENTS;
use pillion::rollout::advice::{
    AdviceLocation, AdviceObject, AdviceWorkload, BatchImpact, LimitRangeDefaults, advise, has_autoscaler,
    ordered_ready_stuck,
};
use pillion::rollout::pod_resources::{limits_of, requests_of};
use pillion::rollout::simulation::{PodUpdateRange, SimulationOutcome, simulate};
use pillion::rollout::update_method::{UpdateMethod, update_behavior};
use pillion::rollout::workload_strategy::{can_split, strategy_of, with_partition};
use pillion::yaml::{Document, DocumentSource, FieldPath, PathSegment};
use serde_json::{Value, json};
use std::borrow::Cow;
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

fn subject<'a>(object: &'a Value, old: &'a Value, new: &'a Value) -> AdviceWorkload<'a> {
    let (group, kind) = ("apps", "Deployment");
    let labels = new["metadata"]["labels"].as_object().into_iter().flatten();
    AdviceWorkload {
        group,
        kind,
        namespace: "shop",
        name: "web",
        object,
        labels: Cow::Owned(labels.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().into())).collect()),
        old_template: old,
        new_template: new,
        old_requirements: &NO_REQUIREMENTS,
        new_requirements: &NO_REQUIREMENTS,
        namespace_labels: None,
        is_changed: old != new,
        replicas: 10,
        location: None,
    }
}

fn batches() -> Vec<BatchImpact> {
    let outcome = SimulationOutcome { unavailable: 2, surge: 3, recreated: 10, in_place: 0 };
    vec![BatchImpact {
        number: 1,
        updates: vec![(0, PodUpdateRange { updated_before: 0, updated_after: 10, replicas: 10 }, outcome)],
    }]
}

#[test]
fn advice_names_file_and_line() {
    let document = Arc::new(Document::read(&Arc::from("near.yaml"), 0, 1, NEIGHBOURS).unwrap());
    let source = DocumentSource::from_document(Arc::clone(&document));
    let items = document.value()["items"].as_array().unwrap();
    let near = items.iter().enumerate().map(|(i, object)| {
        let place = Some(AdviceLocation { source: &source, path: FieldPath::dotted("items").child(i) });
        AdviceObject { namespace: "shop", object, location: place }
    });
    let near: Vec<_> = near.collect();
    let sidecar = json!({"name": "log", "resources": {"limits": {"memory": "2Gi"}}});
    let (old, new) = (template(None), template(Some(sidecar)));
    let found = advise(&[subject(&Value::Null, &old, &new)], &near, &batches());
    let line =
        |d: &pillion::diagnostics::Diagnostic| (d.code.name(), d.spans.first().map(|l| (l.line, l.column)));
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
        for unusual in with_odd_values(item) {
            let near = [AdviceObject { namespace: "shop", object: &unusual, location: None }];
            advise(&[subject(&Value::Null, &old, &new)], &near, &batches());
            has_autoscaler(("apps", "Deployment", "shop", "web"), &near);
            LimitRangeDefaults::of(&near).apply_to_template(&new, "shop");
        }
    }
}

#[test]
fn odd_templates_are_no_trouble() {
    let document = Document::read(&Arc::from("near.yaml"), 0, 1, NEIGHBOURS).unwrap();
    let items = document.value()["items"].as_array().unwrap();
    let near: Vec<_> =
        items.iter().map(|object| AdviceObject { namespace: "shop", object, location: None }).collect();
    let whole = template(Some(json!({"name": "log"})));
    for unusual in with_odd_values(&whole) {
        for (old, new) in [(&unusual, &whole), (&whole, &unusual)] {
            advise(&[subject(&Value::Null, old, new)], &near, &batches());
            ordered_ready_stuck(&[subject(old, old, new)]);
            update_behavior("apps.kruise.io", "DaemonSet", &Value::Null, old, new);
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
    for unusual in with_odd_values(&object) {
        for (group, kind) in
            ["apps", "apps.kruise.io", "argoproj.io"].iter().flat_map(|g| kinds.map(|k| (*g, k)))
        {
            let taking = update_behavior(group, kind, &unusual, &old, &new);
            let strategy = strategy_of(group, kind, &unusual, 5, taking.method);
            assert_eq!(
                strategy.max_unavailable > 0,
                taking.method.replaces_or_restarts(),
                "{kind} {unusual}"
            );
            let outcome = simulate(
                &strategy,
                UpdateMethod::Recreate,
                PodUpdateRange { updated_before: 1, updated_after: 3, replicas: 5 },
            );
            assert!(outcome.unavailable <= 5 && strategy.kept_old <= 5, "{kind} {unusual}");
            if let Some(partition) = &strategy.partition {
                assert_eq!(
                    partition.path.find(&with_partition(&unusual, &partition.path, 4)),
                    Some(&json!(4))
                );
            }
            can_split(group, kind, &unusual, false);
        }
    }
}

/// The value with each of its nodes replaced, one at a time, by values of every type.
fn with_odd_values(value: &Value) -> Vec<Value> {
    let unusual = [
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
    collect(value, &FieldPath::root(), &mut paths);
    paths
        .iter()
        .flat_map(|path| unusual.iter().map(|unusual| replaced(value, path.segments(), unusual)))
        .collect()
}

fn collect(value: &Value, path: &FieldPath, paths: &mut Vec<FieldPath>) {
    paths.push(path.clone());
    match value {
        Value::Object(entries) => {
            entries.iter().for_each(|(k, v)| collect(v, &path.child(k.as_str()), paths))
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| collect(v, &path.child(i), paths)),
        _ => {}
    }
}

fn replaced(value: &Value, steps: &[PathSegment], by: &Value) -> Value {
    let Some((step, rest)) = steps.split_first() else { return by.clone() };
    let mut out = value.clone();
    let inner = match step {
        PathSegment::Key(key) => &mut out[key.as_str()],
        PathSegment::Index(index) => &mut out[*index],
    };
    *inner = replaced(inner, rest, by);
    out
}
