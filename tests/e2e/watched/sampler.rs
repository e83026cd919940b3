//! Looks at the pods every 100 ms, and holds them against what `pillion plan` has stated.

use super::story::Story;
use crate::git_world::Repo;
use crate::harness::api::{PODS, get};
use crate::harness::pods::is_ready;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(100);

/// What a plan allows while a batch is the last that is out.
#[derive(Debug, Clone, Default)]
struct Bound {
    updated: usize,
    unavailable: usize,
    /// Pods with the target, of each workload.
    to: BTreeMap<String, usize>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) samples: usize,
    /// The most pods that were unavailable at once.
    pub(super) unavailable: usize,
    /// When the last of the pods with the target had become ready, at the end of what each commit followed.
    pub(super) ready: Vec<(String, Timestamp)>,
    /// What was more than the plan says.
    pub(super) beyond: Vec<String>,
}

pub(super) struct Sampler {
    stop: Sender<()>,
    thread: JoinHandle<Seen>,
}

/// What the thread needs.
struct Looks {
    bare: Repo,
    path: String,
    image: String,
    wanted: BTreeMap<String, usize>,
    /// By the number of the batch; before the first nothing may move.
    bounds: Vec<Bound>,
}

impl Sampler {
    /// Begins to look, with the only item of a `Plan` document and the image that it brings.
    pub(super) fn start(story: &Story, plan: &Value, image: &str) -> Self {
        let wanted = story.fleet.applications.iter().map(|a| (a.name.clone(), a.pods)).collect();
        let path = PODS.path(Some(&story.namespace.name), "");
        let looks = Looks {
            bare: story.server.another(),
            path,
            image: image.to_owned(),
            wanted,
            bounds: bounds(plan),
        };
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            let mut head = (String::new(), 0);
            let mut last = None;
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let before = head.1;
                let Ok(list) = get(&looks.path) else { continue };
                let now = looks.head();
                if now != head.0 {
                    seen.ready.extend(last.map(|ready| (now.clone(), ready)));
                    head = (now.clone(), looks.batch(&now));
                }
                last = looks.hold(list["items"].as_array().unwrap(), before.min(head.1)..=head.1, &mut seen);
                seen.samples += 1;
            }
            seen
        });
        Self { stop, thread }
    }

    pub(super) fn finish(self) -> Seen {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

impl Looks {
    fn head(&self) -> String {
        self.bare.git(&["rev-parse", "refs/heads/main"])
    }

    /// The last batch that is out with a commit; without a trailer none has begun.
    fn batch(&self, commit: &str) -> usize {
        let format = "--format=%(trailers:key=Pillion-Batch,valueonly)";
        let batches = self.bare.git(&["log", "--first-parent", format, commit]);
        let last = batches.lines().find(|line| !line.is_empty());
        last.map_or(0, |text| text.split('/').next().unwrap().parse().unwrap())
    }

    /// Compares a sample; returns when the last pod with the target became ready.
    fn hold(
        &self,
        pods: &[Value],
        batches: std::ops::RangeInclusive<usize>,
        seen: &mut Seen,
    ) -> Option<Timestamp> {
        let (mut updated, mut ready) = (BTreeMap::<&str, usize>::new(), BTreeMap::<&str, usize>::new());
        let mut last = None;
        for pod in pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()) {
            let of = pod["metadata"]["labels"]["app"].as_str().unwrap();
            *ready.entry(of).or_default() += usize::from(is_ready(pod));
            let containers = pod["spec"]["containers"].as_array().unwrap();
            if containers.iter().any(|container| container["image"] == *self.image) {
                *updated.entry(of).or_default() += 1;
                last = last.max(ready_since(pod));
            }
        }
        let count = |of: &BTreeMap<&str, usize>, name: &str| of.get(name).copied().unwrap_or_default();
        let bounds: Vec<&Bound> = batches.clone().map(|batch| &self.bounds[batch]).collect();
        let most = |of: &dyn Fn(&Bound) -> usize| bounds.iter().map(|bound| of(bound)).max().unwrap();
        let mut check = |what: &str, found: usize, allowed: usize| {
            if found > allowed {
                seen.beyond.push(format!("batch {batches:?}: {found} {what}, planned {allowed}"));
            }
        };
        let missing = |(name, wanted): (&String, &usize)| wanted.saturating_sub(count(&ready, name));
        let unavailable = self.wanted.iter().map(missing).sum();
        check("unavailable", unavailable, most(&|bound| bound.unavailable));
        check("updated", updated.values().sum(), most(&|bound| bound.updated));
        for name in self.wanted.keys() {
            let allowed = most(&|bound| bound.to.get(name).copied().unwrap_or_default());
            check(&format!("updated of {name}"), count(&updated, name), allowed);
        }
        seen.unavailable = seen.unavailable.max(unavailable);
        last
    }
}

fn ready_since(pod: &Value) -> Option<Timestamp> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready")?;
    ready["lastTransitionTime"].as_str()?.parse().ok()
}

fn bounds(plan: &Value) -> Vec<Bound> {
    let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let mut bounds = vec![Bound::default()];
    for batch in plan["batches"].as_array().unwrap() {
        let mut bound = bounds.last().unwrap().clone();
        (bound.updated, bound.unavailable) = (number(&batch["updated"]), number(&batch["maxUnavailable"]));
        for workload in batch["workloads"].as_array().unwrap() {
            let name = workload["workload"].as_str().unwrap().rsplit('/').next().unwrap();
            bound.to.insert(name.to_owned(), number(&workload["to"]));
        }
        bounds.push(bound);
    }
    bounds
}
