//! Measures the memory of a watcher of many pods, and how soon it sees the last of them; `PILLION_E2E_PODS=5000` runs
//! it with 5,000 pods.

use super::fleet::{Application, Fleet, Kind};
use super::memory;
use super::ready::Ready;
use super::story::Story;
use super::watcher::Watcher;
use crate::harness::namespace::Namespace;
use crate::harness::plane::many;
use crate::harness::sandbox::note;
use crate::harness::wait::wait_for;
use jiff::Timestamp;
use serde_json::Value;
use std::time::Instant;

/// Pods of each Deployment.
const EACH: usize = 25;

/// What a debug build may take, in MiB, however many pods there are.
const MOST: usize = 256;

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn memory_is_flat() {
    let pods = many();
    let deployment = |n| Application::new(Kind::Deployment, &format!("app-{n}"), EACH);
    let applications = (0..pods / EACH).map(deployment).collect();
    let fleet = Fleet::new(applications, "start: Auto, soak: 1s, steps: [25, 25%, 50%, 75%, 100%]");
    let story = Story::begin(Namespace::new("watched-many"), fleet);
    let watcher = Watcher::start(&story, "watcher");
    let memory = watcher.memory();
    let rests = |line: &Value| line["decision"] == "Idle";
    wait_for("the first look", story.patience(), || {
        if watcher.log_entries("evaluated").iter().any(rests) { Ok(()) } else { Err(watcher.log()) }
    });
    let at_rest = memory::now(watcher.process());
    story.change("log", "log:2");
    let plan = story.plan();
    let ready = Ready::follow(&story.namespace.name, "log:2");
    story.wait_act("log", "Start");
    let open = Instant::now();
    story.wait_act("log", "Complete");
    let closed = Instant::now();
    story.wait_carried("log", "log:2");
    wait_for("it rests again", story.patience(), || {
        if watcher.log_entries("evaluated").last().is_some_and(rests) { Ok(()) } else { Err(watcher.log()) }
    });
    let (end, peak) = (memory::now(watcher.process()), memory::peak(watcher.process()));
    let samples = memory.finish();
    let middle = open + closed.duration_since(open) / 2;
    let (first, second) = (samples.most(open, middle), samples.most(middle, closed));
    note(&format!(
        "{pods} pods, released in {:.0} s: the watcher took {at_rest} MiB at rest, at most {first} in the first half of \
         the rollout and {second} in the second, {end} in the end, {peak} at any time",
        closed.duration_since(open).as_secs_f64()
    ));
    note(&format!(
        "{pods} pods: from the last pod of a batch ready, with a soak of 1 s, to the next push: {}",
        lags(&story, &plan, &ready, &watcher).join(", ")
    ));
    story.verify();
    // What every batch left behind would be seen in the second half, in which there are as many as in the first. The
    // most of a half is a moment in which a page is read and a snapshot is looked at, or is not.
    assert!(second <= first + first / 3, "{first} MiB, then {second} MiB");
    assert!(peak < MOST, "{peak} MiB");
}

/// For each batch: how long after its last pod was ready the next commit was pushed.
fn lags(story: &Story, plan: &Value, ready: &Ready, watcher: &Watcher) -> Vec<String> {
    let released = watcher.released();
    let last_of = |batch: &Value| -> Timestamp {
        let workloads = batch["workloads"].as_array().unwrap().iter();
        ready.last_of(workloads.map(|w| w["workload"].as_str().unwrap().rsplit('/').next().unwrap()))
    };
    // The first commit opens the rollout, and each batch is followed by another one.
    let next = story.acts("log").into_iter().skip(2).map(|act| released[&act.commit.to_string()]);
    let lag = |(batch, next): (&Value, Timestamp)| {
        format!("{:.1} s", next.duration_since(last_of(batch)).as_secs_f64())
    };
    plan["batches"].as_array().unwrap().iter().zip(next).map(lag).collect()
}
