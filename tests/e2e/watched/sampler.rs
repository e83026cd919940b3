//! Reads the pods from the API server every 100 ms and compares them with the limits of `pillion plan`.

use super::story::Story;
use crate::harness::api::{PODS, PORT, http};
use crate::harness::pods::{is_ready, runs_image};
use jiff::Timestamp;
use pillion::git::{HistoryWalk, ObjectId, Repository, trailer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(100);

/// What a plan allows while a batch is the last that is out.
#[derive(Debug, Clone, Default)]
struct Bound {
    updated: usize,
    unavailable: usize,
    /// Pods with the target, of each workload.
    to: BTreeMap<String, usize>,
}

/// One answer of the API server.
struct Sample {
    /// When it came.
    at: Instant,
    /// The commit of the deploy branch a moment later.
    head: ObjectId,
    /// The list of pods, as it came.
    list: String,
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    samples: usize,
    /// From the first sample to the last.
    span: Duration,
    /// The longest time without a sample.
    gap: Duration,
    /// The most pods that carried the target at once.
    pub(super) updated: usize,
    /// The most pods that were unavailable at once.
    pub(super) unavailable: usize,
    /// When the last of the pods with the target had become ready, at the end of what each commit followed.
    pub(super) ready: Vec<(String, Timestamp)>,
    /// What was more than the plan says.
    beyond: Vec<String>,
}

pub(super) struct Sampler {
    stop: Sender<()>,
    holder: JoinHandle<Seen>,
}

/// What samples are held against.
struct Plan {
    repository: Repository,
    image: String,
    wanted: BTreeMap<String, usize>,
    /// By the number of the batch; before the first nothing may move.
    bounds: Vec<Bound>,
}

impl Sampler {
    /// Begins to look, with the only item of a `Plan` document and the image that it brings.
    ///
    /// One thread asks and another compares, so that comparing takes no time from asking.
    pub(super) fn start(story: &Story, plan: &Value, image: &str) -> Self {
        let wanted = story.fleet.applications.iter().map(|a| (a.name.clone(), a.pods)).collect();
        let repository = || story.server.bare.open();
        let path = PODS.path(Some(&story.namespace.name), "");
        let plan = Plan { repository: repository(), image: image.to_owned(), wanted, bounds: bounds(plan) };
        let (stop, stopped) = channel();
        let (sender, samples) = channel();
        let (bare, deploy_branch) =
            (repository(), format!("refs/heads/{}", story.fleet.layout.deploy_branch()));
        thread::spawn(move || ask(&path, (&bare, &deploy_branch), &stopped, &sender));
        Self { stop, holder: thread::spawn(move || plan.hold_all(&samples)) }
    }

    pub(super) fn finish(self) -> Seen {
        self.stop.send(()).unwrap();
        self.holder.join().unwrap()
    }
}

/// Takes a sample every 100 ms until it is stopped; what comes late is not caught up with.
fn ask(
    path: &str,
    (bare, deploy_branch): (&Repository, &str),
    stopped: &Receiver<()>,
    samples: &Sender<Sample>,
) {
    let mut due = Instant::now();
    loop {
        due = (due + EVERY).max(Instant::now());
        if stopped.recv_timeout(due.saturating_duration_since(Instant::now()))
            != Err(RecvTimeoutError::Timeout)
        {
            return;
        }
        let Ok((200, list)) = http(PORT, path) else { continue };
        let (at, head) = (Instant::now(), bare.find_ref(deploy_branch).unwrap());
        if samples.send(Sample { at, head, list }).is_err() {
            return;
        }
    }
}

impl Seen {
    /// Nothing was beyond the plan, as far as samples tell, of which there are enough.
    ///
    /// A machine that is busy answers late now and then: on the average, every third sample has to be there.
    #[track_caller]
    pub(super) fn verify(&self) {
        assert!(self.beyond.is_empty(), "{self}\n{}", self.beyond.join("\n"));
        let wanted = self.span.as_millis() / EVERY.as_millis() / 3;
        assert!(self.samples as u128 >= wanted, "{self}, at least {wanted} are wanted");
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, updated, unavailable, .. } = self;
        let (span, gap) = (self.span.as_secs_f64(), self.gap.as_secs_f64());
        write!(f, "{samples} samples in {span:.1} s, {gap:.2} s apart at most, ")?;
        write!(f, "with at most {updated} pods updated and {unavailable} unavailable")
    }
}

impl Plan {
    /// Compares until no more samples come.
    fn hold_all(&self, samples: &Receiver<Sample>) -> Seen {
        let mut seen = Seen::default();
        let (mut head, mut batch) = (None, 0);
        let (mut last, mut ready) = (None, None);
        for sample in samples {
            // The pods are as the commit before has them, or the one that was live when they were listed.
            let before = batch;
            if head != Some(sample.head) {
                seen.ready.extend(ready.map(|ready| (sample.head.to_string(), ready)));
                head = Some(sample.head);
                batch = self.batch(sample.head);
            }
            let list: Value = serde_json::from_str(&sample.list).unwrap();
            ready = self.hold(list["items"].as_array().unwrap(), before.min(batch)..=batch, &mut seen);
            let gap = last.map_or(Duration::ZERO, |last| sample.at.duration_since(last));
            last = Some(sample.at);
            seen.samples += 1;
            seen.span += gap;
            seen.gap = seen.gap.max(gap);
        }
        seen
    }

    /// The last batch that is out with a commit; without a trailer none has begun.
    fn batch(&self, commit: ObjectId) -> usize {
        let log = self.repository.log(commit, None, HistoryWalk::FirstParent).unwrap();
        let last = log.map(Result::unwrap).find_map(|commit| commit.trailer(trailer::BATCH));
        last.map_or(0, |text| text.split('/').next().unwrap().parse().unwrap())
    }

    /// Compares a sample; returns when the last pod with the target became ready.
    fn hold(&self, pods: &[Value], batches: RangeInclusive<usize>, seen: &mut Seen) -> Option<Timestamp> {
        let (mut updated, mut ready) = (BTreeMap::<&str, usize>::new(), BTreeMap::<&str, usize>::new());
        let mut last = None;
        for pod in pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()) {
            let of = pod["metadata"]["labels"]["app"].as_str().unwrap();
            *ready.entry(of).or_default() += usize::from(is_ready(pod));
            if runs_image(pod, &self.image) {
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
        let all_updated = updated.values().sum();
        check("unavailable", unavailable, most(&|bound| bound.unavailable));
        check("updated", all_updated, most(&|bound| bound.updated));
        for name in self.wanted.keys() {
            let allowed = most(&|bound| bound.to.get(name).copied().unwrap_or_default());
            check(&format!("updated of {name}"), count(&updated, name), allowed);
        }
        seen.unavailable = seen.unavailable.max(unavailable);
        seen.updated = seen.updated.max(all_updated);
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
