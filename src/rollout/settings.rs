//! Settings of a rollout, from `updateStrategy` of the SidecarSet and `rollout` of pillion.yaml.

use super::workload_set::PlannedWorkload;
use crate::diagnostics::Span;
use crate::model::config::{RolloutConfig, SplitMode, StartMode};
use crate::model::defaults::{MAX_BATCHES, REVISION_HISTORY_LIMIT, SOAK_SECONDS, STEPS, UNKNOWN_PER_BATCH};
use crate::model::duration;
use crate::model::int_or_percent::{IntOrPercent, RoundingMode};
use crate::model::ledger::Ledger;
use crate::model::sidecar_set::{SidecarSet, UpdateStrategy};
use std::collections::BTreeMap;

/// The rules by which workloads are counted and put into batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PlanRules {
    /// Those of every new step.
    #[default]
    Current,
    /// Those of the first versions: absent `replicas` are unknown, workloads of unknown replica count are batches of
    /// their own, and namespaces are in the order of their names. Only commits that exist are checked by them.
    Original,
}

/// The settings of a rollout.
#[derive(Debug, Clone)]
pub struct RolloutSettings {
    /// `updateStrategy` of the SidecarSet in the sources.
    pub strategy: UpdateStrategy,
    /// The rules by which it is planned.
    pub rules: PlanRules,
    /// Cumulative pods after which a batch ends; None: unbounded.
    pub steps: Option<Vec<IntOrPercent>>,
    /// Native partitions may split workloads over batches.
    pub(crate) may_split: bool,
    /// The most batches of a plan.
    pub(crate) max_batches: u32,
    /// Replicas of workloads, where neither the ledger nor git sets them.
    pub(crate) replicas: BTreeMap<String, u32>,
    /// How many workloads of unknown replica count a batch updates, or which share of all of them.
    pub(crate) unknown_per_batch: IntOrPercent,
    /// Revisions that the history keeps.
    pub(crate) history_limit: usize,
    /// The steps are the default ones.
    pub(crate) has_default_steps: bool,
    /// The location of the steps, where they are written.
    pub(crate) steps_label: Option<Span>,
    /// How long the pods of a batch must stay healthy, as written.
    pub(crate) soak: String,
    /// Batches that need an approval by a person.
    pub(crate) approval_batches: Vec<u32>,
    /// There are freeze windows.
    pub(crate) has_freezes: bool,
    /// How many pods may fail without stopping the rollout, where that is set.
    pub(crate) max_failures: Option<IntOrPercent>,
    /// `start: Auto`: watch starts rollouts, and gives an open rollout a newer target.
    pub(crate) starts_automatically: bool,
    /// `piggyback`, unless it is turned off.
    pub(crate) piggyback: Option<PiggybackWindow>,
}

/// How long after Start the batches wait, because workloads take the target with their own changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PiggybackWindow {
    /// As written.
    pub(crate) until: String,
    /// In seconds.
    pub(crate) seconds: u64,
}

impl PiggybackWindow {
    fn of(rollout: &RolloutConfig) -> Option<Self> {
        let until = &rollout.piggyback.as_ref()?.until;
        // What is not a duration was reported when pillion.yaml was read.
        let seconds = duration::parse(until).filter(|seconds| *seconds > 0)?;
        Some(Self { until: until.clone(), seconds })
    }
}

impl RolloutSettings {
    /// Combines `rollout` of pillion.yaml with the SidecarSet; a deleted one has no strategy.
    pub(crate) fn new(rollout: &RolloutConfig, set: Option<&SidecarSet>) -> Self {
        let strategy = match set {
            Some(set) => set.update_strategy.clone(),
            None => UpdateStrategy { kind: "RollingUpdate".to_owned(), ..UpdateStrategy::default() },
        };
        let limit = set.and_then(|s| s.revision_history_limit).and_then(|n| usize::try_from(n).ok());
        let limit = limit.unwrap_or(REVISION_HISTORY_LIMIT as usize);
        Self {
            rules: PlanRules::Current,
            steps: steps(rollout, &strategy),
            may_split: rollout.split.unwrap_or_default() == SplitMode::Auto,
            max_batches: rollout.max_batches.unwrap_or(MAX_BATCHES),
            replicas: rollout.pods.clone(),
            unknown_per_batch: rollout
                .unknown_per_batch
                .clone()
                .unwrap_or_else(|| IntOrPercent::parse(UNKNOWN_PER_BATCH)),
            history_limit: limit,
            has_default_steps: rollout.steps.is_none(),
            steps_label: None,
            soak: rollout.soak.clone().unwrap_or_else(|| format!("{SOAK_SECONDS}s")),
            approval_batches: rollout.approve.clone(),
            has_freezes: !rollout.freeze.is_empty(),
            max_failures: rollout.max_failures.clone(),
            starts_automatically: rollout.start.unwrap_or_default() == StartMode::Auto,
            piggyback: PiggybackWindow::of(rollout),
            strategy,
        }
    }

    /// Kruise's controller keeps `maxUnavailable` by itself: batches follow the steps, the default ones where none are
    /// written.
    pub(crate) fn bound_by_steps(&mut self, rollout: &RolloutConfig) {
        let written = rollout.steps.clone();
        self.steps = Some(written.unwrap_or_else(|| STEPS.map(IntOrPercent::parse).to_vec()));
    }

    /// Returns the replicas of a workload: from the ledger, from git, from pillion.yaml, else the default of its kind.
    /// None: unknown.
    pub(crate) fn replicas_of(&self, workload: &PlannedWorkload, ledger: &Ledger) -> Option<u32> {
        let key = workload.key();
        let in_git = || workload.replicas.or_else(|| self.replicas.get(&**key).copied());
        let has_default = self.rules == PlanRules::Current;
        let default = || workload.default_replicas().filter(|_| has_default);
        ledger.replicas.get(key).copied().or_else(in_git).or_else(default)
    }

    /// `unknownPerBatch`: returns how many of `n` workloads of unknown replica count share a batch, at least 1.
    pub fn unknown_in_batch(&self, n: usize) -> usize {
        let share = self.unknown_per_batch.pods(n as u64, RoundingMode::Up).unwrap_or(1);
        usize::try_from(share).unwrap_or(usize::MAX).max(1)
    }
}

/// DESIGN 5: `steps`; without them `maxUnavailable` alone where it is set; else one pod, 10%, 50%, all.
fn steps(rollout: &RolloutConfig, strategy: &UpdateStrategy) -> Option<Vec<IntOrPercent>> {
    match &rollout.steps {
        Some(steps) => Some(steps.clone()),
        None if strategy.max_unavailable.is_some() => None,
        None => Some(STEPS.map(IntOrPercent::parse).to_vec()),
    }
}
