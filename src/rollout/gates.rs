//! The gates before the next step of a rollout. Each has a state and a reason, in the same words for `promote`, `status`,
//! `watch`, metrics and notifications.

use super::hot_upgrade::HotUpgradeHalf;
use super::piggyback::waiting_workloads;
use super::step::{is_repair, required_approval};
use super::types::{Batch, RolloutContext, RolloutStep};
use crate::model::config::RolloutConfig;
use crate::model::config::freeze::FreezeWindows;
use crate::model::ledger::Ledger;
use crate::model::timestamp::format_time;
use serde_json::{Value, json};
use std::fmt;

/// What a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    /// The pods of the released batches are healthy, for as long as `soak` says.
    Health,
    /// `piggyback`: workloads take the target with their own changes first.
    Piggyback,
    /// `freeze`.
    Freeze,
    /// `approve`.
    Approval,
    /// `podsPerMinute`.
    Rate,
    /// `updateStrategy.maxUnavailable`, with the pods that are down already.
    Unavailable,
    /// The check command or URL of `watch`.
    Check,
}

/// Whether a step may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateState {
    /// It may.
    Open,
    /// It waits.
    Waiting,
    /// The command that says so does not look.
    NotChecked,
}

/// The state of one gate, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateStatus {
    /// The gate.
    pub gate: Gate,
    /// Its state.
    pub state: GateState,
    /// Why; for `Waiting`, with what ends it.
    pub reason: String,
}

impl Gate {
    /// Every gate, in the order in which they are looked at.
    pub const ALL: [Self; 7] = [
        Self::Health,
        Self::Piggyback,
        Self::Freeze,
        Self::Approval,
        Self::Rate,
        Self::Unavailable,
        Self::Check,
    ];

    /// Returns its name in text, data and labels of metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Piggyback => "piggyback",
            Self::Freeze => "freeze",
            Self::Approval => "approval",
            Self::Rate => "rate",
            Self::Unavailable => "unavailable",
            Self::Check => "check",
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for GateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::NotChecked => "not checked",
        })
    }
}

impl GateStatus {
    pub(crate) fn new(gate: Gate, state: GateState, reason: impl Into<String>) -> Self {
        Self { gate, state, reason: reason.into() }
    }

    /// Returns it as data.
    pub(crate) fn to_json(&self) -> Value {
        let state = match self.state {
            GateState::Open => "Open",
            GateState::Waiting => "Waiting",
            GateState::NotChecked => "NotChecked",
        };
        json!({"gate": self.gate.name(), "state": state, "reason": self.reason})
    }
}

impl fmt::Display for GateStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.as_str() {
            "" => write!(f, "{} {}", self.gate, self.state),
            reason => write!(f, "{} {}: {reason}", self.gate, self.state),
        }
    }
}

/// What tells whether a gate is open, besides git's trees: seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GateClock {
    /// When the rollout started, where git tells.
    pub(crate) started: Option<i64>,
    /// Now.
    pub(crate) now: i64,
}

/// Returns the gates before the next step as far as git and a clock tell: without a look at pods.
pub(crate) fn gates_from_git(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    next: Option<&RolloutStep>,
    settings: &RolloutConfig,
    clock: GateClock,
) -> Vec<GateStatus> {
    let (batch, is_rollback) = match next {
        Some(RolloutStep::Batch(batch)) => (Some(batch), ledger.target.as_ref() == Some(&ledger.released)),
        Some(RolloutStep::Complete(_)) => (None, false),
        _ => return Vec::new(),
    };
    let mut gates = Vec::new();
    let released = ledger.last_batch();
    if released > 0 && !is_rollback {
        let reason = format!("the pods of batch {released}, and their soak of {}", context.settings.soak);
        gates.push(GateStatus::new(Gate::Health, GateState::NotChecked, reason));
    }
    let Some(batch) = batch.filter(|_| !is_rollback) else { return gates };
    gates.extend(match piggyback_wait(context, ledger, batch, clock) {
        Some(wait) => Some(GateStatus::new(Gate::Piggyback, GateState::Waiting, wait.reason)),
        None => {
            context.settings.piggyback.as_ref().map(|_| GateStatus::new(Gate::Piggyback, GateState::Open, ""))
        }
    });
    if !settings.freeze.is_empty() {
        // Errors in the windows were reported when pillion.yaml was read.
        let frozen = FreezeWindows::parse(&settings.freeze).0.reason_at(clock.now);
        gates.push(match frozen {
            Some(reason) => GateStatus::new(Gate::Freeze, GateState::Waiting, reason),
            None => GateStatus::new(Gate::Freeze, GateState::Open, ""),
        });
    }
    if !context.settings.approval_batches.is_empty() {
        gates.push(match approval_reason(context, ledger, batch) {
            Some(reason) => GateStatus::new(Gate::Approval, GateState::Waiting, reason),
            None => GateStatus::new(Gate::Approval, GateState::Open, ""),
        });
    }
    if let Some(rate) = settings.pods_per_minute.filter(|_| released > 0) {
        gates.push(GateStatus::new(Gate::Rate, GateState::NotChecked, rate_text(rate)));
    }
    gates
}

/// Why a batch waits for workloads that take the target with their own changes, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PiggybackWait {
    /// The reason.
    pub(crate) reason: String,
    /// Seconds since 1970.
    pub(crate) until: i64,
}

/// Returns why a batch waits for workloads that take the target with their own changes; None: it does not.
pub(crate) fn piggyback_wait(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    batch: &Batch,
    clock: GateClock,
) -> Option<PiggybackWait> {
    let window = context.settings.piggyback.as_ref()?;
    // Repairs and the second half of a hot upgrade are urgent.
    if is_repair(batch) || batch.half() == Some(HotUpgradeHalf::Second) {
        return None;
    }
    let waiting = waiting_workloads(context, ledger);
    // Where the start of the rollout is not known, the window has not ended.
    let started = clock.started.unwrap_or(clock.now);
    let until = started.saturating_add(i64::try_from(window.seconds).unwrap_or(i64::MAX));
    (waiting.workloads > 0 && clock.now < until).then(|| {
        let own = if waiting.workloads == 1 { "takes it with its" } else { "take it with their" };
        let reason = format!(
            "{waiting} {own} own next change until {} (`piggyback`, {} after the start)",
            format_time(until),
            window.until
        );
        PiggybackWait { reason, until }
    })
}

/// Returns why a batch waits for an approval; None: it needs none, or has one.
pub(crate) fn approval_reason(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    batch: &Batch,
) -> Option<String> {
    let plan = required_approval(context, ledger, batch)?;
    let written = &ledger.approvals;
    if written.iter().any(|approval| approval.plan == plan) {
        return None;
    }
    let (name, number) = (context.command_arguments(), batch.number);
    let outdated = match written.iter().any(|approval| approval.batch == number) {
        true => " (an earlier approval was for other workloads or replicas)",
        false => "",
    };
    Some(format!("batch {number} is waiting for approval{outdated}: run `pillion approve {name} {number}`"))
}

/// Returns what `podsPerMinute` says.
pub(crate) fn rate_text(pods_per_minute: u32) -> String {
    format!("at most {pods_per_minute} pods per minute (`podsPerMinute`)")
}
