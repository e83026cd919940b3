//! A whole rollout, from an edited image to the end, over every kind: nothing is ever beyond what the plan stated.

use super::fleet::{Application, Fleet, Kind};
use super::sampler::{Sampler, Seen};
use super::story::Story;
use super::watcher::Watcher;
use crate::harness::kruise;
use crate::harness::sandbox::note;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;

const SOAK: SignedDuration = SignedDuration::from_secs(2);

/// 40 workloads of seven kinds, 86 pods.
fn forty() -> Vec<Application> {
    let some = |kind, count, name: &str, pods| -> Vec<Application> {
        (0..count).map(|n| Application::new(kind, &format!("{name}-{n}"), pods)).collect()
    };
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
    let plan = plan(&story);
    assert_eq!(plan["matched"], serde_json::json!({"workloads": 40, "pods": 86}), "{plan}");
    assert_eq!(plan["batches"].as_array().unwrap().len(), 5, "{plan}");
    let sampler = Sampler::start(&story, &plan, "log:2");
    let watcher = Watcher::start(&story, "watcher");
    story.wait_act("log", "Close");
    let seen = sampler.finish();
    let batches = (1..=5).map(|n| format!("Batch {n}/5"));
    let expected: Vec<String> =
        ["Open".to_owned()].into_iter().chain(batches).chain(["Close".to_owned()]).collect();
    assert_eq!(story.actions("log"), expected);
    assert_eq!(seen.beyond, Vec::<String>::new(), "in {} samples", seen.samples);
    story.wait_carried("log", "log:2");
    assert_eq!(in_place(&story), before, "the same pods");
    story.verify();
    note(&format!(
        "forty workloads: {} samples, at most {} pods unavailable; from the last pod ready and the soak to the push {}",
        seen.samples,
        seen.unavailable,
        lags(&seen, &watcher).join(", ")
    ));
}

/// What is to come, as `pillion plan` says of pods that are seen.
fn plan(story: &Story) -> Value {
    let kinds = "daemonsets.apps,daemonsets.apps.kruise.io";
    story.person.put("../observed.json", story.namespace.kubectl.run(&["get", kinds, "--output=json"]));
    let plan = story.told(&["plan", "--output=json", "--observed=../observed.json"]);
    let mut plan: Value = serde_json::from_str(&plan).unwrap();
    plan["items"][0].take()
}

/// For each commit after the first batch: how long after the soak it was pushed. Ready times are whole seconds.
fn lags(seen: &Seen, watcher: &Watcher) -> Vec<String> {
    let time = |line: &Value| -> Timestamp { line["timestamp"].as_str().unwrap().parse().unwrap() };
    let released: BTreeMap<String, Timestamp> = watcher
        .said("released")
        .iter()
        .map(|line| (line["commit"].as_str().unwrap().to_owned(), time(line)))
        .collect();
    let lag = |(commit, ready): &(String, Timestamp)| {
        let lag = released.get(commit)?.duration_since(ready.saturating_add(SOAK).unwrap());
        Some(format!("{:.1} s", lag.as_secs_f64()))
    };
    seen.ready.iter().filter_map(lag).collect()
}
