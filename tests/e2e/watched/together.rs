//! Concurrent changes: an application is released during a rollout, and another sidecar at the same time.

use super::fleet::{Application, Fleet, Kind};
use super::story::{PILLION, Story};
use super::watcher::Watcher;
use crate::harness::namespace::Namespace;
use crate::harness::pods::container;

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn two_sidecars_and_an_application_at_once() {
    let both = |n| Application::new(Kind::Deployment, &format!("app-{n}"), 2).with(&["log", "trace"]);
    let rollout = "start: Auto, soak: 2s, steps: [2, 50%, 100%]";
    let fleet = Fleet::new((1..=4).map(both).collect(), rollout).with_sidecar("trace");
    let story = Story::begin(Namespace::new("watched-together"), fleet);
    story.change("log", "log:2");
    story.change("trace", "trace:2");
    let _watcher = Watcher::start(&story, "watcher");
    story.wait_act("log", "Batch 1/3");
    let application = both(4).image("app:2");
    story.push("app-4: version 2", |repo| {
        repo.put(&application.file(), application.manifest());
        let rendered = repo.command(PILLION).args(["render", "--out=rendered"]).output().unwrap();
        assert!(rendered.status.success(), "{rendered:?}");
    });
    for set in ["log", "trace"] {
        story.wait_act(set, "Complete");
        story.wait_carried(set, &format!("{set}:2"));
        let actions = story.actions(set);
        let count = |name: &str| actions.iter().filter(|action| action.starts_with(name)).count();
        assert_eq!((count("Start"), count("Complete"), count("Pause")), (1, 1, 0), "{actions:?}");
    }
    story.wait_until("the application's version 2 runs", |pods| {
        let of = pods.iter().filter(|pod| pod["metadata"]["labels"]["app"] == "app-4");
        of.filter(|pod| container(pod, "main")["image"] == "app:2").count() == 2
    });
    story.verify();
}
