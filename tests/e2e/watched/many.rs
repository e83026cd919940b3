//! Many pods, and how much memory their watcher takes. `PILLION_E2E_PODS=5000` is the long form.

use super::fleet::{Application, Fleet, Kind};
use super::story::Story;
use super::watcher::Watcher;
use crate::harness::namespace::Namespace;
use crate::harness::sandbox::note;

/// Pods of each Deployment.
const EACH: usize = 25;

/// What a debug build may take, in MiB. A release build takes less: docs/benchmarks.md.
const MOST: usize = 256;

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn memory_is_flat() {
    let pods = std::env::var("PILLION_E2E_PODS").map_or(100, |text| text.parse().unwrap());
    let deployment = |n| Application::new(Kind::Deployment, &format!("app-{n}"), EACH);
    let applications = (0..pods / EACH).map(deployment).collect();
    let fleet = Fleet::new(applications, "start: Auto, soak: 1s, steps: [25, 25%, 50%, 75%, 100%]");
    let story = Story::begin(Namespace::new("watched-many"), fleet);
    let watcher = Watcher::start(&story, "watcher");
    crate::harness::wait::wait_for("the first look", story.patience(), || {
        let said = watcher.said("evaluated");
        if said.iter().any(|line| line["decision"] == "Rest") { Ok(()) } else { Err(watcher.log()) }
    });
    let before = watcher.peak();
    story.change("log", "log:2");
    story.wait_act("log", "Close");
    let after = watcher.peak();
    story.wait_carried("log", "log:2");
    story.verify();
    note(&format!(
        "{pods} pods: the watcher's memory was at most {before} MiB at rest, {after} MiB in the end"
    ));
    assert!(after < MOST, "{after} MiB");
}
