//! Properties of every rollout, for any pods.

use crate::support::pod_fixtures::{next, pod, roll_out, set, update};
use pillion::model::sidecar_set::SidecarSet;
use pillion::rollout::LabelMap;
use pillion::rollout::pods::{PodStepKind, SidecarPod, read_pods};
use pillion::rollout::scatter::scatter;
use pillion::yaml::{Document, FieldPath};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The paths of all values inside a value.
fn paths(value: &Value, at: &FieldPath, into: &mut Vec<FieldPath>) {
    into.push(at.clone());
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| paths(v, &at.child(k.as_str()), into)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| paths(v, &at.child(i), into)),
        _ => {}
    }
}

fn replaced(value: &Value, at: &FieldPath, with: &Value) -> Value {
    let mut value = value.clone();
    let place = at.segments().iter().fold(&mut value, |value, step| match step {
        pillion::yaml::PathSegment::Key(key) => &mut value[key.as_str()],
        pillion::yaml::PathSegment::Index(i) => &mut value[*i],
    });
    place.clone_from(with);
    value
}

#[test]
fn odd_observations_are_told_or_make_no_difference() {
    let case = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/conformance/rollout-steps/ready-mixed.3/pods.json");
    let mut list: Value = serde_json::from_str(&std::fs::read_to_string(case).unwrap()).unwrap();
    list["items"].as_array_mut().unwrap().truncate(2);
    let mut all = Vec::new();
    paths(&list, &FieldPath::root(), &mut all);
    let unusual = [
        json!(null),
        json!(7),
        json!("unusual"),
        json!([]),
        json!({}),
        json!(true),
        json!([null]),
        json!([7]),
    ];
    let set = set("{maxUnavailable: 100%}");
    let mut reported = 0;
    for (path, with) in all.iter().flat_map(|p| unusual.iter().map(move |o| (p, o))) {
        let text = replaced(&list, path, with).to_string();
        let Ok(document) = Document::read(&"pods.json".into(), 0, 1, &text) else { panic!("{text} is JSON") };
        let (pods, found) = read_pods(&[document]);
        reported += usize::from(!found.is_empty());
        let is_whole =
            |f: &pillion::diagnostics::Diagnostic| f.is_error() && f.help.is_some() && !f.spans.is_empty();
        assert!(found.iter().all(is_whole), "{found:?}");
        next(&set, &pods);
    }
    assert!(reported > all.len(), "{reported} of {} unusual values were told", all.len() * unusual.len());
}

#[derive(Debug, Clone)]
struct Made {
    updated: bool,
    ready: bool,
    phase: usize,
    age: u32,
    restarts: i64,
    color: usize,
}

fn made() -> impl Strategy<Value = Made> {
    (any::<bool>(), any::<bool>(), 0..4_usize, 0..5_u32, 0..3_i64, 0..4_usize).prop_map(
        |(updated, ready, phase, age, restarts, color)| Made { updated, ready, phase, age, restarts, color },
    )
}

fn make(set: &SidecarSet, made: &[Made]) -> Vec<SidecarPod> {
    let one = |(number, made): (usize, &Made)| {
        let mut pod = pod(set, made.age);
        pod.name = format!("p-{number}");
        pod.phase = ["Running", "Running", "Pending", "Unknown"][made.phase].into();
        pod.is_ready = made.ready && pod.phase == "Running";
        pod.statuses[0].restarts = made.restarts;
        if let Some(color) = ["red", "green", "blue"].get(made.color) {
            pod.labels.insert("color".into(), (*color).into());
        }
        if made.updated {
            update(set, &mut pod);
        }
        pod
    };
    made.iter().enumerate().map(one).collect()
}

fn strategy() -> impl Strategy<Value = String> {
    let amount =
        prop_oneof![(0..12_u32).prop_map(|n| n.to_string()), (0..130_u32).prop_map(|n| format!("{n}%")),];
    let more = prop_oneof![
        Just(""),
        Just(", scatterStrategy: [{key: color, value: red}]"),
        Just(", scatterStrategy: [{key: color, value: '*'}]"),
        Just(", priorityStrategy: {orderPriority: [{orderedKey: color}]}"),
        Just(
            ", priorityStrategy: {weightPriority: [{weight: 5, matchSelector: {matchLabels: {color: blue}}}]}"
        ),
    ];
    (amount.clone(), amount, more).prop_map(|(partition, bound, more)| {
        format!("{{partition: {partition}, maxUnavailable: {bound}{more}}}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_observation_makes_no_difference(
        strategy in strategy(),
        (made, order) in prop::collection::vec(made(), 0..24)
            .prop_flat_map(|made| { let places: Vec<usize> = (0..made.len()).collect(); (Just(made), Just(places).prop_shuffle()) }),
    ) {
        let set = set(&strategy);
        let pods = make(&set, &made);
        let shuffled: Vec<SidecarPod> = order.iter().map(|i| pods[*i].clone()).collect();
        prop_assert_eq!(next(&set, &pods), next(&set, &shuffled));
    }

    #[test]
    fn neither_partition_nor_bound_is_ever_passed(strategy in strategy(), made in prop::collection::vec(made(), 0..24)) {
        let set = set(&strategy);
        let mut pods = make(&set, &made);
        let old = pods.iter().filter(|p| !made[p.name[2..].parse::<usize>().unwrap()].updated).count();
        let keep = set.update_strategy.kept_pods(pods.len() as u64) as usize;
        let bound = set.update_strategy.max_unavailable_pods(pods.len() as u64).unwrap() as usize;
        let step = next(&set, &pods);
        let is_ready = |key: &String| pods.iter().any(|p| p.key() == *key && p.is_ready && p.phase == "Running");
        let used = step.status.updated_pods - step.status.updated_ready_pods;
        prop_assert!(step.pods.iter().filter(|p| is_ready(p)).count() <= bound.saturating_sub(used));
        let (batches, rest) = roll_out(&set, &mut pods);
        prop_assert!(batches.concat().len() <= old.saturating_sub(keep));
        if bound > 0 && rest.kind != PodStepKind::Wait {
            prop_assert_eq!(batches.concat().len(), old.saturating_sub(keep));
        }
    }

    #[test]
    fn scattering_loses_and_doubles_nothing(
        colors in prop::collection::vec(0..5_usize, 1..40),
        updated in prop::collection::vec(any::<bool>(), 40),
        terms in prop::collection::vec(prop::sample::select(vec!["0", "1", "2", "", "*"]), 0..4),
    ) {
        let label = |color: &usize| if *color == 4 { LabelMap::new() } else { [("c".to_owned(), color.to_string())].into() };
        let units: Vec<LabelMap> = colors.iter().map(label).collect();
        let order: Vec<usize> = (0..units.len()).filter(|i| !updated[*i]).collect();
        let term = |value: &&str| pillion::model::sidecar_set::ScatterTerm { key: "c".into(), value: (*value).into() };
        let terms: Vec<_> = terms.iter().map(term).collect();
        let mut scattered = scatter(&terms, &units.iter().collect::<Vec<_>>(), order.clone());
        scattered.sort_unstable();
        prop_assert_eq!(scattered, order);
    }
}
