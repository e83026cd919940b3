//! A whole rollout, from an edited image to the end, over every kind: nothing ever exceeds the plan.

use super::fleet::{Application, Fleet, Kind, sidecar_file};
use super::sampler::{Sampler, Seen};
use super::story::Story;
use super::watcher::Watcher;
use crate::harness::kruise;
use crate::harness::namespace::Namespace;
use crate::harness::sandbox::note;
use crate::harness::wait::{SOON, wait_for};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;

const SOAK: SignedDuration = SignedDuration::from_secs(2);

/// Workloads with numbers behind their name.
fn some(kind: Kind, count: usize, name: &str, pods: usize) -> Vec<Application> {
    (0..count).map(|n| Application::new(kind, &format!("{name}-{n}"), pods)).collect()
}

/// 40 workloads of seven kinds, 86 pods.
fn forty() -> Vec<Application> {
    [
        some(Kind::Deployment, 10, "web", 2),
        some(Kind::StatefulSet, 8, "data", 2),
        some(Kind::DaemonSet, 4, "agent", 3),
        some(Kind::Pod, 8, "single", 1),
        some(Kind::CloneSet, 6, "clone", 3),
        some(Kind::AdvancedStatefulSet, 2, "adv", 3),
        some(Kind::AdvancedDaemonSet, 2, "adv-agent", 3),
    ]
    .concat()
}

/// The pods of workloads that are updated in place: name and UID.
fn in_place(story: &Story) -> BTreeMap<String, String> {
    let pods = story.pods();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let is_in_place = |pod: &&Value| {
        let of = pod["metadata"]["labels"]["app"].as_str().unwrap();
        story.fleet.find(of).unwrap().kind.is_in_place()
    };
    pods.iter()
        .filter(is_in_place)
        .map(|pod| (word(&pod["metadata"]["name"]), word(&pod["metadata"]["uid"])))
        .collect()
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn forty_workloads_in_five_batches() {
    let rollout = "start: Auto, soak: 2s, steps: [1, 10%, 25%, 50%, 100%]";
    let fleet = Fleet::new(forty(), rollout).with_strategy("maxUnavailable: 40");
    let story = Story::begin(kruise::namespace("watched-forty"), fleet);
    let before = in_place(&story);
    assert_eq!(before.len(), 38);

    story.change("log", "log:2");
    let plan = story.plan();
    assert_eq!(plan["matched"], serde_json::json!({"workloads": 40, "pods": 86}), "{plan}");
    assert_eq!(plan["batches"].as_array().unwrap().len(), 5, "{plan}");
    let sampler = Sampler::start(&story, &plan, "log:2");
    let watcher = Watcher::start(&story, "watcher");
    story.wait_act("log", "Complete");
    let seen = sampler.finish();
    let batches = (1..=5).map(|n| format!("Batch {n}/5"));
    let expected: Vec<String> =
        ["Start".to_owned()].into_iter().chain(batches).chain(["Complete".to_owned()]).collect();
    assert_eq!(story.actions("log"), expected);
    seen.verify();
    story.wait_carried("log", "log:2");
    assert_eq!(in_place(&story), before, "the same pods");
    story.verify();
    note(&format!("forty workloads: {seen}"));
    note(&format!(
        "from the last pod ready, and the soak, to the push: {}",
        lags(&seen, &watcher).join(", ")
    ));
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_partition_keeps_pods_until_a_person_lets_go() {
    let applications = [some(Kind::Deployment, 6, "web", 2), some(Kind::StatefulSet, 4, "data", 3)].concat();
    let fleet = Fleet::new(applications, "start: Auto, soak: 2s, steps: [6, 100%]")
        .with_strategy("maxUnavailable: 4, partition: 10");
    let story = Story::begin(Namespace::new("watched-partition"), fleet);
    story.change("log", "log:2");
    let plan = story.plan();
    assert_eq!(
        (&plan["matched"]["pods"], &plan["end"]["reason"]),
        (&24.into(), &"Partition".into()),
        "{plan}"
    );
    let sampler = Sampler::start(&story, &plan, "log:2");
    let watcher = Watcher::start(&story, "watcher");
    let rests = |line: &Value| {
        line["decision"] == "Blocked" && line["reasons"].as_str().unwrap().contains("partition")
    };
    wait_for("it rests at the partition", story.patience(), || {
        if watcher.log_entries("evaluated").iter().any(rests) { Ok(()) } else { Err(watcher.log()) }
    });
    let actions = story.actions("log");
    let over = Timestamp::now().saturating_add(SOAK.checked_mul(3).unwrap()).unwrap();
    wait_for("soaks later", SOON, || {
        let now = Timestamp::now();
        if now > over { Ok(()) } else { Err(now) }
    });
    assert_eq!(story.actions("log"), actions, "it goes on resting");
    let seen = sampler.finish();
    seen.verify();
    note(&format!("10 of 24 pods kept: {seen}"));
    assert_eq!(seen.updated, 14, "{seen}");
    assert!(seen.unavailable <= 4, "{seen}");
    let open = |action: &String| action == "Start" || action.starts_with("Batch ");
    assert!(actions.len() > 2 && actions.iter().all(open), "{actions:?}");

    story.push("log: let go of the rest", |repo| {
        let set = story.fleet.sidecar_set("log", "log:2");
        repo.put(&sidecar_file("log"), set.replace("partition: 10", "partition: 0"));
    });
    story.wait_act("log", "Complete");
    story.wait_carried("log", "log:2");
    story.verify();
}

/// For each commit after the first batch: how long after the soak it was pushed. Ready times are whole seconds.
fn lags(seen: &Seen, watcher: &Watcher) -> Vec<String> {
    let released = watcher.released();
    let lag = |(commit, ready): &(String, Timestamp)| {
        let lag = released.get(commit)?.duration_since(ready.saturating_add(SOAK).unwrap());
        Some(format!("{:.1} s", lag.as_secs_f64()))
    };
    seen.ready.iter().filter_map(lag).collect()
}
