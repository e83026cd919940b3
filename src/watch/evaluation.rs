//! One evaluation: assesses every rollout of every cluster; each takes at most one step.
//!
//! Everything follows from the deploy head, a snapshot of each cluster and the API server's time. Only two things are
//! kept: the plans of one head ([`RolloutSet`]), which could be computed again, and since when a batch is out of
//! sync.

use super::check::{CheckRequest, CheckResult, CheckedWorkload};
use super::decision::{
    DecisionInput, ExplainedDecision, HealthObservation, StopReason, WatchDecision, decide_next,
};
use super::environment::{ClusterUnavailable, Environment, ReleaseOutcome, ReleaseProposal, WatchError};
use super::expected_state::ExpectedState;
use super::health::{HealthLimits, HealthReport, HealthStatus, RolloutHealth, assess_health};
use super::report::{EvaluationReport, RolloutReport};
use super::rollout_set::{RolloutSet, WatchedRollout};
use super::snapshot::Snapshot;
use crate::diagnostics::escape;
use crate::git::{CommitTime, ObjectId, Signing, trailer};
use crate::model::defaults::SYNC_TIMEOUT_SECONDS;
use crate::model::duration;
use crate::model::ledger::PIGGYBACK_BATCH;
use crate::model::timestamp::format_day;
use crate::rollout::{ExternalState, Gate, RolloutStep, newer_source, transitions};
use crate::stage::{
    CommitAction, DeployBranch, LedgerCommit, PushOutcome, RepoContext, build_stack, commit_ledger,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Author of a pause that no person made.
const PAUSED_BY_PILLION: &str = "pillion";

/// Pods with evidence in a commit message at most.
const MAX_EVIDENCE: usize = 20;

/// Since when batches are out of sync, by cluster, SidecarSet and batch. No server knows this time.
pub type OutOfSyncSince = BTreeMap<(Option<String>, String, u32), Timestamp>;

/// Options of an evaluation.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Nothing is written; the report says what would be done.
    pub(crate) dry_run: bool,
    /// Limits that pillion.yaml does not set.
    pub(crate) limits: HealthLimits,
    /// The user has configured a check.
    pub(crate) has_check: bool,
}

/// Evaluates every rollout of a deploy head and takes the steps that are possible. After a step the head has moved,
/// which the report says: the next evaluation reads it.
///
/// # Errors
/// When git fails, or the watcher is killed.
pub(crate) fn evaluate_rollouts(
    repo: &RepoContext,
    rollout_set: &mut RolloutSet<'_, '_>,
    environment: &mut dyn Environment,
    options: &Options,
    out_of_sync_since: &mut OutOfSyncSince,
) -> Result<EvaluationReport, WatchError> {
    let mut report = EvaluationReport::new(rollout_set.deploy.head.id);
    let clusters: BTreeSet<Option<String>> = rollout_set.rollouts.iter().map(|w| w.cluster.clone()).collect();
    let snapshots: BTreeMap<_, _> =
        clusters.into_iter().map(|c| (c.clone(), environment.observe_cluster(c.as_deref()))).collect();
    report.now = snapshots.values().filter_map(|s| Some(s.as_ref().ok()?.now)).max();
    let observations: Vec<RolloutObservation<'_>> = rollout_set
        .rollouts
        .iter()
        .map(|w| {
            RolloutObservation::new(
                w,
                snapshots.get(&w.cluster).expect("one was taken of each cluster"),
                options,
            )
        })
        .collect();
    let deferred: Vec<BTreeMap<Arc<str>, String>> =
        (0..observations.len()).map(|i| busy_workloads(&observations, i)).collect();
    let mut decisions = Vec::new();
    for ((watched, observation), deferred) in rollout_set.rollouts.iter_mut().zip(observations).zip(deferred)
    {
        watched.replan(external_state(watched, &observation, deferred));
        let mut explained = watched.decide(&observation);
        check_sync_timeout(watched, &observation, &mut explained, out_of_sync_since);
        if options.has_check && !options.dry_run && explained.decision == WatchDecision::Advance {
            run_batch_check(watched, &observation, environment, &mut explained);
        }
        report.rollouts.push(RolloutReport::new(watched, observation.health, &explained));
        decisions.push(explained);
    }
    if options.dry_run {
        return Ok(report);
    }
    for (at, explained) in decisions.iter().enumerate() {
        let item = &report.rollouts[at];
        if matches!(explained.decision, WatchDecision::Wait | WatchDecision::Idle | WatchDecision::Blocked) {
            let reason = item.reasons.first().map_or("nothing to release now", String::as_str);
            environment.withdraw_proposal(repo, item.cluster.as_deref(), &item.sidecar_set, reason)?;
        } else if !report.head_moved {
            apply_decision(repo, rollout_set, environment, &mut report, (at, explained))?;
        }
    }
    Ok(report)
}

/// What was observed of one rollout.
pub(super) struct RolloutObservation<'a> {
    pub(super) snapshot: Result<&'a Snapshot, &'a ClusterUnavailable>,
    pub(super) health: Option<HealthReport>,
    pub(super) batch_started: Option<Timestamp>,
    /// Workloads at a revision that the rollout abandons that are not healthy.
    pub(super) unhealthy: BTreeSet<Arc<str>>,
}

impl<'a> RolloutObservation<'a> {
    fn new(
        watched: &WatchedRollout<'_>,
        snapshot: &'a Result<Snapshot, ClusterUnavailable>,
        options: &Options,
    ) -> Self {
        let snapshot = snapshot.as_ref();
        let Ok(seen) = snapshot else {
            return Self { snapshot, health: None, batch_started: None, unhealthy: BTreeSet::new() };
        };
        let limits = health_limits(watched, options);
        let expected = watched.expected();
        // What is abandoned goes back first, however many pods may fail.
        let strict = HealthLimits { max_failures: None, ..limits.clone() };
        let unhealthy = unhealthy_workloads(&assess_health(&expected.superseded, seen, &strict));
        let began = batch_start_time(&expected.current, seen);
        Self {
            snapshot,
            health: Some(assess_health(&expected.current, seen, &limits)),
            batch_started: began,
            unhealthy,
        }
    }
}

fn health_limits(watched: &WatchedRollout<'_>, options: &Options) -> HealthLimits {
    let written = |text: &Option<String>| text.as_deref().and_then(duration::parse);
    let settings = &watched.settings;
    HealthLimits {
        soak: written(&settings.soak).unwrap_or(options.limits.soak),
        progress_deadline: written(&settings.progress_deadline).unwrap_or(options.limits.progress_deadline),
        // The second half of a hot upgrade empties containers that would still work in a failing pod.
        max_failures: settings
            .max_failures
            .clone()
            .filter(|_| !watched.rollout.ledger.has_half_done_upgrade()),
        ..options.limits.clone()
    }
}

/// Returns the workloads that are not healthy: a rollback starts with them.
fn unhealthy_workloads(health: &HealthReport) -> BTreeSet<Arc<str>> {
    let mut found = health.degraded_workloads();
    let unready = health.workloads.iter().filter(|w| w.ready < w.updated);
    found.extend(unready.map(|w| Arc::clone(&w.key)));
    found
}

/// Returns when the latest batch began to update pods, as far as its workloads tell.
fn batch_start_time(expected: &ExpectedState, snapshot: &Snapshot) -> Option<Timestamp> {
    let last = expected.workloads.iter().filter(|w| w.batch == expected.batch);
    let found = last.filter_map(|w| snapshot.workloads.get(&w.key));
    let times = found.flat_map(|w| {
        let pods = w.pods.values().filter_map(|p| p.created.max(p.ready.since));
        pods.chain(w.revision_created)
    });
    times.max()
}

/// Returns the workloads in the latest batch of another rollout that are not healthy: they are deferred.
fn busy_workloads(all: &[RolloutObservation<'_>], own: usize) -> BTreeMap<Arc<str>, String> {
    let others = all.iter().enumerate().filter(|(i, _)| *i != own).filter_map(|(_, l)| l.health.as_ref());
    let assessed = others.flat_map(|health| {
        let last = health.workloads.iter().map(|w| w.batch).max().unwrap_or(0);
        health.workloads.iter().filter(move |w| w.batch == last && last != PIGGYBACK_BATCH)
    });
    assessed
        .filter(|w| !matches!(w.status, HealthStatus::Healthy | HealthStatus::Unknown))
        .map(|w| {
            (
                Arc::clone(&w.key),
                "it is in the latest batch of another rollout, which is not healthy yet".to_owned(),
            )
        })
        .collect()
}

fn external_state(
    watched: &WatchedRollout<'_>,
    observation: &RolloutObservation<'_>,
    deferred: BTreeMap<Arc<str>, String>,
) -> ExternalState {
    let ledger = &watched.rollout.ledger;
    // Only Start records replica counts: the plan of another step does not change with them.
    let context = &watched.rollout.context;
    let may_move = context.settings.starts_automatically && newer_source(context, ledger).is_some();
    let may_open = ledger.target.is_none() || may_move;
    let observed = observation.snapshot.iter().filter(|_| may_open).flat_map(|s| &s.workloads);
    ExternalState {
        wave_reason: watched.not_before.clone(),
        deferred,
        unhealthy: observation.unhealthy.clone(),
        observed_replicas: observed.filter_map(|(key, w)| Some((Arc::clone(key), w.desired?))).collect(),
        today: observation.snapshot.ok().map(|s| format_day(s.now.as_second())),
        ..ExternalState::default()
    }
}

impl WatchedRollout<'_> {
    fn decide(&self, observation: &RolloutObservation<'_>) -> ExplainedDecision {
        let text = observation.snapshot.err().map(ToString::to_string).unwrap_or_default();
        let seen = match (observation.snapshot, &observation.health) {
            (Ok(snapshot), Some(health)) => {
                Ok(HealthObservation { now: snapshot.now, health, batch_started: observation.batch_started })
            }
            _ => Err(text.as_str()),
        };
        decide_next(&DecisionInput {
            context: &self.rollout.context,
            ledger: &self.rollout.ledger,
            next_step: self.rollout.steps.first().unwrap_or(&RolloutStep::Idle),
            settings: &self.settings,
            windows: &self.windows,
            observation: seen,
            start_refusal: self.start_refusal.as_deref(),
            started: self.started,
        })
    }
}

/// An out-of-sync batch has not failed; after `syncTimeout` the rollout is paused.
fn check_sync_timeout(
    watched: &WatchedRollout<'_>,
    observation: &RolloutObservation<'_>,
    explained: &mut ExplainedDecision,
    since: &mut OutOfSyncSince,
) {
    let ledger = &watched.rollout.ledger;
    let key = (watched.cluster.clone(), watched.name().to_owned(), ledger.last_batch());
    let (Ok(snapshot), Some(health)) = (observation.snapshot, &observation.health) else { return };
    let missing: Vec<_> = health.workloads.iter().filter(|w| w.status == HealthStatus::OutOfSync).collect();
    if missing.is_empty() || explained.decision != WatchDecision::Wait {
        since.remove(&key);
        return;
    }
    let first = *since.entry(key).or_insert(snapshot.now);
    let after = watched.settings.sync_timeout.as_deref().and_then(duration::parse);
    let after = after.unwrap_or(SYNC_TIMEOUT_SECONDS);
    let passed = snapshot.now.duration_since(first).as_secs().max(0).unsigned_abs();
    let is_open = health.status == RolloutHealth::Progressing && ledger.paused.is_none();
    // Half of the timeout is longer than an agent needs, and leaves a person the other half.
    explained.is_out_of_sync = is_open && passed >= after / 2;
    if passed < after || !is_open {
        let next = if passed < after / 2 { after / 2 } else { after };
        let at = jiff::SignedDuration::from_secs(i64::try_from(next).unwrap_or(i64::MAX));
        let at = first.saturating_add(at).unwrap_or(Timestamp::MAX);
        explained.changes_at = explained.changes_at.into_iter().chain([at]).min();
        return;
    }
    let reason = format!("not applied after {}", duration::humanize(after));
    let lines = missing.iter().flat_map(|w| w.reasons.iter().map(|r| format!("{}: {r}", w.key))).collect();
    explained.reasons.insert(0, reason.clone());
    explained.decision = WatchDecision::Pause(StopReason { summary: reason, lines, evidence: Vec::new() });
}

/// Runs the check before a batch.
fn run_batch_check(
    watched: &WatchedRollout<'_>,
    observation: &RolloutObservation<'_>,
    environment: &mut dyn Environment,
    explained: &mut ExplainedDecision,
) {
    let Some(RolloutStep::Batch(next)) = watched.rollout.steps.first() else { return };
    let ledger = &watched.rollout.ledger;
    if ledger.last_batch() == 0 || ledger.target.as_ref() == Some(&ledger.released) {
        return;
    }
    let assessed =
        observation.health.iter().flat_map(|j| &j.workloads).filter(|w| w.batch == ledger.last_batch());
    let request = CheckRequest {
        sidecar_set: watched.name().to_owned(),
        cluster: watched.cluster.clone(),
        batch: ledger.last_batch(),
        batches: watched.rollout.last_batch(),
        from: ledger.released.as_deref().map(str::to_owned),
        to: ledger.target.as_ref().and_then(|t| t.as_deref()).map(str::to_owned),
        head: watched.head.to_string(),
        workloads: assessed.map(|w| CheckedWorkload { workload: w.key.to_string(), pods: w.ready }).collect(),
        healthy_since: observation.batch_started,
    };
    let number = next.number;
    let result = environment.run_check(&request);
    if !matches!(result, CheckResult::Pass(_)) {
        explained.gate = Some(Gate::Check);
    }
    match result {
        CheckResult::Pass(_) => {}
        CheckResult::Wait(reason) => {
            explained.decision = WatchDecision::Wait;
            explained.reasons.insert(0, format!("the check before batch {number} says wait: {reason}"));
        }
        CheckResult::Inconclusive(reason) => {
            explained.decision = WatchDecision::Wait;
            explained.reasons.insert(0, format!("the check before batch {number} has no result: {reason}"));
        }
        CheckResult::Fail(reason) => {
            let summary = format!("the check after batch {} failed", ledger.last_batch());
            explained.reasons.insert(0, format!("{summary}: {reason}"));
            let stop = StopReason { summary, lines: vec![reason], evidence: Vec::new() };
            let is_rollback =
                watched.settings.on_failure.unwrap_or_default() == crate::model::config::OnFailure::RollBack;
            explained.decision =
                if is_rollback { WatchDecision::RollBack(stop) } else { WatchDecision::Pause(stop) };
        }
    }
}

/// Creates the commit of a decision and releases it.
fn apply_decision(
    repo: &RepoContext,
    rollout_set: &RolloutSet<'_, '_>,
    environment: &mut dyn Environment,
    report: &mut EvaluationReport,
    (at, explained): (usize, &ExplainedDecision),
) -> Result<(), WatchError> {
    let watched = &rollout_set.rollouts[at];
    let deploy = rollout_set.deploy;
    let made = match &explained.decision {
        WatchDecision::Advance => commit_step(deploy, watched, &repo.signing()?)?,
        WatchDecision::Pause(stop) => commit_stop(deploy, watched, stop, false, &repo.signing()?)?,
        WatchDecision::RollBack(stop) => commit_stop(deploy, watched, stop, true, &repo.signing()?)?,
        WatchDecision::Wait | WatchDecision::Idle | WatchDecision::Blocked => return Ok(()),
    };
    let now = report.now;
    let item = &mut report.rollouts[at];
    let Some((commit, message)) =
        made.map_err(|message| WatchError::Service { message, is_retryable: false })?
    else {
        return Ok(());
    };
    let proposal = ReleaseProposal {
        commit,
        message: &message,
        at: now.map(|now| CommitTime { seconds: now.as_second(), offset_minutes: 0 }),
        sidecar_set: watched.name(),
        cluster: watched.cluster.as_deref(),
        rollout: (explained.decision == WatchDecision::Advance).then_some(&watched.rollout),
    };
    match environment.release(repo, deploy, &proposal)? {
        ReleaseOutcome::Push(PushOutcome::Pushed(commit, place)) => {
            item.released_commit = Some((commit, message.lines().next().unwrap_or_default().to_owned()));
            item.pushed_to = Some(place);
            report.head_moved = true;
        }
        ReleaseOutcome::Push(rejected) => {
            let what = match rejected {
                PushOutcome::NonFastForward => "push rejected (non-fast-forward)",
                _ => "another watcher has pushed the same commit",
            };
            item.reasons.insert(0, format!("{what}: re-evaluating from the new head"));
            item.is_push_conflict = true;
            report.head_moved = true;
        }
        ReleaseOutcome::Proposed(text) => {
            item.reasons.insert(0, text);
            item.is_proposed = true;
        }
        ReleaseOutcome::Blocked(text) => {
            item.reasons.insert(0, text);
            item.decision = WatchDecision::Wait;
        }
    }
    Ok(())
}

type CommitResult = Result<Option<(ObjectId, String)>, String>;

/// Creates the commit of the next step.
fn commit_step(
    deploy: &DeployBranch<'_>,
    watched: &WatchedRollout<'_>,
    signing: &Signing<'_>,
) -> Result<CommitResult, WatchError> {
    let (stack, diagnostics) = build_stack((deploy, watched.view), &watched.rollout, 1, signing, &[], || ())?;
    Ok(match stack {
        Some(stack) => Ok(stack.commits.into_iter().next().map(|c| (c.id, c.message))),
        None => Err(commit_error_message(&diagnostics)),
    })
}

/// Creates the commit of a pause or a rollback, with the evidence.
fn commit_stop(
    deploy: &DeployBranch<'_>,
    watched: &WatchedRollout<'_>,
    stop: &StopReason,
    is_rollback: bool,
    signing: &Signing<'_>,
) -> Result<CommitResult, WatchError> {
    let (context, before) = (&watched.rollout.context, &watched.rollout.ledger);
    let released = crate::model::ledger::revision_text(&before.released);
    let (after, action, subject) = if is_rollback {
        (
            transitions::roll_back(context, before),
            CommitAction::RollBack,
            format!("roll back to {released}, {}", stop.summary),
        )
    } else {
        let subject = format!("pause at batch {}, {}", before.last_batch(), stop.summary);
        (
            transitions::pause(context, before, &stop.summary, Some(PAUSED_BY_PILLION)),
            CommitAction::Pause,
            subject,
        )
    };
    let after = match after {
        Ok(after) => after,
        Err(refused) => return Ok(Err(refused.to_string())),
    };
    // They quote names that a server gave.
    let lines = stop.lines.iter().take(MAX_EVIDENCE).map(|l| escape::line(l).into_owned());
    let mut lines: Vec<String> = lines.collect();
    let more = stop.evidence.len().saturating_sub(MAX_EVIDENCE);
    if more > 0 {
        lines.push(format!("and {more} more pods or containers"));
    }
    lines.push(String::new());
    lines.push(if is_rollback && watched.rollout.context.kruise.is_some() {
        "Kruise updates no further pod until the next batch, which rolls them back.".to_owned()
    } else if is_rollback {
        "This commit changes no rendered file: the next batches roll the workloads back.".to_owned()
    } else {
        let name = watched.rollout.context.command_arguments();
        format!("Nothing is released until `pillion resume {name}`; `pillion rollback {name}` rolls back.")
    });
    let mut trailers: Vec<(&'static str, String)> = Vec::new();
    if is_rollback {
        trailers.push((trailer::BATCH, format!("{}/{}", before.last_batch(), watched.rollout.last_batch())));
    }
    let evidence = stop.evidence.iter().take(MAX_EVIDENCE);
    trailers.extend(evidence.map(|e| (trailer::EVIDENCE, e.to_json().to_string())));
    let change = LedgerCommit { after: &after, action, subject, body: lines.join("\n"), trailers };
    let (made, diagnostics) = commit_ledger(deploy, watched.view, &change, signing)?;
    Ok(match made {
        Some(made) => Ok(Some((made.id, made.message))),
        None => Err(commit_error_message(&diagnostics)),
    })
}

fn commit_error_message(diagnostics: &[crate::diagnostics::Diagnostic]) -> String {
    let messages: Vec<String> = diagnostics.iter().map(|d| d.message.clone()).collect();
    format!("the commit cannot be created: {}", messages.join("; "))
}
