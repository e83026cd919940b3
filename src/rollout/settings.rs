//! What a rollout may do, from the SidecarSet's `updateStrategy` and `rollout` of pillion.yaml.

use crate::diagnostics::Span;
use crate::model::config::{PodsOrPercent, RolloutConfig, SplitMode, StartMode};
use crate::model::sidecar_set::{IntOrPercent, SidecarSet, UpdateStrategy};
use std::collections::BTreeMap;

/// Batches that a plan may have, unless pillion.yaml says otherwise.
pub const MAX_BATCHES: u32 = 100;

/// How long a batch must stay healthy, unless pillion.yaml says otherwise.
const SOAK: &str = "120s";

/// Revisions that the history keeps, unless the SidecarSet says otherwise (Kruise's default).
const HISTORY_LIMIT: usize = 10;

/// What a rollout may do.
#[derive(Debug, Clone, Default)]
pub struct RolloutSettings {
    /// `updateStrategy` of the source, Kruise's rules.
    pub strategy: UpdateStrategy,
    /// Cumulative pods after which a batch ends; None: no such bound.
    pub steps: Option<Vec<IntOrPercent>>,
    /// Workloads may be split over batches by their own partition.
    pub may_split: bool,
    /// The most batches a plan may have.
    pub max_batches: u32,
    /// Pods of workloads, where neither the ledger nor git says.
    pub replicas: BTreeMap<String, u32>,
    /// Revisions that the history keeps.
    pub history_limit: usize,
    /// The steps are those that count where nobody writes any.
    pub has_default_steps: bool,
    /// Where the steps are written, if anywhere.
    pub steps_label: Option<Span>,
    /// How long the pods of a batch must stay healthy, as written.
    pub soak: String,
    /// Batches that wait for a person's approval.
    pub approval_batches: Vec<u32>,
    /// There are times in which nothing is released.
    pub has_freezes: bool,
    /// `start: Auto`: a rollout opens, and an open one gets a newer target, without a person.
    pub starts_automatically: bool,
}

impl RolloutSettings {
    /// Takes what pillion.yaml says of rollouts, and the SidecarSet; a deleted one has no strategy any more.
    pub fn new(rollout: &RolloutConfig, set: Option<&SidecarSet>) -> Self {
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
            soak: rollout.soak.clone().unwrap_or_else(|| SOAK.to_owned()),
            approval_batches: rollout.approve.clone(),
            has_freezes: !rollout.freeze.is_empty(),
            starts_automatically: rollout.start == Some(StartMode::Auto),
            strategy,
        }
    }
}

/// DESIGN 5: `steps`; without them maxUnavailable alone where it is written; else one pod, 10%, 50%, all.
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
