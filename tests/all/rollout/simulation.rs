//! The limits of a workload's strategy hold in every order its controller can choose, for every small case.

use pillion::plan::how::How;
use pillion::plan::simulate::{Move, Outcome, Play, State, simulate};
use pillion::plan::strategy::{Rolling, Strategy, strategy, with_partition};
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
type Case = (&'static str, &'static str, Value, &'static [How]);

fn cases() -> Vec<Case> {
    let recreate: &[How] = &[How::Recreate];
    let both: &[How] = &[How::Recreate, How::InPlace];
    let kruise = "apps.kruise.io";
    let mut cases: Vec<Case> = vec![
        ("", "Pod", json!({}), &[How::InPlace]),
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
fn every_move(mut check: impl FnMut(&Case, How, &Strategy, Move)) {
    for case in cases() {
        let (group, kind, object, ways) = &case;
        for (of, how) in (0..=MOST_PODS).flat_map(|of| ways.iter().map(move |how| (of, *how))) {
            let strategy = strategy(group, kind, object, of, how);
            // A DaemonSet with a surge never updates in place.
            if how == How::InPlace && matches!(strategy.rolling, Rolling::Nodes { surge: 1.., .. }) {
                continue;
            }
            let ends = if strategy.partition.is_some() { 0..=of } else { of..=of };
            for to in ends {
                let starts = if strategy.partition.is_some() { 0..=to } else { 0..=0 };
                starts.for_each(|from| check(&case, how, &strategy, Move { from, to, of }));
            }
        }
    }
}

/// Every state that some order of controller steps and pods turning ready leads to.
fn every_state(play: &Play<'_>, from: u64) -> BTreeSet<State> {
    let mut seen = BTreeSet::new();
    let mut next = vec![play.start(from)];
    while let Some(state) = next.pop() {
        if seen.insert(state) {
            next.extend(play.act(&state));
            next.extend(state.one_ready());
        }
    }
    seen
}

fn play<'a>(strategy: &'a Strategy, how: How, pods: Move) -> Play<'a> {
    let keep = pods.of - pods.to;
    Play { rolling: &strategy.rolling, is_in_place: how == How::InPlace, of: pods.of, keep }
}

#[test]
fn no_course_is_worse_than_the_strategy_states() {
    let mut courses = 0;
    every_move(|case, how, strategy, pods| {
        let play = play(strategy, how, pods);
        let moved = pods.to - pods.from;
        let outcome = simulate(strategy, how, pods);
        for state in every_state(&play, pods.from) {
            assert!(
                play.unavailable(&state) <= strategy.most_unavailable.min(moved),
                "{case:?} {pods:?} {state:?}"
            );
            assert!(play.surge(&state) <= strategy.surge.min(moved), "{case:?} {pods:?} {state:?}");
            assert!(
                play.unavailable(&state) <= outcome.unavailable,
                "{case:?} {pods:?} {state:?} {outcome:?}"
            );
            assert!(play.surge(&state) <= outcome.surge, "{case:?} {pods:?} {state:?} {outcome:?}");
        }
        courses += 1;
        // What is stated is reached, but for strategies that take no pod down beforehand.
        let stated =
            if takes_none_down(&strategy.rolling) { 0 } else { strategy.most_unavailable.min(moved) };
        assert_eq!(outcome.unavailable, stated, "{case:?} {pods:?}");
    });
    assert!(courses > 40_000, "{courses} courses are not all");
}

fn takes_none_down(rolling: &Rolling) -> bool {
    use Rolling::{BlueGreen, Clones, Nodes, Replicas};
    let limit = match rolling {
        Replicas { unavailable, .. } | Nodes { unavailable, .. } | Clones { unavailable, .. } => *unavailable,
        _ => return *rolling == BlueGreen,
    };
    limit == 0
}

#[test]
fn every_course_ends_with_all_pods_moved() {
    every_move(|case, how, strategy, pods| {
        let play = play(strategy, how, pods);
        let ends =
            every_state(&play, pods.from).into_iter().filter(|s| play.act(s).is_none() && s.waiting == 0);
        let ends: Vec<State> = ends.collect();
        assert!(!ends.is_empty(), "{case:?} {pods:?}");
        for end in ends {
            assert_eq!((end.old, end.ready), (pods.of - pods.to, pods.to), "{case:?} {pods:?}");
        }
    });
}

#[test]
fn every_pod_that_moves_is_counted_once() {
    every_move(|case, how, strategy, pods| {
        let outcome = simulate(strategy, how, pods);
        assert_eq!(outcome.recreated + outcome.in_place, pods.to - pods.from, "{case:?} {pods:?}");
        let surging = matches!(strategy.rolling, Rolling::Clones { surge, .. } if surge > 0);
        assert!(how == How::Recreate || surging || outcome.recreated == 0, "{case:?} {pods:?} {outcome:?}");
        assert!(how == How::InPlace || outcome.in_place == 0, "{case:?} {pods:?} {outcome:?}");
    });
}

#[test]
fn large_workloads_end_up_like_small_ones() {
    // Percentages of 5,000 and of 10,000 pods are whole, so that the second outcome is twice the first.
    for (group, kind, object, ways) in cases().into_iter().step_by(7) {
        for how in ways.iter().copied() {
            let [played, stated] = [5_000, 10_000].map(|of| {
                let strategy = strategy(group, kind, &object, of, how);
                (simulate(&strategy, how, Move { from: 0, to: of, of }), strategy)
            });
            let (small, large) = (played.0, stated.0);
            let is_share = |n: u64, m: u64| m == 2 * n || m == n;
            assert!(is_share(small.unavailable, large.unavailable), "{kind} {object} {small:?} {large:?}");
            assert!(is_share(small.surge, large.surge), "{kind} {object} {small:?} {large:?}");
            assert_eq!(large.recreated + large.in_place, 10_000);
            assert!(large.unavailable <= stated.1.most_unavailable);
        }
    }
}

#[test]
fn sizes_that_no_cluster_has_are_no_trouble() {
    for (group, kind, object, ways) in cases().into_iter().step_by(3) {
        for of in [u64::from(u32::MAX), u64::MAX] {
            let strategy = strategy(group, kind, &object, of, ways[0]);
            let outcome = simulate(&strategy, ways[0], Move { from: of, to: 0, of });
            assert!(outcome.unavailable <= of);
            simulate(&strategy, ways[0], Move { from: 0, to: of, of }).restarted(u64::MAX, u64::MAX);
        }
    }
}

#[test]
fn batches_of_the_worked_example() {
    let events = json!({"spec": {"replicas": 3}});
    let cart = json!({"spec": {"replicas": 8, "updateStrategy": {"type": "InPlaceIfPossible"}}});
    let run = |group: &str, kind: &str, object: &Value, how, from, to, of| {
        simulate(&strategy(group, kind, object, of, how), how, Move { from, to, of })
    };
    let batch = |a: Outcome, b: Outcome| (a.unavailable + b.unavailable, a.surge + b.surge);
    let first = run("apps", "StatefulSet", &events, How::Recreate, 0, 1, 3);
    assert_eq!((first.unavailable, first.restarted(2, 1)), (1, 2));
    let [second, clones] = [
        run("apps", "StatefulSet", &events, How::Recreate, 1, 3, 3),
        run("apps.kruise.io", "CloneSet", &cart, How::InPlace, 0, 3, 8),
    ];
    assert_eq!((batch(second, clones), second.restarted(2, 1) + clones.restarted(2, 1)), ((3, 0), 7));
    let [clones, web] = [
        run("apps.kruise.io", "CloneSet", &cart, How::InPlace, 3, 8, 8),
        run("apps", "Deployment", &json!({}), How::Recreate, 0, 10, 10),
    ];
    assert_eq!((batch(clones, web), clones.restarted(2, 1) + web.restarted(2, 1)), ((4, 3), 25));
}

#[test]
fn subsets_are_down_together() {
    let inner = json!({"spec": {"updateStrategy": {"type": "InPlaceIfPossible", "maxUnavailable": 1}}});
    let united = |partitions: Value| {
        json!({"spec": {"template": {"cloneSetTemplate": inner}, "topology": {"subsets": [{"name": "a"}, {"name": "b"}]},
            "updateStrategy": {"manualUpdate": {"partitions": partitions}}}})
    };
    let run = |object: Value, of| {
        let strategy = strategy("apps.kruise.io", "UnitedDeployment", &object, of, How::InPlace);
        (
            strategy.most_unavailable,
            strategy.kept,
            simulate(&strategy, How::InPlace, Move { from: 0, to: of, of }),
        )
    };
    let whole = Outcome { unavailable: 2, surge: 0, recreated: 0, in_place: 5 };
    assert_eq!(run(united(json!({})), 5), (2, 0, whole));
    let part = Outcome { unavailable: 1, surge: 0, recreated: 0, in_place: 2 };
    assert_eq!(run(united(json!({"a": 9})), 5), (2, 3, part));
    assert_eq!(
        run(united(json!("odd")), 1),
        (1, 0, Outcome { unavailable: 1, in_place: 1, ..Outcome::default() })
    );
}

#[test]
fn a_written_partition_keeps_that_many() {
    for (group, kind) in
        [("apps", "StatefulSet"), ("apps.kruise.io", "CloneSet"), ("apps.kruise.io", "DaemonSet")]
    {
        for (of, kept) in (1..=MOST_PODS).flat_map(|of| (0..=of).map(move |kept| (of, kept))) {
            let path = strategy(group, kind, &json!({}), of, How::Recreate).partition.unwrap().path;
            let object = with_partition(&json!({}), &path, kept);
            assert_eq!(strategy(group, kind, &object, of, How::Recreate).kept, kept);
        }
    }
}
