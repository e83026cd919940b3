//! What is held against a workload, whose fault is it, and how is it said?

use super::super::released::Expected;
use super::super::snapshot::{Container, Role, State, Workload};
use super::baseline::{Before, before};
use super::failure::{Class, Due, Failure, failures};
use super::latest::Around;
use super::refusal::{Refusal, refusals};
use super::roster::{Member, Roster};
use super::shortage::namespace;
use super::words::{after, clock, line, list, pods};
use super::{Blame, Evidence, pod, words};
use crate::plan::how::How;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Something that is wrong with a workload.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    /// From when on it counts.
    pub due: Due,
    /// Whose fault it is when it counts. None: it was so before.
    pub blame: Option<Blame>,
    /// Whose fault it is when the deadline passes.
    pub late: Blame,
    /// The sentence for people.
    pub text: String,
    /// What was seen.
    pub evidence: Vec<Evidence>,
}

impl Ground {
    /// Returns whose fault it is where it counts now.
    pub(super) fn counts(&self, now: Timestamp) -> Option<Blame> {
        match self.due {
            Due::Now => self.blame,
            Due::At(at) if at <= now => self.blame,
            _ => None,
        }
    }

    /// Returns when it will count, where only time is missing.
    pub(super) fn comes_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self.due {
            Due::At(at) if at > now && self.blame.is_some() => Some(at),
            _ => None,
        }
    }

    /// Returns the sentence, with the time that is left.
    pub(super) fn words(&self, now: Timestamp) -> String {
        match self.comes_at(now) {
            Some(at) => format!("{}; a failure from {} on", self.text, clock(at, now)),
            None => self.text.clone(),
        }
    }
}

/// Returns what is wrong with containers, in the order of their names. With `only_sidecars` applications are not
/// looked at.
pub(super) fn of_containers(
    expected: &Expected,
    roster: &Roster<'_>,
    around: &Around<'_>,
    only_sidecars: bool,
) -> Vec<Ground> {
    let in_place = expected.how == How::InPlace;
    let all = roster.carrying.iter().flat_map(|m| failures(m.name, m.pod, in_place, around.limits));
    let mut groups: BTreeMap<_, Vec<Failure<'_>>> = BTreeMap::new();
    for failure in all.filter(|f| !only_sidecars || expected.sidecars.contains(&f.container.name)) {
        let is_due = failure.is_due(around.now);
        let key = (!is_due, &*failure.container.name, failure.class, failure.reason);
        groups.entry(key).or_default().push(failure);
    }
    groups.into_values().filter_map(|group| of_group(expected, roster, around, &group)).collect()
}

fn of_group(
    expected: &Expected,
    roster: &Roster<'_>,
    around: &Around<'_>,
    group: &[Failure<'_>],
) -> Option<Ground> {
    let first = group.first()?;
    let is_sidecar = expected.sidecars.contains(&first.container.name);
    let is_init = first.container.role == Role::Init;
    let was = before(&first.container.name, is_init, Some(first.class), &roster.before, around.limits);
    let blame = if is_sidecar { of_sidecar(was) } else { of_application(first.class, was) };
    let due = group.iter().map(|f| f.due).min_by_key(|due| match due {
        Due::Now => Timestamp::MIN,
        Due::At(at) => *at,
        Due::Deadline => Timestamp::MAX,
    })?;
    let late = match first.class {
        Class::Pull => Blame::Unclear,
        _ => blame.unwrap_or(Blame::Unclear),
    };
    let names: Vec<&str> = group.iter().map(|f| f.pod).collect();
    let text = format!(
        "{}: {} in {} ({}){}{}",
        words::container(first.container),
        first.reason,
        pods(names.len()),
        list(&names),
        details(expected, group),
        comparison(is_sidecar, first.class, was),
    );
    let evidence = group.iter().map(|f| f.evidence(namespace(&expected.key))).collect();
    Some(Ground { due, blame, late, text, evidence })
}

/// A sidecar is what the batch has brought; where the one before fails alike, something else may be the cause.
fn of_sidecar(was: Before) -> Option<Blame> {
    Some(if was == Before::Broken { Blame::Unclear } else { Blame::Batch })
}

/// A batch does not touch the image of an application: that it cannot be pulled is no fault of the batch, and taking
/// the batch back would not help.
fn of_application(class: Class, was: Before) -> Option<Blame> {
    match (was, class) {
        (Before::Broken, _) => None,
        (Before::Healthy, Class::Start | Class::Crash) => Some(Blame::Batch),
        _ => Some(Blame::Unclear),
    }
}

fn details(expected: &Expected, group: &[Failure<'_>]) -> String {
    let mut text = String::new();
    let restarts = group.iter().map(|f| f.container.restarts).max().unwrap_or(0);
    if restarts > 0 && group.iter().any(|f| f.class == Class::Crash) {
        text.push_str(&format!(", {}", words::restarts(restarts)));
    }
    let ends = || group.iter().filter_map(|f| f.end);
    if group.iter().any(|f| f.reason == "OOMKilled") {
        let limit = group.first().and_then(|f| expected.limits.iter().find(|(n, _)| *n == f.container.name));
        match limit {
            Some((_, limit)) => text.push_str(&format!(", its memory limit is {limit}")),
            None => text.push_str(", it has no memory limit of its own"),
        }
    } else if let Some(end) = ends().next() {
        text.push_str(&format!(", exit code {}", end.exit_code));
    }
    let message = group.iter().find_map(|f| line(f.message).filter(|_| f.class != Class::Crash));
    message.map_or(text.clone(), |message| format!("{text}: {message}"))
}

fn comparison(is_sidecar: bool, class: Class, was: Before) -> &'static str {
    match (was, is_sidecar, class) {
        (Before::Broken, ..) => "; pods with the template before fail alike",
        (Before::Healthy, false, Class::Start | Class::Crash) => {
            "; in pods with the template before it is healthy"
        }
        (Before::Unknown, false, Class::Start | Class::Crash) => {
            "; no pod with the template before is left to compare it with"
        }
        _ => "",
    }
}

/// Returns why no pods come.
pub(super) fn of_refusals(
    expected: &Expected,
    live: &Workload,
    around: &Around<'_>,
    is_complete: bool,
) -> Vec<Ground> {
    let all = refusals(expected, live, around.limits, around.now);
    let count = all.into_iter().filter(|r| !is_complete || r.outlives_readiness());
    let ground = |refusal: Refusal<'_>| Ground {
        due: Due::At(refusal.due),
        blame: Some(refusal.blame),
        late: refusal.blame,
        text: refusal.words(expected),
        evidence: vec![refusal.evidence(&expected.key)],
    };
    count.map(ground).collect()
}

/// Returns the pods that find no node.
pub(super) fn of_room(expected: &Expected, roster: &Roster<'_>, around: &Around<'_>) -> Option<Ground> {
    let waiting: Vec<(&Member<'_>, Timestamp)> =
        roster.carrying.iter().filter_map(|m| Some((m, pod::unschedulable_since(m.pod)?))).collect();
    let since = waiting.iter().map(|(_, since)| *since).min()?;
    let names: Vec<&str> = waiting.iter().map(|(m, _)| m.name).collect();
    let message = waiting.iter().find_map(|(m, _)| line(m.pod.scheduled.message.as_deref()?));
    let said = message.map(|m| format!(": {m}")).unwrap_or_default();
    let more = expected.more_requests.as_ref();
    let asks = more.map(|more| format!("; a pod asks for more than before: {more}")).unwrap_or_default();
    let due = match more {
        Some(_) => Due::At(after(since, around.limits.refusal_grace)),
        None => Due::Deadline,
    };
    let evidence = waiting.iter().map(|(m, _)| Evidence {
        subject: format!("{}/{}", namespace(&expected.key), m.name).into(),
        container: None,
        reason: "Unschedulable".into(),
        message: m.pod.scheduled.message.as_deref().and_then(line),
        restarts: None,
    });
    Some(Ground {
        due,
        blame: Some(Blame::Unclear),
        late: Blame::Unclear,
        text: format!("no node has room for {} ({}){said}{asks}", pods(names.len()), list(&names)),
        evidence: evidence.collect(),
    })
}

/// Pods that wait for the same thing.
struct Wait<'a> {
    late: Blame,
    container: Option<Arc<str>>,
    pods: Vec<&'a str>,
}

/// Returns what is waited for: it counts when the deadline passes.
pub(super) fn of_waits(expected: &Expected, roster: &Roster<'_>, around: &Around<'_>) -> Vec<Ground> {
    let mut groups: BTreeMap<(&'static str, String), Wait<'_>> = BTreeMap::new();
    let mut wait = |reason, text, pod, late, container| {
        let new = || Wait { late, container, pods: Vec::new() };
        groups.entry((reason, text)).or_insert_with(new).pods.push(pod);
    };
    for member in roster.carrying.iter().filter(|m| !m.is_ready && pod::disturbance(m.pod).is_none()) {
        if pod::is_ready(member.pod) {
            let text = "what was there before still runs".to_owned();
            wait("Outdated", text, member.name, Blame::Unclear, None);
        }
        for container in &member.pod.containers {
            let Some((reason, verb)) = unfinished(container) else { continue };
            let is_sidecar = expected.sidecars.contains(&container.name);
            let is_init = container.role == Role::Init;
            let was = before(&container.name, is_init, None, &roster.before, around.limits);
            let late = if is_sidecar && was != Before::Broken { Blame::Batch } else { Blame::Unclear };
            let text = format!("{} {verb}", words::container(container));
            wait(reason, text, member.name, late, Some(Arc::clone(&container.name)));
        }
    }
    groups.into_iter().map(|((reason, text), wait)| of_wait(expected, reason, &text, &wait)).collect()
}

/// Returns what a container has not done yet that is no failure by itself.
fn unfinished(container: &Container) -> Option<(&'static str, &'static str)> {
    match (container.role, &container.state) {
        (Role::Init, State::Running { .. }) => Some(("Running", "has not ended")),
        (Role::Main | Role::NativeSidecar, State::Running { .. }) if !container.is_ready => {
            Some(("NotReady", "runs and is not ready"))
        }
        _ => None,
    }
}

fn of_wait(expected: &Expected, reason: &str, text: &str, wait: &Wait<'_>) -> Ground {
    let evidence = wait.pods.iter().map(|name| Evidence {
        subject: format!("{}/{name}", namespace(&expected.key)).into(),
        container: wait.container.clone(),
        reason: reason.into(),
        message: None,
        restarts: None,
    });
    Ground {
        due: Due::Deadline,
        blame: Some(wait.late),
        late: wait.late,
        evidence: evidence.collect(),
        text: format!("{text} in {} ({})", pods(wait.pods.len()), list(&wait.pods)),
    }
}
