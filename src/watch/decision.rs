//! Decides the next action for one rollout. Pure: git, health and the server's time determine the decision.

use super::health::{
    FailureCause, HealthEvidence, HealthReport, HealthStatus, RolloutHealth, WorkloadHealth,
};
use super::rate;
use crate::model::config::freeze::FreezeWindows;
use crate::model::config::{OnFailure, RolloutConfig, StartMode};
use crate::model::ledger::{Ledger, PIGGYBACK_BATCH};
use crate::model::workload::is_sidecar_set_key;
use crate::rollout::removal::SidecarRemoval;
use crate::rollout::{
    Batch, BlockedReason, ExternalState, Gate, GateClock, RolloutContext, RolloutStep, approval_reason,
    cluster_option, has_piggybacked, is_repair, kept_by_percent, newer_source, piggyback_wait, rate_text,
    requested_start, start_command,
};
use jiff::Timestamp;
use std::fmt;

/// The input of a decision.
pub(crate) struct DecisionInput<'a> {
    /// What is constant during the rollout.
    pub(crate) context: &'a RolloutContext<'a>,
    /// The ledger.
    pub(crate) ledger: &'a Ledger,
    /// The next step of the plan.
    pub(crate) next_step: &'a RolloutStep,
    /// Rollout settings of pillion.yaml and the SidecarSet.
    pub(crate) settings: &'a RolloutConfig,
    /// Freeze windows.
    pub(crate) windows: &'a FreezeWindows,
    /// The observation; the error says why there is none.
    pub(crate) observation: Result<HealthObservation<'a>, &'a str>,
    /// Why the rollout cannot start, whatever the settings say.
    pub(crate) start_refusal: Option<&'a str>,
    /// When the rollout started, where a gate needs it; seconds since 1970.
    pub(crate) started: Option<i64>,
}

/// What was observed of the cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HealthObservation<'a> {
    /// The API server's clock.
    pub(crate) now: Timestamp,
    /// Health of the released workloads.
    pub(crate) health: &'a HealthReport,
    /// When the latest batch began to update pods, as far as pods tell.
    pub(crate) batch_started: Option<Timestamp>,
}

/// What the watcher does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchDecision {
    /// Takes the next step.
    Advance,
    /// Releases nothing more until someone resumes the rollout.
    Pause(StopReason),
    /// Makes the released revision the target.
    RollBack(StopReason),
    /// Waits.
    Wait,
    /// There is nothing to roll out.
    Idle,
    /// Something bars the rollout until git changes.
    Blocked,
}

impl WatchDecision {
    /// Returns the name in data.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Advance => "Advance",
            Self::Pause(_) => "Pause",
            Self::RollBack(_) => "RollBack",
            Self::Wait => "Wait",
            Self::Idle => "Idle",
            Self::Blocked => "Blocked",
        }
    }
}

impl fmt::Display for WatchDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a rollout is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopReason {
    /// In a few words, for a subject: `ImagePullBackOff in shop/cart`.
    pub(crate) summary: String,
    /// Lines for the body.
    pub(crate) lines: Vec<String>,
    /// What was observed.
    pub(crate) evidence: Vec<HealthEvidence>,
}

/// A decision, and the reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExplainedDecision {
    /// The decision.
    pub(crate) decision: WatchDecision,
    /// The reasons for people, the most important first.
    pub(crate) reasons: Vec<String>,
    /// When time alone may change the decision.
    pub(crate) changes_at: Option<Timestamp>,
    /// The gate that decided it, where one did.
    pub(crate) gate: Option<Gate>,
    /// A batch has been out of sync for longer than an agent needs.
    pub(crate) is_out_of_sync: bool,
}

impl ExplainedDecision {
    fn new(decision: WatchDecision, reason: impl Into<String>) -> Self {
        Self { decision, reasons: vec![reason.into()], changes_at: None, gate: None, is_out_of_sync: false }
    }

    /// The rollout waits at a gate.
    fn waiting(gate: Gate, reason: impl Into<String>) -> Self {
        Self { gate: Some(gate), ..Self::new(WatchDecision::Wait, reason) }
    }

    fn with_changes_at(mut self, at: Option<Timestamp>) -> Self {
        self.changes_at = at;
        self
    }
}

/// Decides the next action for one rollout.
pub(crate) fn decide_next(input: &DecisionInput<'_>) -> ExplainedDecision {
    let mut decided = decide_rollout(input);
    decided.reasons.extend(newer_source_note(input));
    decided
}

/// Returns a note if the SidecarSet file holds a revision that is not the target.
fn newer_source_note(input: &DecisionInput<'_>) -> Option<String> {
    let is_opening = matches!(input.next_step, RolloutStep::Start(_));
    let source = newer_source(input.context, input.ledger).filter(|_| !is_opening)?;
    let source = source.as_deref().unwrap_or("nothing");
    let how = match requested_start(input.context, input.ledger, &ExternalState::default()) {
        RolloutStep::Start(started) => {
            let option = cluster_option(input.context.cluster.as_deref());
            format!("run `{}` to switch to it", start_command(input.context, &started, &option))
        }
        step => step.reason().unwrap_or_default(),
    };
    Some(format!("the SidecarSet file holds {source}, which is not rolled out yet: {how}"))
}

fn decide_rollout(input: &DecisionInput<'_>) -> ExplainedDecision {
    let has_batch_out = input.ledger.last_batch() > 0 || input.has_piggybacked();
    let is_paused = input.ledger.paused.is_some();
    // A newer revision repairs the released batch, which need not be healthy first.
    let is_new_target = matches!(input.next_step, RolloutStep::Start(_))
        && input.settings.start.unwrap_or_default() == StartMode::Auto;
    if has_batch_out && !is_paused && !is_new_target {
        let observation = match &input.observation {
            Ok(observation) => observation,
            Err(reason) => {
                return ExplainedDecision::waiting(Gate::Health, format!("health is unknown: {reason}"));
            }
        };
        match observation.health.status {
            RolloutHealth::Healthy => {}
            RolloutHealth::Progressing => return wait_for_health(observation.health),
            RolloutHealth::Degraded(cause) => return decide_failure(input, observation.health, cause),
        }
    }
    match input.next_step {
        RolloutStep::Idle => {
            ExplainedDecision::new(WatchDecision::Idle, input.next_step.reason().unwrap_or_default())
        }
        RolloutStep::Blocked(reason) => decide_blocked(reason),
        // Only a person resumes.
        RolloutStep::Resume(_) => ExplainedDecision::new(WatchDecision::Blocked, "it is paused"),
        RolloutStep::Start(after) => decide_start(input, after),
        RolloutStep::Batch(batch) => decide_batch(input, batch),
        RolloutStep::Complete(_) => wait_for_piggybacked(input).unwrap_or_else(|| {
            ExplainedDecision::new(
                WatchDecision::Advance,
                "every workload has the target revision and is healthy",
            )
        }),
    }
}

fn decide_blocked(reason: &BlockedReason) -> ExplainedDecision {
    let decision = if reason.is_temporary() { WatchDecision::Wait } else { WatchDecision::Blocked };
    ExplainedDecision::new(decision, reason.to_string())
}

fn decide_start(input: &DecisionInput<'_>, after: &Ledger) -> ExplainedDecision {
    let name = input.context.command_arguments();
    if let Some(reason) = input.start_refusal {
        return ExplainedDecision::new(WatchDecision::Wait, reason);
    }
    if input.next_step.removed_workloads() > 0 {
        return ExplainedDecision::new(WatchDecision::Wait, removal_reason(input));
    }
    // The end date of a hold was chosen by whoever set it.
    let is_return = input.ledger.target.is_none() && after.target.as_ref() == Some(&after.released);
    if !is_return && input.settings.start.unwrap_or_default() != StartMode::Auto {
        let what = if input.ledger.target.is_some() { "move the target" } else { "start the rollout" };
        let reason = format!(
            "the SidecarSet file has changed: run `pillion start {name}` to {what} (`start: Manual`)"
        );
        return ExplainedDecision::new(WatchDecision::Wait, reason);
    }
    match &input.observation {
        Err(reason) => ExplainedDecision::waiting(Gate::Health, format!("health is unknown: {reason}")),
        Ok(observation) => check_freeze(input, observation.now).unwrap_or_else(|| {
            let reason = match is_return {
                true => "a hold has reached its end date",
                false => "the SidecarSet file has changed (`start: Auto`)",
            };
            ExplainedDecision::new(WatchDecision::Advance, reason)
        }),
    }
}

/// A sidecar is removed only if a person confirms it.
fn removal_reason(input: &DecisionInput<'_>) -> String {
    let name = input.context.command_arguments();
    let (what, share) = match input.next_step {
        RolloutStep::Start(after) => (
            if input.ledger.target.is_some() { "moving the target" } else { "starting the rollout" },
            SidecarRemoval::of(input.context, after)
                .map(|r| format!("{} ({})", r.share(), r.cause_text(input.context))),
        ),
        _ => ("it", None),
    };
    let share = share.unwrap_or_else(|| "workloads".to_owned());
    format!(
        "{what} removes the sidecar from {share}, which needs confirmation: run `pillion start {name} --allow-removal`"
    )
}

fn decide_batch(input: &DecisionInput<'_>, batch: &Batch) -> ExplainedDecision {
    let observation = match &input.observation {
        Ok(observation) => observation,
        Err(reason) => {
            return ExplainedDecision::waiting(Gate::Health, format!("health is unknown: {reason}"));
        }
    };
    let is_rollback = input.ledger.target.as_ref() == Some(&input.ledger.released);
    let before = input.ledger.last_batch();
    let healthy = match before {
        0 => "the rollout has started".to_owned(),
        n => format!("batch {n} is healthy"),
    };
    // A rollback waits for nothing but unavailable pods.
    let wait = if is_rollback {
        None
    } else {
        check_piggyback(input, batch, observation.now)
            .or_else(|| check_freeze(input, observation.now))
            .or_else(|| check_approval(input, batch))
            .or_else(|| check_rate(input, observation))
    };
    wait.or_else(|| check_max_unavailable(input, observation.health, batch))
        .unwrap_or_else(|| ExplainedDecision::new(WatchDecision::Advance, healthy))
}

fn check_freeze(input: &DecisionInput<'_>, now: Timestamp) -> Option<ExplainedDecision> {
    let frozen = input.windows.active_at(now)?;
    Some(ExplainedDecision::waiting(Gate::Freeze, frozen.to_string()).with_changes_at(frozen.until))
}

fn check_piggyback(input: &DecisionInput<'_>, batch: &Batch, now: Timestamp) -> Option<ExplainedDecision> {
    let clock = GateClock { started: input.started, now: now.as_second() };
    let wait = piggyback_wait(input.context, input.ledger, batch, clock)?;
    let until = Timestamp::from_second(wait.until).unwrap_or(Timestamp::MAX);
    Some(ExplainedDecision::waiting(Gate::Piggyback, wait.reason).with_changes_at(Some(until)))
}

/// The rollout is complete when the pods of workloads that took the target with their own changes are ready: their soak
/// would begin again with each release of an application.
fn wait_for_piggybacked(input: &DecisionInput<'_>) -> Option<ExplainedDecision> {
    let health = input.observation.as_ref().ok()?.health;
    let is_waiting = |w: &&WorkloadHealth| {
        w.batch == PIGGYBACK_BATCH && matches!(w.status, HealthStatus::Progressing | HealthStatus::OutOfSync)
    };
    let reasons: Vec<String> = health.workloads.iter().filter(is_waiting).map(workload_line).collect();
    let first = reasons.first()?.clone();
    Some(
        ExplainedDecision { reasons, ..ExplainedDecision::waiting(Gate::Health, first) }
            .with_changes_at(health.changes_at),
    )
}

fn check_approval(input: &DecisionInput<'_>, batch: &Batch) -> Option<ExplainedDecision> {
    approval_reason(input.context, input.ledger, batch)
        .map(|reason| ExplainedDecision::waiting(Gate::Approval, reason))
}

fn check_rate(input: &DecisionInput<'_>, observation: &HealthObservation<'_>) -> Option<ExplainedDecision> {
    let per_minute = input.settings.pods_per_minute?;
    let moved: u32 = input.last_batch_pods();
    let at = rate::next_batch_at(Some(per_minute), moved, observation.batch_started?)?;
    (at > observation.now).then(|| {
        let reason = format!("{}: not before {at}", rate_text(per_minute));
        ExplainedDecision::waiting(Gate::Rate, reason).with_changes_at(Some(at))
    })
}

/// Pods that are already down count against `maxUnavailable`.
fn check_max_unavailable(
    input: &DecisionInput<'_>,
    health: &HealthReport,
    batch: &Batch,
) -> Option<ExplainedDecision> {
    let bound = input.context.settings.strategy.max_unavailable_pods(batch.matched_pods.into())?;
    let down = u64::from(health.unavailable);
    let more: u64 = batch.updates.iter().map(|m| u64::from(m.max_unavailable)).sum();
    let is_alone = batch.updates.iter().any(|m| m.is_oversized);
    // Kruise's controller counts the pods that are not ready itself.
    if is_repair(batch) || input.context.kruise.is_some() {
        return None;
    }
    let fits = if is_alone { down == 0 } else { down + more <= bound };
    (down > 0 && !fits).then(|| {
        let reason = format!(
            "{down} released pods are not ready, and batch {} takes {more} more down, which exceeds maxUnavailable {bound}",
            batch.number
        );
        ExplainedDecision::waiting(Gate::Unavailable, reason)
    })
}

fn wait_for_health(health: &HealthReport) -> ExplainedDecision {
    let reasons: Vec<String> = health
        .workloads
        .iter()
        .filter(|w| !matches!(w.status, HealthStatus::Healthy | HealthStatus::Unknown))
        .map(workload_line)
        .collect();
    ExplainedDecision {
        decision: WatchDecision::Wait,
        reasons,
        changes_at: health.changes_at,
        gate: Some(Gate::Health),
        is_out_of_sync: false,
    }
}

fn workload_line(workload: &WorkloadHealth) -> String {
    match workload.reasons.first() {
        Some(reason) => format!("{}: {reason}", workload.key),
        None => format!("{}: {} of {} pods are ready", workload.key, workload.ready, workload.desired),
    }
}

fn decide_failure(
    input: &DecisionInput<'_>,
    health: &HealthReport,
    cause: FailureCause,
) -> ExplainedDecision {
    let failing: Vec<&WorkloadHealth> = health
        .workloads
        .iter()
        .filter(|w| matches!(w.status, HealthStatus::Degraded(_) | HealthStatus::Stalled))
        .collect();
    let is_rollback = input.ledger.target.as_ref() == Some(&input.ledger.released);
    let first = failing.iter().find_map(|w| Some((w.evidence.first()?, *w)));
    let reason = match (first, failing.first()) {
        (Some((evidence, workload)), _) => {
            format!("{} in {}", evidence.reason, namespaced_name(&workload.key))
        }
        (None, Some(workload)) => format!("{} is not ready in time", namespaced_name(&workload.key)),
        (None, None) => "the released batch is not healthy".to_owned(),
    };
    // All that is known, including the pods to delete.
    let all = |w: &&WorkloadHealth| -> Vec<String> {
        if w.reasons.is_empty() {
            vec![workload_line(w)]
        } else {
            w.reasons.iter().map(|r| format!("{}: {r}", w.key)).collect()
        }
    };
    let lines: Vec<String> = failing.iter().flat_map(all).collect();
    let evidence: Vec<HealthEvidence> = failing.iter().flat_map(|w| w.evidence.iter().cloned()).collect();
    let stop = StopReason { summary: reason.clone(), lines: lines.clone(), evidence };
    let may_go_back =
        input.settings.on_failure.unwrap_or_default() == OnFailure::RollBack && cause == FailureCause::Batch;
    // One rollback; if that fails, a person decides.
    let decision =
        if may_go_back && !is_rollback { WatchDecision::RollBack(stop) } else { WatchDecision::Pause(stop) };
    ExplainedDecision {
        decision,
        reasons: lines,
        changes_at: None,
        gate: Some(Gate::Health),
        is_out_of_sync: false,
    }
}

/// Returns `shop/cart` for `CloneSet.apps.kruise.io/shop/cart`, and `log` for a SidecarSet.
fn namespaced_name(key: &str) -> &str {
    let name = key.split_once('/').map_or(key, |(_, name)| name);
    if is_sidecar_set_key(key) { name.rsplit('/').next().unwrap_or(name) } else { name }
}

impl DecisionInput<'_> {
    /// Returns whether some workload took the target with its own change.
    fn has_piggybacked(&self) -> bool {
        self.context.workloads.as_slice().iter().any(|workload| has_piggybacked(workload, self.ledger))
    }

    /// Returns how many pods the latest batch updates, as far as the ledger tells.
    fn last_batch_pods(&self) -> u32 {
        let last = self.ledger.last_batch();
        if last == PIGGYBACK_BATCH {
            return 0;
        }
        let units = self.context.workloads.as_slice().iter();
        let moved = units.filter_map(|workload| {
            let entry = workload.active_entry(self.ledger).filter(|l| l.batch == Some(last))?;
            let replicas = self.context.replicas(workload, self.ledger)?;
            let kept = entry.partition_percent.map(|percent| kept_by_percent(percent, replicas));
            Some(replicas.saturating_sub(kept.or(entry.partition).unwrap_or(0)))
        });
        moved.fold(0, u32::saturating_add)
    }
}
