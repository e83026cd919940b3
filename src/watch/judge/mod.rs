//! Are the pods of what is out healthy? Pure, and without a memory: what git says, one snapshot, and the API
//! server's time give the answer, so that a restart and `--once` every minute judge alike.

mod applied;
mod baseline;
mod carries;
mod covers;
mod deadline;
mod disturbance;
mod failure;
mod ground;
mod image;
mod latest;
mod pod;
mod pull;
mod refusal;
mod roster;
mod shortage;
mod soak;
mod target;
mod words;

use self::latest::{Around, Told};
use super::released::Released;
use super::snapshot::Snapshot;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How patient the judge is. Times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long the pods of a batch must stay healthy; counts for nothing while a rollout goes back.
    pub soak: u64,
    /// How long a batch may take without progress; a workload's own `progressDeadlineSeconds` counts where it is more.
    pub progress_deadline: u64,
    /// How long an image may fail to be pulled where the message does not say that it never will.
    pub pull_grace: u64,
    /// How long pods may be refused (quota, admission) before that is a failure.
    pub refusal_grace: u64,
    /// Restarts of a container from which on it counts as crashing.
    pub restarts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { soak: 120, progress_deadline: 600, pull_grace: 60, refusal_grace: 60, restarts: 3 }
    }
}

/// What the judge says of everything that is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Of all of it.
    pub verdict: Verdict,
    /// Of each workload that carries the target, in the order of keys.
    pub workloads: Vec<Judged>,
    /// Pods that carry the target and are not ready, or on their way out: they use up `maxUnavailable`.
    pub unavailable: u32,
    /// The moment at which the verdict may change although nothing happens: the end of a soak, of a grace, of a
    /// deadline. None: only an event changes it.
    pub changes_at: Option<Timestamp>,
}

/// What may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The next step.
    Healthy,
    /// Nothing yet.
    Waiting,
    /// A pause, or a rollback where the batch is to blame.
    Failing(Blame),
}

/// Whose fault is it?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blame {
    /// Cannot be told from what was so before: ground for a pause, never for a rollback.
    Unclear,
    /// The batch's.
    Batch,
}

/// What the judge says of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub key: Arc<str>,
    /// The batch that brought it to the target.
    pub batch: u32,
    /// How it does.
    pub health: Health,
    /// Pods that are to carry the target.
    pub wanted: u32,
    /// Pods that do.
    pub carrying: u32,
    /// Those of them that are ready.
    pub ready: u32,
    /// Why it is no further, for people; the most important first.
    pub reasons: Vec<String>,
    /// What was seen, pod by pod.
    pub evidence: Vec<Evidence>,
}

/// How a workload does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The cluster does not have what git says, or its controller has not looked at it.
    NotApplied,
    /// Its pods are being replaced, and nothing is wrong so far.
    Progressing,
    /// A person has paused it, or replaces its pods by hand: nothing is wrong, and no deadline runs.
    OnHold,
    /// Nodes or evictions keep it back; nobody is blamed, and no deadline runs.
    Disturbed,
    /// All its pods are ready, until the soak is over.
    Soaking {
        /// When it will have lasted long enough.
        until: Timestamp,
    },
    /// All its pods are ready, and have been for the soak.
    Healthy,
    /// It has no pods that could show anything: none are wanted, or they come with its next run.
    NoEvidence,
    /// Something is wrong that will not mend itself.
    Failing(Blame),
    /// Not failing, and not ready within its deadline.
    Stalled,
}

/// What was seen of one pod, or of a workload that gets none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// `NAMESPACE/NAME`; for conditions of a workload its key.
    pub subject: Arc<str>,
    /// The container.
    pub container: Option<Arc<str>>,
    /// The reason, in Kubernetes' words.
    pub reason: Arc<str>,
    /// What the kubelet or controller says, shortened to one line.
    pub message: Option<String>,
    /// `restartCount`.
    pub restarts: Option<u32>,
}

impl Evidence {
    /// Returns one line of JSON, the value of a `Pillion-Evidence` trailer.
    pub fn json(&self) -> Value {
        let mut object = json!({"pod": &*self.subject});
        if let Some(container) = &self.container {
            object["container"] = json!(&**container);
        }
        object["reason"] = json!(&*self.reason);
        if let Some(restarts) = self.restarts {
            object["restarts"] = json!(restarts);
        }
        object
    }
}

impl Judgement {
    /// Returns the workloads that fail because of what they carry: a rollback begins with them.
    pub fn broken(&self) -> BTreeSet<Arc<str>> {
        let fails = |w: &&Judged| matches!(w.health, Health::Failing(_) | Health::Stalled);
        self.workloads.iter().filter(fails).map(|w| Arc::clone(&w.key)).collect()
    }
}

/// Judges everything that is out.
pub fn judge(released: &Released, snapshot: &Snapshot, limits: &Limits) -> Judgement {
    if released.batch == 0 {
        let (verdict, workloads) = (Verdict::Healthy, Vec::new());
        return Judgement { verdict, workloads, unavailable: 0, changes_at: None };
    }
    let shortage = shortage::shortage(released, snapshot);
    let around = Around { goes_back: released.goes_back, limits, now: snapshot.now, shortage: &shortage };
    let mut told: Vec<Told> = released
        .workloads
        .iter()
        .map(|expected| {
            let live = snapshot.workloads.get(&expected.key);
            let is_last = expected.batch >= released.batch;
            if is_last {
                latest::judge(expected, live, &around)
            } else {
                latest::judge_earlier(expected, live, &around)
            }
        })
        .collect();
    told.sort_by(|a, b| a.judged.key.cmp(&b.judged.key));
    let verdict = verdict(released.batch, &told);
    let changes_at = changes_at(released.batch, verdict, &told, snapshot.now);
    let unavailable = told.iter().fold(0_u32, |sum, t| sum.saturating_add(t.unavailable));
    Judgement { verdict, workloads: told.into_iter().map(|t| t.judged).collect(), unavailable, changes_at }
}

fn verdict(batch: u32, told: &[Told]) -> Verdict {
    let is_earlier = |t: &Told| t.judged.batch < batch;
    let blame = |t: &Told| match t.judged.health {
        Health::Failing(blame) => Some(blame),
        Health::Stalled => Some(Blame::Unclear),
        _ => None,
    };
    let is_done = |t: &Told| matches!(t.judged.health, Health::Healthy | Health::NoEvidence);
    match told.iter().filter_map(blame).max() {
        Some(blame) => Verdict::Failing(blame),
        None if told.iter().all(|t| is_earlier(t) || is_done(t)) => Verdict::Healthy,
        None => Verdict::Waiting,
    }
}

/// The first failure that time brings; or the end of the last soak, where nothing but soaks is waited for.
fn changes_at(batch: u32, verdict: Verdict, told: &[Told], now: Timestamp) -> Option<Timestamp> {
    if verdict == Verdict::Failing(Blame::Batch) {
        return None;
    }
    let soak = |t: &Told| match t.judged.health {
        _ if t.judged.batch < batch => Some(Timestamp::MIN),
        Health::Soaking { until } => Some(until),
        Health::Healthy | Health::NoEvidence => Some(Timestamp::MIN),
        _ => None,
    };
    let healthy = told.iter().map(soak).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    told.iter().filter_map(|t| t.fails_at).chain(healthy).filter(|at| *at > now).min()
}
