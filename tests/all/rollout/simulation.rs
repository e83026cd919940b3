//! The limits of a workload's strategy hold in every order its controller can choose, for every small case.

use pillion::rollout::simulation::{
    ControllerSimulation, PodUpdateRange, SimulationOutcome, SimulationState, simulate,
};
use pillion::rollout::update_method::UpdateMethod;
use pillion::rollout::workload_strategy::{RollingRules, WorkloadStrategy, strategy_of, with_partition};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const MOST_PODS: u64 = 6;

/// Numbers and percentages on both sides of every rounding of up to six pods.
fn amounts() -> Vec<Value> {
    let percents = [0, 1, 10, 16, 17, 20, 25, 33, 34, 49, 50, 51, 66, 67, 75, 99, 100, 150];
    let percents = percents.into_iter().map(|p| json!(format!("{p}%")));
    let numbers = (0..=MOST_PODS + 1).map(|n| json!(n));
    numbers.chain(percents).chain([json!(null), json!("3"), json!(-1), json!("x")]).collect()
}

/// Group, kind, the object, and the ways it can take a template.
type Case = (&'static str, &'static str, Value, &'static [UpdateMethod]);

fn cases() -> Vec<Case> {
    let recreate: &[UpdateMethod] = &[UpdateMethod::Recreate];
    let both: &[UpdateMethod] = &[UpdateMethod::Recreate, UpdateMethod::InPlace];
    let kruise = "apps.kruise.io";
    let mut cases: Vec<Case> = vec![
        ("", "Pod", json!({}), &[UpdateMethod::InPlace]),
        ("example.com", "Worker", json!({}), recreate),
        ("apps", "Deployment", json!({"spec": {"strategy": {"type": "Recreate"}}}), recreate),
        ("argoproj.io", "Rollout", json!({"spec": {"strategy": {"blueGreen": {}}}}), recreate),
    ];
    for unavailable in amounts() {
        let rolling = |surge: &Value| json!({"maxUnavailable": unavailable, "maxSurge": surge});
        let sets = json!({"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": unavailable}}}});
        cases.push(("apps", "StatefulSet", sets.clone(), recreate));
        cases.push((kruise, "StatefulSet", sets, both));
        for surge in amounts() {
            let strategy =
                json!({"spec": {"strategy": {"rollingUpdate": rolling(&surge), "canary": rolling(&surge)}}});
            let update = json!({"spec": {"updateStrategy": {"rollingUpdate": rolling(&surge)}}});
            cases.push(("apps", "Deployment", strategy.clone(), recreate));
            cases.push(("argoproj.io", "Rollout", strategy, recreate));
            cases.push(("apps", "DaemonSet", update.clone(), recreate));
            cases.push((kruise, "DaemonSet", update, both));
            cases.push((kruise, "CloneSet", json!({"spec": {"updateStrategy": rolling(&surge)}}), both));
        }
    }
    cases
}

/// Calls a check with every workload of up to six pods and every move of it.
fn every_move(mut check: impl FnMut(&Case, UpdateMethod, &WorkloadStrategy, PodUpdateRange)) {
    for case in cases() {
        let (group, kind, object, ways) = &case;
        for (of, how) in (0..=MOST_PODS).flat_map(|of| ways.iter().map(move |how| (of, *how))) {
            let strategy = strategy_of(group, kind, object, of, how);
            // A DaemonSet with a surge never updates in place.
            if how == UpdateMethod::InPlace
                && matches!(strategy.rolling, RollingRules::DaemonSet { surge: 1.., .. })
            {
                continue;
            }
            let ends = if strategy.partition.is_some() { 0..=of } else { of..=of };
            for to in ends {
                let starts = if strategy.partition.is_some() { 0..=to } else { 0..=0 };
                starts.for_each(|from| {
                    check(
                        &case,
                        how,
                        &strategy,
                        PodUpdateRange { updated_before: from, updated_after: to, replicas: of },
                    )
                });
            }
        }
    }
}

/// Every state that some order of controller steps and pods turning ready leads to.
fn every_state(play: &ControllerSimulation<'_>, from: u64) -> BTreeSet<SimulationState> {
    let mut seen = BTreeSet::new();
    let mut next = vec![play.initial_state(from)];
    while let Some(state) = next.pop() {
        if seen.insert(state) {
            next.extend(play.next_action(&state));
            next.extend(state.with_one_more_ready());
        }
    }
    seen
}

fn play<'a>(
    strategy: &'a WorkloadStrategy,
    how: UpdateMethod,
    pods: PodUpdateRange,
) -> ControllerSimulation<'a> {
    let keep = pods.replicas - pods.updated_after;
    ControllerSimulation {
        rolling: &strategy.rolling,
        is_in_place: how == UpdateMethod::InPlace,
        replicas: pods.replicas,
        kept_old: keep,
    }
}

#[test]
fn no_schedule_is_worse_than_the_strategy_states() {
    let mut schedules = 0;
    every_move(|case, how, strategy, pods| {
        let play = play(strategy, how, pods);
        let moved = pods.updated_after - pods.updated_before;
        let outcome = simulate(strategy, how, pods);
        for state in every_state(&play, pods.updated_before) {
            assert!(
                play.unavailable(&state) <= strategy.max_unavailable.min(moved),
                "{case:?} {pods:?} {state:?}"
            );
            assert!(play.surge(&state) <= strategy.max_surge.min(moved), "{case:?} {pods:?} {state:?}");
            assert!(
                play.unavailable(&state) <= outcome.unavailable,
                "{case:?} {pods:?} {state:?} {outcome:?}"
            );
            assert!(play.surge(&state) <= outcome.surge, "{case:?} {pods:?} {state:?} {outcome:?}");
        }
        schedules += 1;
        // What is stated is reached, but for strategies that take no pod down beforehand.
        let stated = if takes_none_down(&strategy.rolling) { 0 } else { strategy.max_unavailable.min(moved) };
        assert_eq!(outcome.unavailable, stated, "{case:?} {pods:?}");
    });
    assert!(schedules > 40_000, "{schedules} schedules are not all");
}

fn takes_none_down(rolling: &RollingRules) -> bool {
    use RollingRules::{BlueGreen, CloneSet, DaemonSet, ReplicaSets};
    let limit = match rolling {
        ReplicaSets { unavailable, .. } | DaemonSet { unavailable, .. } | CloneSet { unavailable, .. } => {
            *unavailable
        }
        _ => return *rolling == BlueGreen,
    };
    limit == 0
}

#[test]
fn every_course_ends_with_all_pods_moved() {
    every_move(|case, how, strategy, pods| {
        let play = play(strategy, how, pods);
        let ends = every_state(&play, pods.updated_before)
            .into_iter()
            .filter(|s| play.next_action(s).is_none() && s.waiting == 0);
        let ends: Vec<SimulationState> = ends.collect();
        assert!(!ends.is_empty(), "{case:?} {pods:?}");
        for end in ends {
            assert_eq!(
                (end.old, end.ready),
                (pods.replicas - pods.updated_after, pods.updated_after),
                "{case:?} {pods:?}"
            );
        }
    });
}

#[test]
fn every_pod_that_moves_is_counted_once() {
    every_move(|case, how, strategy, pods| {
        let outcome = simulate(strategy, how, pods);
        assert_eq!(
            outcome.recreated + outcome.in_place,
            pods.updated_after - pods.updated_before,
            "{case:?} {pods:?}"
        );
        let surging = matches!(strategy.rolling, RollingRules::CloneSet { surge, .. } if surge > 0);
        assert!(
            how == UpdateMethod::Recreate || surging || outcome.recreated == 0,
            "{case:?} {pods:?} {outcome:?}"
        );
        assert!(how == UpdateMethod::InPlace || outcome.in_place == 0, "{case:?} {pods:?} {outcome:?}");
    });
}

#[test]
fn large_workloads_end_up_like_small_ones() {
    // Percentages of 5,000 and of 10,000 pods are whole, so that the second outcome is twice the first.
    for (group, kind, object, ways) in cases().into_iter().step_by(7) {
        for how in ways.iter().copied() {
            let [played, stated] = [5_000, 10_000].map(|of| {
                let strategy = strategy_of(group, kind, &object, of, how);
                (
                    simulate(
                        &strategy,
                        how,
                        PodUpdateRange { updated_before: 0, updated_after: of, replicas: of },
                    ),
                    strategy,
                )
            });
            let (small, large) = (played.0, stated.0);
            let is_share = |n: u64, m: u64| m == 2 * n || m == n;
            assert!(is_share(small.unavailable, large.unavailable), "{kind} {object} {small:?} {large:?}");
            assert!(is_share(small.surge, large.surge), "{kind} {object} {small:?} {large:?}");
            assert_eq!(large.recreated + large.in_place, 10_000);
            assert!(large.unavailable <= stated.1.max_unavailable);
        }
    }
}

#[test]
fn sizes_that_no_cluster_has_are_no_trouble() {
    for (group, kind, object, ways) in cases().into_iter().step_by(3) {
        for of in [u64::from(u32::MAX), u64::MAX] {
            let strategy = strategy_of(group, kind, &object, of, ways[0]);
            let outcome = simulate(
                &strategy,
                ways[0],
                PodUpdateRange { updated_before: of, updated_after: 0, replicas: of },
            );
            assert!(outcome.unavailable <= of);
            simulate(
                &strategy,
                ways[0],
                PodUpdateRange { updated_before: 0, updated_after: of, replicas: of },
            )
            .restarted_containers(u64::MAX, u64::MAX);
        }
    }
}

#[test]
fn batches_of_the_worked_example() {
    let events = json!({"spec": {"replicas": 3}});
    let cart = json!({"spec": {"replicas": 8, "updateStrategy": {"type": "InPlaceIfPossible"}}});
    let run = |group: &str, kind: &str, object: &Value, how, from, to, of| {
        simulate(
            &strategy_of(group, kind, object, of, how),
            how,
            PodUpdateRange { updated_before: from, updated_after: to, replicas: of },
        )
    };
    let batch =
        |a: SimulationOutcome, b: SimulationOutcome| (a.unavailable + b.unavailable, a.surge + b.surge);
    let first = run("apps", "StatefulSet", &events, UpdateMethod::Recreate, 0, 1, 3);
    assert_eq!((first.unavailable, first.restarted_containers(2, 1)), (1, 2));
    let [second, clones] = [
        run("apps", "StatefulSet", &events, UpdateMethod::Recreate, 1, 3, 3),
        run("apps.kruise.io", "CloneSet", &cart, UpdateMethod::InPlace, 0, 3, 8),
    ];
    assert_eq!(
        (batch(second, clones), second.restarted_containers(2, 1) + clones.restarted_containers(2, 1)),
        ((3, 0), 7)
    );
    let [clones, web] = [
        run("apps.kruise.io", "CloneSet", &cart, UpdateMethod::InPlace, 3, 8, 8),
        run("apps", "Deployment", &json!({}), UpdateMethod::Recreate, 0, 10, 10),
    ];
    assert_eq!(
        (batch(clones, web), clones.restarted_containers(2, 1) + web.restarted_containers(2, 1)),
        ((4, 3), 25)
    );
}

#[test]
fn subsets_are_down_together() {
    let inner = json!({"spec": {"updateStrategy": {"type": "InPlaceIfPossible", "maxUnavailable": 1}}});
    let united = |partitions: Value| {
        json!({"spec": {"template": {"cloneSetTemplate": inner}, "topology": {"subsets": [{"name": "a"}, {"name": "b"}]},
            "updateStrategy": {"manualUpdate": {"partitions": partitions}}}})
    };
    let run = |object: Value, of| {
        let strategy = strategy_of("apps.kruise.io", "UnitedDeployment", &object, of, UpdateMethod::InPlace);
        (
            strategy.max_unavailable,
            strategy.kept_old,
            simulate(
                &strategy,
                UpdateMethod::InPlace,
                PodUpdateRange { updated_before: 0, updated_after: of, replicas: of },
            ),
        )
    };
    let whole = SimulationOutcome { unavailable: 2, surge: 0, recreated: 0, in_place: 5 };
    assert_eq!(run(united(json!({})), 5), (2, 0, whole));
    let part = SimulationOutcome { unavailable: 1, surge: 0, recreated: 0, in_place: 2 };
    assert_eq!(run(united(json!({"a": 9})), 5), (2, 3, part));
    assert_eq!(
        run(united(json!("unusual")), 1),
        (1, 0, SimulationOutcome { unavailable: 1, in_place: 1, ..SimulationOutcome::default() })
    );
}

#[test]
fn a_written_partition_keeps_that_many() {
    for (group, kind) in
        [("apps", "StatefulSet"), ("apps.kruise.io", "CloneSet"), ("apps.kruise.io", "DaemonSet")]
    {
        for (of, kept) in (1..=MOST_PODS).flat_map(|of| (0..=of).map(move |kept| (of, kept))) {
            let path =
                strategy_of(group, kind, &json!({}), of, UpdateMethod::Recreate).partition.unwrap().path;
            let object = with_partition(&json!({}), &path, kept);
            assert_eq!(strategy_of(group, kind, &object, of, UpdateMethod::Recreate).kept_old, kept);
        }
    }
}
