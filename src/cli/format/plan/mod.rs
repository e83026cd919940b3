//! The output formats of plans by workload.

pub(in crate::cli) mod html;
pub(in crate::cli) mod json;
pub(in crate::cli) mod markdown;
mod phrases;
pub(in crate::cli) mod text;
mod timeline;

use crate::rollout::RolloutPlan;
use crate::rollout::report::PlanReport;
use crate::stage::ClusterView;

/// One rollout of one cluster, planned.
pub(in crate::cli) struct ClusterRolloutPlan<'s> {
    /// What is known of the cluster.
    pub(in crate::cli) cluster_view: &'s ClusterView,
    /// The plan; of a paused rollout, as if it were resumed.
    pub(in crate::cli) rollout: RolloutPlan<'s>,
    /// What people read of it.
    pub(in crate::cli) report: PlanReport,
}

/// Everything that is shown.
pub(in crate::cli) struct PlanView<'s> {
    /// The commit that everything stands on.
    pub(in crate::cli) base: Option<String>,
    /// The rollouts, by cluster and name.
    pub(in crate::cli) plans: Vec<ClusterRolloutPlan<'s>>,
    /// Only the next step was asked for.
    pub(in crate::cli) is_next: bool,
    /// Long lists are shown in full.
    pub(in crate::cli) is_verbose: bool,
}
