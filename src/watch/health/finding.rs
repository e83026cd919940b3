//! Collects health findings of a workload and attributes each to a cause.

use super::super::expected_state::ExpectedWorkload;
use super::super::snapshot::{ContainerRole, ContainerState, LiveContainer, LiveWorkload};
use super::baseline::{BaselineHealth, baseline_health};
use super::conditions::{ConditionFailure, condition_failures};
use super::failure::{ContainerFailure, FailureClass, FailureDue, pod_failures};
use super::format::{add_seconds, count_pods, join_names, pod_subject, single_line, time_of_day};
use super::pod_set::{ClassifiedPod, PodSet};
use super::types::HealthContext;
use super::{FailureCause, HealthEvidence, format, pod};
use crate::diagnostics::pluralize;
use crate::rollout::update_method::UpdateMethod;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A finding about a workload.
#[derive(Debug, Clone)]
pub(super) struct HealthFinding {
    /// When it counts.
    pub(crate) due: FailureDue,
    /// The cause when it counts. None: pods with the previous template fail in the same way.
    pub(crate) cause: Option<FailureCause>,
    /// The cause when the deadline passes.
    pub(crate) deadline_cause: FailureCause,
    /// The text for people.
    pub(crate) message: String,
    /// The evidence.
    pub(crate) evidence: Vec<HealthEvidence>,
    /// The names of the pods; empty: it is about the workload.
    pub(crate) pods: Vec<String>,
}

impl HealthFinding {
    /// Returns the cause if it counts now.
    pub(super) fn active_cause(&self, now: Timestamp) -> Option<FailureCause> {
        match self.due {
            FailureDue::Now => self.cause,
            FailureDue::At(at) if at <= now => self.cause,
            _ => None,
        }
    }

    /// Returns when it will count if only time is missing.
    pub(super) fn due_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self.due {
            FailureDue::At(at) if at > now && self.cause.is_some() => Some(at),
            _ => None,
        }
    }

    /// Returns the text, with the time when it will count.
    pub(super) fn describe(&self, now: Timestamp) -> String {
        match self.due_at(now) {
            Some(at) => format!("{}; counts as a failure from {}", self.message, time_of_day(at, now)),
            None => self.message.clone(),
        }
    }
}

/// Returns the failures of containers, by name. With `only_sidecars` the application's containers are ignored.
pub(super) fn container_findings(
    expected: &ExpectedWorkload,
    pods: &PodSet<'_>,
    context: &HealthContext<'_>,
    only_sidecars: bool,
) -> Vec<HealthFinding> {
    let in_place = expected.update_method == UpdateMethod::InPlace;
    let all = pods.updated.iter().flat_map(|m| pod_failures(m.name, m.pod, in_place, context.limits));
    let mut groups: BTreeMap<_, Vec<ContainerFailure<'_>>> = BTreeMap::new();
    for failure in all.filter(|f| !only_sidecars || expected.sidecars.contains(&f.container.name)) {
        let is_due = failure.is_due(context.now);
        let key = (!is_due, &*failure.container.name, failure.class, failure.reason);
        groups.entry(key).or_default().push(failure);
    }
    groups.into_values().filter_map(|group| group_finding(expected, pods, context, &group)).collect()
}

fn group_finding(
    expected: &ExpectedWorkload,
    pods: &PodSet<'_>,
    context: &HealthContext<'_>,
    group: &[ContainerFailure<'_>],
) -> Option<HealthFinding> {
    let first = group.first()?;
    let is_sidecar = expected.sidecars.contains(&first.container.name);
    let is_init = first.container.role == ContainerRole::Init;
    let baseline =
        baseline_health(&first.container.name, is_init, Some(first.class), &pods.outdated, context.limits);
    let cause = if is_sidecar { sidecar_cause(baseline) } else { application_cause(first.class, baseline) };
    let due = group.iter().map(|f| f.due).min_by_key(|due| match due {
        FailureDue::Now => Timestamp::MIN,
        FailureDue::At(at) => *at,
        FailureDue::Deadline => Timestamp::MAX,
    })?;
    let deadline_cause = match first.class {
        FailureClass::ImagePull => FailureCause::Unknown,
        _ => cause.unwrap_or(FailureCause::Unknown),
    };
    let names: Vec<&str> = group.iter().map(|f| f.pod).collect();
    let text = format!(
        "{}: {} in {} ({}){}{}",
        format::container_label(first.container),
        first.reason,
        count_pods(names.len()),
        join_names(&names),
        failure_details(expected, group),
        baseline_note(is_sidecar, first.class, baseline),
    );
    let evidence = group.iter().map(|f| f.evidence(&expected.key)).collect();
    let pods = owned(&names);
    Some(HealthFinding { due, cause, deadline_cause, message: text, evidence, pods })
}

/// The batch introduced the sidecar, unless the previous one fails in the same way.
fn sidecar_cause(baseline: BaselineHealth) -> Option<FailureCause> {
    Some(if baseline == BaselineHealth::Broken { FailureCause::Unknown } else { FailureCause::Batch })
}

/// A batch does not change the image of an application: a rollback would not help if it cannot be pulled.
fn application_cause(class: FailureClass, baseline: BaselineHealth) -> Option<FailureCause> {
    match (baseline, class) {
        (BaselineHealth::Broken, _) => None,
        (BaselineHealth::Healthy, FailureClass::Start | FailureClass::Crash) => Some(FailureCause::Batch),
        _ => Some(FailureCause::Unknown),
    }
}

fn failure_details(expected: &ExpectedWorkload, group: &[ContainerFailure<'_>]) -> String {
    let mut text = String::new();
    let restarts = group.iter().map(|f| f.container.restarts).max().unwrap_or(0);
    if restarts > 0 && group.iter().any(|f| f.class == FailureClass::Crash) {
        text.push_str(&format!(", {}", pluralize(restarts.into(), "restart")));
    }
    let ends = || group.iter().filter_map(|f| f.termination);
    if group.iter().any(|f| f.reason == "OOMKilled") {
        let limit =
            group.first().and_then(|f| expected.memory_limits.iter().find(|(n, _)| *n == f.container.name));
        match limit {
            Some((_, limit)) => text.push_str(&format!(", memory limit {limit}")),
            None => text.push_str(", no memory limit"),
        }
    } else if let Some(end) = ends().next() {
        text.push_str(&format!(", exit code {}", end.exit_code));
    }
    let message =
        group.iter().find_map(|f| single_line(f.message).filter(|_| f.class != FailureClass::Crash));
    message.map_or(text.clone(), |message| format!("{text}: {message}"))
}

fn baseline_note(is_sidecar: bool, class: FailureClass, baseline: BaselineHealth) -> &'static str {
    match (baseline, is_sidecar, class) {
        (BaselineHealth::Broken, ..) => "; pods with the previous template fail in the same way",
        (BaselineHealth::Healthy, false, FailureClass::Start | FailureClass::Crash) => {
            "; it is healthy in pods with the previous template"
        }
        (BaselineHealth::Unknown, false, FailureClass::Start | FailureClass::Crash) => {
            "; no pod with the previous template is left for comparison"
        }
        _ => "",
    }
}

/// Returns why pods are missing.
pub(super) fn condition_findings(
    expected: &ExpectedWorkload,
    live: &LiveWorkload,
    context: &HealthContext<'_>,
    is_complete: bool,
) -> Vec<HealthFinding> {
    let all = condition_failures(expected, live, context.limits, context.now);
    let count = all.into_iter().filter(|r| !is_complete || r.matters_when_ready());
    let to_finding = |failure: ConditionFailure<'_>| HealthFinding {
        due: FailureDue::At(failure.due),
        cause: Some(failure.cause),
        deadline_cause: failure.cause,
        message: failure.describe(expected),
        evidence: vec![failure.evidence(&expected.key)],
        pods: Vec::new(),
    };
    count.map(to_finding).collect()
}

/// Returns the unschedulable pods.
pub(super) fn scheduling_finding(
    expected: &ExpectedWorkload,
    pods: &PodSet<'_>,
    context: &HealthContext<'_>,
) -> Option<HealthFinding> {
    let unschedulable: Vec<(&ClassifiedPod<'_>, Timestamp)> =
        pods.updated.iter().filter_map(|m| Some((m, pod::unschedulable_since(m.pod)?))).collect();
    let since = unschedulable.iter().map(|(_, since)| *since).min()?;
    let names: Vec<&str> = unschedulable.iter().map(|(m, _)| m.name).collect();
    let message = unschedulable.iter().find_map(|(m, _)| single_line(m.pod.scheduled.message.as_deref()?));
    let detail = message.map(|m| format!(": {m}")).unwrap_or_default();
    let more = expected.request_increase.as_ref();
    let asks = more.map(|more| format!("; a pod requests more than before: {more}")).unwrap_or_default();
    let due = match more {
        Some(_) => FailureDue::At(add_seconds(since, context.limits.refusal_grace)),
        None => FailureDue::Deadline,
    };
    let evidence = unschedulable.iter().map(|(m, _)| HealthEvidence {
        subject: pod_subject(&expected.key, m.name).into(),
        container: None,
        reason: "Unschedulable".into(),
        message: m.pod.scheduled.message.as_deref().and_then(single_line),
        restarts: None,
    });
    Some(HealthFinding {
        due,
        cause: Some(FailureCause::Unknown),
        deadline_cause: FailureCause::Unknown,
        message: format!(
            "no node has capacity for {} ({}){detail}{asks}",
            count_pods(names.len()),
            join_names(&names)
        ),
        evidence: evidence.collect(),
        pods: owned(&names),
    })
}

/// Pods that wait for the same thing.
struct PendingContainer<'a> {
    deadline_cause: FailureCause,
    container: Option<Arc<str>>,
    pods: Vec<&'a str>,
}

/// Returns what pods wait for: it counts when the deadline passes.
pub(super) fn readiness_findings(
    expected: &ExpectedWorkload,
    pods: &PodSet<'_>,
    context: &HealthContext<'_>,
) -> Vec<HealthFinding> {
    let mut groups: BTreeMap<(&'static str, String), PendingContainer<'_>> = BTreeMap::new();
    let mut wait = |reason, text, pod, deadline_cause, container| {
        let new = || PendingContainer { deadline_cause, container, pods: Vec::new() };
        groups.entry((reason, text)).or_insert_with(new).pods.push(pod);
    };
    for member in pods.updated.iter().filter(|m| !m.is_ready && pod::disruption(m.pod).is_none()) {
        if pod::is_ready(member.pod) {
            let text = "the previous container is still running".to_owned();
            wait("Outdated", text, member.name, FailureCause::Unknown, None);
        }
        for container in member.pod.containers.iter() {
            let Some((reason, verb)) = pending_reason(container) else { continue };
            let is_sidecar = expected.sidecars.contains(&container.name);
            let is_init = container.role == ContainerRole::Init;
            let baseline = baseline_health(&container.name, is_init, None, &pods.outdated, context.limits);
            let deadline_cause = if is_sidecar && baseline != BaselineHealth::Broken {
                FailureCause::Batch
            } else {
                FailureCause::Unknown
            };
            let text = format!("{} {verb}", format::container_label(container));
            wait(reason, text, member.name, deadline_cause, Some(Arc::clone(&container.name)));
        }
    }
    groups
        .into_iter()
        .map(|((reason, text), wait)| readiness_finding(expected, reason, &text, &wait))
        .collect()
}

/// Returns what a container has not done yet, which is not a failure by itself.
fn pending_reason(container: &LiveContainer) -> Option<(&'static str, &'static str)> {
    match (container.role, &container.state) {
        (ContainerRole::Init, ContainerState::Running { .. }) => Some(("Running", "has not finished")),
        (ContainerRole::Main | ContainerRole::NativeSidecar, ContainerState::Running { .. })
            if !container.is_ready =>
        {
            Some(("NotReady", "is running but not ready"))
        }
        _ => None,
    }
}

fn readiness_finding(
    expected: &ExpectedWorkload,
    reason: &str,
    text: &str,
    wait: &PendingContainer<'_>,
) -> HealthFinding {
    let evidence = wait.pods.iter().map(|name| HealthEvidence {
        subject: pod_subject(&expected.key, name).into(),
        container: wait.container.clone(),
        reason: reason.into(),
        message: None,
        restarts: None,
    });
    HealthFinding {
        due: FailureDue::Deadline,
        cause: Some(wait.deadline_cause),
        deadline_cause: wait.deadline_cause,
        evidence: evidence.collect(),
        message: format!("{text} in {} ({})", count_pods(wait.pods.len()), join_names(&wait.pods)),
        pods: owned(&wait.pods),
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
