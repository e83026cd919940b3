//! Settings of a rollout, from `updateStrategy` of the SidecarSet and `rollout` of pillion.yaml.

use crate::diagnostics::Span;
use crate::model::config::{PodsOrPercent, RolloutConfig, SplitMode, StartMode};
use crate::model::defaults::{MAX_BATCHES, SOAK_SECONDS};
use crate::model::sidecar_set::{IntOrPercent, SidecarSet, UpdateStrategy};
use std::collections::BTreeMap;

/// Default of `revisionHistoryLimit`, as in Kruise.
const HISTORY_LIMIT: usize = 10;

/// The settings of a rollout.
#[derive(Debug, Clone, Default)]
pub struct RolloutSettings {
    /// `updateStrategy` of the SidecarSet in the sources.
    pub strategy: UpdateStrategy,
    /// Cumulative pods after which a batch ends; None: unbounded.
    pub steps: Option<Vec<IntOrPercent>>,
    /// Native partitions may split workloads over batches.
    pub(crate) may_split: bool,
    /// The most batches of a plan.
    pub(crate) max_batches: u32,
    /// Replicas of workloads, where neither the ledger nor git sets them.
    pub(crate) replicas: BTreeMap<String, u32>,
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
    /// `start: Auto`: watch starts rollouts, and gives an open rollout a newer target.
    pub(crate) starts_automatically: bool,
}

impl RolloutSettings {
    /// Combines `rollout` of pillion.yaml with the SidecarSet; a deleted one has no strategy.
    pub(crate) fn new(rollout: &RolloutConfig, set: Option<&SidecarSet>) -> Self {
        let strategy = match set {
            Some(set) => set.update_strategy.clone(),
            None => UpdateStrategy { kind: "RollingUpdate".to_owned(), ..UpdateStrategy::default() },
        };
        let limit = set.and_then(|s| s.revision_history_limit).and_then(|n| usize::try_from(n).ok());
        Self {
            steps: steps(rollout, &strategy),
            may_split: rollout.split != Some(SplitMode::Never),
            max_batches: rollout.max_batches.unwrap_or(MAX_BATCHES),
            replicas: rollout.pods.clone(),
            history_limit: limit.unwrap_or(HISTORY_LIMIT),
            has_default_steps: rollout.steps.is_none(),
            steps_label: None,
            soak: rollout.soak.clone().unwrap_or_else(|| format!("{SOAK_SECONDS}s")),
            approval_batches: rollout.approve.clone(),
            has_freezes: !rollout.freeze.is_empty(),
            starts_automatically: rollout.start == Some(StartMode::Auto),
            strategy,
        }
    }
}

/// DESIGN 5: `steps`; without them `maxUnavailable` alone where it is set; else one pod, 10%, 50%, all.
fn steps(rollout: &RolloutConfig, strategy: &UpdateStrategy) -> Option<Vec<IntOrPercent>> {
    let text = |t: &str| IntOrPercent::Text(t.to_owned());
    match &rollout.steps {
        Some(steps) => Some(
            steps
                .iter()
                .map(|step| match step {
                    PodsOrPercent::Int(n) => IntOrPercent::Int(i64::from(*n)),
                    PodsOrPercent::Text(t) => text(t),
                })
                .collect(),
        ),
        None if strategy.max_unavailable.is_some() => None,
        None => Some(vec![IntOrPercent::Int(1), text("10%"), text("50%"), text("100%")]),
    }
}
