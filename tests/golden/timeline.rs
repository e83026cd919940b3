//! Runs every `timeline.yaml` below golden/watch: the released batch, and the state of a cluster at several moments.
//! The health at each moment is compared with `decisions.txt`.
//!
//! Times are `HH:MM:SS` of one day. A moment changes the one before it (null removes a value), `out` too: so a timeline
//! may tell of several commits. A pod is healthy by default: its containers run five seconds after it was created, and
//! it is ready ten seconds after. A SidecarSet that Kruise injects has `set`; `new` and `old` are its `spec` then.

use jiff::{SignedDuration, Timestamp};
use pillion::model::int_or_percent::IntOrPercent;
use pillion::rollout::update_method::UpdateMethod;
use pillion::watch::expected_state::{ExpectedSet, ExpectedState, ExpectedWorkload};
use pillion::watch::health::{HealthLimits, WorkloadHealth, assess_health};
use pillion::watch::snapshot::{
    ContainerRole, ContainerState, ContainerTermination, LiveContainer, LivePod, LivePodCondition,
    LiveWorkload, PodPhase, Snapshot, WorkloadCondition,
};
use pillion::yaml::Document;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::to_raw_value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// A timeline.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Timeline {
    #[serde(default)]
    limits: Patience,
    /// An `Out`.
    out: Value,
    moments: Vec<Moment>,
}

/// How patient the judge is; the defaults are its own.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Patience {
    soak: Option<u64>,
    progress_deadline: Option<u64>,
    max_failures: Option<IntOrPercent>,
}

/// What is out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Out {
    batch: u32,
    #[serde(default)]
    goes_back: bool,
    /// By key.
    workloads: BTreeMap<String, Carrier>,
}

/// A workload that has the target.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Carrier {
    batch: Option<u32>,
    how: Option<String>,
    /// The `spec` of the pod template in git.
    new: Value,
    /// That of the template before.
    #[serde(default)]
    old: Value,
    sidecars: Option<Vec<String>>,
    #[serde(default)]
    removed: Vec<String>,
    partition: Option<u32>,
    own_partition: Option<String>,
    #[serde(default)]
    kept: u32,
    more_requests: Option<String>,
    #[serde(default)]
    limits: BTreeMap<String, String>,
    #[serde(default)]
    ordered: bool,
    /// It is a SidecarSet that Kruise injects; its hash is `new`.
    set: Option<KruiseSet>,
    /// Containers that its pods have besides.
    #[serde(default)]
    applications: Vec<Value>,
}

/// What decides which pods of a SidecarSet are updated.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct KruiseSet {
    /// The percentage of its pods that git keeps.
    #[serde(default)]
    kept_percent: u32,
    #[serde(default)]
    canary: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moment {
    at: String,
    note: Option<String>,
    /// What is out from now on, changed from the moment before.
    #[serde(default)]
    out: Value,
    /// Workloads by key, changed from the moment before.
    #[serde(default)]
    live: Value,
}

/// A workload of the cluster.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Live {
    replicas: Option<u32>,
    #[serde(default)]
    generation: i64,
    observed_generation: Option<i64>,
    /// `new`, `old`, or the `spec` of a pod template.
    #[serde(default)]
    template: Value,
    partition: Option<Value>,
    #[serde(default)]
    paused: bool,
    progress_deadline_seconds: Option<u32>,
    #[serde(default)]
    min_ready_seconds: u32,
    /// When the revision of its template was made.
    made: Option<String>,
    /// Its name; `none`: not known.
    revision: Option<String>,
    changed: Option<String>,
    /// Of a SidecarSet: pods that Kruise never updates.
    #[serde(default)]
    not_upgradable: u32,
    #[serde(default)]
    conditions: Vec<Complained>,
    #[serde(default)]
    pods: BTreeMap<String, PodState>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Complained {
    r#type: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    since: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PodState {
    /// `new` or `old`: the containers and the revision that it has.
    is: String,
    created: String,
    revision: Option<String>,
    deleted: Option<String>,
    changed: Option<String>,
    #[serde(default)]
    unseen: bool,
    phase: Option<String>,
    reason: Option<String>,
    disruption: Option<String>,
    /// The message of `Unschedulable`.
    unschedulable: Option<String>,
    /// `True TIME` or `False TIME [REASON]`.
    ready: Option<String>,
    #[serde(default)]
    containers: BTreeMap<String, Status>,
}

/// The status of a container.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Status {
    /// `TIME`.
    running: Option<String>,
    /// `REASON` or `REASON: MESSAGE`.
    waiting: Option<String>,
    /// `REASON CODE TIME`.
    terminated: Option<String>,
    /// As `terminated`.
    last: Option<String>,
    ready: Option<bool>,
    #[serde(default)]
    restarts: u32,
    /// `image` of the spec.
    spec_image: Option<String>,
    /// `image` of the status.
    image: Option<String>,
    #[serde(rename = "imageID")]
    image_id: Option<String>,
    #[serde(rename = "imageIDBefore")]
    image_id_before: Option<String>,
}

/// Compares what the judge says with `decisions.txt`.
pub(crate) fn run(path: &Path) -> super::Outcome {
    let name = Arc::from("timeline.yaml");
    let document = Document::read(&name, 0, 1, &fs::read_to_string(path)?).map_err(|d| format!("{d:?}"))?;
    let timeline: Timeline = serde_json::from_value(document.value().clone())?;
    let own = HealthLimits::default();
    let limits = HealthLimits {
        soak: timeline.limits.soak.unwrap_or(own.soak),
        progress_deadline: timeline.limits.progress_deadline.unwrap_or(own.progress_deadline),
        max_failures: timeline.limits.max_failures,
        ..own
    };
    let (mut out, mut live) = (timeline.out.clone(), Value::Object(serde_json::Map::new()));
    let mut text = String::new();
    for moment in &timeline.moments {
        merge(&mut live, &moment.live);
        merge(&mut out, &moment.out);
        let out: Out = serde_json::from_value(out.clone())?;
        let released = released(&out);
        let workloads: BTreeMap<String, Live> = serde_json::from_value(live.clone())?;
        let workloads = workloads
            .iter()
            .map(|(key, live)| Ok((key.as_str().into(), workload(live, out.workloads.get(key))?)));
        let snapshot = Snapshot { now: time(&moment.at)?, workloads: workloads.collect::<Fallible<_>>()? };
        let report = assess_health(&released, &snapshot, &limits);
        if !text.is_empty() {
            text.push('\n');
        }
        if let Some(note) = &moment.note {
            writeln!(text, "# {note}")?;
        }
        write!(text, "{} {:?}, {} unavailable", moment.at, report.status, report.unavailable)?;
        match report.changes_at {
            Some(at) => writeln!(text, ", may change at {}", clock(at))?,
            None => writeln!(text)?,
        }
        for judged in &report.workloads {
            text.push_str(&shown(judged)?);
        }
    }
    let difference = super::expect(&path.with_file_name("decisions.txt"), text.as_bytes())?;
    difference.map_or(Ok(()), |difference| Err(difference.into()))
}

fn shown(judged: &WorkloadHealth) -> Fallible<String> {
    let health = format!("{:?}", judged.status);
    let health = health.split([' ', '{']).next().unwrap_or_default();
    let mut text = format!("  {}: {health}\n", judged.key);
    for reason in &judged.reasons {
        writeln!(text, "    {reason}")?;
    }
    for evidence in &judged.evidence {
        writeln!(text, "    ! {}", evidence.to_json())?;
    }
    Ok(text)
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        if !patch.is_null() {
            *target = patch.clone();
        }
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().map(|o| o.remove(key));
        } else {
            merge(&mut target[key.as_str()], value);
        }
    }
}

fn released(out: &Out) -> ExpectedState {
    let expected = |(key, of): (&String, &Carrier)| ExpectedWorkload {
        set: of.set.as_ref().map(|set| ExpectedSet {
            hash: "new".into(),
            kept_percent: set.kept_percent,
            is_canary: set.canary,
        }),
        key: key.as_str().into(),
        batch: of.batch.unwrap_or(out.batch),
        update_method: match of.how.as_deref() {
            Some("InPlace") => UpdateMethod::InPlace,
            Some("NextRun") => UpdateMethod::NextRun,
            Some("Never") => UpdateMethod::Never,
            _ => UpdateMethod::Recreate,
        },
        template: serde_json::json!({"spec": of.new}),
        sidecars: of.sidecars.as_ref().map_or_else(|| [Arc::from("log")].into(), |names| shared(names)),
        removed_sidecars: shared(&of.removed),
        is_ordered: of.ordered,
        partition: of.partition,
        native_partition: of.own_partition.as_deref().map(Arc::from),
        kept_pods: of.kept,
        request_increase: of.more_requests.clone(),
        memory_limits: of.limits.iter().map(|(name, limit)| (name.as_str().into(), limit.clone())).collect(),
    };
    let workloads = out.workloads.iter().map(expected).collect();
    ExpectedState { batch: out.batch, is_rollback: out.goes_back, workloads, pending: Vec::new() }
}

fn shared(names: &[String]) -> BTreeSet<Arc<str>> {
    names.iter().map(|name| Arc::from(name.as_str())).collect()
}

fn workload(live: &Live, released: Option<&Carrier>) -> Fallible<LiveWorkload> {
    let none = Value::Null;
    let (new, old) = released.map_or((&none, &none), |r| (&r.new, &r.old));
    let spec = match &live.template {
        Value::Null => new,
        Value::String(which) if which == "new" => new,
        Value::String(_) => old,
        written => written,
    };
    let pods = live.pods.iter().map(|(name, p)| {
        let spec = if p.is == "new" { new } else { old };
        let mut spec = spec.clone();
        if let Some(containers) = spec["containers"].as_array_mut() {
            containers.extend(released.iter().flat_map(|r| r.applications.iter().cloned()));
        }
        Ok((name.as_str().into(), pod(p, &spec).map_err(|e| format!("{name}: {e}"))?))
    });
    let complaint = |c: &Complained| -> Fallible<WorkloadCondition> {
        Ok(WorkloadCondition {
            kind: c.r#type.as_str().into(),
            reason: c.reason.as_str().into(),
            message: c.message.as_str().into(),
            since: c.since.as_deref().map(time).transpose()?,
        })
    };
    let revision: Arc<str> = live.revision.as_deref().unwrap_or("new").into();
    Ok(LiveWorkload {
        generation: live.generation,
        observed_generation: live.observed_generation,
        desired: live.replicas,
        template: Some(to_raw_value(&serde_json::json!({"spec": spec}))?.into()),
        partition: live.partition.as_ref().map(to_raw_value).transpose()?.map(Arc::from),
        is_update_manual: live.paused,
        progress_deadline: live.progress_deadline_seconds,
        min_ready_seconds: live.min_ready_seconds,
        update_revision: Some(revision).filter(|r| **r != *"none"),
        revision_created: live.made.as_deref().map(time).transpose()?,
        spec_changed: live.changed.as_deref().map(time).transpose()?,
        not_upgradable: live.not_upgradable,
        conditions: live.conditions.iter().map(complaint).collect::<Fallible<_>>()?,
        pods: pods.collect::<Fallible<_>>()?,
    })
}

fn pod(of: &PodState, spec: &Value) -> Fallible<LivePod> {
    let created = time(&of.created)?;
    let is_scheduled = of.unschedulable.is_none();
    let mut containers = Vec::new();
    for (list, is_init) in [("containers", false), ("initContainers", true)] {
        for asked in spec[list].as_array().into_iter().flatten() {
            let name = asked["name"].as_str().unwrap_or_default();
            let role = match (is_init, asked["restartPolicy"].as_str()) {
                (false, _) => ContainerRole::Main,
                (true, Some("Always")) => ContainerRole::NativeSidecar,
                (true, _) => ContainerRole::Init,
            };
            let image = asked["image"].as_str().unwrap_or_default();
            let default = Status::default();
            let status = of.containers.get(name).unwrap_or(&default);
            containers.push(container(name, role, image, status, created, is_scheduled)?);
        }
    }
    if let Some(unknown) = of.containers.keys().find(|name| containers.iter().all(|c| *c.name != ***name)) {
        return Err(format!("no container {unknown}").into());
    }
    let is_ready = containers.iter().all(|c| c.role == ContainerRole::Init || c.is_ready);
    let has_begun = containers
        .iter()
        .all(|c| c.role != ContainerRole::Init || matches!(c.state, ContainerState::Terminated(_)));
    let phase = match of.phase.as_deref() {
        Some("Failed") => PodPhase::Failed,
        Some("Succeeded") => PodPhase::Succeeded,
        Some("Unknown") => PodPhase::Unknown,
        Some("Pending") => PodPhase::Pending,
        Some("Running") => PodPhase::Running,
        Some(other) => return Err(format!("phase {other}").into()),
        None if is_scheduled && has_begun => PodPhase::Running,
        None => PodPhase::Pending,
    };
    let ready = match &of.ready {
        Some(text) => {
            let mut words = text.splitn(3, ' ');
            let holds = words.next() == Some("True");
            let since = words.next().map(time).transpose()?;
            LivePodCondition { is_true: holds, since, reason: words.next().map(Arc::from), message: None }
        }
        None if is_ready => {
            LivePodCondition { is_true: true, since: Some(later(created, 10)), ..LivePodCondition::default() }
        }
        None => {
            let reason = Some(Arc::from("ContainersNotReady"));
            LivePodCondition { is_true: false, since: Some(created), reason, message: None }
        }
    };
    let scheduled = LivePodCondition {
        is_true: is_scheduled,
        since: Some(created),
        reason: (!is_scheduled).then(|| "Unschedulable".into()),
        message: of.unschedulable.as_deref().map(Arc::from),
    };
    let revision: Arc<str> = of.revision.as_deref().unwrap_or(&of.is).into();
    Ok(LivePod {
        uid: "".into(),
        created: Some(created),
        deletion_time: of.deleted.as_deref().map(time).transpose()?,
        updated_in_place: of.changed.as_deref().map(time).transpose()?,
        is_update_unobserved: of.unseen,
        revision: Some(revision).filter(|r| **r != *"none"),
        is_scheduled,
        phase,
        reason: of.reason.as_deref().map(Arc::from),
        ready,
        scheduled,
        disruption: of.disruption.as_deref().map(Arc::from),
        containers: containers.into(),
    })
}

fn container(
    name: &str,
    role: ContainerRole,
    image: &str,
    of: &Status,
    created: Timestamp,
    is_scheduled: bool,
) -> Fallible<LiveContainer> {
    let state = match (&of.running, &of.waiting, &of.terminated) {
        (Some(since), ..) => ContainerState::Running { since: Some(time(since)?) },
        (_, Some(waiting), _) => {
            let (reason, message) = waiting.split_once(": ").unwrap_or((waiting, ""));
            ContainerState::Waiting { reason: reason.into(), message: message.into() }
        }
        (.., Some(end)) => ContainerState::Terminated(ended(end)?),
        _ if !is_scheduled => ContainerState::Unknown,
        _ if role == ContainerRole::Init => ContainerState::Terminated(ContainerTermination {
            exit_code: 0,
            reason: "Completed".into(),
            started_at: Some(created),
            finished_at: Some(later(created, 4)),
        }),
        _ => ContainerState::Running { since: Some(later(created, 5)) },
    };
    let is_running = matches!(state, ContainerState::Running { .. });
    let image: Arc<str> = of.spec_image.as_deref().unwrap_or(image).into();
    Ok(LiveContainer {
        name: name.into(),
        role,
        running_image: is_scheduled.then(|| of.image.as_deref().unwrap_or(&image).into()),
        image,
        image_id: of.image_id.as_deref().map(Arc::from),
        previous_image_id: of.image_id_before.as_deref().map(Arc::from),
        is_ready: of.ready.unwrap_or(is_running && role != ContainerRole::Init),
        restarts: of.restarts,
        state,
        last_termination: of.last.as_deref().map(ended).transpose()?,
    })
}

/// Reads `OOMKilled 137 12:00:07`.
fn ended(text: &str) -> Fallible<ContainerTermination> {
    let words: Vec<&str> = text.split(' ').collect();
    let [reason, code, at] = words[..] else { return Err(format!("REASON CODE TIME: {text}").into()) };
    let finished = time(at)?;
    Ok(ContainerTermination {
        exit_code: code.parse()?,
        reason: reason.into(),
        started_at: Some(later(finished, -1)),
        finished_at: Some(finished),
    })
}

fn time(text: &str) -> Fallible<Timestamp> {
    Ok(format!("2026-01-05T{text}Z").parse::<Timestamp>().map_err(|e| format!("{text}: {e}"))?)
}

fn clock(at: Timestamp) -> String {
    at.to_string().trim_start_matches("2026-01-05T").trim_end_matches('Z').to_owned()
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at + SignedDuration::from_secs(seconds)
}
